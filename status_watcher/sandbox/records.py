"""The things a Mattermost server keeps, as far as the sandbox keeps them.

Times are milliseconds since the epoch, as Mattermost has them; 0 stands for "never". Ids are 26 characters.
"""

import secrets
from dataclasses import dataclass, field
from typing import Any, Literal

ChannelType = Literal["O", "P", "D", "G"]
EditedBy = Literal["patch", "put"]

_ID_ALPHABET = "ybndrfg8ejkmcpqxot1uwisza345h769"
ID_CHARS = 26


def new_id() -> str:
    """A random id in the form of Mattermost's: 26 characters of z-base-32."""
    return "".join(secrets.choice(_ID_ALPHABET) for _ in range(ID_CHARS))


@dataclass(slots=True)
class User:
    """A person or a bot; `delete_at` is set while the account is disabled."""

    id: str
    username: str
    is_bot: bool
    create_at: int
    update_at: int
    roles: str = "system_user"
    delete_at: int = 0
    first_name: str = ""

    @property
    def role_names(self) -> frozenset[str]:
        return frozenset(self.roles.split())


@dataclass(slots=True)
class Team:
    """A team; every user of the sandbox belongs to every team."""

    id: str
    name: str
    display_name: str
    create_at: int


@dataclass(slots=True)
class Member:
    """A user's place in a channel; the counts are those of posts and mentions not seen yet."""

    channel_id: str
    user_id: str
    last_update_at: int
    last_viewed_at: int = 0
    unread: int = 0
    mention_count: int = 0


@dataclass(slots=True)
class Channel:
    """An open (O), private (P), direct (D) or group (G) channel; `delete_at` is set while it is archived."""

    id: str
    team_id: str
    name: str
    display_name: str
    type: ChannelType
    create_at: int
    creator_id: str = ""
    delete_at: int = 0
    last_post_at: int = 0
    total_msg_count: int = 0
    members: dict[str, Member] = field(default_factory=dict)


@dataclass(slots=True)
class Reaction:
    user_id: str
    post_id: str
    channel_id: str
    emoji_name: str
    create_at: int
    update_at: int


@dataclass(slots=True)
class Post:
    """A post, or one superseded version of a post (`original_id` set, `delete_at` = when it was replaced)."""

    id: str
    channel_id: str
    user_id: str
    root_id: str
    message: str
    type: str
    props: dict[str, Any]
    create_at: int
    update_at: int
    edit_at: int = 0
    delete_at: int = 0
    original_id: str = ""
    is_pinned: bool = False
    pending_post_id: str = ""
    hashtags: str = ""
    has_reactions: bool = False
    reply_count: int = 0
    """Of the thread, kept on its root alone."""
    reactions: list[Reaction] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Edit:
    """One accepted edit of a post by PUT or patch, unchanged texts included."""

    post_id: str
    message: str
    previous: str
    at_ms: int
    at_monotonic_s: float
    via: EditedBy
    moved_edit_at: bool
    """Whether text or attachments differ from the version before: what makes readers see "(edited)"."""


@dataclass(frozen=True, slots=True)
class StoreEvent:
    """What changed, told to listeners at once; `post` is a copy, for `post_deleted` of the post as it was."""

    kind: Literal[
        "posted",
        "post_edited",
        "post_deleted",
        "channel_created",
        "member_added",
        "member_removed",
        "typing",
        "reaction_added",
        "reaction_removed",
    ]
    channel_id: str
    post: Post | None = None
    user_id: str = ""
    reaction: Reaction | None = None
    mentioned: frozenset[str] = frozenset()
    """The ids of the members whom a new post pings."""
    parent_id: str = ""
