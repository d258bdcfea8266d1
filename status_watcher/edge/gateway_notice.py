"""Hearing from the gateway's hook: one note for each gateway in `STATE_DIR/gateways`, which the hook writes
anew at `gateway:startup`, when the gateway is told to stop, and when a compaction begins or has ended.

Which process it was stands in the note: one that died by SIGKILL is missed though it said nothing. What was
last seen of it is kept as the file's mtime, so that a later run of the daemon knows it too.
"""

import asyncio
import os
import stat
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from status_watcher.core.gateway import GatewayNote, GatewayWord, word_of
from status_watcher.edge.readers import Readers
from status_watcher.model import SessionKey

DIRECTORY: Final = "gateways"
_LOOK_S: Final = 0.5
_TOUCH_S: Final = 30.0
_MAX_BYTES: Final = 65_536
_MOST_NOTES: Final = 100


@dataclass(frozen=True, slots=True)
class _Process:
    """By what a process is known again: a PID alone may have been given to another one since."""

    pid: int
    started: int | None
    """In clock ticks since the machine's start, field 22 of /proc/PID/stat; None if nothing told."""


@dataclass(slots=True)
class _Followed:
    """What is known of the process that a note names."""

    process: _Process
    alive_ms: int
    gone_ms: int | None = None
    was_there: bool = False
    """At the last look."""
    touched_s: float = float("-inf")


async def watch_gateway(
    state_dir: Path, watched: Sequence[Path], namespace: str, tell: Callable[[GatewayWord], None]
) -> None:
    """Call `tell` with each change of what the gateways' notes come to, until cancelled.

    `watched` is what the daemon follows: the note of a gateway that has nothing to do with it is not heard.
    `namespace` is this process's PID namespace, in which alone a PID can be looked for.
    """
    look, told = _Look(state_dir / DIRECTORY, watched, namespace), GatewayWord()
    # What is watched may lie on a disk that hangs.
    with Readers(asyncio.get_running_loop(), threads=1) as readers:
        while True:
            word = await readers.run(look.take)
            if word != told:
                told = word
                tell(word)
            await asyncio.sleep(_LOOK_S)


def remove_notes(state_dir: Path, openclaw: Path) -> None:
    """Remove the notes of the gateway of that OpenClaw state directory; what cannot be removed stays."""
    for path in _notes_in(state_dir / DIRECTORY):
        match _read(path):
            case (_, {"openclaw_state_dir": str(theirs)}) if theirs and _is_same(theirs, openclaw):
                try:
                    path.unlink()
                except OSError:
                    continue


class _Look:
    """Look after look at the notes."""

    def __init__(self, directory: Path, watched: Sequence[Path], namespace: str) -> None:
        self._directory = directory
        self._watched = watched
        self._namespace = namespace
        self._followed: dict[Path, _Followed] = {}

    def take(self) -> GatewayWord:
        notes: list[GatewayNote] = []
        paths = _notes_in(self._directory)
        for path in paths:
            note = self._note(path)
            if note is not None:
                notes.append(note)
        for path in self._followed.keys() - set(paths):
            del self._followed[path]
        return word_of(notes)

    def _note(self, path: Path) -> GatewayNote | None:
        match _read(path):
            case (
                int(mtime_ms),
                {
                    "state": "running" | "stopping" as state,
                    "pid": int(pid),
                    "pid_namespace": str(theirs),
                    "process_start": int() | None as started,
                    "at_ms": int(at_ms),
                    "openclaw_state_dir": str(state_dir),
                } as fields,
            ) if pid > 0 and _concerns(state_dir, self._watched):
                compacting = _compacting(fields.get("compacting"))
                if not theirs or theirs != self._namespace:
                    return GatewayNote(at_ms, state == "stopping", mtime_ms, None, compacting)
                followed = self._follow(path, _Process(pid, started), mtime_ms)
                return GatewayNote(
                    at_ms, state == "stopping", followed.alive_ms, followed.gone_ms, compacting
                )
            case _:
                return None

    def _follow(self, path: Path, process: _Process, mtime_ms: int) -> _Followed:
        """How the process stands now. It was last seen when it was last found missing, if it had been there
        half a second before; without that look, when the note was last touched.
        """
        followed = self._followed.get(path)
        if followed is None or followed.process != process:
            followed = self._followed[path] = _Followed(process, mtime_ms)
        if followed.gone_ms is not None:
            return followed
        now_ms = time.time_ns() // 1_000_000
        there = _runs(process)
        if there:
            followed.was_there = True
        else:
            followed.gone_ms = now_ms
        if followed.was_there:
            now_s = time.monotonic()
            if not there or now_s >= followed.touched_s + _TOUCH_S:
                followed.touched_s, followed.alive_ms = now_s, now_ms
                _touch(path, process)
        return followed


def _runs(process: _Process) -> bool:
    """Whether it is there, and no zombie: nobody may have waited for a gateway that was killed."""
    try:
        os.kill(process.pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass  # another user's
    except OverflowError:
        return False
    try:
        # The name stands in parentheses and may hold any character.
        state, *fields = Path(f"/proc/{process.pid}/stat").read_bytes().rpartition(b")")[2].split()
        return state not in b"ZX" and process.started in (None, int(fields[18]))
    except (OSError, ValueError, IndexError):
        return True  # not shown to us, or no Linux: the PID is all there is


def _touch(path: Path, process: _Process) -> None:
    """Keep the time in the file, unless another gateway has just taken its place: then it is not touched."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            fields = orjson.loads(os.read(fd, _MAX_BYTES))
            if isinstance(fields, dict) and fields.get("pid") == process.pid:
                os.utime(fd)
        finally:
            os.close(fd)
    except (OSError, orjson.JSONDecodeError):
        return  # read-only, say: then the next run of the daemon knows less


def _notes_in(directory: Path) -> list[Path]:
    try:
        with os.scandir(directory) as entries:
            names = sorted(entry.name for entry in entries if entry.name.endswith(".json"))
    except OSError:
        return []
    return [directory / name for name in names[:_MOST_NOTES]]


def _read(path: Path) -> tuple[int, Any] | None:
    """The file's mtime and what it says."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            return None
        return status.st_mtime_ns // 1_000_000, orjson.loads(os.read(fd, _MAX_BYTES))
    except (OSError, orjson.JSONDecodeError):
        return None
    finally:
        os.close(fd)


def _compacting(fields: object) -> Mapping[SessionKey, int]:
    if not isinstance(fields, dict):
        return {}
    return {
        SessionKey(key): since_ms
        for key, since_ms in fields.items()
        if isinstance(key, str) and isinstance(since_ms, int)
    }


def _concerns(state_dir: str, watched: Sequence[Path]) -> bool:
    if not state_dir:
        return True
    try:
        theirs, ours = _real(state_dir), [_real(path) for path in watched]
    except ValueError:  # a NUL
        return False
    return any(path.is_relative_to(theirs) or theirs.is_relative_to(path) for path in ours)


def _is_same(state_dir: str, openclaw: Path) -> bool:
    try:
        return _real(state_dir) == _real(openclaw)
    except ValueError:
        return False


def _real(path: str | Path) -> Path:
    """Without links, also where those lead in a circle: `Path.resolve` raises then, before Python 3.13."""
    return Path(os.path.realpath(path))
