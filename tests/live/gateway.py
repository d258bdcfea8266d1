"""A real OpenClaw gateway on loopback, with our model, our sandbox as its Mattermost, and our hook."""

import asyncio
import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from live.installed import Installed
from live.model import NAME, ScriptedModel

from status_watcher.sandbox.server import Sandbox

T = TypeVar("T")

UP_WITHIN_S = 90.0
ENDS_WITHIN_S = 30.0
CALL_WITHIN_S = 30.0
HOOK = "status-watcher-hook"
COMMAND = (sys.executable, "-m", "status_watcher")
_LOOK_EVERY_S = 0.05
_TOKEN = "live-gateway-token-0123456789"


async def eventually(condition: Callable[[], T], within_s: float, what: str) -> T:
    """The first true answer of `condition`; fails with `what` and its last answer if none comes in time."""
    deadline_s = time.monotonic() + within_s
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < deadline_s, f"not within {within_s:g} s: {what}; last: {found!r}"
        await asyncio.sleep(_LOOK_EVERY_S)


class Gateway:
    """`openclaw gateway run`, started and ended as often as a test likes, in a home of its own.

    `bot_token` is the gateway's own account in the sandbox.
    """

    def __init__(
        self, installed: Installed, root: Path, sandbox: Sandbox, model: ScriptedModel, bot_token: str
    ) -> None:
        installed.renew()
        self.installed = installed
        self.home = installed.home
        self.state_dir = self.home / ".openclaw"
        self.log = root / "gateway.log"
        self._sandbox = sandbox
        self._port = free_port()
        self._process: asyncio.subprocess.Process | None = None
        (root / "tmp").mkdir()
        self.env = {
            "HOME": str(self.home),
            "PATH": os.pathsep.join([str(installed.node.parent), os.environ["PATH"]]),
            "TMPDIR": str(root / "tmp"),
            "TZ": "UTC",
            "LANG": "C.UTF-8",
            "NO_COLOR": "1",
            "NO_PROXY": "127.0.0.1",
            "OPENCLAW_NO_RESPAWN": "1",
            "OPENCLAW_DISABLE_BONJOUR": "1",
            "OPENCLAW_SKIP_UPDATE_CHECK": "1",
        }
        self.config_file = self.state_dir / "openclaw.json"
        as_installed = json.loads(self.config_file.read_text())
        settings = as_installed | self._settings(sandbox, model, bot_token)
        self.config_file.write_text(json.dumps(settings, indent=2))

    def _settings(self, sandbox: Sandbox, model: ScriptedModel, bot_token: str) -> dict[str, Any]:
        return {
            "gateway": {
                "mode": "local",
                "port": self._port,
                "bind": "loopback",
                "auth": {"mode": "token", "token": _TOKEN},
            },
            "logging": {"file": str(self.log.with_name("openclaw.log"))},
            "models": {
                "mode": "replace",
                "providers": {
                    "mock": {
                        "baseUrl": model.url,
                        "apiKey": "none",
                        "api": "openai-completions",
                        "models": [
                            {
                                "id": NAME,
                                "name": "Scripted",
                                "reasoning": False,
                                "input": ["text"],
                                "cost": {"input": 1, "output": 2, "cacheRead": 0, "cacheWrite": 0},
                                "contextWindow": 200_000,
                                "maxTokens": 4_096,
                            }
                        ],
                    }
                },
            },
            "agents": {
                "defaults": {
                    "model": {"primary": f"mock/{NAME}"},
                    "workspace": str(self.state_dir / "workspace"),
                    "skipBootstrap": True,
                    "heartbeat": {"every": "0m"},
                    # Whatever is older than its last few lines a gateway finds worth compacting.
                    "compaction": {"memoryFlush": {"enabled": False}, "keepRecentTokens": 200},
                }
            },
            "tools": {
                "profile": "coding",
                "exec": {"host": "gateway", "security": "full", "ask": "off"},
            },
            "session": {"reset": {"mode": "idle", "idleMinutes": 100_000}},
            "channels": {
                "mattermost": {
                    "enabled": True,
                    "botToken": bot_token,
                    "baseUrl": sandbox.url,
                    "dmPolicy": "open",
                    "allowFrom": ["*"],
                    # The modes in which a gateway answers most: whoever writes, mentioned or not.
                    "groupPolicy": "open",
                    "chatmode": "onmessage",
                    "network": {"dangerouslyAllowPrivateNetwork": True},
                }
            },
        }

    def install_hook(self, **env: str) -> None:
        """Has our command install and enable the hook; `env` is what the hook gives the daemon."""
        settings = json.loads(self.config_file.read_text())
        settings["hooks"] = {"internal": {"entries": {HOOK: {"env": env}}}}
        self.config_file.write_text(json.dumps(settings, indent=2))
        where = ("--state-dir", str(self.state_dir))
        installed = subprocess.run(
            [*COMMAND, "hook", "install", "--enable", *where],
            env=self.env,
            capture_output=True,
            text=True,
            timeout=CALL_WITHIN_S,
            check=False,
        )
        assert installed.returncode == 0, installed.stdout + installed.stderr

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        """Returns when its plugin listens to the sandbox."""
        assert not self.runs
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self.installed.command,
                *("gateway", "run", "--port", str(self._port), "--bind", "loopback", "--token", _TOKEN),
                env=self.env,
                cwd=self.home,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

        def listens() -> bool:
            assert self.runs, f"the gateway ended with {self._process and self._process.returncode}"
            return len(self._sandbox.events) > 0

        await eventually(listens, UP_WITHIN_S, "the plugin's websocket is open")

    async def end(self, number: signal.Signals, within_s: float = ENDS_WITHIN_S) -> None:
        """Sends the signal; returns when the process is gone."""
        assert self._process is not None
        self._process.send_signal(number)
        async with asyncio.timeout(within_s):
            await self._process.wait()

    async def close(self) -> None:
        """Nothing that it started runs afterwards, our daemon included."""
        if self.runs:
            await self.end(signal.SIGKILL)
        for pid in self._left_over():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    async def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """The gateway's answer to a call by an administrator's client."""
        calling = await asyncio.create_subprocess_exec(
            *(str(self.installed.node), str(Path(__file__).with_name("control.mjs"))),
            *(f"ws://127.0.0.1:{self._port}", _TOKEN, method, json.dumps(params)),
            env=self.env,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(CALL_WITHIN_S):
            answer, complaint = await calling.communicate()
        assert calling.returncode == 0, f"{method}: {complaint.decode(errors='replace')}"
        return dict(json.loads(answer))

    def _left_over(self) -> Iterator[int]:
        """What still runs with our scratch home in its environment: commands of killed turns, the daemon."""
        mark = f"HOME={self.home}".encode()
        for directory in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if directory.name.isdigit() and mark in (directory / "environ").read_bytes().split(b"\0"):
                    yield int(directory.name)


def free_port() -> int:
    """Below the ports of outgoing connections, one of which could take it between two runs."""
    while True:
        port = 20_000 + secrets.randbelow(12_000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
