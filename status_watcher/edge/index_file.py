"""One agent's `sessions.json`, read whole whenever it may have changed."""

import hashlib
import os
from dataclasses import dataclass
from typing import Final

from status_watcher.core.cursor import Stamp
from status_watcher.core.index import Index, InvalidIndex, parse_index
from status_watcher.edge.tail import Absent, Opener, Refused, stamp_of

MOST_BYTES: Final = 64 << 20


@dataclass(frozen=True, slots=True)
class Fresh:
    """Other content than before, in full."""

    index: Index
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Same:
    """Readable, and as it was."""


@dataclass(frozen=True, slots=True)
class NotYet:
    """There is none and none was ever read, as with an agent that has had no session."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Torn, lost or worse: says nothing about any session."""

    reason: str


IndexLook = Fresh | Same | NotYet | Unreadable


class IndexFile:
    """Remembers what was read last; a look is blocking I/O, and one look runs at a time."""

    def __init__(self, path: str, opener: Opener) -> None:
        self._path = path
        self._opener = opener
        self._stamp: Stamp | None = None
        self._digest: bytes | None = None

    def look(self, *, thorough: bool = True) -> IndexLook:
        """What the file says now.

        Content is compared, since times are coarse and another content may have the same size. Not
        `thorough`, an unchanged stamp will do, which saves reading what was read before.
        """
        opened = self._opener.open(self._path)
        if isinstance(opened, Absent):
            return NotYet() if self._digest is None else Unreadable("missing")
        if isinstance(opened, Refused):
            return Unreadable(opened.reason)
        descriptor, status = opened
        try:
            stamp = stamp_of(status)
            if not thorough and stamp == self._stamp:
                return Same()
            if stamp.size_bytes > MOST_BYTES:
                return Unreadable(f"larger than {MOST_BYTES >> 20} MiB")
            data = _read_whole(descriptor, stamp.size_bytes)
        except OSError as error:
            return Unreadable(type(error).__name__)
        finally:
            os.close(descriptor)
        return self._judge(stamp, data)

    def _judge(self, stamp: Stamp, data: bytes) -> IndexLook:
        digest = hashlib.blake2b(data, digest_size=16).digest()
        if digest == self._digest:
            self._stamp = stamp
            return Same()
        index = parse_index(data)
        if isinstance(index, InvalidIndex):
            return Unreadable(index.reason)
        self._stamp, self._digest = stamp, digest
        return Fresh(index, len(data))


def _read_whole(descriptor: int, size_bytes: int) -> bytes:
    """What is there, also if that is less or (with one byte to tell) more than a moment ago."""
    pieces: list[bytes] = []
    position = 0
    while position <= size_bytes and (piece := os.pread(descriptor, size_bytes + 1 - position, position)):
        pieces.append(piece)
        position += len(piece)
    return b"".join(pieces)
