"""The SQLite file of the ledger: its schema, its rows, and what becomes of a file that cannot be read.

Everything here blocks, and belongs into the one thread that opened the file.
"""

import os
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from status_watcher.core.post import BoxRecord
from status_watcher.model import BoxId, ChannelId, ChannelTarget, DirectTarget, PostId, UserId

FILE_NAME: Final = "ledger.sqlite"
SCHEMA_VERSION: Final = 1
MAX_ENDED_BOXES: Final = 8_000
"""Of some 400 bytes each, so that the file stays under 5 MB."""
MAX_AGE_MS: Final = 30 * 86_400_000
TOLD_ENDED_BOXES: Final = 200
"""Of the ended boxes, those that are told at the start: so many,"""
TOLD_AGE_MS: Final = 86_400_000
"""and none that is older. Their turns may have gone on while nobody looked."""
BAD_FILES_KEPT: Final = 3

_EXPIRE_EVERY = 500  # writes

_SCHEMA = """
CREATE TABLE boxes (
    box_id TEXT PRIMARY KEY,
    channel_id TEXT NOT NULL,
    root_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    nonce TEXT NOT NULL,
    intent_at_ms INTEGER NOT NULL,
    post_id TEXT,
    text_sha256 BLOB,
    ended INTEGER NOT NULL,
    gone INTEGER NOT NULL,
    renewed INTEGER NOT NULL,
    updated_at_ms INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE direct_channels (user_id TEXT PRIMARY KEY, channel_id TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE last_run (closed INTEGER NOT NULL);
INSERT INTO last_run VALUES (1);
"""
_COLUMNS = (
    "box_id, channel_id, root_id, user_id, nonce, intent_at_ms, post_id, text_sha256, ended, gone, renewed"
)

_NOT_THE_FILES_FAULT = ("SQLITE_FULL", "SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_IOERR", "SQLITE_NOMEM")


@dataclass(frozen=True, slots=True)
class NewerState:
    """The file was written by a later version of this program; nothing has been touched."""

    path: Path
    version: int


@dataclass(frozen=True, slots=True)
class StateUnusable:
    """The directory cannot be written; `reason` is the system's or SQLite's word."""

    path: Path
    reason: str


@dataclass(frozen=True, slots=True)
class Contents:
    """What the file held when it was opened."""

    open_boxes: tuple[BoxRecord, ...] = ()
    ended_boxes: tuple[BoxRecord, ...] = ()
    """The newest, at most `TOLD_ENDED_BOXES`, and none older than `TOLD_AGE_MS`."""
    direct: Mapping[UserId, ChannelId] = field(default_factory=dict)
    closed_well: bool = True
    lost: bool = False


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows to write; None deletes."""

    boxes: Mapping[BoxId, BoxRecord | None]
    direct: Mapping[UserId, ChannelId]


class LedgerFile:
    """The SQLite file itself; each method runs in the ledger's thread."""

    def __init__(self, path: Path, wall_ms: Callable[[], int]) -> None:
        self._path = path
        self._wall_ms = wall_ms
        self._db: sqlite3.Connection | None = None
        self._writes = 0

    def open(self) -> Contents | NewerState | StateUnusable:
        existed = self._path.exists()
        try:
            opened = self._open_existing() if existed else None
            if opened is not None:
                return opened
            if existed:
                self._move_aside()
            self._db = self._connect()
            self._db.executescript(
                f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
            )
            self._mark_running()
        except (sqlite3.Error, OSError) as error:
            self._abandon()
            return StateUnusable(self._path, _word(error))
        return Contents(lost=existed)

    def _open_existing(self) -> Contents | NewerState | StateUnusable | None:
        """None where the file is no ledger, or a broken one."""
        try:
            self._db = self._connect()
            (version,) = self._db.execute("PRAGMA user_version").fetchone()
            if version > SCHEMA_VERSION:
                self._abandon()
                return NewerState(self._path, version)
            if version != SCHEMA_VERSION or self._db.execute("PRAGMA quick_check").fetchone() != ("ok",):
                self._abandon()
                return None
            contents = self._contents(self._db)
            self._expire(self._db)
            self._mark_running()
        except (sqlite3.Error, ValueError) as error:
            self._abandon()
            # SQLite also says "read-only" of a file whose header asks for a later version of SQLite.
            innocent = _word(error).startswith(_NOT_THE_FILES_FAULT) or not os.access(self._path, os.W_OK)
            return StateUnusable(self._path, _word(error)) if innocent else None
        return contents

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._path, isolation_level=None, timeout=2.0)
        self._db = db
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version > SCHEMA_VERSION:  # left as it is: the journal mode stands in the file
            return db
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA journal_size_limit = 1048576")
        return db

    def _contents(self, db: sqlite3.Connection) -> Contents:
        rows = db.execute(f"SELECT {_COLUMNS} FROM boxes WHERE ended = 0 AND gone = 0")  # noqa: S608 - constants
        records = tuple(_record(row) for row in rows)
        ended = db.execute(
            f"SELECT updated_at_ms, {_COLUMNS} FROM boxes"  # noqa: S608 - constants
            " WHERE ended = 1 AND gone = 0 AND updated_at_ms >= ? ORDER BY updated_at_ms DESC LIMIT ?",
            (self._wall_ms() - TOLD_AGE_MS, TOLD_ENDED_BOXES),
        )
        ended_records = tuple(replace(_record(row[1:]), kept_at_ms=int(row[0])) for row in ended)
        direct = {
            UserId(user): ChannelId(channel) for user, channel in db.execute("SELECT * FROM direct_channels")
        }
        (closed,) = db.execute("SELECT closed FROM last_run").fetchone()
        return Contents(records, ended_records, direct, closed_well=closed == 1)

    def _mark_running(self) -> None:
        if self._db is not None:
            self._db.execute("UPDATE last_run SET closed = 0")

    def find(self, box_id: BoxId) -> BoxRecord | None:
        if self._db is None:
            return None
        try:
            query = f"SELECT {_COLUMNS} FROM boxes WHERE box_id = ?"  # noqa: S608 - constants
            row = self._db.execute(query, (_text(box_id),)).fetchone()
            return None if row is None else _record(row)
        except (sqlite3.Error, ValueError):
            return None

    def write(self, batch: Batch) -> str | None:
        """None when the rows are on the disk, else why they are not."""
        db = self._db
        if db is None:
            return "closed"
        try:
            db.execute("BEGIN IMMEDIATE")
            at_ms = self._wall_ms()
            for box_id, record in batch.boxes.items():
                if record is None:
                    db.execute("DELETE FROM boxes WHERE box_id = ?", (_text(box_id),))
                else:
                    db.execute(
                        f"INSERT OR REPLACE INTO boxes ({_COLUMNS}, updated_at_ms)"  # noqa: S608 - constants
                        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                        (*_row(record), at_ms),
                    )
            db.executemany("INSERT OR REPLACE INTO direct_channels VALUES (?, ?)", batch.direct.items())
            self._writes += len(batch.boxes)
            if self._writes >= _EXPIRE_EVERY:
                self._writes = 0
                self._expire(db)
            db.execute("COMMIT")
        except (sqlite3.Error, OSError) as error:
            with suppress(sqlite3.Error):
                db.rollback()
            return _word(error)
        return None

    def _expire(self, db: sqlite3.Connection) -> None:
        db.execute("DELETE FROM boxes WHERE updated_at_ms < ?", (self._wall_ms() - MAX_AGE_MS,))
        db.execute(
            "DELETE FROM boxes WHERE box_id IN (SELECT box_id FROM boxes WHERE ended = 1 OR gone = 1"
            " ORDER BY updated_at_ms DESC LIMIT -1 OFFSET ?)",
            (MAX_ENDED_BOXES,),
        )

    def close(self, *, well: bool) -> None:
        if self._db is None:
            return
        with suppress(sqlite3.Error):
            if well:
                self._db.execute("UPDATE last_run SET closed = 1")
        self._abandon()

    def _abandon(self) -> None:
        if self._db is not None:
            with suppress(sqlite3.Error), closing(self._db):
                pass
            self._db = None

    def _move_aside(self) -> None:
        bad = self._path.with_name(f"{FILE_NAME}.bad-{self._wall_ms():015d}")
        self._path.rename(bad)
        for suffix in ("-wal", "-shm"):  # they belong to that file; a new one must not meet them
            with suppress(FileNotFoundError):
                self._path.with_name(FILE_NAME + suffix).rename(bad.with_name(bad.name + suffix))
        kept = sorted(
            {path.name.partition("-wal")[0].partition("-shm")[0] for path in _bad_files(self._path)}
        )
        for path in _bad_files(self._path):
            if not path.name.startswith(tuple(kept[-BAD_FILES_KEPT:])):
                path.unlink(missing_ok=True)


def _bad_files(path: Path) -> list[Path]:
    return list(path.parent.glob(f"{FILE_NAME}.bad-*"))


def _row(record: BoxRecord) -> tuple[object, ...]:
    channel_id, root_id, user_id = "", "", ""
    match record.target:
        case ChannelTarget():
            channel_id, root_id = record.target.channel_id, record.target.root_id
        case DirectTarget():
            user_id = record.target.user_id
    return (
        _text(record.box_id),
        channel_id,
        root_id,
        user_id,
        record.nonce,
        record.intent_at_ms,
        record.post_id,
        record.text_sha256,
        record.ended,
        record.gone,
        record.renewed,
    )


def _record(row: tuple[Any, ...]) -> BoxRecord:
    """A row as written; raises ValueError for one that nobody wrote."""
    match row:
        case (
            str(box_id),
            str(channel_id),
            str(root_id),
            str(user_id),
            str(nonce),
            int(intent_at_ms),
            str() | None as post_id,
            bytes() | None as text_sha256,
            int(ended),
            int(gone),
            int(renewed),
        ):
            return BoxRecord(
                BoxId(box_id),
                DirectTarget(UserId(user_id))
                if user_id
                else ChannelTarget(ChannelId(channel_id), PostId(root_id)),
                nonce,
                intent_at_ms,
                None if post_id is None else PostId(post_id),
                text_sha256,
                ended=bool(ended),
                gone=bool(gone),
                renewed=bool(renewed),
            )
        case _:
            raise ValueError("a row of other types")


def _text(text: str) -> str:
    """SQLite takes no lone surrogates, which file names that are not UTF-8 bring along."""
    return text.encode("utf-8", "backslashreplace").decode()


def _word(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return getattr(error, "sqlite_errorname", None) or type(error).__name__
