"""A box on the board, and its name there."""

from dataclasses import dataclass

from status_watcher.core.forest import SessionRef
from status_watcher.core.policy import Level
from status_watcher.core.states import Doing
from status_watcher.core.tree import TurnView
from status_watcher.core.worth import Tidings
from status_watcher.model import AgentId, BoxId, EntryId, SessionId, SessionKey, State, Target

FIRST_TURN = EntryId("~first")
"""Stands for the turn of a session whose transcript is not on disk yet."""


@dataclass(slots=True)
class Shown:
    """One box; `view` is None while, or if, there is no transcript to show."""

    box_id: BoxId
    ref: SessionRef
    turn_id: EntryId
    target: Target
    name: str
    start_ms: int
    as_of_ms: int
    made_ms: int
    """When it was put on the board, in this run of the daemon or an earlier one."""
    began_untold: bool
    """It was made before there was a transcript, so it may yet prove to be noise."""
    key: SessionKey | None = None
    """That the store had for the session last; None if it never had one."""
    level: Level = Level.NORMAL
    link: str = ""
    """To the issue that the session is about, as Markdown of ours."""
    view: TurnView | None = None
    signature: tuple[object, ...] = ()
    tidings: Tidings | None = None
    """Those that its text has; None before there was a view."""
    bare_state: State = State.ACTIVE
    bare_elapsed_ms: int | None = None
    bare_doing: Doing | None = None
    given_up: bool = False
    """Made in an earlier run, and its turn was not found in this one: while `view` is None, its post keeps
    what it says.
    """
    ended: bool = False

    def signature_of(self, view: TurnView) -> tuple[object, ...]:
        """What makes the box read differently, but for time: the first line alone says nothing of what the
        agent does from call to call.
        """
        verdict = view.verdict
        if self.level is Level.COMPACT and verdict.state is State.ACTIVE:
            return verdict.state, view.runs[-1].tries
        return view.revision, verdict.state, verdict.ended_ms, verdict.doing


def box_id_of(ref: SessionRef, turn_id: EntryId) -> BoxId:
    return BoxId(f"{ref[0]}/{ref[1]}/{turn_id}")


def parts_of(box_id: BoxId) -> tuple[SessionRef, EntryId] | None:
    """Session and turn of a box id; None for one that this version did not make."""
    parts = box_id.split("/", 2)  # agent and session name files, an entry's id may hold anything
    if len(parts) != 3:
        return None
    return (AgentId(parts[0]), SessionId(parts[1])), EntryId(parts[2])
