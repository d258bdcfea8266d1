"""Files that are read, or replaced, as a whole."""

import contextlib
import os
import secrets
from collections.abc import Callable
from pathlib import Path


def read_whole(path: Path, most_bytes: int) -> bytes | None:
    """The content; None where it cannot be read or is longer."""
    try:
        with path.open("rb") as file:
            content = file.read(most_bytes + 1)
    except (OSError, ValueError):  # a NUL in the path
        return None
    return content if len(content) <= most_bytes else None


def replace_whole(
    path: Path, content: bytes, mode: int = 0o644, *, finish: Callable[[int], None] = lambda _: None
) -> None:
    """Put `content` at `path`: whoever reads it, also after a crash, has all of the old or all of the new.

    `finish` gets the new file's descriptor before anybody sees the file. Raises `OSError`; then the old file
    is as it was.
    """
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    fd = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(content)
            finish(fd)
            file.flush()
            os.fsync(fd)
        unfinished.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            unfinished.unlink()
        raise
