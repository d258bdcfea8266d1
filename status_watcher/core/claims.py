"""Which box is a turn's: one made before its transcript was there, one of an earlier run, or a new one."""

from status_watcher.core.boxes import Boxes
from status_watcher.core.forest import Forest, SessionRef
from status_watcher.core.lost import LostBoxes
from status_watcher.core.session import Session
from status_watcher.core.shown import FIRST_TURN, Shown, box_id_of
from status_watcher.core.turn import Turn
from status_watcher.core.whereabouts import Place, Whereabouts
from status_watcher.model import BoxId, EntryId, State


class Claims:
    """Finds the box of a turn among those that are on the board or lost, and makes new ones."""

    def __init__(self, forest: Forest, boxes: Boxes, lost: LostBoxes, where: Whereabouts) -> None:
        self._forest = forest
        self._boxes = boxes
        self._lost = lost
        self._where = where

    def box_of(self, ref: SessionRef, turn: Turn, now_ms: int) -> Shown | None:
        """The box that is this turn's already; None if it has none."""
        box_id, first = box_id_of(ref, turn.id), box_id_of(ref, FIRST_TURN)
        if box_id in self._lost:
            return self.make(ref, turn.id, self._found(ref, box_id), turn.start_ms, now_ms)
        if box_id in self._boxes:
            return self._boxes[box_id]
        session = self._forest.session(ref)
        if session is None or not self.is_firsts(ref, session, turn):
            return None
        if first in self._lost:
            shown = self.make(ref, turn.id, self._found(ref, first), turn.start_ms, now_ms, began_untold=True)
        else:
            shown = self._boxes[first]
            self._boxes.name_for_turn(shown, turn.id, turn.start_ms)
        self._boxes.renamed(first, box_id)
        return shown

    def first_box_of(self, ref: SessionRef, start_ms: int, now_ms: int, *, told: bool) -> Shown | None:
        """The box of a session without a transcript; a lost one is its only if the store tells of it."""
        box_id = box_id_of(ref, FIRST_TURN)
        shown = self._boxes.get(box_id)
        if shown is None and told and box_id in self._lost:
            made_ms = self._lost.made_ms(box_id)
            shown = self.make(ref, FIRST_TURN, self._found(ref, box_id), start_ms, now_ms, made_ms=made_ms)
        return shown

    def is_firsts(self, ref: SessionRef, session: Session, turn: Turn) -> bool:
        """Whether this is the turn for which a box was made when only the store told of it: the last begun by
        then.
        """
        first = box_id_of(ref, FIRST_TURN)
        if first in self._lost:
            made_ms = self._lost.made_ms(first)
        elif first in self._boxes:
            made_ms = self._boxes[first].made_ms
        else:
            return False
        begun = [t for t in session.turns if t.start_ms <= made_ms] or session.turns[:1]
        return begun[-1] is turn

    def give_up_lost(self, ref: SessionRef, now_ms: int) -> None:
        """A box of an earlier run whose turn was not found anywhere is closed with what its post says."""
        for turn_id, known in self._lost.give_up(ref, now_ms):
            shown = self.make(ref, turn_id, self._where.place_again(ref, known.target), now_ms, now_ms)
            shown.bare_state, shown.bare_elapsed_ms = State.INTERRUPTED, None
            shown.given_up = True
            self._boxes.set_ended(shown, ended=True)

    def make(
        self,
        ref: SessionRef,
        turn_id: EntryId,
        place: Place,
        start_ms: int,
        now_ms: int,
        *,
        made_ms: int | None = None,
        began_untold: bool = False,
    ) -> Shown:
        """A new box in that place; `made_ms` is when an earlier run made it."""
        name, at = self._where.name_of(ref), place.target
        shown = self._boxes.add(
            ref, turn_id, at, name, start_ms, now_ms, made_ms=made_ms, began_untold=began_untold
        )
        shown.key = self._forest.key(ref)
        shown.level, shown.link = place.level, self._where.link_of(ref)
        return shown

    def _found(self, ref: SessionRef, box_id: BoxId) -> Place:
        """Where an earlier run has made that box, which is lost no more."""
        known = self._lost.find(box_id)
        return self._where.place_again(ref, known.target)
