"""`GET /health` over real sockets."""

import asyncio
import dataclasses
import os
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import aiohttp
import orjson
import pytest
from aiohttp import web

from status_watcher.core.health import Circuit, Health, Sessions, Watch, from_json
from status_watcher.edge.background import ask_health
from status_watcher.edge.health import CannotListen, HealthServer, serve

OK = Health(
    status="ok",
    version="1.2.3",
    pid=os.getpid(),
    uptime_s=1.0,
    sessions=Sessions(0, 0, 0),
    circuit=Circuit("closed", 0),
    watch=Watch("inotify", alive=True),
    mattermost_last_ok_s=None,
)


async def serving(host="127.0.0.1", port=0, health=OK) -> HealthServer:
    server = await serve(host, port, lambda: health)
    assert isinstance(server, HealthServer), server
    return server


async def get(url, method="GET", **kwargs):
    async with aiohttp.ClientSession() as session, session.request(method, url, **kwargs) as response:
        return response.status, response.headers.get("Content-Type"), await response.read()


@pytest.mark.parametrize(("status", "code"), [("ok", 200), ("degraded", 200), ("failed", 503)])
async def test_the_report_is_served_with_its_status(status, code):
    health = dataclasses.replace(OK, status=status)
    server = await serving(health=health)
    answer = await get(f"http://127.0.0.1:{server.port}/health")
    await server.close()
    assert answer[:2] == (code, "application/json")
    assert orjson.loads(answer[2])["pid"] == os.getpid()
    assert from_json(answer[2]) == health


@pytest.mark.parametrize("path", ["/", "/health/", "/metrics", "/health/x"])
async def test_there_is_nothing_else(path):
    server = await serving()
    status, _, _ = await get(f"http://127.0.0.1:{server.port}{path}")
    await server.close()
    assert status == 404


@pytest.mark.parametrize(
    ("host", "name", "expected"),
    [
        ("127.0.0.1", "127.0.0.1:1", 200),
        ("127.0.0.1", "LOCALHOST", 200),
        ("127.0.0.1", "localhost.:9090", 200),
        ("127.0.0.1", "[::1]:9090", 200),
        ("127.0.0.1", "127.8.8.8", 200),
        ("127.0.0.1", "127.0.0.1.evil.example", 421),
        ("127.0.0.1", "evil.example:9090", 421),
        ("127.0.0.1", "192.0.2.1", 421),
        ("127.0.0.1", "", 421),
        ("localhost", "evil.example", 421),
        ("0.0.0.0", "watcher.example:9090", 200),
    ],
)
async def test_only_where_others_cannot_reach_the_port_the_name_matters_for_all_of_it(host, name, expected):
    def extend(app: web.Application) -> None:
        async def more(_: web.Request) -> web.Response:
            return web.Response()

        app.router.add_get("/more", more)

    server = await serve(host, 0, lambda: OK, extend)
    assert isinstance(server, HealthServer)
    found = {
        path: (await get(f"http://127.0.0.1:{server.port}{path}", headers={"Host": name}))[0]
        for path in ("/health", "/more", "/nothing")
    }
    await server.close()
    assert found == {"/health": expected, "/more": expected, "/nothing": 404 if expected == 200 else expected}


async def test_a_supervisor_that_names_nobody_gets_its_answer():
    """HTTP/1.0 has no Host; browsers always send one."""
    server = await serving()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"GET /health HTTP/1.0\r\n\r\n")
    async with asyncio.timeout(5):
        assert b" 200 " in await reader.readline()
    writer.close()
    await server.close()


async def test_each_answer_is_a_fresh_snapshot():
    count = iter(range(10))
    server = await serve("127.0.0.1", 0, lambda: dataclasses.replace(OK, uptime_s=float(next(count))))
    assert isinstance(server, HealthServer)
    bodies = [(await get(f"http://127.0.0.1:{server.port}/health"))[2] for _ in range(3)]
    await server.close()
    assert [orjson.loads(body)["uptime_s"] for body in bodies] == [0, 1, 2]


async def test_P8_a_taken_port_is_a_returned_reason():
    first = await serving()
    second = await serve("127.0.0.1", first.port, lambda: OK)
    assert isinstance(second, CannotListen)
    assert f"127.0.0.1 port {first.port}" in second.reason
    assert "in use" in second.reason
    await first.close()


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
async def test_an_address_that_is_not_ours_is_a_returned_reason(host):
    outcome = await serve(host, 0, lambda: OK)
    assert isinstance(outcome, CannotListen)
    assert host in outcome.reason


async def test_the_port_is_free_again_after_closing():
    first = await serving()
    await get(f"http://127.0.0.1:{first.port}/health")
    await first.close()
    again = await serving(port=first.port)
    await again.close()


async def test_ipv6_is_served():
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    server = await serving(host="::1")
    status, _, _ = await get(f"http://[::1]:{server.port}/health")
    await server.close()
    assert status == 200


async def test_the_commands_can_ask_it_also_where_it_listens_everywhere():
    for host in ("127.0.0.1", "0.0.0.0"):
        server = await serving(host=host)
        assert await asyncio.to_thread(ask_health, host, server.port) == OK
        await server.close()


def test_nobody_or_somebody_else_or_a_mute_is_no_answer():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert ask_health("127.0.0.1", port, timeout_s=0.2) is None  # never answers

        def answer_nonsense():
            connection, _ = listener.accept()  # the one above
            connection.close()
            connection, _ = listener.accept()
            connection.recv(4096)
            connection.sendall(b"SSH-2.0-whatever\r\n")
            connection.close()

        with ThreadPoolExecutor(1) as pool:
            answered = pool.submit(answer_nonsense)
            assert ask_health("127.0.0.1", port) is None
            answered.result()
    assert ask_health("127.0.0.1", port) is None  # nobody
    assert threading.active_count() >= 1
