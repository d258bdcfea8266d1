"""Tells of a stall once per turn by a reply in the thread of its box, where the operator wants that, and says
in the same reply when the stall is over.

A reply is one more box to the publisher, which has two texts in its life: so it is made once, also across a
crash, is found again after a restart, and is paid for like any other. It is open, for the ledger as well, as
long as its stall.
"""

import asyncio
import re
import time
from collections.abc import Callable, Iterable
from typing import Final, Protocol

from status_watcher.core.post import BoxRecord
from status_watcher.core.render import span
from status_watcher.model import Box, BoxId, ChannelTarget, Making, State, Target, Urgency

SUFFIX: Final = "~stalled"
"""Of a reply's id, behind that of the box; no entry of a transcript has one with a tilde."""
_AGAIN_S: Final = 1.0
"""How often it is tried whether the box has its post."""
SURE_S: Final = 2.0
"""How long a box must have gone on: what a restart finds first need not be all there is."""
_FIRST_LINE: Final = re.compile(r"\[([A-Z]+)\] (.*?)(?: \| .*)?")
_GOES_ON: Final = {State.WAITING: "Waiting", State.RETRYING: "Retrying"}


class Boxes(Protocol):
    """The boxes themselves; the shelf."""

    def render(self, box_id: BoxId) -> Box | None: ...
    def limit_chars(self, max_chars: int) -> None: ...


class Outlet(Protocol):
    """Where changes to boxes go; the publisher."""

    def touch(self, box_id: BoxId, urgency: Urgency) -> None: ...
    def withdraw(self, box_id: BoxId) -> None: ...
    def rename(self, old: BoxId, new: BoxId) -> None: ...
    def thread_below(self, box_id: BoxId) -> ChannelTarget | None: ...


class StallNotices:
    """Stands between the board's boxes and the publisher, on both ways; made before the publisher.

    `notify` is "" for no replies at all, "on", or the name of a user who is mentioned: only when the stall is
    told, not when it is over.
    """

    def __init__(
        self,
        boxes: Boxes,
        notify: str,
        *,
        wall_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        sure_s: float = SURE_S,
    ) -> None:
        self._boxes = boxes
        self._notify = notify
        self._wall_ms = wall_ms
        self._sure_s = sure_s
        self._outlet: Outlet | None = None
        self._told: dict[BoxId, Box] = {}
        self._known: set[BoxId] = set()
        """Replies of earlier runs, and those that were made."""
        self._open_since_ms: dict[BoxId, int] = {}
        """Replies, made or perhaps made, whose stalls are not known to be over; and when they were told."""
        self._waiting: set[BoxId] = set()
        """Boxes that are looked at again because they had no post."""
        self._going_on: set[BoxId] = set()
        """Boxes that are looked at again because they seemed to go on."""

    def restore(self, records: Iterable[BoxRecord]) -> tuple[BoxRecord, ...]:
        """Remember the replies of an earlier run; returns the records of boxes proper.

        Where the box has ended, or is followed no longer, nobody else will bring the reply up to date.
        """
        records = tuple(records)
        proper = {record.box_id: record for record in records if not is_notice(record.box_id)}
        for record in records:
            if not is_notice(record.box_id) or record.gone:
                continue
            if record.post_id is not None:
                self._known.add(record.box_id)
            if not record.ended:
                self._open_since_ms[record.box_id] = record.intent_at_ms
                box = proper.get(_box_of(record.box_id))
                if box is None:
                    self._close(record.box_id, record.target, "Stalled, and followed no longer")
                elif box.ended:
                    self._close(record.box_id, record.target, "Ended after a stall")
        return tuple(proper.values())

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
        self._required().touch(box_id, urgency)
        if urgency >= Urgency.STATE:
            self._look(box_id)

    def withdraw(self, box_id: BoxId) -> None:
        notice = _notice_of(box_id)
        if self._open_since_ms.pop(notice, None) is not None:
            self._told.pop(notice, None)
            self._required().withdraw(notice)
        self._required().withdraw(box_id)

    def rename(self, old: BoxId, new: BoxId) -> None:
        was, now = _notice_of(old), _notice_of(new)
        if was in self._known:
            self._known.add(now)
        if was in self._told:
            self._told[now] = self._told.pop(was)
        if was in self._open_since_ms:
            self._open_since_ms[now] = self._open_since_ms.pop(was)
        self._required().rename(was, now)
        self._required().rename(old, new)

    def _look(self, box_id: BoxId, *, surely: bool = False) -> None:
        """Tell of the box if it has stalled, once; if it has not any more, say so where it was told."""
        notice = _notice_of(box_id)
        if not self._notify and notice not in self._open_since_ms:
            return
        box = self._boxes.render(box_id)
        if box is None:
            return
        if box.text.startswith(f"[{State.STALLED}]") and not box.ended:
            self._tell(box_id, notice, box)
        elif notice not in self._open_since_ms:
            return
        elif box.ended or surely:
            self._say_over(notice, box)
        elif box_id not in self._going_on:
            self._going_on.add(box_id)
            asyncio.get_running_loop().call_later(self._sure_s, self._look_surely, box_id)

    def _tell(self, box_id: BoxId, notice: BoxId, box: Box) -> None:
        if notice in self._known or not self._notify:
            return
        target = self._required().thread_below(box_id)
        if target is None:
            if box_id not in self._waiting:
                self._waiting.add(box_id)
                asyncio.get_running_loop().call_later(_AGAIN_S, self._look_again, box_id)
            return
        self._known.add(notice)
        self._open_since_ms.setdefault(notice, self._wall_ms())
        first = box.text.partition("\n")[0]
        text = first if self._notify == "on" else f"@{self._notify} {first}"
        self._told[notice] = Box(target, text, ended=False, making=Making.IN_THREAD)
        self._required().touch(notice, Urgency.STATE)

    def _say_over(self, notice: BoxId, box: Box) -> None:
        found = _FIRST_LINE.fullmatch(box.text.partition("\n")[0])
        if found is None:
            return
        word, name = found[1], found[2]
        if word == State.INTERRUPTED and not box.ended:
            return  # our own stop, of which the stall knows nothing
        how = f"Ended [{word}]" if box.ended else _GOES_ON.get(State(word), "Working again")
        lasted = span(self._wall_ms() - self._open_since_ms[notice])
        self._close(notice, box.target, f"{how} after a stall of {lasted}: {name}")

    def _close(self, notice: BoxId, target: Target, text: str) -> None:
        """Where the reply was never made, it need not be any more."""
        del self._open_since_ms[notice]
        self._told[notice] = Box(target, text, ended=True, making=Making.NEVER)
        self._required().touch(notice, Urgency.END)

    def _look_again(self, box_id: BoxId) -> None:
        self._waiting.discard(box_id)
        self._look(box_id)

    def _look_surely(self, box_id: BoxId) -> None:
        self._going_on.discard(box_id)
        self._look(box_id, surely=True)

    def _required(self) -> Outlet:
        if self._outlet is None:
            raise RuntimeError("notices are used before there is a publisher")
        return self._outlet


def is_notice(box_id: BoxId) -> bool:
    """Whether this is the id of a reply, not of a box."""
    return box_id.endswith(SUFFIX)


def _notice_of(box_id: BoxId) -> BoxId:
    return BoxId(box_id + SUFFIX)


def _box_of(notice: BoxId) -> BoxId:
    return BoxId(notice.removesuffix(SUFFIX))
