"""Builds the SQLite database of a 2026.9 gateway out of recorded rows, and plays them at the pace they had.

Schema as `sqlite_master` of a live gateway 2026.9.6 has it (`schema.sql` beside the captures), `schema.json`
is the same asked by PRAGMA of another one. What is written when, and in which transaction, as seen on live
gateways of 2026.9.6; not written are the full-text index and the tables of other features.
`python tests/databases.py <scenario> <state dir> [speed]` plays in a process of its own.
"""

import asyncio
import hashlib
import os
import sqlite3
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import zstandard
from recorded_rows import (
    ApprovalRow,
    Commit,
    DatabaseCapture,
    EventRow,
    NodeRow,
    Row,
    load,
    plan,
    plan_approvals,
)

from status_watcher.demo.player import Cast, PlayOptions

DATA = Path(__file__).parent / "data" / "openclaw" / "2026.9.6"
SCHEMA_VERSION = 23
STATE_SCHEMA_VERSION = 18
APP_VERSION = "2026.9.6"
PAGE_BYTES = 4096
_INCREMENTAL = 2
_KINDS = {"leaf": "leaf", "session": "ignored"}


@dataclass(slots=True)
class _Branch:
    """The active branch of a transcript, as the gateway projects it."""

    parents: dict[str, str | None] = field(default_factory=dict)
    seqs: dict[str, int] = field(default_factory=dict)
    messages: dict[str, tuple[bool, bool]] = field(default_factory=dict)
    """Per event: whether it is a message, and whether the model sees it."""
    leaf: str | None = None
    active: list[str] = field(default_factory=list)

    def add(self, row: EventRow) -> bool:
        """Take a row; whether the projection has to be built anew, rather than to grow by it."""
        event = row.event
        if event["type"] == "session":
            return False
        self.parents[event["id"]] = event.get("parentId")
        if event["type"] == "leaf":
            self.leaf = event["targetId"]
            self.active = self._path()
            return True
        self.seqs[event["id"]] = row.seq
        eligible = not event.get("message", {}).get("excludeFromContext")
        self.messages[event["id"]] = (event["type"] == "message", eligible)
        extends = event.get("parentId") == self.leaf
        self.leaf = event["id"]
        self.active = [*self.active, event["id"]] if extends else self._path()
        return not extends

    def _path(self) -> list[str]:
        path: list[str] = []
        event_id = self.leaf
        while event_id is not None:
            if event_id in self.seqs:
                path.append(event_id)
            event_id = self.parents.get(event_id)
        return path[::-1]


def schema() -> str:
    """The tables that we read, as a live gateway makes them."""
    return (DATA / "schema.sql").read_text(encoding="utf-8")


def connect(path: Path) -> sqlite3.Connection:
    """A connection that writes, whether there is a database yet or not; readable by us alone."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    # A CHECK of the gateway's schema uses it; SQLite has it from 3.43 on.
    db.create_function(
        "octet_length", 1, lambda text: len(text.encode()) if text is not None else None, deterministic=True
    )
    return db


def create(db: sqlite3.Connection, tables: str, version: int | None = None) -> None:
    """Make an empty database one of these tables, in the journal mode of a gateway's."""
    db.execute("PRAGMA journal_mode = WAL")
    db.executescript(f"BEGIN;\n{tables}\nCOMMIT;")
    if version is not None:
        db.execute(f"PRAGMA user_version = {version}")


def put(
    db: sqlite3.Connection, table: str, columns: dict[str, Any], key: str = "", *, once: str = ""
) -> None:
    """Insert a row, or change the one that has its key but for the column written `once`."""
    names = ", ".join(columns)
    marks = ", ".join("?" * len(columns))
    changes = ", ".join(
        f"{name} = excluded.{name}" for name in columns if name not in [*key.split(", "), once]
    )
    upsert = f" ON CONFLICT ({key}) DO UPDATE SET {changes}" if key else ""
    db.execute(f"INSERT INTO {table} ({names}) VALUES ({marks}){upsert}", tuple(columns.values()))


def put_meta(db: sqlite3.Connection, agent: str, now_ms: int) -> None:
    """What the database says of itself."""
    columns = {"meta_key": "primary", "role": "agent", "schema_version": SCHEMA_VERSION, "agent_id": agent}
    put(db, "schema_meta", columns | {"app_version": APP_VERSION, "created_at": now_ms, "updated_at": now_ms})


class DatabaseWriter:
    """One agent's database, held open as its gateway holds it; closing it is the gateway's clean end."""

    def __init__(self, state_dir: Path, agent: str = "main") -> None:
        self.path = state_dir / "agents" / agent / "agent" / "openclaw-agent.sqlite"
        created = not self.path.exists()
        self._db = connect(self.path)
        self._branches: dict[str, _Branch] = {}
        if created:
            self._create(agent)
        else:
            self._db.execute("PRAGMA foreign_keys = ON")
            self._resume()

    def _create(self, agent: str) -> None:
        self._db.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        self._db.execute(f"PRAGMA auto_vacuum = {_INCREMENTAL}")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.execute("PRAGMA foreign_keys = ON")
        create(self._db, schema(), SCHEMA_VERSION)
        put_meta(self._db, agent, time.time_ns() // 1_000_000)

    def _resume(self) -> None:
        query = (
            "SELECT session_id, seq, created_at, event_json, event_zstd FROM transcript_events ORDER BY seq"
        )
        for session_id, seq, created_at, text, packed in self._db.execute(query):
            event = orjson.loads(text if packed is None else zstandard.ZstdDecompressor().decompress(packed))
            self._branches.setdefault(session_id, _Branch()).add(
                EventRow(0, session_id, seq, created_at, event)
            )

    def commit(self, *rows: Row) -> None:
        """All these rows in one transaction; an event's session needs a node before it."""
        with self._transaction():
            for row in rows:
                if isinstance(row, NodeRow):
                    self._node(row)
                else:
                    self._event(row)

    def rewrite(self, session_id: str, from_seq: int, *rows: EventRow) -> None:
        """Replace the end of a transcript in one transaction: the same seqs anew, and a new generation."""
        with self._transaction():
            where = "WHERE session_id = ? AND seq >= ?"
            self._db.execute(f"DELETE FROM transcript_events {where}", (session_id, from_seq))
            self._db.execute(
                "DELETE FROM session_transcript_active_events WHERE session_id = ?", (session_id,)
            )
            del self._branches[session_id]
            self._resume()
            for row in rows:
                self._event(row)
            self._project(session_id)
            generation = {"generation": uuid.uuid4().hex, "session_id": session_id, "updated_at": 0}
            self._put("transcript_rewrite_watermarks", generation, "session_id")

    def delete(self, key: str) -> None:
        """Delete a session: its node, and with it windows and rows."""
        with self._transaction():
            self._db.execute("DELETE FROM session_nodes WHERE session_key = ?", (key,))

    def checkpoint(self) -> None:
        """Move the log into the database and empty it, as the gateway does now and then."""
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        self._db.close()

    def _transaction(self) -> "_Transaction":
        return _Transaction(self._db)

    def _put(self, table: str, columns: dict[str, Any], key: str = "", *, once: str = "") -> None:
        put(self._db, table, columns, key, once=once)

    def _node(self, row: NodeRow) -> None:
        entry = row.entry
        query = "SELECT current_session_id FROM session_nodes WHERE session_key = ?"
        before = self._db.execute(query, (row.key,)).fetchone()
        actor, fork = entry.get("createdActor", {}), entry.get("forkSource", {})
        columns = {
            "session_key": row.key,
            "current_session_id": row.session_id,
            "entry_json": orjson.dumps(entry).decode(),
            "updated_at": row.updated_at_ms,
            "status": row.status,
            "created_at": entry.get("createdAt"),
            "created_via": entry.get("createdVia"),
            "created_actor_type": actor.get("type"),
            "created_actor_id": actor.get("id"),
            "parent_session_key": row.parent_key,
            "spawned_by": row.spawned_by,
            "fork_source_session_key": fork.get("sessionKey"),
            "fork_source_session_id": fork.get("sessionId"),
            "label": entry.get("label"),
            "display_name": entry.get("displayName"),
            "last_interaction_at": entry.get("lastInteractionAt"),
            "last_activity_at": entry.get("lastActivityAt"),
        }
        self._put("session_nodes", columns, "session_key")
        valid = 1 if "sessionId" in entry else -1
        self._db.execute("UPDATE session_nodes SET entry_valid = ? WHERE session_key = ?", (valid, row.key))
        conversation = self._conversation(row)
        followed = before is not None and before[0] != row.session_id and not fork
        previous = before[0] if followed else None
        self._window(row, conversation, previous)
        if conversation is not None:
            role = "participant" if row.key.endswith(":main") else "primary"
            columns = {"session_id": row.session_id, "conversation_id": conversation, "role": role}
            columns |= {"first_seen_at": row.updated_at_ms, "last_seen_at": row.updated_at_ms}
            self._put("session_conversations", columns, "session_id, conversation_id, role")

    def _window(self, row: NodeRow, conversation: str | None, previous: str | None) -> None:
        entry = row.entry
        chat_type = entry.get("chatType")
        scope = chat_type if chat_type in {"group", "channel"} else "conversation"
        context = entry.get("delivery", {}).get("context", {})
        columns = {
            "session_id": row.session_id,
            "session_key": row.key,
            "session_scope": "shared-main" if row.key.endswith(":main") else scope,
            "created_at": entry.get("sessionStartedAt") or row.updated_at_ms,
            "updated_at": row.updated_at_ms,
            "started_at": entry.get("startedAt"),
            "ended_at": entry.get("endedAt"),
            "status": row.status,
            "chat_type": chat_type,
            "channel": context.get("channel"),
            "account_id": context.get("accountId"),
            "primary_conversation_id": None if row.key.endswith(":main") else conversation,
            "parent_session_key": row.parent_key,
            "spawned_by": row.spawned_by,
            "display_name": entry.get("displayName"),
        } | ({"previous_session_id": previous} if previous else {})
        self._put("session_windows", columns, "session_id", once="created_at")

    def _conversation(self, row: NodeRow) -> str | None:
        delivery = row.entry.get("delivery", {})
        if delivery.get("kind") != "external" or "chatType" not in row.entry:
            return None  # a sub-agent's delivery names its requester's place, but it has no chat
        route = delivery["route"]
        to = route["target"]["to"]
        thread_id = route.get("thread", {}).get("id")
        identity = (
            route["channel"],
            route["accountId"],
            row.entry["chatType"],
            to.partition(":")[2],
            thread_id,
        )
        conversation = "conv_" + hashlib.md5(repr(identity).encode(), usedforsecurity=False).hexdigest()
        columns = dict(
            zip(("channel", "account_id", "kind", "peer_id", "thread_id"), identity, strict=True)
        ) | {
            "conversation_id": conversation,
            "delivery_target": to,
            "native_channel_id": delivery.get("origin", {}).get("nativeChannelId"),
            "label": row.entry.get("displayName"),
            "created_at": row.updated_at_ms,
            "updated_at": row.updated_at_ms,
        }
        self._put("conversations", columns, "conversation_id")
        return conversation

    def _event(self, row: EventRow) -> None:
        text = orjson.dumps(row.event)
        columns = {"session_id": row.session_id, "seq": row.seq, "created_at": row.created_at_ms}
        columns |= {"event_utf8_bytes": len(text)}
        if row.zstd:
            packed = zstandard.ZstdCompressor(write_checksum=True).compress(text)
            columns |= {"event_zstd": packed, "navigation_json": _navigation(row, len(text))}
        else:
            columns |= {"event_json": text.decode()}
        self._put("transcript_events", columns)
        generation = (row.session_id, uuid.uuid4().hex, row.created_at_ms)
        self._db.execute("INSERT OR IGNORE INTO transcript_rewrite_watermarks VALUES (?, ?, ?)", generation)
        branch = self._branches.setdefault(row.session_id, _Branch())
        if branch.add(row):
            self._project(row.session_id)
        elif row.event["type"] != "session":
            self._active(row.session_id, branch, len(branch.active) - 1)
        counts = [branch.messages[event_id][0] for event_id in branch.active]
        state = {
            "session_id": row.session_id,
            "indexed_seq": row.seq,
            "leaf_event_id": branch.leaf,
            "active_event_count": len(counts),
            "active_message_count": sum(counts),
            "updated_at": row.created_at_ms,
        }
        self._put("session_transcript_index_state", state, "session_id")
        changed = (row.created_at_ms, row.created_at_ms, row.session_id)
        update = "UPDATE session_windows SET transcript_updated_at = ?, transcript_observed_at = ?"
        self._db.execute(f"{update} WHERE session_id = ?", changed)

    def _project(self, session_id: str) -> None:
        self._db.execute("DELETE FROM session_transcript_active_events WHERE session_id = ?", (session_id,))
        branch = self._branches[session_id]
        for position in range(len(branch.active)):
            self._active(session_id, branch, position)

    def _active(self, session_id: str, branch: _Branch, position: int) -> None:
        event_id = branch.active[position]
        is_message, eligible = branch.messages[event_id]
        before = sum(branch.messages[other][0] for other in branch.active[:position])
        columns = {
            "session_id": session_id,
            "active_position": position,
            "event_seq": branch.seqs[event_id],
            "message_position": before if is_message else None,
            "context_eligible": int(eligible),
        }
        self._put("session_transcript_active_events", columns)


class _Transaction:
    """BEGIN IMMEDIATE to COMMIT, or back."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, *_: object) -> None:
        self._db.execute("COMMIT" if kind is None else "ROLLBACK")


def _navigation(row: EventRow, size_bytes: int) -> str:
    """What the gateway keeps readable of a compressed event."""
    event = row.event
    head = {name: event[name] for name in ("type", "id", "parentId", "timestamp") if name in event}
    message = event.get("message", {})
    told = {name: message[name] for name in ("role", "toolCallId", "toolName", "isError") if name in message}
    sizes = dict.fromkeys(("modelBytes", "modelWithoutCheckpointBytes", "withoutCustomDataBytes"), size_bytes)
    report = {
        "kind": _KINDS.get(event["type"], "canonical"),
        "hasParentId": "parentId" in event,
        "entry": head,
    }
    navigation = {"version": 1, "report": report, "navigation": head, "reset": head, "model": head} | sizes
    return orjson.dumps(navigation | {"model": head | {"message": told}}).decode()


class ApprovalsWriter:
    """The gateway's own database beside those of its agents, as far as approvals go; held open likewise."""

    def __init__(self, state_dir: Path) -> None:
        self.path = state_dir / "state" / "openclaw.sqlite"
        created = not self.path.exists()
        self._db = connect(self.path)
        if created:
            create(
                self._db,
                (DATA / "approvals_schema.sql").read_text(encoding="utf-8"),
                STATE_SCHEMA_VERSION,
            )

    def put(self, row: ApprovalRow) -> None:
        """Insert the row, or change the one with its id; each in a transaction of its own."""
        stated = {
            "resolution_ref": hashlib.sha256(row.columns["approval_id"].encode()).hexdigest()[:43],
            "reviewer_device_ids_json": "[]",
            "audience_session_keys_json": orjson.dumps([row.columns["source_session_key"]]).decode(),
            "runtime_epoch": "epoch",
        } | row.columns
        put(self._db, "operator_approvals", stated, "approval_id")

    def close(self) -> None:
        self._db.close()


class Databases:
    """The database of each agent, shared by recordings that play at once in one directory."""

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir
        self._writers: dict[str, DatabaseWriter] = {}
        self._approvals: ApprovalsWriter | None = None

    def of(self, agent: str = "main") -> DatabaseWriter:
        if agent not in self._writers:
            self._writers[agent] = DatabaseWriter(self._state_dir, agent)
        return self._writers[agent]

    @property
    def approvals(self) -> ApprovalsWriter:
        self._approvals = self._approvals or ApprovalsWriter(self._state_dir)
        return self._approvals

    def close(self) -> None:
        for writer in self._writers.values():
            writer.close()
        if self._approvals is not None:
            self._approvals.close()


async def play(
    capture: DatabaseCapture,
    state_dir: Path,
    options: PlayOptions,
    *,
    cast: Cast | None = None,
    databases: Databases,
    on_commit: Callable[[Commit], None] = lambda _: None,
) -> None:
    """Commit the recorded rows at their times; recordings that play at once share `databases`."""
    start_ms = time.time_ns() // 1_000_000
    loop = asyncio.get_running_loop()
    started_s = loop.time()
    commits = plan(capture, options, start_ms=start_ms, state_dir=state_dir, cast=cast)
    asked = plan_approvals(capture, options, start_ms=start_ms, state_dir=state_dir, cast=cast)
    steps = sorted([*((c.at_s, c) for c in commits), *asked], key=lambda step: step[0])
    for at_s, step in steps:
        await asyncio.sleep(max(0.0, started_s + at_s - loop.time()))  # the pace of the recording
        if isinstance(step, ApprovalRow):
            databases.approvals.put(step)
            continue
        databases.of(capture.agent).commit(*step.rows)
        on_commit(step)


def main(scenario: str, state_dir: str, speed: str = "1") -> None:
    databases = Databases(Path(state_dir))
    capture = load(DATA / scenario)
    asyncio.run(play(capture, Path(state_dir), PlayOptions(speed=float(speed)), databases=databases))
    databases.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
