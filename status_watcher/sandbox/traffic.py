"""What comes in over HTTP: the record of it, the rate limit, and the faults that meet it.

The one middleware of the server; API calls pass through all of it, pages and `/sandbox/`
pass it by.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from aiohttp import web

from status_watcher.sandbox.call import (
    BACKEND,
    EXCHANGE,
    PAYLOAD_SLACK_BYTES,
    Backend,
    Exchange,
    no_such_route,
    token_of,
)
from status_watcher.sandbox.faults import Fault, Faults
from status_watcher.sandbox.rate_limit import RateLimiter

API = "/api/v4/"
WEBSOCKET = "/api/v4/websocket"
_KEPT_REQUESTS = 10_000
_GONE_POLL_S = 0.05
_TRICKLE_STEP_S = 0.05

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(slots=True)
class RecordedRequest:
    """One API request.

    `status` is 0 while it runs and where it got no answer; `user_id` is "" without a valid token.
    """

    method: str
    path: str
    user_id: str
    connection: int
    at_monotonic_s: float
    body: bytes = field(repr=False)
    status: int = 0
    ended_monotonic_s: float | None = None


class Traffic:
    """Records requests and lets them through, late, changed or not at all.

    `requests` keeps the newest 10,000. `peak_busy` counts, per user, the connections with a request on them
    at one time; clients that have gone away do not count.
    """

    def __init__(self, faults: Faults, limiter: RateLimiter | None, *, limit_by_token: bool) -> None:
        self.requests: deque[RecordedRequest] = deque(maxlen=_KEPT_REQUESTS)
        self.peak_busy: dict[str, int] = {}
        self._faults = faults
        self._limiter = limiter
        self._limit_by_token = limit_by_token
        self._ordinals: dict[object, int] = {}
        self._running: dict[asyncio.Task[None], tuple[web.Request, str]] = {}

    @property
    def connections(self) -> int:
        """How many different connections have carried a request."""
        return len(self._ordinals)

    async def stop(self) -> None:
        """Ends the requests that still run, unanswered."""
        running = [task for task in self._running if task is not asyncio.current_task()]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def through(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if not request.path.startswith(API):
            return await handler(request)
        backend = request.app[BACKEND]
        if request.path == WEBSOCKET:
            self._record(request, backend, b"")
            return await handler(request)
        body = await _read(request, backend)
        exchange = Exchange(body)
        EXCHANGE.set(exchange)
        record = self._record(request, backend, body)
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a handler always runs in a task
        self._running[task] = (request, record.user_id)
        self._count_busy(record.user_id)
        try:
            response = await self._limited(request, handler)
            record.status = response.status
        finally:
            record.ended_monotonic_s = time.monotonic()
            del self._running[task]
            if exchange.settle is not None:
                exchange.settle()
        return response

    def _record(self, request: web.Request, backend: Backend, body: bytes) -> RecordedRequest:
        user = backend.store.user_of_token(token_of(request))
        peer = request.transport.get_extra_info("peername") if request.transport else None
        ordinal = self._ordinals.setdefault(peer, len(self._ordinals) + 1)
        record = RecordedRequest(
            request.method, request.path_qs, user.id if user else "", ordinal, time.monotonic(), body
        )
        self.requests.append(record)
        return record

    def _count_busy(self, user_id: str) -> None:
        busy = sum(user == user_id and not _gone(request) for request, user in self._running.values())
        self.peak_busy[user_id] = max(busy, self.peak_busy.get(user_id, 0))

    async def _limited(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if self._limiter is None:
            return await self._met(request, handler)
        token = token_of(request) if self._limit_by_token else ""
        verdict = self._limiter.admit(token or request.remote or "")
        if verdict.retry_after_s:
            headers = {"X-Content-Type-Options": "nosniff"} | verdict.headers()
            return web.Response(status=429, text="limit exceeded\n", headers=headers)
        response = await self._met(request, handler)
        if not response.prepared:
            for name, value in verdict.headers().items():
                response.headers.add(name, value)
                if token:  # then 9.9 sends them twice
                    response.headers.add(name, value)
        return response

    async def _met(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Does the request under the fault that fits it, if any."""
        fault = self._faults.meeting(request.method, request.path_qs)
        if fault is None:
            return await _done(request, handler)
        if fault.delay_before_s:
            await asyncio.sleep(fault.delay_before_s)
        if fault.never_answer:
            while not _gone(request):  # noqa: ASYNC110 - aiohttp has no event for a client that goes away
                await asyncio.sleep(_GONE_POLL_S)
            return _cut(request)
        if fault.drop_before:
            return _cut(request)
        if fault.status is not None and not fault.commit_first:
            return await _trickled(request, _instead(fault, fault.status), fault)
        response = await _done(request, handler)
        if fault.delay_after_commit_s:
            await asyncio.sleep(fault.delay_after_commit_s)
        if fault.drop_after_commit:
            return _cut(request)
        if fault.status is not None:
            response = _instead(fault, fault.status)
        response.headers.update(fault.headers)
        return await _trickled(request, response, fault)


async def _done(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except (web.HTTPNotFound, web.HTTPMethodNotAllowed):
        return no_such_route(request)


async def _read(request: web.Request, backend: Backend) -> bytes:
    """The body, or just enough of it to see that it is too large."""
    cap = backend.settings.max_payload_bytes + PAYLOAD_SLACK_BYTES
    body = bytearray()
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > cap:
            break
    return bytes(body[: cap + 1])


def _gone(request: web.Request) -> bool:
    return request.transport is None or request.transport.is_closing()


def _cut(request: web.Request) -> web.StreamResponse:
    """Ends the connection at once; what is returned reaches no one."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=499)


def _instead(fault: Fault, status: int) -> web.Response:
    content, content_type = fault.payload()
    response = web.Response(status=status, body=content, content_type=content_type)
    response.headers.update(fault.headers)
    return response


async def _trickled(request: web.Request, response: web.StreamResponse, fault: Fault) -> web.StreamResponse:
    if fault.trickle_bytes_per_s is None or not isinstance(response, web.Response):
        return response
    body = response.body if isinstance(response.body, bytes) else b""
    slow = web.StreamResponse(status=response.status, headers=response.headers)
    slow.content_length = len(body)
    step = max(1, int(fault.trickle_bytes_per_s * _TRICKLE_STEP_S))
    await slow.prepare(request)
    for start in range(0, len(body), step):
        await slow.write(body[start : start + step])
        await asyncio.sleep(step / fault.trickle_bytes_per_s)
    return slow
