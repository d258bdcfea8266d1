"""One transcript, read on from where it was left: open, fstat, pread, close; no handle stays open."""

import errno
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from status_watcher.core.cursor import MARKER_BYTES, Cursor, Stamp, Verdict, judge
from status_watcher.core.lines import MAX_LINE_BYTES, cut, header_session_id, is_whole
from status_watcher.model import SessionId
from status_watcher.source import Reading

SLICE_BYTES: Final = 256 << 10
WHOLE_BYTES: Final = 64 << 20
"""A transcript longer than this is not read from its beginning,"""
END_BYTES: Final = 8 << 20
"""but from this far before its end, at a line start."""

# A FIFO would hang an open, a link could lead anywhere, and a terminal would become ours.
_FLAGS: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_NOCTTY


@dataclass(frozen=True, slots=True)
class Batch:
    """What a look found: lines, or none if nothing new is complete."""

    lines: tuple[bytes, ...]
    reading: Reading
    stamp: Stamp
    verdict: Verdict = Verdict.CONTINUE
    header_id: SessionId | None = None
    """Set with the first lines after a beginning, if the transcript has a header."""
    head_skipped: bool = False
    more: bool = False
    """The slice ended before the file did: look again."""
    nul_bytes: int = 0
    overlong_lines: int = 0


@dataclass(frozen=True, slots=True)
class Shrunk:
    """Shorter or other than what was read, perhaps in the middle of a rewrite: look again in a moment."""

    stamp: Stamp


@dataclass(frozen=True, slots=True)
class Absent:
    """There is no such file."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The file is there and cannot, or must not, be read."""

    reason: str
    for_good: bool = False
    """It is no transcript: a FIFO, a device, a link that leaves the root."""


Look = Batch | Shrunk | Absent | Refused


class Opener:
    """Opens regular files below a root: reading only, not blocking, through no link that leads out."""

    def __init__(self, root: str, open_file: Callable[[str, int], int] = os.open) -> None:
        """`root` is a real path; `open_file` has the face of `os.open`."""
        self._root = root
        self._open_file = open_file

    def open(self, path: str) -> tuple[int, os.stat_result] | Absent | Refused:
        """A descriptor, which the caller closes, and its `fstat`; an `OSError` comes back as `Refused`."""
        try:
            descriptor = self._open(path)
        except FileNotFoundError:
            return Absent()
        except OSError as error:
            return Refused(_name(error))
        if descriptor is None:
            return Refused("a link that leaves the root", for_good=True)
        try:
            status = os.fstat(descriptor)
        except OSError as error:
            os.close(descriptor)
            return Refused(_name(error))
        if not stat.S_ISREG(status.st_mode):
            os.close(descriptor)
            return Refused("not a regular file", for_good=True)
        return descriptor, status

    def _open(self, path: str) -> int | None:
        try:
            return self._open_file(path, _FLAGS)
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
        real = os.path.realpath(path, strict=True)
        return self._open_file(real, _FLAGS) if real.startswith(self._root.rstrip("/") + "/") else None


class Tail:
    """Reads one transcript for as long as it is followed; looks are blocking I/O, one at a time."""

    def __init__(self, path: str, opener: Opener) -> None:
        self.path = path
        """May be set between looks: a renamed file is read on under its new name."""
        self._opener = opener
        self._cursor: Cursor | None = None
        self._reading = Reading.FIRST
        self._head_due = True
        self._head_skipped = False
        self._header_id: SessionId | None = None

    @property
    def torn(self) -> bool:
        """Whether the last look ended in a line without its newline."""
        return self._cursor is not None and self._cursor.unfinished_bytes > 0

    def look(self, *, patient: bool = True, settled: Stamp | None = None, accept_tail: bool = False) -> Look:
        """The next slice of complete lines.

        A file that shrank is `Shrunk` to the patient, unless its stamp is the one that it was `settled` on;
        else it is read again from its beginning. With `accept_tail` on, an unterminated last line counts if
        it is a whole object.
        """
        opened = self._opener.open(self.path)
        if isinstance(opened, Absent | Refused):
            return opened
        descriptor, status = opened
        try:
            stamp = stamp_of(status)
            cursor = self._cursor or self._beginning(descriptor, stamp)
            verdict, body = self._fetch(descriptor, stamp, cursor)
            if verdict is not Verdict.CONTINUE:
                if patient and verdict is Verdict.TRUNCATED and stamp != settled:
                    return Shrunk(stamp)
                cursor = self._beginning(descriptor, stamp)
                _, body = self._fetch(descriptor, stamp, cursor)
            if cursor.unfinished_bytes >= SLICE_BYTES:
                return self._read_long_line(descriptor, stamp, verdict, cursor)
            return self._read(body, stamp, verdict, cursor, accept_tail=accept_tail)
        except OSError as error:
            return Refused(_name(error))
        finally:
            os.close(descriptor)

    def _fetch(self, descriptor: int, stamp: Stamp, cursor: Cursor) -> tuple[Verdict, bytes]:
        """The marker and what follows it come with one read; of a long line only the marker."""
        unread_bytes = max(0, stamp.size_bytes - cursor.offset)
        wanted_bytes = 0 if cursor.unfinished_bytes >= SLICE_BYTES else min(SLICE_BYTES, unread_bytes)
        # Asking for no more than is there matters: a buffer of a whole slice costs more than the read itself.
        data = os.pread(descriptor, len(cursor.marker) + wanted_bytes, cursor.marker_offset)
        return judge(cursor, stamp, data), data[len(cursor.marker) :]

    def _beginning(self, descriptor: int, stamp: Stamp) -> Cursor:
        """Where a reading from the beginning starts, which is what the next batch will be."""
        if self._reading is Reading.MORE:
            self._reading = Reading.AGAIN
        self._head_due = True
        self._header_id = None
        self._head_skipped = stamp.size_bytes > WHOLE_BYTES
        if not self._head_skipped:
            return Cursor(stamp.device, stamp.inode)
        self._header_id = header_session_id(os.pread(descriptor, SLICE_BYTES, 0).partition(b"\n")[0])
        start = position = stamp.size_bytes - END_BYTES
        while piece := os.pread(descriptor, SLICE_BYTES, position):
            newline = piece.find(b"\n")
            if newline >= 0:
                start = position = position + newline + 1
                break
            position += len(piece)
        marker = os.pread(descriptor, MARKER_BYTES, start - MARKER_BYTES)
        # Without a newline in all of it, this is the inside of an overlong line; its length will discard it.
        return Cursor(stamp.device, stamp.inode, start, marker, unfinished_bytes=position - start)

    def _read(
        self, body: bytes, stamp: Stamp, verdict: Verdict, cursor: Cursor, *, accept_tail: bool
    ) -> Batch:
        found = cut(body)
        lines, consumed = found.lines, found.consumed_bytes
        nul_bytes = found.nul_bytes
        read_to_end = cursor.offset + len(body) >= stamp.size_bytes
        if len(body) == SLICE_BYTES and not consumed and not body.strip(b"\0"):
            consumed = nul_bytes = len(body)  # a hole may be larger than any line
        if accept_tail and read_to_end and is_whole(body[consumed:]):
            lines, consumed = (*lines, body[consumed:]), len(body)
        self._cursor = cursor.advanced(body[:consumed], unfinished_bytes=len(body) - consumed)
        # A whole slice without a newline is the beginning of a long line; an empty read is a race with a
        # writer.
        more = bool(body) and not read_to_end
        return self._batch(
            lines, stamp, verdict, more=more, nul_bytes=nul_bytes, overlong_lines=found.overlong_lines
        )

    def _read_long_line(self, descriptor: int, stamp: Stamp, verdict: Verdict, cursor: Cursor) -> Batch:
        """Search on for the end of a line longer than a slice; once it is there, read the whole line."""
        position = cursor.offset + cursor.unfinished_bytes
        if stamp.size_bytes < position:
            self._cursor = cursor.advanced(b"", unfinished_bytes=0)
            return self._batch((), stamp, verdict, more=stamp.size_bytes > cursor.offset)
        piece = os.pread(descriptor, min(SLICE_BYTES, stamp.size_bytes - position), position)
        newline = piece.find(b"\n")
        if newline < 0:
            self._cursor = cursor.advanced(b"", unfinished_bytes=cursor.unfinished_bytes + len(piece))
            return self._batch(
                (), stamp, verdict, more=bool(piece) and position + len(piece) < stamp.size_bytes
            )
        end = position + newline + 1
        more = end < stamp.size_bytes
        if end - cursor.offset > MAX_LINE_BYTES + 1:
            marker = os.pread(descriptor, MARKER_BYTES, end - MARKER_BYTES)
            self._cursor = Cursor(stamp.device, stamp.inode, end, marker)
            return self._batch((), stamp, verdict, more=more, overlong_lines=1)
        body = os.pread(descriptor, end - cursor.offset, cursor.offset)
        found = cut(body)
        self._cursor = cursor.advanced(body[: found.consumed_bytes], unfinished_bytes=0)
        return self._batch(
            found.lines,
            stamp,
            verdict,
            more=more,
            nul_bytes=found.nul_bytes,
            overlong_lines=found.overlong_lines,
        )

    def _batch(
        self,
        lines: tuple[bytes, ...],
        stamp: Stamp,
        verdict: Verdict,
        *,
        more: bool,
        nul_bytes: int = 0,
        overlong_lines: int = 0,
    ) -> Batch:
        header_id, reading = None, self._reading
        if lines:
            if self._head_due:
                header_id = self._header_id or header_session_id(lines[0])
                self._head_due = False
            self._reading = Reading.MORE
        return Batch(
            lines=lines,
            reading=reading,
            stamp=stamp,
            verdict=verdict,
            header_id=header_id,
            head_skipped=self._head_skipped and reading is not Reading.MORE,
            more=more,
            nul_bytes=nul_bytes,
            overlong_lines=overlong_lines,
        )


def stamp_of(status: os.stat_result) -> Stamp:
    """The part of a `stat` that tells whether a file has to be looked at."""
    return Stamp(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def _name(error: OSError) -> str:
    return errno.errorcode.get(error.errno or 0, "OSError")
