"""A daemon that outlives its caller: start it, ask it, end it."""

import http.client
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import orjson

from status_watcher.core.health import Health, from_json

_POLL_S = 0.05
_ANSWER_MAX_BYTES = 1 << 20
_GRACE_S = 10.0
_TAIL_MAX_BYTES = 64 * 1024
_TAIL_MAX_LINES = 5
_NOT_WORTH_SAYING = frozenset({"event", "level", "timestamp", "exception", "logger"})


@dataclass(frozen=True, slots=True)
class Ready:
    """The process does its work."""

    pid: int


@dataclass(frozen=True, slots=True)
class Exited:
    """The process ended before it was ready."""

    exit_code: int
    """As the shell has it: 128 + n for a signal n."""
    said: tuple[str, ...]
    """The last things it had to say, for people."""


@dataclass(frozen=True, slots=True)
class TooSlow:
    """The process was not ready in time and has been ended."""

    said: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CannotSpawn:
    """There is no process; `reason` is one line."""

    reason: str


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What the daemon answered."""

    status: int
    body: bytes


def start(
    command: Sequence[str],
    env: Mapping[str, str],
    output: Path,
    is_ready: Callable[[int], bool],
    timeout_s: float,
) -> Ready | Exited | TooSlow | CannotSpawn:
    """Run `command` in a session of its own and wait until `is_ready(its PID)`.

    It gets nothing of ours but `env`: no descriptor (its output is appended to the file `output`), no working
    directory, no terminal. Interrupted while waiting, we end it: nobody would know of it.
    """
    try:
        fd = os.open(output, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            said_before_bytes = os.fstat(fd).st_size
            child = subprocess.Popen(  # noqa: S603 - the command is our own
                command,
                env=env,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=fd,
                stderr=fd,
                close_fds=True,
                start_new_session=True,
            )
        finally:
            os.close(fd)
    except OSError as error:
        return CannotSpawn(f"{error.filename or output}: {error.strerror}")
    deadline_s = time.monotonic() + timeout_s
    try:
        while time.monotonic() < deadline_s:
            if (code := child.poll()) is not None:
                return Exited(128 - code if code < 0 else code, _said(output, said_before_bytes))
            if is_ready(child.pid):
                child.returncode = 0  # it lives on without us, which Popen would warn of
                return Ready(child.pid)
            time.sleep(_POLL_S)
    except BaseException:
        _end(child)
        raise
    _end(child)
    return TooSlow(_said(output, said_before_bytes))


def ask_health(host: str, port: int, timeout_s: float = 2.0) -> Health | None:
    """What `/health` answers there, whatever its HTTP status; None when nobody of ours answers in time."""
    answer = ask(host, port, "/health", timeout_s=timeout_s)
    return None if answer is None else from_json(answer.body)


def ask(host: str, port: int, path: str, token: str = "", timeout_s: float = 5.0) -> HttpAnswer | None:
    """What is answered there to whoever shows `token`; None when nobody answers in time."""
    # An address to listen on everywhere is none to connect to.
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    headers = {"Connection": "close"} | ({"Authorization": f"Bearer {token}"} if token else {})
    connection = http.client.HTTPConnection(reachable, port, timeout=timeout_s)
    try:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        return HttpAnswer(response.status, response.read(_ANSWER_MAX_BYTES))
    except (OSError, http.client.HTTPException, ValueError):  # the last: a token that makes no header
        return None
    finally:
        connection.close()


def end(pid: int, is_still_the_daemon: Callable[[], bool], timeout_s: float) -> str | None:
    """Ask a daemon to end and wait until its process is gone; returns in one line why it is not.

    With a pidfd the process is pinned first and asked about second, so that a PID which was reused in between
    never gets the signal, and its end is seen even if nobody has collected it.
    """
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return None
    except OSError:  # an old kernel, or a container's filter that does not know the call
        pidfd = None
    try:
        if not is_still_the_daemon():
            return None
        if pidfd is None:
            os.kill(pid, signal.SIGTERM)
            ended = wait_until(lambda: not is_still_the_daemon(), timeout_s)
        else:
            signal.pidfd_send_signal(pidfd, signal.SIGTERM)
            ended = bool(select.select([pidfd], [], [], timeout_s)[0])
    except ProcessLookupError:
        return None
    except OSError as error:
        return f"PID {pid}: {error.strerror}"
    finally:
        if pidfd is not None:
            os.close(pidfd)
    return None if ended else f"PID {pid} did not end within {timeout_s:.0f} s"


def wait_until(condition: Callable[[], bool], timeout_s: float) -> bool:
    """Whether `condition` came true within `timeout_s`."""
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline_s:
            return False
        time.sleep(_POLL_S)
    return True


def _end(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(_GRACE_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _said(output: Path, from_byte: int) -> tuple[str, ...]:
    """The end of what was written since, as far as it is about errors."""
    content = b""
    with suppress(OSError), output.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(min(from_byte, size), size - _TAIL_MAX_BYTES))
        content = file.read()
    lines = [line for line in content.split(b"\n") if line.strip()]
    told = [text for line in lines if (text := _readable(line))]
    return tuple(told[-_TAIL_MAX_LINES:])


def _readable(line: bytes) -> str:
    """An error's log line in words, a foreign line (a traceback) as it stands, "" for other log lines."""
    try:
        fields = orjson.loads(line)
    except orjson.JSONDecodeError:
        return line.decode("utf-8", "replace").rstrip()
    match fields:
        case {"event": str(event), "level": "error" | "critical"}:
            details = [f"{name}={value}" for name, value in fields.items() if name not in _NOT_WORTH_SAYING]
            match fields.get("exception"):
                case [{"exc_type": str(kind), "exc_value": str(text)}, *_]:
                    details.append(f"{kind}: {text}")
            return f"{event}: {', '.join(details)}" if details else event
        case _:
            return ""
