"""Which turns are worth a box, and when elapsed time alone is worth an edit."""

from status_watcher.core.tree import TurnView
from status_watcher.core.turn import Nature
from status_watcher.core.verdict import Rules
from status_watcher.model import State


def is_noise(view: TurnView, *, heartbeats: bool) -> bool:
    """Nothing that anyone wants to read; an error is never noise.

    `heartbeats`: the session is there for nothing else.
    """
    turn, verdict = view.turn, view.verdict
    if verdict.state is State.ERROR and turn.nature is not Nature.COMMAND:
        return False
    if heartbeats or turn.nature is not Nature.WORK:
        return True
    return verdict.ended_ms is not None and not _calls(view) and view.runs[-1].silent


def ended_before_us(view: TurnView, rules: Rules) -> bool:
    """The turn is over, and its last line is from before this run of the daemon."""
    return view.verdict.ended_ms is not None and view.seen_ms <= rules.run_started_ms


def deserves_box(view: TurnView, now_ms: int, rules: Rules, *, noise: bool) -> bool:
    """Whether a turn that has no box yet gets one now; a turn that may only later is asked about again."""
    turn, verdict = view.turn, view.verdict
    if noise or ended_before_us(view, rules):
        return False
    if verdict.state is State.ERROR:
        return True
    end_ms = now_ms if verdict.ended_ms is None else verdict.ended_ms
    return _calls(view) or end_ms - turn.start_ms >= rules.quick_ms


def next_tick_ms(start_ms: int, as_of_ms: int) -> int:
    """When elapsed time alone is worth an edit: every 10 s in the first minute, then half-minutes, then
    minutes.
    """
    age_ms = as_of_ms - start_ms
    if age_ms < 60_000:
        return as_of_ms + 10_000
    return as_of_ms + (30_000 if age_ms < 600_000 else 60_000)


def _calls(view: TurnView) -> bool:
    return any(run.has_calls for run in view.runs)
