"""The board: which turns have a box, where, and saying what.

Synchronous and without I/O or clock: news and the time go in, changes to boxes come out of `take_changes`,
and `render` says what a box should say now. Publishing happens elsewhere.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from status_watcher.core.boxes import Boxes
from status_watcher.core.claims import Claims
from status_watcher.core.drawing import Drawing
from status_watcher.core.elsewhere import ApprovalRow, Elsewhere
from status_watcher.core.first_turns import FirstTurns
from status_watcher.core.forest import Forest, SessionRef
from status_watcher.core.gateway import Gateway, GatewayStop
from status_watcher.core.labels import Labels
from status_watcher.core.lost import LostBoxes
from status_watcher.core.naming import LinkHost, Names
from status_watcher.core.outbox import Changes
from status_watcher.core.over import OverTurns
from status_watcher.core.pen import Pen
from status_watcher.core.policy import NO_RULES, Policy
from status_watcher.core.post import BoxRecord
from status_watcher.core.render import Limits
from status_watcher.core.roll import Roll
from status_watcher.core.session import Session
from status_watcher.core.shown import FIRST_TURN, box_id_of, parts_of
from status_watcher.core.skew import NONE, Skew
from status_watcher.core.snapshot import Snapshot
from status_watcher.core.tree import TurnView, Views
from status_watcher.core.turn import Turn
from status_watcher.core.unboxed import Unboxed, UnboxedTurns
from status_watcher.core.verdict import Rules
from status_watcher.core.wakes import Wakes, earliest
from status_watcher.core.whereabouts import Ground, Whereabouts, undecided_until_ms
from status_watcher.core.worth import deserves_box, ended_before_us, is_noise, next_tick_ms, worth_of
from status_watcher.model import AgentId, Box, BoxId, ChannelId, Making, SessionKey, State, Urgency
from status_watcher.source import IndexSeen, News

__all__ = ["FIRST_TURN", "Board", "BoardCounts", "BoardSettings", "Changes", "box_id_of", "parts_of"]


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
        self._unboxed = UnboxedTurns()
        self._lost = LostBoxes()
        self._claims = Claims(self._forest, self._boxes, self._lost, self._where)
        self._first_turns = FirstTurns(
            self._forest, self._boxes, self._unboxed, self._claims, self._where, settings.rules
        )
        self._roll = Roll(
            self._forest, self._boxes, self._unboxed, self._where, settings.rules.run_started_ms
        )
        self._over = OverTurns(self._forest)
        self._dirty: set[SessionRef] = set()
        self._wakes = Wakes()
        self._stopping = False
        self._gateway = Gateway()
        self.broken_looks = 0
        """Times that nothing could be concluded of a session."""
        self._broken: dict[SessionRef, str] = {}

    def keep_while(self, is_owed: Callable[[BoxId], bool]) -> None:
        """Never forget an ended box of which this is true: the server has not been given its newest text."""
        self._boxes.is_owed = is_owed

    # What goes in

    def restore(self, boxes: Iterable[BoxRecord], now_ms: int) -> list[SessionRef]:
        """Boxes that the last run left; returns the sessions that a source must read for them."""
        self._lost.add(boxes, now_ms)
        for ref in self._lost.turns:
            self._wakes.ask(ref, self._lost.until_ms(ref))
        return list(self._lost.turns)

    def take(self, news: News, now_ms: int, skew: Skew = NONE) -> None:
        """Take one piece of news, stamped by a clock so far off; `advance` draws the conclusions."""
        for ref, until_ms in self._lost.hear_from(news.agent, now_ms):
            self._wakes.ask(ref, until_ms)
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
        self._stopping = self._roll.stopping = True
        self._boxes.touch_open(now_ms)
        self._unboxed.touch_open()

    def hear_of_gateway(self, stop: GatewayStop | None, now_ms: int) -> None:
        """The gateway stops, or has started (None): open boxes are to say so, or no more, and stay open."""
        self._gateway.hear(stop)
        self._boxes.touch_open(now_ms)

    def hear_of_hidden(self, box_id: BoxId, *, hidden: bool) -> None:
        """Nobody can see the box, as its channel refuses the post or a person has deleted it; or people can
        again. Another that waits is let in.
        """
        self._boxes.set_hidden(box_id, hidden=hidden)

    def hear_of_approvals(self, rows: Collection[ApprovalRow], skew: Skew = NONE) -> None:
        """All approvals that wait for a person now; `advance` draws the conclusions."""
        self._look_again(self._elsewhere.hear_of_approvals(rows, skew))

    def hear_of_compactions(self, begun: Mapping[SessionKey, int], now_ms: int, skew: Skew = NONE) -> None:
        """All sessions that are being compacted now, and since when; `advance` draws the conclusions."""
        self._look_again(self._elsewhere.hear_of_compactions(begun, now_ms, skew))

    def _look_again(self, keys: Iterable[SessionKey]) -> None:
        for key in keys:
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
            return self._stopped_box(box_id)
        override = State.INTERRUPTED if self._stopping and not shown.ended else None
        note = "" if override or shown.ended else self._gateway.note(shown.start_ms, shown.view)
        text = self._drawing.text_of(shown, override, note)
        age_ms = max(0, shown.as_of_ms - shown.start_ms)
        if shown.given_up and shown.view is None:
            closing = self._drawing.closing_of(shown.level)
            return Box(shown.target, text, shown.ended, age_ms, Making.NEVER, closing)
        return Box(shown.target, text, shown.ended, age_ms)

    def _stopped_box(self, box_id: BoxId) -> Box | None:
        """One of an earlier run that has not been found by the time we stop: its post says that we stop."""
        target, parts = self._lost.target_of(box_id), parts_of(box_id)
        if not self._stopping or target is None or parts is None:
            return None
        closing = self._drawing.closing_of(self._where.place_again(parts[0], target).level)
        return Box(target, f"[{closing.state}]", False, making=Making.NEVER, closing=closing)

    def take_broken(self) -> Mapping[SessionRef, str]:
        """The sessions of which nothing could be concluded since the last call, and the name of the error."""
        broken, self._broken = self._broken, {}
        return broken

    def take_stirred(self, now_ms: int) -> list[tuple[BoxId, Snapshot | None]]:
        """How the turns stand that have come or changed since the last call, whether they have a box or not;
        None for those that are gone.
        """
        return self._roll.take_stirred(now_ms)

    def snapshots(self, now_ms: int, most_ended: int) -> list[Snapshot]:
        """How the newest turn of each session stands: the open ones, then the last that ended."""
        return self._roll.snapshots(now_ms, most_ended)

    def unread_problems(self, now_ms: int) -> tuple[str, ...]:
        """What `/health` says of boxes of an earlier run whose agents cannot be read."""
        return self._lost.unread(now_ms)

    def problems(self, now_ms: int) -> tuple[str, ...]:
        """What `/health` says of boxes that wait for their agents, and of the gateway."""
        of_gateway = self._gateway.problem([(s.start_ms, s.view) for s in self._boxes.open_ones()], now_ms)
        return (*self.unread_problems(now_ms), *of_gateway)

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
            self._wakes.ask(ref, self._first_turns.look_at(ref, now_ms))
        else:
            self._look_at_turns(ref, session, now_ms)
        if self._lost:
            self._claims.give_up_lost(ref, now_ms)
        if (session is None or session.gone) and self._forest.is_out_of_store(ref):
            root = self._forest.root_of(ref)
            self._forget(root)
            if root != ref and not self._forest.is_held(ref):
                self._forget(ref)

    def _forget(self, ref: SessionRef) -> None:
        """Drop what is known of a session that is nowhere any more, once nothing of it is open."""
        session = self._forest.session(ref)
        turns = session.turns if session is not None else ()
        if not any(self._boxes.is_open(ref, turn.id) for turn in turns):
            for one in {ref} | self._forest.forget(ref):
                self._over.forget(one)
                self._unboxed.keep_only(one, ())

    def _look_at_turns(self, ref: SessionRef, session: Session, now_ms: int) -> None:
        self._gateway.saw(session.turns[-1])
        below, key = self._forest.is_shown_below(ref), self._forest.key(ref)
        if box_id_of(ref, FIRST_TURN) not in self._boxes:
            self._lost.notice_first(ref, session.turns)
            self._unboxed.name_first(ref, session.turns[-1].id)
        for turn in session.turns:
            box_id, over = box_id_of(ref, turn.id), False
            if not (
                box_id in self._boxes or box_id in self._lost or self._claims.is_firsts(ref, session, turn)
            ):
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
            if session.forget_turns_except({t.id for t in session.turns if self._matters(ref, t, now_ms)}):
                for child in self._forest.dropped_children(ref):
                    self._forget(child)
            self._over.keep_only(ref, {turn.id for turn in session.turns})
        if ref in self._unboxed:
            present = {t.id for t in session.turns if not (below or self._forest.is_past(ref, t.id))}
            self._unboxed.keep_only(ref, present)

    def _matters(self, ref: SessionRef, turn: Turn, now_ms: int) -> bool:
        """Whether a turn before the last has an open box, or may yet get one: also when it is over, until the
        store has told where it belongs.
        """
        if self._boxes.is_open(ref, turn.id) or self._unboxed.is_open(ref, turn.id):
            return True
        known = self._unboxed.get(ref, turn.id)
        unplaced = self._forest.key(ref) is None or now_ms < undecided_until_ms(self._forest, ref)
        return (
            unplaced
            and known is not None
            and known.view is not None
            and deserves_box(known.view, now_ms, self._rules, noise=False)
        )

    def _show(self, ref: SessionRef, turn: Turn, view: TurnView, now_ms: int) -> int | None:
        """Bring the box of a turn up to date, or make one if it deserves one; returns when to look again."""
        verdict = view.verdict
        noise = is_noise(view, heartbeats=self._forest.is_for_heartbeats(ref))
        shown = self._claims.box_of(ref, turn, now_ms)
        # Made because the turn took its time, before anybody could know: an empty box says nothing to anyone.
        if shown is not None and noise and (shown.began_untold or verdict.ended_ms is not None):
            self._boxes.withdraw(shown.box_id)
            return verdict.recheck_ms
        if shown is None:
            ready_ms = self._ready_ms(ref, turn, view, now_ms, noise=noise)
            place = self._where.place_of(ref, turn.thread_root) if ready_ms == 0 else None
            if place is None:
                self._note_unboxed(ref, turn, view, noise=noise, told=ready_ms == 0)
                return earliest(now_ms, verdict.recheck_ms, ready_ms)
            self._unboxed.drop(ref, turn.id)
            shown = self._claims.make(ref, turn.id, place, turn.start_ms, now_ms)
        shown.key = self._forest.key(ref) or shown.key
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
        return earliest(now_ms, verdict.recheck_ms, next_tick_ms(shown.start_ms, shown.as_of_ms))

    def _ready_ms(
        self, ref: SessionRef, turn: Turn, view: TurnView, now_ms: int, *, noise: bool
    ) -> int | None:
        """When time alone may make a box of the turn; 0 for now, None for never."""
        session = self._forest.session(ref)
        overtaken = session is not None and session.turns[-1] is not turn
        here_ms = now_ms + turn.ahead_ms
        if not deserves_box(view, here_ms, self._rules, noise=noise, overtaken=overtaken):
            if ended_before_us(view, self._rules):
                self._over.add(ref, view)
            return None if noise else turn.start_ms - turn.ahead_ms + self._rules.quick_ms
        undecided_ms = max(undecided_until_ms(self._forest, ref), self._forest.doubted_until_ms(ref))
        return undecided_ms if now_ms < undecided_ms else 0

    def _note_unboxed(self, ref: SessionRef, turn: Turn, view: TurnView, *, noise: bool, told: bool) -> None:
        """Noise is listed while it goes on: what hangs in it is stuck as well."""
        if noise and view.verdict.ended_ms is not None:
            self._unboxed.drop(ref, turn.id)
            return
        key = self._forest.key(ref)
        self._unboxed.note(Unboxed(ref, turn.id, key, turn.start_ms, view.verdict, view, told=told))
