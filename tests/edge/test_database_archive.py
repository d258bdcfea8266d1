"""Sessions of a database that were deleted: what they were is read from their archive, in a row or in a file.

Names, places and the order of things as seen on a live gateway 2026.9.6 that was asked to delete sessions.
"""

import json
import os

import pytest
import zstandard
from following import eventually, following
from store_writer import KEY, StoreWriter, chain, header

from status_watcher.edge.database_source import DatabaseSource
from status_watcher.edge.locate import Layout
from status_watcher.edge.tail import WHOLE_BYTES
from status_watcher.source import Reading, TranscriptGone

STAMP, STAMP_MS = "2026-11-21T17-27-52.620Z", 1795282072620
EARLIER = "2026-11-20T17-27-52.620Z"
GENERATION = "e0d938a7a59b45b0926857ef56b3aa65"
GONE = TranscriptGone("main", "s0", "deleted", STAMP_MS)
LINES = [json.dumps(event).encode() for event in (header("s0"), *chain("x", "y"))]
TEXT = b"\n".join(LINES) + b"\n"


@pytest.fixture
def writer(tmp_path):
    writer = StoreWriter(tmp_path / "agents/main/agent/openclaw-agent.sqlite")
    writer.node("s1", "agent:main:other")
    writer.append("s1", header("s1"), *chain("a"))
    yield writer
    writer.close()


@pytest.fixture
def source(tmp_path):
    return DatabaseSource(Layout(tmp_path), fresh_s=3600.0, sweep_s=0.2)


@pytest.fixture
def archives(tmp_path):
    directory = tmp_path / "agents/main/sessions"
    directory.mkdir(parents=True)
    return directory


def begin(writer, *ids):
    writer.node("s0")
    writer.append("s0", header("s0"), *chain(*ids))


def delete(writer, *steps):
    """As the gateway deletes: node, window and events in one transaction, with what else is in it."""

    def remove():
        writer.sql("DELETE FROM session_nodes WHERE session_key = ?", KEY)
        writer.sql("DELETE FROM session_windows WHERE session_key = ?", KEY)
        writer.clear("s0")

    writer.commit(*steps, remove)


def archive_row(writer, text=TEXT, encoding="zstd", how="deleted"):
    blob = zstandard.compress(text) if encoding == "zstd" else text
    query = "INSERT INTO session_transcript_archives VALUES ('s0', ?, ?, ?, ?, ?, ?)"
    writer.sql(query, GENERATION, KEY, how, encoding, blob, STAMP_MS)


async def looked_up(source):
    async with following(source, [("main", "s0")]) as received:
        await eventually(received.gone)
        return received


@pytest.mark.parametrize(
    ("suffix", "how"),
    [
        (f"deleted.{STAMP}.{GENERATION}.zst", "deleted"),
        (f"reset.{STAMP}.{GENERATION}.zst", "reset"),
        (f"deleted.{STAMP}.zst", "deleted"),
        (f"deleted.{STAMP}.{GENERATION}", "deleted"),
        (f"reset.{STAMP}", "reset"),
    ],
)
async def test_a_session_deleted_meanwhile_is_read_from_its_file_where_no_row_tells(
    writer, source, archives, suffix, how
):
    packed = suffix.endswith(".zst")
    (archives / f"s0.jsonl.{suffix}").write_bytes(zstandard.compress(TEXT) if packed else TEXT)
    received = await looked_up(source)
    assert received.lines("s0") == LINES
    assert received.readings("s0") == [Reading.FIRST]
    assert received.gone() == [TranscriptGone("main", "s0", how, STAMP_MS)]


async def test_of_several_files_the_newest_counts_and_those_of_other_sessions_do_not(
    writer, source, archives
):
    other = zstandard.compress(b"{}\n")
    (archives / f"s0.jsonl.deleted.{EARLIER}.{GENERATION}.zst").write_bytes(other)
    (archives / f"s0.jsonl.deleted.{STAMP}.{GENERATION}.zst").write_bytes(zstandard.compress(TEXT))
    (archives / "s00.jsonl.deleted.2026-11-22T17-27-52.620Z.zst").write_bytes(other)
    received = await looked_up(source)
    assert received.lines("s0") == LINES
    assert received.gone() == [GONE]


async def test_a_row_that_cannot_be_read_leaves_the_file(writer, source, archives):
    archive_row(writer, b"no zstd", encoding="identity")
    writer.sql("UPDATE session_transcript_archives SET encoding = 'zstd'")
    (archives / f"s0.jsonl.deleted.{STAMP}.{GENERATION}.zst").write_bytes(zstandard.compress(TEXT))
    assert (await looked_up(source)).lines("s0") == LINES


@pytest.mark.parametrize(
    "content", [b"", b"no zstd", zstandard.compress(TEXT)[:-9]], ids=["empty", "other", "cut"]
)
async def test_a_damaged_file_tells_that_the_session_is_gone_and_no_more(writer, source, archives, content):
    (archives / f"s0.jsonl.deleted.{STAMP}.{GENERATION}.zst").write_bytes(content)
    received = await looked_up(source)
    assert received.gone() == [GONE]
    assert all(line in LINES for line in received.lines("s0"))


async def test_a_file_that_unpacks_to_more_than_is_ever_read_is_not_unpacked(writer, source, archives):
    bomb = zstandard.compress(b"\n" * (WHOLE_BYTES + 1))
    (archives / f"s0.jsonl.deleted.{STAMP}.{GENERATION}.zst").write_bytes(bomb)
    received = await looked_up(source)
    assert received.gone() == [GONE]
    assert not received.lines("s0")


@pytest.mark.parametrize("kind", ["fifo", "link to a file", "link to a directory"])
async def test_what_leads_out_or_hangs_is_not_read(writer, source, tmp_path, kind):
    name = f"s0.jsonl.deleted.{STAMP}.{GENERATION}.zst"
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / name).write_bytes(zstandard.compress(TEXT))
    archives = tmp_path / "agents/main/sessions"
    if kind == "link to a directory":
        archives.symlink_to(outside)
    else:
        archives.mkdir()
        os.mkfifo(archives / name) if kind == "fifo" else (archives / name).symlink_to(outside / name)
    received = await looked_up(source)
    assert not received.lines("s0")
    assert len(received.gone()) == 1


async def test_entries_that_the_session_had_abandoned_are_left_out(writer, source, archives):
    x, y = chain("x", "y")
    leaf = {"type": "leaf", "id": "l", "parentId": "y", "targetId": "x"}
    (z,) = chain("z", parent="x")
    events = [json.dumps(event).encode() for event in (header("s0"), x, y, leaf, z)]
    archive_row(writer, b"\n".join(events))
    assert (await looked_up(source)).ids("s0") == ["s", "x", "l", "z"]


@pytest.mark.parametrize("kept", ["row", "file"])
@pytest.mark.parametrize("busy", [False, True], ids=["alone", "while another session writes"])
async def test_lines_written_and_deleted_between_two_looks_are_read_from_the_archive(
    writer, source, archives, kept, busy
):
    """The last line of a turn, and the deletion, in the same instant."""
    begin(writer, "x")
    async with following(source) as received:
        await eventually(lambda: received.ids("s0") == ["s", "x"] and received.ids("s1"))

        def archive():
            if kept == "row":
                archive_row(writer)
            else:
                name = f"s0.jsonl.deleted.{STAMP}.{GENERATION}.zst"
                (archives / name).write_bytes(zstandard.compress(TEXT))

        steps = [archive]
        if busy:
            steps.append(lambda: writer.append("s1", *chain("b", parent="a")))
        delete(writer, *steps)
        await eventually(received.gone)
        assert received.ids("s0") == ["s", "x", "y"]
        assert received.readings("s0") == [Reading.FIRST, Reading.AGAIN]
        assert received.gone() == [GONE]
        assert received.news.index(GONE) > received.news.index(received.batches("s0")[-1])


async def test_a_session_deleted_without_an_archive_is_gone(writer, source):
    begin(writer, "x")
    async with following(source) as received:
        await eventually(lambda: received.ids("s0") == ["s", "x"])
        delete(writer)
        await eventually(received.gone)
        assert received.ids("s0") == ["s", "x"]
        assert received.gone() == [TranscriptGone("main", "s0", "deleted")]
