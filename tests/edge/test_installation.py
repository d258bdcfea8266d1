"""Agents of one installation in files, in databases, and on their way from one to the other."""

import json
import time

import pytest
from following import eventually, following
from store_writer import KEY, StoreWriter, chain, entry, header

from status_watcher.edge.installation import Installation
from status_watcher.edge.locate import Layout
from status_watcher.edge.store_choice import forced_by
from status_watcher.source import IndexSeen, Lines, Reading


def now_ms():
    return time.time_ns() // 1_000_000


class Agent:
    """One agent's directory, with whatever stores it has."""

    def __init__(self, state, name="main"):
        self.name = name
        self.path = state / "agents" / name
        self.sessions = self.path / "sessions"
        self.database = self.path / "agent/openclaw-agent.sqlite"

    def files(self, session_id, *events, updated_at=None):
        self.sessions.mkdir(parents=True, exist_ok=True)
        self.append(session_id, header(session_id, version=3), *events)
        index = {KEY: {"sessionId": session_id, "updatedAt": updated_at or now_ms()}}
        temporary = self.sessions / "sessions.json.1.tmp"
        temporary.write_text(json.dumps(index))
        temporary.rename(self.sessions / "sessions.json")
        return self

    def append(self, session_id, *events):
        with (self.sessions / f"{session_id}.jsonl").open("a") as file:
            file.writelines(json.dumps(event) + "\n" for event in events)

    def rows(self, session_id, *events, updated_at=None):
        writer = StoreWriter(self.database)
        writer.commit(
            lambda: writer.node(session_id, updated_at=updated_at),
            lambda: writer.append(session_id, header(session_id), *events),
        )
        return writer


def ids(received, session_id):
    """Entries as a fold knows them: once each."""
    batches = [n for n in received.news if isinstance(n, Lines) and n.session_id == session_id]
    lines = [json.loads(one) for news in batches for one in news.lines]
    return list(dict.fromkeys(event["id"] for event in lines if event["type"] != "session"))


@pytest.fixture
def installation(tmp_path):
    return Installation(Layout(tmp_path), fresh_s=3600.0)


@pytest.fixture
def main(tmp_path):
    return Agent(tmp_path)


async def test_each_agent_is_followed_where_its_sessions_are(installation, tmp_path):
    Agent(tmp_path, "old").files("s-old", *chain("a", "b"))
    writer = Agent(tmp_path, "new").rows("s-new", *chain("c", "d"))
    async with following(installation) as received:
        await eventually(
            lambda: ids(received, "s-old") == ["a", "b"] and ids(received, "s-new") == ["c", "d"]
        )
        stores = installation.health().stores
        assert stores == {"new": "sqlite, schema 23 (OpenClaw 2026.9.6)", "old": "files"}
        assert installation.health().problems == ()
    writer.close()


async def test_an_installation_without_any_session_is_a_problem_until_one_kind_of_store_appears(
    installation, main
):
    async with following(installation):
        await eventually(lambda: any("yet" in line for line in installation.health().problems))
        writer = main.rows("s", *chain("a"))
        await eventually(lambda: installation.health().problems == ())
    writer.close()


async def test_an_agent_created_while_we_run_is_followed(installation, tmp_path):
    writer = Agent(tmp_path).rows("s", *chain("a"))
    async with following(installation) as received:
        await eventually(lambda: ids(received, "s"))
        late = Agent(tmp_path, "lead-0b7e")
        other = late.rows("t", *chain("b"))
        await eventually(lambda: ids(received, "t") == ["b"])
        late_files = Agent(tmp_path, "filer").files("u", *chain("c"))
        await eventually(lambda: ids(received, "u") == ["c"])
        assert late_files.name in installation.health().stores
        other.close()
    writer.close()


async def test_an_agent_that_is_migrated_goes_on_in_its_database_and_its_files_going_end_nothing(
    installation, main
):
    """As a 2026.9.6 gateway does it: one commit with everything, then the files are moved, the index last."""
    main.files("s", *chain("a", "b"), updated_at=1_000)
    async with following(installation) as received:
        await eventually(lambda: ids(received, "s") == ["a", "b"])
        writer = main.rows("s", *chain("a", "b"), updated_at=1_000)
        archive = main.path / "session-sqlite-import-archive"
        archive.mkdir()
        (main.sessions / "s.jsonl").rename(archive / "s.jsonl.imported-1")
        (main.sessions / "sessions.json").rename(archive / "legacy-store.sessions.json.imported-1")
        writer.append("s", entry("c", "b"))
        await eventually(lambda: ids(received, "s") == ["a", "b", "c"])
        first = [news for news in received.batches("s") if news.reading is Reading.FIRST]
        assert len(first) == 1, "the fold must know the session as one it has seen"
        await eventually(lambda: installation.health().stores["main"].startswith("sqlite"))
        assert received.gone() == []
    writer.close()


async def test_files_that_stayed_after_a_migration_are_a_relic(installation, main):
    main.files("s", *chain("a"), updated_at=1_000)
    writer = main.rows("s", *chain("a", "b"), updated_at=2_000)
    async with following(installation) as received:
        await eventually(lambda: ids(received, "s") == ["a", "b"])
        main.append("s", entry("stray", "a"))
        writer.append("s", entry("c", "b"))
        await eventually(lambda: ids(received, "s")[-1] == "c")
        assert "stray" not in ids(received, "s")
    writer.close()


async def test_an_agent_that_went_back_to_files_is_followed_there(installation, main):
    writer = main.rows("s", *chain("a"), updated_at=1_000)
    async with following(installation) as received:
        await eventually(lambda: ids(received, "s") == ["a"])
        main.files("s", *chain("a", "b"), updated_at=now_ms())
        await eventually(lambda: ids(received, "s") == ["a", "b"])
        assert installation.health().stores == {"main": "files"}
    writer.close()


async def test_a_session_whose_box_is_open_is_read_in_the_store_that_speaks_now(main, tmp_path):
    """Old enough that nothing else would make anybody read it."""
    installation = Installation(Layout(tmp_path), fresh_s=0.001)
    main.files("s", *chain("a"), updated_at=1_000)
    async with following(installation, [("main", "s")]) as received:
        await eventually(lambda: ids(received, "s") == ["a"])
        writer = main.rows("s", *chain("a", "b"), updated_at=1_000)
        await eventually(lambda: ids(received, "s") == ["a", "b"])
    writer.close()


async def test_a_database_for_memory_alone_leaves_the_agent_to_its_files(installation, main):
    """As of 2026.7.1."""
    writer = StoreWriter(main.database, tables="CREATE TABLE memory_index_meta (key TEXT);")
    main.files("s", *chain("a"))
    async with following(installation) as received:
        await eventually(lambda: ids(received, "s") == ["a"])
        assert installation.health().problems == ()
    writer.close()


async def test_with_a_newer_database_that_cannot_be_understood_nobody_speaks_and_health_says_so(
    installation, main
):
    main.files("s", *chain("a"), updated_at=1_000)
    writer = StoreWriter(main.database, tables="CREATE TABLE session_nodes (id TEXT, body BLOB);")
    async with following(installation) as received:
        await eventually(lambda: any("agent main" in line for line in installation.health().problems))
        writer.sql("DROP TABLE session_nodes")
        await eventually(lambda: ids(received, "s") == ["a"])
        assert installation.health().problems == ()
    writer.close()


async def test_forced_files_are_followed_and_a_newer_database_is_told(main, tmp_path):
    main.files("s", *chain("a"), updated_at=1_000)
    layout = Layout(tmp_path, transcript_dir=main.sessions)
    source = Installation(layout, fresh_s=3600.0, forced=forced_by(main.sessions, None))
    async with following(source) as received:
        await eventually(lambda: ids(received, "s") == ["a"])
        assert source.health().problems == ()
        writer = main.rows("s", *chain("a", "b"), updated_at=2_000)
        await eventually(lambda: any("TRANSCRIPT_DIR" in line for line in source.health().problems))
        assert ids(received, "s") == ["a"]
    writer.close()


@pytest.mark.parametrize("below", ["", "agents", "agents/main", "agents/main/sessions"])
@pytest.mark.parametrize(("files_ms", "told"), [(3_000, False), (1_000, True), (None, True)])
async def test_an_index_that_is_named_forces_files_wherever_it_lies(main, tmp_path, below, files_ms, told):
    """Without any file yet, too: the operator said where they will be."""
    index = tmp_path / "elsewhere/index.json"
    index.parent.mkdir()
    main.sessions.mkdir(parents=True)
    if files_ms is not None:
        main.files("s", *chain("a"), updated_at=files_ms)
        (main.sessions / "sessions.json").rename(index)
    writer = main.rows("s", *chain("a", "b"), updated_at=2_000)
    transcript_dir = tmp_path / below
    layout = Layout(tmp_path, transcript_dir=transcript_dir, sessions_json=index)
    source = Installation(layout, fresh_s=3600.0, forced=forced_by(transcript_dir, index))
    async with following(source) as received:
        await eventually(lambda: source.health().stores == {"main": "files"})
        await eventually(lambda: any("SESSIONS_JSON" in line for line in source.health().problems) is told)
        if files_ms is not None:
            await eventually(lambda: ids(received, "s") == ["a"])
    writer.close()


async def test_one_absurd_time_makes_no_relic_the_newer_word(installation, main):
    main.files("s", *chain("a"), updated_at=9_000_000_000_000_000 // 1_000)
    writer = main.rows("s", *chain("a", "b"), updated_at=now_ms())
    async with following(installation) as received:
        await eventually(lambda: ids(received, "s") == ["a", "b"])
    writer.close()


def test_only_what_holds_files_itself_forces_files(main, tmp_path):
    writer = main.rows("s")
    (main.path / "sessions").mkdir()
    for directory in (tmp_path, tmp_path / "agents", main.path, main.sessions):
        assert forced_by(directory, None) is None
    (main.sessions / "s.jsonl.deleted.2026-11-20T15-09-34.013Z").touch()
    assert forced_by(main.sessions, None) is None
    (main.sessions / "s.jsonl").touch()
    found = forced_by(main.sessions, None)
    assert found is not None
    assert found.variable == "TRANSCRIPT_DIR"
    found = forced_by(None, main.sessions / "sessions.json")
    assert found is not None
    assert found.variable == "SESSIONS_JSON"
    writer.close()


async def test_the_last_look_reads_both_kinds_of_store(installation, tmp_path):
    filer = Agent(tmp_path, "filer").files("s", *chain("a"))
    writer = Agent(tmp_path, "rower").rows("t", *chain("b"))
    async with following(installation) as received:
        await eventually(lambda: ids(received, "s") == ["a"] and ids(received, "t") == ["b"])
        filer.append("s", entry("c", "a"))
        writer.append("t", entry("d", "b"))
        await installation.read_now()
        assert ids(received, "s") == ["a", "c"]
        assert ids(received, "t") == ["b", "d"]
    writer.close()


async def test_indexes_come_from_the_store_that_speaks_alone(installation, main):
    main.files("relic", *chain("a"), updated_at=1_000)
    writer = main.rows("s", *chain("b"), updated_at=2_000)
    async with following(installation) as received:
        await eventually(lambda: ids(received, "s"))
        seen = [news for news in received.news if isinstance(news, IndexSeen)]
        assert seen
        assert all({e.session_id for e in news.entries.values()} == {"s"} for news in seen)
    writer.close()
