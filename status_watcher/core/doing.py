"""What a turn that is open is doing now, and whether that still moves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from status_watcher.core.patience import QUIET_MS, Patience
from status_watcher.core.states import (
    Compacting,
    Doing,
    ForApproval,
    ForChildren,
    Retrying,
    Thinking,
    UsingTool,
)
from status_watcher.core.turn import Call, Ending, Last, Run, Turn
from status_watcher.model import State, ToolCallId

ASKED_SLACK_MS = 5_000
"""A person is asked after the call was written down (0.2 s in 2026.9.6)."""

COMPACTION_MOST_MS = 600_000
"""A compaction that has begun and of whose end nobody has told is taken for over then: 2026.7.1 and 2026.9.6
give one up after 3 minutes, and tell of no end of one that failed.
"""


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
    compacting_ms: int | None = None
    """When a compaction began of which no end was told, by the gateway's hook."""
    compacted_ms: int = 0
    """When the end of the last one was told."""


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
    compacting_ms = _compacting_ms(run, outside, now_ms)
    if compacting_ms is not None:
        return _compacting(run, compacting_ms, below, patience, now_ms)
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


def seen_to_ms(run: Run, outside: Outside, now_ms: int, settles_ms: int) -> int:
    """Until when a failed run is being seen to, as far as the gateway tells; 0 if it does not.

    It compacts the session and asks again then, of which there is no line before the answer (2026.9.6).
    """
    compacting_ms = _compacting_ms(run, outside, now_ms)
    if compacting_ms is not None:
        return compacting_ms + COMPACTION_MOST_MS
    return outside.compacted_ms + settles_ms if outside.store_runs and outside.compacted_ms else 0


def _compacting_ms(run: Run, outside: Outside, now_ms: int) -> int | None:
    """Since when the session is being compacted: what came before the run's last line is over, and one whose
    call runs or that has answered has another reason to be open. It may be the remedy for an error, a prompt
    that had become too long, as long as the store says that the run goes on.
    """
    since_ms = outside.compacting_ms
    if since_ms is None or since_ms < run.last_ms or now_ms >= since_ms + COMPACTION_MOST_MS:
        return None
    goes_on = run.ending is None or (run.ending is Ending.ERROR and outside.store_runs)
    return since_ms if goes_on and not run.open_calls else None


def _compacting(
    run: Run, since_ms: int, below: Sequence[Standing], patience: Patience, now_ms: int
) -> Standing:
    """As long as a model may take for an answer, which the summary is."""
    doing, over_ms = Compacting(since_ms), since_ms + COMPACTION_MOST_MS
    stalls_ms = patience.model_stalls_ms(run, since_ms)
    if stalls_ms is None or now_ms < stalls_ms:
        return Standing(State.ACTIVE, doing, over_ms if stalls_ms is None else min(stalls_ms, over_ms))
    lively = any(one.state is not State.STALLED for one in below)
    return Standing(State.ACTIVE if lively else State.STALLED, doing, over_ms)


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
