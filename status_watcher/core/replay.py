"""The newest events, for listeners who were away for a while."""

from collections import deque
from dataclasses import dataclass
from typing import Final

from status_watcher.core.event_wire import Told

MOST_KEPT: Final = 1_000


@dataclass(frozen=True, slots=True)
class Missed:
    """What a listener has missed, oldest first; `gap`: and more that nobody remembers."""

    events: tuple[Told, ...]
    gap: bool


class Replay:
    """Keeps the last events of this run."""

    def __init__(self, run: str, most: int = MOST_KEPT) -> None:
        self.run = run
        self._kept: deque[Told] = deque(maxlen=most)
        self._last = 0

    def keep(self, told: Told) -> None:
        self._kept.append(told)
        self._last = told.number

    def missed_since(self, last_id: str) -> Missed:
        """What came after the event of that id; all that is kept where it is of another run, or is none."""
        run, _, number = last_id.rpartition("-")
        # Digits alone, and few: `int` takes "1_0" and is slow for very many.
        known = run == self.run and number.isascii() and number.isdigit() and len(number) < 16
        seen = int(number) if known else 0
        if not known or seen > self._last:
            return Missed(tuple(self._kept), gap=True)
        events = tuple(told for told in self._kept if told.number > seen)
        return Missed(events, gap=len(events) < self._last - seen)
