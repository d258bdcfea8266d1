"""A Mattermost 9.9 on loopback, in memory: the server of the demo and of the tests."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from status_watcher.sandbox import (
    control,
    routes_channels,
    routes_posts,
    routes_reactions,
    routes_system,
    routes_users,
)
from status_watcher.sandbox.call import BACKEND, Backend
from status_watcher.sandbox.dedup import PendingPosts
from status_watcher.sandbox.faults import Faults
from status_watcher.sandbox.invariants import MentionWatch, connection_violations, edit_violations
from status_watcher.sandbox.rate_limit import RateLimiter
from status_watcher.sandbox.settings import RateLimit, ServerSettings
from status_watcher.sandbox.store import Store
from status_watcher.sandbox.traffic import WEBSOCKET, Handler, RecordedRequest, Traffic
from status_watcher.sandbox.websocket import EventStream

__all__ = ["RateLimit", "Sandbox", "ServerSettings"]

Routes = Sequence[web.AbstractRouteDef]
_DEFAULTS = ServerSettings()


class Sandbox:
    """One server on loopback: `async with Sandbox() as sandbox`, or `start` and `stop`.

    It begins with one team, our `bot` with its `bot_token`, one `person` with theirs, and a `channel` that
    both are in. `store` is what it knows, `faults` what goes wrong, `requests` what was asked of it.
    `extra_routes` are added beside the API (a page, say); given a function, it is called with the store.
    `clock` (seconds) is what the rate limit and the memory of `pending_post_id`s go by.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        settings: ServerSettings = _DEFAULTS,
        extra_routes: Routes | Callable[[Store], Routes] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.store = Store()
        self.faults = Faults()
        self.team = self.store.add_team("sandbox", "Sandbox")
        self.bot = self.store.add_user("status-bot", is_bot=True)
        self.bot_token = self.store.issue_token(self.bot.id)
        self.person = self.store.add_user("person")
        self.person_token = self.store.issue_token(self.person.id)
        self.channel = self.store.add_channel(
            "town-square", display_name="Town Square", members=(self.bot.id, self.person.id)
        )
        self.events = EventStream()
        self._host = host
        self._port = port
        self._backend = Backend(self.store, settings, PendingPosts(settings.dedup_window_s, clock))
        self._extra_routes = extra_routes(self.store) if callable(extra_routes) else extra_routes
        limit = settings.rate_limit
        self._traffic = Traffic(
            self.faults,
            RateLimiter(limit, clock) if limit else None,
            limit_by_token=bool(limit and limit.vary_by_user),
        )
        self._mentions = MentionWatch(self.store, self.bot.id)
        self._runner: web.AppRunner | None = None
        self._listener: asyncio.Server | None = None
        self.store.subscribe(partial(self.events.publish, self._backend))
        self.store.subscribe(self._mentions.see)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def url(self) -> str:
        """The site's address; the API is under `/api/v4`."""
        return f"http://{self._host}:{self._port}"

    @property
    def port(self) -> int:
        return self._port

    @property
    def settings(self) -> ServerSettings:
        return self._backend.settings

    def configure(self, **changes: Any) -> None:
        """Changes settings while running, as administrators do; the rate limit is fixed from the start."""
        self._backend.settings = replace(self._backend.settings, **changes)

    @property
    def requests(self) -> deque[RecordedRequest]:
        """The API requests so far, oldest first, at most the newest 10,000."""
        return self._traffic.requests

    @property
    def connections(self) -> int:
        """How many different connections have carried requests."""
        return self._traffic.connections

    @property
    def peak_busy_connections(self) -> int:
        """The most connections on which one user had requests running at one time."""
        return max(self._traffic.peak_busy.values(), default=0)

    def violations(self, throttle_s: float | None = None) -> list[str]:
        """What our bot did that it never should, one line each; `throttle_s` is the pace that it was set to.

        Looked for: edits that change nothing, edits of one post closer than the throttle, more than 4
        connections at work, texts with a live mention.
        """
        own = [edit for edit in self.store.edits if self.store.posts[edit.post_id].user_id == self.bot.id]
        return [
            *edit_violations(own, throttle_s),
            *connection_violations(self._traffic, self.bot.id),
            *self._mentions.found,
        ]

    async def start(self) -> None:
        @web.middleware
        async def through(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await self._traffic.through(request, handler)

        app = web.Application(middlewares=[through])
        app[BACKEND] = self._backend
        app.router.add_get(WEBSOCKET, self.events.handle)
        for routes in (routes_system, routes_users, routes_channels, routes_posts, routes_reactions):
            app.router.add_routes(routes.routes())
        app.router.add_routes(
            control.routes(self.store, self.faults, self._traffic, self.person.id, self.violations)
        )
        app.router.add_routes(self._extra_routes)
        self._runner = web.AppRunner(
            app,
            auto_decompress=False,  # a gzip body is not understood, as in 9.9
            access_log=None,
            keepalive_timeout=self.settings.idle_timeout_s,
            shutdown_timeout=0.1,
        )
        await self._runner.setup()
        await self.resume()

    async def stop(self) -> None:
        """Ends at once, whatever runs; a stopped sandbox keeps its port and may be started again."""
        await self.pause()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def pause(self) -> None:
        """An outage: new connections are refused, live ones cut, running requests end unanswered."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        for connection in self._server.connections if self._runner else ():
            if connection.transport is not None:
                connection.transport.abort()
        await self._traffic.stop()

    async def resume(self) -> None:
        """Listens again, on the same port; all that was stored is still there."""
        self._listener = await asyncio.get_running_loop().create_server(
            self._server, self._host, self._port, reuse_address=True
        )
        self._port = self._listener.sockets[0].getsockname()[1]

    @property
    def _server(self) -> web.Server:
        if self._runner is None or self._runner.server is None:
            raise RuntimeError("the sandbox is not started")
        return self._runner.server
