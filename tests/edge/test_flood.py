"""W9: a file that is written 100,000 times a second, and what that costs everybody else."""

import asyncio
import contextlib
import gc
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from publishing import until

from status_watcher.edge import watch as watch_module
from status_watcher.edge.file_source import FileSource
from status_watcher.edge.locate import Layout
from status_watcher.source import Lines, News

WRITES = 400_000
LAG_LIMIT_S = 0.1
GROWTH_LIMIT_KB = 4_096
"""A storm whose lines were kept, or an object for each of its writes, would take several times as much."""
READ_WITHIN_S = 30.0

WRITE = """
import os, sys, time
file = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND)
writes, began_s = int(sys.argv[2]), time.monotonic()
for _ in range(writes):
    os.write(file, b'{"type":"message","id":"12345678"}\\n')
print(writes / (time.monotonic() - began_s))
"""


@dataclass
class Storm:
    """What was seen while it went on."""

    lags_s: list[float] = field(default_factory=list)
    writes_per_s: float = 0.0

    async def feel_the_loop(self) -> None:
        while True:
            due_s = time.monotonic() + 0.01
            await asyncio.sleep(0.01)  # how much later it is than this
            self.lags_s.append(time.monotonic() - due_s)


@dataclass
class Reader:
    """A source at work on one transcript; it forgets what it was told but for the number of lines."""

    path: Path
    source: FileSource
    lines: int = 0
    wakes: int = 0
    reads: int = 0

    def take(self, news: News) -> None:
        if isinstance(news, Lines):
            self.lines += len(news.lines)

    async def through_a_storm(self) -> Storm:
        storm, before = Storm(), self.lines
        feeling = asyncio.create_task(storm.feel_the_loop())
        writer = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", WRITE, str(self.path), str(WRITES)), stdout=asyncio.subprocess.PIPE
        )
        out, _ = await writer.communicate()
        await until(lambda: self.lines == before + WRITES, READ_WITHIN_S)
        feeling.cancel()
        storm.writes_per_s = float(out)
        return storm


@pytest.fixture
async def reader(tmp_path, monkeypatch) -> AsyncIterator[Reader]:
    path = tmp_path / "agents/main/sessions/abc.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text('{"type":"session","version":3,"id":"abc"}\n')
    made = Reader(path, FileSource(Layout(tmp_path), fresh_s=3600.0))
    read_events, wake = watch_module._Kernel.read_events, made.source._lookout.dirty._wake

    def counted_read(kernel):
        events = read_events(kernel)
        made.reads += 1
        return events

    def counted_wake():
        made.wakes += 1
        wake()

    monkeypatch.setattr(watch_module._Kernel, "read_events", counted_read)
    monkeypatch.setattr(made.source._lookout.dirty, "_wake", counted_wake)
    reading = asyncio.create_task(made.source.run((), made.take))
    await until(lambda: made.lines == 1)
    yield made
    reading.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await reading


def resident_kb() -> int:
    gc.collect()
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


async def test_W9_a_flood_of_writes_wakes_once_a_batch_and_keeps_loop_and_memory_free(reader):
    """The lag is that of the best of some storms, as others use this machine too; memory is compared after
    each of them with what it was after the first, and must have stood still after one at least.
    """
    storms = [await reader.through_a_storm()]
    after_first_kb = resident_kb()
    growths_kb = []
    for _ in range(3):
        storms.append(await reader.through_a_storm())
        growths_kb.append(resident_kb() - after_first_kb)
        after_first_kb = resident_kb()
        if max(storms[-1].lags_s) < LAG_LIMIT_S and growths_kb[-1] < GROWTH_LIMIT_KB:
            break
    for storm in storms:
        print(f"{storm.writes_per_s:,.0f} writes/s, longest lag {max(storm.lags_s) * 1000:.0f} ms")
    print(f"growth {growths_kb} kB; {reader.wakes} wake-ups, {reader.reads} reads of the kernel's queue")
    assert min(max(storm.lags_s) for storm in storms) < LAG_LIMIT_S
    assert growths_kb[-1] < GROWTH_LIMIT_KB
    assert max(reader.wakes, reader.reads) < WRITES / 100
