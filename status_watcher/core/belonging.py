"""Which of a session's turns a line is about: by the child that it names, or the call that it answers."""

from collections.abc import Sequence

from status_watcher.core.prompts import Announcement
from status_watcher.core.turn import Call, Run, Turn
from status_watcher.model import SessionKey, ToolCallId


def spawner(turns: Sequence[Turn], report: Announcement) -> Turn | None:
    """The turn that started the child: by its key, else (2026.2.26) by its label, which may be used again."""
    if report.key is not None:
        return spawner_of(turns, report.key)
    named = [t for t in present(turns) if any(c.child_label == report.label for c in t.spawned)]
    untold = [t for t in named if all(a.report.label != report.label for a in t.announced)]
    return next(iter(untold or named), None)


def spawner_of(turns: Sequence[Turn], child: SessionKey) -> Turn | None:
    """The turn that started the child with this key."""
    return next((t for t in present(turns) if any(c.child == child for c in t.spawned)), None)


def newest_with_children(turns: Sequence[Turn]) -> Turn | None:
    """The newest turn that started sub-agents."""
    return next((t for t in present(turns) if any(run.spawned for run in t.runs)), None)


def started_by(turns: Sequence[Turn]) -> set[SessionKey]:
    """The sub-agents that these turns started."""
    return {call.child for turn in turns for call in turn.spawned if call.child is not None}


def open_call(turns: Sequence[Turn], call_id: ToolCallId) -> tuple[Turn, Run, Call] | None:
    """The newest call with this id that has no result yet."""
    for turn in reversed(turns):
        for run in reversed(turn.runs):
            call = run.open_calls.get(call_id)
            if call is not None and not turn.departed:
                return turn, run, call
    return None


def answered_call(run: Run, call_id: ToolCallId) -> Call | None:
    """The newest call of a run with this id, whether it has a result or not."""
    return next((i for i in reversed(run.items) if isinstance(i, Call) and i.id == call_id), None)


def present(turns: Sequence[Turn]) -> list[Turn]:
    """The turns of the active branch, the newest first."""
    return [turn for turn in reversed(turns) if not turn.departed]
