"""One delivery's turn: which requests bring this post up to date, and what their answers mean for it."""

import asyncio
from collections.abc import Callable
from typing import Any, assert_never

from status_watcher.core.closing import closed
from status_watcher.core.outcome import (
    Denied,
    Failure,
    Gone,
    Ok,
    Outcome,
    RetryAfter,
    TokenRefused,
    Unavailable,
)
from status_watcher.core.post import Marks, RemotePost, box_tag, digest, sendable
from status_watcher.core.throttle import (
    Pace,
    after_edit,
    after_success,
    after_write,
    interval_s,
    plain_after_write,
)
from status_watcher.model import Box, ChannelTarget, DirectTarget, Making, PostId, Target
from status_watcher.publisher.delivery import Delivery
from status_watcher.publisher.health import Counts
from status_watcher.publisher.line import Errand, Line
from status_watcher.publisher.lookup import find_post
from status_watcher.publisher.ports import Boxes, Ledger, Poster
from status_watcher.publisher.setbacks import Setbacks
from status_watcher.publisher.settings import PublisherSettings


class Courier:
    """Brings one post at a time up to date; knows nothing of queues and workers.

    Everything it learns is written into the `Delivery`: what is owed (`changed`), and when it may go out.
    """

    def __init__(
        self,
        *,
        boxes: Boxes,
        poster: Poster,
        ledger: Ledger,
        line: Line,
        settings: PublisherSettings,
        counts: Counts,
        setbacks: Setbacks,
        wall_ms: Callable[[], int],
        nonce: Callable[[], str],
        open_boxes: Callable[[], int],
    ) -> None:
        self._boxes = boxes
        self._poster = poster
        self._ledger = ledger
        self._line = line
        self._settings = settings
        self._counts = counts
        self._setbacks = setbacks
        self._wall_ms = wall_ms
        self._nonce = nonce
        self._open_boxes = open_boxes
        self._loop = asyncio.get_running_loop()
        self._begun_s = self._loop.time()
        self.throttle_s = settings.throttle_s

    async def bring_up_to_date(self, post: Delivery, errand: Errand) -> None:
        """One create, edit or deletion at most; what is still owed afterwards is in `post.changed`, and
        whether the server has written a row, or may have, in `post.cost_row`.
        """
        post.cost_row = False
        if not post.known:
            record = await self._ledger.find(post.box_id)
            if record is None:
                post.known = True
            else:
                ghosts_until_s = self._loop.time() + self._settings.ghost_s
                post.learn(record, trust_text=self._ledger.closed_well, ghosts_until_s=ghosts_until_s)
                if self._loop.time() < self._begun_s + self.throttle_s:
                    # The run before us may have edited it a moment ago.
                    post.pace = Pace(clear_at_s=self._begun_s + self.throttle_s)
                    return
        if post.withdrawn:
            await self._remove(post, errand)
            return
        if post.silent:
            return
        post.changed, post.sending = False, post.urgency
        if post.ghosts and self._loop.time() >= post.ghosts_until_s:
            post.ghosts, post.may_say = frozenset(), None
        box = self._boxes.render(post.box_id)
        if box is None:
            return
        post.over, post.making = box.ended, box.making
        if post.post_id is None:
            await self._create(post, box, errand)
        else:
            await self._edit(post, post.post_id, box, errand)

    async def _create(self, post: Delivery, box: Box, errand: Errand) -> None:
        started_s = self._loop.time()
        if post.target is None:
            post.target = self._setbacks.where(box.target)
        channel = await self._channel(post.target, errand)
        if not isinstance(channel, ChannelTarget):
            self._setbacks.met(post, channel, started_s)
            return
        doubtful = post.in_doubt or (self._ledger.lost and not post.nonce)
        if doubtful and await self._adopt(post, post.target, errand):
            return
        if post.making is Making.NEVER:
            self._let_be(post)
            return
        if not post.nonce:
            post.nonce, post.intent_at_ms = self._nonce(), self._wall_ms()
            # False: the disk refuses. The post is made all the same, its nonce is in its props.
            await self._ledger.keep_now(post.record())
        if post.withdrawn:
            return
        if post.changed:  # since it was rendered: the disk took its time
            post.changed = False
            newer = self._boxes.render(post.box_id)
            if newer is None:
                return
            box, post.making = newer, newer.making
            if post.making is Making.NEVER:
                self._let_be(post)
                return
        text = sendable(box.text)
        started_s = self._loop.time()
        post.in_doubt = True  # until the answer says otherwise, also if we are cancelled
        outcome = await errand.ask(
            lambda within_s: self._poster.create(
                channel, text, Marks(post.nonce, box_tag(post.box_id)), within_s
            )
        )
        post.in_doubt = isinstance(outcome, Unavailable) and outcome.may_have_happened
        self._wrote(post, outcome)
        if not isinstance(outcome, Ok):
            self._setbacks.met(post, outcome, started_s, text)
            return
        self._shows(post, box, text, "creates")
        # A repeated create answers with the first one's text.
        post.post_id, post.may_say = outcome.value.post_id, frozenset((digest(outcome.value.text),))
        if post.may_say != frozenset((digest(text),)):
            post.owe_again()
        post.ended = box.ended and not post.changed
        await self._ledger.keep_now(post.record())

    async def _adopt(self, post: Delivery, target: Target, errand: Errand) -> bool:
        """Whether nothing is to be created now: the post was found, or nobody could tell."""
        started_s = self._loop.time()
        found = await self._found(post, target, errand)
        if not isinstance(found, Ok):
            self._setbacks.met(post, found, started_s)
            return True
        post.in_doubt = False
        if found.value is None:
            return False
        self._counts.add("adopted")
        post.post_id, post.may_say = found.value.post_id, frozenset((digest(found.value.text),))
        post.pace = after_success(post.pace)
        if found.value.marks is not None:
            post.nonce = found.value.marks.nonce
        post.owe_again()
        await self._ledger.keep_now(post.record())
        return True

    def _let_be(self, post: Delivery) -> None:
        """It has no post and needs none any more."""
        self._ledger.forget(post.box_id)
        post.nonce, post.ended, post.changed = "", True, False

    async def _edit(self, post: Delivery, post_id: PostId, box: Box, errand: Errand) -> None:
        started_s = self._loop.time()
        text = sendable(box.text)
        wanted = digest(text)
        if (
            box.closing is not None
            or post.may_say is None
            or wanted in post.ghosts
            or (wanted in post.may_say and len(post.may_say) > 1)
        ):
            shown = await errand.ask(lambda within_s: self._poster.get(post_id, within_s))
            if not isinstance(shown, Ok):
                self._setbacks.met(post, shown, started_s)
                return
            post.may_say = frozenset((digest(shown.value.text),))
            post.ghosts -= post.may_say  # that one has come
            if box.closing is not None:
                text = sendable(closed(shown.value.text, box.closing))
                wanted = digest(text)
            self._ledger.keep(post.record())
        if post.may_say == frozenset((wanted,)):
            self._counts.add("unchanged")
            post.plain = plain_after_write(post.plain, self._loop.time())
            post.pace = after_success(post.pace)
            if post.ended != box.ended:
                post.ended = box.ended
                self._ledger.keep(post.record())
            return
        before = post.may_say
        post.may_say = before | {wanted}  # until the answer says otherwise, also if we are cancelled
        self._ledger.keep(post.record())
        started_s = self._loop.time()
        outcome = await errand.ask(lambda within_s: self._poster.patch(post_id, text, within_s))
        self._wrote(post, outcome)
        if not isinstance(outcome, Ok):
            if isinstance(outcome, Unavailable) and outcome.may_have_happened:
                post.ghosts |= {wanted}
                post.ghosts_until_s = self._loop.time() + self._settings.ghost_s
            else:
                post.may_say = before
                self._ledger.keep(post.record())
            if isinstance(outcome, Denied | Gone):
                # A deleted post is 403 too (6.7 to 9.9), and a 404 may be a proxy's, its server being away.
                outcome = await self._why_denied(post_id, outcome, errand)
            self._setbacks.met(post, outcome, started_s, text)
            return
        self._shows(post, box, text, "edits")
        post.may_say = frozenset((wanted,))
        post.ended = box.ended
        self._ledger.keep(post.record())

    async def _why_denied(self, post_id: PostId, denied: Denied | Gone, errand: Errand) -> Failure:
        shown = await errand.ask(lambda within_s: self._poster.get(post_id, within_s))
        return denied if isinstance(shown, Ok) else shown

    async def _remove(self, post: Delivery, errand: Errand) -> None:
        started_s = self._loop.time()
        if post.post_id is None and post.in_doubt and post.target is not None:
            found = await self._found(post, post.target, errand)
            if isinstance(found, RetryAfter | Unavailable | TokenRefused):
                self._setbacks.met(post, found, started_s)
                return
            if isinstance(found, Ok) and found.value is not None:
                post.post_id = found.value.post_id
        if post.post_id is not None:
            post_id = post.post_id
            outcome = await errand.ask(lambda within_s: self._poster.delete(post_id, within_s))
            if isinstance(outcome, RetryAfter | Unavailable | TokenRefused):
                self._setbacks.met(post, outcome, started_s)
                return
            if isinstance(outcome, Ok):
                self._counts.add("deletes")
        # Denied or Gone: somebody has deleted it, or we may not; either way there is no more to be done.
        self._ledger.forget(post.box_id)
        post.changed = False

    async def _found(self, post: Delivery, target: Target, errand: Errand) -> Ok[RemotePost | None] | Failure:
        channel = await self._channel(target, errand)
        if not isinstance(channel, ChannelTarget):
            return channel
        return await find_post(
            self._poster, self._line, errand, post, channel.channel_id, now_ms=self._wall_ms()
        )

    async def _channel(self, target: Target, errand: Errand) -> ChannelTarget | Failure:
        """Where the post goes; the direct channel with a user is asked for once and remembered."""
        match target:
            case ChannelTarget():
                return target
            case DirectTarget(user_id):
                known = self._ledger.direct_channel(user_id)
                if known is not None:
                    return ChannelTarget(known, PostId(""))
                me = await self._line.identity(errand)
                if not isinstance(me, str):
                    return me
                made = await errand.ask(lambda within_s: self._poster.direct_channel(me, user_id, within_s))
                if not isinstance(made, Ok):
                    # Whether it was made or not is no doubt to settle: asking again gives the same one.
                    return made
                self._ledger.keep_direct_channel(user_id, made.value)
                return ChannelTarget(made.value, PostId(""))
            case _:
                assert_never(target)

    def _wrote(self, post: Delivery, outcome: Outcome[Any]) -> None:
        """A create or an edit was answered, or was not."""
        post.pace = after_write(post.pace, self._loop.time(), self.throttle_s, self._settings.tick_s)
        post.cost_row = isinstance(outcome, Ok) or (
            isinstance(outcome, Unavailable) and outcome.may_have_happened
        )

    def _shows(self, post: Delivery, box: Box, text: str, counter: str) -> None:
        """The post has this text now: counts what that cost and saved; further lines may wait."""
        now_s, size = self._loop.time(), len(text.encode())
        self._counts.add(counter)
        self._counts.add("bytes_written", size)
        saved = max(0, post.plain.edits - 1)
        self._counts.add("edits_saved", saved)
        self._counts.add("bytes_saved", saved * size)
        post.plain = plain_after_write(post.plain, now_s)
        pause_s = interval_s(self.throttle_s, box.age_ms / 1000, self._open_boxes())
        post.pace = after_edit(post.pace, now_s, pause_s)
        self._setbacks.over(post, created=counter == "creates")
