"""Serves `GET /sessions` and `GET /events`: whom it answers, and the stream itself."""

import asyncio
import hmac
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Final, Protocol

from aiohttp import web

from status_watcher.core.event_wire import Told, server_sent
from status_watcher.core.replay import Replay

HEARTBEAT_S: Final = 15.0
WRITE_WITHIN_S: Final = 10.0
MOST_LISTENERS: Final = 32
MOST_WAITING: Final = 256
"""Events that wait for one listener; one that lets more wait is dropped, and may come back for them."""
_RETRY_MS: Final = 3_000
_STAY: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


class Audience(Protocol):
    """What may be told to whoever asks on the port."""

    async def sessions(self) -> bytes:
        """The body of `GET /sessions`."""
        ...

    async def fit_to_tell(self, told: Told) -> Told:
        """The event without what is not for everybody."""
        ...


class Doorkeeper:
    """Whom these routes answer: everybody, or with a token set who shows it."""

    def __init__(self, token: str) -> None:
        self._token = token.encode()

    def refusal(self, request: web.Request) -> web.Response | None:
        """The answer to those who get none."""
        if not self._token:
            return None
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        shown = given.strip().encode("utf-8", "surrogateescape")
        if scheme.casefold() == "bearer" and hmac.compare_digest(shown, self._token):
            return None
        return web.Response(
            status=401, headers={"WWW-Authenticate": "Bearer"}, text="the token of HEALTH_TOKEN is needed\n"
        )


class _Listener:
    def __init__(self, most_waiting: int) -> None:
        self.waiting: deque[Told] = deque()
        self.most_waiting = most_waiting
        self.stirred = asyncio.Event()
        self.too_slow = False


class EventStream:
    """Those who listen now, and what they have missed."""

    def __init__(
        self,
        replay: Replay,
        *,
        heartbeat_s: float = HEARTBEAT_S,
        write_within_s: float = WRITE_WITHIN_S,
        most_waiting: int = MOST_WAITING,
    ) -> None:
        self._replay = replay
        self._listeners: set[_Listener] = set()
        self._heartbeat_s = heartbeat_s
        self._write_within_s = write_within_s
        self._most_waiting = most_waiting
        self._closing = False
        self._dropped = 0

    def publish(self, told: Told) -> None:
        """To everybody who listens, and kept for those who come back."""
        self._replay.keep(told)
        for listener in self._listeners:
            if len(listener.waiting) >= listener.most_waiting:
                listener.too_slow = True
            else:
                listener.waiting.append(told)
            listener.stirred.set()

    def close(self) -> None:
        """Who listens gets what waits, and no more."""
        self._closing = True
        for listener in self._listeners:
            listener.stirred.set()

    def counters(self) -> dict[str, int]:
        return {"listeners": len(self._listeners), "listeners_dropped": self._dropped}

    async def serve(self, request: web.Request, fit: Callable[[Told], Awaitable[Told]]) -> web.StreamResponse:
        """One listener's connection, to its end."""
        if self._closing or len(self._listeners) >= MOST_LISTENERS:
            return web.Response(status=503, headers={"Retry-After": "10"}, text="too many listen\n")
        response = web.StreamResponse(headers=_STAY | {"X-Accel-Buffering": "no"})
        response.content_type = "text/event-stream"
        last_id = request.headers.get("Last-Event-ID", "").strip()
        try:
            with self._listening(last_id) as (listener, head):
                await response.prepare(request)
                await self._write(response, head)
                while await self._go_on(response, listener, fit):
                    pass
        except (ConnectionError, TimeoutError):
            self._cut(request)
        return response

    @contextmanager
    def _listening(self, last_id: str) -> Iterator[tuple[_Listener, bytes]]:
        """From here on nothing is missed; yields the listener and what stands at the head of the stream."""
        listener, head = _Listener(self._most_waiting), b"retry: %d\n\n" % _RETRY_MS
        if last_id:
            missed = self._replay.missed_since(last_id)
            # Without an id of its own, so that the listener's last one stays.
            head += b"event: gap\ndata: {}\n\n" if missed.gap else b""
            listener.waiting.extend(missed.events)
            listener.most_waiting += len(missed.events)
        self._listeners.add(listener)
        try:
            yield listener, head
        finally:
            self._listeners.discard(listener)

    async def _go_on(
        self, response: web.StreamResponse, listener: _Listener, fit: Callable[[Told], Awaitable[Told]]
    ) -> bool:
        """Writes what waits, or after a while that we are here; false at the end."""
        while listener.waiting and not listener.too_slow:
            await self._write(response, server_sent(await fit(listener.waiting.popleft())))
        if listener.too_slow:
            raise TimeoutError
        if self._closing:
            return False
        listener.stirred.clear()
        try:
            async with asyncio.timeout(self._heartbeat_s):
                await listener.stirred.wait()
        except TimeoutError:
            await self._write(response, b": here\n\n")
        return True

    async def _write(self, response: web.StreamResponse, data: bytes) -> None:
        async with asyncio.timeout(self._write_within_s):
            await response.write(data)

    def _cut(self, request: web.Request) -> None:
        """Of one who does not read, nothing more is kept; one who has gone has gone."""
        if request.transport is not None and not request.transport.is_closing():
            self._dropped += 1
            request.transport.abort()


def add_routes(app: web.Application, doorkeeper: Doorkeeper, audience: Audience, stream: EventStream) -> None:
    """Lets an application answer to both, and end its streams when it shuts down."""

    async def sessions(request: web.Request) -> web.StreamResponse:
        if (refusal := doorkeeper.refusal(request)) is not None:
            return refusal
        return web.Response(body=await audience.sessions(), content_type="application/json", headers=_STAY)

    async def events(request: web.Request) -> web.StreamResponse:
        if (refusal := doorkeeper.refusal(request)) is not None:
            return refusal
        return await stream.serve(request, audience.fit_to_tell)

    async def end_streams(_: web.Application) -> None:
        stream.close()

    app.router.add_get("/sessions", sessions)
    # A HEAD of a stream would never end.
    app.router.add_get("/events", events, allow_head=False)
    app.on_shutdown.append(end_streams)
