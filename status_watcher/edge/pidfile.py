"""The file that tells people the daemon's PID; nothing of ours ever acts on it (see the lock).

Its usual place is a directory that everybody may write to, so it is opened without following links and used
only if it is a plain file of our own.
"""

import os
import stat
from pathlib import Path

_FLAGS = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


def write(path: Path, pid: int) -> str | None:
    """Put `pid` into the file, or return in one line why not, which is worth a warning and nothing more."""
    try:
        fd = os.open(path, _FLAGS | os.O_CREAT, 0o644)
    except OSError as error:
        return f"{path}: {error.strerror}"
    try:
        if not _is_ours(fd):
            return f"{path}: not a plain file of uid {os.geteuid()}"
        os.fchmod(fd, 0o644)
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{pid}\n".encode(), 0)
    except OSError as error:
        return f"{path}: {error.strerror}"
    finally:
        os.close(fd)
    return None


def remove(path: Path, pid: int) -> None:
    """Remove the file if it still holds `pid`; leave anybody else's alone."""
    try:
        fd = os.open(path, _FLAGS)
    except OSError:
        return
    try:
        if _is_ours(fd) and os.pread(fd, 32, 0).strip() == str(pid).encode():
            os.ftruncate(fd, 0)  # also where the directory does not let us unlink
            path.unlink()
    except OSError:
        return
    finally:
        os.close(fd)


def _is_ours(fd: int) -> bool:
    found = os.fstat(fd)
    return stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid() and found.st_nlink == 1
