import asyncio
import json
import os
import shutil
import signal
import sys
import threading
import time
from pathlib import Path

import pytest
from following import DEADLINE_S, eventually, following
from watchdog.events import FileModifiedEvent

from status_watcher.core.cursor import Verdict
from status_watcher.edge import agent_dir
from status_watcher.edge.file_source import FileSource
from status_watcher.edge.listing import list_sessions
from status_watcher.edge.locate import Layout
from status_watcher.source import IndexSeen, Reading, TranscriptGone

STAMP = "2026-11-20T15-13-31.330Z"
STAMP_MS = 1_795_187_611_330
HASTE = 20.0
LONG_AGO = 1_000_000_000


def header(session_id):
    return json.dumps({"type": "session", "version": 3, "id": session_id}).encode()


def line(number):
    return b'{"type":"message","id":"%08x"}' % number


def deaf(event):
    """An observer on a file system that has no events."""


@pytest.fixture
def sessions(tmp_path):
    path = tmp_path / "agents/main/sessions"
    path.mkdir(parents=True)
    (path / "sessions.json").write_text("{}")
    return path


@pytest.fixture
def source(tmp_path):
    return FileSource(Layout(tmp_path), fresh_s=3600.0, sweep_s=0.2, full_sweep_s=1.0)


@pytest.fixture
def hasty(tmp_path):
    """A source for which time passes twenty times as fast."""
    return FileSource(
        Layout(tmp_path),
        fresh_s=3600.0,
        clock=lambda: HASTE * time.monotonic(),
        sweep_s=0.05,
        full_sweep_s=5.0,
    )


def write(path: Path, *lines: bytes):
    path.write_bytes(b"".join(one + b"\n" for one in lines))


def append(path: Path, *lines: bytes):
    with path.open("ab") as file:
        for one in lines:
            file.write(one + b"\n")


def write_index(sessions: Path, entries: dict):
    temporary = sessions / f"sessions.json.{os.getpid()}.tmp"
    temporary.write_text(json.dumps(entries))
    temporary.rename(sessions / "sessions.json")


def age(path: Path):
    os.utime(path, (LONG_AGO, LONG_AGO))


# Growing.


async def test_lines_come_as_they_are_written(source, sessions):
    async with following(source) as received:
        write(sessions / "abc.jsonl", header("abc"))
        for number in range(20):
            append(sessions / "abc.jsonl", line(number))
            await eventually(lambda number=number: received.lines("abc")[-1:] == [line(number)])
    assert received.lines("abc") == [header("abc"), *map(line, range(20))]
    readings = [batch.reading for batch in received.batches("abc")]
    assert readings == [Reading.FIRST, *[Reading.MORE] * (len(readings) - 1)]
    assert source.counters().lines == 21


async def test_the_header_names_the_session_whatever_the_file_is_called(source, sessions):
    write(sessions / f"{STAMP.replace('.', '-')}_other.jsonl", header("forked"))
    write(sessions / "child-topic-root.jsonl", header("child"))
    async with following(source) as received:
        await eventually(lambda: received.sessions() == {"forked", "child"})


async def test_without_a_header_the_index_names_the_session_and_then_the_file_does(source, sessions):
    write_index(sessions, {"agent:main:x": {"sessionId": "indexed", "sessionFile": "/elsewhere/odd.jsonl"}})
    write(sessions / "odd.jsonl", line(1))
    write(sessions / "plain.jsonl", line(1))
    async with following(source) as received:
        await eventually(lambda: received.sessions() == {"indexed", "plain"})


async def test_what_is_no_transcript_is_not_read(source, sessions):
    for name in ("abc.trajectory.jsonl", "abc.jsonl.lock", f"old.jsonl.reset.{STAMP}", "abc.jsonl.bak-1-2"):
        write(sessions / name, header(name))
    async with following(source) as received:
        for name in ("x.trajectory.jsonl", "x.jsonl.lock", "x.jsonl.repair.1.y.tmp"):
            write(sessions / name, header(name))
        write(sessions / "abc.jsonl", header("abc"))
        await eventually(lambda: received.sessions() == {"abc"})
        await source.read_now()
    assert received.sessions() == {"abc"}


async def test_a_long_transcript_comes_in_slices_and_others_get_their_turn(source, sessions):
    numbers = range(60_000)
    write(sessions / "long.jsonl", header("long"), *map(line, numbers))
    write(sessions / "short.jsonl", header("short"))
    async with following(source) as received:
        await eventually(lambda: len(received.lines("long")) == 60_001 and received.sessions() >= {"short"})
    batches = received.batches("long")
    assert [batch.more_follows for batch in batches] == [*[True] * (len(batches) - 1), False]
    assert [batch.reading for batch in batches] == [Reading.FIRST, *[Reading.MORE] * (len(batches) - 1)]
    assert received.lines("long") == [header("long"), *map(line, numbers)]
    assert received.news.index(received.batches("short")[0]) < received.news.index(batches[-1])


async def test_whoever_was_told_that_more_follows_is_told_when_nothing_does(source, sessions):
    with (sessions / "abc.jsonl").open("wb") as file:
        file.write(header("abc") + b"\n" + b"x" * (300 << 10))  # torn beyond the first slice
    async with following(source) as received:
        await eventually(lambda: received.batches("abc") and not received.batches("abc")[-1].more_follows)
    assert received.lines("abc") == [header("abc")]


async def test_T1_a_torn_line_waits_for_its_newline(source, sessions):
    async with following(source) as received:
        (sessions / "abc.jsonl").write_bytes(header("abc") + b"\n" + line(1)[:9])
        await eventually(lambda: received.lines("abc") == [header("abc")])
        with (sessions / "abc.jsonl").open("ab") as file:
            file.write(line(1)[9:] + b"\n")
        await eventually(lambda: received.lines("abc") == [header("abc"), line(1)])


async def test_T3_a_last_line_without_its_newline_counts_when_it_is_whole_and_quiet(source, sessions):
    async with following(source) as received:
        (sessions / "abc.jsonl").write_bytes(header("abc") + b"\n" + line(1))
        await eventually(lambda: received.lines("abc") == [header("abc"), line(1)])
        append(sessions / "abc.jsonl", b"", line(2))
        await eventually(lambda: received.lines("abc") == [header("abc"), line(1), line(2)])


# First sight.


async def test_only_fresh_wanted_and_running_transcripts_are_opened_at_start(source, sessions):
    index = {
        "agent:main:r": {
            "sessionId": "running",
            "status": "running",
            "sessionFile": "/x/running-topic-1.jsonl",
        },
        "agent:main:d": {"sessionId": "done", "status": "done"},
    }
    write_index(sessions, index)
    for name in ("running-topic-1", "done", "wanted", "old"):
        write(sessions / f"{name}.jsonl", header(name.removesuffix("-topic-1")))
        age(sessions / f"{name}.jsonl")
    write(sessions / "fresh.jsonl", header("fresh"))
    async with following(source, [("main", "wanted")]) as received:
        await eventually(lambda: received.sessions() == {"running", "wanted", "fresh"})
        assert isinstance(received.news[0], IndexSeen)
        append(sessions / "old.jsonl", line(1))
        await eventually(lambda: received.lines("old") == [header("old"), line(1)])
    assert received.sessions() == {"running", "wanted", "fresh", "old"}
    assert received.batches("old")[0].reading is Reading.FIRST


async def test_fresh_s_zero_reads_everything(tmp_path, sessions):
    write(sessions / "old.jsonl", header("old"))
    age(sessions / "old.jsonl")
    async with following(FileSource(Layout(tmp_path), fresh_s=0)) as received:
        await eventually(lambda: received.sessions() == {"old"})


async def test_T12_of_a_huge_transcript_the_end_is_read_and_said_so(source, sessions):
    with (sessions / "abc.jsonl").open("wb") as file:
        file.write(header("huge") + b"\n")
        file.seek(65 << 20)
        file.write(b"\n" + line(1) + b"\n")
    async with following(source) as received:
        await eventually(lambda: received.lines("huge") == [line(1)])
    assert received.batches("huge")[0].head_skipped


# Rewrites.


async def test_T4_a_rewrite_in_place_with_the_same_content_hands_over_nothing_twice(source, sessions):
    path = sessions / "abc.jsonl"
    write(path, header("abc"), *map(line, range(3000)))
    content = path.read_bytes()
    async with following(source) as received:
        await eventually(lambda: len(received.lines("abc")) == 3001)
        rewrites = 0
        while rewrites < 20 or not source.counters().rewrites_in_progress:
            rewrites += 1
            with path.open("wb", buffering=0) as file:  # as 2026.7.1 does: size 0, 65536, full
                await asyncio.sleep(0.001)  # the pace of its writes
                file.write(content[:65536])
                await asyncio.sleep(0.001)  # as above
                file.write(content[65536:])
        append(path, line(3000))
        await eventually(lambda: received.lines("abc")[-1] == line(3000))
    assert received.lines("abc") == [header("abc"), *map(line, range(3001))]
    assert {batch.reading for batch in received.batches("abc")[1:]} == {Reading.MORE}


async def test_T4_a_file_that_stays_shorter_is_read_again_from_its_beginning(source, sessions):
    path = sessions / "abc.jsonl"
    write(path, header("abc"), line(1), line(2))
    async with following(source) as received:
        await eventually(lambda: len(received.lines("abc")) == 3)
        os.truncate(path, len(header("abc")) + 1)  # as 2026.2 takes a heartbeat back
        append(path, line(3))
        await eventually(lambda: received.lines("abc") == [header("abc"), line(3)])
    assert source.counters().verdicts[Verdict.TRUNCATED] == 1
    assert received.gone() == []


async def test_T4_an_emptied_file_is_no_news(source, sessions):
    path = sessions / "abc.jsonl"
    write(path, header("abc"), line(1))
    async with following(source) as received:
        await eventually(lambda: len(received.lines("abc")) == 2)
        before = len(received.batches("abc"))
        os.truncate(path, 0)
        await eventually(lambda: source.counters().verdicts[Verdict.TRUNCATED] == 1)
        assert len(received.batches("abc")) == before
        write(path, header("abc"), line(1), line(2))
        await eventually(lambda: received.lines("abc") == [header("abc"), line(1), line(2)])
    assert received.gone() == []


async def test_T5_truncated_and_regrown_longer_is_read_again(source, sessions):
    path = sessions / "abc.jsonl"
    write(path, header("abc"), line(1))
    async with following(source) as received:
        await eventually(lambda: len(received.lines("abc")) == 2)
        write(path, header("abc"), line(7), line(8), line(9))
        await eventually(lambda: received.lines("abc") == [header("abc"), *map(line, (7, 8, 9))])


async def test_T6_a_repair_by_rename_is_read_again_in_the_same_session(source, sessions):
    path = sessions / "abc.jsonl"
    write(path, header("abc"), line(1))
    async with following(source) as received:
        await eventually(lambda: len(received.lines("abc")) == 2)
        write(sessions / "abc.jsonl.repair.1.x.tmp", header("abc"), line(1), line(2))
        path.rename(sessions / "abc.jsonl.bak-1-2")
        (sessions / "abc.jsonl.repair.1.x.tmp").rename(path)
        await eventually(lambda: received.lines("abc") == [header("abc"), line(1), line(2)])
        append(path, line(3))
        await eventually(lambda: received.lines("abc")[-1] == line(3))
    assert received.batches("abc")[1].reading is Reading.AGAIN
    assert received.gone() == []


async def test_T7_another_session_in_the_file_s_place_starts_over(source, sessions):
    path = sessions / "abc.jsonl"
    write(path, header("abc"), line(1))
    async with following(source) as received:
        await eventually(lambda: len(received.lines("abc")) == 2)
        path.unlink()
        write(path, header("other"), line(2))
        await eventually(lambda: received.lines("other") == [header("other"), line(2)])
    assert received.gone() == [TranscriptGone("main", "abc", "missing")]
    assert received.batches("other")[0].reading is Reading.FIRST


# Archives.


@pytest.mark.parametrize("how", ["reset", "deleted"])
async def test_an_archived_transcript_is_read_to_its_end_and_then_gone(source, sessions, how):
    path = sessions / "abc.jsonl"
    write(path, header("abc"), line(1))
    async with following(source) as received:
        await eventually(lambda: len(received.lines("abc")) == 2)
        with path.open("ab") as file:
            file.write(line(2) + b"\n" + line(3))  # the last one without its newline
        path.rename(sessions / f"abc.jsonl.{how}.{STAMP}")
        await eventually(received.gone)
    assert received.gone() == [TranscriptGone("main", "abc", how, STAMP_MS)]
    assert received.lines("abc") == [header("abc"), *map(line, (1, 2, 3))]
    assert {batch.reading for batch in received.batches("abc")[1:]} <= {Reading.MORE}
    assert received.news[-1] == received.gone()[0] or isinstance(received.news[-1], IndexSeen)


async def test_a_transcript_written_and_archived_before_anyone_looked_is_read(source, sessions):
    async with following(source) as received:
        await eventually(lambda: received.indexes() != [])
        write(sessions / "cron.jsonl", header("cron"), line(1))
        (sessions / "cron.jsonl").rename(sessions / f"cron.jsonl.deleted.{STAMP}")
        await eventually(received.gone)
    assert received.lines("cron") == [header("cron"), line(1)]


async def test_an_event_older_than_the_archive_that_was_read_hands_over_nothing_again(source, sessions):
    async with following(source) as received:
        await eventually(lambda: received.indexes() != [])
        write(sessions / "cron.jsonl", header("cron"), line(1))
        (sessions / "cron.jsonl").rename(sessions / f"cron.jsonl.deleted.{STAMP}")
        await eventually(received.gone)
        absent = source.counters().verdicts[Verdict.GONE]
        source._lookout.dirty.on_any_event(FileModifiedEvent(str(sessions / "cron.jsonl")))
        await source.read_now()
        assert source.counters().verdicts[Verdict.GONE] > absent
        write(sessions / "cron.jsonl", header("cron"), line(2))  # restored, and put away once more
        (sessions / "cron.jsonl").rename(sessions / "cron.jsonl.deleted.2026-11-21T00-00-00.000Z")
        await eventually(lambda: len(received.gone()) == 2)
    assert received.lines("cron") == [header("cron"), line(1), header("cron"), line(2)]


async def test_a_wanted_session_that_was_archived_meanwhile_is_read_and_gone(source, sessions):
    write(sessions / "abc.jsonl.reset.2026-11-19T15-13-31.330Z", header("abc"), line(1))
    write(sessions / f"abc.jsonl.reset.{STAMP}", header("abc"), line(1), line(2))
    write(sessions / f"{STAMP.replace('.', '-')}_x.jsonl.deleted.{STAMP}", header("forked"))
    async with following(source, [("main", "abc"), ("main", "forked")]) as received:
        await eventually(lambda: len(received.gone()) == 2)
    assert set(received.gone()) == {
        TranscriptGone("main", "abc", "reset", STAMP_MS),
        TranscriptGone("main", "forked", "deleted", STAMP_MS),
    }
    assert received.lines("abc") == [header("abc"), line(1), line(2)]


async def test_T8_a_deleted_transcript_is_missing_after_five_seconds_and_not_before(hasty, sessions):
    write(sessions / "abc.jsonl", header("abc"))
    async with following(hasty) as received:
        await eventually(lambda: received.sessions() == {"abc"})
        (sessions / "abc.jsonl").unlink()
        began_s = time.monotonic()
        await eventually(received.gone)
        assert HASTE * (time.monotonic() - began_s) >= 5.0
    assert received.gone() == [TranscriptGone("main", "abc", "missing")]


async def test_T8_a_wanted_session_without_any_file_is_missing_unless_the_index_has_it(hasty, sessions):
    write_index(sessions, {"agent:main:x": {"sessionId": "starting", "status": "running"}})
    wanted = [("main", "nowhere"), ("main", "starting"), ("removed", "other")]
    async with following(hasty, wanted) as received:
        await eventually(lambda: len(received.gone()) == 2)
        write(sessions / "starting.jsonl", header("starting"))
        await eventually(lambda: received.sessions() == {"starting"})
    assert set(received.gone()) == {
        TranscriptGone("main", "nowhere", "missing"),
        TranscriptGone("removed", "other", "missing"),
    }


# The index.


async def test_the_index_is_told_at_each_change_and_again_now_and_then(hasty, sessions):
    async with following(hasty) as received:
        await eventually(lambda: received.indexes() == [{}])
        for number in range(5):
            write_index(sessions, {"agent:main:x": {"sessionId": f"s{number}"}})
            await eventually(
                lambda number=number: (
                    [entry.session_id for entry in received.indexes()[-1].values()] == [f"s{number}"]
                )
            )
        told = len(received.indexes())
        looks = hasty.counters().index_looks
        await eventually(lambda: len(received.indexes()) >= told + 3)
        assert hasty.counters().index_looks > looks + 6  # most looks find nothing worth telling


async def test_S1_an_index_torn_at_any_byte_keeps_the_last_good_one(source, sessions):
    good = json.dumps({"agent:main:x": {"sessionId": "abc"}})
    write_index(sessions, json.loads(good))
    async with following(source) as received:
        await eventually(lambda: received.indexes() != [])
        for torn in (*(good[:end] for end in range(len(good))), "[]"):
            looks = source.counters().unreadable_index_looks
            (sessions / "sessions.json").write_text(torn)
            await eventually(lambda looks=looks: source.counters().unreadable_index_looks > looks)
        write_index(sessions, {"agent:main:y": {"sessionId": "new"}})
        await eventually(lambda: received.indexes()[-1].keys() == {"agent:main:y"})
    assert all(received.indexes())


async def test_S2_a_missing_index_says_nothing_and_is_read_when_it_is_back(source, sessions):
    write_index(sessions, {"agent:main:x": {"sessionId": "abc"}})
    async with following(source) as received:
        await eventually(lambda: received.indexes() != [])
        (sessions / "sessions.json").rename(sessions / "away")
        looks = source.counters().unreadable_index_looks
        await eventually(lambda: source.counters().unreadable_index_looks > looks + 3)
        assert source.counters().missing_index_looks == 0
        told = len(received.indexes())
        write_index(sessions, {"agent:main:x": {"sessionId": "new"}})
        await eventually(lambda: len(received.indexes()) > told)
    assert all(received.indexes())


async def test_S2_an_index_lost_for_half_a_minute_is_a_problem_and_one_that_never_was_is_none(
    hasty, sessions, tmp_path
):
    fresh = tmp_path / "agents/fresh/sessions"
    fresh.mkdir(parents=True)
    write(fresh / "abc.jsonl", header("abc"))
    async with following(hasty) as received:
        await eventually(lambda: received.indexes() != [] and received.sessions() == {"abc"})
        began_s = time.monotonic()
        (sessions / "sessions.json").unlink()
        await eventually(lambda: hasty.health().problems != ())
        assert HASTE * (time.monotonic() - began_s) >= 30.0
        assert hasty.health().problems == (
            "sessions.json of agent main cannot be used (missing): going by its last state",
        )
        assert hasty.counters().missing_index_looks > 0
        write_index(sessions, {})
        await eventually(lambda: hasty.health().problems == ())
        write_index(fresh, {"agent:fresh:x": {"sessionId": "abc"}})
        await eventually(lambda: received.indexes("fresh") != [])
    assert received.gone() == []


async def test_S3_an_index_that_is_suddenly_empty_is_told_as_it_is(source, sessions):
    write_index(sessions, {"agent:main:x": {"sessionId": "abc"}})
    async with following(source) as received:
        await eventually(lambda: received.indexes() != [])
        write_index(sessions, {})
        await eventually(lambda: received.indexes()[-1] == {})


async def test_S4_content_decides_and_not_time_or_size(source, sessions):
    index = sessions / "sessions.json"
    write_index(sessions, {"agent:main:x": {"sessionId": "aaa"}})
    os.utime(index, (LONG_AGO, LONG_AGO))
    async with following(source) as received:
        await eventually(lambda: received.indexes() != [])
        index.write_text(index.read_text().replace("aaa", "bbb"))
        os.utime(index, (LONG_AGO, LONG_AGO))
        await eventually(lambda: received.indexes()[-1]["agent:main:x"].session_id == "bbb")


async def test_S5_an_index_beyond_all_bounds_is_not_read(source, sessions):
    write_index(sessions, {"agent:main:x": {"sessionId": "abc"}})
    async with following(source) as received:
        await eventually(lambda: received.indexes() != [])
        os.truncate(sessions / "sessions.json", 65 << 20)
        await eventually(lambda: source.counters().unreadable_index_looks > 0)
    assert all(received.indexes())


# Where, and what the watch misses.


async def test_W7_agents_that_come_later_are_watched_from_their_first_byte(source, sessions, tmp_path):
    async with following(source) as received:
        await eventually(lambda: received.indexes() != [])
        for number in range(30):
            late = tmp_path / f"agents/late{number}/sessions"
            late.mkdir(parents=True)
            write(late / "abc.jsonl", header("abc"))
        await eventually(lambda: all(received.lines("abc", f"late{number}") for number in range(30)))
        append(tmp_path / "agents/late7/sessions/abc.jsonl", line(1))
        await eventually(lambda: received.lines("abc", "late7") == [header("abc"), line(1)])


async def test_W6_a_root_that_is_missing_is_waited_for(tmp_path):
    state = tmp_path / "state"
    source = FileSource(Layout(state), fresh_s=3600.0, sweep_s=0.1)
    async with following(source) as received:
        await eventually(lambda: source.health().nothing_found)
        (state / "agents/main/sessions").mkdir(parents=True)
        write(state / "agents/main/sessions/abc.jsonl", header("abc"))
        await eventually(lambda: received.sessions() == {"abc"})
        await eventually(lambda: source.health().nothing_found == "")


async def test_W6_a_root_deleted_and_recreated_loses_nothing(source, sessions, tmp_path):
    write(sessions / "abc.jsonl", header("abc"), line(1))
    async with following(source) as received:
        await eventually(lambda: len(received.lines("abc")) == 2)
        shutil.move(tmp_path / "agents", tmp_path / "away")
        await eventually(lambda: source.health().problems != ())
        shutil.copytree(tmp_path / "away", tmp_path / "agents")
        append(sessions / "abc.jsonl", line(2))
        await eventually(lambda: received.lines("abc") == [header("abc"), line(1), line(2)])
        append(sessions / "abc.jsonl", line(3))
        await eventually(lambda: received.lines("abc")[-1] == line(3))
    assert received.gone() == []


async def test_W8_without_events_the_sweep_finds_everything_and_says_so(source, sessions, monkeypatch):
    monkeypatch.setattr(source._lookout.dirty, "on_any_event", deaf)
    write(sessions / "abc.jsonl", header("abc"))
    async with following(source) as received:
        await eventually(lambda: received.sessions() == {"abc"})
        number = 0
        while not source.health().problems:
            number += 1
            append(sessions / "abc.jsonl", line(number))
            os.utime(sessions / "abc.jsonl", (time.time() - 1, time.time() - 1))  # old enough to be a miss
            await eventually(lambda: received.lines("abc")[-1] == line(number))  # noqa: B023 - awaited at once
        assert source.counters().sweep_finds >= 3
        write(sessions / "new.jsonl", header("new"))
        await eventually(lambda: "new" in received.sessions())
        write_index(sessions, {"agent:main:x": {"sessionId": "abc"}})
        await eventually(lambda: received.indexes()[-1] != {})
        assert "file events do not arrive" in source.health().problems[0]


async def test_W8_a_listing_older_than_what_was_read_meanwhile_is_no_find(tmp_path, sessions, monkeypatch):
    path = sessions / "abc.jsonl"
    write(path, header("abc"))
    hold, held, release = threading.Event(), threading.Event(), threading.Event()

    def list_slowly(*arguments):
        listing = list_sessions(*arguments)
        if hold.is_set():
            held.set()
            release.wait(DEADLINE_S)
        return listing

    monkeypatch.setattr(agent_dir, "list_sessions", list_slowly)
    # By a clock that is ahead, each change is old enough to be a miss.
    source = FileSource(
        Layout(tmp_path), fresh_s=3600.0, now=lambda: time.time() + 10, sweep_s=3600, full_sweep_s=3600
    )
    async with following(source) as received:
        await eventually(lambda: received.sessions() == {"abc"})
        await source.read_now()
        hold.set()
        append(path, line(1))
        await eventually(lambda: received.lines("abc")[-1] == line(1))
        (sessions / f"old.jsonl.deleted.{STAMP}").touch()
        await eventually(held.is_set)
        append(path, line(2))
        await eventually(lambda: received.lines("abc")[-1] == line(2))
        release.set()
        await source.read_now()
        assert source.counters().sweep_finds == 0


async def test_W10_reading_makes_no_events(source, sessions):
    write(sessions / "abc.jsonl", header("abc"))
    async with following(source) as received:
        await eventually(lambda: received.sessions() == {"abc"})
        events = source.counters().watch_events
        for _ in range(5):
            await source.read_now()
        assert source.counters().watch_events == events


async def test_T13_a_fifo_and_a_link_that_leads_out_are_passed_over(source, sessions, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "secret.jsonl"
    write(outside, header("secret"))
    async with following(source) as received:
        await eventually(lambda: received.indexes() != [])
        os.mkfifo(sessions / "fifo.jsonl")
        (sessions / "link.jsonl").symlink_to(outside)
        write(sessions / "abc.jsonl", header("abc"))
        await eventually(lambda: received.sessions() == {"abc"})
        await eventually(lambda: source.counters().refused_reads >= 2)
        await eventually(lambda: source.health().problems == ())
    assert received.sessions() == {"abc"}


async def test_T14_what_may_not_be_read_is_a_problem_and_is_read_when_it_may(tmp_path, sessions):
    forbidden = {"abc.jsonl"}

    def open_file(path, flags):
        if Path(path).name in forbidden:
            raise PermissionError(13, "no")
        return os.open(path, flags)

    write(sessions / "abc.jsonl", header("abc"))
    source = FileSource(Layout(tmp_path), fresh_s=0, sweep_s=0.1, open_file=open_file)
    async with following(source) as received:
        await eventually(lambda: any("EACCES" in problem for problem in source.health().problems))
        forbidden.clear()
        await eventually(lambda: received.sessions() == {"abc"})
        await eventually(lambda: source.health().problems == ())


async def test_T15_a_read_that_hangs_holds_up_nobody_else(tmp_path, sessions):
    release = threading.Event()

    def open_file(path, flags):
        if path.endswith("hangs.jsonl"):
            release.wait()
        return os.open(path, flags)

    write(sessions / "hangs.jsonl", header("hangs"))
    source = FileSource(Layout(tmp_path), fresh_s=0, sweep_s=0.1, open_file=open_file)
    try:
        async with following(source) as received:
            for number in range(30):
                write(sessions / f"s{number}.jsonl", header(f"s{number}"))
                append(sessions / "hangs.jsonl", line(number))
            await eventually(lambda: len(received.sessions()) == 30)
            assert "hangs" not in received.sessions()
            release.set()
            await eventually(lambda: len(received.lines("hangs")) == 31)
    finally:
        release.set()


async def test_P15_a_transcript_whose_name_is_no_text_is_read(source, sessions):
    async with following(source) as received:
        write(sessions / os.fsdecode(b"\xff.jsonl"), line(1))
        await eventually(lambda: received.sessions() == {"\\xff"})


# Size.


async def test_W11_ten_thousand_idle_transcripts_cost_a_stat_each(tmp_path, sessions):
    content = header("idle") + b"\n"
    for number in range(10_000):
        path = f"{sessions}/{number:05d}.jsonl"
        descriptor = os.open(path, os.O_CREAT | os.O_WRONLY)
        os.write(descriptor, content)
        os.utime(descriptor, (LONG_AGO, LONG_AGO))
        os.close(descriptor)
    write(sessions / "active.jsonl", header("active"))
    opened = []

    def open_file(path, flags):
        opened.append(path)
        return os.open(path, flags)

    source = FileSource(Layout(tmp_path), fresh_s=3600.0, open_file=open_file)
    began_s = time.process_time()  # a busy machine does not count
    async with following(source) as received:
        await eventually(lambda: received.sessions() == {"active"})
        assert time.process_time() - began_s < 3.0
        append(sessions / "00007.jsonl", line(1))
        await eventually(lambda: received.lines("idle") == [header("idle"), line(1)])
        assert len(list(Path("/proc/self/fd").iterdir())) < 100
    assert {Path(path).name for path in opened} == {"sessions.json", "active.jsonl", "00007.jsonl"}


async def test_W6_a_removed_agent_s_sessions_are_missing_while_others_are_there(hasty, sessions, tmp_path):
    other = tmp_path / "agents/other/sessions"
    other.mkdir(parents=True)
    write(other / "abc.jsonl", header("abc"))
    async with following(hasty) as received:
        await eventually(lambda: received.lines("abc", "other"))
        shutil.rmtree(other.parent)
        await eventually(received.gone)
    assert received.gone() == [TranscriptGone("other", "abc", "missing")]


# Its life.


async def test_read_now_hands_over_what_is_there_when_it_returns(tmp_path, sessions, monkeypatch):
    source = FileSource(Layout(tmp_path), fresh_s=0, sweep_s=3600.0)
    monkeypatch.setattr(source._lookout.dirty, "on_any_event", deaf)
    write(sessions / "abc.jsonl", header("abc"))
    async with following(source) as received:
        await eventually(lambda: received.sessions() == {"abc"})
        append(sessions / "abc.jsonl", *map(line, range(50_000)))
        await source.read_now()
        assert len(received.lines("abc")) == 50_001


async def test_read_now_without_a_run_returns(source):
    await source.read_now()


async def test_a_cancelled_run_ends_its_threads_and_says_it_is_not_alive(source, sessions):
    before = set(threading.enumerate())
    write(sessions / "abc.jsonl", header("abc"))
    async with following(source) as received:
        await eventually(lambda: received.sessions() == {"abc"})
        task = asyncio.current_task()
        assert task is not None
    await eventually(lambda: set(threading.enumerate()) <= before)
    assert not source.health().alive


async def test_a_sink_that_raises_ends_the_run(source, sessions):
    def sink(news):
        raise LookupError

    with pytest.raises(ExceptionGroup) as caught:
        await source.run([], sink)
    assert caught.group_contains(LookupError)


async def test_S10_nothing_is_ever_written(source, sessions):
    write(sessions / "abc.jsonl", header("abc"))
    before = {path.name: path.stat().st_mtime_ns for path in sessions.iterdir()}
    directory_before = sessions.stat().st_mtime_ns
    async with following(source) as received:
        await eventually(lambda: received.sessions() == {"abc"})
        await source.read_now()
    assert {path.name: path.stat().st_mtime_ns for path in sessions.iterdir()} == before
    assert sessions.stat().st_mtime_ns == directory_before


# Limits, in a user namespace of its own.

PROBE = """
import asyncio, sys, pathlib
from status_watcher.edge.file_source import FileSource
from status_watcher.edge.locate import Layout
from status_watcher.source import Lines

async def main():
    root = pathlib.Path(sys.argv[1])
    source = FileSource(Layout(root), fresh_s=0)
    seen, done = set(), asyncio.Event()
    def sink(news):
        if isinstance(news, Lines) and b"late" in news.lines[-1]:
            seen.add(news.agent)
            if len(seen) == 20:
                done.set()
    task = asyncio.create_task(source.run([], sink))
    while len(source._dirs) < 20:
        await asyncio.sleep(0.01)
    for number in range(20):
        with (root / f"agents/a{number}/sessions/s.jsonl").open("a") as file:
            file.write('{"late":1}\\n')
    await asyncio.wait_for(done.wait(), 20)
    health = source.health()
    print(health.mode, health.alive, len(health.problems), *health.problems, sep="|")
    task.cancel()

asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("limit", "value", "problem"),
    [("max_inotify_watches", 8, "watch limit"), ("max_inotify_instances", 0, "instance or descriptor limit")],
    ids=["W2", "W3"],
)
async def test_W2_W3_at_inotify_s_limits_it_starts_says_so_once_and_polls(tmp_path, limit, value, problem):
    for number in range(20):
        (tmp_path / f"agents/a{number}/sessions").mkdir(parents=True)
        write(tmp_path / f"agents/a{number}/sessions/s.jsonl", header(f"s{number}"))
    script = f'echo {value} > /proc/sys/user/{limit} || exit 77; exec "$0" -c "$1" "$2"'
    process = await asyncio.create_subprocess_exec(
        "unshare",
        "-Ur",
        "sh",
        "-c",
        script,
        sys.executable,
        PROBE,
        str(tmp_path),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    if process.returncode == 77 or b"unshare:" in err:
        pytest.skip("no user namespaces here")
    assert process.returncode == 0, err.decode()
    mode, alive, count, *problems = out.decode().strip().split("|")
    assert (mode, alive, count) == ("polling", "True", "1")
    assert problem in problems[0]


OVERFLOW = """
import asyncio, os, sys, pathlib
from status_watcher.edge.file_source import FileSource
from status_watcher.edge.locate import Layout
from status_watcher.source import Lines

async def main():
    source = FileSource(Layout(pathlib.Path(sys.argv[1])), fresh_s=0, sweep_s=3600, full_sweep_s=3600)
    ready, done = asyncio.Event(), asyncio.Event()
    def sink(news):
        if isinstance(news, Lines):
            ready.set()
            if b"late" in news.lines[-1]:
                done.set()
    task = asyncio.create_task(source.run([], sink))
    await ready.wait()
    await source.read_now()
    print("ready", flush=True)
    await done.wait()
    print(source.counters().watch_overflows, flush=True)
    task.cancel()

asyncio.run(main())
"""


async def test_W1_an_overflow_of_the_kernel_s_queue_makes_it_look_everywhere(sessions, tmp_path):
    most = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    if most > 20_000:
        pytest.skip("the queue is too long to fill")
    write(sessions / "abc.jsonl", header("abc"))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", OVERFLOW, str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    try:
        assert await asyncio.wait_for(process.stdout.readline(), DEADLINE_S) == b"ready\n"
        process.send_signal(signal.SIGSTOP)
        await eventually(lambda: Path(f"/proc/{process.pid}/stat").read_text().split()[2] == "T")
        for number in range(most + 100):
            (sessions / f"x{number}").touch()
        append(sessions / "abc.jsonl", b'{"late":1}')
        process.send_signal(signal.SIGCONT)
        overflows = await asyncio.wait_for(process.stdout.readline(), DEADLINE_S)
        assert int(overflows) >= 1
    finally:
        process.kill()
        await process.communicate()
