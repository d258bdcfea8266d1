"""What is known of runs from elsewhere than transcripts: the store's starts, a person being asked, and the
gateway's hook on compactions.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from status_watcher.core.doing import Asked, Outside
from status_watcher.core.index import StoreEntry, StoreStatus
from status_watcher.core.skew import Skew
from status_watcher.core.turn import Compaction, Ending, Last, Run
from status_watcher.model import AgentId, SessionKey, ToolCallId
from status_watcher.source import IndexSeen

MOST_STARTS: Final = 100
"""Starts that are remembered of a session; 2026.9.6 gave up an overloaded model after eight."""

START_SLACK_MS: Final = 50
"""A channel's session is first said to run when the message has come, up to 11 ms before its line is written
(2026.9.6); the first try was 0.1 s after it.
"""

MOST_COMPACTED: Final = 1_000
"""Sessions of whose last compaction the end is remembered."""

NOBODY_ASKED: Final[Mapping[ToolCallId, Asked]] = MappingProxyType({})


class ApprovalStatus(StrEnum):
    """`status` of a row of `operator_approvals` (2026.9.6)."""

    PENDING = "pending"
    ALLOWED = "allowed"
    DENIED = "denied"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class ApprovalRow:
    """A person was asked whether a call may go on; times in epoch ms by the gateway's clock."""

    key: SessionKey
    call_id: ToolCallId
    status: ApprovalStatus
    created_ms: int
    expires_ms: int


class Elsewhere:
    """By session key."""

    def __init__(self) -> None:
        self._told: dict[AgentId, Mapping[SessionKey, StoreEntry]] = {}
        self._starts: dict[SessionKey, dict[int, int]] = {}
        """Of the run that the store told of last: as it has them, and in the board's time."""
        self._over: set[SessionKey] = set()
        self._vanished: dict[AgentId, set[SessionKey]] = {}
        """Runs that the last look lacked though they were not over: 2026.3.31 leaves `running` for ever and
        prunes the entry.
        """
        self._asked: dict[SessionKey, dict[ToolCallId, Asked]] = {}
        self._compacting: dict[SessionKey, int] = {}
        self._compacted: dict[SessionKey, int] = {}
        """When the end of the last compaction was told."""
        self._revisions: dict[SessionKey, int] = {}

    def note_starts(self, seen: IndexSeen, skew: Skew) -> None:
        """A look at the store: what runs, and since when, as often as that moves."""
        for key in self._vanished.pop(seen.agent, set()) - seen.entries.keys():
            self._starts.pop(key, None)
        before = self._told.get(seen.agent, {})
        if before is seen.entries:
            return
        self._told[seen.agent] = seen.entries
        absent = self._starts.keys() & (before.keys() - seen.entries.keys())
        for key in self._over & absent:  # as of each run of a cron job
            self._over.remove(key)
            del self._starts[key]
        if still_running := absent & self._starts.keys():
            self._vanished[seen.agent] = still_running
        for key, entry in seen.entries.items():
            if entry.status is not StoreStatus.RUNNING or entry.started_at_ms is None:
                if key in self._starts:
                    self._over.add(key)
                continue
            if key in self._over:
                self._over.remove(key)
                del self._starts[key]
            starts = self._starts.setdefault(key, {})
            if not starts or entry.started_at_ms > max(starts):
                starts[entry.started_at_ms] = skew.board_ms(entry.started_at_ms)
                if len(starts) > MOST_STARTS:
                    del starts[min(starts)]

    def hear_of_approvals(self, rows: Collection[ApprovalRow], skew: Skew) -> set[SessionKey]:
        """All approvals that wait for a person now; returns the keys of the sessions that this changes."""
        asked: dict[SessionKey, dict[ToolCallId, Asked]] = {}
        for row in rows:
            if row.status is ApprovalStatus.PENDING:
                times = skew.board_ms(row.created_ms), skew.board_ms(row.expires_ms)
                asked.setdefault(row.key, {})[row.call_id] = Asked(*times)
        changed = {key for key in asked.keys() | self._asked if asked.get(key) != self._asked.get(key)}
        self._count(changed)
        self._asked = asked
        return changed

    def hear_of_compactions(
        self, begun: Mapping[SessionKey, int], now_ms: int, skew: Skew
    ) -> set[SessionKey]:
        """All sessions that are being compacted now, and since when; returns the keys that this changes."""
        now = {key: skew.board_ms(since_ms) for key, since_ms in begun.items()}
        changed = {key for key in now.keys() | self._compacting if now.get(key) != self._compacting.get(key)}
        self._compacted |= dict.fromkeys(self._compacting.keys() - now.keys(), now_ms)
        while len(self._compacted) > MOST_COMPACTED:
            del self._compacted[min(self._compacted, key=self._compacted.__getitem__)]
        self._count(changed)
        self._compacting = now
        return changed

    def _count(self, changed: Collection[SessionKey]) -> None:
        for key in changed:
            self._revisions[key] = self._revisions.get(key, 0) + 1

    def revision(self, key: SessionKey | None) -> int:
        """Counts what was heard of a session's approvals and compactions."""
        return self._revisions.get(key, 0) if key is not None else 0

    def of(self, key: SessionKey | None, run: Run, *, store_runs: bool) -> Outside:
        """What there is about the last run of a session."""
        if key is None:
            return Outside(store_runs=store_runs)
        asked = self._asked.get(key, NOBODY_ASKED) if run.open_calls else NOBODY_ASKED
        compactions = self._compacting.get(key), self._compacted.get(key, 0)
        if run.ending is Ending.ERROR:
            since_ms, after = run.asked_ms, run.asked_after
        elif store_runs and run.ending is None and not run.open_calls:
            since_ms, after = run.last_ms, run.last
        else:
            return Outside(store_runs, 0, 0, asked, *compactions)
        starts = [at_ms for at_ms in self._starts.get(key, {}).values() if at_ms > since_ms + START_SLACK_MS]
        # After a prompt the first start is the first try, and after a compaction the run may have begun anew.
        # Otherwise it moves for another try alone.
        compacted = bool(run.items) and isinstance(run.items[-1], Compaction)
        first = 1 if after is Last.PROMPT or compacted else 0
        tries = len(starts) + 1 - first if starts else 0
        return Outside(store_runs, tries, max(starts, default=0), asked, *compactions)
