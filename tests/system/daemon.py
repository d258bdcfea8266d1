"""Drives the daemon as a process of its own: started, asked, stopped, killed; reads its log and `/health`."""

import asyncio
import contextlib
import os
import secrets
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import orjson

from status_watcher.config import Config
from status_watcher.sandbox.server import Sandbox
from status_watcher.sandbox.store import Post

T = TypeVar("T")

READY_WITHIN_S = 20.0
STOPS_WITHIN_S = 10.0
_LOOK_EVERY_S = 0.02
_OURS = frozenset(field.upper() for field in Config.model_fields) | {"STATE_DIRECTORY", "XDG_STATE_HOME"}


async def eventually(condition: Callable[[], T], within_s: float, what: str = "") -> T:
    """The first true answer of `condition`; fails with `what` and its last answer if none comes in time."""
    deadline_s = time.monotonic() + within_s
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() >= deadline_s:
            raise AssertionError(f"not within {within_s:g} s: {what or 'the condition'}; last: {found!r}")
        await asyncio.sleep(_LOOK_EVERY_S)


async def during(seconds: float, holds: Callable[[], bool], what: str = "") -> None:
    """Watches for so long that `holds` stays true: the window in which what must not happen would happen."""
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s:
        assert holds(), what
        await asyncio.sleep(_LOOK_EVERY_S)


def boxes(sandbox: Sandbox, channel_id: str = "") -> list[Post]:
    """Our posts, oldest first, deleted ones left out; those of one channel if it is named."""
    return [
        post
        for post in sandbox.store.posts.values()
        if post.user_id == sandbox.bot.id and not post.delete_at and channel_id in ("", post.channel_id)
    ]


def box_says(sandbox: Sandbox, word: str, *parts: str, channel_id: str = "") -> Callable[[], Post | None]:
    """A condition: the only box (of a channel) begins with `[word]` and has these parts; answers its post."""

    def look() -> Post | None:
        found = boxes(sandbox, channel_id)
        assert len(found) < 2, "\n\n".join(post.message for post in found)
        if not found or not found[0].message.startswith(f"[{word}]"):
            return None
        return found[0] if all(part in found[0].message for part in parts) else None

    return look


@dataclass(frozen=True, slots=True)
class HealthAnswer:
    """What `/health` answered."""

    http_status: int
    document: dict[str, Any]

    @property
    def status(self) -> str:
        return self.document["status"]

    @property
    def counters(self) -> dict[str, int]:
        return self.document["counters"]

    @property
    def problems(self) -> list[str]:
        return self.document["problems"]


class Daemon:
    """`python -m status_watcher run` in an environment of its own, below `root`.

    `openclaw` is the state directory that it watches, `log` takes its standard error of all runs.
    """

    def __init__(self, root: Path, sandbox: Sandbox, **settings: str) -> None:
        self.openclaw = root / "openclaw"
        self.state_dir = root / "state"
        self.log = root / "daemon.log"
        self.sessions_dir = self.openclaw / "agents" / "main" / "sessions"
        self.sessions_dir.mkdir(parents=True)
        self._port = _free_port()
        self._process: asyncio.subprocess.Process | None = None
        self.settings = {
            "MM_URL": sandbox.url,
            "MM_TOKEN": sandbox.bot_token,
            "OPENCLAW_STATE_DIR": str(self.openclaw),
            "STATE_DIR": str(self.state_dir),
            "PID_FILE": str(root / "watcher.pid"),
            "HEALTH_PORT": str(self._port),
            "NO_PROXY": "127.0.0.1",
            "HOME": str(root),
        } | settings

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return None if self._process is None else self._process.returncode

    async def start(self) -> None:
        """Returns when it answers on `/health` and says that it follows."""
        already = len(self.events("started"))
        env = {name: value for name, value in os.environ.items() if name not in _OURS} | self.settings
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "status_watcher",
                "run",
                env=env,
                stdin=asyncio.subprocess.DEVNULL,
                stderr=log,
            )
        deadline_s = time.monotonic() + READY_WITHIN_S
        while len(self.events("started")) == already or await self.health() is None:
            assert self._process.returncode is None, f"ended while starting:\n{self.log.read_text()}"
            assert time.monotonic() < deadline_s, f"not ready in time:\n{self.log.read_text()}"
            await asyncio.sleep(_LOOK_EVERY_S)

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    async def stop(self) -> int:
        """SIGTERM; its exit code, which must come in time."""
        self.signal(signal.SIGTERM)
        return await self.ended(STOPS_WITHIN_S)

    async def kill(self) -> None:
        """End it with SIGKILL: nothing is saved or marked."""
        self.signal(signal.SIGKILL)
        await self.ended(STOPS_WITHIN_S)

    async def ended(self, within_s: float) -> int:
        """The exit code of a process that is ending."""
        assert self._process is not None
        async with asyncio.timeout(within_s):
            return await self._process.wait()

    async def close(self) -> None:
        """Nothing runs afterwards."""
        if self._process is not None and self._process.returncode is None:
            await self.kill()

    async def health(self) -> HealthAnswer | None:
        """What `/health` says now; None if nobody, or another process, answers."""
        try:
            async with (
                aiohttp.ClientSession() as client,
                client.get(f"http://127.0.0.1:{self._port}/health") as response,
            ):
                answer = HealthAnswer(response.status, orjson.loads(await response.read()))
        except aiohttp.ClientError:
            return None
        return answer if answer.document["pid"] == self.pid else None

    async def sessions(self) -> list[dict[str, Any]]:
        """What `/sessions` tells anybody."""
        async with (
            aiohttp.ClientSession() as client,
            client.get(f"http://127.0.0.1:{self._port}/sessions") as response,
        ):
            return orjson.loads(await response.read())["sessions"]

    async def sessions_when(
        self, condition: Callable[[list[dict[str, Any]]], bool], within_s: float, what: str = ""
    ) -> list[dict[str, Any]]:
        """The first answer of `/sessions` for which the condition holds."""
        deadline_s = time.monotonic() + within_s
        while not condition(found := await self.sessions()):
            assert time.monotonic() < deadline_s, f"not within {within_s:g} s: {what}; last: {found}"
            await asyncio.sleep(_LOOK_EVERY_S)
        return found

    async def healthy_when(
        self, condition: Callable[[HealthAnswer], bool], within_s: float, what: str = ""
    ) -> HealthAnswer:
        """The first answer of `/health` for which the condition holds."""
        deadline_s = time.monotonic() + within_s
        while True:
            answer = await self.health()
            if answer is not None and condition(answer):
                return answer
            assert time.monotonic() < deadline_s, f"not within {within_s:g} s: {what}; last: {answer}"
            await asyncio.sleep(_LOOK_EVERY_S)

    def lines(self) -> list[dict[str, Any]]:
        """All that it logged; a line that is no JSON object fails."""
        if not self.log.exists():
            return []
        whole = self.log.read_bytes().rpartition(b"\n")[0]
        return [dict(orjson.loads(line)) for line in whole.splitlines()]

    def events(self, name: str) -> list[dict[str, Any]]:
        """The log lines of this event."""
        return [line for line in self.lines() if line.get("event") == name]


@contextlib.asynccontextmanager
async def beside(sandbox: Sandbox, root: Path, **settings: str) -> AsyncIterator[Daemon]:
    """A daemon for this sandbox, not started yet; at the end none runs, and it did nothing that none may.

    Not looked for is how close two edits are: those after SIGTERM wait for nothing, so that is for each test.
    """
    daemon = Daemon(root, sandbox, **settings)
    try:
        yield daemon
    finally:
        await daemon.close()
    assert sandbox.bot_token not in daemon.log.read_text(errors="replace"), "the token was logged"
    assert not daemon.events("news_not_understood")
    assert sandbox.violations() == []


def _free_port() -> int:
    """Below the ports of outgoing connections, one of which could take it between two runs."""
    while True:
        port = 20_000 + secrets.randbelow(12_000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
