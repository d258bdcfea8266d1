"""When the next request for a post may go out: throttle, interval, ticks, back-off, the pause after a 429.

All times are seconds of one monotonic clock. There is no queue of edits: what is sent is rendered when due.
"""

from dataclasses import dataclass, replace
from math import inf
from typing import Final, assert_never

from status_watcher.core.budget import Budget
from status_watcher.model import Urgency

YOUNG_S: Final = 30.0
"""The age of a turn up to which its box is edited as often as the throttle allows."""
LONGEST_INTERVAL_S: Final = 9.0
"""No box is to be older than 10 s while things happen; the rest is for the queue and for the request."""
_STRETCH: Final = 1 / 9
"""Seconds that the interval grows with each second of a turn's age beyond `YOUNG_S` where one box is open."""
_STRETCH_PER_BOX: Final = 0.25
"""By how much each further open box quickens that."""

EVENTS: Final = Budget(per_s=1 / 200, burst=10)
"""How many edits each post may cost more because failures and ends of sub-agents are shown before the
interval is over: an agent that tries the same thing in vain for half an hour is not worth an edit each time.
Together with the interval, it keeps the half hour of a busy turn below 250 edits, whatever fails."""

BACKOFF_S: Final = (0.5, 1.0, 2.0, 3.0)
"""From the start of a failed attempt to the next one."""
LONGEST_UNSAID_PAUSE_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Pace:
    """What the requests for a post so far mean for the next one."""

    clear_at_s: float = -inf
    """No edit before this (throttle)."""
    calm_at_s: float = -inf
    """No edit before this that adds or changes lines and nothing else (interval)."""
    tick_at_s: float = -inf
    """No edit before this that changes nothing but the elapsed time."""
    retry_at_s: float = -inf
    """No request before this (back-off)."""
    failures: int = 0


def due_s(pace: Pace, urgency: Urgency = Urgency.STATE) -> float:
    """The first moment at which the post may be edited because of such a change, possibly past."""
    due = max(pace.clear_at_s, pace.retry_at_s)
    match urgency:
        case Urgency.TICK:
            return max(due, pace.calm_at_s, pace.tick_at_s)
        case Urgency.LINES:
            return max(due, pace.calm_at_s)
        case Urgency.EVENT | Urgency.STATE | Urgency.END:
            return due
        case _:
            assert_never(urgency)


def share_ahead(pace: Pace, now_s: float, throttle_s: float) -> float:
    """What an edit now costs that does not wait for the interval: the part of it, 0 to 1, that is not over.

    So much earlier, and for all time, are the edits that follow.
    """
    left_s = pace.calm_at_s - max(now_s, pace.clear_at_s)
    return max(0.0, left_s / (pace.calm_at_s - pace.clear_at_s + throttle_s)) if left_s > 0 else 0.0


def interval_s(throttle_s: float, age_s: float, open_boxes: int) -> float:
    """The shortest time between two edits of a post whose turn is so old, unless one is worth more than that.

    The throttle for the turn's first 30 s; then longer by a ninth of the time since, up to 9 s, which with a
    throttle of 0.5 s is reached at an age of 107 s. Each further open box makes it grow faster by a quarter:
    with five boxes 9 s are reached at 68 s, with twenty at 43 s. Never shorter than the throttle, which may
    be longer than that.
    """
    quicker = 1 + _STRETCH_PER_BOX * max(0, open_boxes - 1)
    grown_s = throttle_s + max(0.0, age_s - YOUNG_S) * _STRETCH * quicker
    return max(throttle_s, min(grown_s, LONGEST_INTERVAL_S))


def after_write(pace: Pace, ended_s: float, throttle_s: float, tick_s: float) -> Pace:
    """A write was answered, or may have arrived.

    Counted from the end of the request, not from its start: two that are sent a throttle apart can arrive
    closer, and it is the server's writes that are to be spaced.
    """
    return replace(pace, clear_at_s=ended_s + throttle_s, tick_at_s=ended_s + tick_s)


def after_edit(pace: Pace, ended_s: float, pause_s: float) -> Pace:
    """The post shows the newest text: the next one may wait this long (`interval_s`)."""
    return replace(after_success(pace), calm_at_s=ended_s + pause_s)


def after_outage(pace: Pace) -> Pace:
    """The server is back: nothing but the throttle is left."""
    return replace(after_success(pace), calm_at_s=-inf)


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


@dataclass(frozen=True, slots=True)
class Plain:
    """What a throttle of one length would have sent for a post since its last write: the yardstick for what
    interval and budget save.
    """

    edits: int = 0
    at_s: float = -inf
    """When the last of them went out, or would go out."""


def plain_change(plain: Plain, now_s: float, throttle_s: float) -> Plain:
    """The box changed: one more edit, unless one is waiting that will show it."""
    if now_s <= plain.at_s:
        return plain
    return Plain(plain.edits + 1, max(now_s, plain.at_s + throttle_s))


def plain_after_write(plain: Plain, ended_s: float) -> Plain:
    """The post was written, which both ways of counting have to wait for alike."""
    return Plain(0, max(plain.at_s, ended_s))
