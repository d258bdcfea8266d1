"""What a turn that is open is doing now, and whether that still moves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from status_watcher.core.patience import QUIET_MS, Patience
from status_watcher.core.states import Doing, ForApproval, ForChildren, Retrying, Thinking, UsingTool
from status_watcher.core.turn import Call, Last, Run, Turn
from status_watcher.model import State, ToolCallId

ASKED_SLACK_MS = 5_000
"""A person is asked after the call was written down (0.2 s in 2026.9.6)."""


@dataclass(frozen=True, slots=True)
class Outside:
    """What others than the transcript tell of a session and its last run."""

    store_runs: bool = False
    """The store says that it is running."""
    tries: int = 0
    """How often the store has seen the model asked since the last line, as far as we have looked."""
    tried_ms: int = 0
    """When the last of these was."""
    approvals: Mapping[ToolCallId, "Asked"] = field(default_factory=dict)
    """Calls for which a person is being asked (2026.9.6)."""


@dataclass(frozen=True, slots=True)
class Asked:
    since_ms: int
    expires_ms: int


@dataclass(frozen=True, slots=True)
class Standing:
    """How an open turn stands; `recheck_ms` is when time alone may change that."""

    state: State
    doing: Doing | None
    recheck_ms: int | None = None


def standing(
    turn: Turn,
    runs: Sequence[Run],
    below: Sequence[Standing],
    outside: Outside,
    patience: Patience,
    now_ms: int,
    seen_ms: int,
    *,
    settling: bool,
) -> Standing:
    """How a turn stands that has not ended; `below` are its open sub-agents, `seen_ms` the newest line of
    all. `settling`: it failed so shortly ago that it may be tried again.
    """
    run = runs[-1]
    if settling and run.assumed:
        return Standing(State.ACTIVE, None)  # the store's word alone: nothing tells of the model's provider
    if settling:
        return Standing(State.RETRYING, Retrying(max(run.tries, outside.tries), failed=True))
    if run.ending is not None:
        return _over(runs, below, now_ms)
    asked = _asked(run, outside, now_ms)
    if asked:
        since_ms = min(one.since_ms for one in asked)
        return Standing(State.WAITING, ForApproval(since_ms), min(one.expires_ms for one in asked))
    return _working(turn, run, below, outside, patience, now_ms, seen_ms)


def _over(runs: Sequence[Run], below: Sequence[Standing], now_ms: int) -> Standing:
    """Its own run is over, what it has started is not."""
    calls = [call for run in runs for call in run.unapproved if _is_open(call, now_ms)]
    since_ms = [call.ended_at_ms for call in calls]
    since_ms += [one.doing.since_ms for one in below if isinstance(one.doing, ForApproval)]
    if since_ms:
        return Standing(State.WAITING, ForApproval(min(since_ms)))
    if not below:
        return Standing(State.ACTIVE, None)  # the last sub-agent's end is about to be answered
    stalled = all(one.state is State.STALLED for one in below)
    return Standing(State.STALLED if stalled else State.WAITING, ForChildren(len(below)))


def _working(
    turn: Turn,
    run: Run,
    below: Sequence[Standing],
    outside: Outside,
    patience: Patience,
    now_ms: int,
    seen_ms: int,
) -> Standing:
    state, doing = State.ACTIVE, _doing(run)
    if run.retrying:
        state, doing = State.RETRYING, Retrying(run.tries, failed=False)
    elif outside.tries > 1 and isinstance(doing, Thinking):
        state, doing = State.RETRYING, Retrying(outside.tries, failed=False)
    if any(one.state is not State.STALLED for one in below):
        return Standing(state, doing)
    stalls = _stalls(run, outside, patience)
    if stalls is None:
        return Standing(state, doing)
    begun_ms, stalls_ms = stalls
    quiet_ms = min(QUIET_MS, stalls_ms - begun_ms)
    stalls_ms = max(stalls_ms - turn.ahead_ms, seen_ms + quiet_ms)
    if now_ms < stalls_ms:
        return Standing(state, doing, stalls_ms)
    return Standing(State.STALLED, doing)


def _doing(run: Run) -> Doing | None:
    if run.open_calls:
        oldest = min(run.open_calls.values(), key=lambda call: call.at_ms)
        return UsingTool(oldest.at_ms, oldest.text.label)
    return None if run.last is Last.TEXT else Thinking(run.last_ms)


def _stalls(run: Run, outside: Outside, patience: Patience) -> tuple[int, int] | None:
    """Since when the last of what is under way goes on, and when it has stalled; None for never."""
    if not run.open_calls:
        asked_ms = max(run.last_ms, outside.tried_ms)
        stalls_ms = patience.model_stalls_ms(run, asked_ms)
        return None if stalls_ms is None else (asked_ms, stalls_ms)
    ends = [(call.at_ms, patience.call_stalls_ms(run, call)) for call in run.open_calls.values()]
    known = [(begun_ms, stalls_ms) for begun_ms, stalls_ms in ends if stalls_ms is not None]
    return max(known, key=lambda end: end[1]) if len(known) == len(ends) else None


def _asked(run: Run, outside: Outside, now_ms: int) -> list[Asked]:
    """Approvals that open calls wait for; the same id in an earlier turn was another call."""
    found = [(call, outside.approvals.get(call.id)) for call in run.open_calls.values()]
    return [
        asked
        for call, asked in found
        if asked is not None and asked.since_ms >= call.at_ms - ASKED_SLACK_MS and now_ms < asked.expires_ms
    ]


def _is_open(call: Call, now_ms: int) -> bool:
    return call.approval is not None and now_ms < call.approval.expires_ms
