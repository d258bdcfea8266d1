"""Boxes of an earlier run of the daemon, until their turns are found again."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from status_watcher.core.forest import SessionRef
from status_watcher.core.post import BoxRecord
from status_watcher.core.shown import FIRST_TURN, box_id_of, parts_of
from status_watcher.core.tree import TurnView
from status_watcher.core.turn import Turn
from status_watcher.model import BoxId, EntryId


class LostBoxes:
    """Looked for by the ids of their boxes; given up after a while.

    A box that had ended is none of them, and is not touched, unless its turn has gone on since: `notice`
    tells.
    """

    def __init__(self) -> None:
        self._records: dict[BoxId, BoxRecord] = {}
        self._ended: dict[BoxId, BoxRecord] = {}
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
                (self._ended if record.ended else self._records)[record.box_id] = record
                self._turns[ref] = self._turns.get(ref, frozenset()) | {turn_id}

    def __bool__(self) -> bool:
        return bool(self._records or self._ended)

    def __contains__(self, box_id: BoxId) -> bool:
        return box_id in self._records

    def has_ended(self, box_id: BoxId) -> bool:
        """The box had ended, and nothing is known to have happened to its turn since."""
        return box_id in self._ended

    def notice(self, box_id: BoxId, view: TurnView) -> None:
        """The turn of a box stands like this: if that is news to a box that had ended, it is lost as well."""
        record = self._ended.get(box_id)
        if record is not None and (record.text_sha256 is None or _newest_ms(view) > record.kept_at_ms):
            self._records[box_id] = self._ended.pop(box_id)

    def notice_first(self, ref: SessionRef, turns: Sequence[Turn]) -> None:
        """A box that ended before there was a transcript is that of a turn which had begun by then."""
        box_id = box_id_of(ref, FIRST_TURN)
        record = self._ended.get(box_id)
        if record is not None and turns[0].start_ms <= record.kept_at_ms:
            self._records[box_id] = self._ended.pop(box_id)

    def find(self, box_id: BoxId) -> BoxRecord:
        """The box is lost no more."""
        return self._records.pop(box_id)

    def made_ms(self, box_id: BoxId) -> int:
        return self._records[box_id].intent_at_ms

    def give_up(self, ref: SessionRef, now_ms: int) -> list[tuple[EntryId, BoxRecord]]:
        """The open boxes of a session that nobody has found in time; ended ones are left as they are."""
        if now_ms < self._until_ms:
            return []
        given_up: list[tuple[EntryId, BoxRecord]] = []
        for turn_id in self._turns.get(ref, ()):
            box_id = box_id_of(ref, turn_id)
            self._ended.pop(box_id, None)
            if box_id in self._records:
                given_up.append((turn_id, self._records.pop(box_id)))
        return given_up


def _newest_ms(view: TurnView) -> int:
    """When the last thing happened that a box of this view could show."""
    return max(_times_ms(view), default=0)


def _times_ms(view: TurnView) -> Iterator[int]:
    for run in view.runs:
        yield max(run.last_ms, run.ending_ms)
    for child in view.children.values():
        for below in child.turns:
            yield from _times_ms(below)
