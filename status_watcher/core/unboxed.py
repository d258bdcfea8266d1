"""Turns that have no box: too short, quiet by the operator's rules, or with no place for one."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

from status_watcher.core.forest import SessionRef
from status_watcher.core.shown import FIRST_TURN, box_id_of
from status_watcher.core.tree import TurnView
from status_watcher.core.verdict import Verdict
from status_watcher.model import BoxId, EntryId, SessionKey

MOST_ENDED: Final = 1_000
"""Ended turns that are remembered."""


@dataclass(slots=True)
class Unboxed:
    """How such a turn stood when it was looked at last; `view` is None while only the store tells of it."""

    ref: SessionRef
    turn_id: EntryId
    key: SessionKey | None
    start_ms: int
    verdict: Verdict
    view: TurnView | None
    told: bool
    """Only the place is missing: listeners hear of it as of one with a box."""

    @property
    def box_id(self) -> BoxId:
        """The id that its box would have."""
        return box_id_of(self.ref, self.turn_id)

    @property
    def ended(self) -> bool:
        return self.verdict.ended_ms is not None


class UnboxedTurns:
    """By session and turn; of those that have ended only so many."""

    def __init__(self, most_ended: int = MOST_ENDED) -> None:
        self._turns: dict[SessionRef, dict[EntryId, Unboxed]] = {}
        self._ended: dict[BoxId, Unboxed] = {}
        """In the order of their ends."""
        self._most_ended = most_ended
        self._stirred: set[tuple[SessionRef, EntryId]] = set()

    def __contains__(self, ref: SessionRef) -> bool:
        """Whether any turn of the session is known here."""
        return ref in self._turns

    def get(self, ref: SessionRef, turn_id: EntryId) -> Unboxed | None:
        return self._turns.get(ref, {}).get(turn_id)

    def is_open(self, ref: SessionRef, turn_id: EntryId) -> bool:
        """Whether the turn is known here, and open."""
        turn = self.get(ref, turn_id)
        return turn is not None and not turn.ended

    def note(self, turn: Unboxed) -> None:
        """Take over how a turn stands now; listeners that were told of it are told what becomes of it."""
        before = self.get(turn.ref, turn.turn_id)
        turn.told = turn.told or (before is not None and before.told)
        turn.key = turn.key or (before.key if before is not None else None)
        self._turns.setdefault(turn.ref, {})[turn.turn_id] = turn
        if turn.told and (before is None or not before.told or _signature(before) != _signature(turn)):
            self._stirred.add((turn.ref, turn.turn_id))
        if turn.ended:
            self._ended[turn.box_id] = turn
        else:
            self._ended.pop(turn.box_id, None)
        while len(self._ended) > self._most_ended:
            oldest = self._ended[next(iter(self._ended))]
            self._remove(oldest)

    def drop(self, ref: SessionRef, turn_id: EntryId) -> None:
        """It has got a box, or was nothing that anybody wants to know of."""
        turn = self.get(ref, turn_id)
        if turn is not None:
            if turn.told:
                self._stirred.add((turn.ref, turn.turn_id))
            self._remove(turn)

    def name_first(self, ref: SessionRef, turn_id: EntryId) -> None:
        """What only the store told of, if anything, is known to be this turn."""
        turn = self.get(ref, FIRST_TURN)
        if turn is not None:
            self.drop(ref, FIRST_TURN)
            if not turn.ended:
                turn.turn_id = turn_id
                self.note(turn)

    def keep_only(self, ref: SessionRef, turns: Collection[EntryId]) -> None:
        """Nobody will hear of other open turns of the session again."""
        for turn in list(self._turns.get(ref, {}).values()):
            if not turn.ended and turn.turn_id not in turns:
                self.drop(ref, turn.turn_id)

    def touch_open(self) -> None:
        """Every open turn stands differently now."""
        self._stirred |= {(turn.ref, turn.turn_id) for turn in self.open_ones() if turn.told}

    def take_stirred(self) -> set[tuple[SessionRef, EntryId]]:
        """Those of which listeners are to be told, that have come, gone or changed since the last call."""
        stirred, self._stirred = self._stirred, set()
        return stirred

    def newest(self) -> list[Unboxed]:
        """The newest turn of each session."""
        return [max(turns.values(), key=lambda one: one.start_ms) for turns in self._turns.values()]

    def open_ones(self) -> list[Unboxed]:
        """Those that have not ended."""
        return [turn for turns in self._turns.values() for turn in turns.values() if not turn.ended]

    def _remove(self, turn: Unboxed) -> None:
        self._ended.pop(turn.box_id, None)
        turns = self._turns[turn.ref]
        del turns[turn.turn_id]
        if not turns:
            del self._turns[turn.ref]


def _signature(turn: Unboxed) -> tuple[object, ...]:
    """What listeners may have to hear of: its state, and those of its sub-agents."""
    below = _states(turn.view) if turn.view is not None else ()
    return turn.verdict.state, turn.ended, *below


def _states(view: TurnView) -> Iterator[object]:
    for child in view.children.values():
        yield child.key, child.verdict.state, child.verdict.ended_ms is None
        for below in child.turns:
            yield from _states(below)
