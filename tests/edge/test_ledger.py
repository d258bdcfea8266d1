import asyncio
import math
import random
import sqlite3
import time
from dataclasses import replace

import pytest
from publishing import until

from status_watcher.core.post import BoxRecord
from status_watcher.edge.ledger import Ledger, NewerState, StateUnusable, open_ledger
from status_watcher.edge.ledger_file import (
    BAD_FILES_KEPT,
    FILE_NAME,
    MAX_AGE_MS,
    MAX_ENDED_BOXES,
    TOLD_AGE_MS,
    TOLD_ENDED_BOXES,
)
from status_watcher.model import BoxId, ChannelId, ChannelTarget, DirectTarget, PostId, UserId

LONG_ID = "main/11111111-2222-4333-8444-555555555555/66666666-7777-4888-9999-aaaaaaaaaaaa/"
TARGET = ChannelTarget(ChannelId("c" * 26), PostId("r" * 26))


def record(name="main/s/e", **changes):
    full = BoxRecord(
        BoxId(name),
        TARGET,
        "nonce",
        1_700_000_000_000,
        PostId("p" * 26),
        b"\x01" * 32,
        ended=False,
        gone=False,
    )
    return replace(full, **changes)


async def opened(directory, **options):
    ledger = await open_ledger(directory, **options)
    assert isinstance(ledger, Ledger), ledger
    return ledger


async def in_thread(ledger, do):
    return await asyncio.wrap_future(ledger._thread.submit(do))


async def test_what_was_kept_is_there_after_a_restart(tmp_path):
    ledger = await opened(tmp_path)
    whole = record()
    direct = record("dm", target=DirectTarget(UserId("u" * 26)), post_id=None, text_sha256=None, renewed=True)
    assert await ledger.keep_now(whole)
    ledger.keep(direct)
    await ledger.close()
    again = await opened(tmp_path)
    assert set(again.open_boxes) == {whole, direct}
    assert await again.find(whole.box_id) == whole
    assert again.closed_well
    assert not again.lost
    await again.close()


async def test_ended_and_gone_boxes_are_not_open_but_are_found(tmp_path):
    ledger = await opened(tmp_path)
    ended, gone = record("a", ended=True), record("b", gone=True)
    ledger.keep(ended)
    ledger.keep(gone)
    await ledger.close()
    again = await opened(tmp_path)
    assert again.open_boxes == ()
    assert await again.find(BoxId("a")) == ended
    assert await again.find(BoxId("b")) == gone
    assert await again.find(BoxId("c")) is None
    await again.close()


async def test_newest_ended_boxes_of_a_day_are_told_with_the_time_they_were_kept(tmp_path):
    for name, at_ms in (("old", 1_000), ("new", 2_000)):
        ledger = await opened(tmp_path, wall_ms=lambda at_ms=at_ms: at_ms)
        ledger.keep(record(name, ended=True))
        ledger.keep(record(f"{name} gone", ended=True, gone=True))
        ledger.keep(record(f"{name} open"))
        await ledger.close()
    again = await opened(tmp_path, wall_ms=lambda: 1_001 + TOLD_AGE_MS)
    assert again.ended_boxes == (record("new", ended=True, kept_at_ms=2_000),)
    for number in range(TOLD_ENDED_BOXES + 5):
        again.keep(record(f"{number}", ended=True))
    await again.close()
    last = await opened(tmp_path, wall_ms=lambda: 1_002 + TOLD_AGE_MS)
    assert len(last.ended_boxes) == TOLD_ENDED_BOXES
    assert {box.kept_at_ms for box in last.ended_boxes} == {1_001 + TOLD_AGE_MS}
    await last.close()


async def test_forgotten_box_is_gone_from_memory_at_once_and_from_the_disk_after_close(tmp_path):
    ledger = await opened(tmp_path)
    await ledger.keep_now(record())
    ledger.forget(record().box_id)
    assert await ledger.find(record().box_id) is None
    await ledger.close()
    again = await opened(tmp_path)
    assert again.open_boxes == ()
    await again.close()


async def test_direct_channels_are_remembered(tmp_path):
    ledger = await opened(tmp_path)
    ledger.keep_direct_channel(UserId("u"), ChannelId("c"))
    await ledger.close()
    again = await opened(tmp_path)
    assert again.direct_channel(UserId("u")) == "c"
    assert again.direct_channel(UserId("v")) is None
    await again.close()


async def test_kept_record_is_on_the_disk_within_two_seconds(tmp_path):
    ledger = await opened(tmp_path)
    ledger.keep(record())
    await until(lambda: not ledger._unsaved, 2)
    with sqlite3.connect(tmp_path / FILE_NAME) as db:
        assert db.execute("SELECT count(*) FROM boxes").fetchone() == (1,)
    db.close()
    await ledger.close()


async def test_box_id_that_is_not_unicode_is_kept(tmp_path):
    ledger = await opened(tmp_path)
    assert await ledger.keep_now(record("main/\udcff/e"))
    await ledger.close()
    again = await opened(tmp_path)
    assert await again.find(BoxId("main/\udcff/e")) is not None
    await again.close()


async def sample(directory):
    ledger = await opened(directory)
    for number in range(40):
        ledger.keep(record(f"box {number}"))
    await ledger.close()
    return (directory / FILE_NAME).read_bytes()


async def test_S6_truncated_file_is_moved_aside_and_never_fatal(tmp_path):
    whole = await sample(tmp_path)
    path = tmp_path / FILE_NAME
    sizes = {*range(0, 120, 7), *range(0, len(whole), 997), len(whole) - 1}
    for size in sorted(sizes):
        path.write_bytes(whole[:size])
        ledger = await opened(tmp_path)
        assert ledger.lost or len(ledger.open_boxes) == 40
        assert await ledger.keep_now(record("new"))
        await ledger.close()


async def test_S6_flipped_bits_are_never_fatal(tmp_path):
    whole = await sample(tmp_path)
    seed = random.randrange(1 << 32)
    print("seed", seed)
    dice = random.Random(seed)
    for _ in range(60):
        broken = bytearray(whole)
        for _ in range(dice.randrange(1, 20)):
            broken[dice.randrange(len(broken))] ^= 1 << dice.randrange(8)
        (tmp_path / FILE_NAME).write_bytes(broken)
        outcome = await open_ledger(tmp_path)
        if isinstance(outcome, NewerState):  # the bit was one of the version's
            continue
        assert isinstance(outcome, Ledger), outcome
        await outcome.find(BoxId("box 3"))
        await outcome.close()


@pytest.mark.parametrize(
    "content", [b"", b"\0" * 8192, b"not a database" * 100], ids=["empty", "NUL", "text"]
)
async def test_S6_alien_file_is_moved_aside_and_kept(tmp_path, content):
    (tmp_path / FILE_NAME).write_bytes(content)
    ledger = await opened(tmp_path)
    assert ledger.lost
    assert ledger.open_boxes == ()
    await ledger.close()
    (bad,) = tmp_path.glob(f"{FILE_NAME}.bad-*")
    assert bad.read_bytes() == content or content == b""  # SQLite makes a database of an empty file


async def test_S6_three_bad_files_are_kept(tmp_path):
    clock = iter(range(1, 1_000))
    for number in range(BAD_FILES_KEPT + 3):
        (tmp_path / FILE_NAME).write_bytes(b"bad %d" % number)
        ledger = await opened(tmp_path, wall_ms=lambda: next(clock))
        await ledger.close()
    kept = sorted(path.read_bytes() for path in tmp_path.glob(f"{FILE_NAME}.bad-*"))
    assert kept == [b"bad 3", b"bad 4", b"bad 5"]


async def test_S6_newer_schema_is_refused_and_left_alone(tmp_path):
    await sample(tmp_path)
    db = sqlite3.connect(tmp_path / FILE_NAME)
    db.execute("PRAGMA user_version = 99")
    db.close()
    before = (tmp_path / FILE_NAME).read_bytes()
    assert await open_ledger(tmp_path) == NewerState(tmp_path / FILE_NAME, 99)
    assert (tmp_path / FILE_NAME).read_bytes() == before


async def test_S9_directory_that_cannot_be_used_is_a_value(tmp_path):
    outcome = await open_ledger(tmp_path / "missing")
    assert isinstance(outcome, StateUnusable)
    assert outcome.path == tmp_path / "missing" / FILE_NAME


async def test_S8_full_disk_is_a_problem_until_there_is_room_and_loses_nothing(tmp_path):
    ledger = await opened(tmp_path)
    pages = await in_thread(ledger, lambda: ledger._file._db.execute("PRAGMA page_count").fetchone()[0])
    await in_thread(ledger, lambda: ledger._file._db.execute(f"PRAGMA max_page_count = {pages}"))
    many = [record(f"box {number}" + "x" * 500) for number in range(50)]
    for each in many:
        ledger.keep(each)
    assert not await ledger.keep_now(record("last"))
    assert ledger.problems == ("state cannot be saved: SQLITE_FULL",)
    assert await ledger.find(many[0].box_id) == many[0]
    await in_thread(ledger, lambda: ledger._file._db.execute("PRAGMA max_page_count = 100000"))
    assert await ledger.keep_now(record("one more"))
    assert ledger.problems == ()
    await ledger.close()
    again = await opened(tmp_path)
    assert len(again.open_boxes) == 52
    await again.close()


async def test_S8_read_only_state_is_tried_again_by_itself(tmp_path, monkeypatch):
    monkeypatch.setattr("status_watcher.edge.ledger._RETRY_AFTER_S", 0.05)
    ledger = await opened(tmp_path)
    await in_thread(ledger, lambda: ledger._file._db.execute("PRAGMA query_only = 1"))
    assert not await ledger.keep_now(record())
    assert ledger.problems == ("state cannot be saved: SQLITE_READONLY",)
    await in_thread(ledger, lambda: ledger._file._db.execute("PRAGMA query_only = 0"))
    await until(lambda: not ledger.problems)
    await ledger.close()


async def test_S11_hundred_thousand_ended_boxes_stay_under_5_megabytes(tmp_path):
    ledger = await opened(tmp_path)
    for start in range(0, 100_000, 2_000):
        for number in range(start, start + 2_000):
            ledger.keep(record(f"{LONG_ID}{number}", ended=True))
        assert await ledger.keep_now(record("open one"))
    await ledger.close()
    assert (tmp_path / FILE_NAME).stat().st_size < 5_000_000
    again = await opened(tmp_path)
    assert [box.box_id for box in again.open_boxes] == ["open one"]
    assert await again.find(BoxId(f"{LONG_ID}99999")) is not None
    count = await in_thread(
        again, lambda: again._file._db.execute("SELECT count(*) FROM boxes").fetchone()[0]
    )
    assert count <= MAX_ENDED_BOXES + 1
    await again.close()


async def test_S11_a_save_takes_less_than_50_ms_with_as_many_boxes_as_are_kept(tmp_path):
    """19 saves of 20, in the best of some tries: a disk that others use too is slow at times. As a fast one
    writes a whole file in that time, what is written is counted too.
    """
    ledger = await opened(tmp_path)
    for number in range(MAX_ENDED_BOXES):
        ledger.keep(record(f"{LONG_ID}{number}", ended=True))
    await ledger.close()
    ledger = await opened(tmp_path)
    best_s, log_bytes = math.inf, 0
    for _ in range(4):
        took_s = []
        for number in range(100):
            began_s = time.monotonic()
            assert await ledger.keep_now(record("open one", intent_at_ms=number))
            took_s.append(time.monotonic() - began_s)
        best_s = min(best_s, sorted(took_s)[94])
        log_bytes = log_bytes or (tmp_path / f"{FILE_NAME}-wal").stat().st_size
    await ledger.close()
    print(f"p95 {best_s * 1000:.2f} ms, {log_bytes / 100:.0f} bytes a save")
    assert best_s < 0.05
    assert log_bytes < 100 * 8_192  # some pages a save, of the 600 that there are


async def test_boxes_of_a_month_ago_expire(tmp_path):
    ledger = await opened(tmp_path, wall_ms=lambda: 1_000)
    await ledger.keep_now(record("old", ended=True))
    await ledger.close()
    again = await opened(tmp_path, wall_ms=lambda: 1_001 + MAX_AGE_MS)
    assert await again.find(BoxId("old")) is None
    await again.close()


async def test_cancelled_save_is_still_saved(tmp_path):
    ledger = await opened(tmp_path)
    saving = asyncio.ensure_future(ledger.keep_now(record()))
    await asyncio.sleep(0)  # it has begun
    saving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await saving
    await ledger.close()
    again = await opened(tmp_path)
    assert again.open_boxes == (record(),)
    await again.close()
