"""The database that tests build is the one a gateway makes: schema, rows and their bookkeeping."""

import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import recorded_rows
import schemas
import zstandard
from databases import DATA, DatabaseWriter
from recorded_rows import DatabaseCapture, EventRow, NodeRow

from status_watcher.demo.player import PlayOptions

CAPTURES = sorted(path.parent.name for path in DATA.glob("*/db.jsonl"))
SESSION = "11111111-2222-4333-8444-555555555555"
KEY = "agent:main:test"
START_MS = 1_795_000_000_000

COMPARED = {
    "transcript_events": ("session_id", "seq", "created_at", "event_zstd IS NULL", "event_utf8_bytes"),
    "transcript_rewrite_watermarks": ("session_id", "length(generation)"),
    "session_transcript_active_events": (
        "session_id",
        "active_position",
        "event_seq",
        "message_position",
        "context_eligible",
    ),
    "session_transcript_index_state": (
        "session_id",
        "indexed_seq",
        "leaf_event_id",
        "needs_rebuild",
        "active_event_count",
        "active_message_count",
    ),
    "session_nodes": (
        "session_key",
        "current_session_id",
        "entry_valid",
        "updated_at",
        "status",
        "created_at",
        "created_via",
        "created_actor_type",
        "created_actor_id",
        "parent_session_key",
        "spawned_by",
        "fork_source_session_key",
        "fork_source_session_id",
        "label",
        "display_name",
        "archived_at",
        "last_interaction_at",
        "last_activity_at",
    ),
    "session_windows": (
        "session_id",
        "session_key",
        "previous_session_id",
        "reason",
        "session_scope",
        "chat_type",
        "channel",
        "account_id",
        "parent_session_key",
        "spawned_by",
    ),
    "conversations": (
        "channel",
        "account_id",
        "kind",
        "peer_id",
        "delivery_target",
        "thread_id",
        "native_channel_id",
        "native_direct_user_id",
        "label",
    ),
    "session_conversations": ("session_id", "role"),
}


@pytest.fixture
def live(tmp_path) -> Path:
    """A live gateway's database: a session rewound and switched, a fork at a message, a thread's fork."""
    path = tmp_path / "live.sqlite"
    path.write_bytes(zstandard.ZstdDecompressor().decompress((DATA / "live.sqlite.zst").read_bytes()))
    return path


@pytest.fixture
def writer(tmp_path) -> Iterator[DatabaseWriter]:
    opened = DatabaseWriter(tmp_path)
    yield opened
    opened.close()


def reading(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    db.row_factory = sqlite3.Row
    return db


def body(row: sqlite3.Row) -> dict[str, Any]:
    if row["event_zstd"] is None:
        return orjson.loads(row["event_json"])
    return orjson.loads(zstandard.ZstdDecompressor().decompress(row["event_zstd"]))


def compared(path: Path, table: str) -> list[tuple[Any, ...]]:
    with reading(path) as db:
        rows = [tuple(row) for row in db.execute(f"SELECT {', '.join(COMPARED[table])} FROM {table}")]
    db.close()
    return sorted(rows, key=repr)


def node(entry: sqlite3.Row, session_id: str) -> NodeRow:
    return NodeRow(
        0,
        entry["session_key"],
        session_id,
        orjson.loads(entry["entry_json"]),
        entry["updated_at"],
        entry["status"],
        entry["parent_session_key"],
        entry["spawned_by"],
    )


def event(seq: int, kind: str, event_id: str, parent: str | None, **fields: Any) -> EventRow:
    entry = {"type": kind, "id": event_id, "parentId": parent, "timestamp": "2026-11-20T15:09:04.042Z"}
    return EventRow(0, SESSION, seq, START_MS + seq, entry | fields)


def begin(writer: DatabaseWriter, events: int) -> None:
    """A session with a header and so many messages, `a1` and on, each after the other."""
    writer.commit(NodeRow(0, KEY, SESSION, {"sessionId": SESSION}, START_MS, "running"))
    header = {"type": "session", "version": 4, "id": SESSION, "timestamp": "2026-11-20T15:09:04.042Z"}
    writer.commit(EventRow(0, SESSION, 0, START_MS, header))
    for seq in range(1, events + 1):
        parent = f"a{seq - 1}" if seq > 1 else None
        writer.commit(event(seq, "message", f"a{seq}", parent, message={"role": "user", "content": "hi"}))


def active(writer: DatabaseWriter) -> list[tuple[int, int, int]]:
    query = (
        "SELECT active_position, event_seq, message_position FROM session_transcript_active_events"
        " WHERE session_id = ? ORDER BY active_position"
    )
    with reading(writer.path) as db:
        rows = [tuple(row) for row in db.execute(query, (SESSION,))]
    db.close()
    return rows


def test_tables_columns_keys_and_indexes_are_those_that_were_described(writer):
    described = orjson.loads((DATA / "schema.json").read_bytes())["agent_database"]
    built = schemas.described(writer.path)
    assert {name: built[name] for name in ("user_version", "page_size", "journal_mode")} == {
        name: described[name] for name in ("user_version", "page_size", "journal_mode")
    }
    for name, table in described["tables"].items():
        indexes = {i["name"]: {k: i[k] for k in ("unique", "columns")} for i in table["indexes"]}
        keys = sorted(table["foreign_keys"], key=lambda key: (key["table"], key["from"]))
        assert built["tables"][name]["columns"] == table["columns"], name
        assert built["tables"][name]["indexes"] == indexes, name
        assert built["tables"][name]["foreign_keys"] == keys, name


def test_schema_is_that_of_a_live_gateway(writer, live):
    built = schemas.described(writer.path)
    assert built == schemas.described(live, frozenset(built["tables"]))
    assert built["auto_vacuum"] == 2


def test_rows_and_their_bookkeeping_are_what_a_live_gateway_wrote(tmp_path, live):
    writer = DatabaseWriter(tmp_path / "rebuilt")
    with reading(live) as db:
        nodes = {row["session_key"]: row for row in db.execute("SELECT * FROM session_nodes")}
        for window in db.execute("SELECT session_id, session_key FROM session_windows ORDER BY created_at"):
            writer.commit(node(nodes[window["session_key"]], window["session_id"]))
        for row in nodes.values():
            writer.commit(node(row, row["current_session_id"]))
        for row in db.execute("SELECT * FROM transcript_events ORDER BY rowid"):
            packed = row["event_zstd"] is not None
            writer.commit(EventRow(0, row["session_id"], row["seq"], row["created_at"], body(row), packed))
    db.close()
    writer.close()
    assert len(compared(live, "transcript_events")) > 150
    for table in COMPARED:
        assert compared(writer.path, table) == compared(live, table), table


@pytest.mark.parametrize("name", CAPTURES)
def test_recorded_rows_are_read_back_while_the_writer_is_open(name, writer, tmp_path):
    capture = recorded_rows.load(DATA / name)
    plan = recorded_rows.plan(capture, PlayOptions(), start_ms=START_MS, state_dir=tmp_path)
    for commit in plan:
        writer.commit(*commit.rows)
    planned = [row for commit in plan for row in commit.rows]
    events = sorted((r.session_id, r.seq, r.zstd, r.event) for r in planned if isinstance(r, EventRow))
    nodes = {r.key: (r.session_id, r.status, r.entry) for r in planned if isinstance(r, NodeRow)}
    with reading(writer.path) as db:
        rows = db.execute("SELECT * FROM transcript_events").fetchall()
        assert (
            sorted((r["session_id"], r["seq"], r["event_zstd"] is not None, body(r)) for r in rows) == events
        )
        found = db.execute("SELECT * FROM session_nodes").fetchall()
        assert {
            r["session_key"]: (r["current_session_id"], r["status"], orjson.loads(r["entry_json"]))
            for r in found
        } == nodes
    db.close()


@pytest.mark.parametrize("name", CAPTURES)
def test_every_recorded_transcript_is_whole(name):
    capture = recorded_rows.load(DATA / name)
    assert isinstance(capture, DatabaseCapture)
    seqs: dict[str, list[int]] = {}
    ids: dict[str, set[str]] = {}
    for row in capture.rows:
        if isinstance(row, EventRow):
            seqs.setdefault(row.session_id, []).append(row.seq)
            known = ids.setdefault(row.session_id, set())
            assert row.event.get("parentId") is None or row.event["parentId"] in known
            known.add(row.event["id"])
    assert all(found == list(range(len(found))) for found in seqs.values())


def test_played_times_follow_the_recorded_ones_at_the_speed_that_is_asked_for():
    capture = recorded_rows.load(DATA / "mm-thread-tools")
    plain = recorded_rows.plan(
        capture, PlayOptions(longest_gap_s=60), start_ms=START_MS, state_dir=Path("/s")
    )
    fast = recorded_rows.plan(
        capture, PlayOptions(speed=4, longest_gap_s=60), start_ms=START_MS, state_dir=Path("/s")
    )
    assert plain[-1].at_s == pytest.approx(9.873, abs=0.3)
    assert [commit.at_s for commit in fast] == pytest.approx([commit.at_s / 4 for commit in plain])


def test_database_is_private_and_has_a_log_while_it_is_open(tmp_path):
    writer = DatabaseWriter(tmp_path)
    begin(writer, 1)
    log = writer.path.with_name(writer.path.name + "-wal")
    assert log.stat().st_size > 0
    assert stat.S_IMODE(writer.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    assert stat.S_IMODE(writer.path.parent.stat().st_mode) == 0o700
    writer.close()
    assert not log.exists()


def test_a_leaf_row_leads_the_branch_elsewhere(writer):
    begin(writer, 3)
    writer.commit(event(4, "leaf", "a4", "a3", targetId="a1"))
    assert active(writer) == [(0, 1, 0)]
    writer.commit(event(5, "message", "a5", "a1", message={"role": "user", "content": "again"}))
    assert active(writer) == [(0, 1, 0), (1, 5, 1)]


def test_an_entry_behind_an_earlier_one_leads_the_branch_there(writer):
    begin(writer, 3)
    writer.commit(event(4, "message", "a4", "a1", message={"role": "user", "content": "again"}))
    assert active(writer) == [(0, 1, 0), (1, 4, 1)]


def test_nested_tool_records_are_on_the_branch_but_not_for_the_model(writer, tmp_path):
    capture = recorded_rows.load(DATA / "subagents-indirect")
    for commit in recorded_rows.plan(capture, PlayOptions(), start_ms=START_MS, state_dir=tmp_path):
        writer.commit(*commit.rows)
    query = (
        "SELECT seq FROM session_transcript_active_events AS active JOIN transcript_events AS event"
        " ON event.session_id = active.session_id AND event.seq = active.event_seq"
        " WHERE context_eligible = 0 AND message_position IS NOT NULL"
    )
    with reading(writer.path) as db:
        found = db.execute(query).fetchall()
    db.close()
    assert [row["seq"] for row in found] == [8]


def test_a_rewritten_end_has_the_same_numbers_and_another_generation(writer):
    begin(writer, 3)

    def generation() -> str:
        with reading(writer.path) as db:
            found = str(db.execute("SELECT generation FROM transcript_rewrite_watermarks").fetchone()[0])
        db.close()
        return found

    before = generation()
    writer.rewrite(SESSION, 3, event(3, "message", "b3", "a2", message={"role": "user", "content": "ho"}))
    assert generation() != before
    assert active(writer) == [(0, 1, 0), (1, 2, 1), (2, 3, 2)]
    with reading(writer.path) as db:
        last = db.execute("SELECT * FROM transcript_events ORDER BY seq DESC LIMIT 1").fetchone()
    db.close()
    assert body(last)["id"] == "b3"


def test_a_deleted_session_leaves_nothing(writer):
    begin(writer, 2)
    writer.delete(KEY)
    with reading(writer.path) as db:
        tables = [name for name in COMPARED if name != "conversations"]
        left = {name: db.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in tables}
    db.close()
    assert not any(left.values()), left


def test_a_failed_commit_leaves_the_database_as_it_was(writer):
    begin(writer, 2)
    with pytest.raises(sqlite3.IntegrityError):
        writer.commit(
            event(3, "message", "a3", "a2", message={}), event(2, "message", "a2", "a1", message={})
        )
    with reading(writer.path) as db:
        assert db.execute("SELECT count(*) FROM transcript_events").fetchone()[0] == 3
    db.close()
