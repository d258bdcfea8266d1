"""S7: a crash at any step of a save leaves the old state or the new one, whole.

The standard library's SQLite lets nobody between it and its system calls, so two ways lead to the same
promise. A real process is killed during its commits, 200 times. And the files at every write boundary are
laid out from real ones taken before and after a step, which leaves nothing to chance: SQLite has but two
kinds of writes here, those of a commit, from the front to the back of what it adds to the log, and those of
a checkpoint, page by page into the main file while the log is whole. The index of the log (`-shm`) is
written without any order, so each state is opened with the index of before, that of after, and none.
"""

import asyncio
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import committer
import pytest

from status_watcher.edge.ledger import Ledger, open_ledger
from status_watcher.edge.ledger_file import FILE_NAME

KILLS = 200
PAGE_BYTES, SECTOR_BYTES = 4096, 512
WAL_HEADER_BYTES, FRAME_HEADER_BYTES = 32, 24
OLD, NEW = 7, 8
"""The numbers of two commits."""


# Killed


def test_S7_of_200_kills_during_commits_each_leaves_what_was_acknowledged_and_no_half(tmp_path):
    """Each child opens what the last kill left and says what it found. Three of four are killed soon after
    their first commit, one at any moment since its birth, which may be while it opens the file.
    """
    seed = random.randrange(1 << 32)
    dice = random.Random(seed)
    acknowledged, unacknowledged, while_opening = -1, 0, 0
    with subprocess.Popen(
        [sys.executable, committer.__file__, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    ) as children:
        for number in range(KILLS):
            children.stdin.write("another\n")
            child = int(children.stdout.readline().removeprefix("child "))
            lines, said = iter(children.stdout.readline, "dead\n"), []
            if number % 4 < 3:
                for line in lines:
                    said.append(line)
                    if line.startswith("saved"):
                        break
            time.sleep(dice.uniform(0, 0.015 if said else 0.02))  # any moment
            os.kill(child, signal.SIGKILL)
            said += lines
            while_opening += not said
            for line in said:
                if not line.startswith(("found", "saved")):
                    continue  # a log line
                word, now = line.split()[0], int(line.split()[1])
                if word == "found":
                    assert line.endswith(f"lost=False closed_well={number == 0}\n")
                    assert now in (acknowledged, acknowledged + 1)
                    unacknowledged += now > acknowledged
                else:
                    assert now == acknowledged + 1
                acknowledged = now
        children.stdin.close()
    print(
        f"seed {seed}: {acknowledged} commits; {while_opening} kills before the file was open,"
        f" {unacknowledged} between a commit and its acknowledgement"
    )
    assert acknowledged > KILLS / 2
    assert asyncio.run(found(tmp_path)) in (acknowledged, acknowledged + 1)


async def found(directory: Path) -> int:
    """Which commit the ledger in this directory holds."""
    ledger = await open_ledger(directory)
    assert isinstance(ledger, Ledger), ledger
    try:
        assert not ledger.lost
        return committer.held(ledger)
    finally:
        await ledger.close()


# Every write boundary


@dataclass(frozen=True)
class Files:
    """The ledger's three files at one moment; None for one that is not there."""

    main: bytes
    wal: bytes | None
    shm: bytes | None

    @classmethod
    def of(cls, directory: Path) -> "Files":
        return cls(*((directory / (FILE_NAME + suffix)).read_bytes() for suffix in ("", "-wal", "-shm")))

    async def open_in(self, directory: Path) -> int:
        """Which commit a ledger with these files holds."""
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir()
        for suffix, content in (("", self.main), ("-wal", self.wal), ("-shm", self.shm)):
            if content is not None:
                (directory / (FILE_NAME + suffix)).write_bytes(content)
        return await found(directory)


@dataclass(frozen=True)
class Step:
    """What a commit or a checkpoint found, and what it left."""

    before: Files
    after: Files

    def indexes(self) -> tuple[bytes | None, ...]:
        return None, self.before.shm, self.after.shm


async def checkpoint(ledger: Ledger) -> None:
    def run() -> None:
        assert ledger._file._db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()[0] == 0

    await asyncio.wrap_future(ledger._thread.submit(run))


async def steps(directory: Path) -> tuple[Step, Step, Step]:
    """A commit at the end of the log, the checkpoint after it, and the commit that then begins the log anew;
    the commits are `NEW` over `OLD`, the checkpoint is of `NEW`.
    """
    ledger = await open_ledger(directory)
    assert isinstance(ledger, Ledger), ledger
    assert await committer.save(ledger, OLD)
    seen = [Files.of(directory)]
    assert await committer.save(ledger, NEW)
    seen.append(Files.of(directory))
    await checkpoint(ledger)
    seen.append(Files.of(directory))
    assert await committer.save(ledger, OLD)
    await checkpoint(ledger)
    seen.append(Files.of(directory))
    assert await committer.save(ledger, NEW)
    seen.append(Files.of(directory))
    await ledger.close()
    return Step(*seen[:2]), Step(*seen[1:3]), Step(*seen[3:])


def boundaries(size: int) -> list[int]:
    """Where a write to the log may have ended: at each header, page and sector, and a byte to either side."""
    frame = FRAME_HEADER_BYTES + PAGE_BYTES
    starts = range(WAL_HEADER_BYTES, size + 1, frame)
    pages = (start + FRAME_HEADER_BYTES for start in starts)
    ends = {0, 1, *range(0, size + 1, SECTOR_BYTES), *starts, *pages}
    ends |= {end + by for end in starts for by in (-1, 1)}
    return sorted(end for end in ends if end <= size)


def half_written(before: bytes, after: bytes, ends: list[int]) -> Iterator[bytes]:
    """The file with everything up to one of these ends written, each state once."""
    last = None
    for end in ends:
        state = after[:end] + before[end:]
        if state != last:
            yield state
        last = state


@pytest.mark.parametrize("log", ["appended to", "begun anew"])
async def test_S7_a_commit_cut_short_anywhere_is_not_there_and_a_whole_one_is(tmp_path, log):
    (tmp_path / "live").mkdir()
    appending, _, anew = await steps(tmp_path / "live")
    step = appending if log == "appended to" else anew
    assert step.before.main == step.after.main
    assert step.after.wal.startswith(step.before.wal) == (log == "appended to")
    states = list(half_written(step.before.wal, step.after.wal, boundaries(len(step.after.wal))))
    assert states[0] == step.before.wal
    assert states[-1] == step.after.wal
    for wal in states:
        for shm in step.indexes():
            opened = await replace(step.before, wal=wal, shm=shm).open_in(tmp_path / "copy")
            assert opened == (NEW if wal == step.after.wal else OLD), (len(wal), shm is None)


async def test_S7_a_commit_whose_sectors_came_in_any_order_is_there_whole_or_not_at_all(tmp_path):
    """As a power failure may leave it."""
    seed = random.randrange(1 << 32)
    print("seed", seed)
    dice = random.Random(seed)
    (tmp_path / "live").mkdir()
    step, _, _ = await steps(tmp_path / "live")
    before, after = step.before.wal, step.after.wal
    for _ in range(60):
        wal = bytearray(before.ljust(len(after), b"\0"))
        for start in range(0, len(after), SECTOR_BYTES):
            if dice.random() < 0.9:
                wal[start : start + SECTOR_BYTES] = after[start : start + SECTOR_BYTES]
        opened = await replace(step.before, wal=bytes(wal), shm=None).open_in(tmp_path / "copy")
        assert opened == (NEW if wal == after else OLD)


async def test_S7_a_checkpoint_cut_short_anywhere_loses_nothing(tmp_path):
    (tmp_path / "live").mkdir()
    _, step, _ = await steps(tmp_path / "live")
    before, after = step.before.main, step.after.main
    assert len(after) > len(before)
    assert step.before.wal == step.after.wal
    states = list(half_written(before, after, list(range(0, len(after) + 1, SECTOR_BYTES))))
    assert (states[0], states[-1]) == (before, after)
    for main in states:
        for shm in step.indexes():
            assert await replace(step.before, main=main, shm=shm).open_in(tmp_path / "copy") == NEW
    # And the end of the log, when all of it is in the main file.
    for wal in (b"", None):
        for shm in step.indexes():
            assert await Files(after, wal, shm).open_in(tmp_path / "copy") == NEW
