"""How the records look as JSON: the fields that 9.9 gives, in its order.

They carry constants for what the sandbox does not have (schemes, policies, time zones, participants).
"""

from typing import Any

from status_watcher.sandbox.attachments import shown_props
from status_watcher.sandbox.records import Channel, Member, Post, Reaction, Team, User
from status_watcher.sandbox.store import Store

VERSION = "9.9.0"
VERSION_ID = f"{VERSION}.{VERSION}-sandbox.0.false"

Json = dict[str, Any]


def user_json(user: User, *, to_self: bool) -> Json:
    """A user's profile; their own has their settings too."""
    domain = "localhost" if user.is_bot else "example.invalid"
    profile: Json = {
        "id": user.id,
        "create_at": user.create_at,
        "update_at": user.update_at,
        "delete_at": user.delete_at,
        "username": user.username,
        "auth_data": "",
        "auth_service": "",
        "email": f"{user.username}@{domain}",
        "nickname": "",
        "first_name": user.first_name,
        "last_name": "",
        "position": "",
        "roles": user.roles,
        "locale": "en",
        "timezone": {"automaticTimezone": "", "manualTimezone": "", "useAutomaticTimezone": "true"},
        "disable_welcome_email": False,
    }
    if user.is_bot:
        profile |= {"is_bot": True, "bot_description": "a bot of the sandbox"}
    if to_self:
        profile |= {"notify_props": _USER_NOTIFY_PROPS, "last_password_update": user.create_at}
    return profile


_USER_NOTIFY_PROPS = {
    "channel": "true",
    "comments": "never",
    "desktop": "mention",
    "desktop_sound": "true",
    "desktop_threads": "all",
    "email": "true",
    "email_threads": "all",
    "first_name": "false",
    "mention_keys": "",
    "push": "mention",
    "push_status": "away",
    "push_threads": "all",
}


def user_etag(user: User) -> str:
    return f"{VERSION}.{user.id}.{user.update_at}..0.true.true.0"


def team_json(team: Team) -> Json:
    return {
        "id": team.id,
        "create_at": team.create_at,
        "update_at": team.create_at,
        "delete_at": 0,
        "display_name": team.display_name,
        "name": team.name,
        "description": "",
        "email": "",
        "type": "O",
        "company_name": "",
        "allowed_domains": "",
        "invite_id": "",
        "allow_open_invite": False,
        "scheme_id": None,
        "group_constrained": None,
        "policy_id": None,
        "cloud_limits_archived": False,
    }


def channel_json(channel: Channel) -> Json:
    return {
        "id": channel.id,
        "create_at": channel.create_at,
        "update_at": channel.create_at,
        "delete_at": channel.delete_at,
        "team_id": channel.team_id,
        "type": channel.type,
        "display_name": channel.display_name,
        "name": channel.name,
        "header": "",
        "purpose": "",
        "last_post_at": channel.last_post_at,
        "total_msg_count": channel.total_msg_count,
        "extra_update_at": 0,
        "creator_id": channel.creator_id,
        "scheme_id": None,
        "props": None,
        "group_constrained": None,
        "shared": False if channel.type == "D" else None,
        "total_msg_count_root": channel.total_msg_count,
        "policy_id": None,
        "last_root_post_at": channel.last_post_at,
    }


def member_json(channel: Channel, member: Member) -> Json:
    seen = channel.total_msg_count - member.unread
    return {
        "channel_id": member.channel_id,
        "user_id": member.user_id,
        "roles": "channel_user",
        "last_viewed_at": member.last_viewed_at,
        "msg_count": seen if member.last_viewed_at else 0,
        "mention_count": member.mention_count,
        "mention_count_root": member.mention_count,
        "urgent_mention_count": 0,
        "msg_count_root": seen if member.last_viewed_at else 0,
        "notify_props": {
            "channel_auto_follow_threads": "off",
            "desktop": "default",
            "email": "default",
            "ignore_channel_mentions": "default",
            "mark_unread": "all",
            "push": "default",
        },
        "last_update_at": member.last_update_at,
        "scheme_guest": False,
        "scheme_user": True,
        "scheme_admin": False,
        "explicit_roles": "",
    }


def reaction_json(reaction: Reaction) -> Json:
    return {
        "user_id": reaction.user_id,
        "post_id": reaction.post_id,
        "emoji_name": reaction.emoji_name,
        "create_at": reaction.create_at,
        "update_at": reaction.update_at,
        "delete_at": 0,
        "remote_id": "",
        "channel_id": reaction.channel_id,
    }


def post_json(store: Store, post: Post, *, metadata: bool = True, deleted_text: bool = False) -> Json:
    """A post as readers are shown it; of a deleted one the text is kept back unless `deleted_text`."""
    hidden = bool(post.delete_at) and not deleted_text
    shown: Json = {
        "id": post.id,
        "create_at": post.create_at,
        "update_at": post.update_at,
        "edit_at": post.edit_at,
        "delete_at": post.delete_at,
        "is_pinned": post.is_pinned,
        "user_id": post.user_id,
        "channel_id": post.channel_id,
        "root_id": post.root_id,
        "original_id": post.original_id,
        "message": "" if hidden else post.message,
        "type": post.type,
        "props": shown_props(post.props),
        "hashtags": "" if hidden else post.hashtags,
        "pending_post_id": post.pending_post_id,
    }
    if post.has_reactions:
        shown["has_reactions"] = True
    shown |= {
        "reply_count": store.posts[post.root_id].reply_count if post.root_id else post.reply_count,
        "last_reply_at": 0,
        "participants": None,
    }
    if metadata:
        shown["metadata"] = _metadata(post)
    return shown


def _metadata(post: Post) -> Json:
    found: Json = {}
    if "attachments" in post.props:
        found["embeds"] = [{"type": "message_attachment"}]
    if post.has_reactions and post.reactions:
        found["reactions"] = [reaction_json(reaction) for reaction in post.reactions]
    return found


def post_etag(post: Post) -> str:
    return f"{VERSION}.{post.id}.{post.update_at}"


def post_list_json(
    store: Store, posts: list[Post], *, prev_post_id: str = "", next_post_id: str = ""
) -> Json:
    """Posts by id with their order, which is that of `posts`."""
    return {
        "order": [post.id for post in posts],
        "posts": {post.id: post_json(store, post) for post in posts},
        "next_post_id": next_post_id,
        "prev_post_id": prev_post_id,
        "has_next": False,
        "first_inaccessible_post_time": 0,
    }
