"""A process that takes HTTP requests and reports when each arrived, with as little in between as can be.

Prints its port, then one line of JSON for each request that changes something: when its first bytes were
there (CLOCK_MONOTONIC, which processes share), its path and its body. Answers as Mattermost does to what
the daemon asks: who am I, create, edit.
"""

import asyncio
import sys
import time

import orjson

_HEAD_END = b"\r\n\r\n"
_LENGTH = b"content-length:"
_USER = "u" * 26


class _Connection(asyncio.Protocol):
    def __init__(self) -> None:
        self._transport: asyncio.WriteTransport | None = None
        self._read = bytearray()
        self._began_s = 0.0
        self._created = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.WriteTransport):
            self._transport = transport

    def data_received(self, data: bytes) -> None:
        now_s = time.monotonic()
        if not self._read:
            self._began_s = now_s
        self._read += data
        while (end := self._read.find(_HEAD_END)) >= 0:
            head = bytes(self._read[:end])
            size = _content_length(head)
            if len(self._read) < end + len(_HEAD_END) + size:
                return
            body = bytes(self._read[end + len(_HEAD_END) : end + len(_HEAD_END) + size])
            del self._read[: end + len(_HEAD_END) + size]
            method, path, _ = head.split(b" ", 2)
            self._answer(method.decode(), path.decode(), body)

    def _answer(self, method: str, path: str, body: bytes) -> None:
        given = orjson.loads(body) if body else {}
        document: dict[str, object] = {"id": _USER}
        if path.endswith("/posts"):
            document = _post(f"{time.monotonic_ns():026d}", given["message"])
        elif path.endswith("/patch"):
            document = _post(path.split("/")[-2], given["message"])
        answer = orjson.dumps(document)
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(answer)}\r\n\r\n"
        if self._transport is not None:
            self._transport.write(head.encode() + answer)
        if method != "GET":
            seen = {"at_s": self._began_s, "method": method, "path": path, "body": given}
            sys.stdout.buffer.write(orjson.dumps(seen) + b"\n")
            sys.stdout.buffer.flush()


def _content_length(head: bytes) -> int:
    lowered = head.lower()
    start = lowered.find(_LENGTH)
    return int(lowered[start + len(_LENGTH) :].split(b"\r\n", 1)[0]) if start >= 0 else 0


def _post(post_id: str, text: str) -> dict[str, object]:
    return {"id": post_id, "user_id": _USER, "message": text, "create_at": time.time_ns() // 1_000_000}


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(_Connection, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve())
