import json
import time

import pytest
import zstandard
from following import eventually, following
from store_writer import KEY, StoreWriter, chain, entry, header, now_ms
from watchdog.events import FileModifiedEvent

from status_watcher.core.index import StoreStatus
from status_watcher.core.store_rows import entry_of
from status_watcher.edge.database_source import DatabaseSource
from status_watcher.edge.locate import Layout
from status_watcher.edge.tail import SLICE_BYTES
from status_watcher.source import IndexSeen, Lines, Reading, TranscriptGone

HASTE = 20.0
LONG_AGO = 1_000_000_000_000


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


@pytest.fixture
def hasty(tmp_path):
    """A source for which time passes twenty times as fast."""
    return DatabaseSource(
        Layout(tmp_path), fresh_s=3600.0, clock=lambda: HASTE * time.monotonic(), sweep_s=0.05
    )


def begin(writer, session_id="s1", *ids, key=KEY, at=None, **columns):
    writer.node(session_id, key, updated_at=at, **columns)
    writer.append(session_id, header(session_id), *chain(*ids), at=at)


# What is read


async def test_a_fresh_session_is_handed_over_from_its_header_on_and_followed(writer, source):
    begin(writer, "s1", "a", "b")
    async with following(source) as received:
        await eventually(lambda: received.ids("s1") == ["s", "a", "b"])
        writer.append("s1", *chain("c", "d", parent="b"))
        await eventually(lambda: received.ids("s1") == ["s", "a", "b", "c", "d"])
        assert received.readings("s1")[:2] == [Reading.FIRST, Reading.MORE]
        assert set(received.readings("s1")[1:]) == {Reading.MORE}


async def test_the_index_is_told_before_the_lines_of_its_sessions(writer, source):
    begin(writer, "s1", "a")
    async with following(source) as received:
        await eventually(received.sessions)
        assert isinstance(received.news[0], IndexSeen)


async def test_a_commit_is_handed_over_though_only_the_wal_changes(writer, database, source):
    begin(writer, "s1", "a")
    async with following(source) as received:
        await eventually(received.sessions)
        before = database.stat()
        writer.append("s1", entry("b", "a"))
        await eventually(lambda: received.ids("s1")[-1] == "b")
        assert database.stat().st_mtime_ns == before.st_mtime_ns


async def test_compressed_events_read_as_they_were_written(writer, source):
    long = entry("b", "a", "x" * 5000)
    begin(writer, "s1", "a")
    writer.append("s1", long, packed=True)
    async with following(source) as received:
        await eventually(lambda: received.ids("s1") == ["s", "a", "b"])
        assert json.loads(received.lines("s1")[-1]) == long


async def test_damaged_events_are_skipped_and_counted(writer, source):
    begin(writer, "s1", "a")
    writer.append("s1", b"{no json", b"[]")
    writer.append("s1", entry("b", "a", "x" * 2000), packed=True)
    writer.sql("UPDATE transcript_events SET event_zstd = x'28b52ffd00' WHERE event_zstd IS NOT NULL")
    writer.sql("INSERT INTO transcript_events VALUES ('s1', 90, NULL, 5, NULL, NULL, NULL)")
    writer.append("s1", entry("c", "a"))
    async with following(source) as received:
        await eventually(lambda: received.ids("s1") == ["s", "a", "c"])
        assert source.counters().damaged_rows == 4


async def test_a_compressed_event_that_unpacks_to_more_than_a_line_is_not_unpacked(writer, source):
    begin(writer, "s1", "a")
    writer.append("s1", entry("b", "a", "x" * (9 << 20)), packed=True)
    writer.append("s1", entry("c", "b"))
    async with following(source) as received:
        await eventually(lambda: received.ids("s1") == ["s", "a", "c"])
        assert source.counters().overlong_rows == 1


async def test_a_long_session_comes_in_slices_and_others_between_them(writer, source):
    begin(writer, "s1", "a")
    begin(writer, "s2", "z", key="agent:main:other")
    writer.append("s1", *[entry(f"e{n}", "a" if n == 0 else f"e{n - 1}", "x" * 10_000) for n in range(100)])
    async with following(source) as received:
        await eventually(lambda: len(received.ids("s1")) == 102)
        batches = received.batches("s1")
        assert len(batches) >= 4
        assert [batch.more_follows for batch in batches] == [True] * (len(batches) - 1) + [False]
        assert max(sum(map(len, batch.lines)) for batch in batches) < SLICE_BYTES + 20_000
        others = [n.session_id for n in received.news if isinstance(n, Lines)]
        assert others.index("s2") < len(others) - 1


async def test_a_transcript_too_large_to_read_whole_starts_near_its_end(writer, source, monkeypatch):
    monkeypatch.setattr("status_watcher.edge.database_rows.WHOLE_BYTES", 50_000)
    monkeypatch.setattr("status_watcher.edge.database_rows.END_BYTES", 20_000)
    begin(writer, "s1", "a")
    writer.append("s1", *[entry(f"e{n}", "a" if n == 0 else f"e{n - 1}", "x" * 1000) for n in range(100)])
    async with following(source) as received:
        await eventually(lambda: received.ids("s1")[-1:] == ["e99"])
        assert received.batches("s1")[0].head_skipped
        assert 15 <= len(received.ids("s1")) <= 20


# Which sessions


async def test_an_old_session_is_read_when_it_changes_and_not_before(writer, source):
    begin(writer, "old", "a", at=LONG_AGO)
    begin(writer, "new", "b", key="agent:main:new")
    async with following(source) as received:
        await eventually(lambda: "new" in received.sessions())
        assert received.sessions() == {"new"}
        writer.append("old", entry("c", "a"))
        await eventually(lambda: received.ids("old") == ["s", "a", "c"])
        assert received.readings("old") == [Reading.FIRST]


async def test_an_old_session_that_runs_is_read(writer, source):
    begin(writer, "old", "a", at=LONG_AGO, status="running")
    async with following(source) as received:
        await eventually(lambda: received.ids("old") == ["s", "a"])


async def test_a_wanted_session_is_read_however_old(writer, source):
    begin(writer, "old", "a", at=LONG_AGO)
    async with following(source, [("main", "old")]) as received:
        await eventually(lambda: received.ids("old") == ["s", "a"])


async def test_a_session_wanted_while_running_is_read_however_old(writer, source):
    begin(writer, "old", "a", at=LONG_AGO)
    async with following(source) as received:
        await eventually(received.indexes)
        source.want("main", frozenset({"old"}))
        source.look_for_agents()
        await eventually(lambda: received.ids("old") == ["s", "a"])


async def test_a_wanted_session_that_its_key_has_left_is_read_and_then_gone(writer, source):
    begin(writer, "old", "a", at=LONG_AGO)
    writer.node("new")
    async with following(source, [("main", "old")]) as received:
        await eventually(received.gone)
        assert received.ids("old") == ["s", "a"]
        assert received.gone() == [TranscriptGone("main", "old", "reset")]


async def test_a_wanted_session_that_nobody_knows_is_missing_after_a_while(writer, hasty):
    begin(writer, "s1", "a")
    async with following(hasty, [("main", "lost")]) as received:
        await eventually(received.gone)
        assert received.gone() == [TranscriptGone("main", "lost", "missing")]


async def test_a_wanted_session_that_was_deleted_is_read_from_its_archive(writer, source):
    begin(writer, "s1", "a")
    lines = [json.dumps(event).encode() for event in (header("s0"), *chain("x", "y"))]
    writer.sql(
        "INSERT INTO session_transcript_archives VALUES ('s0', 'g', ?, 'deleted', 'zstd', ?, 5)",
        KEY,
        zstandard.compress(b"\n".join(lines)),
    )
    async with following(source, [("main", "s0")]) as received:
        await eventually(received.gone)
        assert received.lines("s0") == lines
        assert received.gone() == [TranscriptGone("main", "s0", "deleted", at_ms=5)]


async def test_a_wanted_session_without_events_yet_is_waited_for(writer, hasty):
    writer.node("s1")
    async with following(hasty, [("main", "s1")]) as received:
        await eventually(lambda: len(received.indexes()) >= 3)
        writer.append("s1", header("s1"), *chain("a"))
        await eventually(lambda: received.ids("s1") == ["s", "a"])
        assert not received.gone()


async def test_windows_that_are_not_current_are_not_followed(writer, source):
    begin(writer, "s1", "a")
    writer.window("aside", at=now_ms())
    async with following(source) as received:
        await eventually(received.sessions)
        writer.append("aside", header("aside"), *chain("x"))
        writer.append("s1", entry("b", "a"))
        await eventually(lambda: received.ids("s1")[-1] == "b")
        assert received.sessions() == {"s1"}
        writer.node("aside")
        await eventually(lambda: received.ids("aside") == ["s", "x"])


# Rewinds, rewrites, ends


async def test_after_a_rewind_the_new_session_has_the_kept_branch_and_tells_what_was_copied(writer, source):
    begin(writer, "s1", "a", "b", "c", at=now_ms() - 60_000)
    async with following(source) as received:
        await eventually(lambda: received.ids("s1")[-1:] == ["c"])
        at = now_ms()
        writer.rewind("s1", "s2", to="a", header_at=at)
        writer.append("s2", entry("d", "a"))
        await eventually(lambda: received.ids("s2")[-1:] == ["d"])
        assert received.ids("s2") == ["s", "a", "leaf-s2", "d"]
        assert received.batches("s2")[0].copied_until_ms == at
        await eventually(received.gone)
        assert received.gone() == [TranscriptGone("main", "s1", "reset")]


async def test_a_fork_tells_what_was_copied(writer, source):
    at = now_ms()
    begin(writer, "s1", "a", "b", at=at - 60_000)
    writer.node("s2", "agent:main:dashboard:x", fork_source_session_id="s1", parent_session_key=KEY)
    writer.append("s2", header("s2"), at=at)
    writer.append("s2", *chain("a", "b"), at=at - 60_000)
    async with following(source) as received:
        await eventually(lambda: received.sessions() == {"s1", "s2"})
        assert received.batches("s2")[0].copied_until_ms == at
        assert received.batches("s1")[0].copied_until_ms == 0


async def test_a_first_line_older_than_its_header_is_no_copy_even_in_a_successor(writer, source):
    begin(writer, "s1", "a", at=LONG_AGO)
    at = now_ms()
    writer.node("s2")
    writer.sql("UPDATE session_windows SET previous_session_id = 's1' WHERE session_id = 's2'")
    writer.append("s2", header("s2"), at=at)
    writer.append("s2", entry("b", None), at=at - 2)
    async with following(source) as received:
        await eventually(lambda: received.ids("s2") == ["s", "b"])
        assert received.batches("s2")[0].copied_until_ms == 0


async def test_a_leaf_in_the_session_itself_replaces_what_was_handed_over(writer, source):
    begin(writer, "s1", "a", "b", "c")
    async with following(source) as received:
        await eventually(lambda: received.ids("s1")[-1:] == ["c"])

        def move():
            writer.append("s1", {"type": "leaf", "id": "l", "parentId": "c", "targetId": "a"}, active=False)
            writer.sql("UPDATE session_transcript_index_state SET needs_rebuild = 1")

        writer.commit(move)
        await eventually(lambda: received.ids("s1") == ["s", "a", "l"])
        assert received.readings("s1") == [Reading.FIRST, Reading.REPLACED]
        writer.append("s1", entry("d", "a"), active=False)
        await eventually(lambda: received.ids("s1") == ["s", "a", "l", "d"])
        assert received.readings("s1")[2:] == [Reading.MORE]


async def test_the_stores_own_word_on_the_active_branch_counts(writer, source):
    begin(writer, "s1", "a", "b", "c")
    async with following(source) as received:
        await eventually(lambda: received.ids("s1")[-1:] == ["c"])
        writer.sql("DELETE FROM session_transcript_active_events WHERE event_seq > 1")
        await eventually(lambda: received.ids("s1") == ["s", "a"])
        assert received.readings("s1")[-1] is Reading.REPLACED


async def test_a_projection_that_is_being_rebuilt_abandons_nothing(writer, source):
    begin(writer, "s1", "a", "b", "c")

    def dirty():
        writer.sql("UPDATE session_transcript_index_state SET needs_rebuild = 1, indexed_seq = -1")
        writer.sql("DELETE FROM session_transcript_active_events WHERE event_seq IN (1, 2)")

    async with following(source) as received:
        await eventually(lambda: received.ids("s1")[-1:] == ["c"])
        writer.commit(dirty)
        writer.append("s1", entry("d", "c"), active=False)
        await eventually(lambda: received.ids("s1")[-1] == "d")
        assert received.ids("s1") == ["s", "a", "b", "c", "d"]
        assert set(received.readings("s1")) == {Reading.FIRST, Reading.MORE}


async def test_history_before_a_reset_stays_though_it_is_projected_no_longer(writer, source):
    begin(writer, "s1", "a", "b")
    async with following(source) as received:
        await eventually(lambda: received.ids("s1")[-1:] == ["b"])

        def reset():
            writer.append("s1", {"type": "reset", "id": "r", "parentId": "b", "reason": "new"})
            writer.sql("DELETE FROM session_transcript_active_events WHERE event_seq <= 2")

        writer.commit(reset)
        writer.append("s1", entry("c", "r"))
        await eventually(lambda: received.ids("s1")[-1] == "c")
        assert received.ids("s1") == ["s", "a", "b", "r", "c"]
        assert set(received.readings("s1")) == {Reading.FIRST, Reading.MORE}


async def test_a_rewritten_transcript_of_several_slices_replaces_to_the_last_of_them(writer, source):
    begin(writer, "s1", "a", "b")
    async with following(source) as received:
        await eventually(lambda: received.ids("s1") == ["s", "a", "b"])
        told = len(received.batches("s1"))
        new = [
            entry("a", None),
            *[entry(f"e{n}", f"e{n - 1}" if n else "a", "x" * 10_000) for n in range(60)],
        ]
        writer.rewrite("s1", header("s1"), *new)
        await eventually(lambda: len(received.ids("s1")) == 62)
        slices = received.batches("s1")[told:]
        assert [one.more_follows for one in slices] == [True] * (len(slices) - 1) + [False]
        assert {one.reading for one in slices} == {Reading.REPLACED}
        assert len(slices) > 2
        writer.append("s1", entry("last", "e59"))
        await eventually(lambda: received.ids("s1")[-1] == "last")
        assert received.readings("s1")[-1] is Reading.MORE


async def test_a_rewritten_transcript_replaces_what_was_handed_over(writer, source):
    begin(writer, "s1", "a", "b", "c")
    async with following(source) as received:
        await eventually(lambda: received.ids("s1")[-1:] == ["c"])
        writer.rewrite("s1", header("s1"), *chain("a", "x"))
        await eventually(lambda: received.ids("s1") == ["s", "a", "x"])
        assert source.counters().rewrites == 1


async def test_a_last_event_replaced_under_its_number_is_noticed_at_once(writer, tmp_path):
    """2026.9.6 does it in every turn that yields: an aborted line stands for some milliseconds."""
    source = DatabaseSource(Layout(tmp_path), fresh_s=3600.0, sweep_s=3600.0)
    begin(writer, "s1", "a", "b")
    async with following(source) as received:
        await eventually(lambda: received.ids("s1")[-1:] == ["b"])
        body = json.dumps(entry("c", "a"))

        def replace_last():
            writer.sql("DELETE FROM transcript_events WHERE seq = 2")
            writer.sql(
                "INSERT INTO transcript_events VALUES ('s1', 2, ?, ?, NULL, NULL, NULL)", body, now_ms()
            )
            writer.rotate("s1")

        writer.commit(replace_last)
        await eventually(lambda: received.ids("s1") == ["s", "a", "c"], deadline_s=5.0)


async def test_an_event_changed_in_place_replaces_what_was_handed_over(writer, source):
    begin(writer, "s1", "a", "b")
    async with following(source) as received:
        await eventually(lambda: received.ids("s1")[-1:] == ["b"])
        changed = json.dumps(entry("b", "a", "other"))

        def patch():
            writer.sql("UPDATE transcript_events SET event_json = ? WHERE seq = 2", changed)
            writer.rotate("s1")

        writer.commit(patch)
        await eventually(lambda: received.lines("s1")[-1] == changed.encode())
        assert received.readings("s1")[-1] is Reading.REPLACED


async def test_an_event_compressed_later_is_the_same_event(writer, source):
    begin(writer, "s1", "a")
    body = json.dumps(entry("b", "a", "x" * 2000))
    writer.append("s1", json.loads(body))
    async with following(source) as received:
        await eventually(lambda: received.ids("s1")[-1:] == ["b"])
        writer.append("s1", entry("c", "b"))
        writer.sql(
            "UPDATE transcript_events SET event_json = NULL, event_zstd = ?, event_utf8_bytes = ?"
            " WHERE seq = 2",
            zstandard.compress(body.encode()),
            len(body),
        )
        writer.append("s1", entry("d", "c"))
        await eventually(lambda: received.ids("s1")[-1] == "d")
        assert Reading.REPLACED not in received.readings("s1")


async def test_row_ids_used_again_after_a_deletion_hide_nothing(writer, source):
    begin(writer, "s1", "a")
    begin(writer, "s2", "x", "y", "z", key="agent:main:other")
    async with following(source) as received:
        await eventually(lambda: received.sessions() == {"s1", "s2"})
        await eventually(lambda: received.ids("s2")[-1:] == ["z"])

        def swap():
            writer.clear("s2")
            writer.sql("DELETE FROM session_windows WHERE session_id = 's2'")
            writer.sql("DELETE FROM session_nodes WHERE current_session_id = 's2'")
            writer.append("s1", *chain("b", "c", parent="a"))

        writer.commit(swap)
        await eventually(lambda: received.ids("s1") == ["s", "a", "b", "c"])
        await eventually(received.gone)
        assert received.gone() == [TranscriptGone("main", "s2", "deleted")]
        assert source.counters().rescans == 1


async def test_a_deleted_session_is_gone_and_may_come_back_under_its_key(writer, source):
    begin(writer, "s1", "a")
    async with following(source) as received:
        await eventually(received.sessions)
        writer.delete("s1")
        await eventually(received.gone)
        assert received.gone() == [TranscriptGone("main", "s1", "deleted")]
        await eventually(lambda: received.indexes()[-1] == {})
        begin(writer, "s2", "b")
        await eventually(lambda: received.ids("s2") == ["s", "b"])


async def test_a_session_that_another_key_still_has_is_not_gone(writer, source):
    begin(writer, "s1", "a", key="agent:main:cron:j")
    writer.node("s1", "agent:main:cron:j:run:s1")
    async with following(source) as received:
        await eventually(received.sessions)
        writer.node("s2", "agent:main:cron:j")
        await eventually(lambda: received.indexes()[-1]["agent:main:cron:j"].session_id == "s2")
        assert not received.gone()


async def test_a_transcript_put_into_cold_storage_is_not_gone_and_comes_back_whole(writer, source):
    begin(writer, "s1", "a", "b")
    events = [header("s1"), *chain("a", "b")]
    async with following(source) as received:
        await eventually(lambda: received.ids("s1")[-1:] == ["b"])

        def freeze():
            writer.clear("s1")
            writer.sql("INSERT INTO session_transcript_cold_archives VALUES ('s1')")

        writer.commit(freeze)
        begin(writer, "s2", "z", key="agent:main:other")
        await eventually(lambda: "s2" in received.sessions())
        assert received.ids("s1") == ["s", "a", "b"]
        assert not received.gone()
        writer.append("s1", *events, entry("c", "b"))
        await eventually(lambda: received.ids("s1") == ["s", "a", "b", "c"])
        assert received.readings("s1") == [Reading.FIRST, Reading.REPLACED]


async def test_an_emptied_transcript_is_told_as_empty(writer, source):
    begin(writer, "s1", "a", "b")
    async with following(source) as received:
        await eventually(received.sessions)
        writer.commit(lambda: writer.clear("s1"), lambda: writer.rotate("s1"))
        await eventually(lambda: received.lines("s1") == [])


# The index


async def test_a_status_is_told_at_once(writer, source):
    begin(writer, "s1", "a", status="running")
    async with following(source) as received:
        await eventually(received.indexes)
        writer.node("s1", status="done")
        await eventually(lambda: received.indexes()[-1][KEY].status is StoreStatus.DONE)
        assert source.counters().sweep_finds == 0


async def test_a_status_changed_without_a_new_time_is_found(writer, source):
    begin(writer, "s1", "a", status="running")
    writer.node("s2", "agent:main:newer", updated_at=now_ms() + 60_000)
    async with following(source) as received:
        await eventually(received.sessions)
        writer.sql("UPDATE session_nodes SET status = 'failed' WHERE current_session_id = 's1'")
        await eventually(lambda: received.indexes()[-1][KEY].status is StoreStatus.FAILED)


async def test_an_unchanged_index_is_told_again_after_a_while(writer, hasty):
    begin(writer, "s1", "a")
    async with following(hasty) as received:
        await eventually(lambda: len(received.indexes()) >= 3)
        assert received.indexes()[0] == received.indexes()[-1]


async def test_the_route_comes_from_the_conversation_where_the_entry_has_none(writer, source):
    begin(writer, "s1", "a")
    writer.sql(
        "INSERT INTO conversations (conversation_id, channel, account_id, kind, peer_id, delivery_target,"
        " thread_id, native_channel_id, created_at, updated_at) VALUES"
        " ('c1', 'mattermost', 'default', 'channel', 'p', 'channel:chan', 'root', 'chan', 0, 0)"
    )
    writer.sql("INSERT INTO session_conversations VALUES ('s1', 'c1', 'primary', NULL, 0, 0)")
    async with following(source) as received:
        await eventually(received.indexes)
        told = received.indexes()[-1][KEY]
        assert (told.channel, told.to, told.thread_id) == ("mattermost", "channel:chan", "root")
        assert told.native_channel_id == "chan"


async def test_of_thousands_of_sessions_only_those_that_changed_are_read_again(writer, source, monkeypatch):
    def fill():
        for number in range(5000):
            padding = {"_": "x" * 2000}
            writer.node(f"id{number}", f"agent:main:n{number}", updated_at=LONG_AGO + number, entry=padding)

    writer.commit(fill)
    begin(writer, "s1", "a")
    async with following(source) as received:
        await eventually(lambda: "s1" in received.sessions())
        assert len(received.indexes()[-1]) == 5001
        parsed = []
        monkeypatch.setattr(
            "status_watcher.edge.database_index.entry_of",
            lambda row, route=None: parsed.append(row.key) or entry_of(row, route),
        )
        for number in range(20):
            writer.append("s1", entry(f"b{number}", "a" if number == 0 else f"b{number - 1}"))
        writer.node("s1", status="done")
        await eventually(lambda: received.indexes()[-1][KEY].status is StoreStatus.DONE)
        assert set(parsed) == {KEY}
        writer.sql("DELETE FROM session_nodes WHERE session_key = 'agent:main:n77'")
        await eventually(lambda: len(received.indexes()[-1]) == 5000)


# How it notices


async def test_changes_are_found_when_no_event_arrives(writer, tmp_path):
    source = DatabaseSource(Layout(tmp_path), fresh_s=3600.0, sweep_s=0.6)
    begin(writer, "s1", "a")
    source._lookout.dirty.on_any_event = lambda event: None  # noqa: ARG005 - a file system without events
    async with following(source) as received:
        await eventually(received.sessions)
        parent = "a"
        for number in range(8):
            writer.append("s1", entry(f"e{number}", parent))
            parent = f"e{number}"
            await eventually(lambda parent=parent: received.ids("s1")[-1] == parent)
        assert "file events do not arrive: looking more often instead" in source.health().problems


async def test_events_of_other_files_beside_the_database_cause_no_look(writer, database, source):
    begin(writer, "s1", "a")
    async with following(source) as received:
        await eventually(received.sessions)
        await source.read_now()
        looks = source.counters().looks
        for number in range(20):
            beside = database.parent / f"auth-{number}.json"
            source._lookout.dirty.on_any_event(FileModifiedEvent(str(beside)))
        writer.append("s1", entry("b", "a"))
        await eventually(lambda: received.ids("s1")[-1] == "b")
        assert source.counters().looks - looks < 10


async def test_read_now_hands_over_what_nobody_has_announced(writer, tmp_path):
    source = DatabaseSource(Layout(tmp_path), fresh_s=3600.0, sweep_s=3600.0)
    begin(writer, "s1", "a")
    async with following(source) as received:
        await eventually(received.sessions)
        source._lookout.dirty.on_any_event = lambda event: None  # noqa: ARG005 - as above
        writer.append("s1", entry("b", "a"))
        await source.read_now()
        assert received.ids("s1") == ["s", "a", "b"]
