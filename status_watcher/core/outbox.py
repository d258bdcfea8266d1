"""What the publisher has not been told yet."""

from dataclasses import dataclass

from status_watcher.model import BoxId, Urgency


@dataclass(frozen=True, slots=True)
class Changes:
    """What the publisher has to know, in this order."""

    renamed: tuple[tuple[BoxId, BoxId], ...]
    withdrawn: tuple[BoxId, ...]
    touched: tuple[tuple[BoxId, Urgency], ...]
    """With what the change is worth."""


class Outbox:
    """Collects changes between two calls of `take`."""

    def __init__(self) -> None:
        self._renamed: list[tuple[BoxId, BoxId]] = []
        self._withdrawn: list[BoxId] = []
        self._touched: dict[BoxId, Urgency] = {}

    def __contains__(self, box_id: BoxId) -> bool:
        """Whether the box's text is still to be told."""
        return box_id in self._touched

    def touch(self, box_id: BoxId, urgency: Urgency) -> None:
        self._touched[box_id] = max(urgency, self._touched.get(box_id, urgency))

    def rename(self, old: BoxId, new: BoxId) -> None:
        self._renamed.append((old, new))
        if old in self._touched:
            self.touch(new, self._touched.pop(old))

    def withdraw(self, box_id: BoxId) -> None:
        self._touched.pop(box_id, None)
        self._withdrawn.append(box_id)

    def take(self) -> Changes:
        """Everything since the last call."""
        changes = Changes(tuple(self._renamed), tuple(self._withdrawn), tuple(self._touched.items()))
        self._renamed.clear()
        self._withdrawn.clear()
        self._touched.clear()
        return changes
