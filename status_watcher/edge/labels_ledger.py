"""The ledger that a dispatcher keeps of the sessions it starts (`LABELS_FILE`): read again when it changes.

The file is another program's, written in whatever way: it may be missing, torn or huge at any look. What was
read last counts until it can be read again.
"""

import asyncio
import os
import stat
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final

import structlog

from status_watcher.core.naming import parse_labels
from status_watcher.edge.readers import Readers
from status_watcher.model import SessionKey

MAX_BYTES: Final = 4 << 20
_LOOK_S: Final = 2.0

_Version = tuple[int, int, int, int]
"""Of a file: device, inode, size and time of its last change."""

log = structlog.get_logger()


async def watch_labels(
    path: Path, tell: Callable[[Mapping[SessionKey, str]], None], *, look_s: float = _LOOK_S
) -> None:
    """Call `tell` with the first readable ledger and after each change of it, until cancelled."""
    read: _Version | None = None
    told: Mapping[SessionKey, str] = {}
    trouble = ""
    # A disk that hangs must not keep the daemon from ending, as a thread of the loop's own executor would.
    with Readers(asyncio.get_running_loop(), threads=1) as readers:
        while True:
            version, labels, reason = await readers.run(partial(_look, path, read))
            if labels is not None:
                read = version
                if labels != told:
                    told = labels
                    tell(labels)
            if reason != trouble:
                trouble = reason
                if reason:
                    log.warning("labels_ledger", reason=reason)
                else:
                    log.info("labels_ledger_readable", labels=len(told))
            await asyncio.sleep(look_s)


def _look(path: Path, read: _Version | None) -> tuple[_Version | None, Mapping[SessionKey, str] | None, str]:
    """Version and labels, None if there is nothing new to be had; and what stands in the way.

    A version counts as read only if the file was the same before and after, and was a ledger.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, ValueError):
        return None, None, "is not there or cannot be read"
    before = os.fstat(fd)
    if not stat.S_ISREG(before.st_mode):
        os.close(fd)  # of a directory, which a container makes of a missing file, no file object can be made
        return None, None, "is no file"
    with os.fdopen(fd, "rb") as file:
        if _version(before) == read:
            return None, None, ""
        if before.st_size > MAX_BYTES:
            return None, None, f"is larger than {MAX_BYTES >> 20} MiB"
        try:
            data = file.read(MAX_BYTES + 1)
        except OSError:
            return None, None, "is not there or cannot be read"
        after = os.fstat(fd)
    labels = parse_labels(data)
    if labels is None:
        return None, None, "is not a JSON object, or not just now"
    version = _version(before)
    return (version if version == _version(after) else None), labels, ""


def _version(seen: os.stat_result) -> _Version:
    return seen.st_dev, seen.st_ino, seen.st_size, seen.st_mtime_ns
