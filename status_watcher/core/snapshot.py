"""How a box's turn stands at one moment, for whoever is told of sessions elsewhere than in the chat."""

from dataclasses import dataclass

from status_watcher.core.forest import SessionRef
from status_watcher.core.routing import Kind, parse_key
from status_watcher.core.shown import Shown
from status_watcher.model import BoxId, ChannelId, ChannelTarget, SessionKey, State, Target

_PRIVATE = frozenset({Kind.MAIN, Kind.DIRECT, Kind.GROUP})


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One turn of one session that has a box; times in milliseconds."""

    box_id: BoxId
    ref: SessionRef
    key: SessionKey | None
    """None while the store does not name the session."""
    name: str
    """The session's label or the agent's name: text of others, not redacted yet."""
    target: Target
    state: State
    ended: bool
    start_ms: int
    age_ms: int
    """Since the turn began; of one that has ended, how long it took."""
    idle_ms: int
    """Since the newest line of the turn and its sub-agents; of one that has ended, since its end."""
    model: str
    """That of the newest answer; "" before the first."""
    tokens: int

    @property
    def kind(self) -> Kind:
        return Kind.OTHER if self.key is None else parse_key(self.key).kind


def snapshot_of(shown: Shown, key: SessionKey | None, now_ms: int, *, stopping: bool) -> Snapshot:
    """The turn behind a box; `stopping`: open boxes say that we stop."""
    if shown.view is None:
        age_ms = now_ms - shown.start_ms
        if shown.ended and shown.bare_elapsed_ms is not None:
            age_ms = shown.bare_elapsed_ms
        quiet_since_ms = shown.as_of_ms if shown.ended else shown.start_ms  # a tick is no news
        state, idle_ms, model, tokens = shown.bare_state, now_ms - quiet_since_ms, "", 0
    else:
        view = shown.view
        now_there_ms = now_ms + view.turn.ahead_ms
        ended_ms = view.verdict.ended_ms
        age_ms = (now_there_ms if ended_ms is None else ended_ms) - shown.start_ms
        idle_ms = now_ms - view.seen_ms if ended_ms is None else now_there_ms - ended_ms
        model = next((run.model for run in reversed(view.runs) if run.model), "")
        state, tokens = view.verdict.state, view.tokens
    return Snapshot(
        box_id=shown.box_id,
        ref=shown.ref,
        key=key,
        name=shown.name,
        target=shown.target,
        state=State.INTERRUPTED if stopping and not shown.ended else state,
        ended=shown.ended,
        start_ms=shown.start_ms,
        age_ms=max(0, age_ms),
        idle_ms=max(0, idle_ms),
        model=model,
        tokens=tokens,
    )


def public_in(snapshot: Snapshot) -> ChannelId | None:
    """The channel that has to be public if everybody may know of the turn; None: it is private anyway.

    2026.2 calls a private channel `channel` too, so the key alone does not tell. A direct message is private,
    and what `main` holds may be one, wherever its box stands; so is a session that the store does not name.
    """
    if snapshot.key is None or snapshot.kind in _PRIVATE or not isinstance(snapshot.target, ChannelTarget):
        return None
    return snapshot.target.channel_id
