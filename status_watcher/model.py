"""Names that more than one layer speaks: ids, places of a post, and what a box is.

Ids are `NewType`s over the strings that OpenClaw and Mattermost use, so that mixing two of them is a type
error.
"""

from dataclasses import dataclass
from enum import Enum, IntEnum, StrEnum
from typing import NewType

AgentId = NewType("AgentId", str)
SessionKey = NewType("SessionKey", str)
SessionId = NewType("SessionId", str)
EntryId = NewType("EntryId", str)
ToolCallId = NewType("ToolCallId", str)

ChannelId = NewType("ChannelId", str)
UserId = NewType("UserId", str)
PostId = NewType("PostId", str)

BoxId = NewType("BoxId", str)
"""One turn of one root session, the unit that has one post: `agent/session id/entry id`, for ever."""


@dataclass(frozen=True, slots=True)
class ChannelTarget:
    """A channel, and the root post of a thread in it ("" outside threads)."""

    channel_id: ChannelId
    root_id: PostId


@dataclass(frozen=True, slots=True)
class DirectTarget:
    """The direct channel between our bot and a user, who is all that OpenClaw's store names."""

    user_id: UserId


Target = ChannelTarget | DirectTarget


class State(StrEnum):
    """The word in the brackets of a box's first line; people grep on these."""

    ACTIVE = "ACTIVE"
    WAITING = "WAITING"
    STALLED = "STALLED"
    RETRYING = "RETRYING"
    DONE = "DONE"
    ERROR = "ERROR"
    ABORTED = "ABORTED"
    INTERRUPTED = "INTERRUPTED"
    TIMEOUT = "TIMEOUT"


class Urgency(IntEnum):
    """What a change to a box is worth: the greater, the sooner it is shown. Several together are worth the
    greatest of them.
    """

    TICK = 0
    """Only the elapsed time."""
    LINES = 1
    """What the agent does goes on."""
    EVENT = 2
    """Something failed, or a sub-agent has ended."""
    STATE = 3
    """The box's state, or the first that is seen of it."""
    END = 4
    """The turn is over."""


class Making(Enum):
    """Whether a post is made for a box that has none."""

    ANYWHERE = "anywhere"
    """In the channel where the thread that it belongs to is gone."""
    IN_THREAD = "in thread"
    """Below its root, or not at all."""
    NEVER = "never"
    """A post that is there is brought up to date, no more."""


@dataclass(frozen=True, slots=True)
class Closing:
    """Of a box whose turn is not known any more: its post keeps what it says, but for its state."""

    state: State
    max_chars: int
    one_line: bool
    """Such a box has no last line."""


@dataclass(frozen=True, slots=True)
class Box:
    """What a post should say now: the newest text, never a history of texts."""

    target: Target
    text: str
    ended: bool
    age_ms: int = 0
    """Of its turn: an older one may be shown less often."""
    making: Making = Making.ANYWHERE
    closing: Closing | None = None
    """Where it is set, what the post says now is closed like that; `text` stands for nothing but the state
    and the name."""
