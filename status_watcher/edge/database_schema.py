"""Which tables and columns a database has, and whether they are enough to follow sessions by.

Judged by what is there and not by the version: schemas 4 to 13 (2026.7.2 betas) have `session_entries` where
14 and later (seen: 23, 2026.9.6) have `session_nodes`, and columns come with every version.
"""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

EVENTS: Final = "transcript_events"
_NODES: Final = "session_nodes"
_OLD_NODES: Final = "session_entries"
_TABLES: Final = (
    EVENTS,
    _NODES,
    _OLD_NODES,
    "session_windows",
    "conversations",
    "session_conversations",
    "session_transcript_active_events",
    "session_transcript_index_state",
    "session_transcript_cold_archives",
    "session_transcript_archives",
    "transcript_rewrite_watermarks",
    "schema_meta",
)


@dataclass(frozen=True, slots=True)
class Schema:
    """A schema that we can read."""

    version: int
    app_version: str
    """Of OpenClaw, "" if it does not say."""
    nodes: str
    """The table of sessions,"""
    node_session_id: str
    """and its column with the id of the current one."""
    columns: Mapping[str, frozenset[str]]

    def has(self, table: str, *columns: str) -> bool:
        """Whether the table is there, with all of these."""
        return table in self.columns and self.columns[table].issuperset(columns)


@dataclass(frozen=True, slots=True)
class NoSessions:
    """No table for sessions: an agent's memory (2026.7.1), or not set up yet."""


@dataclass(frozen=True, slots=True)
class NotUnderstood:
    """Sessions are in it, but not as we know them."""

    reason: str


def read_schema(connection: sqlite3.Connection) -> Schema | NoSessions | NotUnderstood:
    """What the database has; raises `sqlite3.Error`."""
    columns: dict[str, set[str]] = {}
    marks = ",".join("?" * len(_TABLES))
    for table, column in connection.execute(
        "SELECT m.name, c.name FROM sqlite_master AS m, pragma_table_info(m.name) AS c"  # noqa: S608 - marks
        f" WHERE m.type = 'table' AND m.name IN ({marks})",
        _TABLES,
    ):
        columns.setdefault(table.decode(), set()).add(column.decode("utf-8", "replace"))
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if _NODES not in columns and _OLD_NODES not in columns:
        return NoSessions()
    nodes, session_id = (_NODES, "current_session_id") if _NODES in columns else (_OLD_NODES, "session_id")
    needed = {
        nodes: ("session_key", session_id, "entry_json", "updated_at"),
        EVENTS: ("session_id", "seq", "event_json", "created_at"),
    }
    missing = [
        f"{table}.{name}" if table in columns else table
        for table, names in needed.items()
        for name in names
        if name not in columns.get(table, ())
    ]
    if missing:
        lacking = ", ".join(dict.fromkeys(missing))
        return NotUnderstood(f"schema {version} is not understood: without {lacking}")
    return Schema(
        version,
        _app_version(connection, columns.get("schema_meta", set())),
        nodes,
        session_id,
        {table: frozenset(names) for table, names in columns.items()},
    )


def _app_version(connection: sqlite3.Connection, columns: set[str]) -> str:
    if "app_version" not in columns:
        return ""
    found = connection.execute("SELECT app_version FROM schema_meta WHERE app_version IS NOT NULL").fetchone()
    if found is None or not isinstance(found[0], bytes):
        return ""
    return "".join(c for c in found[0].decode("utf-8", "replace") if c.isprintable())[:40]
