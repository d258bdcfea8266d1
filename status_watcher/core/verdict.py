"""Whether a turn is at work, or ended how and when: by its lines, its sub-agents, the store, or silence."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import assert_never

from status_watcher.core.doing import Outside, Standing, seen_to_ms, standing
from status_watcher.core.index import StoreEntry, StoreStatus
from status_watcher.core.patience import Patience
from status_watcher.core.states import Doing
from status_watcher.core.turn import Ending, Last, Run, Turn
from status_watcher.model import State

RUN_SLACK_MS = 2_000
"""How far the store's start of a run may lie before the run's first line (0.6 s in 2026.7.1)."""


@dataclass(frozen=True, slots=True)
class Rules:
    """The times that decide about turns."""

    idle_timeout_ms: int = 60_000
    max_duration_ms: int = 1_800_000
    error_settles_ms: int = 12_000
    answer_wait_ms: int = 10_000
    store_grace_ms: int = 2_000
    quick_ms: int = 2_000
    run_started_ms: int = 0
    """Start of this run of the daemon; a child of before of which there is no trace is not waited for."""
    patience: Patience = field(default_factory=Patience)


@dataclass(frozen=True, slots=True)
class Verdict:
    """`ended_ms` is None while the turn is open; `recheck_ms` is when silence alone may change that."""

    state: State
    ended_ms: int | None
    recheck_ms: int | None = None
    known_ms: int = 0
    """Since when the end could be known: a line may arrive late, and an error is one only after a while."""
    doing: Doing | None = None
    """What an open turn is at, or what it waits for, as far as anything tells."""


def judge(
    turn: Turn,
    runs: Sequence[Run],
    kids: Sequence[Verdict],
    rules: Rules,
    now_ms: int,
    seen_ms: int,
    *,
    outside: Outside,
    deadline: bool,
) -> Verdict:
    """How a turn stands at `now_ms`.

    `runs` are those that count, `kids` its sub-agents, `seen_ms` the newest line of all of them, `outside`
    what others tell of its session. `deadline`: the turn is subject to the longest duration.
    """
    run = runs[-1]
    settles_ms = rules.error_settles_ms
    error_settled_ms = max(turn.seen_ms + settles_ms, seen_to_ms(run, outside, now_ms, settles_ms))
    open_kids = [kid for kid in kids if kid.ended_ms is None]
    over_ms = max([kid.ended_ms for kid in kids if kid.ended_ms is not None], default=0)
    recheck = [kid.recheck_ms for kid in open_kids if kid.recheck_ms is not None]
    unanswered: list[int] = []
    ending = False
    if run.ending is None or run.ending is Ending.DONE:
        asks = [c.approval.expires_ms for one in runs for c in one.unapproved if c.approval is not None]
        lapsed = [at_ms for at_ms in asks if at_ms <= now_ms]
        over_ms = max([over_ms, *(one.answered_ms for one in runs), *lapsed])
        unanswered = [at_ms for at_ms in asks if at_ms > now_ms]
    # The gateway's own end is that of all that it ran.
    if run.ending is not None and (not (open_kids or unanswered) or run.ending is Ending.INTERRUPTED):
        # The store may end a run long after its last line.
        ready_ms, known_ms = 0, max(seen_ms, run.ending_ms)
        if run.ending is Ending.ERROR:
            ready_ms, known_ms = error_settled_ms, max(seen_ms, error_settled_ms)
        elif run.ending is Ending.DONE:
            ready_ms = _answered_ms(turn, runs, kids, rules)
        if now_ms >= ready_ms:
            return Verdict(state_of(run.ending), max(run.ending_ms, over_ms), None, known_ms)
        recheck.append(ready_ms)
        # All that is left is a wait of seconds, for an answer or for another try; a remedy may take longer.
        ending = run.ending is not Ending.ERROR or ready_ms == turn.seen_ms + settles_ms
    elif run.ending is None and not open_kids and run.last is Last.TEXT and not outside.store_runs:
        # No sign of running: the last line is neither a prompt nor a call nor a result.
        idle_ms = seen_ms + rules.idle_timeout_ms
        if now_ms >= idle_ms:
            return Verdict(State.DONE, max(run.last_ms, over_ms), None, idle_ms)
        recheck.append(idle_ms)
    elif run.ending is Ending.ERROR and now_ms < error_settled_ms:
        recheck.append(error_settled_ms)
    recheck += unanswered
    # Also of one that only waits for a person: whoever allows it later is shown, in the same box.
    if deadline and rules.max_duration_ms and not ending:
        age_ms = turn.start_ms - turn.ahead_ms + rules.max_duration_ms
        timeout_ms = max(age_ms, seen_ms + rules.idle_timeout_ms)
        if now_ms >= timeout_ms:
            return Verdict(State.TIMEOUT, timeout_ms, None, timeout_ms)
        recheck.append(timeout_ms)
    below = [Standing(kid.state, kid.doing) for kid in open_kids]
    settling = run.ending is Ending.ERROR and now_ms < error_settled_ms
    stands = standing(turn, runs, below, outside, rules.patience, now_ms, seen_ms, settling=settling)
    recheck += [at_ms for at_ms in (stands.recheck_ms,) if at_ms is not None]
    return Verdict(stands.state, None, min(recheck, default=None), doing=stands.doing)


def _answered_ms(turn: Turn, runs: Sequence[Run], kids: Sequence[Verdict], rules: Rules) -> int:
    """When a turn whose sub-agents have all ended need not wait for an answer any longer; 0 for not at all.

    Each end is answered by a run of its own, asked after it; ends that come close together are answered one
    by one. Where the gateway tells the model of several at once the wait is in vain, and short.
    """
    if not kids:
        return 0
    answers = sorted(run.model_start_ms for run in runs)
    for end_ms in sorted(kid.ended_ms for kid in kids if kid.ended_ms is not None):
        while answers and answers[0] < end_ms:
            answers.pop(0)
        if not answers:
            since_ms = max(kid.known_ms for kid in kids)
            return (max(since_ms, turn.seen_ms) if runs[-1].yielded else since_ms) + rules.answer_wait_ms
        answers.pop(0)
    return 0


def store_ending(run: Run, entry: StoreEntry) -> Ending | None:
    """How the store says that a run without a final line ended, if what it says can be about this run.

    Its fields lie in known ways (2026.3.31, 2026.7.1): a status left from an earlier run has an end before
    the run's last line, or before its own start. A run that the gateway found dead at its restart is failed
    with `abortedLastRun`. `endedAt` is optional; without it (seen nowhere) the store's run must have begun
    with this one.
    """
    ended_ms = store_ended_ms(run, entry)
    if run.ending is not None or ended_ms is None or ended_ms < run.last_ms:
        return None
    if entry.started_at_ms is not None and entry.started_at_ms > ended_ms:
        return None
    match entry.status:
        case StoreStatus.DONE:
            return Ending.DONE
        case StoreStatus.KILLED:
            return Ending.ABORTED
        case StoreStatus.TIMEOUT:
            return Ending.TIMEOUT
        case StoreStatus.FAILED:
            return Ending.INTERRUPTED if entry.aborted_last_run else Ending.ERROR
        case StoreStatus.RUNNING | None:
            return None
        case _:
            assert_never(entry.status)


def store_ended_ms(run: Run, entry: StoreEntry) -> int | None:
    """When the store's run ended, or was last heard of if it does not say; None if it may be another run."""
    if entry.ended_at_ms is not None or entry.started_at_ms is None:
        return entry.ended_at_ms
    return entry.updated_at_ms if entry.started_at_ms >= run.start_ms - RUN_SLACK_MS else None


def state_of(ending: Ending) -> State:
    match ending:
        case Ending.DONE:
            return State.DONE
        case Ending.ERROR:
            return State.ERROR
        case Ending.ABORTED:
            return State.ABORTED
        case Ending.INTERRUPTED:
            return State.INTERRUPTED
        case Ending.TIMEOUT:
            return State.TIMEOUT
        case _:
            assert_never(ending)
