"""The sandbox's web page: every channel and post as Mattermost would show them, changing as they change.

`GET /` is the page, `GET /sandbox/state` what it shows as JSON, `GET /sandbox/events` its changes as they
happen (Server-Sent Events). A stream begins with the whole state, so a page that reconnects misses nothing.
Nobody has to log in.
"""

from collections.abc import Awaitable, Callable
from importlib import resources
from typing import Any

import jinja2
import orjson
from aiohttp import web

from status_watcher.sandbox.page_stream import PageStream
from status_watcher.sandbox.page_view import PageView
from status_watcher.sandbox.store import Store, StoreEvent

_CONTENT_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; style-src-attr 'unsafe-inline'; "
    "img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'"
)
"""The page needs nothing from elsewhere, and no post can make it fetch or run anything."""

_GONE_POLL_S = 0.1
"""How soon a page that was closed, or cut off by the server, is noticed; aiohttp has no event for it."""


def routes(store: Store) -> list[web.RouteDef]:
    """The page's routes, for `Sandbox(extra_routes=page.routes)`.

    An open page holds its request open until its connection ends, which `Sandbox.stop` sees to at once;
    nothing of it is left 0.1 s later.
    """
    return _LivePage(store).routes()


class _LivePage:
    def __init__(self, store: Store) -> None:
        self._store = store
        environment = jinja2.Environment(
            loader=jinja2.PackageLoader("status_watcher.sandbox"),
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._view = PageView(store, environment.get_template("post.html"))
        self._shell = environment.get_template("page.html")

    def routes(self) -> list[web.RouteDef]:
        static = resources.files("status_watcher.sandbox") / "static"
        return [
            web.get("/", self._page),
            web.get("/sandbox/state", self._state),
            web.get("/sandbox/events", self._events),
            *(
                web.get(f"/sandbox/static/{file.name}", _static(file.name, file.read_bytes()))
                for file in static.iterdir()
            ),
        ]

    async def _page(self, _: web.Request) -> web.Response:
        html = self._shell.render(team=self._view.team_name())
        headers = {"Content-Security-Policy": _POLICY, "Cache-Control": "no-store"}
        return web.Response(text=html, content_type="text/html", headers=headers)

    async def _state(self, _: web.Request) -> web.Response:
        return web.Response(
            body=orjson.dumps(self._view.state()),
            content_type="application/json",
            headers={"Cache-Control": "no-store"},
        )

    async def _events(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
        )
        await response.prepare(request)
        stream = PageStream()
        unsubscribe = self._store.subscribe(stream.offer)
        try:
            # Subscribed before the state is read, with no await in between: no change falls into a gap.
            await response.write(b"retry: 500\n" + _frame("state", self._view.state()))
            while (events := await stream.take(timeout_s=_GONE_POLL_S)) is not None and not _is_gone(request):
                if frames := b"".join(map(self._framed, events)):
                    await response.write(frames)
        except ConnectionResetError:
            pass  # the page was closed
        finally:
            unsubscribe()
        return response

    def _framed(self, event: StoreEvent) -> bytes:
        match event.kind:
            case "posted" | "post_edited" | "reaction_added" | "reaction_removed":
                current = self._store.posts.get(event.post.id) if event.post else None
                # What stands there now, which may be newer than the event: a page owes no more than that.
                return _frame("post", self._view.post(current)) if current and not current.delete_at else b""
            case "post_deleted":
                return _frame("gone", {"id": event.post.id}) if event.post else b""
            case "typing":
                return _frame("typing", self._view.typing(event))
            case "channel_created" | "member_added" | "member_removed":
                return _frame("channels", self._view.channels())


def _is_gone(request: web.Request) -> bool:
    return request.transport is None or request.transport.is_closing()


def _frame(name: str, payload: Any) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + orjson.dumps(payload) + b"\n\n"


def _static(name: str, content: bytes) -> Callable[[web.Request], Awaitable[web.Response]]:
    content_type = _CONTENT_TYPES["." + name.rpartition(".")[2]]

    async def handler(_: web.Request) -> web.Response:
        headers = {"Cache-Control": "no-cache"}
        return web.Response(body=content, content_type=content_type, charset="utf-8", headers=headers)

    return handler
