"""Tells of a stall once per turn by a reply in the thread of its box, where the operator wants that.

A reply is one more box to the publisher, with a text that does not change: so it is made once, also across a
crash, and found again after a restart.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Final, Protocol

from status_watcher.core.post import BoxRecord
from status_watcher.model import Box, BoxId, ChannelId, ChannelTarget, PostId, State, Urgency, UserId

SUFFIX: Final = "~stalled"
"""Of a reply's id, behind that of the box; no entry of a transcript has one with a tilde."""
_AGAIN_S: Final = 1.0
"""How often it is tried whether the box has its post."""


class Boxes(Protocol):
    """The boxes themselves; the shelf."""

    def render(self, box_id: BoxId) -> Box | None: ...
    def limit_chars(self, max_chars: int) -> None: ...


class Outlet(Protocol):
    """Where changes to boxes go; the publisher."""

    def touch(self, box_id: BoxId, urgency: Urgency) -> None: ...
    def withdraw(self, box_id: BoxId) -> None: ...
    def rename(self, old: BoxId, new: BoxId) -> None: ...
    def post_of(self, box_id: BoxId) -> PostId | None: ...


class StallNotices:
    """Stands between the board's boxes and the publisher, on both ways; made before the publisher.

    `notify` is "" for no replies at all, "on", or the name of a user who is mentioned.
    """

    def __init__(
        self, boxes: Boxes, notify: str, direct_channel: Callable[[UserId], ChannelId | None]
    ) -> None:
        self._boxes = boxes
        self._notify = notify
        self._direct_channel = direct_channel
        self._outlet: Outlet | None = None
        self._told: dict[BoxId, Box] = {}
        self._known: set[BoxId] = set()
        """Replies of earlier runs, and those that were made."""
        self._waiting: set[BoxId] = set()
        """Boxes that are looked at again because they had no post."""

    def restore(self, records: Iterable[BoxRecord]) -> tuple[BoxRecord, ...]:
        """Remember the replies of an earlier run; returns the records of boxes proper."""
        records = tuple(records)
        replies = [record for record in records if is_notice(record.box_id)]
        self._known = {record.box_id for record in replies if record.post_id is not None}
        return tuple(record for record in records if not is_notice(record.box_id))

    def deliver_to(self, outlet: Outlet) -> None:
        """The publisher that asks us for boxes."""
        self._outlet = outlet

    # As the publisher sees it

    def render(self, box_id: BoxId) -> Box | None:
        return self._told.get(box_id) if is_notice(box_id) else self._boxes.render(box_id)

    def limit_chars(self, max_chars: int) -> None:
        self._boxes.limit_chars(max_chars)

    # As the board's changes see it

    def touch(self, box_id: BoxId, urgency: Urgency) -> None:
        outlet = self._required()
        outlet.touch(box_id, urgency)
        if self._notify and urgency is Urgency.STATE:
            self._look(box_id)

    def withdraw(self, box_id: BoxId) -> None:
        self._required().withdraw(box_id)

    def rename(self, old: BoxId, new: BoxId) -> None:
        if _notice_of(old) in self._known:
            self._known.add(_notice_of(new))
        self._required().rename(old, new)

    def _look(self, box_id: BoxId) -> None:
        """Tell of the box if it has stalled and that was not told yet; wait for its post if need be."""
        outlet, notice = self._required(), _notice_of(box_id)
        if notice in self._known:
            return
        box = self._boxes.render(box_id)
        if box is None or box.ended or not box.text.startswith(f"[{State.STALLED}]"):
            return
        target = self._thread_of(box, outlet.post_of(box_id))
        if target is None:
            if box_id not in self._waiting:
                self._waiting.add(box_id)
                asyncio.get_running_loop().call_later(_AGAIN_S, self._look_again, box_id)
            return
        self._known.add(notice)
        self._told[notice] = Box(target, self._text(box), ended=True)
        outlet.touch(notice, Urgency.END)

    def _look_again(self, box_id: BoxId) -> None:
        self._waiting.discard(box_id)
        self._look(box_id)

    def _thread_of(self, box: Box, post: PostId | None) -> ChannelTarget | None:
        if post is None:
            return None
        if isinstance(box.target, ChannelTarget):
            return ChannelTarget(box.target.channel_id, box.target.root_id or post)
        channel = self._direct_channel(box.target.user_id)
        return None if channel is None else ChannelTarget(channel, post)

    def _text(self, box: Box) -> str:
        first = box.text.partition("\n")[0]
        return first if self._notify == "on" else f"@{self._notify} {first}"

    def _required(self) -> Outlet:
        if self._outlet is None:
            raise RuntimeError("notices are used before there is a publisher")
        return self._outlet


def is_notice(box_id: BoxId) -> bool:
    """Whether this is the id of a reply, not of a box."""
    return box_id.endswith(SUFFIX)


def _notice_of(box_id: BoxId) -> BoxId:
    return BoxId(box_id + SUFFIX)
