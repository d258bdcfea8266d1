"""Whether a create has been seen before: the server's memory of `pending_post_id`s."""

import time
from collections.abc import Callable
from enum import Enum

Clock = Callable[[], float]


class InFlight(Enum):
    """The first create with that id has not answered yet."""

    IN_FLIGHT = "in flight"


class PendingPosts:
    """`pending_post_id` → post id for `window_s` after the create ended; not kept per user (9.9)."""

    def __init__(self, window_s: float, clock: Clock = time.monotonic) -> None:
        self._window_s = window_s
        self._clock = clock
        self._in_flight: set[str] = set()
        self._made: dict[str, tuple[str, float]] = {}

    def seen(self, pending_post_id: str) -> str | InFlight | None:
        """The id of the post that an earlier create made, or None: this one is the first."""
        if pending_post_id in self._in_flight:
            return InFlight.IN_FLIGHT
        made = self._made.get(pending_post_id)
        return made[0] if made and self._clock() - made[1] < self._window_s else None

    def begin(self, pending_post_id: str) -> None:
        self._in_flight.add(pending_post_id)

    def settle(self, pending_post_id: str, post_id: str | None) -> None:
        """Ends what `begin` began; a create that made no post leaves its id free."""
        self._in_flight.discard(pending_post_id)
        now = self._clock()
        self._made = {key: made for key, made in self._made.items() if now - made[1] < self._window_s}
        if post_id is not None:
            self._made[pending_post_id] = (post_id, now)
