"""Times that others wrote by the wall clock, told in the time by which the board thinks."""

from dataclasses import dataclass, replace

from status_watcher.core.index import StoreEntry
from status_watcher.core.transcript import Entry, Skipped, retimed

_NOTICED_WITHIN_MS = 30_000
"""How long a line may lie before it is read, and a jump of the clock before it is noticed: a full sweep."""


@dataclass(frozen=True, slots=True)
class Skew:
    """By how much the wall clock is ahead of board time (negative: behind), and since when, in board time.

    What was stamped before the jump keeps its time. After a jump back some stamps could be from either side
    of it; they are taken for later ones, which those of live lines are.
    """

    ahead_ms: int = 0
    since_ms: int = 0

    def board_ms(self, stamped_ms: int) -> int:
        """The board's time of something stamped by the wall clock."""
        moved_ms = stamped_ms - self.ahead_ms
        slack_ms = min(_NOTICED_WITHIN_MS, abs(self.ahead_ms) // 2)
        return moved_ms if self.ahead_ms and moved_ms >= self.since_ms - slack_ms else stamped_ms

    def of_entry(self, entry: Entry | Skipped) -> Entry | Skipped:
        """A transcript's entry with its times told by the board's clock."""
        return retimed(entry, self.board_ms) if self.ahead_ms else entry

    def of_store(self, entry: StoreEntry) -> StoreEntry:
        """A store entry likewise."""
        if not self.ahead_ms:
            return entry
        started_ms, ended_ms = entry.started_at_ms, entry.ended_at_ms
        return replace(
            entry,
            started_at_ms=None if started_ms is None else self.board_ms(started_ms),
            ended_at_ms=None if ended_ms is None else self.board_ms(ended_ms),
        )


NONE = Skew()
