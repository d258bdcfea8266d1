"""W8, its end: a watcher that missed events for a while, as after a suspension, need not hurry for ever."""

import asyncio
import contextlib
import os
import time

from publishing import until

from status_watcher.edge.file_source import FileSource
from status_watcher.edge.locate import Layout

HASTE = 20.0
DEADLINE_S = 20.0
HEADER = b'{"type":"session","version":3,"id":"abc"}\n'
LINE = b'{"type":"custom","id":"1"}\n'


async def test_W8_events_that_come_again_and_miss_nothing_end_the_hurry(tmp_path, monkeypatch):
    transcript = tmp_path / "agents" / "main" / "sessions" / "abc.jsonl"
    transcript.parent.mkdir(parents=True)
    transcript.write_bytes(HEADER)
    source = FileSource(
        Layout(tmp_path),
        fresh_s=3600.0,
        clock=lambda: time.monotonic() * HASTE,
        sweep_s=0.1,
    )

    async def written_until(condition, *, age_s: float) -> None:
        deadline_s = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < deadline_s, source.health()
            lines = source.counters().lines
            with transcript.open("ab") as file:
                file.write(LINE)
            written_s = time.time() - age_s
            os.utime(transcript, (written_s, written_s))
            await until(lambda lines=lines: source.counters().lines > lines, DEADLINE_S)

    hears = source._lookout.dirty.on_any_event
    monkeypatch.setattr(source._lookout.dirty, "on_any_event", lambda _event: None)
    following = asyncio.create_task(source.run((), lambda _news: None))
    try:
        # Old enough that their event would have come.
        await written_until(lambda: source.health().problems != (), age_s=1)
        assert source.health().problems == ("file events do not arrive: looking more often instead",)
        monkeypatch.setattr(source._lookout.dirty, "on_any_event", hears)
        await written_until(lambda: source.health().problems == (), age_s=0)
    finally:
        following.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await following
