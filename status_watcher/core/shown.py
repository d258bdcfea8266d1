"""A box on the board, and its name there."""

from dataclasses import dataclass

from status_watcher.core.forest import SessionRef
from status_watcher.core.tree import TurnView
from status_watcher.model import AgentId, BoxId, EntryId, SessionId, State, Target

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
    view: TurnView | None = None
    signature: tuple[object, ...] = ()
    bare_state: State = State.ACTIVE
    bare_elapsed_ms: int | None = None
    ended: bool = False
    tick: bool = False


def box_id_of(ref: SessionRef, turn_id: EntryId) -> BoxId:
    return BoxId(f"{ref[0]}/{ref[1]}/{turn_id}")


def parts_of(box_id: BoxId) -> tuple[SessionRef, EntryId] | None:
    """Session and turn of a box id; None for one that this version did not make."""
    parts = box_id.split("/", 2)  # agent and session name files, an entry's id may hold anything
    if len(parts) != 3:
        return None
    return (AgentId(parts[0]), SessionId(parts[1])), EntryId(parts[2])
