"""What a session was that its database has no transcript of any more.

2026.9.6 keeps a deleted transcript twice: in a row, written in the transaction that deletes the events, and
in a file beside, made of that row afterwards; to save space it removes first the file, then the row. Its
repairs leave a file alone, as a gateway does that keeps its sessions in files.
"""

import os
from dataclasses import dataclass
from typing import Final, Literal

from status_watcher.core.filenames import Archive, PackedArchive, classify
from status_watcher.core.store_branch import abandoned, parse_node
from status_watcher.edge.database_payload import IDENTITY, ZSTD, Payloads
from status_watcher.edge.database_rows import Rows
from status_watcher.edge.locate import within
from status_watcher.edge.tail import WHOLE_BYTES, Absent, Opener, Refused
from status_watcher.model import SessionId

_HOME: Final = "agent"


@dataclass(frozen=True, slots=True)
class Archived:
    """How and when a session ended, and the entries of its branch as JSON: none if they cannot be read."""

    how: Literal["reset", "deleted"]
    at_ms: int
    lines: tuple[bytes, ...]


class DatabaseArchives:
    """The archives of one agent's database. Blocking."""

    def __init__(self, database: str, payloads: Payloads) -> None:
        """`database` is a real path; where the files lie beside it follows from that, as in OpenClaw."""
        home, _, _ = database.rpartition("/")
        above, _, name = home.rpartition("/")
        self._root = (above or "/") if name == _HOME else (home or "/")
        self._directory = f"{above}/sessions" if name == _HOME else self._root
        self._payloads = payloads

    def find(self, rows: Rows, session_id: SessionId) -> Archived | None:
        """The newest archive of a session; raises `sqlite3.Error`."""
        row = rows.archive(session_id)
        if row is not None and row[2]:
            how, at_ms, lines = row
            return Archived(how, at_ms, _branch(lines))
        if (found := self._newest_file(session_id)) is not None:
            path, kind = found
            encoding = ZSTD if isinstance(kind, PackedArchive) else IDENTITY
            lines = self._payloads.archived_lines(encoding, self._content(path))
            return Archived(kind.how, kind.at_ms, _branch(lines))
        return None if row is None else Archived(row[0], row[1], ())

    def _newest_file(self, session_id: SessionId) -> tuple[str, Archive | PackedArchive] | None:
        directory = within(self._root, self._directory)
        try:
            names = os.listdir(directory) if directory is not None else []  # noqa: PTH208 - names are wanted
        except OSError:
            return None
        found = [
            (f"{directory}/{name}", kind)
            for name in names
            if session_id in name
            and isinstance(kind := classify(name), Archive | PackedArchive)
            and kind.session_id == session_id
        ]
        return max(found, key=lambda one: one[1].stamp, default=None)

    def _content(self, path: str) -> bytes:
        """Nothing of a file that cannot, or must not, be read."""
        opened = Opener(self._root).open(path)
        if isinstance(opened, Absent | Refused):
            return b""
        descriptor, status = opened
        with os.fdopen(descriptor, "rb") as file:
            try:
                return file.read() if status.st_size <= WHOLE_BYTES else b""
            except OSError:
                return b""


def _branch(lines: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """Archived are all entries, also those that the session had abandoned."""
    nodes = (parse_node(number, line) for number, line in enumerate(lines))
    off = abandoned(node for node in nodes if node is not None)
    return tuple(line for number, line in enumerate(lines) if number not in off)
