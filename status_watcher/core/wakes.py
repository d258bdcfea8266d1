"""When each session is to be looked at again though nothing happens."""

import heapq

from status_watcher.core.forest import SessionRef


class Wakes:
    """One time per session, the earliest that was asked for."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, SessionRef]] = []
        self._at_ms: dict[SessionRef, int] = {}

    def ask(self, ref: SessionRef, at_ms: int | None) -> None:
        """Ask for a look at `at_ms`; None asks for nothing."""
        if at_ms is not None and at_ms < self._at_ms.get(ref, at_ms + 1):
            self._at_ms[ref] = at_ms
            heapq.heappush(self._heap, (at_ms, ref))

    def due(self, now_ms: int) -> set[SessionRef]:
        """The sessions whose time has come; they have to ask anew."""
        due: set[SessionRef] = set()
        while self._heap and self._heap[0][0] <= now_ms:
            at_ms, ref = heapq.heappop(self._heap)
            if self._at_ms.get(ref) == at_ms:
                del self._at_ms[ref]
                due.add(ref)
        return due

    def next_ms(self) -> int | None:
        """When there is something due next."""
        return self._heap[0][0] if self._heap else None


def earliest(now_ms: int, *times: int | None) -> int | None:
    """The first of the times that is still to come."""
    return min((t for t in times if t is not None and t > now_ms), default=None)
