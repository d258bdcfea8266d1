"""The circuit breaker in front of Mattermost: pybreaker's state machine, used in two phases.

pybreaker 1.4 takes a coroutine's creation for success, admits everybody when half-open, counts a cancelled
task as a failure and keeps time by the wall clock. So it never sees a request: `admit` comes before one,
`record` after it.
"""

import asyncio
import contextlib
from collections.abc import Callable

import pybreaker

from status_watcher.core.health import CircuitState
from status_watcher.core.throttle import Permit

_NEVER_BY_ITSELF_S = 10 * 365 * 86_400.0  # we half-open by the monotonic clock; pybreaker would by the wall's

_STATES: dict[str, CircuitState] = {
    pybreaker.STATE_CLOSED: "closed",
    pybreaker.STATE_OPEN: "open",
    pybreaker.STATE_HALF_OPEN: "half_open",
}


class _ServerFailedError(Exception):
    """How a failure is told to pybreaker; never leaves this module."""


class Breaker:
    """Opens after `threshold` failures in a row, lets one probe through after each `cooldown_s`.

    A permit of an earlier era (before the circuit last opened or closed) says nothing about the present: what
    comes of it is ignored. Lives on one event loop.
    """

    def __init__(self, threshold: int, cooldown_s: float) -> None:
        self._cooldown_s = cooldown_s
        self._machine = pybreaker.CircuitBreaker(
            fail_max=threshold, reset_timeout=_NEVER_BY_ITSELF_S, throw_new_error_on_trip=False
        )
        self._era = 0
        self._probe: Permit | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._half_open_at_s: float | None = None
        self._listeners: list[Callable[[CircuitState], None]] = []

    @property
    def state(self) -> CircuitState:
        return _STATES[self._machine.current_state]

    @property
    def failures(self) -> int:
        """In a row, as pybreaker counts them."""
        return self._machine.fail_counter

    @property
    def half_open_at_s(self) -> float | None:
        """On the loop's clock, while open."""
        return self._half_open_at_s

    def subscribe(self, listener: Callable[[CircuitState], None]) -> None:
        """Calls `listener` at each change of state, on the loop, after the change."""
        self._listeners.append(listener)

    def admit(self) -> Permit | None:
        """A permit; None while open, and while half-open for all but one at a time."""
        match self.state:
            case "open":
                return None
            case "half_open":
                if self._probe is not None:
                    return None
                self._probe = Permit(self._era)
                return self._probe
            case "closed":
                return Permit(self._era)

    def holds(self, permit: Permit) -> bool:
        """Whether what comes of this permit still counts."""
        return permit.era == self._era

    def record(self, permit: Permit, *, failed: bool) -> None:
        """The errand is over; a permit that no longer holds is dropped without a word."""
        if not self.holds(permit):
            return
        self._probe = None
        before = self.state
        with contextlib.suppress(_ServerFailedError):
            self._machine.call(_fail if failed else _succeed)
        if self.state != before:
            self._changed()

    def release(self, permit: Permit) -> None:
        """The errand was cancelled, or needed no request: neither success nor failure."""
        if permit is self._probe:
            self._probe = None

    def close(self) -> None:
        """Ends the timer; the breaker is not used afterwards."""
        if self._timer is not None:
            self._timer.cancel()

    def _half_open(self) -> None:
        self._half_open_at_s = None
        self._machine.half_open()
        self._changed()

    def _changed(self) -> None:
        self._era += 1
        self._probe = None
        if self.state == "open":
            loop = asyncio.get_running_loop()
            self._half_open_at_s = loop.time() + self._cooldown_s
            self._timer = loop.call_at(self._half_open_at_s, self._half_open)
        for listener in tuple(self._listeners):
            listener(self.state)


def _succeed() -> None:
    """What pybreaker calls to count a success."""


def _fail() -> None:
    raise _ServerFailedError
