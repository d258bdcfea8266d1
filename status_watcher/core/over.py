"""Turns that need no box any more, and what would change that."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from status_watcher.core.forest import SessionRef
from status_watcher.core.tree import Forest, TurnView
from status_watcher.core.turn import Turn
from status_watcher.model import EntryId, SessionKey


@dataclass(frozen=True, slots=True)
class _Over:
    runs: int
    """How many runs the turn had then."""
    untraced: frozenset[SessionKey]
    """Its sub-agents of which there was no trace then."""


class OverTurns:
    """Which turns were found over, by session."""

    def __init__(self, forest: Forest) -> None:
        self._forest = forest
        self._turns: dict[SessionRef, dict[EntryId, _Over]] = {}

    def add(self, ref: SessionRef, view: TurnView) -> None:
        """The turn is over as it stands."""
        over = _Over(len(view.turn.runs), frozenset(_untraced(view)))
        self._turns.setdefault(ref, {})[view.turn.id] = over

    def has(self, ref: SessionRef, turn: Turn) -> bool:
        """Whether the turn is over still: it has not gone on since, nor got an answer that calls a tool, nor
        has one of its sub-agents turned up.
        """
        over = self._turns.get(ref, {}).get(turn.id)
        # A store can take runs back (2026.9.6).
        if over is None or turn.runs[min(over.runs, len(turn.runs)) - 1].ending is None:
            return False
        if any(run.has_calls for run in turn.runs[over.runs :]):
            return False
        return not any(
            self._forest.entry(ref[0], key) is not None or self._forest.session_of(ref[0], key) is not None
            for key in over.untraced
        )

    def keep_only(self, ref: SessionRef, turns: Collection[EntryId]) -> None:
        """Forget all other turns of a session."""
        if ref in self._turns:
            self._turns[ref] = {turn: over for turn, over in self._turns[ref].items() if turn in turns}

    def forget(self, ref: SessionRef) -> None:
        """Forget a session."""
        self._turns.pop(ref, None)


def _untraced(view: TurnView) -> Iterator[SessionKey]:
    for child in view.children.values():
        if not child.traced:
            yield child.key
        for below in child.turns:
            yield from _untraced(below)
