"""Writes into an agent's database what tests want to be there, also what a gateway of 2026.9.6 would refuse.

Tables and columns are those of a real one, without their checks; which rows change together follows what was
seen on a live gateway: an event, its place on the active branch and the state of that projection in one
commit, a rewind as a new session with copies of all events.
"""

import json
import time
import uuid
from functools import partial
from pathlib import Path

import zstandard
from databases import SCHEMA_VERSION, connect, create, put, put_meta, schema

ARCHIVES = """
CREATE TABLE session_transcript_cold_archives (session_id TEXT NOT NULL PRIMARY KEY);
CREATE TABLE session_transcript_archives (session_id TEXT NOT NULL, generation TEXT NOT NULL,
  session_key TEXT NOT NULL, reason TEXT NOT NULL, encoding TEXT NOT NULL, archive_blob BLOB NOT NULL,
  created_at INTEGER NOT NULL, PRIMARY KEY (session_id, generation));
"""
"""What a gateway has besides where archives are switched on."""
KEY = "agent:main:main"


def now_ms():
    return time.time_ns() // 1_000_000


class StoreWriter:
    """One writing connection in WAL mode; each method is one commit."""

    def __init__(self, path: Path, *, tables: str | None = None):
        self.path = path
        self.connection = connect(path)
        self.connection.execute("PRAGMA ignore_check_constraints = ON")
        self.connection.execute("PRAGMA synchronous = OFF")
        if not self.connection.execute("SELECT 1 FROM sqlite_schema").fetchone():
            if tables is None:
                create(self.connection, schema() + ARCHIVES, SCHEMA_VERSION)
                put_meta(self.connection, "main", 0)
            else:
                create(self.connection, tables)

    def close(self):
        self.connection.close()

    def sql(self, query, *arguments):
        return self.connection.execute(query, arguments).fetchall()

    def commit(self, *steps):
        """Several steps in one transaction, or in that of the caller."""
        outer = self.connection.in_transaction
        if not outer:
            self.connection.execute("BEGIN IMMEDIATE")
        for step in steps:
            step()
        if not outer:
            self.connection.execute("COMMIT")

    def node(self, session_id, key=KEY, *, updated_at=None, entry=None, **columns):
        at = now_ms() if updated_at is None else updated_at
        body = {"sessionId": session_id, "updatedAt": at, **(entry or {})}
        identity = {"session_key": key, "current_session_id": session_id}
        told = {"entry_json": json.dumps(body), "updated_at": at, **columns}

        def replace():
            self.sql("DELETE FROM session_nodes WHERE session_key = ?", key)
            put(self.connection, "session_nodes", identity | told)
            if not self.sql("SELECT 1 FROM session_windows WHERE session_id = ?", session_id):
                self.window(session_id, key, at)

        self.commit(replace)

    def window(self, session_id, key=KEY, at=0):
        """A session that a key has or had."""
        columns = {"session_id": session_id, "session_key": key, "created_at": at, "updated_at": at}
        put(self.connection, "session_windows", columns)

    def event(self, session_id, seq, body, at, *, packed=False):
        """The row of an event alone; None for a body that it lacks."""
        columns = {"session_id": session_id, "seq": seq, "created_at": at}
        if packed:
            columns |= {"event_zstd": zstandard.compress(body), "event_utf8_bytes": len(body)}
            columns |= {"navigation_json": "{}"}
        elif body is not None:
            columns |= {"event_json": body.decode("utf-8", "surrogateescape")}
        put(self.connection, "transcript_events", columns)

    def append(self, session_id, *events, packed=False, active=True, at=None):
        """Events with their rows of the projection, in one commit (or in that of the caller)."""
        steps = (partial(self._insert, session_id, event) for event in events)
        self.commit(*(partial(step, packed=packed, active=active, at=at) for step in steps))

    def _insert(self, session_id, event, *, packed, active, at):
        seq = self.sql(
            "SELECT coalesce(max(seq), -1) + 1 FROM transcript_events WHERE session_id = ?", session_id
        )
        seq = seq[0][0]
        body = event if isinstance(event, bytes) else json.dumps(event).encode()
        at = at if at is not None else event.get("at", now_ms()) if isinstance(event, dict) else now_ms()
        self.event(session_id, seq, body, at, packed=packed)
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
            state = {"session_id": session_id, "indexed_seq": seq, "leaf_event_id": leaf, "updated_at": at}
            put(self.connection, "session_transcript_index_state", state | {"needs_rebuild": 0}, "session_id")

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
