"""Writes an agent's database as a gateway of 2026.9.6 does, as far as our reader looks at it.

Tables and columns are those of a real one (schema 23); which rows change together follows what was seen on a
live gateway: an event, its place on the active branch and the state of that projection in one commit, a
rewind as a new session with copies of all events.
"""

import json
import sqlite3
import time
import uuid
from pathlib import Path

import zstandard

SCHEMA = """
CREATE TABLE schema_meta (meta_key TEXT NOT NULL PRIMARY KEY, role TEXT NOT NULL,
  schema_version INTEGER NOT NULL, agent_id TEXT, app_version TEXT,
  created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL);
CREATE TABLE session_nodes (session_key TEXT NOT NULL PRIMARY KEY, current_session_id TEXT NOT NULL,
  entry_json TEXT NOT NULL, entry_valid INTEGER NOT NULL DEFAULT 0, updated_at INTEGER NOT NULL, status TEXT,
  parent_session_key TEXT, spawned_by TEXT, fork_source_session_key TEXT, fork_source_session_id TEXT,
  fork_source_entry_id TEXT, label TEXT, display_name TEXT, archived_at INTEGER);
CREATE INDEX idx_agent_session_nodes_updated_at ON session_nodes(updated_at DESC, session_key);
CREATE TABLE session_windows (session_id TEXT NOT NULL PRIMARY KEY, session_key TEXT NOT NULL,
  previous_session_id TEXT, reason TEXT, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL);
CREATE TABLE conversations (conversation_id TEXT NOT NULL PRIMARY KEY, channel TEXT NOT NULL,
  account_id TEXT NOT NULL, kind TEXT NOT NULL, peer_id TEXT NOT NULL, delivery_target TEXT NOT NULL,
  thread_id TEXT, native_channel_id TEXT);
CREATE TABLE session_conversations (session_id TEXT NOT NULL, conversation_id TEXT NOT NULL,
  role TEXT NOT NULL DEFAULT 'primary', PRIMARY KEY (session_id, conversation_id, role));
CREATE TABLE transcript_events (session_id TEXT NOT NULL, seq INTEGER NOT NULL, event_json TEXT,
  created_at INTEGER NOT NULL, event_zstd BLOB, event_utf8_bytes INTEGER, navigation_json TEXT,
  PRIMARY KEY (session_id, seq));
CREATE TABLE session_transcript_active_events (session_id TEXT NOT NULL, active_position INTEGER NOT NULL,
  event_seq INTEGER NOT NULL, message_position INTEGER, context_eligible INTEGER,
  PRIMARY KEY (session_id, active_position));
CREATE UNIQUE INDEX idx_agent_transcript_active_event_seq
  ON session_transcript_active_events(session_id, event_seq);
CREATE TABLE session_transcript_index_state (session_id TEXT NOT NULL PRIMARY KEY,
  indexed_seq INTEGER NOT NULL, leaf_event_id TEXT, needs_rebuild INTEGER NOT NULL DEFAULT 0);
CREATE TABLE session_transcript_cold_archives (session_id TEXT NOT NULL PRIMARY KEY);
CREATE TABLE session_transcript_archives (session_id TEXT NOT NULL, generation TEXT NOT NULL,
  session_key TEXT NOT NULL, reason TEXT NOT NULL, encoding TEXT NOT NULL, archive_blob BLOB NOT NULL,
  created_at INTEGER NOT NULL, PRIMARY KEY (session_id, generation));
CREATE TABLE transcript_rewrite_watermarks (session_id TEXT NOT NULL PRIMARY KEY, generation TEXT NOT NULL,
  updated_at INTEGER NOT NULL);
PRAGMA user_version = 23;
"""
KEY = "agent:main:main"


def now_ms():
    return time.time_ns() // 1_000_000


class StoreWriter:
    """One writing connection in WAL mode; each method is one commit."""

    def __init__(self, path: Path, *, schema: str = SCHEMA):
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.connection = sqlite3.connect(path, isolation_level=None)
        self.connection.execute("PRAGMA journal_mode = WAL")
        self.connection.execute("PRAGMA synchronous = OFF")
        if not self.connection.execute("SELECT 1 FROM sqlite_schema").fetchone():
            self.connection.executescript("BEGIN;" + schema + "COMMIT;")
            self.connection.execute(
                "INSERT INTO schema_meta VALUES ('primary', 'agent', 23, 'main', '2026.9.6', 0, 0)"
            ) if "schema_meta" in schema else None

    def close(self):
        self.connection.close()

    def sql(self, query, *arguments):
        return self.connection.execute(query, arguments).fetchall()

    def commit(self, *steps):
        """Several steps in one transaction."""
        self.connection.execute("BEGIN IMMEDIATE")
        for step in steps:
            step()
        self.connection.execute("COMMIT")

    def node(self, session_id, key=KEY, *, updated_at=None, entry=None, **columns):
        at = now_ms() if updated_at is None else updated_at
        body = {"sessionId": session_id, "updatedAt": at, **(entry or {})}
        names = ["session_key", "current_session_id", "entry_json", "updated_at", *columns]
        values = [key, session_id, json.dumps(body), at, *columns.values()]
        self.sql(
            f"INSERT OR REPLACE INTO session_nodes ({','.join(names)}) VALUES ({','.join('?' * len(names))})",
            *values,
        )
        self.sql(
            "INSERT OR IGNORE INTO session_windows VALUES (?, ?, NULL, NULL, ?, ?)", session_id, key, at, at
        )

    def append(self, session_id, *events, packed=False, active=True, at=None):
        """Events with their rows of the projection, in one commit (or in that of the caller)."""
        outer = self.connection.in_transaction
        if not outer:
            self.connection.execute("BEGIN IMMEDIATE")
        for event in events:
            self._insert(session_id, event, packed=packed, active=active, at=at)
        if not outer:
            self.connection.execute("COMMIT")

    def _insert(self, session_id, event, *, packed, active, at):
        seq = self.sql(
            "SELECT coalesce(max(seq), -1) + 1 FROM transcript_events WHERE session_id = ?", session_id
        )
        seq = seq[0][0]
        body = event if isinstance(event, bytes) else json.dumps(event).encode()
        at = at if at is not None else event.get("at", now_ms()) if isinstance(event, dict) else now_ms()
        if packed:
            blob = zstandard.compress(body)
            row = (session_id, seq, None, at, blob, len(body), "{}")
        else:
            row = (session_id, seq, body.decode("utf-8", "surrogateescape"), at, None, None, None)
        self.sql("INSERT INTO transcript_events VALUES (?, ?, ?, ?, ?, ?, ?)", *row)
        self.sql(
            "INSERT OR IGNORE INTO transcript_rewrite_watermarks VALUES (?, ?, 0)",
            session_id,
            uuid.uuid4().hex,
        )
        is_entry = not (isinstance(event, dict) and event.get("type") in {"session", "leaf"})
        if active and is_entry:
            query = "SELECT coalesce(max(active_position), -1) + 1 FROM session_transcript_active_events"
            position = self.sql(query + " WHERE session_id = ?", session_id)[0][0]
            self.sql(
                "INSERT INTO session_transcript_active_events VALUES (?, ?, ?, NULL, 1)",
                session_id,
                position,
                seq,
            )
        if active:
            leaf = event.get("id") if isinstance(event, dict) else None
            self.sql(
                "INSERT OR REPLACE INTO session_transcript_index_state VALUES (?, ?, ?, 0)",
                session_id,
                seq,
                leaf,
            )

    def rotate(self, session_id):
        self.sql(
            "UPDATE transcript_rewrite_watermarks SET generation = ? WHERE session_id = ?",
            uuid.uuid4().hex,
            session_id,
        )

    def clear(self, session_id):
        for table in (
            "transcript_events",
            "session_transcript_active_events",
            "session_transcript_index_state",
        ):
            self.sql(f"DELETE FROM {table} WHERE session_id = ?", session_id)

    def rewrite(self, session_id, *events):
        """Replace a transcript, as a repair does."""
        self.commit(
            lambda: self.clear(session_id),
            lambda: self.append(session_id, *events),
            lambda: self.rotate(session_id),
        )

    def rewind(self, old, new, *, key=KEY, to=None, header_at=None):
        """`sessions.rewind`: a new session with all events of the old one, and a leaf."""
        rows = self.sql(
            "SELECT event_json, created_at FROM transcript_events WHERE session_id = ? ORDER BY seq", old
        )
        at = header_at or now_ms()

        def copy():
            self.node(new, key)
            self.sql("UPDATE session_windows SET previous_session_id = ? WHERE session_id = ?", old, new)
            self.append(new, header(new), at=at)
            kept = to is not None
            for body, created_at in rows:
                event = json.loads(body)
                if event["type"] != "session":
                    self.append(new, event, active=kept, at=created_at)
                    kept = kept and event["id"] != to
            self.append(new, {"type": "leaf", "id": f"leaf-{new}", "parentId": None, "targetId": to}, at=at)

        self.commit(copy)

    def delete(self, session_id, key=KEY):
        self.commit(
            lambda: self.clear(session_id),
            lambda: self.sql("DELETE FROM transcript_rewrite_watermarks WHERE session_id = ?", session_id),
            lambda: self.sql("DELETE FROM session_windows WHERE session_id = ?", session_id),
            lambda: self.sql("DELETE FROM session_nodes WHERE session_key = ?", key),
        )


def header(session_id, **fields):
    return {"type": "session", "version": 4, "id": session_id, **fields}


def entry(entry_id, parent, text="x", **fields):
    message = {"role": "user", "content": text}
    return {"type": "message", "id": entry_id, "parentId": parent, "message": message, **fields}


def chain(*ids, parent=None):
    """Entries, each the child of the one before."""
    found = []
    for entry_id in ids:
        found.append(entry(entry_id, parent))
        parent = entry_id
    return found
