"""How a turn stands at one moment, for whoever is told of sessions elsewhere than in the chat."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from status_watcher.core.policy import SessionKind
from status_watcher.core.routing import Kind, agent_of, parse_key
from status_watcher.core.shown import Shown
from status_watcher.core.tree import ChildView, TurnView
from status_watcher.core.unboxed import Unboxed
from status_watcher.model import (
    AgentId,
    BoxId,
    ChannelId,
    ChannelTarget,
    SessionKey,
    State,
    Target,
    ToolCallId,
)

_PRIVATE: Final = frozenset({Kind.MAIN, Kind.DIRECT, Kind.GROUP})


@dataclass(frozen=True, slots=True)
class Whose:
    """What is known of a session besides how its turn stands."""

    agent: AgentId
    key: SessionKey | None
    """None while the store does not name the session."""
    name: str
    """The session's label or the agent's name: text of others, not redacted yet."""
    kind: SessionKind | None
    """None while the store does not name the session."""
    public_in: ChannelId | None
    """The channel that has to be public if everybody may know of the turn; None: it is private anyway."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a turn stands, in milliseconds."""

    state: State
    ended: bool
    start_ms: int
    age_ms: int
    """Since the turn began; of one that has ended, how long it took."""
    idle_ms: int
    """Since the newest line of the turn and its sub-agents; of one that has ended, since its end."""
    model: str = ""
    """That of the newest answer; "" before the first."""
    tokens: int = 0
    waits_for: int = 0
    """Open sub-agents for which alone the turn waits."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One turn of one session."""

    box_id: BoxId
    """That of its box, or what names it as surely."""
    whose: Whose
    standing: Standing
    shown_in: BoxId | None
    """The box that shows it, if there is one: its own, or that of the turn which has started it."""
    boxed: bool
    """There is one."""
    unremembered: bool = False
    """It began before this run of the daemon, and nothing tells whether an earlier run has told of it."""


def standing_of_box(shown: Shown, now_ms: int, *, stopping: bool) -> Standing:
    """The turn behind a box; `stopping`: open boxes say that we stop."""
    if shown.view is not None:
        return _stopped(_standing(shown.view, shown.start_ms, now_ms), stopping=stopping)
    age_ms = now_ms - shown.start_ms
    if shown.ended and shown.bare_elapsed_ms is not None:
        age_ms = shown.bare_elapsed_ms
    quiet_since_ms = shown.as_of_ms if shown.ended else shown.start_ms  # a tick is no news
    bare = Standing(
        shown.bare_state, shown.ended, shown.start_ms, max(0, age_ms), max(0, now_ms - quiet_since_ms)
    )
    return _stopped(bare, stopping=stopping)


def standing_of_unboxed(turn: Unboxed, now_ms: int, *, stopping: bool) -> Standing:
    """A turn without a box."""
    if turn.view is not None:
        return _stopped(_standing(turn.view, turn.start_ms, now_ms), stopping=stopping)
    ended_ms = turn.verdict.ended_ms
    until_ms = now_ms if ended_ms is None else ended_ms
    idle_ms = now_ms - (turn.start_ms if ended_ms is None else ended_ms)
    bare = Standing(
        turn.verdict.state,
        ended_ms is not None,
        turn.start_ms,
        max(0, until_ms - turn.start_ms),
        max(0, idle_ms),
    )
    return _stopped(bare, stopping=stopping)


def below(
    view: TurnView, over: tuple[State, int] | None = None
) -> Iterator[tuple[ToolCallId, ChildView, tuple[State, int] | None]]:
    """All sub-agents below a turn of which there is a trace, by the calls that have started them.

    With each comes the state and the end of the turn at the top, if that has ended: everything below has
    ended with it.
    """
    if over is None and view.verdict.ended_ms is not None:
        over = view.verdict.state, view.verdict.ended_ms
    for call_id, child in view.children.items():
        if child.traced:
            yield call_id, child, over
        for turn in child.turns:
            yield from below(turn, over)


def standing_of_child(
    child: ChildView, over: tuple[State, int] | None, now_ms: int, ahead_ms: int, *, stopping: bool
) -> Standing:
    """A sub-agent; `over`: how and when the turn at the top ended, `ahead_ms`: as of the turn above."""
    state, ended_ms = child.verdict.state, child.verdict.ended_ms
    if ended_ms is None and over is not None:
        state, ended_ms = over
    seen_ms = max((view.seen_ms for view in child.turns), default=child.start_ms)
    ahead_ms = child.turns[-1].turn.ahead_ms if child.turns else ahead_ms
    model = next((found for view in reversed(child.turns) if (found := _model(view))), "")
    tokens = sum(view.tokens for view in child.turns)
    waits_for = 0
    if ended_ms is None and child.turns:
        open_views = [view for view in child.turns if view.verdict.ended_ms is None]
        counts = [_waits_for(view, now_ms) for view in open_views]
        waits_for = sum(counts) if all(counts) else 0
    standing = _timed(state, ended_ms, child.start_ms, seen_ms, ahead_ms, now_ms, model, tokens, waits_for)
    return _stopped(standing, stopping=stopping)


def public_in(key: SessionKey | None, target: Target | None) -> ChannelId | None:
    """The channel that has to be public if everybody may know of a turn of that session in that place.

    2026.2 calls a private channel `channel` too, so the key alone does not tell. A direct message is private,
    and what `main` holds may be one, wherever its box stands; so is a session that the store does not name,
    and one without a place.
    """
    if key is None or parse_key(key).kind in _PRIVATE or not isinstance(target, ChannelTarget):
        return None
    return target.channel_id


def agent_of_child(child: ChildView, above: AgentId) -> AgentId:
    """The agent that its key names, else that of the turn at the top."""
    return agent_of(child.key) or above


def _standing(view: TurnView, start_ms: int, now_ms: int) -> Standing:
    verdict = view.verdict
    waits_for = _waits_for(view, now_ms) if verdict.ended_ms is None else 0
    return _timed(
        verdict.state,
        verdict.ended_ms,
        start_ms,
        view.seen_ms,
        view.turn.ahead_ms,
        now_ms,
        _model(view),
        view.tokens,
        waits_for,
    )


def _timed(
    state: State,
    ended_ms: int | None,
    start_ms: int,
    seen_ms: int,
    ahead_ms: int,
    now_ms: int,
    model: str,
    tokens: int,
    waits_for: int,
) -> Standing:
    now_there_ms = now_ms + ahead_ms
    age_ms = (now_there_ms if ended_ms is None else ended_ms) - start_ms
    idle_ms = now_ms - seen_ms if ended_ms is None else now_there_ms - ended_ms
    ended = ended_ms is not None
    return Standing(state, ended, start_ms, max(0, age_ms), max(0, idle_ms), model, tokens, waits_for)


def _stopped(standing: Standing, *, stopping: bool) -> Standing:
    if stopping and not standing.ended:
        return replace(standing, state=State.INTERRUPTED)
    return standing


def _model(view: TurnView) -> str:
    return next((run.model for run in reversed(view.runs) if run.model), "")


def _waits_for(view: TurnView, now_ms: int) -> int:
    """How many sub-agents an open turn waits for, if for nothing else: its own run is over, and no person is
    asked about a call of its own.
    """
    if view.runs[-1].ending is None:
        return 0
    asks = (call.approval for run in view.runs for call in run.unapproved)
    if any(approval is not None and now_ms < approval.expires_ms for approval in asks):
        return 0
    return sum(child.traced and child.verdict.ended_ms is None for child in view.children.values())
