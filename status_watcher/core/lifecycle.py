"""What happens to sessions, told from how their turns stand, each thing once.

A turn that an earlier run of the daemon had begun to show is not begun again, nor is one without a box of its
own that began before this run: nothing remembers what was told of that. One that went on after its end (a
time-out, a late answer with tools) is begun a second time. What happened to a turn waits a little for the
post that shows it, so that it can be linked to.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final, assert_never

from status_watcher.core.post import BoxRecord
from status_watcher.core.shown import FIRST_TURN, box_id_of, parts_of
from status_watcher.core.snapshot import Snapshot
from status_watcher.model import BoxId, PostId, State

POST_WAIT_MS: Final = 5_000
"""How long what happened waits for the post."""
MOST_REMEMBERED: Final = 8_000
"""Turns that are remembered, twice as many as there are boxes."""


class Happening(StrEnum):
    """What is told of a session's turn."""

    STARTED = "session.started"
    FINISHED = "session.finished"
    STALLED = "session.stalled"
    FAILED = "session.failed"
    INTERRUPTED = "session.interrupted"


@dataclass(frozen=True, slots=True)
class Event:
    """One happening, with how the turn stood then."""

    what: Happening
    turn: BoxId
    """The same for all that happens to one turn in one run of the daemon."""
    snapshot: Snapshot
    post: PostId | None = None


@dataclass(slots=True)
class _Known:
    turn: BoxId
    open: bool
    stalled: bool = False
    snapshot: Snapshot | None = None
    """How it stood last; None for one of an earlier run that is not on the board yet."""
    held: list[Event] = field(default_factory=list)
    held_since_ms: int = 0

    @property
    def shown_in(self) -> BoxId | None:
        """The box of which it waits for the post; None if there is none."""
        snapshot = self.snapshot
        return snapshot.shown_in if snapshot is not None and snapshot.boxed else None


class Lifecycle:
    """Remembers what was told of each turn."""

    def __init__(self) -> None:
        self._known: dict[BoxId, _Known] = {}
        self._holding: dict[BoxId, None] = {}
        """Turns of which something waits for a post, the one that began to wait first coming first."""

    def restore(self, records: Iterable[BoxRecord]) -> None:
        """The boxes of an earlier run: their beginning has been told, and of the ended ones their end."""
        for record in records:
            self._known[record.box_id] = _Known(record.box_id, open=not record.ended)

    def look(
        self,
        stirred: Iterable[tuple[BoxId, Snapshot | None]],
        post_of: Callable[[BoxId], PostId | None],
        now_ms: int,
    ) -> list[Event]:
        """What has happened since the last look, in the order of the turns.

        `stirred`: the turns that may stand differently now, None for one that is on the board no more.
        """
        present = []
        departed = []
        for box_id, snapshot in stirred:
            if snapshot is not None:
                present.append(snapshot)
            else:
                departed.append(box_id)
        for snapshot in present:
            self._take_over_first(snapshot)
        for snapshot in present:
            self._compare(snapshot, now_ms)
        for box_id in departed:
            self._depart(box_id, now_ms)
        return self._release(post_of, now_ms)

    def release_all(self, post_of: Callable[[BoxId], PostId | None]) -> list[Event]:
        """What still waits for a post, at the end."""
        return self._release(post_of, None)

    def _take_over_first(self, snapshot: Snapshot) -> None:
        """The box of a session's first turn, made before there was a transcript, is called otherwise now."""
        if snapshot.box_id in self._known:
            return
        parts = parts_of(snapshot.box_id)
        if parts is None or parts[1] == FIRST_TURN:
            return
        first = box_id_of(parts[0], FIRST_TURN)
        known = self._known.get(first)
        if known is None or not known.open:
            return
        self._known[snapshot.box_id] = self._known.pop(first)
        if first in self._holding:
            del self._holding[first]
            self._holding[snapshot.box_id] = None

    def _compare(self, snapshot: Snapshot, now_ms: int) -> None:
        standing, known = snapshot.standing, self._known.get(snapshot.box_id)
        if known is None:
            self._forget_surplus()
            known = self._known[snapshot.box_id] = _Known(snapshot.box_id, open=False)
            if not snapshot.unremembered:
                self._tell(Happening.STARTED, known, snapshot, now_ms)
            known.open = not (snapshot.unremembered and standing.ended)
        elif not known.open and not standing.ended and standing.state is not State.INTERRUPTED:
            self._tell(Happening.STARTED, known, snapshot, now_ms)
            known.open, known.stalled = True, False
        known.snapshot = snapshot
        if not known.open:
            return
        stalled = standing.state is State.STALLED
        if stalled and not known.stalled:
            self._tell(Happening.STALLED, known, snapshot, now_ms)
        known.stalled = stalled
        if standing.ended or standing.state is State.INTERRUPTED:
            self._tell(_ending(standing.state), known, snapshot, now_ms)
            known.open = False

    def _depart(self, box_id: BoxId, now_ms: int) -> None:
        """It proved to be nothing that anybody is to see, or has found the parent that shows it."""
        known = self._known.pop(box_id, None)
        self._holding.pop(box_id, None)
        if known is None or not known.open or known.snapshot is None:
            return
        if known.held:  # nobody has heard of it
            return
        gone = replace(
            known.snapshot, standing=replace(known.snapshot.standing, state=State.DONE, ended=True)
        )
        known.open = False
        self._known[box_id] = known
        self._tell(Happening.FINISHED, known, gone, now_ms)

    def _tell(self, what: Happening, known: _Known, snapshot: Snapshot, now_ms: int) -> None:
        if not known.held:
            known.held_since_ms = now_ms
        known.held.append(Event(what, known.turn, snapshot))
        self._holding[snapshot.box_id] = None

    def _release(self, post_of: Callable[[BoxId], PostId | None], now_ms: int | None) -> list[Event]:
        told: list[Event] = []
        for box_id in sorted(self._holding, key=lambda b: self._known[b].held_since_ms):
            known = self._known[box_id]
            shown_in = known.shown_in
            post = post_of(shown_in) if shown_in is not None else None
            waits = shown_in is not None and post is None and now_ms is not None
            if waits and now_ms is not None and now_ms < known.held_since_ms + POST_WAIT_MS:
                continue
            told += (replace(event, post=post) for event in known.held)
            known.held = []
            del self._holding[box_id]
        return told

    def _forget_surplus(self) -> None:
        if len(self._known) < MOST_REMEMBERED:
            return
        over = [b for b, known in self._known.items() if not known.open and not known.held]
        for box_id in over[: MOST_REMEMBERED // 4]:
            del self._known[box_id]


def _ending(state: State) -> Happening:
    match state:
        case State.ERROR | State.TIMEOUT:
            return Happening.FAILED
        case State.ABORTED | State.INTERRUPTED:
            return Happening.INTERRUPTED
        case State.DONE | State.ACTIVE | State.WAITING | State.STALLED | State.RETRYING:
            return Happening.FINISHED
        case _:
            assert_never(state)
