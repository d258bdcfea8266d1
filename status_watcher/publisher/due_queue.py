"""Which delivery is next: among those that are due, the one whose order is the lowest."""

import heapq
import itertools
from dataclasses import dataclass

from status_watcher.publisher.delivery import Delivery, Order


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a delivery stands in the queue; an entry of a heap that is not its present place is void."""

    due_s: float
    order: Order


class DueQueue:
    """Each delivery is in it at most once; all operations are O(log n), and no time passes by itself."""

    def __init__(self) -> None:
        self._places: dict[Delivery, _Place] = {}
        self._later: list[tuple[float, int, Delivery, _Place]] = []
        self._ready: list[tuple[Order, int, Delivery, _Place]] = []
        self._order = itertools.count()

    def __len__(self) -> int:
        return len(self._places)

    def put(self, delivery: Delivery, due_s: float) -> None:
        """Queues it, or moves it to this time; its order is what it is now."""
        place = _Place(due_s, delivery.order)
        if self._places.get(delivery) == place:
            return
        self._places[delivery] = place
        heapq.heappush(self._later, (due_s, next(self._order), delivery, place))
        if len(self._later) > self._most_entries():
            self._later = [entry for entry in self._later if self._places.get(entry[2]) is entry[3]]
            heapq.heapify(self._later)

    def remove(self, delivery: Delivery) -> None:
        self._places.pop(delivery, None)

    def pop(self, now_s: float) -> Delivery | None:
        """The next one that is due, taken out."""
        delivery = self.head(now_s)
        if delivery is not None:
            del self._places[delivery]
        return delivery

    def head(self, now_s: float) -> Delivery | None:
        """The next one that is due; it stays."""
        self._promote(now_s)
        self._drop_void()
        return self._ready[0][2] if self._ready else None

    def next_later_s(self) -> float | None:
        """When something more will be due than was at the last look; None if nothing will."""
        self._drop_void()
        return self._later[0][0] if self._later else None

    def _promote(self, now_s: float) -> None:
        while self._later and self._later[0][0] <= now_s:
            _, number, delivery, place = heapq.heappop(self._later)
            if self._places.get(delivery) is place:
                heapq.heappush(self._ready, (place.order, number, delivery, place))
        if len(self._ready) > self._most_entries():
            # As in an outage: nothing is taken out, and every tick moves what waits behind the head.
            self._ready = [entry for entry in self._ready if self._places.get(entry[2]) is entry[3]]
            heapq.heapify(self._ready)

    def _drop_void(self) -> None:
        while self._ready and self._places.get(self._ready[0][2]) is not self._ready[0][3]:
            heapq.heappop(self._ready)
        while self._later and self._places.get(self._later[0][2]) is not self._later[0][3]:
            heapq.heappop(self._later)

    def _most_entries(self) -> int:
        """Of a heap, before its void entries are dropped: in proportion to what is queued."""
        return 64 + 4 * len(self._places)
