"""The box of a session of which only the store tells: its first turn runs, or ended without a line."""

from status_watcher.core.boxes import Boxes
from status_watcher.core.claims import Claims
from status_watcher.core.forest import Forest, SessionRef
from status_watcher.core.shown import FIRST_TURN, Shown
from status_watcher.core.unboxed import Unboxed, UnboxedTurns
from status_watcher.core.untold import judge_untold, runs_untold
from status_watcher.core.verdict import Rules, Verdict
from status_watcher.core.wakes import earliest
from status_watcher.core.whereabouts import Whereabouts
from status_watcher.core.worth import next_tick_ms
from status_watcher.model import State, Urgency


class FirstTurns:
    """Brings such boxes up to date, and makes those that have to be made."""

    def __init__(
        self,
        forest: Forest,
        boxes: Boxes,
        unboxed: UnboxedTurns,
        claims: Claims,
        where: Whereabouts,
        rules: Rules,
    ) -> None:
        self._forest = forest
        self._boxes = boxes
        self._unboxed = unboxed
        self._claims = claims
        self._where = where
        self._rules = rules

    def look_at(self, ref: SessionRef, now_ms: int) -> int | None:
        """Look at a session without a transcript; returns when to look again."""
        entry = self._forest.own_entry(ref)
        word_since_ms = self._forest.word_since_ms(ref, now_ms)
        start_ms = (entry.started_at_ms if entry is not None else None) or word_since_ms
        shown = self._claims.first_box_of(ref, start_ms, now_ms, told=entry is not None)
        if shown is None:
            known = self._unboxed.get(ref, FIRST_TURN)
            below = self._forest.has_parent(ref)
            if below or (known is None and not runs_untold(entry, start_ms, self._rules)):
                self._unboxed.drop(ref, FIRST_TURN)
                return None
            ready_ms = word_since_ms + self._rules.quick_ms
            heartbeats = self._forest.is_for_heartbeats(ref)
            if known is None and now_ms < ready_ms:
                return earliest(now_ms, ready_ms)
            place = None if heartbeats or (known is not None and known.ended) else self._where.place_of(ref)
            if place is None:
                start_ms = known.start_ms if known is not None else start_ms
                verdict = self._verdict(ref, start_ms, word_since_ms, now_ms)
                return self._note(ref, start_ms, verdict, now_ms, heartbeats=heartbeats)
            shown = self._claims.make(ref, FIRST_TURN, place, start_ms, now_ms)
            self._unboxed.drop(ref, FIRST_TURN)
        if shown.ended:
            return None
        return self._show(shown, self._verdict(ref, shown.start_ms, word_since_ms, now_ms), now_ms)

    def _verdict(self, ref: SessionRef, start_ms: int, word_since_ms: int, now_ms: int) -> Verdict:
        return judge_untold(
            self._forest.own_entry(ref),
            start_ms=start_ms,
            word_since_ms=word_since_ms,
            out_of_store=self._forest.is_out_of_store(ref),
            left_ms=self._forest.left_ms(ref),
            now_ms=now_ms,
            rules=self._rules,
        )

    def _note(
        self, ref: SessionRef, start_ms: int, verdict: Verdict, now_ms: int, *, heartbeats: bool
    ) -> int | None:
        """There is no place for a box of it."""
        if heartbeats and verdict.ended_ms is not None and verdict.state is not State.ERROR:
            self._unboxed.drop(ref, FIRST_TURN)
            return None
        key = self._forest.key(ref)
        self._unboxed.note(Unboxed(ref, FIRST_TURN, key, start_ms, verdict, None, told=not heartbeats))
        return None if verdict.ended_ms is not None else earliest(now_ms, verdict.recheck_ms)

    def _show(self, shown: Shown, verdict: Verdict, now_ms: int) -> int | None:
        ended, changed = verdict.ended_ms is not None, verdict.state is not shown.bare_state
        shown.bare_doing = verdict.doing
        if ended or changed or now_ms >= next_tick_ms(shown.start_ms, shown.as_of_ms):
            shown.as_of_ms = now_ms
            end_ms = now_ms if verdict.ended_ms is None else verdict.ended_ms
            shown.bare_state, shown.bare_elapsed_ms = verdict.state, max(0, end_ms - shown.start_ms)
            self._boxes.set_ended(shown, ended=ended)
            self._boxes.touch(shown, Urgency.STATE if changed else Urgency.TICK)
        if ended:
            return None
        return earliest(now_ms, verdict.recheck_ms, next_tick_ms(shown.start_ms, shown.as_of_ms))
