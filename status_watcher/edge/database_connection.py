"""Reading an agent's database beside its writer: how it is opened, and what keeps it from being read.

Never written to: every connection is `mode=ro`. SQLite would make a `-wal` and a `-shm` beside a database
whose writer has closed it; so that one is read as immutable, and what was read counts only if no writer came
meanwhile. A connection that is between two looks holds no lock that a checkpoint waits for (checked with
`wal_checkpoint(TRUNCATE)`); only the removal of an empty `-wal` waits until it is closed.
"""

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final
from urllib.parse import quote

DATABASE_NAME: Final = "openclaw-agent.sqlite"
_BUSY_S: Final = 0.1
_WAL, _SHM, _JOURNAL = "-wal", "-shm", "-journal"
_FILES: Final = ("", _WAL, _SHM, _JOURNAL)


@dataclass(frozen=True, slots=True)
class Unavailable:
    """Why the database cannot be read now."""

    reason: str
    absent: bool = False
    """There is no such file."""


class Ready(Enum):
    """What a look at a database will find."""

    SAME = auto()
    """Nothing was committed since the last one."""
    CHANGED = auto()
    OTHER = auto()
    """It was opened, again perhaps: another file may be under its name."""


@dataclass(frozen=True, slots=True)
class _File:
    device: int
    inode: int
    size_bytes: int
    mtime_ns: int


class Outrun(Exception):  # noqa: N818 - no error: the look is repeated
    """A writer came while the database was read as one without any."""


class Connection:
    """At most one connection to one database; blocking, one call at a time, from any thread."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._quiet = False
        self._force_live = False
        self._seen: tuple[_File | None, ...] = ()
        self._data_version = -1
        self.opened = 0

    @property
    def quiet(self) -> bool:
        """Whether it is read as a database without a writer."""
        return self._quiet

    def prepare(self) -> Ready | Unavailable:
        """Open it if need be; what `Ready` says is that of the files that are there now."""
        try:
            files = tuple(_stat(self._path + suffix) for suffix in _FILES)
        except OSError as error:
            self.close()
            return Unavailable(_errno_reason(error))
        if files[0] is None:
            self.close()
            return Unavailable("missing", absent=True)
        if self._connection is not None:
            if not self._is_current(files):
                self.close()
            elif self._quiet:
                return Ready.SAME
            else:
                return self._poll()
        return self._open(files)

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """One read transaction; raises `sqlite3.Error` or `Outrun`, after which it has to be opened again."""
        connection = self._connection
        if connection is None:
            raise sqlite3.ProgrammingError("not open")
        try:
            connection.execute("BEGIN")
            yield connection
            connection.execute("ROLLBACK")
        except BaseException:
            self.close()
            raise
        if self._quiet and not self._is_current(tuple(_stat(self._path + suffix) for suffix in _FILES)):
            self.close()
            self._force_live = True
            raise Outrun

    def close(self) -> None:
        """Let go of the files; the next `prepare` opens them again."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                connection.close()

    def _open(self, files: tuple[_File | None, ...]) -> Ready | Unavailable:
        self._quiet = _is_quiet(files) and not self._force_live
        self._force_live = False
        uri = f"file:{quote(os.fsencode(self._path))}?mode=ro" + ("&immutable=1" if self._quiet else "")
        try:
            connection = sqlite3.connect(
                uri, uri=True, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
            )
            self._connection = connection
            # A TEXT that is no UTF-8 must not spoil the rows beside it, and lines are wanted as bytes.
            connection.text_factory = bytes
            self._data_version = _data_version(connection)
            connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
            # The first read may have made or found more of them.
            self._seen = files if self._quiet else tuple(_stat(self._path + suffix) for suffix in _FILES)
        except (sqlite3.Error, OSError) as error:
            self.close()
            return Unavailable(reason_of(error, self._path))
        self.opened += 1
        return Ready.OTHER

    def _poll(self) -> Ready | Unavailable:
        connection = self._connection
        if connection is None:
            return Unavailable("not open")
        try:
            version = _data_version(connection)
        except sqlite3.Error as error:
            self.close()
            return Unavailable(reason_of(error, self._path))
        if version == self._data_version:
            return Ready.SAME
        self._data_version = version
        return Ready.CHANGED

    def _is_current(self, files: tuple[_File | None, ...]) -> bool:
        if self._quiet:
            return files == self._seen
        # Sizes and times change with every commit; which files they are does not, as long as we have them
        # open. A `-wal` that was unlinked under us would be read for ever, and say nothing new.
        return all(
            _identity(now) == _identity(seen)
            for suffix, now, seen in zip(_FILES, files, self._seen, strict=True)
            if suffix != _JOURNAL
        )


def reason_of(error: sqlite3.Error | OSError, path: str) -> str:
    """The error in a few words without paths."""
    if isinstance(error, OSError):
        return _errno_reason(error)
    name = getattr(error, "sqlite_errorname", "") or type(error).__name__
    match name.removeprefix("SQLITE_").partition("_")[0]:
        case "BUSY" | "LOCKED":
            return "locked by its writer"
        case "CORRUPT" | "NOTADB":
            return "damaged"
        case "CANTOPEN" | "READONLY" | "PERM" | "AUTH":
            if not os.access(path, os.R_OK):
                return "no permission"
            return "its gateway is not running and the directory cannot be written"
        case _:
            return f"{name}"


def changed_ms(path: str) -> int:
    """When the database or its log was written last, 0 if that cannot be told."""
    stamps = []
    for suffix in ("", _WAL):
        with contextlib.suppress(OSError):
            found = _stat(path + suffix)
            if found is not None:
                stamps.append(found.mtime_ns // 1_000_000)
    return max(stamps, default=0)


def _stat(path: str) -> _File | None:
    try:
        status = os.stat(path)  # noqa: PTH116 - paths are strings here
    except FileNotFoundError:
        return None
    return _File(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def _identity(file: _File | None) -> tuple[int, int] | None:
    return None if file is None else (file.device, file.inode)


def _is_quiet(files: tuple[_File | None, ...]) -> bool:
    _, wal, shm, journal = files
    return (wal is None or wal.size_bytes == 0) and shm is None and journal is None


def _data_version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA data_version").fetchone()[0])


def _errno_reason(error: OSError) -> str:
    match error:
        case PermissionError():
            return "no permission"
        case NotADirectoryError() | FileNotFoundError():
            return "missing"
        case _:
            return error.strerror or type(error).__name__
