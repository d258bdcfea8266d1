"""Which turns are worth a box, and what its changes are worth."""

from dataclasses import dataclass

from status_watcher.core.tree import TurnView
from status_watcher.core.turn import Ending, Nature
from status_watcher.core.verdict import Rules
from status_watcher.model import State, Urgency


@dataclass(frozen=True, slots=True)
class Tidings:
    """What in a box somebody may be waiting for: `events` counts failures and ended sub-agents."""

    state: State
    events: int


def is_noise(view: TurnView, *, heartbeats: bool) -> bool:
    """Nothing that anyone wants to read; an error is never noise.

    `heartbeats`: the session is there for nothing else.
    """
    turn, verdict = view.turn, view.verdict
    if verdict.state is State.ERROR and turn.nature is not Nature.COMMAND:
        return False
    if heartbeats or turn.nature is not Nature.WORK:
        return True
    if not (turn.prompted or turn.head_missing or _calls(view)):
        return True  # an announcement that made nobody work
    return verdict.ended_ms is not None and not _calls(view) and view.runs[-1].silent


def ended_before_us(view: TurnView, rules: Rules) -> bool:
    """The turn is over, and its last line is from before this run of the daemon."""
    return view.verdict.ended_ms is not None and view.seen_ms <= rules.run_started_ms


def deserves_box(view: TurnView, now_ms: int, rules: Rules, *, noise: bool, overtaken: bool = False) -> bool:
    """Whether a turn that has no box yet gets one now; a turn that may only later is asked about again.

    `overtaken`: another turn has begun, so an error need not settle to be worth one: its box is to stand
    above that turn's.
    """
    turn, verdict = view.turn, view.verdict
    if noise or ended_before_us(view, rules):
        return False
    if verdict.state is State.ERROR or (overtaken and verdict.state is State.RETRYING):
        return True
    end_ms = now_ms if verdict.ended_ms is None else verdict.ended_ms
    return _calls(view) or end_ms - turn.start_ms >= rules.quick_ms


def worth_of(before: Tidings | None, view: TurnView) -> tuple[Urgency, Tidings]:
    """What a box is worth that shows this now and showed something else before; and its tidings now."""
    now = Tidings(view.verdict.state, _events(view))
    if view.verdict.ended_ms is not None:
        return Urgency.END, now
    if before is None or before.state is not now.state:
        return Urgency.STATE, now
    return (Urgency.LINES if before.events == now.events else Urgency.EVENT), now


def next_tick_ms(start_ms: int, as_of_ms: int) -> int:
    """When elapsed time alone is worth an edit: every 15 s in the first minute, then half-minutes up to five
    minutes, minutes up to an hour, then every five minutes.
    """
    age_ms = as_of_ms - start_ms
    for until_ms, apart_ms in ((60_000, 15_000), (300_000, 30_000), (3_600_000, 60_000)):
        if age_ms < until_ms:
            return as_of_ms + apart_ms
    return as_of_ms + 300_000


def _events(view: TurnView) -> int:
    """Over the whole tree."""
    count = sum(run.failed_calls + run.tries - 1 + (run.ending is Ending.ERROR) for run in view.runs)
    for child in view.children.values():
        count += (child.verdict.ended_ms is not None) + sum(_events(below) for below in child.turns)
    return count


def _calls(view: TurnView) -> bool:
    return any(run.has_calls for run in view.runs)
