"""How publishing is doing: counters, problems, and the snapshot for `/health`."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import structlog

from status_watcher.core.health import Circuit

PROBLEM_LASTS_S: Final = 3_600.0
MAX_PROBLEMS_SHOWN: Final = 20

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class PublisherHealth:
    """A snapshot, without I/O."""

    last_ok_s: float | None
    """Seconds since the server last did what we asked."""
    circuit: Circuit
    token_refused: bool
    pending: int
    """Boxes whose newest text the server has not acknowledged."""
    oldest_pending_s: float
    pause_s: float
    """Seconds left of the pause that a 429 asked for."""
    problems: tuple[str, ...]
    counters: Mapping[str, int]


class Problems:
    """What an operator should know, one line for each thing that is wrong, however many boxes it meets.

    Logged when it appears; gone when it is known to be over, or an hour after it was last seen.
    """

    def __init__(self) -> None:
        self._seen: dict[tuple[str, ...], float] = {}

    def note(self, place: str, what: str, now_s: float, **told: str) -> None:
        """`told` belongs to the place, and goes into the log and nowhere else."""
        key = (place, *told.values(), what)
        if key not in self._seen:
            log.warning("publishing_problem", problem=f"{place}: {what}", **told)
        self._seen.pop(key, None)  # so that the newest is last
        self._seen[key] = now_s

    def over(self, place: str, doing: str, **told: str) -> None:
        """What was wrong at that place is wrong no more, as far as it begins with `doing`."""
        if not self._seen:
            return
        where = (place, *told.values())
        for key in [key for key in self._seen if key[:-1] == where and key[-1].startswith(doing)]:
            del self._seen[key]
            log.info("publishing_problem_over", problem=f"{place}: {key[-1]}", **told)

    def lines(self, now_s: float) -> tuple[str, ...]:
        self._seen = {key: at for key, at in self._seen.items() if now_s - at < PROBLEM_LASTS_S}
        lines = dict.fromkeys(f"{place}: {rest[-1]}" for place, *rest in reversed(self._seen))
        return tuple(lines)[:MAX_PROBLEMS_SHOWN][::-1]


class Counts:
    """Counts since the start; the main ones exist from the beginning, so that a zero is one."""

    NAMES: Final = (
        "creates",
        "edits",
        "deletes",
        "adopted",
        "coalesced",
        "edits_saved",
        "edits_held_back",
        "bytes_written",
        "bytes_saved",
        "unchanged",
        "shortened",
        "renewed",
        "out_of_thread",
        "sent_ok",
        "sent_rate_limited",
        "sent_token_refused",
        "sent_unavailable",
        "sent_gone",
        "sent_denied",
        "sent_rejected",
    )

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter(dict.fromkeys(self.NAMES, 0))

    def add(self, name: str, count: int = 1) -> None:
        self._counts[name] += count

    def all(self) -> Mapping[str, int]:
        return dict(self._counts)
