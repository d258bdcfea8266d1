"""The one line to the server: whether anybody may send now, and what each outcome means for everybody."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any, Self, TypeVar, assert_never

import structlog

from status_watcher.core.outcome import (
    Denied,
    Failure,
    Gone,
    Ok,
    Outcome,
    Reason,
    Rejected,
    RetryAfter,
    TokenRefused,
    Unavailable,
)
from status_watcher.core.throttle import Gate, Permit, passed, patience_s, shut
from status_watcher.model import UserId
from status_watcher.publisher.health import Counts
from status_watcher.publisher.ports import Circuit, Poster
from status_watcher.publisher.settings import PublisherSettings

T = TypeVar("T")
Request = Callable[[float], Awaitable[Outcome[T]]]
"""A call to the server that is given the longest time it may take."""

_SAY_AGAIN_AFTER_S = 60.0

log = structlog.get_logger()


class Line:
    """Gate, circuit and token in front of one server.

    `on_change` is called, on the loop, whenever somebody who could not send may now be able to.
    """

    def __init__(
        self,
        *,
        poster: Poster,
        circuit: Circuit,
        settings: PublisherSettings,
        counts: Counts,
        on_change: Callable[[], None],
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._poster = poster
        self.circuit = circuit
        self._settings = settings
        self.patience = settings.patience
        self._counts = counts
        self._on_change = on_change
        self._jitter = jitter
        self._loop = asyncio.get_running_loop()
        self.gate = Gate()
        self.token_refused = False
        self.last_ok_at_s: float | None = None
        self.last_failure: Unavailable | None = None
        self._logged: Unavailable | None = None
        self._logged_at_s = 0.0
        self.me: UserId | None = None
        self.probe_wanted = asyncio.Event()
        """Nobody has anything to send, and only a request can tell how the server is."""

    def is_open(self, now_s: float) -> bool:
        """Neither a pause nor a refused token forbids sending; the circuit is asked by `errand`."""
        return not self.token_refused and now_s >= self.gate.open_at_s

    def errand(self) -> "Errand | None":
        """Leave for one delivery's requests; None while the circuit is open, or on trial by another."""
        permit = self.circuit.admit()
        return None if permit is None else Errand(self, permit)

    def note(self, outcome: Outcome[Any]) -> None:
        """What this answer means for everybody else; logs when it is news."""
        now_s = self._loop.time()
        match outcome:
            case Ok():
                self.last_ok_at_s = now_s
                self.last_failure = None
                self.gate = passed(self.gate)
                self._counts.add("sent_ok")
            case RetryAfter(pause_s):
                if now_s >= self.gate.open_at_s:
                    log.warning("mattermost_rate_limit", pause_s=pause_s)
                self.gate = shut(self.gate, now_s, pause_s)
                self._counts.add("sent_rate_limited")
            case TokenRefused():
                if not self.token_refused:
                    log.error("mattermost_token_refused")
                    self.token_refused = True
                    self.probe_wanted.set()
                self._counts.add("sent_token_refused")
            case Unavailable() if outcome.reason is not Reason.HELD_BACK:
                if outcome != self._logged or now_s - self._logged_at_s > _SAY_AGAIN_AFTER_S:
                    log.warning("mattermost_unavailable", reason=outcome.reason.value, status=outcome.status)
                    self._logged, self._logged_at_s = outcome, now_s
                self.last_failure = outcome
                self._counts.add("sent_unavailable")
            case Unavailable():
                pass
            case Gone():
                self._counts.add("sent_gone")
            case Denied():
                self._counts.add("sent_denied")
            case Rejected():
                self._counts.add("sent_rejected")
            case _:
                assert_never(outcome)

    async def identity(self, errand: "Errand") -> UserId | Failure:
        """Our bot's user id, asked for once."""
        if self.me is None:
            outcome = await errand.ask(self._poster.me)
            if not isinstance(outcome, Ok):
                return outcome
            self.me = outcome.value
        return self.me

    async def watch(self) -> None:
        """Until cancelled: learns who we are, probes a refused token, and a half-open circuit left unused."""
        while True:
            self.probe_wanted.clear()
            if self.token_refused:
                await asyncio.sleep(self._settings.token_probe_s * (1 + self._jitter() * 2 / 3))
            await self._probe()
            if self.token_refused or (self.me is None and self.circuit.state == "closed"):
                # No edit waits for this, so it may be slow: it is five of these that open the circuit.
                await asyncio.sleep(0 if self.token_refused else 1.0)
            else:
                await self.probe_wanted.wait()

    async def _probe(self) -> None:
        pause_s = self.gate.open_at_s - self._loop.time()
        if pause_s > 0:
            await asyncio.sleep(pause_s)
        errand = self.errand()
        if errand is None:
            return
        with errand:
            outcome = await errand.ask(self._poster.me)
        if isinstance(outcome, Ok):
            self.me = outcome.value
            if self.token_refused:
                log.info("mattermost_token_accepted")
                self.token_refused = False
        self._on_change()


class Errand:
    """The requests of one delivery under one permit of the circuit; a context manager that hands it back.

    The last outcome is what the circuit is told, so that a server that answers reads and fails writes is a
    failing one. A cancelled errand is neither success nor failure.
    """

    def __init__(self, line: Line, permit: Permit) -> None:
        self._line = line
        self._permit = permit
        self._last: Outcome[Any] | None = None
        self.on_trial = line.circuit.state == "half_open"

    async def ask(self, request: Request[T]) -> Outcome[T]:
        """The answer to one request; it is not sent if the circuit has opened since the errand began."""
        circuit = self._line.circuit
        if not circuit.holds(self._permit):
            return Unavailable(Reason.HELD_BACK)
        self._last = None
        outcome = await request(patience_s(self._line.patience, circuit.failures, on_trial=self.on_trial))
        self._last = outcome
        self._line.note(outcome)
        return outcome

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        last = self._last
        if error is not None or last is None or isinstance(last, RetryAfter | TokenRefused):
            self._line.circuit.release(self._permit)
        elif isinstance(last, Unavailable):
            if last.counts:
                self._line.circuit.record(self._permit, failed=True)
            else:
                self._line.circuit.release(self._permit)
        else:
            self._line.circuit.record(self._permit, failed=False)
