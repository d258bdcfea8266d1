"""What a user may do with posts and channels, and what a post may contain, as 9.9 decides it.

Each answers with the refusal, or None where nothing stands against it. The order of the checks is the
server's: who may not see a post is not told whether it exists.
"""

import orjson

from status_watcher.sandbox.errors import (
    CREATE_IN_ARCHIVED,
    MESSAGE_TOO_LONG,
    NO_SUCH_POST,
    NOT_SAVED,
    NOT_UPDATED,
    PATCH_IN_ARCHIVED,
    PERMISSION,
    PROPS_TOO_LONG,
    PUT_IN_ARCHIVED,
    ROOT_ELSEWHERE,
    ROOT_INVALID,
    Refusal,
    edit_too_late,
    param_invalid,
)
from status_watcher.sandbox.records import Channel, EditedBy, Post, User
from status_watcher.sandbox.settings import ServerSettings
from status_watcher.sandbox.store import Store, now_ms

_ADMIN = "system_admin"
_POSTS_ANYWHERE = "system_post_all_public"
_NUL = "\0"


def may_read_channel(user: User, channel: Channel) -> bool:
    """Members may, and anyone may read an open channel of their team."""
    return user.id in channel.members or channel.type == "O" or _ADMIN in user.role_names


def may_post_in(user: User, channel: Channel) -> bool:
    if user.id in channel.members or _ADMIN in user.role_names:
        return True
    return channel.type == "O" and _POSTS_ANYWHERE in user.role_names


def readable_post(store: Store, user: User, post_id: str) -> Post | Refusal:
    """A post that stands, for someone who may read its channel."""
    post = store.posts.get(post_id)
    if post is None or post.delete_at:
        return NO_SUCH_POST
    return post if may_read_channel(user, store.channels[post.channel_id]) else PERMISSION


def postable_post(store: Store, user: User, post_id: str) -> Post | Refusal:
    """A post that stands, for someone who may post beside it."""
    post = store.posts.get(post_id)
    if post is None or post.delete_at or not may_post_in(user, store.channels[post.channel_id]):
        return PERMISSION
    return post


def own_post(store: Store, user: User, post_id: str) -> Post | Refusal:
    """A post that this user may edit or delete: their own where they may post, any for an administrator.

    Unknown, deleted and foreign posts are refused alike.
    """
    post = postable_post(store, user, post_id)
    if isinstance(post, Refusal):
        return post
    return post if post.user_id == user.id or _ADMIN in user.role_names else PERMISSION


def refused_create(
    store: Store,
    settings: ServerSettings,
    user: User,
    *,
    channel_id: str,
    root_id: str,
    type_: str,
    message: str,
) -> Refusal | None:
    channel = store.channels.get(channel_id)
    if channel is None or not may_post_in(user, channel):
        return PERMISSION
    if type_ and not type_.startswith("custom_"):
        return param_invalid("post.type")
    if channel.delete_at:
        return CREATE_IN_ARCHIVED
    if root_id:
        root = store.posts.get(root_id)
        if root is None or root.delete_at or root.root_id:
            return ROOT_INVALID
        if root.channel_id != channel_id:
            return ROOT_ELSEWHERE
    return refused_content(settings, message=message, failure=NOT_SAVED)


def refused_edit(
    store: Store, settings: ServerSettings, post: Post, *, message: str | None, via: EditedBy
) -> Refusal | None:
    """Why an edit of a post that may be edited is refused; a text that stays the same is never too late."""
    if store.channels[post.channel_id].delete_at:
        return PATCH_IN_ARCHIVED if via == "patch" else PUT_IN_ARCHIVED
    limit_s = settings.edit_time_limit_s
    changed = message is not None and message != post.message
    if limit_s >= 0 and changed and now_ms() > post.create_at + limit_s * 1000:
        return edit_too_late(limit_s)
    return refused_content(settings, message=message or "", failure=NOT_UPDATED)


def refused_content(settings: ServerSettings, *, message: str, failure: Refusal) -> Refusal | None:
    """Length in code points; a NUL fails only in the database, hence as a 500."""
    if len(message) > settings.max_post_chars:
        return MESSAGE_TOO_LONG
    return failure if _NUL in message else None


def refused_props(settings: ServerSettings, props: dict[str, object] | None) -> Refusal | None:
    if props and len(orjson.dumps(props).decode()) > settings.max_props_chars:
        return PROPS_TOO_LONG
    return None
