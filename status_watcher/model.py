"""Names that more than one layer speaks: ids, places of a post, and what a box is.

Ids are `NewType`s over the strings that OpenClaw and Mattermost use, so that mixing two of them is a type
error.
"""

from dataclasses import dataclass
from enum import StrEnum
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
    DONE = "DONE"
    ERROR = "ERROR"
    ABORTED = "ABORTED"
    INTERRUPTED = "INTERRUPTED"
    TIMEOUT = "TIMEOUT"


@dataclass(frozen=True, slots=True)
class Box:
    """What a post should say now: the newest text, never a history of texts."""

    target: Target
    text: str
    ended: bool
    tick: bool = False
    """Only elapsed time differs from the text before: not worth an edit of its own at full pace."""
