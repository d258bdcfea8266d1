"""The calls to Mattermost that publishing needs, each answered by an `Outcome`: the one user of aiohttp's
client.

Requests as Mattermost 6.7, 7.8 and 9.9 take them. Nothing that is returned or logged here holds the token or
a body.
"""

import re
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final, Self, TypeVar
from urllib.parse import quote

import aiohttp
import orjson
from yarl import URL

from status_watcher.core.outcome import Answer, Failure, Ok, Outcome, Reason, Unavailable, classify
from status_watcher.core.post import Marks, RemotePost
from status_watcher.model import ChannelId, ChannelTarget, PostId, UserId

T = TypeVar("T")

CONNECTIONS: Final = 4
POSTS_PER_PAGE: Final = 60
_KEEP_ALIVE_S = 30  # Mattermost drops idle connections after 60 s without notice (9.9)
_CONNECT_S = 5.0
_FOREIGN_BODY_BYTES = 64 * 1024
_OBJECT_BODY_BYTES = 1 << 20  # one post: 16,383 characters can be 100 kB of JSON, and props come on top
_PAGE_BODY_BYTES = 32 << 20
_ERROR_ID = re.compile(r"[A-Za-z0-9_.\-]{1,120}")
_PROPS_KEY = "status_watcher"
_PROPS_VERSION = 1


class MattermostClient:
    """One keep-alive session with at most 4 connections, open between `async with` and its end.

    `base_url` has no trailing slash and no `/api/v4`. An empty `post_type` makes plain posts. Each call takes
    the longest time that it may last.
    """

    def __init__(
        self, base_url: str, token: str, *, version: str, post_type: str, proxy: str | None = None
    ) -> None:
        self._api = f"{base_url}/api/v4"
        # Given to each request: aiohttp hands a session's own headers to the proxy as well, and an
        # Authorization among them as its Proxy-Authorization (3.14).
        self._headers = {
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
            "User-Agent": f"status-watcher/{version}",
        }
        self._post_type = post_type
        self._proxy = proxy
        self._proxy_headers: dict[str, str] = {}
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        proxy = URL(self._proxy) if self._proxy else None
        if proxy is not None and proxy.user:
            login = b64encode(f"{proxy.user}:{proxy.password or ''}".encode()).decode()
            # On the way to a plain server the proxy reads the request itself, else the CONNECT before it.
            told = self._proxy_headers if self._api.startswith("https:") else self._headers
            told["Proxy-Authorization"] = f"Basic {login}"
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=CONNECTIONS, limit_per_host=CONNECTIONS, keepalive_timeout=_KEEP_ALIVE_S
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            proxy=None if proxy is None else proxy.with_user(None),
        )
        # An edit whose answer was lost has been applied (9.9, restart); aiohttp would send it again at once,
        # which makes an edit without a change, closer than the throttle. The publisher decides on repeats.
        self._session._retry_connection = False  # noqa: SLF001 - aiohttp has no public switch (3.14)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def me(self, within_s: float) -> Outcome[UserId]:
        """Whom the token belongs to."""
        return _id(await self._call("GET", "/users/me", None, within_s), UserId)

    async def direct_channel(self, me: UserId, user: UserId, within_s: float) -> Outcome[ChannelId]:
        """The channel between the two, made when there is none; always the same one."""
        return _id(await self._call("POST", "/channels/direct", [me, user], within_s), ChannelId)

    async def is_public(self, channel: ChannelId, within_s: float) -> Outcome[bool]:
        """Whether everybody on the server's team may read the channel."""
        outcome = await self._call("GET", f"/channels/{_segment(channel)}", None, within_s)
        return Ok(outcome.value.get("type") == "O") if isinstance(outcome, Ok) else outcome

    async def create(
        self, target: ChannelTarget, text: str, marks: Marks, within_s: float
    ) -> Outcome[RemotePost]:
        """Makes a post; with a nonce that the server remembers (30 s), answers with the first one."""
        body = {
            "channel_id": target.channel_id,
            "root_id": target.root_id,
            "message": text,
            "pending_post_id": marks.nonce,
            "props": {_PROPS_KEY: {"nonce": marks.nonce, "box": marks.box, "v": _PROPS_VERSION}},
        }
        if self._post_type:
            body["type"] = self._post_type
        return _post(await self._call("POST", "/posts", body, within_s))

    async def patch(self, post_id: PostId, text: str, within_s: float) -> Outcome[None]:
        """Replaces the text and nothing else; makes a history row even where the text is the same."""
        outcome = await self._call("PUT", f"/posts/{_segment(post_id)}/patch", {"message": text}, within_s)
        return Ok(None) if isinstance(outcome, Ok) else outcome

    async def get(self, post_id: PostId, within_s: float) -> Outcome[RemotePost]:
        """The post as it is now; Gone where it was deleted."""
        return _post(await self._call("GET", f"/posts/{_segment(post_id)}", None, within_s))

    async def delete(self, post_id: PostId, within_s: float) -> Outcome[None]:
        """Deletes the post; Denied where that has been done before."""
        outcome = await self._call("DELETE", f"/posts/{_segment(post_id)}", None, within_s)
        return Ok(None) if isinstance(outcome, Ok) else outcome

    async def page(
        self, channel_id: ChannelId, page: int, within_s: float
    ) -> Outcome[tuple[RemotePost, ...]]:
        """The channel's posts and replies, newest first, 60 a page from page 0; deleted ones are left out.

        Not `since`: that one lists each superseded version too, of which a box alone can have thousands
        (9.9).
        """
        path = f"/channels/{_segment(channel_id)}/posts?page={page}&per_page={POSTS_PER_PAGE}"
        outcome = await self._call("GET", path, None, within_s, limit_bytes=_PAGE_BODY_BYTES)
        if not isinstance(outcome, Ok):
            return outcome
        match outcome.value:
            case {"order": list(order), "posts": dict(posts)}:
                shown = (remote_post(posts.get(post_id)) for post_id in order if isinstance(post_id, str))
                return Ok(tuple(post for post in shown if post is not None))
            case _:
                return Unavailable(Reason.MISROUTED)

    async def _call(
        self, method: str, path: str, body: object, within_s: float, *, limit_bytes: int = _OBJECT_BODY_BYTES
    ) -> Outcome[Any]:
        if self._session is None:
            raise RuntimeError("the client is used outside its context")
        data = None if body is None else orjson.dumps(body)
        timeout = aiohttp.ClientTimeout(total=within_s, connect=min(within_s, _CONNECT_S))
        # The URL is ours to quote, yarl would only parse it again for each request.
        url = URL(self._api + path, encoded=True)
        try:
            async with self._session.request(
                method,
                url,
                data=data,
                headers=self._headers,
                timeout=timeout,
                allow_redirects=False,
                proxy_headers=self._proxy_headers or None,
            ) as response:
                is_json = 200 <= response.status < 300 and "json" in response.headers.get("Content-Type", "")
                raw = await _read(response, limit_bytes if is_json else _FOREIGN_BODY_BYTES)
                return _understand(response, raw)
        except (aiohttp.ClientError, TimeoutError) as error:
            return Unavailable(_reason(error))


def remote_post(raw: Any) -> RemotePost | None:
    """A post out of the server's JSON; None where it is none, or is a superseded version of one."""
    match raw:
        case {
            "id": str(post_id),
            "user_id": str(user_id),
            "message": str(text),
            "create_at": int(created),
        } if post_id:
            if raw.get("original_id"):
                return None
            return RemotePost(PostId(post_id), UserId(user_id), created, text, _marks(raw.get("props")))
        case _:
            return None


def _marks(props: Any) -> Marks | None:
    match props:
        case {"status_watcher": {"nonce": str(nonce)} as ours}:
            box = ours.get("box")
            return Marks(nonce, box if isinstance(box, str) else "")
        case _:
            return None


def _segment(text: str) -> str:
    return quote(text, safe="")


def _id(outcome: Outcome[Any], kind: Callable[[str], T]) -> Outcome[T]:
    if not isinstance(outcome, Ok):
        return outcome
    match outcome.value:
        case {"id": str(found)} if found:
            return Ok(kind(found))
        case _:
            return Unavailable(Reason.MISROUTED)


def _post(outcome: Outcome[Any]) -> Outcome[RemotePost]:
    if not isinstance(outcome, Ok):
        return outcome
    post = remote_post(outcome.value)
    return Unavailable(Reason.MISROUTED) if post is None else Ok(post)


async def _read(response: aiohttp.ClientResponse, limit_bytes: int) -> bytes | None:
    """The body, read to its end so that the connection can be used again; None where it is too long."""
    read = bytearray()
    async for chunk in response.content.iter_any():
        read += chunk
        if len(read) > limit_bytes:
            response.close()
            return None
    return bytes(read)


def _understand(response: aiohttp.ClientResponse, raw: bytes | None) -> Outcome[Any]:
    document: Any = None
    if raw:
        try:
            document = orjson.loads(raw)
        except orjson.JSONDecodeError:
            document = None
    is_object = isinstance(document, dict)
    error_id = document.get("id") if is_object else None
    outcome: Ok[None] | Failure = classify(
        Answer(
            status=response.status,
            is_object=is_object,
            is_foreign=raw is None or (bool(raw.strip()) and not is_object),
            error_id=error_id if isinstance(error_id, str) and _ERROR_ID.fullmatch(error_id) else "",
            retry_after=response.headers.get("Retry-After"),
            rate_limit_reset=response.headers.get("X-RateLimit-Reset"),
        ),
        datetime.now(UTC),
    )
    return Ok(document) if isinstance(outcome, Ok) else outcome


def _reason(error: aiohttp.ClientError | TimeoutError) -> Reason:
    match error:
        case aiohttp.ClientProxyConnectionError() | aiohttp.ClientHttpProxyError():
            return Reason.PROXY
        case aiohttp.ConnectionTimeoutError():
            return Reason.CONNECT_TIMEOUT
        case TimeoutError():
            return Reason.TIMEOUT
        case aiohttp.ClientConnectorDNSError():
            return Reason.DNS
        case aiohttp.ClientSSLError() | aiohttp.ServerFingerprintMismatch():
            return Reason.TLS
        case aiohttp.ClientConnectorError():
            return Reason.REFUSED
        case _:
            return Reason.DISCONNECTED
