import asyncio
import contextlib
import hashlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from databases import schema
from following import eventually, following
from store_writer import StoreWriter, chain, entry, header

from status_watcher.edge.database_source import DatabaseSource
from status_watcher.edge.locate import Layout
from status_watcher.edge.readers import THREADS, finish_together
from status_watcher.source import Reading, TranscriptGone

TESTS = Path(__file__).parent.parent
WRITER = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from store_writer import StoreWriter, chain, entry, header
writer = StoreWriter(Path(sys.argv[2]))
first = not writer.sql("SELECT 1 FROM session_nodes")
if first:
    writer.node("s1", status="running")
    writer.append("s1", header("s1"), *chain("a"))
for line in sys.stdin:
    entry_id, parent = line.split()
    writer.append("s1", entry(entry_id, parent))
    print(entry_id, flush=True)
"""


@pytest.fixture
def database(tmp_path):
    return tmp_path / "agents/main/agent/openclaw-agent.sqlite"


@pytest.fixture
def writer(database):
    writer = StoreWriter(database)
    yield writer
    writer.close()


@pytest.fixture
def source(tmp_path):
    return DatabaseSource(Layout(tmp_path), fresh_s=3600.0, sweep_s=0.2)


def begin(writer, session_id="s1", *ids):
    writer.node(session_id)
    writer.append(session_id, header(session_id), *chain(*ids))


def bytes_and_times(database):
    found = {}
    for path in (database, Path(f"{database}-wal")):
        found[path.name] = (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
    return found


class Process:
    """A writer of its own, which can be killed."""

    def __init__(self, database):
        self._process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(TESTS), str(database)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def append(self, entry_id, parent):
        print(entry_id, parent, file=self._process.stdin, flush=True)
        assert self._process.stdout.readline().strip() == entry_id

    def end(self, number=signal.SIGKILL):
        self._process.send_signal(number)
        self._process.wait()
        self._process.stdin.close()
        self._process.stdout.close()


# Nothing is written, nothing is held


async def test_reading_changes_neither_the_database_nor_its_log(writer, database, source):
    begin(writer, "s1", "a")
    before = bytes_and_times(database)
    async with following(source) as received:
        await eventually(received.sessions)
        await source.read_now()
        assert bytes_and_times(database) == before
    assert bytes_and_times(database) == before


async def test_a_checkpoint_of_everything_succeeds_while_we_follow_and_nothing_is_lost(
    writer, database, source
):
    begin(writer, "s1", "a")
    async with following(source) as received:
        await eventually(received.sessions)
        parent = "a"
        for number in range(20):
            writer.append("s1", entry(f"e{number}", parent))
            parent = f"e{number}"
            busy, _, _ = writer.sql("PRAGMA wal_checkpoint(TRUNCATE)")[0]
            if not busy:
                assert Path(f"{database}-wal").stat().st_size == 0
            await eventually(lambda newest=parent: received.ids("s1")[-1] == newest)
        assert writer.sql("PRAGMA wal_checkpoint(TRUNCATE)") == [(0, 0, 0)]
        assert received.ids("s1") == ["s", "a", *[f"e{n}" for n in range(20)]]


async def test_no_file_appears_beside_a_database_that_its_writer_has_closed(database, source):
    writer = StoreWriter(database)
    begin(writer, "s1", "a")
    writer.close()
    assert [path.name for path in database.parent.iterdir()] == [database.name]
    async with following(source) as received:
        await eventually(lambda: received.ids("s1") == ["s", "a"])
        await source.read_now()
        assert [path.name for path in database.parent.iterdir()] == [database.name]
        again = StoreWriter(database)
        again.append("s1", entry("b", "a"))
        await eventually(lambda: received.ids("s1") == ["s", "a", "b"])
        again.close()
        assert received.readings("s1") == [Reading.FIRST, Reading.MORE]


# Writers that end, rebuild, replace


async def test_after_kill_9_of_the_writer_and_its_restart_reading_goes_on(database, source):
    process = Process(database)
    process.append("b", "a")
    async with following(source) as received:
        await eventually(lambda: received.ids("s1") == ["s", "a", "b"])
        process.append("c", "b")
        process.end()
        await eventually(lambda: received.ids("s1")[-1] == "c")
        again = Process(database)
        again.append("d", "c")
        await eventually(lambda: received.ids("s1") == ["s", "a", "b", "c", "d"])
        again.end()
        assert set(received.readings("s1")) == {Reading.FIRST, Reading.MORE}


async def test_what_a_killed_writer_left_in_its_log_is_read(database, source):
    process = Process(database)
    process.append("b", "a")
    process.end()
    async with following(source) as received:
        await eventually(lambda: received.ids("s1") == ["s", "a", "b"])


async def test_after_a_vacuum_nothing_is_handed_over_twice_and_nothing_missed(writer, source):
    begin(writer, "s0", "x")
    begin(writer, "s1", "a")
    async with following(source) as received:
        await eventually(lambda: "s1" in received.sessions())
        writer.delete("s0")
        writer.append("s1", entry("b", "a"))
        writer.sql("VACUUM")
        writer.append("s1", entry("c", "b"))
        await eventually(lambda: received.ids("s1") == ["s", "a", "b", "c"])
        assert set(received.readings("s1")) == {Reading.FIRST, Reading.MORE}


async def test_a_database_replaced_by_a_copy_of_itself_goes_on(writer, database, source, tmp_path):
    begin(writer, "s1", "a", "b")
    async with following(source) as received:
        await eventually(received.sessions)
        writer.close()
        replace_by_copy(database, tmp_path)
        again = StoreWriter(database)
        again.append("s1", entry("c", "b"))
        await eventually(lambda: received.ids("s1") == ["s", "a", "b", "c"])
        again.close()
        assert set(received.readings("s1")) == {Reading.FIRST, Reading.MORE}
        assert source.counters().opened >= 2


def replace_by_copy(database, tmp_path):
    """As a repair does it: a new file renamed over the old one, its log removed."""
    copy = tmp_path / "copy.sqlite"
    with sqlite3.connect(database) as old, sqlite3.connect(copy) as new:
        old.backup(new)
    old.close()
    new.close()
    for suffix in ("-wal", "-shm"):
        Path(f"{database}{suffix}").unlink(missing_ok=True)
    copy.rename(database)


async def test_a_database_replaced_by_an_older_state_replaces_what_was_handed_over(
    writer, database, source, tmp_path
):
    begin(writer, "s1", "a")
    backup = tmp_path / "backup.sqlite"
    writer.sql("VACUUM INTO ?", str(backup))
    writer.append("s1", entry("b", "a"))
    async with following(source) as received:
        await eventually(lambda: received.ids("s1")[-1:] == ["b"])
        writer.close()
        for suffix in ("-wal", "-shm"):
            Path(f"{database}{suffix}").unlink(missing_ok=True)
        backup.rename(database)
        await eventually(lambda: received.ids("s1") == ["s", "a"])
        assert received.readings("s1")[-1] is Reading.REPLACED


async def test_a_log_that_was_unlinked_under_us_is_not_read_for_ever(database, source):
    process = Process(database)
    process.append("b", "a")
    async with following(source) as received:
        await eventually(lambda: received.ids("s1") == ["s", "a", "b"])
        process.end()
        # As a restore does that copies the database back without its log.
        whole = StoreWriter(database)
        whole.sql("PRAGMA wal_checkpoint(TRUNCATE)")
        whole.close()
        for suffix in ("-wal", "-shm"):
            Path(f"{database}{suffix}").unlink(missing_ok=True)
        # Not in this process: there SQLite would share its index of the old log.
        again = Process(database)
        again.append("c", "b")
        await eventually(lambda: received.ids("s1") == ["s", "a", "b", "c"])
        again.end()


async def test_a_database_that_appears_while_we_run_is_followed(tmp_path, database, source):
    (tmp_path / "agents/main/sessions").mkdir(parents=True)
    async with following(source) as received:
        await eventually(lambda: source.health().nothing_found)
        writer = StoreWriter(database)
        begin(writer, "s1", "a")
        await eventually(lambda: received.ids("s1") == ["s", "a"])
        assert source.health().nothing_found == ""
        writer.close()


async def test_agents_come_and_go_while_we_run(tmp_path, writer, database):
    source = DatabaseSource(
        Layout(tmp_path), fresh_s=3600.0, clock=lambda: 20 * time.monotonic(), sweep_s=0.05
    )
    begin(writer, "s1", "a")
    async with following(source) as received:
        await eventually(received.sessions)
        second = StoreWriter(tmp_path / "agents/lead-7/agent" / database.name)
        begin(second, "s2", "b")
        await eventually(lambda: received.batches("s2", "lead-7"))
        second.close()
        shutil.rmtree(tmp_path / "agents/lead-7")
        await eventually(received.gone)
        assert received.gone() == [TranscriptGone("lead-7", "s2", "missing")]
        await eventually(lambda: list(source.health().stores) == ["main"])


# What cannot be read


async def test_a_locked_database_is_waited_for_and_said_so(database, source):
    locker = StoreWriter(database)
    begin(locker, "s1", "a")
    locker.sql("PRAGMA locking_mode = EXCLUSIVE")
    locker.append("s1", entry("b", "a"))
    async with following(source) as received:
        await eventually(lambda: any("locked" in line for line in source.health().problems))
        assert not received.news
        locker.close()
        await eventually(lambda: received.ids("s1") == ["s", "a", "b"])
        await eventually(lambda: not source.health().problems)


async def test_a_damaged_database_is_said_so_and_its_repair_noticed(writer, database, source, tmp_path):
    begin(writer, "s1", "a")
    async with following(source) as received:
        await eventually(received.sessions)
        writer.close()
        intact = tmp_path / "intact.sqlite"
        replace_by_copy(database, tmp_path)
        shutil.copy(database, intact)
        database.write_bytes(b"SQLite format 3\0" + os.urandom(8192))
        await eventually(lambda: any("damaged" in line for line in source.health().problems))
        intact.rename(database)
        await eventually(lambda: not source.health().problems)
        assert received.ids("s1") == ["s", "a"]
        assert not received.gone()


async def test_a_database_that_is_away_for_a_while_ends_nothing(writer, database, source, tmp_path):
    begin(writer, "s1", "a")
    async with following(source) as received:
        await eventually(received.sessions)
        writer.close()
        database.rename(tmp_path / "away")
        await eventually(lambda: any("missing" in line for line in source.health().problems))
        (tmp_path / "away").rename(database)
        await eventually(lambda: not source.health().problems)
        assert not received.gone()
        assert received.readings("s1") == [Reading.FIRST]


async def test_a_log_that_cannot_be_opened_without_its_gateway_is_waited_for(database, source):
    process = Process(database)
    process.append("b", "a")
    process.end()
    shm = Path(f"{database}-shm")
    shm.unlink()
    shm.symlink_to("nowhere")  # which SQLite refuses, as a read-only mount does, also to root
    async with following(source) as received:
        await eventually(lambda: any("gateway is not running" in line for line in source.health().problems))
        assert not received.news
        shm.unlink()
        await eventually(lambda: received.ids("s1") == ["s", "a", "b"])
        await eventually(lambda: not source.health().problems)


async def test_a_schema_that_is_not_understood_makes_no_news_until_it_is(writer, source):
    begin(writer, "s1", "a")
    writer.sql("ALTER TABLE transcript_events RENAME COLUMN event_json TO payload")
    async with following(source) as received:
        problem = "schema 23 is not understood: without transcript_events.event_json"
        await eventually(lambda: any(problem in line for line in source.health().problems))
        assert not received.news
        assert all("\n" not in line for line in source.health().problems)
        writer.sql("ALTER TABLE transcript_events RENAME COLUMN payload TO event_json")
        await eventually(lambda: received.ids("s1") == ["s", "a"])
        await eventually(lambda: not source.health().problems)


async def test_a_schema_changed_while_we_follow_is_read_anew(writer, source):
    begin(writer, "s1", "a")
    async with following(source) as received:
        await eventually(received.sessions)
        writer.sql("ALTER TABLE session_nodes ADD COLUMN whatever TEXT")
        writer.sql("DROP TABLE session_transcript_active_events")
        writer.append("s1", entry("b", "a"), active=False)
        await eventually(lambda: received.ids("s1") == ["s", "a", "b"])
        assert source.counters().failed_looks == 0


OLD = """
CREATE TABLE session_entries (session_key TEXT PRIMARY KEY, session_id TEXT NOT NULL,
  entry_json TEXT NOT NULL, updated_at INTEGER NOT NULL);
CREATE TABLE sessions (session_id TEXT PRIMARY KEY, session_key TEXT);
CREATE TABLE transcript_events (session_id TEXT NOT NULL, seq INTEGER NOT NULL, event_json TEXT NOT NULL,
  created_at INTEGER NOT NULL, PRIMARY KEY (session_id, seq));
PRAGMA user_version = 8;
"""


async def test_the_columns_of_an_older_schema_are_enough(database, source):
    writer = StoreWriter(database, tables=OLD)
    body = '{"sessionId":"s1","status":"running"}'
    writer.sql("INSERT INTO session_entries VALUES ('agent:main:main', 's1', ?, 5)", body)
    writer.sql('INSERT INTO transcript_events VALUES (\'s1\', 0, \'{"type":"session","id":"s1"}\', 5)')
    async with following(source) as received:
        await eventually(lambda: received.ids("s1") == ["s"])
        writer.sql('INSERT INTO transcript_events VALUES (\'s1\', 1, \'{"type":"message","id":"a"}\', 5)')
        await eventually(lambda: received.ids("s1") == ["s", "a"])
        assert source.health().stores == {"main": "sqlite, schema 8"}
    writer.close()


async def test_without_the_optional_tables_reading_is_the_same(database, source):
    core = [
        part for part in schema().split(";") if "transcript_events (" in part or "session_nodes (" in part
    ]
    writer = StoreWriter(database, tables=";".join(core) + ";")
    body = '{"sessionId":"s1"}'
    writer.sql(
        "INSERT INTO session_nodes (session_key, current_session_id, entry_json, updated_at, status)"
        " VALUES ('agent:main:main', 's1', ?, 5, 'running')",
        body,
    )
    writer.sql(
        "INSERT INTO transcript_events VALUES ('s1', 0, '{\"type\":\"session\"}', 5, NULL, NULL, NULL)"
    )
    async with following(source) as received:
        await eventually(lambda: received.ids("s1") == ["s"])
    writer.close()


# Being stopped


@contextlib.contextmanager
def hanging(database):
    """Whoever opens this database waits in the kernel, as where its file system has gone away."""
    journal = f"{database}-journal"
    os.mkfifo(journal)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # nobody waits for it
            os.close(os.open(journal, os.O_WRONLY | os.O_NONBLOCK))


def held(directory):
    """Descriptors of this process below there."""
    links = [str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    return [link for link in links if link.startswith(str(directory))]


async def test_P5_databases_that_hang_are_let_go_together_when_it_ends(tmp_path, source):
    agents = tmp_path / "agents"
    healthy = agents / "a-healthy/agent/openclaw-agent.sqlite"
    with contextlib.ExitStack() as stack:
        writer = StoreWriter(healthy)
        stack.callback(writer.close)
        begin(writer, "s0", "x")
        async with following(source) as received:
            await eventually(received.sessions)
            for number in range(5):
                other = StoreWriter(agents / f"hangs-{number}/agent/openclaw-agent.sqlite")
                stack.callback(other.close)
                stack.enter_context(hanging(other.path))
                begin(other, f"s{number + 1}", "a")
            readers = source._lookout.shared.readers
            await eventually(lambda: len(readers._since) == THREADS and readers.longest_s() > 0.3)
            lag = asyncio.create_task(longest_lag_s())
            began_s = time.monotonic()
        took_s = time.monotonic() - began_s
        lag.cancel()
        assert took_s < 0.2 * THREADS, "each may take 0.2 s, and so may all together"
        assert await lag < 0.2 * THREADS / 2, "the loop stood still"  # all this time, if it were the loop's
        writer.close()
        assert held(agents / "a-healthy") == []


async def longest_lag_s():
    """How late the event loop was at most, until cancelled."""
    longest_s = 0.0
    with contextlib.suppress(asyncio.CancelledError):
        while True:
            due_s = time.monotonic() + 0.01
            await asyncio.sleep(0.01)  # how much later it is than this
            longest_s = max(longest_s, time.monotonic() - due_s)
    return longest_s


async def test_P5_what_never_ends_is_not_waited_for_beyond_the_limit():
    released, done = threading.Event(), []
    calls = [released.wait] * 8 + [lambda: done.append(1)]
    try:
        began_s = time.monotonic()
        await finish_together(calls, 0.3)
        assert 0.3 <= time.monotonic() - began_s < 1.5
        assert done == [1]
    finally:
        released.set()


# Who speaks


async def test_an_agent_that_another_store_tells_is_dropped_and_followed_anew(tmp_path, writer):
    speaks = [True]
    source = DatabaseSource(
        Layout(tmp_path),
        fresh_s=3600.0,
        sweep_s=0.1,
        speaks=lambda *_: speaks[0],
    )
    begin(writer, "s1", "a")
    async with following(source) as received:
        await eventually(received.sessions)
        speaks[0] = False
        await eventually(lambda: not source.health().stores)
        writer.append("s1", entry("b", "a"))
        await source.read_now()
        assert received.ids("s1") == ["s", "a"]
        assert not received.gone()
        speaks[0] = True
        await eventually(lambda: len(received.batches("s1")) == 2)
        assert received.batches("s1")[1].reading is Reading.FIRST
        assert len(received.batches("s1")[1].lines) == 3


async def test_each_form_of_transcript_dir_leads_to_the_database(tmp_path, writer):
    begin(writer, "s1", "a")
    agent = tmp_path / "agents/main"
    for directory in (tmp_path, tmp_path / "agents", agent, agent / "sessions"):
        source = DatabaseSource(Layout(tmp_path / "elsewhere", directory), fresh_s=3600.0, sweep_s=0.2)
        async with following(source) as received:
            await eventually(lambda received=received: received.ids("s1") == ["s", "a"])


async def test_a_link_that_leads_out_is_not_followed(tmp_path, writer, source):
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    other = StoreWriter(outside / "agent/openclaw-agent.sqlite")
    begin(other, "s2", "z")
    other.close()
    begin(writer, "s1", "a")
    (tmp_path / "agents/evil").symlink_to(outside)
    async with following(source) as received:
        await eventually(received.sessions)
        await source.read_now()
        assert received.sessions() == {"s1"}
        assert any("leads out" in line for line in source.health().problems)
