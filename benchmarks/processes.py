"""The processes of a benchmark: the real daemon, what it talks to, and what the kernel says of it."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

HERE: Final = Path(__file__).parent
CHANNEL_ID: Final = "c" * 26
READY_S: Final = 30.0
_STOP_S: Final = 15.0
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Daemon:
    """A running daemon; `start_s` is what it took from its being called to its first good `/health`."""

    pid: int
    health_url: str
    start_s: float

    def health(self) -> dict[str, Any]:
        """The document; what it calls a problem is said aloud, because it may colour the figures."""
        with urllib.request.urlopen(self.health_url, timeout=5) as answer:
            document: dict[str, Any] = orjson.loads(answer.read())
        for problem in document["problems"]:
            print(f"the daemon says: {problem}", file=sys.stderr)
        return document

    def cpu_s(self) -> float:
        """User and system time so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S

    def rss_mb(self) -> float:
        return self._memory_mb("VmRSS")

    def peak_rss_mb(self) -> float:
        return self._memory_mb("VmHWM")

    def _memory_mb(self, name: str) -> float:
        status = Path(f"/proc/{self.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith(f"{name}:"))
        return int(line.split()[1]) * 1024 / 1e6


@contextlib.contextmanager
def running_daemon(scratch: Path, state_dir: Path, url: str, token: str, **env: str) -> Iterator[Daemon]:
    """`status-watcher run` as an operator would have it, but for what `env` sets; stopped at the end.

    What was measured means nothing if the daemon had to warn of anything: that raises.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    settings = {
        "MM_URL": url,
        "MM_TOKEN": token,
        "OPENCLAW_STATE_DIR": str(state_dir),
        "STATE_DIR": str(scratch / "state"),
        "PID_FILE": str(scratch / "daemon.pid"),
        "HEALTH_PORT": str(port),
        "LOG_LEVEL": "warning",
        "NO_PROXY": "127.0.0.1",
    }
    command = [sys.executable, "-m", "status_watcher", "run"]
    complaints = scratch / "daemon.log"
    with complaints.open("wb") as log:
        began_s = time.monotonic()
        process = subprocess.Popen(command, env=_inherited() | settings | env, stderr=log)
    try:
        health_url = f"http://127.0.0.1:{port}/health"
        _wait_until_healthy(process, health_url)
        yield Daemon(process.pid, health_url, time.monotonic() - began_s)
    finally:
        _end(process)
    if (said := complaints.read_bytes()) or process.returncode:
        raise RuntimeError(f"the daemon was not well: {said[:2000].decode()}")


@contextlib.contextmanager
def talking(*command: str) -> Iterator[subprocess.Popen[bytes]]:
    """A Python process with its standard output in a pipe; ended at the end."""
    process = subprocess.Popen(
        [sys.executable, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=_inherited()
    )
    try:
        yield process
    finally:
        _end(process)
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


def first_line(process: subprocess.Popen[bytes]) -> bytes:
    """What a process says when it is ready."""
    if process.stdout is None or not (line := process.stdout.readline()):
        raise RuntimeError(f"{process.args!r} ended before it was ready")
    return line


def _wait_until_healthy(process: subprocess.Popen[bytes], health_url: str) -> None:
    deadline_s = time.monotonic() + READY_S
    while time.monotonic() < deadline_s and process.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(health_url, timeout=1):
            return  # 503 while it is not well is an OSError
        time.sleep(0.01)
    raise RuntimeError("the daemon did not become healthy")


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _inherited() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name in {"PATH", "LANG", "PYTHONPATH"}}
