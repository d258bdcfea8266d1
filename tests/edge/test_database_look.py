import os
import sqlite3
import time

import pytest
from store_writer import StoreWriter

from status_watcher.core.stores import NoDatabase, NoSessionsInIt, SessionsInIt, Unusable
from status_watcher.edge.database_look import look_at_database


@pytest.fixture
def database(tmp_path):
    return tmp_path / "openclaw-agent.sqlite"


def test_no_file_is_no_database(database):
    assert look_at_database(str(database)) == NoDatabase()


def test_a_database_for_memory_only_tells_no_sessions(database):
    with sqlite3.connect(database) as connection:
        connection.execute("CREATE TABLE memory_index_meta (meta_key TEXT)")
    connection.close()
    assert look_at_database(str(database)) == NoSessionsInIt()


def test_an_empty_file_tells_no_sessions_yet(database):
    database.touch()
    assert look_at_database(str(database)) == NoSessionsInIt()


def test_sessions_are_told_with_version_newest_time_and_count(database):
    writer = StoreWriter(database)
    assert look_at_database(str(database)) == SessionsInIt(23, "2026.9.6", 0, 0)
    writer.node("s1", updated_at=7)
    writer.node("s2", "agent:main:other", updated_at=9)
    assert look_at_database(str(database)) == SessionsInIt(23, "2026.9.6", 9, 2)
    writer.close()
    assert look_at_database(str(database)) == SessionsInIt(23, "2026.9.6", 9, 2)
    assert [path.name for path in database.parent.iterdir()] == [database.name]


def test_a_damaged_database_is_unusable_and_tells_when_it_was_written(database):
    database.write_bytes(b"no database, but of some length" * 100)
    look = look_at_database(str(database))
    assert isinstance(look, Unusable)
    assert look.reason == "damaged"
    assert abs(look.changed_ms - time.time() * 1000) < 60_000


def test_a_schema_without_what_we_need_is_unusable(database):
    with sqlite3.connect(database) as connection:
        connection.execute("CREATE TABLE session_nodes (session_key TEXT, updated_at INTEGER)")
    connection.close()
    reason = look_at_database(str(database)).reason
    assert reason.startswith("schema 0 is not understood: without session_nodes.current_session_id")


def test_a_locked_database_is_unusable(database):
    writer = StoreWriter(database)
    writer.sql("PRAGMA locking_mode = EXCLUSIVE")
    writer.node("s1")
    assert look_at_database(str(database)).reason == "locked by its writer"
    writer.close()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_database_that_we_may_not_read_is_unusable(database):
    StoreWriter(database).close()
    database.chmod(0)
    assert look_at_database(str(database)).reason == "no permission"


def test_an_odd_name_is_opened_all_the_same(tmp_path):
    database = tmp_path / "a?b#c%20d" / "openclaw-agent.sqlite"
    StoreWriter(database).close()
    assert isinstance(look_at_database(str(database)), SessionsInIt)
