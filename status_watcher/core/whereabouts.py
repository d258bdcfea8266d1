"""Where a session's boxes belong, what it is called there, and until when that may still change."""

from dataclasses import dataclass
from typing import Final, assert_never

from status_watcher.core.forest import Forest, SessionRef
from status_watcher.core.index import StoreEntry
from status_watcher.core.naming import LinkHost, Names, issue_link, session_name
from status_watcher.core.pen import Pen
from status_watcher.core.policy import NO_RULES, Asked, Fixed, Level, Placement, Placing, Policy, SessionKind
from status_watcher.core.routing import Kind, agent_of, channel_place, parse_key, route
from status_watcher.core.shown import Shown
from status_watcher.core.tree import TurnView
from status_watcher.model import AgentId, ChannelId, ChannelTarget, DirectTarget, PostId, SessionKey, Target

ORPHAN_WAIT_MS = 2_000
"""How long a session waits for its store entry, and a sub-agent for the parent that shows it."""
STORE_WAIT_MS = 10_000
"""How long a session waits for a store that was never readable: where it belongs is not known without it."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a box goes, and how much it shows there."""

    target: Target
    level: Level


@dataclass(frozen=True, slots=True)
class Ground:
    """What decides where boxes go, besides the sessions themselves."""

    default: ChannelId | None
    policy: Policy = NO_RULES
    link_hosts: tuple[LinkHost, ...] = ()


class Whereabouts:
    """Places and names of followed sessions, as of now."""

    def __init__(self, forest: Forest, ground: Ground, names: Names, pen: Pen) -> None:
        self._forest = forest
        self._ground = ground
        self._names = names
        self._pen = pen

    def name_of(self, ref: SessionRef) -> str:
        """The session's name; its agent's where it has none."""
        return name_of(self._forest, ref, self._names)

    def link_of(self, ref: SessionRef) -> str:
        """A link to the issue that the session is about, as Markdown of ours; "" if there is none."""
        key = self._forest.key(ref)
        link = issue_link(key, self.name_of(ref), self._ground.link_hosts) if key is not None else None
        return self._pen.link(link) if link is not None else ""

    def place_of(self, ref: SessionRef, thread_root: str = "") -> Place | None:
        """Where a session's boxes go; None if there is no place for it, or the operator wants none.

        `thread_root`: of the thread that the turn's prompt opened or stood in, "" where nothing tells.
        """
        key, talk = self._talk(ref)
        asked = _asked(self._forest, ref, talk, self._ground)
        level = self._ground.policy.level(asked)
        if level is Level.OFF:
            return None
        home = talk
        if home is None and self._ground.default is not None:
            home = ChannelTarget(self._ground.default, PostId(""))
        in_channel = talk is not None and key is not None and parse_key(key).kind in _CHANNELS
        target = _placed(home, self._ground.policy.placement(asked), thread_root if in_channel else "")
        return Place(target, level) if target is not None else None

    def place_again(self, ref: SessionRef, target: Target) -> Place:
        """The place of a box that is there: one that would not be made now is brought to its end, shortly."""
        _, talk = self._talk(ref)
        level = self._ground.policy.level(_asked(self._forest, ref, talk, self._ground))
        return Place(target, Level.COMPACT if level is Level.OFF else level)

    def conversation_of(self, ref: SessionRef) -> Target | None:
        """The place that a session talks to, whether boxes go there or not."""
        return self._talk(ref)[1]

    def kind_of(self, ref: SessionRef) -> SessionKind:
        """What a rule calls the session."""
        _, talk = self._talk(ref)
        return _asked(self._forest, ref, talk, self._ground).kind

    def level_below(self, target: Target, key: SessionKey) -> Level:
        """How much is shown of a sub-agent in its root's box, which stands there."""
        return level_below(self._ground, target, key)

    def renames(self, shown: Shown, keys: frozenset[SessionKey]) -> bool:
        """Whether a box reads differently since these sessions are called otherwise; then it is due."""
        name = self.name_of(shown.ref)
        if name == shown.name and not (shown.view is not None and _speaks_of(shown.view, keys)):
            return False
        shown.name, shown.link, shown.signature = name, self.link_of(shown.ref), ()
        return True

    def _talk(self, ref: SessionRef) -> tuple[SessionKey | None, Target | None]:
        """The session's key, and the place that it talks to."""
        key = self._forest.key(ref)
        return key, route(key, self._forest.entry(ref[0], key)) if key is not None else None


def name_of(forest: Forest, ref: SessionRef, names: Names) -> str:
    """The session's name; its agent's where it has none."""
    key = forest.key(ref)
    if key is None:
        return names.agents.get(ref[0]) or ref[0]
    entry = forest.entry(ref[0], key)
    return session_name(key, entry.label if entry is not None else "", names, ref[0])


def level_below(ground: Ground, target: Target, key: SessionKey) -> Level:
    """How much is shown of a sub-agent in its root's box, which stands there."""
    channel = target.channel_id if isinstance(target, ChannelTarget) else None
    return ground.policy.level_below(agent_of(key), channel)


def undecided_until_ms(forest: Forest, ref: SessionRef) -> int:
    """Until when the store may still tell where it belongs, or its parent show it; 0 if that is known."""
    first_seen_ms = forest.first_seen_ms(ref)
    if forest.key(ref) is None:
        return first_seen_ms + (ORPHAN_WAIT_MS if forest.has_index(ref[0]) else STORE_WAIT_MS)
    return first_seen_ms + ORPHAN_WAIT_MS if forest.has_parent(ref) else 0


_CHANNELS: Final = {Kind.CHANNEL, Kind.GROUP}
_KINDS: Final = {
    Kind.CRON: SessionKind.CRON,
    Kind.HOOK: SessionKind.HOOK,
    Kind.EXPLICIT: SessionKind.EXPLICIT,
    Kind.SUBAGENT: SessionKind.SUBAGENT,
}


def _asked(forest: Forest, ref: SessionRef, talk: Target | None, ground: Ground) -> Asked:
    key = forest.key(ref)
    entry = forest.entry(ref[0], key) if key is not None else None
    agent = (agent_of(key) if key is not None else "") or ref[0]
    direct = isinstance(talk, DirectTarget) or (talk is not None and _is_direct(key, entry))
    match talk:
        case ChannelTarget(channel_id) if not direct:
            channel: ChannelId | None = channel_id
        case None:
            channel = ground.default
        case _:
            channel = None
    kind = _KINDS.get(parse_key(key).kind) if key is not None else None
    if kind is None:
        if forest.has_parent(ref):
            kind = SessionKind.SUBAGENT
        elif talk is None:
            kind = SessionKind.EXPLICIT
        else:
            kind = SessionKind.DM if direct else SessionKind.CHANNEL
    return Asked(AgentId(agent), kind, channel, direct)


def _is_direct(key: SessionKey | None, entry: StoreEntry | None) -> bool:
    """Also where the store names the channel of a direct message, and nobody in it."""
    if key is not None and (kind := parse_key(key).kind) in {Kind.DIRECT, *_CHANNELS}:
        return kind is Kind.DIRECT
    return entry is not None and entry.to.removeprefix("mattermost:").startswith("user:")


def _placed(home: Target | None, placement: Placement, thread_root: str) -> Target | None:
    match placement:
        case Fixed(channel):
            return ChannelTarget(channel, PostId(""))
        case Placing.CONVERSATION:
            return home
        case Placing.CHANNEL:
            return ChannelTarget(home.channel_id, PostId("")) if isinstance(home, ChannelTarget) else home
        case Placing.THREAD:
            if isinstance(home, ChannelTarget) and not home.root_id and thread_root:
                return channel_place(home.channel_id, thread_root) or home
            return home
        case _:
            assert_never(placement)


def _speaks_of(view: TurnView, keys: frozenset[SessionKey]) -> bool:
    """Whether one of these sessions stands in the tree, below the turn at its top."""
    return any(
        child.key in keys or any(_speaks_of(below, keys) for below in child.turns)
        for child in view.children.values()
    )
