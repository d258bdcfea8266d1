"""Which post belongs to which box, kept over restarts in `ledger.sqlite` (SQLite in WAL mode, one row a box).

What must be durable before going on (an intent to create, a post's id) is on the disk when `keep_now`
returns; all else is written within a second. All of SQLite runs in one thread of its own, so that the loop
never waits for a disk. While the disk refuses, everything is kept in memory and tried again.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from status_watcher.core.post import BoxRecord
from status_watcher.edge.ledger_file import FILE_NAME, Batch, Contents, LedgerFile, NewerState, StateUnusable
from status_watcher.model import BoxId, ChannelId, UserId

__all__ = ["Ledger", "NewerState", "StateUnusable", "open_ledger"]

_WRITE_AFTER_S = 1.0
_RETRY_AFTER_S = 5.0

log = structlog.get_logger()


class Ledger:
    """The durable memory of the publisher; lives on one event loop, from `open_ledger` to `close`."""

    def __init__(self, file: LedgerFile, contents: Contents, thread: ThreadPoolExecutor) -> None:
        self._file = file
        self._thread = thread
        self._contents = contents
        self._direct = dict(contents.direct)
        self._unsaved: dict[BoxId, BoxRecord | None] = {}
        self._unsaved_direct: dict[UserId, ChannelId] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._problem: str | None = None
        self.save_errors = 0
        self._closed = False

    @property
    def open_boxes(self) -> tuple[BoxRecord, ...]:
        """The boxes that had not ended when the file was opened."""
        return self._contents.open_boxes

    @property
    def ended_boxes(self) -> tuple[BoxRecord, ...]:
        """Those that had ended not long ago when the file was opened, with the time of that."""
        return self._contents.ended_boxes

    @property
    def closed_well(self) -> bool:
        """The last run closed the file: what it says of texts can be trusted."""
        return self._contents.closed_well

    @property
    def lost(self) -> bool:
        """There was a file, and it could not be used: boxes may have posts that nobody remembers."""
        return self._contents.lost

    @property
    def problems(self) -> tuple[str, ...]:
        return () if self._problem is None else (f"state cannot be saved: {self._problem}",)

    async def find(self, box_id: BoxId) -> BoxRecord | None:
        """What is known of a box, ended ones of the last 30 days included."""
        if box_id in self._unsaved:
            return self._unsaved[box_id]
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._file.find, box_id)

    def direct_channel(self, user_id: UserId) -> ChannelId | None:
        return self._direct.get(user_id)

    def keep_direct_channel(self, user_id: UserId, channel_id: ChannelId) -> None:
        self._direct[user_id] = self._unsaved_direct[user_id] = channel_id
        self._write_later(_WRITE_AFTER_S)

    def keep(self, record: BoxRecord) -> None:
        """Saved within a second."""
        self._unsaved[record.box_id] = record
        self._write_later(_WRITE_AFTER_S)

    async def keep_now(self, record: BoxRecord) -> bool:
        """On the disk when True is returned; False: in memory only, and tried again."""
        self._unsaved[record.box_id] = record
        return await self._write() is None

    def forget(self, box_id: BoxId) -> None:
        """Deleted within a second."""
        self._unsaved[box_id] = None
        self._write_later(_WRITE_AFTER_S)

    async def close(self) -> None:
        """Writes what is left, notes that this run ended well, and closes the file."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        error = await self._write()
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, partial(self._file.close, well=error is None))
        self._thread.shutdown(wait=False)

    def _write_later(self, after_s: float) -> None:
        if self._timer is None and not self._closed:
            self._timer = asyncio.get_running_loop().call_later(after_s, self._write)

    def _write(self) -> asyncio.Future[str | None]:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        batch = Batch(dict(self._unsaved), dict(self._unsaved_direct))
        writing = asyncio.get_running_loop().run_in_executor(self._thread, self._file.write, batch)
        writing.add_done_callback(partial(self._written, batch))
        return writing

    def _written(self, batch: Batch, writing: asyncio.Future[str | None]) -> None:
        if writing.cancelled():  # whoever waited was cancelled; the rows are still among the unsaved
            self._write_later(_WRITE_AFTER_S)
            return
        problem = writing.result()
        if problem is None:
            _drop_written(self._unsaved, batch.boxes)
            _drop_written(self._unsaved_direct, batch.direct)
        else:
            self.save_errors += 1
            self._write_later(_RETRY_AFTER_S)
        if (problem is None) != (self._problem is None):
            log.warning("ledger_not_saved", reason=problem) if problem else log.info("ledger_saved_again")
        self._problem = problem


def _drop_written(unsaved: dict[Any, Any], written: Mapping[Any, Any]) -> None:
    for key, row in written.items():
        if key in unsaved and unsaved[key] is row:
            del unsaved[key]


async def open_ledger(
    directory: Path, *, wall_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000
) -> Ledger | NewerState | StateUnusable:
    """The ledger in this directory; a file that cannot be read is moved aside, and never fatal."""
    thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger")
    file = LedgerFile(directory / FILE_NAME, wall_ms)
    contents = await asyncio.get_running_loop().run_in_executor(thread, file.open)
    if isinstance(contents, Contents):
        if contents.lost:
            log.warning("ledger_moved_aside", directory=str(directory))
        return Ledger(file, contents, thread)
    thread.shutdown(wait=False)
    return contents
