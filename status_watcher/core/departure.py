"""When a turn that no line ended was over, as far as anything tells."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from status_watcher.core.turn import Ending, Last, Turn

SEEN_ALIVE_MS: Final = 2_000
"""A transcript that goes so soon after it was first seen had perhaps gone long before."""


@dataclass(frozen=True, slots=True)
class Departure:
    """A transcript was put away, or is not there any more: it was heard of at `heard_ms`."""

    how: str
    stamped_ms: int
    """When, as the archive's name says; 0 if nothing does."""
    seen_ms: int
    """When it was seen to go; 0 if it may have gone long before."""
    heard_ms: int


def departure(how: str, stamped_ms: int, first_seen_ms: int, now_ms: int) -> Departure:
    """What is heard at `now_ms` of a transcript that was first seen at `first_seen_ms`, 0 if never."""
    alive = first_seen_ms and now_ms >= first_seen_ms + SEEN_ALIVE_MS
    return Departure(how, min(stamped_ms, now_ms), now_ms if alive else 0, now_ms)


def interrupted_ms(turn: Turn, at_ms: Iterable[int], idle_ms: int, longest_ms: int) -> int:
    """When an open turn was cut off, which had happened by each of the times `at_ms`; a time before its last
    line is none.

    Not before its last line, and not later than a box that was watched would have been closed for its age:
    nobody knows for how much of a night without a line it was at work.
    """
    last_ms = turn.run.last_ms
    over_ms = min((known_ms for known_ms in at_ms if known_ms >= last_ms), default=last_ms)
    return min(over_ms, given_up_ms(turn, idle_ms, longest_ms)) if longest_ms else over_ms


AtWork = Callable[[Turn, int], bool]
"""Whether others than its lines tell that a turn was still at work at a time."""


def not_told(_turn: Turn, _at_ms: int) -> bool:
    """Nobody tells."""
    return False


def given_up(
    turn: Turn, now_ms: int, idle_ms: int, longest_ms: int, at_work: AtWork
) -> tuple[Ending, int] | None:
    """How and when a turn without a final line or an open call was closed by quiet or age before `now_ms`."""
    run = turn.run
    if run.open_calls:
        return None  # the next line tells: a result, or a model that was started again
    if run.last is Last.TEXT and now_ms >= run.last_ms + idle_ms and not at_work(turn, now_ms):
        return Ending.DONE, run.last_ms
    # Sub-agents keep a turn from being quiet, and what they write is not known here.
    if not longest_ms or turn.spawned:
        return None
    timeout_ms = given_up_ms(turn, idle_ms, longest_ms)
    return (Ending.TIMEOUT, timeout_ms) if now_ms >= timeout_ms else None


def given_up_ms(turn: Turn, idle_ms: int, longest_ms: int) -> int:
    """When it is closed for its age, if no further line comes."""
    return max(turn.start_ms + longest_ms, turn.run.last_ms + idle_ms)
