"""Whether file events arrive, judged by what sweeps find that no event had announced."""

from typing import Final

_MANY_MISSES: Final = 3
_MISSES_WITHIN_S: Final = 600.0
_PASSED_AFTER_S: Final = 60.0


class MissedEvents:
    """Looked at after each sweep, with the counts since the start; times are of one monotonic clock."""

    def __init__(self, now_s: float) -> None:
        self.missing = False
        """Events do not arrive: sweeps are to come more often."""
        self._finds = 0
        self._events = 0
        self._judged_s = now_s

    def judge(self, *, finds: int, events: int, polling: bool, now_s: float) -> None:
        """Polling finds things by its nature; only where events are expected do finds mean that they fail.

        When they come again and miss nothing for a while, that has passed.
        """
        window_s = _PASSED_AFTER_S if self.missing else _MISSES_WITHIN_S
        missed, heard = finds - self._finds, events - self._events
        if polling or now_s - self._judged_s >= window_s:
            self.missing = self.missing and (missed > 0 or heard == 0)
        elif missed >= _MANY_MISSES and not self.missing:
            self.missing = True
        else:
            return
        self._finds, self._events, self._judged_s = finds, events, now_s
