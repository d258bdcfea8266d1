"""Sends what happens to sessions to one URL: late rather than never, but never in anybody's way."""

import asyncio
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import aiohttp
import structlog
from yarl import URL

from status_watcher.core.event_wire import Told

TIMEOUT_S: Final = 10.0
FIRST_RETRY_S: Final = 1.0
LONGEST_RETRY_S: Final = 60.0
LONGEST_PAUSE_S: Final = 300.0
"""What is believed of a `Retry-After`."""
_TRY_AGAIN: Final = frozenset({408, 425, 429})
_BODY_BYTES: Final = 64 * 1024

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Destination:
    """Where events go. `name` stands in counters and in the log, the URL nowhere: it may be a secret."""

    name: str
    url: str
    encode: Callable[[Sequence[Told]], bytes]
    most_at_once: int
    """Events of one request."""
    proxy: str | None = None


@dataclass(frozen=True, slots=True)
class _Refused:
    status: int


@dataclass(frozen=True, slots=True)
class _Failed:
    reason: str
    pause_s: float = 0.0


class EventSender:
    """One queue to one place; `offer` never waits, and drops the oldest where there are too many.

    Delivers in order, at least once: a request without an answer is sent again, with the same ids.
    """

    def __init__(
        self,
        destination: Destination,
        version: str,
        *,
        most_queued: int = 1_000,
        first_retry_s: float = FIRST_RETRY_S,
        timeout_s: float = TIMEOUT_S,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._to = destination
        self._headers = {"Content-Type": "application/json", "User-Agent": f"status-watcher/{version}"}
        self._most = most_queued
        self._first_retry_s = first_retry_s
        self._timeout_s = timeout_s
        self._jitter = jitter
        self._queue: deque[Told] = deque()
        self._under_way: list[Told] = []
        self._changed = asyncio.Event()
        self._drained = asyncio.Event()
        self._drained.set()
        self._hurry = asyncio.Event()
        self._failing = ""
        self._counts = dict.fromkeys(("sent", "dropped", "refused", "retries"), 0)

    def offer(self, told: Told) -> None:
        """To be sent when it can be."""
        if len(self._queue) + len(self._under_way) >= self._most:
            if not self._queue:
                self._counts["dropped"] += 1
                return
            self._queue.popleft()
            self._counts["dropped"] += 1
        self._queue.append(told)
        self._drained.clear()
        self._changed.set()

    def counters(self) -> dict[str, int]:
        """Events by what became of them, requests that had to be made again, and what waits."""
        named = {f"{self._to.name}_{name}": count for name, count in self._counts.items()}
        return named | {f"{self._to.name}_queued": len(self._queue) + len(self._under_way)}

    async def run(self) -> None:
        """Sends until it is cancelled."""
        connector = aiohttp.TCPConnector(limit=1, keepalive_timeout=30)
        async with aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            proxy=URL(self._to.proxy) if self._to.proxy else None,
            timeout=aiohttp.ClientTimeout(total=self._timeout_s),
        ) as session:
            while True:
                await self._changed.wait()
                while self._queue:
                    taken = min(self._to.most_at_once, len(self._queue))
                    self._under_way = [self._queue.popleft() for _ in range(taken)]
                    await self._deliver(session)
                    self._under_way = []
                self._changed.clear()
                self._drained.set()

    async def flush(self, within_s: float) -> int:
        """At the end, while `run` still runs: what waits, now; returns how many events are left."""
        self._hurry.set()
        try:
            async with asyncio.timeout(within_s):
                await self._drained.wait()
        except TimeoutError:
            pass
        return len(self._queue) + len(self._under_way)

    async def _deliver(self, session: aiohttp.ClientSession) -> None:
        body = self._to.encode(self._under_way)
        retry_s = self._first_retry_s
        while True:
            outcome = await self._post(session, body)
            match outcome:
                case None:
                    self._counts["sent"] += len(self._under_way)
                    self._note("")
                    return
                case _Refused(status):
                    self._counts["refused"] += len(self._under_way)
                    self._note(f"refused ({status})")
                    return
                case _Failed(reason, pause_s):
                    self._counts["retries"] += 1
                    self._note(reason)
                    await self._pause(max(pause_s, retry_s * (0.5 + self._jitter())))
                    retry_s = min(2 * retry_s, LONGEST_RETRY_S)

    async def _post(self, session: aiohttp.ClientSession, body: bytes) -> _Refused | _Failed | None:
        headers = self._headers | {"Idempotency-Key": self._under_way[0].id}
        try:
            async with session.post(
                self._to.url, data=body, headers=headers, allow_redirects=False
            ) as response:
                await response.content.read(_BODY_BYTES)
                status = response.status
                if 200 <= status < 300:
                    return None
                if status in _TRY_AGAIN or status >= 500:
                    return _Failed(f"status {status}", _retry_after_s(response.headers.get("Retry-After")))
                return _Refused(status)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            return _Failed(type(error).__name__)  # the error's own words hold the URL

    async def _pause(self, seconds: float) -> None:
        """Waits so long, or until there is no more time."""
        if self._hurry.is_set():
            await asyncio.sleep(min(seconds, 0.2))
            return
        try:
            async with asyncio.timeout(seconds):
                await self._hurry.wait()
        except TimeoutError:
            pass

    def _note(self, failing: str) -> None:
        if failing != self._failing:
            if failing:
                log.warning("events_not_sent", to=self._to.name, reason=failing)
            else:
                log.info("events_sent_again", to=self._to.name)
        self._failing = failing


def _retry_after_s(header: str | None) -> float:
    """Seconds alone: a date would need the wall clock, and our own pauses grow anyway."""
    if header is None or not header.isascii() or not header.isdigit() or len(header) > 9:
        return 0.0
    return min(float(header), LONGEST_PAUSE_S)
