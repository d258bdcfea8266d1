"""`GET /sessions`, `GET /events`, the webhook and Loki, by the real daemon."""

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import orjson
import pytest
from aiohttp import web
from daemon import Daemon, box_says, boxes, eventually
from gateway import Gateway

WITHIN_S = 10.0
TOKEN = "only-for-those-who-know-it"


async def ask(daemon: Daemon, path: str = "/sessions", **headers: str) -> tuple[int, bytes]:
    url = f"http://127.0.0.1:{daemon.settings['HEALTH_PORT']}{path}"
    async with aiohttp.ClientSession() as client, client.get(url, headers=headers) as response:
        return response.status, await response.read()


async def sessions(daemon: Daemon, **headers: str) -> list[dict[str, Any]]:
    status, body = await ask(daemon, **headers)
    assert status == 200, body
    document = orjson.loads(body)
    assert document["pid"] == daemon.pid
    return document["sessions"]


def bearer(token: str = TOKEN) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


class Receiver:
    """A server that takes what is posted to it, after as many refusals as it is told to make."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.ids: list[str] = []
        self.answers: list[int] = []
        self.url = ""

    async def _take(self, request: web.Request) -> web.Response:
        self.ids.append(request.headers["Idempotency-Key"])
        body = orjson.loads(await request.read())
        status = self.answers.pop(0) if self.answers else 204
        if status < 300:
            self.bodies.append(body)
        return web.Response(status=status)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Receiver"]:
        app = web.Application()
        app.router.add_post("/{path:.*}", self._take)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await runner.cleanup()

    def told(self) -> list[str]:
        return [body["event"] for body in self.bodies]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver().running() as running:
        yield running


class Stream:
    """Reads `/events` as a dashboard does."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.comments = 0

    async def next(self) -> dict[str, str]:
        """The next event's fields."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(WITHIN_S):
            while True:
                line = (await self._response.content.readline()).decode()
                if not line:
                    raise EOFError
                name, _, value = line.rstrip("\n").partition(": ")
                if name:
                    fields[name] = value
                elif "event" in fields:
                    return fields
                else:
                    fields = {}


@contextlib.asynccontextmanager
async def listening(daemon: Daemon, **headers: str) -> AsyncIterator[Stream]:
    url = f"http://127.0.0.1:{daemon.settings['HEALTH_PORT']}/events"
    async with aiohttp.ClientSession() as client, client.get(url, headers=headers) as response:
        assert response.status == 200
        assert response.content_type == "text/event-stream"
        yield Stream(response)


async def one_turn(daemon: Daemon, sandbox, **where: str) -> None:
    session = Gateway(daemon.openclaw).session(**where)
    count = len([box for box in boxes(sandbox) if box.message.startswith("[DONE]")])
    call = session.begin()
    await eventually(lambda: boxes(sandbox), WITHIN_S)
    session.finish(call)
    await eventually(
        lambda: len([box for box in boxes(sandbox) if box.message.startswith("[DONE]")]) > count, WITHIN_S
    )


async def test_sessions_tells_how_the_turn_stands_with_a_link_to_its_box(make_daemon, sandbox):
    daemon = await make_daemon()
    session = Gateway(daemon.openclaw).session(sandbox.channel.id)
    await daemon.start()
    call = session.begin()
    box = await eventually(box_says(sandbox, "ACTIVE"), WITHIN_S)
    (row,) = await sessions(daemon)
    assert row["key"] == session.key
    assert row["state"] == "ACTIVE"
    assert row["kind"] == "channel"
    assert row["agent"] == row["label"] == "main"
    assert row["model"] == "m"
    assert row["post"] == f"{sandbox.url}/_redirect/pl/{box.id}"
    assert 0 <= row["idle_s"] <= row["age_s"] + 1 < 30
    assert not row["redacted"]

    session.finish(call)
    await eventually(box_says(sandbox, "DONE"), WITHIN_S)
    (row,) = await sessions(daemon)
    assert row["state"] == "DONE"
    assert row["tokens"] > 0


async def test_without_a_token_nothing_of_a_direct_message_is_told(make_daemon, sandbox):
    daemon = await make_daemon()
    session = Gateway(daemon.openclaw).session(user_id=sandbox.person.id)
    await daemon.start()
    async with listening(daemon) as stream:
        session.begin("my secret wish")
        await eventually(lambda: boxes(sandbox), WITHIN_S)
        event = await stream.next()
    _status, body = await ask(daemon)
    (row,) = orjson.loads(body)["sessions"]
    assert (row["key"], row["label"], row["post"], row["model"], row["tokens"]) == ("", "", "", "", 0)
    assert (row["state"], row["redacted"]) == ("ACTIVE", True)
    told = orjson.loads(event["data"])
    assert told["redacted"]
    for text in (body.decode(), event["data"], (await ask(daemon, "/health"))[1].decode()):
        assert session.key not in text
        assert session.id not in text
        assert sandbox.person.id not in text
        assert "wish" not in text
        assert boxes(sandbox)[0].id not in text


async def test_private_channel_with_the_key_of_a_public_one_is_private(make_daemon, sandbox):
    """2026.2 names private channels like public ones."""
    daemon = await make_daemon()
    channel = sandbox.store.add_channel("secret", members=(sandbox.bot.id, sandbox.person.id))
    channel.type = "P"
    session = Gateway(daemon.openclaw).session(channel.id)
    await daemon.start()
    session.begin()
    await eventually(lambda: boxes(sandbox), WITHIN_S)
    (row,) = await sessions(daemon)
    assert row["redacted"]
    assert row["key"] == ""


async def test_with_a_token_only_who_shows_it_is_told_and_is_told_everything(make_daemon, sandbox):
    daemon = await make_daemon(HEALTH_TOKEN=TOKEN)
    session = Gateway(daemon.openclaw).session(user_id=sandbox.person.id)
    await daemon.start()
    session.begin()
    await eventually(lambda: boxes(sandbox), WITHIN_S)
    for headers in ({}, bearer("wrong-but-long-enough"), {"Authorization": TOKEN}, bearer("")):
        for path in ("/sessions", "/events"):
            status, body = await ask(daemon, path, **headers)
            assert status == 401
            assert session.key.encode() not in body
    (row,) = await sessions(daemon, **bearer())
    assert row["key"] == session.key
    assert not row["redacted"]
    assert TOKEN not in daemon.log.read_text()


@pytest.mark.parametrize(
    ("host", "status"),
    [("127.0.0.1:9090", 200), ("localhost", 200), ("[::1]:9090", 200), ("evil.example:9090", 421), ("", 421)],
)
async def test_a_foreign_name_for_this_machine_gets_no_answer(make_daemon, host, status):
    daemon = await make_daemon()
    await daemon.start()
    for path in ("/sessions", "/health"):
        assert (await ask(daemon, path, Host=host))[0] == status


async def test_a_listener_who_comes_back_has_missed_nothing(make_daemon, sandbox):
    daemon = await make_daemon()
    gateway = Gateway(daemon.openclaw)
    await daemon.start()
    async with listening(daemon) as stream:
        first = gateway.session(sandbox.channel.id)
        call = first.begin()
        started = await stream.next()
    assert started["event"] == "session.started"
    first.finish(call)
    second = gateway.session(sandbox.store.add_channel("other", members=(sandbox.bot.id,)).id)
    second.begin()
    await eventually(lambda: len(boxes(sandbox)) == 2, WITHIN_S)

    async with listening(daemon, **{"Last-Event-ID": started["id"]}) as stream:
        missed = [await stream.next(), await stream.next()]
    assert {event["event"] for event in missed} == {"session.finished", "session.started"}
    assert orjson.loads(missed[0]["data"])["id"] == missed[0]["id"] != started["id"]

    async with listening(daemon, **{"Last-Event-ID": "of-another-run"}) as stream:
        assert (await stream.next())["event"] == "gap"
        assert (await stream.next())["id"] == started["id"]


async def test_listeners_are_told_of_the_stop_and_do_not_delay_it(make_daemon, sandbox):
    daemon = await make_daemon()
    await daemon.start()
    async with listening(daemon) as stream:
        Gateway(daemon.openclaw).session(sandbox.channel.id).begin()
        assert (await stream.next())["event"] == "session.started"
        assert await daemon.stop() == 0
        assert (await stream.next())["event"] == "session.interrupted"
        with pytest.raises(EOFError):
            await stream.next()


async def test_webhook_and_loki_get_each_event_once_whatever_they_answer_first(
    make_daemon, sandbox, receiver
):
    async with Receiver().running() as loki:
        receiver.answers = [503, 429]
        daemon = await make_daemon(EVENTS_WEBHOOK_URL=f"{receiver.url}/in?key=1", LOKI_PUSH_URL=loki.url)
        session = Gateway(daemon.openclaw).session(sandbox.channel.id)
        await daemon.start()
        call = session.begin()
        box = await eventually(box_says(sandbox, "ACTIVE"), WITHIN_S)
        session.finish(call)
        await eventually(lambda: len(receiver.bodies) == 2 and loki.bodies, 2 * WITHIN_S)
    assert receiver.told() == ["session.started", "session.finished"]
    assert len(receiver.ids) == 4
    assert len(set(receiver.ids)) == 2
    started, finished = receiver.bodies
    assert started["turn"] == finished["turn"]
    assert finished["post"].endswith(box.id)
    assert (finished["key"], finished["agent"], finished["label"]) == (session.key, "main", "main")
    assert finished["tokens"] > 0
    assert finished["host"]
    assert finished["time"].endswith("Z")
    streams = [stream for body in loki.bodies for stream in body["streams"]]
    assert {tuple(stream["stream"]) for stream in streams} == {("host", "agent", "event")}
    lines = [orjson.loads(line) for stream in streams for _, line in stream["values"]]
    assert [line["id"] for line in lines] == [started["id"], finished["id"]]
    health = await daemon.health()
    assert health.counters["webhook_sent"] == 2
    assert health.counters["webhook_retries"] == 2
    assert health.counters["loki_sent"] == 2
    assert "key=1" not in daemon.log.read_text()


async def test_a_webhook_that_never_answers_is_in_nobodys_way(make_daemon, sandbox):
    """It takes the connection and says nothing."""

    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(mute, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    daemon = await make_daemon(EVENTS_WEBHOOK_URL=f"http://user:passphrase@127.0.0.1:{port}/")
    await daemon.start()
    await one_turn(daemon, sandbox, channel_id=sandbox.channel.id)
    health = await daemon.health()
    assert health.status == "ok"
    assert await daemon.stop() == 0
    assert "passphrase" not in daemon.log.read_text()
    server.close()


async def test_after_a_restart_the_same_turn_does_not_start_again(make_daemon, sandbox, receiver):
    daemon = await make_daemon(EVENTS_WEBHOOK_URL=receiver.url)
    gateway = Gateway(daemon.openclaw)
    session = gateway.session(sandbox.channel.id)
    await daemon.start()
    call = session.begin()
    await eventually(box_says(sandbox, "ACTIVE"), WITHIN_S)
    await eventually(lambda: receiver.told() == ["session.started"], WITHIN_S)
    await daemon.kill()
    await daemon.start()
    await eventually(box_says(sandbox, "ACTIVE"), WITHIN_S)
    session.finish(call)
    await eventually(box_says(sandbox, "DONE"), WITHIN_S)
    await eventually(lambda: len(receiver.bodies) == 2, WITHIN_S)
    assert await daemon.stop() == 0
    await daemon.start()
    other = gateway.session(sandbox.store.add_channel("other", members=(sandbox.bot.id,)).id)
    other.begin()
    await eventually(lambda: len(receiver.bodies) == 3, WITHIN_S)
    assert receiver.told() == ["session.started", "session.finished", "session.started"]
    assert receiver.bodies[2]["key"] == other.key


async def test_secret_in_a_label_is_redacted_everywhere(make_daemon, sandbox, receiver):
    secret = "ghp_" + "a1B2c3D4e5F6g7H8i9J0" * 2
    daemon = await make_daemon(EVENTS_WEBHOOK_URL=receiver.url)
    session = Gateway(daemon.openclaw).session(sandbox.channel.id)
    session._told |= {"label": f"deploy {secret}"}
    await daemon.start()
    session.begin()
    await eventually(lambda: receiver.bodies, WITHIN_S)
    (row,) = await sessions(daemon)
    for text in (row["label"], receiver.bodies[0]["label"]):
        assert text.startswith("deploy ")
        assert secret[:12] not in text


def command(daemon: Daemon, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    known = {"PATH": os.environ.get("PATH", ""), "HOME": daemon.settings["HOME"]}
    known |= {"STATE_DIR": str(daemon.state_dir)} | env
    return subprocess.run(
        [sys.executable, "-m", "status_watcher", *arguments],
        env=known,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


async def test_the_command_lists_what_the_daemon_knows(make_daemon, sandbox):
    daemon = await make_daemon(HEALTH_TOKEN=TOKEN)
    gateway = Gateway(daemon.openclaw)
    assert command(daemon, "sessions").returncode == 3
    await daemon.start()
    empty = await asyncio.to_thread(command, daemon, "sessions", HEALTH_TOKEN=TOKEN)
    assert (empty.returncode, empty.stdout) == (0, "no sessions\n")
    session = gateway.session(user_id=sandbox.person.id)
    session.begin()
    box = await eventually(box_says(sandbox, "ACTIVE"), WITHIN_S)

    listed = await asyncio.to_thread(command, daemon, "sessions", HEALTH_TOKEN=TOKEN)
    assert listed.returncode == 0, listed.stderr
    (line,) = listed.stdout.splitlines()
    assert line.startswith("[ACTIVE]  ")
    assert line.endswith(f"{session.key}  {sandbox.url}/_redirect/pl/{box.id}")
    in_json = await asyncio.to_thread(command, daemon, "sessions", "--json", HEALTH_TOKEN=TOKEN)
    (row,) = orjson.loads(in_json.stdout)["sessions"]
    assert row["key"] == session.key

    for token, told in (("", "is set for the daemon, and not here"), ("wrong-token", "is not the daemon's")):
        refused = await asyncio.to_thread(command, daemon, "sessions", HEALTH_TOKEN=token)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert refused.stderr == f"status-watcher: HEALTH_TOKEN {told}\n"


async def test_the_command_says_when_there_is_no_port_to_ask(tmp_path, sandbox):
    env = {"MM_URL": sandbox.url, "MM_TOKEN": sandbox.bot_token, "HEALTH_PORT": "0"}
    daemon = Daemon(tmp_path, sandbox, **env)
    known = {"PATH": os.environ.get("PATH", "")} | daemon.settings
    started = await asyncio.to_thread(command, daemon, "start", **known)
    try:
        assert started.returncode == 0, started.stderr
        asked = await asyncio.to_thread(command, daemon, "sessions")
        assert (asked.returncode, asked.stdout) == (1, "")
        assert "HEALTH_PORT=0" in asked.stderr
    finally:
        await asyncio.to_thread(command, daemon, "stop")
