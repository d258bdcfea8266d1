"""What a failure means for the one post that it met: try again, elsewhere, later, or not at all.

What it means for everybody is the line's to know.
"""

import asyncio
import random
from collections.abc import Callable
from typing import Final, assert_never

import structlog

from status_watcher.core.outcome import (
    EDIT_TIME_OVER,
    Denied,
    Failure,
    Gone,
    Reason,
    Rejected,
    RetryAfter,
    TokenRefused,
    Unavailable,
)
from status_watcher.core.throttle import after_failure
from status_watcher.model import ChannelTarget, DirectTarget, Making, PostId, Target
from status_watcher.publisher.delivery import Delivery
from status_watcher.publisher.health import Counts, Problems
from status_watcher.publisher.ports import Boxes, Ledger
from status_watcher.publisher.settings import PublisherSettings

OLD_SERVER_CHARS: Final = 4_000
"""What a post may have where the column was made by an old version, whatever the version says now."""
LONGEST_PARK: Final = 4
"""Times the first: a channel that takes us again is noticed within 40 minutes."""
MOST_PARKINGS_OF_ENDED: Final = 4
"""After so many, a box that has ended is given up: nobody reads it any more, and the next has come."""
_MOST_ROOTS: Final = 1_000
_CREATING: Final = "creating a post"

log = structlog.get_logger()


class Setbacks:
    """Writes into the `Delivery` what becomes of it; notes what an operator should know."""

    def __init__(
        self,
        *,
        boxes: Boxes,
        ledger: Ledger,
        settings: PublisherSettings,
        counts: Counts,
        problems: Problems,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._boxes = boxes
        self._ledger = ledger
        self._settings = settings
        self._counts = counts
        self._problems = problems
        self._jitter = jitter
        self._loop = asyncio.get_running_loop()
        self._gone_roots: dict[PostId, None] = {}

    def where(self, target: Target) -> Target:
        """Where a new post goes that belongs there: into the channel where the thread is known to be gone."""
        if isinstance(target, ChannelTarget) and target.root_id in self._gone_roots:
            return ChannelTarget(target.channel_id, PostId(""))
        return target

    def over(self, post: Delivery, *, created: bool) -> None:
        """The post could be written: what stood in the way of that in its channel does so no more."""
        post.parkings = 0
        place, told = _place(post.target)
        self._problems.over(place, _CREATING if created else "", **told)

    def met(self, post: Delivery, failure: Failure, started_s: float, text: str = "") -> None:
        """A request for this post failed that was begun then; `text` is what it was to write, if anything."""
        post.owe_again()
        match failure:
            case RetryAfter() | TokenRefused():
                pass
            case Unavailable():
                if failure.reason is not Reason.HELD_BACK:
                    post.pace = after_failure(post.pace, started_s, self._jitter())
            case Gone() if post.post_id is not None and self._settings.repost_deleted and not post.renewed:
                self._renew(post)
            case Gone():
                self._quiet(post)
            case Denied():
                self._park(post, f"denied to the bot (403 {failure.error_id})")
            case Rejected() if failure.too_long and not post.shortened:
                post.shortened = True
                self._counts.add("shortened")
                limit = OLD_SERVER_CHARS if len(text) > OLD_SERVER_CHARS else max(len(text) // 2, 200)
                self._boxes.limit_chars(limit)
            case Rejected() if failure.error_id == EDIT_TIME_OVER and not post.renewed:
                # The site lets posts be edited for a while only: one new post, which then is the box.
                self._renew(post)
            case Rejected() if failure.root_gone and post.post_id is None and _has_root(post.target):
                self._leave_thread(post)
            case Rejected() if failure.archived:
                self._park(post, f"refused, the channel is archived ({failure.status} {failure.error_id})")
            case Rejected():
                self._halt(post, f"refused ({failure.status} {failure.error_id})")
            case _:
                assert_never(failure)

    def _renew(self, post: Delivery) -> None:
        """One new post for the box, and only one: what takes posts away may take this one too."""
        post.renewed = True
        post.post_id, post.nonce, post.may_say, post.ghosts = None, "", None, frozenset()
        self._counts.add("renewed")

    def _leave_thread(self, post: Delivery) -> None:
        """Its root was deleted: it goes into the channel, or nowhere if it makes no sense there."""
        if not isinstance(post.target, ChannelTarget):
            return
        channel, root = post.target.channel_id, post.target.root_id
        if post.making is not Making.ANYWHERE:
            post.halted = True
            self._ledger.forget(post.box_id)
            return
        if root not in self._gone_roots:
            log.info("thread_gone", channel=channel, root=root)
            self._gone_roots[root] = None
            if len(self._gone_roots) > _MOST_ROOTS:
                del self._gone_roots[next(iter(self._gone_roots))]
        self._counts.add("out_of_thread")
        post.target = ChannelTarget(channel, PostId(""))
        self._ledger.keep(post.record())

    def _quiet(self, post: Delivery) -> None:
        if post.post_id is None:  # no post of ours was asked about: the channel or user does not exist
            self._halt(post, "not found (404)")
            return
        post.gone = True
        self._ledger.keep(post.record())

    def _halt(self, post: Delivery, what: str) -> None:
        post.halted = True
        self._note(post, what)

    def _park(self, post: Delivery, what: str) -> None:
        self._note(post, what)
        if post.over and post.parkings >= MOST_PARKINGS_OF_ENDED:
            post.halted = True
            return
        pause_s = self._settings.park_s * min(2**post.parkings, LONGEST_PARK)
        post.parked_until_s = self._loop.time() + pause_s
        post.parkings += 1

    def _note(self, post: Delivery, what: str) -> None:
        place, told = _place(post.target)
        doing = _CREATING if post.post_id is None else "editing a post"
        self._problems.note(place, f"{doing} is {what}", self._loop.time(), **told)


def _has_root(target: Target | None) -> bool:
    return isinstance(target, ChannelTarget) and target.root_id != ""


def _place(target: Target | None) -> tuple[str, dict[str, str]]:
    """The place in words, and what of it is for the log alone: anybody may ask for `/health`."""
    match target:
        case ChannelTarget(channel_id):
            return f"channel {channel_id}", {}
        case DirectTarget(user_id):
            return "a direct channel", {"user": user_id}
        case None:
            return "a channel", {}
        case _:
            assert_never(target)
