"""Serves `GET /health`, and says to whom the whole port answers."""

import os
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web
from aiohttp.typedefs import Handler

from status_watcher.core.health import Health, http_status, to_json
from status_watcher.core.own_names import is_foreign

_SHUTDOWN_TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True)
class CannotListen:
    """The address is taken, foreign or forbidden; `reason` is one line for the operator."""

    reason: str


class HealthServer:
    """A listening server; `port` is the one the kernel gave."""

    def __init__(self, runner: web.AppRunner, port: int) -> None:
        self._runner = runner
        self.port = port

    async def close(self) -> None:
        """Stop listening; answers under way get two seconds."""
        await self._runner.cleanup()


async def serve(
    host: str,
    port: int,
    snapshot: Callable[[], Health],
    extend: Callable[[web.Application], None] | None = None,
) -> HealthServer | CannotListen:
    """Answer `GET /health` on `host`:`port` from `snapshot`, which must neither block nor wait.

    Everything else is a 404, but for what `extend` adds. Who calls this machine by a foreign name gets 421,
    whatever is asked for. Unlike in the settings, port 0 here lets the kernel choose.
    """

    async def health(_: web.Request) -> web.Response:
        now = snapshot()
        return web.Response(
            body=to_json(now),
            status=http_status(now),
            content_type="application/json",
            headers={"Cache-Control": "no-store"},
        )

    @web.middleware
    async def by_our_name(request: web.Request, handler: Handler) -> web.StreamResponse:
        if is_foreign(host, request.headers.get("Host")):
            return web.Response(status=421, text="ask by a name of this machine, such as 127.0.0.1\n")
        return await handler(request)

    app = web.Application(middlewares=[by_our_name])
    app.router.add_get("/health", health)
    if extend is not None:
        extend(app)
    runner = web.AppRunner(app, handle_signals=False, access_log=None, shutdown_timeout=_SHUTDOWN_TIMEOUT_S)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        await runner.cleanup()
        # The loop's own text is a sentence around the errno; the errno says it better.
        reason = error.strerror if error.errno is None or error.errno < 0 else os.strerror(error.errno)
        return CannotListen(f"cannot listen on {host} port {port}: {reason}")
    except BaseException:
        await runner.cleanup()
        raise
    return HealthServer(runner, runner.addresses[0][1])
