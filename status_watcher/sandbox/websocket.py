"""The event stream: `/api/v4/websocket`.

Seen with 9.9: the token comes in the handshake's Authorization header or in a first frame
`authentication_challenge`; `hello` is the first event, before the answer to that frame; no token for 5 s or
a bad one ends the connection; a foreign Origin is refused with 403. Frames are numbered from 0.
"""

import asyncio
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

import orjson
from aiohttp import WSMessage, WSMsgType, web

from status_watcher.sandbox.call import BACKEND, Backend, token_of
from status_watcher.sandbox.events import Frame, broadcast, frames
from status_watcher.sandbox.records import StoreEvent, User, new_id
from status_watcher.sandbox.wire import VERSION, VERSION_ID

_MAX_CLIENT_FRAME_BYTES = 8_192
_KEPT_FRAMES = 10_000


@dataclass(frozen=True, slots=True)
class ClientFrame:
    """A frame that a reader sent: `action` is "" where it names none, `ok` whether it was understood."""

    user_id: str
    action: str
    ok: bool


class _Connection:
    """One reader of events; frames wait in `outbox` for its writer."""

    def __init__(self, user: User) -> None:
        self.user = user
        self.outbox: asyncio.Queue[str] = asyncio.Queue()
        self._seq = 0

    def send_event(self, frame: Frame) -> None:
        self.outbox.put_nowait(frame.numbered(self._seq))
        self._seq += 1

    def send_reply(self, reply: dict[str, Any]) -> None:
        self.outbox.put_nowait(orjson.dumps(reply).decode())


class EventStream:
    """All connected readers; `received` keeps the newest 10,000 frames that they sent, oldest first."""

    def __init__(self) -> None:
        self.received: deque[ClientFrame] = deque(maxlen=_KEPT_FRAMES)
        self._connections: set[_Connection] = set()

    def __len__(self) -> int:
        return len(self._connections)

    def publish(self, backend: Backend, event: StoreEvent) -> None:
        """Queues the event for those of the channel's members who are connected."""
        if not self._connections:
            return
        for frame in frames(backend.store, event):
            for connection in self._connections:
                if connection.user.id == frame.user_id:
                    connection.send_event(frame)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        backend = request.app[BACKEND]
        if _foreign_origin(request):
            return web.Response(status=403, text="foreign origin\n")
        socket = web.WebSocketResponse(
            max_msg_size=_MAX_CLIENT_FRAME_BYTES, heartbeat=backend.settings.websocket_ping_s
        )
        await socket.prepare(request)
        challenge: dict[str, Any] | None = None
        token = token_of(request)
        if not token:
            challenge = await _first_frame(socket, backend.settings.websocket_auth_timeout_s)
            token = _challenge_token(challenge)
        user = backend.store.user_of_token(token)
        if user is None:
            await socket.close()
            return socket
        connection = _Connection(user)
        if challenge is not None:
            self.received.append(ClientFrame(user.id, _action(challenge), ok=True))
        _greet(connection, challenge)
        self._connections.add(connection)
        writer = asyncio.create_task(_write(socket, connection), name="sandbox websocket writer")
        try:
            async for message in socket:
                frame = _parsed(message) or {}
                reply = _reply(backend, user, frame)
                self.received.append(ClientFrame(user.id, _action(frame), ok=reply["status"] == "OK"))
                connection.send_reply(reply)
        finally:
            self._connections.discard(connection)
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)
        return socket


def _foreign_origin(request: web.Request) -> bool:
    origin = request.headers.get("Origin")
    return origin is not None and origin.partition("://")[2] != request.host


async def _first_frame(socket: web.WebSocketResponse, timeout_s: float) -> dict[str, Any] | None:
    try:
        message = await socket.receive(timeout=timeout_s)
    except TimeoutError:
        return None
    return _parsed(message)


def _parsed(message: WSMessage) -> dict[str, Any] | None:
    if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
        return None
    try:
        frame = orjson.loads(message.data)
    except orjson.JSONDecodeError:
        return None
    return frame if isinstance(frame, dict) else None


def _challenge_token(frame: dict[str, Any] | None) -> str:
    if frame is None or frame.get("action") != "authentication_challenge":
        return ""
    data = frame.get("data")
    token = data.get("token") if isinstance(data, dict) else None
    return token if isinstance(token, str) else ""


def _greet(connection: _Connection, challenge: dict[str, Any] | None) -> None:
    to_user = broadcast(user_id=connection.user.id)
    hello = {"connection_id": new_id(), "server_version": VERSION_ID}
    connection.send_event(Frame(connection.user.id, "hello", hello, to_user))
    if challenge is not None:
        connection.send_reply({"status": "OK", "seq_reply": challenge.get("seq", 0)})
        online = {"status": "online", "user_id": connection.user.id}
        connection.send_event(Frame(connection.user.id, "status_change", online, to_user))


def _action(frame: dict[str, Any]) -> str:
    action = frame.get("action")
    return action if isinstance(action, str) else ""


def _reply(backend: Backend, user: User, frame: dict[str, Any]) -> dict[str, Any]:
    """What a client's frame is answered with; `user_typing` is the one that does something."""
    seq = frame.get("seq", 0)
    data = frame.get("data")
    match frame.get("action"):
        case "ping":
            pong = {
                "text": "pong",
                "version": VERSION,
                "server_time": time.time_ns() // 1_000_000,
                "node_id": "",
            }
            return {"status": "OK", "data": pong, "seq_reply": seq}
        case "user_typing" if isinstance(data, dict):
            channel = backend.store.channels.get(str(data.get("channel_id")))
            if channel is not None and user.id in channel.members:
                backend.store.typing(user.id, channel.id, str(data.get("parent_id") or ""))
            return {"status": "OK", "seq_reply": seq}
        case "get_statuses" | "get_statuses_by_ids":
            return {"status": "OK", "data": {}, "seq_reply": seq}
        case _:
            error = {"id": "api.web_socket_router.bad_action.app_error", "message": "No such action."}
            return {"status": "FAIL", "error": error, "seq_reply": seq}


async def _write(socket: web.WebSocketResponse, connection: _Connection) -> None:
    while not socket.closed:
        await socket.send_str(await connection.outbox.get())
