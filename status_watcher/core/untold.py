"""What to say of a session of which only the store tells: its transcript is not on disk yet, or is gone."""

from typing import assert_never

from status_watcher.core.index import StoreEntry, StoreStatus
from status_watcher.core.states import Thinking
from status_watcher.core.turn import Run
from status_watcher.core.verdict import Rules, Verdict
from status_watcher.model import State


def runs_untold(entry: StoreEntry | None, start_ms: int, rules: Rules) -> bool:
    """Whether the store says that it runs, and not just because nobody took that back long ago."""
    if entry is None or entry.status is not StoreStatus.RUNNING:
        return False
    return start_ms >= rules.run_started_ms - rules.idle_timeout_ms


def judge_untold(
    entry: StoreEntry | None,
    *,
    start_ms: int,
    word_since_ms: int,
    out_of_store: bool,
    left_ms: int | None,
    now_ms: int,
    rules: Rules,
) -> Verdict:
    """How such a session stands; `entry` is None while the store lacks it, which alone means nothing.

    `left_ms` is since when the store has lacked it, if that was seen.

    A failed call of the model may be tried again, so the store's word of a failure counts later than other
    words.
    """
    state = State.ACTIVE
    if entry is not None:
        state = _state(entry)
    elif out_of_store:
        over_ms = max(start_ms, word_since_ms if left_ms is None else left_ms)
        if rules.max_duration_ms:
            over_ms = min(
                over_ms, max(start_ms + rules.max_duration_ms, word_since_ms + rules.idle_timeout_ms)
            )
        return Verdict(State.INTERRUPTED, over_ms)
    recheck_ms = None
    if state is not State.ACTIVE and entry is not None:
        ready_ms = word_since_ms + rules.store_grace_ms
        if state in {State.ERROR, State.TIMEOUT}:
            ready_ms = word_since_ms + rules.error_settles_ms
        if now_ms >= ready_ms:
            return Verdict(state, max(start_ms, entry.ended_at_ms or word_since_ms))
        recheck_ms = ready_ms
    if rules.max_duration_ms:
        timeout_ms = max(start_ms + rules.max_duration_ms, word_since_ms + rules.idle_timeout_ms)
        if now_ms >= timeout_ms:
            return Verdict(State.TIMEOUT, now_ms)
        recheck_ms = timeout_ms if recheck_ms is None else min(recheck_ms, timeout_ms)
    return _asked(start_ms, word_since_ms, now_ms, recheck_ms, rules)


def _asked(start_ms: int, word_since_ms: int, now_ms: int, recheck_ms: int | None, rules: Rules) -> Verdict:
    """Its model has been asked: older versions write nothing before the first answer is complete."""
    doing = Thinking(start_ms)
    stalls_ms = rules.patience.model_stalls_ms(Run(start_ms, start_ms), max(start_ms, word_since_ms))
    if stalls_ms is not None and now_ms >= stalls_ms:
        return Verdict(State.STALLED, None, recheck_ms, doing=doing)
    recheck = [at_ms for at_ms in (recheck_ms, stalls_ms) if at_ms is not None]
    return Verdict(State.ACTIVE, None, min(recheck, default=None), doing=doing)


def _state(entry: StoreEntry) -> State:
    match entry.status:
        case StoreStatus.DONE:
            return State.DONE
        case StoreStatus.FAILED:
            return State.INTERRUPTED if entry.aborted_last_run else State.ERROR
        case StoreStatus.KILLED:
            return State.ABORTED
        case StoreStatus.TIMEOUT:
            return State.TIMEOUT
        case StoreStatus.RUNNING | None:
            return State.ACTIVE
        case _:
            assert_never(entry.status)
