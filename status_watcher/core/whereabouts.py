"""Where a session's boxes belong, what it is called there, and until when that may still change."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from status_watcher.core.forest import Forest, SessionRef
from status_watcher.core.routing import agent_of, route
from status_watcher.model import AgentId, ChannelId, ChannelTarget, PostId, Target

NO_NAMES: Final[Mapping[AgentId, str]] = MappingProxyType({})

ORPHAN_WAIT_MS = 2_000
"""How long a session waits for its store entry, and a sub-agent for the parent that shows it."""
STORE_WAIT_MS = 10_000
"""How long a session waits for a store that was never readable: where it belongs is not known without it."""


def name_of(forest: Forest, ref: SessionRef, names: Mapping[AgentId, str] = NO_NAMES) -> str:
    """The session's label, else the name of its agent: the configured one of `names`, else its id."""
    key = forest.key(ref)
    entry = forest.entry(ref[0], key) if key is not None else None
    if entry is not None and entry.label:
        return entry.label
    agent = (agent_of(key) if key is not None else "") or ref[0]
    return names.get(AgentId(agent)) or agent


def target_of(forest: Forest, ref: SessionRef, default: ChannelId | None) -> Target | None:
    """Where a session's boxes go; None if there is no place for it."""
    key = forest.key(ref)
    found = route(key, forest.entry(ref[0], key)) if key is not None else None
    if found is not None:
        return found
    return ChannelTarget(default, PostId("")) if default is not None else None


def undecided_until_ms(forest: Forest, ref: SessionRef) -> int:
    """Until when the store may still tell where it belongs, or its parent show it; 0 if that is known."""
    first_seen_ms = forest.first_seen_ms(ref)
    if forest.key(ref) is None:
        return first_seen_ms + (ORPHAN_WAIT_MS if forest.has_index(ref[0]) else STORE_WAIT_MS)
    return first_seen_ms + ORPHAN_WAIT_MS if forest.has_parent(ref) else 0
