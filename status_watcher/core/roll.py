"""Which sessions are known, and how the newest turn of each stands, whether it has a box or not."""

from collections.abc import Iterator

from status_watcher.core.boxes import Boxes
from status_watcher.core.forest import Forest, SessionRef
from status_watcher.core.policy import Level, SessionKind
from status_watcher.core.shown import Shown, box_id_of
from status_watcher.core.snapshot import (
    Snapshot,
    Whose,
    agent_of_child,
    below,
    public_in,
    standing_of_box,
    standing_of_child,
    standing_of_unboxed,
)
from status_watcher.core.tree import ChildView, TurnView
from status_watcher.core.unboxed import Unboxed, UnboxedTurns
from status_watcher.core.whereabouts import Whereabouts
from status_watcher.model import AgentId, BoxId, SessionKey, Target


class Roll:
    """Looks only when it is asked: sessions to which nothing happens cost nothing."""

    def __init__(
        self, forest: Forest, boxes: Boxes, unboxed: UnboxedTurns, where: Whereabouts, run_started_ms: int
    ) -> None:
        self._forest = forest
        self._boxes = boxes
        self._unboxed = unboxed
        self._where = where
        self._run_started_ms = run_started_ms
        self.stopping = False
        """Open turns are told as interrupted by us."""
        self._below: dict[BoxId, frozenset[BoxId]] = {}
        """The sub-agents in the open turns of which was told."""

    def snapshots(self, now_ms: int, most_ended: int) -> list[Snapshot]:
        """The newest turn of each session: the open ones, those that began last first, then the last that
        ended.
        """
        found: dict[SessionRef, Snapshot] = {}
        views: list[tuple[Snapshot, TurnView | None, Target | None]] = []
        for shown in [*self._boxes.newest(most_ended), *self._boxes.open_ones()]:
            snapshot = self._of_box(shown, now_ms)
            found.setdefault(shown.ref, snapshot)
            views.append((snapshot, shown.view, shown.target))
        for turn in [*self._unboxed.newest(), *self._unboxed.open_ones()]:
            snapshot = self._of_unboxed(turn, now_ms)
            before = found.get(turn.ref)
            if before is None or before.standing.start_ms < turn.start_ms:
                found[turn.ref] = snapshot
            views.append((snapshot, turn.view, None))
        rows = list(found.values())
        keys = {row.whose.key for row in rows}
        for above, view, target in sorted(views, key=lambda one: -one[0].standing.start_ms):
            for row in self._children(above, view, target, now_ms):
                if row.whose.key not in keys:
                    keys.add(row.whose.key)
                    rows.append(row)
        ended = sorted((row for row in rows if row.standing.ended), key=lambda row: row.standing.idle_ms)
        open_ones = sorted(
            (row for row in rows if not row.standing.ended), key=lambda row: -row.standing.start_ms
        )
        return open_ones + ended[:most_ended]

    def take_stirred(self, now_ms: int) -> list[tuple[BoxId, Snapshot | None]]:
        """How the turns stand that have come or changed since the last call; None for those that are gone."""
        told: dict[BoxId, Snapshot | None] = {}
        gone: set[BoxId] = set()
        for box_id in sorted(self._boxes.take_stirred()):
            shown = self._boxes.get(box_id)
            if shown is None:
                told[box_id] = None
                gone |= self._below.pop(box_id, frozenset())
            else:
                above = told[box_id] = self._of_box(shown, now_ms)
                gone |= self._tell_below(told, above, shown.view, shown.target, now_ms)
        for ref, turn_id in sorted(self._unboxed.take_stirred()):
            turn, box_id = self._unboxed.get(ref, turn_id), box_id_of(ref, turn_id)
            if turn is not None:
                above = told[box_id] = self._of_unboxed(turn, now_ms)
                gone |= self._tell_below(told, above, turn.view, None, now_ms)
            elif box_id not in self._boxes:
                told[box_id] = None
                gone |= self._below.pop(box_id, frozenset())
        # One that was told of below one turn may stand below another.
        gone -= told.keys() | {child for below in (self._below.values() if gone else ()) for child in below}
        return [*told.items(), *((child, None) for child in sorted(gone))]

    def _tell_below(
        self,
        told: dict[BoxId, Snapshot | None],
        above: Snapshot,
        view: TurnView | None,
        target: Target | None,
        now_ms: int,
    ) -> frozenset[BoxId]:
        """Add the sub-agents of a turn; returns those that stand in it no more."""
        children = {child.box_id: child for child in self._children(above, view, target, now_ms)}
        told |= children
        before = self._below.pop(above.box_id, frozenset())
        if children and not above.standing.ended:
            self._below[above.box_id] = frozenset(children)
        return before - children.keys()

    def _of_box(self, shown: Shown, now_ms: int) -> Snapshot:
        key = self._forest.key(shown.ref) or shown.key
        shown_in = public_in(key, shown.target)
        whose = Whose(shown.ref[0], key, shown.name, self._kind_of(shown.ref, key), shown_in)
        standing = standing_of_box(shown, now_ms, stopping=self.stopping)
        return Snapshot(shown.box_id, whose, standing, shown.box_id, boxed=True)

    def _of_unboxed(self, turn: Unboxed, now_ms: int) -> Snapshot:
        key = self._forest.key(turn.ref) or turn.key
        told_in = public_in(key, self._where.conversation_of(turn.ref))
        name, kind = self._where.name_of(turn.ref), self._kind_of(turn.ref, key)
        return Snapshot(
            turn.box_id,
            Whose(turn.ref[0], key, name, kind, told_in),
            standing_of_unboxed(turn, now_ms, stopping=self.stopping),
            turn.box_id,
            boxed=False,
            unremembered=turn.start_ms <= self._run_started_ms,
        )

    def _children(
        self, above: Snapshot, view: TurnView | None, target: Target | None, now_ms: int
    ) -> Iterator[Snapshot]:
        """The sub-agents in a turn that have no box of their own, each as private as the turn.

        `target` is where the turn has its box.
        """
        if view is None:
            return
        for call_id, child, over in below(view):
            if self._has_own_box(child, above.whose.agent):
                continue
            hidden = target is not None and self._where.level_below(target, child.key) is Level.OFF
            whose = Whose(
                agent_of_child(child, above.whose.agent),
                child.key,
                child.label,
                SessionKind.SUBAGENT,
                above.whose.public_in,
            )
            yield Snapshot(
                BoxId(f"{child.key}/{call_id}"),
                whose,
                standing_of_child(child, over, now_ms, view.turn.ahead_ms, stopping=self.stopping),
                None if hidden else above.shown_in,
                boxed=above.boxed and not hidden,
                unremembered=child.start_ms <= self._run_started_ms,
            )

    def _has_own_box(self, child: ChildView, agent: AgentId) -> bool:
        """It got one before its parent was known."""
        session = self._forest.session_of(agent, child.key) if child.turns else None
        if session is None:
            return False
        ref = (session.agent, session.id)
        return any(box_id_of(ref, view.turn.id) in self._boxes for view in child.turns)

    def _kind_of(self, ref: SessionRef, key: SessionKey | None) -> SessionKind | None:
        return None if key is None else self._where.kind_of(ref)
