"""Whatever a writer does to its database, in whatever order: what we handed over adds up to what is in it."""

import json
import sqlite3
import tempfile
from pathlib import Path

import zstandard
from following import Received
from hypothesis import given, settings
from hypothesis import strategies as st
from store_writer import StoreWriter, chain, entry, header

from status_watcher.edge.database_sessions import DatabaseCounters, DatabaseSessions, Seen

STEPS = (
    "append",
    "append packed",
    "append many",
    "append aside",
    "rewrite",
    "shorten",
    "patch",
    "delete",
    "new session",
    "rewind",
    "branch",
    "vacuum",
    "checkpoint",
    "status",
    "restart writer",
    "replace file",
    "look",
)


class World:
    """A database, its reader, and what should have been handed over."""

    def __init__(self, directory: Path):
        self.path = directory / "x.sqlite"
        self.writer = StoreWriter(self.path)
        self.counters = DatabaseCounters()
        self.reader = DatabaseSessions(
            "main", str(self.path), wanted=(), fresh_from_ms=0, counters=self.counters
        )
        self.received = Received()
        self.ever = set()
        self.serial = 0
        self.current = {}  # key -> session id
        self.new_session(0)

    def id(self, prefix):
        self.serial += 1
        return f"{prefix}{self.serial}"

    def new_session(self, number):
        key, session_id = f"agent:main:k{number % 3}", self.id("s")
        self.current[key] = session_id
        self.writer.node(session_id, key)
        self.writer.append(session_id, header(session_id), *chain(self.id("e"), self.id("e")))

    def leaf(self, session_id):
        query = (
            "SELECT e.event_json, e.seq FROM session_transcript_active_events AS a"
            " JOIN transcript_events AS e"
            " ON e.session_id = a.session_id AND e.seq = a.event_seq"
            " WHERE a.session_id = ? AND e.event_json IS NOT NULL ORDER BY a.active_position"
        )
        rows = self.writer.sql(query, session_id)
        return [json.loads(body)["id"] for body, _ in rows]

    def tip(self, session_id):
        query = "SELECT leaf_event_id FROM session_transcript_index_state WHERE session_id = ?"
        found = self.writer.sql(query, session_id)
        return found[0][0] if found else None

    def do(self, step, number):
        key = f"agent:main:k{number % 3}"
        session_id = self.current.get(key)
        if step == "look":
            self.look()
        elif step == "vacuum":
            self.writer.sql("VACUUM")
        elif step == "checkpoint":
            assert self.writer.sql("PRAGMA wal_checkpoint(TRUNCATE)")[0][0] == 0
        elif step == "restart writer":
            self.writer.close()
            self.writer = StoreWriter(self.path)
        elif step == "replace file":
            self.replace()
        elif step == "new session" or session_id is None:
            self.new_session(number)
        else:
            self.change(step, key, session_id)

    def change(self, step, key, session_id):
        writer = self.writer
        parent = self.tip(session_id)
        match step:
            case "append":
                writer.append(session_id, entry(self.id("e"), parent))
            case "append packed":
                writer.append(session_id, entry(self.id("e"), parent, "x" * 3000), packed=True)
            case "append many":
                writer.append(session_id, *chain(*[self.id("e") for _ in range(5)], parent=parent))
            case "append aside":
                writer.append(session_id, entry(self.id("m"), parent, appendMode="side"), active=False)
                writer.sql(
                    "UPDATE session_transcript_index_state AS i SET indexed_seq ="
                    " (SELECT max(seq) FROM transcript_events AS e WHERE e.session_id = i.session_id)"
                )
            case "rewrite":
                writer.rewrite(
                    session_id, header(session_id), *chain(self.id("e"), self.id("e"), self.id("e"))
                )
            case "shorten":
                writer.rewrite(session_id, header(session_id))
            case "patch":
                self.patch(session_id)
            case "delete":
                writer.delete(session_id, key)
                del self.current[key]
            case "rewind":
                if any(packed for (packed,) in writer.sql("SELECT event_zstd FROM transcript_events")):
                    return
                new = self.id("s")
                kept = self.leaf(session_id)
                writer.rewind(session_id, new, key=key, to=kept[0] if kept and self.serial % 2 else None)
                self.current[key] = new
            case "branch":
                self.branch(session_id)
            case "status":
                writer.node(session_id, key, status="done")

    def patch(self, session_id):
        query = (
            "SELECT seq, event_json FROM transcript_events WHERE session_id = ? AND event_json IS NOT NULL"
        )
        seq, body = self.writer.sql(query, session_id)[-1]
        body = json.dumps({**json.loads(body), "patched": self.id("p")})

        def patch():
            self.writer.sql(
                "UPDATE transcript_events SET event_json = ? WHERE session_id = ? AND seq = ?",
                body,
                session_id,
                seq,
            )
            self.writer.rotate(session_id)

        self.writer.commit(patch)

    def branch(self, session_id):
        """An entry under the first one: what lay between is left behind."""
        ids = self.leaf(session_id)
        if not ids:
            return

        def branch():
            query = "SELECT min(event_seq) FROM session_transcript_active_events WHERE session_id = ?"
            first = self.writer.sql(query, session_id)[0][0]
            self.writer.sql(
                "DELETE FROM session_transcript_active_events WHERE session_id = ? AND event_seq > ?",
                session_id,
                first,
            )
            self.writer.append(session_id, entry(self.id("e"), ids[0]))

        self.writer.commit(branch)

    def replace(self):
        copy = self.path.with_suffix(".copy")
        self.writer.sql("VACUUM INTO ?", str(copy))
        self.writer.close()
        for suffix in ("-wal", "-shm"):
            Path(f"{self.path}{suffix}").unlink(missing_ok=True)
        copy.rename(self.path)
        with sqlite3.connect(self.path) as again:
            again.execute("PRAGMA user_version = 23")
        again.close()
        self.writer = StoreWriter(self.path)

    def look(self):
        while True:
            seen = self.reader.look(thorough=True)
            assert isinstance(seen, Seen), seen
            for news in seen.news:
                self.received(news)
            if not seen.more:
                return

    def expected(self, session_id):
        """All events, but those that the projection has left out between others."""
        query = "SELECT seq, event_json, event_zstd FROM transcript_events WHERE session_id = ? ORDER BY seq"
        rows = self.writer.sql(query, session_id)
        active = {
            seq
            for (seq,) in self.writer.sql(
                "SELECT event_seq FROM session_transcript_active_events WHERE session_id = ?", session_id
            )
        }
        lines = []
        for seq, text, packed in rows:
            body = text.encode() if packed is None else zstandard.decompress(packed)
            event = json.loads(body)
            is_entry = event["type"] not in {"session", "leaf"} and "appendMode" not in event
            if seq in active or not is_entry:
                lines.append(body)
        return lines

    def check(self):
        self.look()
        for session_id in self.current.values():
            assert self.received.lines(session_id) == self.expected(session_id), session_id
        gone = {news.session_id for news in self.received.gone()}
        assert gone == self.received.sessions() - set(self.current.values())


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 2)), max_size=25))
def test_what_was_handed_over_is_what_the_database_has(steps):
    with tempfile.TemporaryDirectory() as directory:
        world = World(Path(directory))
        try:
            for step, number in steps:
                world.do(step, number)
            world.check()
            world.do("append", 0)
            world.check()
        finally:
            world.reader.close()
            world.writer.close()


def test_the_steps_before_any_look_count_too():
    with tempfile.TemporaryDirectory() as directory:
        world = World(Path(directory))
        for step in STEPS:
            world.do(step, 0)
        world.check()
        world.reader.close()
        world.writer.close()
