"""What the publisher has not been told yet."""

from collections.abc import Callable
from dataclasses import dataclass

from status_watcher.model import BoxId


@dataclass(frozen=True, slots=True)
class Changes:
    """What the publisher has to know, in this order."""

    renamed: tuple[tuple[BoxId, BoxId], ...]
    withdrawn: tuple[BoxId, ...]
    touched: tuple[tuple[BoxId, bool], ...]
    """With whether the box has ended: those go first."""


class Outbox:
    """Collects changes between two calls of `take`."""

    def __init__(self) -> None:
        self._renamed: list[tuple[BoxId, BoxId]] = []
        self._withdrawn: list[BoxId] = []
        self._touched: dict[BoxId, None] = {}

    def __contains__(self, box_id: BoxId) -> bool:
        """Whether the box's text is still to be told."""
        return box_id in self._touched

    def touch(self, box_id: BoxId) -> None:
        self._touched[box_id] = None

    def rename(self, old: BoxId, new: BoxId) -> None:
        self._renamed.append((old, new))
        if old in self._touched:
            del self._touched[old]
            self._touched[new] = None

    def withdraw(self, box_id: BoxId) -> None:
        self._touched.pop(box_id, None)
        self._withdrawn.append(box_id)

    def take(self, has_ended: Callable[[BoxId], bool]) -> Changes:
        """Everything since the last call."""
        touched = tuple((box_id, has_ended(box_id)) for box_id in self._touched)
        changes = Changes(tuple(self._renamed), tuple(self._withdrawn), touched)
        self._renamed.clear()
        self._withdrawn.clear()
        self._touched.clear()
        return changes
