"""A turn with its sub-agents below it, each with the verdict on it.

Everything here follows from the folds, the store's entries and the time. The graph of sessions is hostile
input: unknown parents, cycles and great depth end in a bounded tree.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from status_watcher.core.doing import Asked
from status_watcher.core.elsewhere import Elsewhere
from status_watcher.core.index import StoreEntry, StoreStatus
from status_watcher.core.session import Session
from status_watcher.core.states import Thinking
from status_watcher.core.text import seen
from status_watcher.core.turn import Announced, Call, Ending, Run, Turn
from status_watcher.core.verdict import Rules, Verdict, judge, state_of, store_ended_ms, store_ending
from status_watcher.model import AgentId, SessionId, SessionKey, State, ToolCallId

__all__ = ["ChildView", "Forest", "Rules", "TurnView", "Verdict", "Views"]

DEEPEST = 8
"""Levels of sub-agents that are shown; OpenClaw's own limit is 5."""

MOST_REMEMBERED = 1_000

SPAWN_SLACK_MS = 2_000
"""A child's first line may carry a time slightly before its parent's result line."""

TRACE_WAIT_MS = 5_000
"""How long after our start a sub-agent of before may still turn up: two looks at the store are that far
apart."""


@dataclass(frozen=True, slots=True)
class ChildView:
    """A sub-agent below the call that started it."""

    key: SessionKey
    label: str
    turns: tuple["TurnView", ...]
    verdict: Verdict
    start_ms: int
    traced: bool = True
    """False: it was started before this run of the daemon, and neither store nor transcript tells of it."""
    outcome_known: bool = True
    """False: nor has its parent told how it fared."""


@dataclass(frozen=True, slots=True)
class TurnView:
    """A turn with the runs that belong to it and its sub-agents, by the id of the call that started them."""

    turn: Turn
    runs: tuple[Run, ...]
    children: Mapping[ToolCallId, ChildView]
    verdict: Verdict
    seen_ms: int
    """The newest line of the whole tree."""
    tokens: int
    asked: Mapping[ToolCallId, Asked]
    """Calls for which a person is being asked, if they are open."""
    revision: int
    """Sum over the tree: equal revisions and verdicts render alike but for time."""


class Forest(Protocol):
    """What the tree asks about other sessions of the same agent installation."""

    def entry(self, agent: AgentId, key: SessionKey) -> StoreEntry | None: ...

    def session_of(self, agent: AgentId, key: SessionKey) -> Session | None: ...

    def has_index(self, agent: AgentId) -> bool: ...


@dataclass(slots=True)
class _Walk:
    """One view in the making."""

    agent: AgentId
    now_ms: int
    boxed: bool
    """The turn at the top has an open box, which is worth waiting for."""
    shown: set[SessionKey] = field(default_factory=set)
    """Keys that stand in it already: nobody stands in it twice."""


_Stamp = tuple[object, ...]


class Views:
    """Views of turns as trees.

    A sub-agent that has none of its own, and to which nothing has happened since, is not looked at again;
    that is all that is remembered.
    """

    def __init__(
        self,
        forest: Forest,
        rules: Rules,
        elsewhere: Elsewhere | None = None,
        label_of: Callable[[SessionKey], str] = lambda _: "",
    ) -> None:
        """`label_of`: what others call a sub-agent for which the store has no label; "" if nothing."""
        self._label_of = label_of
        self._forest = forest
        self._rules = rules
        self._elsewhere = elsewhere or Elsewhere()
        self._children: dict[SessionKey, tuple[Call, _Stamp, ChildView]] = {}

    def of(
        self, session: Session, turn: Turn, now_ms: int, key: SessionKey | None, *, boxed: bool = False
    ) -> TurnView:
        """The turn as it stands at `now_ms`, as the top of its tree; `key` is the session's.

        `boxed`: it has a box that is open. One that has none yet is not kept open for sub-agents of which
        there is no trace.
        """
        walk = _Walk(session.agent, now_ms, boxed)
        if key is not None:
            walk.shown.add(key)
        return self._turn(session, turn, key, walk, depth=0)

    def _turn(
        self, session: Session, turn: Turn, key: SessionKey | None, walk: _Walk, depth: int
    ) -> TurnView:
        children: dict[ToolCallId, ChildView] = {}
        runs: list[Run] = []
        for run in turn.runs:
            if runs and not (run.has_calls or _answers(run, children, self._rules)):
                continue
            runs.append(run)
            for call in run.spawned:
                child = self._child(turn, call, walk, depth + 1)
                if child is not None:
                    children[call.id] = child
        entry = self._forest.entry(session.agent, key) if key is not None else None
        store_runs = (
            entry is not None and entry.session_id == session.id and entry.status is StoreStatus.RUNNING
        )
        outside = self._elsewhere.of(key, turn.run, store_runs=store_runs)
        views = [view for child in children.values() for view in child.turns]
        seen_ms = max([turn.seen_ms, *(view.seen_ms for view in views)])
        verdict = judge(
            turn,
            runs,
            [_for_parent(child, walk) for child in children.values()],
            self._rules,
            walk.now_ms,
            seen_ms,
            outside=outside,
            deadline=depth == 0,  # a sub-agent has no time of its own: it is part of the turn at the top
        )
        return TurnView(
            turn=turn,
            runs=tuple(runs),
            children=children,
            verdict=verdict,
            seen_ms=seen_ms,
            tokens=sum(run.tokens for run in runs) + sum(view.tokens for view in views),
            asked=outside.approvals,
            revision=turn.revision
            + sum(view.revision for view in views)
            + len(children)
            + self._elsewhere.revision(key),
        )

    def _child(self, parent: Turn, call: Call, walk: _Walk, depth: int) -> ChildView | None:
        key = call.child
        if key is None or key in walk.shown or depth > DEEPEST:
            return None
        walk.shown.add(key)
        entry = self._forest.entry(walk.agent, key)
        session = self._forest.session_of(walk.agent, key)
        revision = session.revision if session is not None else -1
        ending = (parent.run.ending, parent.run.ending_ms)
        told = (len(parent.announced), len(parent.runs), self._elsewhere.revision(key))
        label = _label(call, key, entry, self._label_of)
        stamp: _Stamp = (session, revision, entry, walk.boxed, label, *told, *ending)
        known = self._children.get(key)
        if known is not None and known[0] is call and known[1] == stamp:
            recheck_ms = known[2].verdict.recheck_ms
            if recheck_ms is None or walk.now_ms < recheck_ms:
                return known[2]
        child = self._look_at_child(parent, call, key, label, entry, session, walk, depth)
        if session is None or not session.children:
            if len(self._children) >= MOST_REMEMBERED:
                self._children.clear()
            self._children[key] = (call, stamp, child)
        return child

    def _look_at_child(
        self,
        parent: Turn,
        call: Call,
        key: SessionKey,
        label: str,
        entry: StoreEntry | None,
        session: Session | None,
        walk: _Walk,
        depth: int,
    ) -> ChildView:
        views: list[TurnView] = []
        for turn in session.turns if session is not None else ():
            if session is None or turn.start_ms < call.at_ms - SPAWN_SLACK_MS:
                continue
            if views and not _still_below(turn, views[-1], parent, self._rules):
                break
            views.append(self._turn(session, turn, key, walk, depth))
        session_id = session.id if session is not None else entry.session_id if entry is not None else None
        unseen = self._starting(call, walk)
        verdict = _child_verdict(views, _told(parent, key, label, session_id), entry, unseen)
        start_ms = views[0].turn.start_ms if views else call.at_ms
        traceless = session is None and entry is None and verdict.ended_ms is None
        if not traceless or call.at_ms >= self._rules.run_started_ms:
            return ChildView(key, label, tuple(views), verdict, start_ms)
        answered_ms = _answered_at_ms(parent, call)
        if answered_ms is not None:
            verdict = Verdict(State.DONE, answered_ms, None, answered_ms)
            return ChildView(key, label, (), verdict, start_ms, traced=False)
        verdict = self._untraced(call, walk)
        return ChildView(key, label, (), verdict, start_ms, traced=False, outcome_known=False)

    def _starting(self, call: Call, walk: _Walk) -> Verdict:
        """A sub-agent without a line: its first call of the model is under way."""
        stalls_ms = self._rules.patience.model_stalls_ms(Run(call.at_ms, call.at_ms), call.at_ms)
        doing = Thinking(call.at_ms)
        if stalls_ms is None or walk.now_ms < stalls_ms:
            return Verdict(State.ACTIVE, None, stalls_ms, doing=doing)
        return Verdict(State.STALLED, None, doing=doing)

    def _untraced(self, call: Call, walk: _Walk) -> Verdict:
        """A sub-agent of before this run that no store names: it has ended, at an unknown time, as soon as
        the store has been looked at twice. How it ended is not known; that it failed nobody has seen.
        """
        known_ms = self._rules.run_started_ms + TRACE_WAIT_MS
        if walk.boxed and (walk.now_ms < known_ms or not self._forest.has_index(walk.agent)):
            again_ms = known_ms if walk.now_ms < known_ms else walk.now_ms + TRACE_WAIT_MS
            return Verdict(State.ACTIVE, None, again_ms)
        return Verdict(State.DONE, call.at_ms, None, known_ms)


def _label(
    call: Call, key: SessionKey, entry: StoreEntry | None, label_of: Callable[[SessionKey], str]
) -> str:
    """The store's label, which the call that started it tells as well; else another's, else a short id."""
    stored = entry.label if entry is not None else ""
    short_id = str(key).rpartition(":")[2][:8]
    labels = map(seen, (stored, call.child_label, label_of(key), short_id))
    return next((label for label in labels if label), "sub-agent")


def _for_parent(child: ChildView, walk: _Walk) -> Verdict:
    """The verdict on a child as its parent's turn counts it: the answer to one without a trace is waited for
    only where a box is open.
    """
    if child.outcome_known or walk.boxed:
        return child.verdict
    return replace(child.verdict, known_ms=0)


def _answered_at_ms(parent: Turn, call: Call) -> int | None:
    """When the parent was at the latest told of the end of the child that this call started.

    It answers each end by a run of its own, if it was not told of several at once: only as many answers as
    there are children tell that all of them have ended.
    """
    spawned, answers = parent.spawned, parent.runs[1:]
    if len(answers) < len(spawned):
        return None
    at_ms = answers[spawned.index(call)].model_start_ms
    return at_ms if at_ms >= call.at_ms else None


def _answers(run: Run, children: Mapping[ToolCallId, ChildView], rules: Rules) -> bool:
    """Whether a later run without a tool call came in time to be the answer to a sub-agent's end.

    In time by the lines' own times, or, where the end was known later, by ours.
    """
    ended_ms = known_ms = 0
    for child in children.values():
        if child.verdict.ended_ms is None:
            return True
        ended_ms = max(ended_ms, child.verdict.ended_ms)
        known_ms = max(known_ms, child.verdict.known_ms)
    if not children:
        return True
    return run.start_ms <= ended_ms + rules.answer_wait_ms or run.seen_ms <= known_ms + rules.answer_wait_ms


def _still_below(turn: Turn, before: TurnView, parent: Turn, rules: Rules) -> bool:
    """Whether a further turn of a child began before the parent's turn can have ended, which it does not
    reopen.
    """
    if before.verdict.ended_ms is None or parent.run.ending is None:
        return True
    return turn.start_ms <= max(parent.run.ending_ms, before.verdict.ended_ms) + rules.answer_wait_ms


def _told(parent: Turn, key: SessionKey, label: str, session_id: SessionId | None) -> Announced | None:
    """What the parent was told last of this child, by the surest name that both sides know."""
    for told in reversed(parent.announced):
        report = told.report
        if report.key is not None:
            same = report.key == key
        elif report.session_id is not None and session_id is not None:
            same = report.session_id == session_id
        else:
            same = report.label == label
        if same:
            return told
    return None


def _child_verdict(
    views: list[TurnView], told: Announced | None, entry: StoreEntry | None, unseen: Verdict
) -> Verdict:
    """A child's end: by its own turns, else by the parent being told so, else by the store.

    A child that ran out of its time writes an aborted line like one stopped by a person (2026.2.26): the
    announcement's or the store's word tells them apart.
    """
    if not views:
        if told is not None:
            return Verdict(_told_state(told, failing=False), told.at_ms, None, told.at_ms)
        no_run = Run(0, 0)
        ending = store_ending(no_run, entry) if entry is not None else None
        ended_ms = store_ended_ms(no_run, entry) if entry is not None else None
        if ending is not None and ended_ms is not None:
            return Verdict(state_of(ending), ended_ms, None, ended_ms)
        return unseen
    last = views[-1]
    open_views = [view for view in views if view.verdict.ended_ms is None]
    if not open_views:
        timed_out = (told is not None and told.report.outcome == "timeout") or (
            entry is not None and entry.status is StoreStatus.TIMEOUT
        )
        state = last.verdict.state
        if state is State.ABORTED and timed_out:
            state = State.TIMEOUT
        ended_ms = max(view.verdict.ended_ms or 0 for view in views)
        return Verdict(state, ended_ms, None, max(view.verdict.known_ms for view in views))
    # What a child itself has started goes on although the child has reported (2026.3.31).
    below = any(c.verdict.ended_ms is None for view in open_views for c in view.children.values())
    if told is not None and not below and told.at_ms >= last.runs[-1].last_ms:
        failing = last.runs[-1].ending is Ending.ERROR
        return Verdict(_told_state(told, failing=failing), told.at_ms, None, told.at_ms)
    recheck = [view.verdict.recheck_ms for view in open_views if view.verdict.recheck_ms is not None]
    stands = open_views[-1].verdict
    return Verdict(stands.state, None, min(recheck, default=None), doing=stands.doing)


def _told_state(told: Announced, *, failing: bool) -> State:
    match told.report.outcome:
        case "timeout":
            return State.TIMEOUT
        case "failed":
            return State.ERROR
        case "done" | None:
            return State.ERROR if failing else State.DONE
