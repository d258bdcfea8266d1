"""All boxes on the board: which are open, which wait for a place, and which the publisher is to hear of."""

from collections.abc import Callable, Iterator
from itertools import islice

from status_watcher.core.forest import SessionRef
from status_watcher.core.outbox import Changes, Outbox
from status_watcher.core.places import Places
from status_watcher.core.shown import FIRST_TURN, Shown, box_id_of
from status_watcher.model import BoxId, EntryId, Target, Urgency

MOST_BOXES = 1_000
"""Beyond this many, ended boxes are forgotten, the oldest first; their posts stay as they are. Each holds its
turn, 11 kB with eight calls.
"""


class Boxes:
    """Boxes by id, in the order of their making."""

    def __init__(self, most_open: int) -> None:
        self._boxes: dict[BoxId, Shown] = {}
        self._places = Places(most_open)
        self._outbox = Outbox()
        self._stirred: set[BoxId] = set()
        self._most = MOST_BOXES
        self.is_owed: Callable[[BoxId], bool] = _never
        """Whether the server still has to be given the box's newest text: none such is forgotten."""

    def __contains__(self, box_id: BoxId) -> bool:
        return box_id in self._boxes

    def __getitem__(self, box_id: BoxId) -> Shown:
        return self._boxes[box_id]

    def get(self, box_id: BoxId) -> Shown | None:
        return self._boxes.get(box_id)

    @property
    def open(self) -> int:
        """How many are open and have a place."""
        return self._places.open

    @property
    def waiting(self) -> int:
        """How many are open and wait for a place."""
        return self._places.waiting

    def has_place(self, box_id: BoxId) -> bool:
        """Whether the box may have a post."""
        return self._places.has(box_id)

    def is_open(self, ref: SessionRef, turn_id: EntryId) -> bool:
        """Whether that turn has a box, and the box is open."""
        shown = self._boxes.get(box_id_of(ref, turn_id))
        return shown is not None and not shown.ended

    def add(
        self,
        ref: SessionRef,
        turn_id: EntryId,
        target: Target,
        name: str,
        start_ms: int,
        now_ms: int,
        *,
        made_ms: int | None = None,
        began_untold: bool = False,
    ) -> Shown:
        """A new box, which asks for a place; `made_ms` is when an earlier run made it."""
        box_id = box_id_of(ref, turn_id)
        made_ms = now_ms if made_ms is None else made_ms
        untold = began_untold or turn_id == FIRST_TURN
        shown = Shown(box_id, ref, turn_id, target, name, start_ms, now_ms, made_ms, began_untold=untold)
        shown.bare_elapsed_ms = max(0, now_ms - start_ms)
        self._boxes[box_id] = shown
        self._places.join(box_id)
        self._stirred.add(box_id)
        return shown

    def name_for_turn(self, shown: Shown, turn_id: EntryId, start_ms: int) -> None:
        """A box made for a session's first turn is known to be this turn's; `renamed` tells the publisher."""
        box_id = box_id_of(shown.ref, turn_id)
        del self._boxes[shown.box_id]
        self._places.rename(shown.box_id, box_id)
        shown.box_id, shown.turn_id, shown.start_ms = box_id, turn_id, start_ms
        self._boxes[box_id] = shown
        self._stirred.add(box_id)

    def renamed(self, old: BoxId, new: BoxId) -> None:
        """The post of `old` is that of `new` from now on."""
        self._outbox.rename(old, new)

    def withdraw(self, box_id: BoxId) -> None:
        """There was nothing to show."""
        del self._boxes[box_id]
        self._places.leave(box_id)
        self._stirred.add(box_id)
        self._outbox.withdraw(box_id)

    def set_ended(self, shown: Shown, *, ended: bool) -> None:
        """Its turn has ended, or goes on."""
        shown.ended = ended
        self._stirred.add(shown.box_id)
        self._places.set_open(shown.box_id, is_open=not ended)

    def set_hidden(self, box_id: BoxId, *, hidden: bool) -> None:
        """Nobody can see the box, or people can again: it gives its place away, or counts again."""
        if self._places.set_hidden(box_id, hidden=hidden):
            self.let_in()

    def touch(self, shown: Shown, urgency: Urgency) -> None:
        """It may read differently now, by a change that is worth so much."""
        if self._places.has(shown.box_id):
            self._outbox.touch(shown.box_id, Urgency.END if shown.ended else urgency)

    def take_stirred(self) -> set[BoxId]:
        """The boxes that have come, gone or changed since the last call."""
        stirred, self._stirred = self._stirred, set()
        return stirred

    def newest(self, most_ended: int) -> list[Shown]:
        """The newest box of each session: all that are open, then the last that ended."""
        newest: dict[SessionRef, Shown] = {}
        for shown in reversed(self._boxes.values()):
            newest.setdefault(shown.ref, shown)
        ended = [shown for shown in newest.values() if shown.ended]
        return [shown for shown in newest.values() if not shown.ended] + ended[:most_ended]

    def open_ones(self) -> list[Shown]:
        """Those whose turns have not ended."""
        return [shown for shown in self._boxes.values() if not shown.ended]

    def touch_open(self, now_ms: int) -> None:
        """Every open box reads differently now."""
        for shown in self.open_ones():
            shown.as_of_ms = now_ms
            self._stirred.add(shown.box_id)
            self.touch(shown, Urgency.STATE)

    def let_in(self) -> None:
        """Give free places to boxes that wait."""
        for box_id in self._places.let_in():
            self.touch(self._boxes[box_id], Urgency.STATE)

    def take_changes(self) -> Changes:
        """What the publisher has not heard of yet."""
        return self._outbox.take()

    def forget_surplus(self) -> Iterator[Shown]:
        """Drop the oldest that have ended, and nothing of which is to be told, where there are too many.

        In an outage there may be more of them than are remembered otherwise.
        """
        if len(self._boxes) <= self._most:
            return
        surplus = len(self._boxes) - MOST_BOXES
        old = (b for b in self._boxes.values() if b.ended and b.box_id not in self._outbox)
        for shown in list(islice((b for b in old if not self.is_owed(b.box_id)), surplus)):
            del self._boxes[shown.box_id]
            self._places.leave(shown.box_id)
            yield shown
        # Where most boxes are open, not each further one is worth another look at all.
        self._most = max(MOST_BOXES, len(self._boxes) + MOST_BOXES // 10)


def _never(_: BoxId) -> bool:
    return False
