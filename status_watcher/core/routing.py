"""Where the box of a session belongs: key and store entry to a place in Mattermost.

Keys as OpenClaw 2026.2.26 to 2026.9.6 writes them, lower-cased, which Mattermost's ids survive (26 characters
of [a-z0-9]). A key may have any shape: the API accepts whatever follows `agent:<id>:`.
"""

from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache
from typing import Final, NamedTuple

from status_watcher.core.index import MATTERMOST_ID, StoreEntry
from status_watcher.model import (
    AgentId,
    ChannelId,
    ChannelTarget,
    DirectTarget,
    PostId,
    SessionKey,
    Target,
    UserId,
)

PROVIDER: Final = "mattermost"


class Kind(Enum):
    """What a key says of the session behind it."""

    MAIN = auto()
    """`agent:<id>:main`: also every direct message, by default."""
    CHANNEL = auto()
    """`…:channel:<id>`, a public channel (and a private one in 2026.2)."""
    GROUP = auto()
    """`…:group:<id>`, a private channel or a group message."""
    DIRECT = auto()
    SUBAGENT = auto()
    """`agent:<id>:subagent:<uuid>`, at any depth."""
    CRON = auto()
    """`agent:<id>:cron:<job>`, and its twin for each run, `…:run:<session id>`."""
    HOOK = auto()
    ACP = auto()
    EXPLICIT = auto()
    HEARTBEAT = auto()
    """A session of its own for heartbeats: its key ends in `:heartbeat`."""
    OTHER = auto()


@dataclass(frozen=True, slots=True)
class KeyParts:
    """A session key taken apart; what it does not say is ""."""

    agent: AgentId
    kind: Kind
    base: SessionKey
    """The key without its thread: the channel's own session, or the key itself."""
    provider: str = ""
    """Chat provider named in the key, e.g. "mattermost"."""
    peer: str = ""
    """What follows the kind: a channel, a user, a job."""
    thread_id: str = ""


@lru_cache(maxsize=10_000)
def parse_key(key: SessionKey) -> KeyParts:
    """The parts of any key, however odd; one that fits no known shape is `Kind.OTHER`."""
    base, _, thread_id = key.partition(":thread:")
    parts = base.split(":")
    agent = AgentId("")
    if parts[0] == "agent" and len(parts) > 1:
        agent = AgentId(parts[1])
        parts = parts[2:]
    kind, provider, peer = _kind(parts)
    return KeyParts(agent, kind, SessionKey(base), provider, peer, thread_id)


def agent_of(key: SessionKey) -> AgentId:
    """The agent named in a key, "" for the keys without one (`global`, `hook:<id>`)."""
    return parse_key(key).agent


def route(key: SessionKey, entry: StoreEntry | None) -> Target | None:
    """The place in Mattermost that a session talks to; None if it has none there.

    The key wins over the entry, whose route moves with whoever wrote last. Sub-agents are not looked up:
    climb to the root first. Cron runs and hooks talk to nobody. A channel or a user by an id that no server
    gives is no place; a thread by such an id is none: its session is in the channel.
    """
    parts = parse_key(key)
    told = _told(entry)
    if parts.kind in {Kind.CRON, Kind.HOOK} or (parts.provider or told.provider) != PROVIDER:
        return None
    match parts.kind:
        case Kind.CHANNEL | Kind.GROUP:
            same_place = told.provider == PROVIDER and told.peer == parts.peer
            return channel_place(parts.peer, parts.thread_id, told.thread_id if same_place else "")
        case Kind.DIRECT:
            return _direct(parts.peer)
        case _ if told.kind in {"channel", "group"}:
            return channel_place(told.peer, parts.thread_id, told.thread_id)
        case _ if told.kind == "user":
            # The channel is the one between the user and the gateway's bot, which need not be ours.
            return _direct(told.peer) or channel_place(told.native_channel_id)
        case _:
            return None


class _Told(NamedTuple):
    """The route as the entry has it."""

    provider: str
    kind: str
    peer: str
    thread_id: str
    native_channel_id: str


def _told(entry: StoreEntry | None) -> _Told:
    if entry is None:
        return _Told("", "", "", "", "")
    kind, _, peer = entry.to.removeprefix(f"{PROVIDER}:").partition(":")
    return _Told(entry.channel, kind, peer, entry.thread_id, entry.native_channel_id)


_KINDS: Final = {
    "channel": Kind.CHANNEL,
    "group": Kind.GROUP,
    "direct": Kind.DIRECT,
    "dm": Kind.DIRECT,  # the older word for it
}
_OWN_SESSIONS: Final = {
    "subagent": Kind.SUBAGENT,
    "cron": Kind.CRON,
    "hook": Kind.HOOK,
    "acp": Kind.ACP,
    "explicit": Kind.EXPLICIT,
}


def _kind(parts: list[str]) -> tuple[Kind, str, str]:
    """Kind, provider and peer of what follows `agent:<id>:`."""
    if parts[-1:] == ["heartbeat"]:
        return Kind.HEARTBEAT, "", ""
    if parts == ["main"]:
        return Kind.MAIN, "", ""
    if len(parts) < 2:
        return Kind.OTHER, "", ""
    if (own := _OWN_SESSIONS.get(parts[0])) is not None:
        return own, "", parts[1]
    # [<provider>[:<account>]:](channel|group|direct):<peer>
    if len(parts) <= 4 and (kind := _KINDS.get(parts[-2])) is not None:
        return kind, parts[0] if len(parts) > 2 else "", parts[-1]
    return Kind.OTHER, "", ""


def channel_place(channel_id: str, *root_ids: str) -> ChannelTarget | None:
    """A place in a channel, in the thread of the first of `root_ids` that a post can have, or in none.

    None if no channel can have that id. The API takes any thread for a session, and other providers number
    theirs; with a root that is no post's the server refuses to create the box anywhere (400).
    """
    if not MATTERMOST_ID.fullmatch(channel_id):
        return None
    root_id = next((root_id for root_id in root_ids if MATTERMOST_ID.fullmatch(root_id)), "")
    return ChannelTarget(ChannelId(channel_id), PostId(root_id))


def _direct(user_id: str) -> DirectTarget | None:
    return DirectTarget(UserId(user_id)) if MATTERMOST_ID.fullmatch(user_id) else None
