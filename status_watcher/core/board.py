"""The board: which turns have a box, where, and saying what.

Synchronous and without I/O or clock: news and the time go in, changes to boxes come out of `take_changes`,
and `render` says what a box should say now. Publishing happens elsewhere.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from status_watcher.core.boxes import Boxes
from status_watcher.core.drawing import Drawing
from status_watcher.core.elsewhere import ApprovalRow, Elsewhere
from status_watcher.core.forest import Forest, SessionRef
from status_watcher.core.gateway import GatewayStop, gateway_note
from status_watcher.core.labels import Labels
from status_watcher.core.lost import LostBoxes
from status_watcher.core.naming import LinkHost, Names
from status_watcher.core.outbox import Changes
from status_watcher.core.over import OverTurns
from status_watcher.core.pen import Pen
from status_watcher.core.policy import NO_RULES, Policy
from status_watcher.core.post import BoxRecord
from status_watcher.core.render import Limits
from status_watcher.core.session import Session
from status_watcher.core.shown import FIRST_TURN, Shown, box_id_of, parts_of
from status_watcher.core.skew import NONE, Skew
from status_watcher.core.snapshot import Snapshot, snapshot_of
from status_watcher.core.tree import TurnView, Views
from status_watcher.core.turn import Turn
from status_watcher.core.untold import judge_untold, runs_untold
from status_watcher.core.verdict import Rules, Verdict
from status_watcher.core.wakes import Wakes
from status_watcher.core.whereabouts import Ground, Place, Whereabouts, undecided_until_ms
from status_watcher.core.worth import deserves_box, ended_before_us, is_noise, next_tick_ms, worth_of
from status_watcher.model import AgentId, Box, BoxId, ChannelId, EntryId, SessionKey, State, Urgency
from status_watcher.source import IndexSeen, News

__all__ = ["FIRST_TURN", "Board", "BoardCounts", "BoardSettings", "Changes", "box_id_of", "parts_of"]

LOST_AFTER_MS = 15_000
"""How long a box of an earlier run waits for its turn to be found before it is closed without it."""


@dataclass(frozen=True, slots=True)
class BoardSettings:
    """What of the configuration decides which boxes there are and how large."""

    rules: Rules
    limits: Limits
    default_channel: ChannelId | None
    most_open: int
    policy: Policy = NO_RULES
    link_hosts: tuple[LinkHost, ...] = ()


@dataclass(frozen=True, slots=True)
class BoardCounts:
    active: int
    tracked: int
    waiting: int


class Board:
    """All boxes of all agents. One per daemon; its owner calls it from one thread."""

    def __init__(self, settings: BoardSettings, labels: Labels, pen: Pen) -> None:
        self._settings = settings
        self._rules = settings.rules
        ground = Ground(settings.default_channel, settings.policy, settings.link_hosts)
        self._drawing = Drawing(settings.limits, pen, ground)
        self._forest = Forest(settings.rules, labels)
        self._elsewhere = Elsewhere()
        self._names = Names()
        self._views = Views(self._forest, settings.rules, self._elsewhere, self._names.label)
        self._where = Whereabouts(self._forest, ground, self._names, pen)
        self._boxes = Boxes(settings.most_open)
        self._lost = LostBoxes()
        self._over = OverTurns(self._forest)
        self._dirty: set[SessionRef] = set()
        self._wakes = Wakes()
        self._stopping = False
        self._gateway_stop: GatewayStop | None = None
        self.broken_looks = 0
        """Times that nothing could be concluded of a session."""
        self._broken: dict[SessionRef, str] = {}

    # What goes in

    def restore(self, boxes: Iterable[BoxRecord], now_ms: int) -> list[SessionRef]:
        """Boxes that the last run left; returns the sessions that a source must read for them."""
        until_ms = now_ms + LOST_AFTER_MS
        self._lost.add(boxes, until_ms)
        for ref in self._lost.turns:
            self._wakes.ask(ref, until_ms)
        return list(self._lost.turns)

    def take(self, news: News, now_ms: int, skew: Skew = NONE) -> None:
        """Take one piece of news, stamped by a clock so far off; `advance` draws the conclusions."""
        if isinstance(news, IndexSeen):
            self._elsewhere.note_starts(news, skew)
        self._dirty |= self._forest.take(news, now_ms, known_turns=self._lost.turns, skew=skew)

    def advance(self, now_ms: int) -> None:
        """Look again at whatever news or time has touched."""
        self._dirty |= self._wakes.due(now_ms)
        if not self._dirty:
            return
        looked_at = self._dirty | {self._forest.root_of(ref) for ref in self._dirty}
        self._dirty = set()
        for ref in looked_at:
            self._try(self._close_by_store, ref, now_ms)
        for ref in sorted(looked_at, key=lambda r: (self._forest.first_seen_ms(r), r)):
            if not self._forest.is_being_read(ref):
                self._try(self._look_at, ref, now_ms)
        self._boxes.let_in()
        for shown in self._boxes.forget_surplus():
            if shown.view is not None and self._forest.session(shown.ref) is not None:
                self._over.add(shown.ref, shown.view)

    def stop(self, now_ms: int) -> None:
        """The daemon is being stopped: every open box is to say so, without being ended."""
        self._stopping = True
        self._boxes.touch_open(now_ms)

    def hear_of_gateway(self, stop: GatewayStop | None, now_ms: int) -> None:
        """The gateway stops, or has started (None): open boxes are to say so, or no more, and stay open."""
        self._gateway_stop = stop
        self._boxes.touch_open(now_ms)

    def hear_of_approvals(self, rows: Collection[ApprovalRow], skew: Skew = NONE) -> None:
        """All approvals that wait for a person now; `advance` draws the conclusions."""
        for key in self._elsewhere.hear_of_approvals(rows, skew):
            session = self._forest.session_of(AgentId(""), key)
            if session is not None:
                self._dirty.add((session.agent, session.id))

    def name_agents(self, names: Mapping[AgentId, str], now_ms: int) -> None:
        """The agents' configured names, which their open boxes bear from now on."""
        self._names.agents = names
        for shown in self._boxes.open_ones():
            shown.name = self._where.name_of(shown.ref)
        self._boxes.touch_open(now_ms)

    def name_sessions(self, labels: Mapping[SessionKey, str]) -> None:
        """What a dispatcher calls its sessions; open boxes say so with the next `advance`."""
        changed = self._names.change_sessions(labels)
        self._dirty |= {box.ref for box in self._boxes.open_ones() if self._where.renames(box, changed)}

    # What comes out

    def take_changes(self) -> Changes:
        return self._boxes.take_changes()

    def next_wake_ms(self) -> int | None:
        """When `advance` is to be called though nothing happens."""
        return self._wakes.next_ms()

    def limit_chars(self, max_chars: int) -> None:
        """The server takes less than was thought: no text is longer than this from now on."""
        self._drawing.limit_chars(max_chars)

    def render(self, box_id: BoxId) -> Box | None:
        """What the box should say now; None if there is no such box."""
        shown = self._boxes.get(box_id)
        if shown is None:
            return None
        override = State.INTERRUPTED if self._stopping and not shown.ended else None
        note = "" if override or shown.ended else gateway_note(self._gateway_stop, shown.start_ms)
        text = self._drawing.text_of(shown, override, note)
        return Box(shown.target, text, shown.ended, max(0, shown.as_of_ms - shown.start_ms))

    def take_broken(self) -> Mapping[SessionRef, str]:
        """The sessions of which nothing could be concluded since the last call, and the name of the error."""
        broken, self._broken = self._broken, {}
        return broken

    def take_stirred(self, now_ms: int) -> list[tuple[BoxId, Snapshot | None]]:
        """How the boxes stand that have come or changed since the last call; None for those that are gone."""
        stirred = [(box_id, self._boxes.get(box_id)) for box_id in self._boxes.take_stirred()]
        return [(box_id, self._snapshot(shown, now_ms) if shown else None) for box_id, shown in stirred]

    def snapshots(self, now_ms: int, most_ended: int) -> list[Snapshot]:
        """How the newest turn of each session with a box stands: the open ones, then the last that ended."""
        return [self._snapshot(shown, now_ms) for shown in self._boxes.newest(most_ended)]

    def _snapshot(self, shown: Shown, now_ms: int) -> Snapshot:
        return snapshot_of(shown, self._forest.key(shown.ref), now_ms, stopping=self._stopping)

    def counts(self) -> BoardCounts:
        return BoardCounts(self._boxes.open, len(self._forest), self._boxes.waiting)

    def skipped_lines(self) -> Mapping[str, int]:
        return self._forest.skipped_lines()

    # Conclusions

    def _try(self, conclude: Callable[[SessionRef, int], None], ref: SessionRef, now_ms: int) -> None:
        try:
            conclude(ref, now_ms)
        except Exception as error:  # noqa: BLE001 - the border of one session: others go on, the relay says it
            self.broken_looks += 1
            self._broken[ref] = type(error).__name__

    def _close_by_store(self, ref: SessionRef, now_ms: int) -> None:
        self._wakes.ask(ref, self._forest.close_by_store(ref, now_ms))

    def _look_at(self, ref: SessionRef, now_ms: int) -> None:
        session = self._forest.session(ref)
        if session is None or not session.turns:
            self._look_at_untold(ref, now_ms)
        else:
            self._look_at_turns(ref, session, now_ms)
        if self._lost:
            self._give_up_lost(ref, now_ms)
        if (session is None or session.gone) and self._forest.is_out_of_store(ref):
            self._forget(self._forest.root_of(ref))

    def _forget(self, ref: SessionRef) -> None:
        """Drop what is known of a session that is nowhere any more, once nothing of it is open."""
        session = self._forest.session(ref)
        turns = session.turns if session is not None else ()
        if not any(self._boxes.is_open(ref, turn.id) for turn in turns):
            self._forest.forget(ref)
            self._over.forget(ref)

    def _look_at_turns(self, ref: SessionRef, session: Session, now_ms: int) -> None:
        below, key = self._forest.is_shown_below(ref), self._forest.key(ref)
        if box_id_of(ref, FIRST_TURN) not in self._boxes:
            self._lost.notice_first(ref, session.turns)
        for turn in session.turns:
            box_id, over = box_id_of(ref, turn.id), False
            if not (box_id in self._boxes or box_id in self._lost or self._is_firsts(ref, session, turn)):
                over = self._over.has(ref, turn)
                idle = over and not self._lost.has_ended(box_id)
                if below or self._forest.is_past(ref, turn.id) or idle:
                    continue
            elif below and not self._boxes.has_place(box_id) and box_id in self._boxes:
                self._boxes.withdraw(box_id)  # it has found its parent before there was a post
                continue
            boxed = box_id in self._lost or self._boxes.is_open(ref, turn.id)
            view = self._views.of(session, turn, now_ms, key, boxed=boxed)
            if box_id not in self._boxes:
                self._lost.notice(box_id, view)
            if over and box_id not in self._lost:
                continue
            self._wakes.ask(ref, self._show(ref, turn, view, now_ms))
        if not below:
            session.forget_turns_except(
                {turn.id for turn in session.turns if self._boxes.is_open(ref, turn.id)}
            )
            self._over.keep_only(ref, {turn.id for turn in session.turns})

    def _show(self, ref: SessionRef, turn: Turn, view: TurnView, now_ms: int) -> int | None:
        """Bring the box of a turn up to date, or make one if it deserves one; returns when to look again."""
        verdict = view.verdict
        noise = is_noise(view, heartbeats=self._forest.is_for_heartbeats(ref))
        shown = self._claim(ref, turn, now_ms)
        # Made because the turn took its time, before anybody could know: an empty box says nothing to anyone.
        if shown is not None and noise and (shown.began_untold or verdict.ended_ms is not None):
            self._boxes.withdraw(shown.box_id)
            return verdict.recheck_ms
        if shown is None:
            if not deserves_box(view, now_ms + turn.ahead_ms, self._rules, noise=noise):
                if ended_before_us(view, self._rules):
                    self._over.add(ref, view)
                quick_ms = None if noise else turn.start_ms - turn.ahead_ms + self._rules.quick_ms
                return _earliest(now_ms, verdict.recheck_ms, quick_ms)
            undecided_ms = max(undecided_until_ms(self._forest, ref), self._forest.doubted_until_ms(ref))
            if now_ms < undecided_ms:
                return _earliest(now_ms, verdict.recheck_ms, undecided_ms)
            place = self._where.place_of(ref, turn.thread_root)
            if place is None:
                return verdict.recheck_ms
            shown = self._add(ref, turn.id, place, turn.start_ms, now_ms)
        signature, shown.view = shown.signature_of(view), view
        if shown.signature != signature:
            urgency, shown.tidings = worth_of(shown.tidings, view)
            shown.signature, shown.as_of_ms = signature, now_ms
            self._boxes.set_ended(shown, ended=verdict.ended_ms is not None)
            self._boxes.touch(shown, urgency)
        elif not shown.ended and now_ms >= next_tick_ms(shown.start_ms, shown.as_of_ms):
            shown.as_of_ms = now_ms
            self._boxes.touch(shown, Urgency.TICK)
        if shown.ended:
            return verdict.recheck_ms
        return _earliest(now_ms, verdict.recheck_ms, next_tick_ms(shown.start_ms, shown.as_of_ms))

    # Boxes that were there before their turn was

    def _claim(self, ref: SessionRef, turn: Turn, now_ms: int) -> Shown | None:
        """The box that is this turn's already: on the board, made before its transcript was there, or found
        again.
        """
        box_id, first = box_id_of(ref, turn.id), box_id_of(ref, FIRST_TURN)
        if box_id in self._lost:
            return self._add(ref, turn.id, self._found(ref, box_id), turn.start_ms, now_ms)
        if box_id in self._boxes:
            return self._boxes[box_id]
        session = self._forest.session(ref)
        if session is None or not self._is_firsts(ref, session, turn):
            return None
        if first in self._lost:
            shown = self._add(ref, turn.id, self._found(ref, first), turn.start_ms, now_ms, began_untold=True)
        else:
            shown = self._boxes[first]
            self._boxes.name_for_turn(shown, turn.id, turn.start_ms)
        self._boxes.renamed(first, box_id)
        return shown

    def _is_firsts(self, ref: SessionRef, session: Session, turn: Turn) -> bool:
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

    def _look_at_untold(self, ref: SessionRef, now_ms: int) -> None:
        """A session of which only the store tells: its first turn runs, or ended without a line."""
        entry, box_id = self._forest.own_entry(ref), box_id_of(ref, FIRST_TURN)
        shown = self._boxes.get(box_id)
        word_since_ms = self._forest.word_since_ms(ref, now_ms)
        start_ms = (entry.started_at_ms if entry is not None else None) or word_since_ms
        if shown is None and entry is not None and box_id in self._lost:
            made_ms = self._lost.made_ms(box_id)
            shown = self._add(ref, FIRST_TURN, self._found(ref, box_id), start_ms, now_ms, made_ms=made_ms)
        if shown is None:
            if self._forest.has_parent(ref) or not runs_untold(entry, start_ms, self._rules):
                return
            ready_ms = word_since_ms + self._rules.quick_ms
            place = self._where.place_of(ref)
            if now_ms < ready_ms or place is None or self._forest.is_for_heartbeats(ref):
                self._wakes.ask(ref, _earliest(now_ms, ready_ms))
                return
            shown = self._add(ref, FIRST_TURN, place, start_ms, now_ms)
        if not shown.ended:
            verdict = judge_untold(
                entry,
                start_ms=shown.start_ms,
                word_since_ms=word_since_ms,
                out_of_store=self._forest.is_out_of_store(ref),
                now_ms=now_ms,
                rules=self._rules,
            )
            self._wakes.ask(ref, self._show_untold(shown, verdict, now_ms))

    def _show_untold(self, shown: Shown, verdict: Verdict, now_ms: int) -> int | None:
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
        return _earliest(now_ms, verdict.recheck_ms, next_tick_ms(shown.start_ms, shown.as_of_ms))

    def _give_up_lost(self, ref: SessionRef, now_ms: int) -> None:
        """A box of an earlier run whose turn was not found anywhere is closed without it."""
        for turn_id, known in self._lost.give_up(ref, now_ms):
            shown = self._add(ref, turn_id, self._where.place_again(ref, known.target), now_ms, now_ms)
            shown.bare_state, shown.bare_elapsed_ms = State.INTERRUPTED, None
            self._boxes.set_ended(shown, ended=True)

    def _add(
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
        name, at = self._where.name_of(ref), place.target
        shown = self._boxes.add(
            ref, turn_id, at, name, start_ms, now_ms, made_ms=made_ms, began_untold=began_untold
        )
        shown.level, shown.link = place.level, self._where.link_of(ref)
        return shown

    def _found(self, ref: SessionRef, box_id: BoxId) -> Place:
        """Where an earlier run has made that box, which is lost no more."""
        known = self._lost.find(box_id)
        return self._where.place_again(ref, known.target)


def _earliest(now_ms: int, *times: int | None) -> int | None:
    """The first of the times that is still to come."""
    return min((t for t in times if t is not None and t > now_ms), default=None)
