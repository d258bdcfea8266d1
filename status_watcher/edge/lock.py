"""Which process is the daemon of a state directory: the one that holds the `flock` on its file `lock`.

The kernel frees the lock with the process, however it ends, so nothing here can be stale. What the file says
(PID, where `/health` is) counts only while the lock is held: a PID alone proves nothing, in a container every
daemon is PID 1.
"""

import contextlib
import fcntl
import os
import stat
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import orjson

_FILE_NAME = "lock"
_RECORD_MAX_BYTES = 4096
_CONTENDED_FOR_S = 2.0
_RETRY_S = 0.01


@dataclass(frozen=True, slots=True)
class LockRecord:
    """What the holder tells about itself, one JSON line in the lock file."""

    pid: int
    started_at: float
    """Unix seconds; for people and for the age where `/health` is off."""
    host: str = ""
    port: int = 0
    """Of `/health`; 0 = off."""
    ready: bool = False
    pid_namespace: str = ""
    """As the kernel names it, "" where it does not: a PID means nothing in another namespace."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Somebody holds the lock; `record` is None in the instant before it has been written."""

    record: LockRecord | None


@dataclass(frozen=True, slots=True)
class AlreadyRunning:
    """Another process holds the lock."""

    pid: int | None


@dataclass(frozen=True, slots=True)
class Unusable:
    """The state directory or its lock cannot be used; `reason` is one line for the operator."""

    reason: str


class Lock:
    """The held lock; lives as long as the process, or until `release`."""

    def __init__(self, path: Path, fd: int, record: LockRecord) -> None:
        self._path = path
        self._fd = fd
        self._record = record

    def mark_ready(self, host: str, port: int) -> Unusable | None:
        """Record that the daemon does its work, and where `/health` answers (port 0 = nowhere)."""
        self._record = replace(self._record, host=host, port=port, ready=True)
        try:
            _write_record(self._fd, self._record)
        except OSError as error:
            return _unusable(self._path, error)
        return None

    def still_ours(self) -> bool:
        """Whether the file we locked is the one a second daemon would find.

        False after somebody deleted or replaced it: a second daemon can then start, so this one has to end.
        """
        return _is_file_at(self._fd, self._path)

    def release(self) -> None:
        """Give the lock up; the file stays, because unlinking it would let two daemons lock two files."""
        with contextlib.suppress(OSError):
            os.ftruncate(self._fd, 0)
        os.close(self._fd)


def prepare_state_dir(state_dir: Path) -> Unusable | None:
    """Make the state directory (0700) where it does not exist, and say whether we may write in it."""
    try:
        missing = not state_dir.exists()
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if missing:
            state_dir.chmod(0o700)  # whatever the umask was
        # Asks the kernel, so that a read-only mount is noticed, by root too.
        if not os.access(state_dir, os.W_OK | os.X_OK, effective_ids=True):
            return Unusable(f"{state_dir}: not writable by uid {os.geteuid()}")
    except OSError as error:
        return _unusable(state_dir, error)
    return None


def acquire(state_dir: Path) -> Lock | AlreadyRunning | Unusable:
    """Become the daemon of `state_dir`, which is made where it is missing; never waits for another daemon."""
    if unusable := prepare_state_dir(state_dir):
        return unusable
    path = state_dir / _FILE_NAME
    deadline_s = time.monotonic() + _CONTENDED_FOR_S
    while time.monotonic() < deadline_s:
        try:
            locked = _try_lock(path)
        except OSError as error:
            return _unusable(path, error)
        match locked:
            case int(fd):
                record = LockRecord(
                    pid=os.getpid(), started_at=round(time.time(), 3), pid_namespace=pid_namespace()
                )
                try:
                    _write_record(fd, record)
                except OSError as error:
                    os.close(fd)
                    return _unusable(path, error)
                return Lock(path, fd, record)
            case AlreadyRunning():
                return locked
            case None:
                time.sleep(_RETRY_S)
    return Unusable(f"{path}: changed under us for {_CONTENDED_FOR_S:.0f} s")


def holder(state_dir: Path) -> Holder | Unusable | None:
    """Who is the daemon of `state_dir`, or None; looking turns no daemon away that starts meanwhile."""
    path = state_dir / _FILE_NAME
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        return _unusable(path, error)
    try:
        return Holder(_read_record(fd)) if _held_exclusively(fd) else None
    except OSError as error:
        return _unusable(path, error)
    finally:
        os.close(fd)


def pid_namespace() -> str:
    """The PID namespace of this process, "" where the system does not tell."""
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def _try_lock(path: Path) -> int | AlreadyRunning | None:
    """One attempt: the locked descriptor, or another daemon, or None = look again shortly."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
    keep = False
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(0, "not a regular file")
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if _held_exclusively(fd):
                record = _read_record(fd)
                return AlreadyRunning(record.pid if record else None)
            return None  # it was somebody who only looks
        if not _is_file_at(fd, path):
            return None  # deleted or replaced between our open and our lock: what we hold protects nothing
        os.fchmod(fd, 0o600)
        keep = True
        return fd
    finally:
        if not keep:
            os.close(fd)


def _held_exclusively(fd: int) -> bool:
    """Whether a daemon holds the lock; those who merely look share it, for an instant."""
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    fcntl.flock(fd, fcntl.LOCK_UN)
    return False


def _is_file_at(fd: int, path: Path) -> bool:
    try:
        there = path.lstat()
    except OSError:
        return False
    ours = os.fstat(fd)
    return (ours.st_dev, ours.st_ino) == (there.st_dev, there.st_ino)


def _write_record(fd: int, record: LockRecord) -> None:
    line = orjson.dumps(asdict(record), option=orjson.OPT_APPEND_NEWLINE)
    # The line first, the length second: who reads in between finds a complete first line.
    os.pwrite(fd, line, 0)
    os.ftruncate(fd, len(line))


def _read_record(fd: int) -> LockRecord | None:
    line, newline, _ = os.pread(fd, _RECORD_MAX_BYTES, 0).partition(b"\n")
    try:
        fields = orjson.loads(line) if newline else None
    except orjson.JSONDecodeError:
        return None
    match fields:
        case {
            "pid": int(pid),
            "started_at": int() | float() as started_at,
            "host": str(host),
            "port": int(port),
            "ready": bool(ready),
            "pid_namespace": str(namespace),
        } if pid > 0:
            return LockRecord(pid, float(started_at), host, port, ready, namespace)
        case _:
            return None


def _unusable(path: Path, error: OSError) -> Unusable:
    return Unusable(f"{path}: {error.strerror or error} (as uid {os.geteuid()})")
