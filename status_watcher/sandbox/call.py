"""One API request on its way to its endpoint and back: who asks, with what body, and how answers look.

An endpoint takes a `Call` and returns an `Answer` or a `Refusal`; everything HTTP about them is here.
"""

import json
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import web

from status_watcher.sandbox.dedup import PendingPosts
from status_watcher.sandbox.errors import (
    NO_TOKEN,
    SESSION_EXPIRED,
    TOKEN_IN_QUERY,
    Refusal,
    body_invalid,
    url_param_invalid,
)
from status_watcher.sandbox.records import ID_CHARS, User, new_id
from status_watcher.sandbox.settings import ServerSettings
from status_watcher.sandbox.store import Store
from status_watcher.sandbox.wire import VERSION_ID

# Beyond `MaximumPayloadSizeBytes`, 9.9 still reads this much.
PAYLOAD_SLACK_BYTES = 512


@dataclass(slots=True)
class Backend:
    """What all endpoints share. `settings` may be replaced while the server runs, as administrators do."""

    store: Store
    settings: ServerSettings
    pending: PendingPosts


BACKEND = web.AppKey("backend", Backend)


@dataclass(slots=True)
class Exchange:
    """What belongs to the request being handled in this task.

    `body` is as read, one byte over the cap at most. `settle` is called when the request is over, whether the
    client still waits for the answer or not.
    """

    body: bytes
    settle: Callable[[], None] | None = None


EXCHANGE: ContextVar[Exchange] = ContextVar("exchange")


@dataclass(frozen=True, slots=True)
class Answer:
    """What an endpoint did: any JSON; with an `etag` that the client has, 304 and no body."""

    payload: Any
    status: int = 200
    etag: str = ""
    headers: dict[str, str] = field(default_factory=dict)


OK = Answer({"status": "OK"})


@dataclass(frozen=True, slots=True)
class Call:
    backend: Backend
    user: User
    request: web.Request

    @property
    def store(self) -> Store:
        return self.backend.store

    def param(self, name: str) -> str:
        """A part of the path; `me` as a user id is the caller's."""
        value = self.request.match_info[name]
        return self.user.id if (name, value) == ("user_id", "me") else value

    def body_object(self, name: str) -> dict[str, Any] | Refusal:
        """The body as a JSON object; `name` is what the refusal calls it."""
        body = _parsed(self.backend.settings, name)
        return body if isinstance(body, (dict, Refusal)) else body_invalid(name)

    def body_ids(self, name: str) -> list[str] | Refusal:
        """The body as a list of strings that is not empty."""
        body = _parsed(self.backend.settings, name)
        if isinstance(body, Refusal):
            return body
        if not isinstance(body, list) or not body or not all(isinstance(item, str) for item in body):
            return body_invalid(name)
        return body


Endpoint = Callable[[Call], Answer | Refusal]
OpenEndpoint = Callable[[web.Request], Answer | Refusal]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def endpoint(do: Endpoint) -> Handler:
    """The handler for a call that needs a valid token and, in the path, ids of 26 characters."""

    async def handle(request: web.Request) -> web.StreamResponse:
        backend = request.app[BACKEND]
        user = caller(request, backend)
        if isinstance(user, Refusal):
            return _respond(request, user)
        for name, value in request.match_info.items():
            if name.endswith("_id") and value != "me" and not is_id(value):
                return _respond(request, url_param_invalid(name))
        return _respond(request, do(Call(backend, user, request)))

    return handle


def open_endpoint(do: OpenEndpoint) -> Handler:
    """The handler for a call that needs no token."""

    async def handle(request: web.Request) -> web.StreamResponse:
        return _respond(request, do(request))

    return handle


def is_id(value: object) -> bool:
    return isinstance(value, str) and len(value) == ID_CHARS and value.isascii() and value.isalnum()


def token_of(request: web.Request) -> str:
    """The token that the request carries, or ""; `Bearer` and `Token` in any case are understood."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() in ("bearer", "token") else ""


def caller(request: web.Request, backend: Backend) -> User | Refusal:
    token = token_of(request)
    if not token:
        return TOKEN_IN_QUERY if "access_token" in request.query else NO_TOKEN
    user = backend.store.user_of_token(token)
    if user is not None:
        return user
    if backend.settings.enable_developer:
        return Refusal(401, SESSION_EXPIRED.id, SESSION_EXPIRED.message, f"token={token}", clear_cookie=True)
    return SESSION_EXPIRED


def no_such_route(request: web.Request) -> web.Response:
    """The answer where no call has that method and path; real servers leave their usual headers out here."""
    payload = {
        "id": "api.context.404.app_error",
        "message": "There is nothing here.",
        "detailed_error": f"no call for {request.method} {request.path}",
        "status_code": 404,
    }
    return web.Response(status=404, body=orjson.dumps(payload), content_type="application/json")


def _respond(request: web.Request, outcome: Answer | Refusal) -> web.Response:
    request_id = new_id()
    headers = {
        "Permissions-Policy": "",
        "Referrer-Policy": "no-referrer",
        "Vary": "Accept-Encoding",
        "X-Content-Type-Options": "nosniff",
        "X-Request-Id": request_id,
        "X-Version-Id": VERSION_ID,
    }
    if request.method == "GET":
        headers["Expires"] = "0"
    if isinstance(outcome, Refusal):
        return _refused(outcome, request_id, headers)
    headers |= outcome.headers
    if outcome.etag:
        headers["Etag"] = outcome.etag
        if request.headers.get("If-None-Match") == outcome.etag:
            return web.Response(status=304, headers=headers)
    response = _json(outcome.payload, outcome.status, headers)
    size_bytes = len(response.body) if isinstance(response.body, bytes) else 0
    large = size_bytes >= request.app[BACKEND].settings.gzip_from_bytes
    if large and "gzip" in request.headers.get("Accept-Encoding", ""):
        response.enable_compression(web.ContentCoding.gzip)
    return response


def _refused(refusal: Refusal, request_id: str, headers: dict[str, str]) -> web.Response:
    payload = {
        "id": refusal.id,
        "message": refusal.message,
        "detailed_error": refusal.detail,
        "request_id": request_id,
        "status_code": refusal.status,
    }
    if refusal.clear_cookie:
        headers["Set-Cookie"] = "MMAUTHTOKEN=; Path=/; Max-Age=0; HttpOnly"
    response = _json(payload, refusal.status, headers)
    if refusal.close_connection:
        response.force_close()
    return response


def _json(payload: Any, status: int, headers: dict[str, str]) -> web.Response:
    return web.Response(
        body=orjson.dumps(payload), status=status, headers=headers, content_type="application/json"
    )


def _parsed(settings: ServerSettings, name: str) -> Any:
    body = EXCHANGE.get().body
    if len(body) > settings.max_payload_bytes + PAYLOAD_SLACK_BYTES:
        return body_invalid(name, too_large=True)
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        pass
    # As Go's decoder does: bad UTF-8 and lone surrogates become U+FFFD instead of an error.
    try:
        parsed = json.loads(body.decode("utf-8", "replace"))
    except ValueError:
        return body_invalid(name)
    text = json.dumps(parsed, ensure_ascii=False)
    return orjson.loads(text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace"))
