"""Whether a post that may have been created exists: looked for in its channel by its nonce."""

from functools import partial
from typing import Final

from status_watcher.core.outcome import Failure, Ok
from status_watcher.core.post import RemotePost, box_tag
from status_watcher.model import ChannelId
from status_watcher.publisher.delivery import Delivery
from status_watcher.publisher.line import Errand, Line
from status_watcher.publisher.ports import Poster

CLOCK_SKEW_MS: Final = 5 * 60_000
"""Between our clock, which wrote down the intent, and the server's, which dates the post."""
LOST_HORIZON_MS: Final = 24 * 3_600_000
"""How far back to look for a box's post when our state was lost with its nonce."""
MAX_PAGES: Final = 50


async def find_post(
    poster: Poster, line: Line, errand: Errand, post: Delivery, channel_id: ChannelId, *, now_ms: int
) -> Ok[RemotePost | None] | Failure:
    """Our post for this box, or Ok(None) when it is not in the channel since the intent (less 5 min of skew).

    Thread replies are among a channel's posts, so threads need no search of their own. A post that was
    deleted meanwhile is not seen.
    """
    me = await line.identity(errand)
    if not isinstance(me, str):
        return me
    since_ms = post.intent_at_ms - CLOCK_SKEW_MS if post.nonce else now_ms - LOST_HORIZON_MS
    tag = box_tag(post.box_id)
    for page in range(MAX_PAGES):
        shown = await errand.ask(partial(poster.page, channel_id, page))
        if not isinstance(shown, Ok):
            return shown
        for candidate in shown.value:
            marks = candidate.marks
            if candidate.user_id != me or marks is None:
                continue
            if marks.nonce == post.nonce if post.nonce else marks.box == tag:
                return Ok(candidate)
        if not shown.value or shown.value[-1].created_at_ms < since_ms:
            break
    return Ok(None)
