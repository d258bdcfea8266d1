"""How far a file was read, and whether what lies there now continues it."""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

MARKER_BYTES: Final = 64


class Verdict(Enum):
    """What became of a file since it was last read."""

    CONTINUE = auto()
    TRUNCATED = auto()
    """Shorter than what was read, or other bytes stand before the offset."""
    REPLACED = auto()
    """Another inode under the same name."""
    GONE = auto()


@dataclass(frozen=True, slots=True)
class Stamp:
    """A file's identity and extent, as `stat` gives them."""

    device: int
    inode: int
    size_bytes: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Cursor:
    """Everything before `offset` was handed over; `offset` is always the start of a line.

    Neither device nor inode nor size identify what was read (inodes are reused at once, files regrow), so the
    bytes before the offset do.
    """

    device: int
    inode: int
    offset: int = 0
    marker: bytes = b""
    """The up to 64 bytes before the offset."""
    unfinished_bytes: int = 0
    """Bytes after the offset known to hold no newline: a torn tail, or the part of a long line seen so
    far."""

    @property
    def marker_offset(self) -> int:
        return self.offset - len(self.marker)

    def advanced(self, consumed: bytes, *, unfinished_bytes: int) -> "Cursor":
        """The cursor after these bytes, which followed the offset."""
        marker = (self.marker + consumed[-MARKER_BYTES:])[-MARKER_BYTES:]
        return Cursor(self.device, self.inode, self.offset + len(consumed), marker, unfinished_bytes)


def judge(cursor: Cursor, stamp: Stamp | None, before: bytes) -> Verdict:
    """What became of a file, by its stamp (None: there is none) and the bytes at the marker's offset."""
    if stamp is None:
        return Verdict.GONE
    # A remount may change the device alone: then the file is read once more, and its entries merge by their
    # ids.
    if (stamp.device, stamp.inode) != (cursor.device, cursor.inode):
        return Verdict.REPLACED
    if stamp.size_bytes < cursor.offset or not before.startswith(cursor.marker):
        return Verdict.TRUNCATED
    return Verdict.CONTINUE
