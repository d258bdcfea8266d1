"""Boxes that an earlier run of the daemon left open, until their turns are found again."""

from collections.abc import Iterable, Mapping

from status_watcher.core.forest import SessionRef
from status_watcher.core.post import BoxRecord
from status_watcher.core.shown import parts_of
from status_watcher.model import BoxId, EntryId


class LostBoxes:
    """Looked for by the ids of their boxes; given up after a while."""

    def __init__(self) -> None:
        self._records: dict[BoxId, BoxRecord] = {}
        self._until_ms = 0
        self._turns: dict[SessionRef, frozenset[EntryId]] = {}

    @property
    def turns(self) -> Mapping[SessionRef, frozenset[EntryId]]:
        """The turns that had a box when this run began, whether their boxes are still lost or not."""
        return self._turns

    def add(self, records: Iterable[BoxRecord], until_ms: int) -> None:
        """Remember what is lost; nobody looks for a box whose name this version did not make."""
        self._until_ms = until_ms
        for record in records:
            if (parts := parts_of(record.box_id)) is not None:
                ref, turn_id = parts
                self._records[record.box_id] = record
                self._turns[ref] = self._turns.get(ref, frozenset()) | {turn_id}

    def __bool__(self) -> bool:
        return bool(self._records)

    def __contains__(self, box_id: BoxId) -> bool:
        return box_id in self._records

    def find(self, box_id: BoxId) -> BoxRecord:
        """The box is lost no more."""
        return self._records.pop(box_id)

    def made_ms(self, box_id: BoxId) -> int:
        return self._records[box_id].intent_at_ms

    def give_up(self, ref: SessionRef, now_ms: int) -> list[tuple[EntryId, BoxRecord]]:
        """The boxes of a session that nobody has found in time."""
        if now_ms < self._until_ms:
            return []
        given_up: list[tuple[EntryId, BoxRecord]] = []
        for box_id in list(self._records):
            parts = parts_of(box_id)
            if parts is not None and parts[0] == ref:
                given_up.append((parts[1], self._records.pop(box_id)))
        return given_up
