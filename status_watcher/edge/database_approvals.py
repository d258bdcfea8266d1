"""Approvals that a gateway waits for: the table `operator_approvals` of `<state>/state/openclaw.sqlite`.

Schema as a live gateway 2026.9.6 has it (`user_version` 18). 2026.7.1 has the file too, without a row there:
its approvals stand in the transcript.
"""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from typing import Final

from status_watcher.core.elsewhere import ApprovalRow, ApprovalStatus
from status_watcher.edge.database_connection import Connection, Outrun, Ready, Unavailable
from status_watcher.edge.readers import Readers
from status_watcher.model import SessionKey, ToolCallId

STATE_DATABASE: Final = Path("state", "openclaw.sqlite")
_LOOK_S: Final = 0.5
_LAPSED_S: Final = 2.0
"""How long a database that cannot be read just now is taken to say what it said last."""
_MOST_ROWS: Final = 1_000
_COLUMNS: Final = (
    "source_session_key",
    "source_tool_call_id",
    "created_at_ms",
    "expires_at_ms",
)


class ApprovalsDatabase:
    """What waits for a person by one installation's database; blocking, one call at a time."""

    def __init__(self, state_dir: Path) -> None:
        self._connection = Connection(str(state_dir / STATE_DATABASE))
        self._rows: tuple[ApprovalRow, ...] = ()
        self._has_table = False
        self._failed_s: float | None = None

    def pending(self, now_s: float) -> tuple[ApprovalRow, ...]:
        """Those that are pending now, the newest if there are very many.

        A database that cannot be read says for two seconds what it said last, and then nothing: that a turn
        waits is claimed on evidence alone.
        """
        ready = self._connection.prepare()
        if ready is Ready.SAME and self._failed_s is None:
            return self._rows
        if isinstance(ready, Unavailable):
            return self._without(now_s)
        try:
            with self._connection.snapshot() as db:
                if ready is Ready.OTHER or self._failed_s is not None:
                    self._has_table = _has_columns(db)
                self._rows = tuple(_pending(db)) if self._has_table else ()
        except (sqlite3.Error, OSError, Outrun):
            return self._without(now_s)
        self._failed_s = None
        return self._rows

    def _without(self, now_s: float) -> tuple[ApprovalRow, ...]:
        self._failed_s = now_s if self._failed_s is None else self._failed_s
        if now_s - self._failed_s >= _LAPSED_S:
            self._rows = ()
        return self._rows


def state_dir_of(transcripts: Path) -> Path:
    """The state directory that holds what `TRANSCRIPT_DIR` names: it, its `agents/`, or an agent's directory
    of sessions.
    """
    if transcripts.name == "sessions" and transcripts.parent.parent.name == "agents":
        return transcripts.parent.parent.parent
    return transcripts.parent if transcripts.name == "agents" else transcripts


async def watch_approvals(
    state_dir: Path,
    tell: Callable[[Collection[ApprovalRow]], None],
    *,
    monotonic_s: Callable[[], float] = time.monotonic,
) -> None:
    """Call `tell` with all approvals that are pending, each time that they are others, until cancelled."""
    database = ApprovalsDatabase(state_dir)
    told: tuple[ApprovalRow, ...] = ()
    with Readers(asyncio.get_running_loop(), threads=1) as readers:
        while True:
            pending = await readers.run(partial(database.pending, monotonic_s()))
            if pending != told:
                told = pending
                tell(pending)
            await asyncio.sleep(_LOOK_S)


def _has_columns(db: sqlite3.Connection) -> bool:
    columns = db.execute("PRAGMA table_info(operator_approvals)")
    return {bytes(row[1]).decode(errors="replace") for row in columns}.issuperset({*_COLUMNS, "status"})


def _pending(db: sqlite3.Connection) -> list[ApprovalRow]:
    query = (
        f"SELECT {', '.join(_COLUMNS)} FROM operator_approvals WHERE status = ?"  # noqa: S608 - constants
        " ORDER BY created_at_ms DESC LIMIT ?"
    )
    found: list[ApprovalRow] = []
    for key, call_id, created_ms, expires_ms in db.execute(query, (ApprovalStatus.PENDING, _MOST_ROWS)):
        if (
            isinstance(key, bytes)
            and isinstance(call_id, bytes)
            and isinstance(created_ms, int)
            and isinstance(expires_ms, int)
        ):
            found.append(
                ApprovalRow(
                    SessionKey(key.decode(errors="replace")),
                    ToolCallId(call_id.decode(errors="replace")),
                    ApprovalStatus.PENDING,
                    created_ms,
                    expires_ms,
                )
            )
    return found
