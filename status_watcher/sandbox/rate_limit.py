"""Whether a request is one too many: the generic cell rate algorithm, as 9.9 limits."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from status_watcher.sandbox.settings import RateLimit

# Sums of tenths of a second are not exact.
_SLACK_S = 1e-6


@dataclass(frozen=True, slots=True)
class Verdict:
    """`retry_after_s` is 0 for a request that is let in; all in whole seconds, rounded up."""

    limit: int
    remaining: int
    reset_s: int
    retry_after_s: int

    def headers(self) -> dict[str, str]:
        headers = {
            "X-Ratelimit-Limit": str(self.limit),
            "X-Ratelimit-Remaining": str(self.remaining),
            "X-Ratelimit-Reset": str(self.reset_s),
        }
        return headers | ({"Retry-After": str(self.retry_after_s)} if self.retry_after_s else {})


class RateLimiter:
    """One bucket per key, kept for the life of the server."""

    def __init__(self, settings: RateLimit, clock: Callable[[], float] = time.monotonic) -> None:
        self._interval_s = 1 / settings.per_s
        self._limit = settings.burst + 1
        self._clock = clock
        self._arrival_s: dict[str, float] = {}

    def admit(self, key: str) -> Verdict:
        """Counts a request of `key`, unless it is refused: that one costs nothing."""
        now = self._clock()
        tolerance_s = self._interval_s * self._limit
        arrival_s = max(now, self._arrival_s.get(key, now)) + self._interval_s
        early_s = arrival_s - tolerance_s - now
        if early_s > _SLACK_S:
            used_s = arrival_s - self._interval_s - now
            return Verdict(self._limit, 0, math.ceil(used_s), max(1, math.ceil(early_s)))
        self._arrival_s[key] = arrival_s
        remaining = math.floor((tolerance_s - (arrival_s - now) + _SLACK_S) / self._interval_s)
        return Verdict(self._limit, remaining, math.ceil(arrival_s - now), 0)
