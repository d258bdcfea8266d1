"""When the next request for a post may go out: throttle, ticks, back-off, and the pause after a 429.

All times are seconds of one monotonic clock. There is no queue of edits: what is sent is rendered when due.
"""

from dataclasses import dataclass, replace
from math import inf
from typing import Final

BACKOFF_S: Final = (0.5, 1.0, 2.0, 3.0)
"""From the start of a failed attempt to the next one."""
LONGEST_UNSAID_PAUSE_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Pace:
    """What the requests for a post so far mean for the next one."""

    clear_at_s: float = -inf
    """No edit before this (throttle)."""
    tick_at_s: float = -inf
    """No edit before this that changes nothing but the elapsed time."""
    retry_at_s: float = -inf
    """No request before this (back-off)."""
    failures: int = 0


def due_s(pace: Pace, *, tick: bool = False) -> float:
    """The first moment at which the post may be edited, possibly past."""
    due = max(pace.clear_at_s, pace.retry_at_s)
    return max(due, pace.tick_at_s) if tick else due


def after_write(pace: Pace, ended_s: float, throttle_s: float, tick_s: float) -> Pace:
    """A write was answered, or may have arrived.

    Counted from the end of the request, not from its start: two that are sent a throttle apart can arrive
    closer, and it is the server's writes that are to be spaced.
    """
    return replace(pace, clear_at_s=ended_s + throttle_s, tick_at_s=ended_s + tick_s)


def after_success(pace: Pace) -> Pace:
    """The back-off is over."""
    return replace(pace, retry_at_s=-inf, failures=0)


def after_failure(pace: Pace, started_s: float, jitter: float) -> Pace:
    """Backs off further, up to 3 s; `jitter` in [0, 1] shortens the wait by up to a half."""
    wait_s = BACKOFF_S[min(pace.failures, len(BACKOFF_S) - 1)] * (1 - jitter / 2)
    return replace(pace, retry_at_s=started_s + wait_s, failures=pace.failures + 1)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a request may take.

    Long enough for a server that is slow: Mattermost fetches a new link's preview for up to 5 s while an edit
    waits (9.9). Short after a failure, so that a circuit of five opens within 20 s even where every request
    hangs.
    """

    at_first_s: float = 8.0
    after_failure_s: float = 2.0


def patience_s(patience: Patience, failures_in_a_row: int, *, on_trial: bool) -> float:
    """For the next request; a half-open circuit's one probe is given the long time."""
    return patience.at_first_s if on_trial or failures_in_a_row == 0 else patience.after_failure_s


@dataclass(frozen=True, slots=True)
class Gate:
    """Shut for everybody after a 429."""

    open_at_s: float = -inf
    refusals: int = 0


def shut(gate: Gate, now_s: float, pause_s: float | None) -> Gate:
    """A 429 arrived; without a hint the pause doubles with each refusal, from 1 s to a minute.

    Refusals of requests that were under way together count once.
    """
    refusals = gate.refusals + 1 if now_s >= gate.open_at_s else gate.refusals
    if pause_s is None:
        pause_s = min(2.0 ** (min(refusals, 10) - 1), LONGEST_UNSAID_PAUSE_S)
    return Gate(max(gate.open_at_s, now_s + pause_s), refusals)


def passed(gate: Gate) -> Gate:
    """A request was answered with success."""
    return Gate(gate.open_at_s) if gate.refusals else gate


@dataclass(frozen=True, slots=True, eq=False)
class Permit:
    """Leave of the circuit breaker to talk to the server, taken before a request and handed back after it.

    `era` counts the breaker's changes of state: a permit of an earlier one says nothing about the present.
    """

    era: int
