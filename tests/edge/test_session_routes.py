"""`/sessions` and `/events` over real sockets: whom they answer, and what becomes of slow listeners."""

import asyncio
import contextlib
import socket
from dataclasses import replace

import aiohttp
import pytest
from aiohttp import web

from status_watcher.core.event_wire import Told, redacted
from status_watcher.core.lifecycle import Happening
from status_watcher.core.replay import Replay
from status_watcher.core.session_report import SessionReport
from status_watcher.edge.session_routes import MOST_LISTENERS, Doorkeeper, EventStream, add_routes

REPORT = SessionReport("key", "label", "main", "channel", "DONE", 1.0, 0.0, "", 0, "")
TOLD = Told("run", 1, 1_800_000_000_000, "host", Happening.FINISHED, "turn", REPORT, None)
WITHIN_S = 5.0


class Everybody:
    """Tells all to everybody, or nothing that matters."""

    def __init__(self, *, hide: bool = False) -> None:
        self.hide = hide

    async def sessions(self) -> bytes:
        return b"{}\n"

    async def fit_to_tell(self, told: Told) -> Told:
        return redacted(told) if self.hide else told


@contextlib.asynccontextmanager
async def serving(token="", audience=None, **settings):
    stream = EventStream(Replay("run"), **settings)
    app = web.Application()
    add_routes(app, Doorkeeper(token), audience or Everybody(), stream)
    runner = web.AppRunner(app, handle_signals=False, access_log=None, shutdown_timeout=2)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield stream, runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def until(condition) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not condition():
            await asyncio.sleep(0.005)


async def status(port, path="/sessions", **headers) -> int:
    async with (
        aiohttp.ClientSession() as client,
        client.get(f"http://127.0.0.1:{port}{path}", headers=headers) as response,
    ):
        return response.status


async def test_a_quiet_stream_says_that_it_is_there():
    async with (
        serving(heartbeat_s=0.05) as (_, port),
        aiohttp.ClientSession() as client,
        client.get(f"http://127.0.0.1:{port}/events") as response,
        asyncio.timeout(WITHIN_S),
    ):
        lines = [await response.content.readline() for _ in range(4)]
    assert lines == [b"retry: 3000\n", b"\n", b": here\n", b"\n"]


async def test_who_has_gone_is_forgotten():
    async with serving(heartbeat_s=0.05) as (stream, port):
        async with aiohttp.ClientSession() as client, client.get(f"http://127.0.0.1:{port}/events"):
            await until(lambda: stream.counters()["listeners"] == 1)
        await until(lambda: stream.counters()["listeners"] == 0)
        assert stream.counters()["listeners_dropped"] == 0


async def test_one_who_does_not_read_is_dropped_and_holds_up_nobody():
    async with serving(most_waiting=50, write_within_s=0.3) as (stream, port):
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.connect(("127.0.0.1", port))
            deaf.sendall(b"GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            await until(lambda: stream.counters()["listeners"] == 1)
            big = replace(TOLD, report=replace(REPORT, label="x" * 20_000))
            number = 0
            async with asyncio.timeout(30):
                while stream.counters()["listeners"]:
                    number += 1
                    stream.publish(replace(big, number=number))
                    await asyncio.sleep(0.001)  # the stream's turn to write
        assert stream.counters()["listeners_dropped"] == 1


async def test_one_for_whom_too_much_waits_is_dropped_rather_than_told_half():
    class Slow(Everybody):
        def __init__(self) -> None:
            super().__init__()
            self.go_on = asyncio.Event()

        async def fit_to_tell(self, told: Told) -> Told:
            await self.go_on.wait()
            return told

    slow = Slow()
    async with (
        serving(audience=slow, most_waiting=5) as (stream, port),
        aiohttp.ClientSession() as client,
        client.get(f"http://127.0.0.1:{port}/events") as response,
    ):
        for number in range(1, 20):
            stream.publish(replace(TOLD, number=number))
        slow.go_on.set()
        with pytest.raises(aiohttp.ClientError):
            async with asyncio.timeout(WITHIN_S):
                await response.read()
        assert stream.counters() == {"listeners": 0, "listeners_dropped": 1}


async def test_a_listener_who_comes_back_for_more_than_may_wait_gets_it():
    async with serving(most_waiting=5) as (stream, port):
        for number in range(1, 101):
            stream.publish(replace(TOLD, number=number))
        ids = []
        async with (
            aiohttp.ClientSession() as client,
            client.get(f"http://127.0.0.1:{port}/events", headers={"Last-Event-ID": "run-10"}) as response,
            asyncio.timeout(WITHIN_S),
        ):
            stream.publish(replace(TOLD, number=101))
            while len(ids) < 91:
                line = await response.content.readline()
                if line.startswith(b"id: "):
                    ids.append(line.decode().strip().removeprefix("id: "))
    assert ids == [f"run-{number}" for number in range(11, 102)]


async def test_there_are_only_so_many_listeners():
    async with serving() as (_stream, port), contextlib.AsyncExitStack() as stack:
        client = await stack.enter_async_context(
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        )
        for _ in range(MOST_LISTENERS):
            await stack.enter_async_context(client.get(f"http://127.0.0.1:{port}/events"))
        assert await status(port, "/events") == 503
        assert await status(port) == 200


async def test_the_audience_decides_what_a_listener_sees():
    async with (
        serving(audience=Everybody(hide=True)) as (stream, port),
        aiohttp.ClientSession() as client,
        client.get(f"http://127.0.0.1:{port}/events") as response,
        asyncio.timeout(WITHIN_S),
    ):
        stream.publish(TOLD)
        lines = [await response.content.readline() for _ in range(5)]
    assert b'"redacted":true' in lines[4]
    assert b'label":""' in lines[4]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("Bearer the-token-itself", 200),
        ("bearer  the-token-itself", 200),
        ("Bearer the-token-itsel", 401),
        ("Basic the-token-itself", 401),
        ("the-token-itself", 401),
        ("Bearer \xff\xfe", 401),
        (None, 401),
    ],
)
async def test_a_token_opens_the_door(header, expected):
    async with serving(token="the-token-itself") as (_, port):
        headers = {} if header is None else {"Authorization": header}
        assert await status(port, **headers) == expected
        if expected != 200:
            assert await status(port, "/events", **headers) == expected
