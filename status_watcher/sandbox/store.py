"""The sandbox's state: users, channels and posts in memory, and what has happened to them.

No HTTP and no permissions here: what a caller may do is the question of `rules`, how it
is asked that of `routes_*`. Not safe to share between threads; lives on the event loop of its server.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from status_watcher.sandbox.attachments import normalised_props
from status_watcher.sandbox.hashtags import hashtags_of
from status_watcher.sandbox.mentions import pinged_names
from status_watcher.sandbox.records import (
    Channel,
    ChannelType,
    Edit,
    EditedBy,
    Member,
    Post,
    Reaction,
    StoreEvent,
    Team,
    User,
    new_id,
)

__all__ = ["Channel", "Edit", "Member", "Post", "Reaction", "Store", "StoreEvent", "Team", "User", "new_id"]

_EVERYONE = frozenset({"all", "channel", "here"})


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class Store:
    """All that the server knows, by id; superseded versions of a post are in `history`, oldest first."""

    def __init__(self) -> None:
        self.users: dict[str, User] = {}
        self.teams: dict[str, Team] = {}
        self.channels: dict[str, Channel] = {}
        self.posts: dict[str, Post] = {}
        self.history: dict[str, list[Post]] = {}
        self.edits: list[Edit] = []
        self._in_channel: dict[str, list[Post]] = {}
        self._in_thread: dict[str, list[Post]] = {}
        self._tokens: dict[str, str] = {}
        self._revoked: set[str] = set()
        self._listeners: list[Callable[[StoreEvent], None]] = []

    def subscribe(self, listener: Callable[[StoreEvent], None]) -> Callable[[], None]:
        """Calls `listener` for each event from now on, at once and in order; the answer ends that."""
        self._listeners.append(listener)

        def unsubscribe() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return unsubscribe

    def _tell(self, event: StoreEvent) -> None:
        for listener in tuple(self._listeners):
            listener(event)

    # Users and tokens

    def add_user(
        self,
        username: str,
        *,
        is_bot: bool = False,
        id: str | None = None,  # noqa: A002 - the record's own word
        roles: str = "system_user",
    ) -> User:
        at = now_ms()
        user = User(id or new_id(), username, is_bot, at, at, roles, first_name=username if is_bot else "")
        self.users[user.id] = user
        return user

    def user_named(self, username: str) -> User | None:
        return next((user for user in self.users.values() if user.username == username), None)

    def set_active(self, user_id: str, *, active: bool) -> None:
        """Enables or disables an account; its tokens work again, unchanged, once it is enabled."""
        user = self.users[user_id]
        user.update_at = self._after(user.update_at)
        user.delete_at = 0 if active else user.update_at

    def issue_token(self, user_id: str) -> str:
        token = new_id()
        self._tokens[token] = user_id
        return token

    def revoke_token(self, token: str) -> None:
        self._revoked.add(token)

    def restore_token(self, token: str) -> None:
        self._revoked.discard(token)

    def user_of_token(self, token: str) -> User | None:
        """Whose token this is, or None where it is unknown, revoked, or its account disabled."""
        if token in self._revoked or token not in self._tokens:
            return None
        user = self.users[self._tokens[token]]
        return None if user.delete_at else user

    # Teams and channels

    def add_team(self, name: str, display_name: str = "", *, id: str | None = None) -> Team:  # noqa: A002 - the record's own word
        team = Team(id or new_id(), name, display_name or name, now_ms())
        self.teams[team.id] = team
        return team

    def add_channel(
        self,
        name: str,
        *,
        display_name: str = "",
        type: ChannelType = "O",  # noqa: A002 - the record's own word
        id: str | None = None,  # noqa: A002 - ditto
        members: Iterable[str] = (),
        team_id: str | None = None,
        creator_id: str = "",
    ) -> Channel:
        """A channel of that id (any 26 characters), in the first team unless told, with these members."""
        at = now_ms()
        if team_id is None:
            team_id = "" if type in "DG" else next(iter(self.teams), "")
        channel = Channel(id or new_id(), team_id, name, display_name or name, type, at, creator_id)
        if type == "D":
            channel.display_name = ""
        channel.members = {user_id: Member(channel.id, user_id, at) for user_id in members}
        self.channels[channel.id] = channel
        self._tell(StoreEvent("channel_created", channel.id, user_id=creator_id))
        return channel

    def channel_named(self, team_id: str, name: str) -> Channel | None:
        found = (
            c for c in self.channels.values() if c.team_id == team_id and c.name == name and not c.delete_at
        )
        return next(found, None)

    def direct_channel(self, a: str, b: str) -> Channel:
        """The direct channel of two users, the same one each time; its creator is the first that asked."""
        name = "__".join(sorted((a, b)))
        existing = self.channel_named("", name)
        return existing or self.add_channel(name, type="D", members=dict.fromkeys((a, b)), creator_id=a)

    def archive_channel(self, channel_id: str) -> None:
        self.channels[channel_id].delete_at = now_ms()

    def add_member(self, channel_id: str, user_id: str) -> Member:
        members = self.channels[channel_id].members
        if user_id not in members:
            members[user_id] = Member(channel_id, user_id, now_ms())
            self._tell(StoreEvent("member_added", channel_id, user_id=user_id))
        return members[user_id]

    def remove_member(self, channel_id: str, user_id: str) -> None:
        if self.channels[channel_id].members.pop(user_id, None):
            self._tell(StoreEvent("member_removed", channel_id, user_id=user_id))

    def view_channel(self, channel_id: str, user_id: str) -> None:
        """Nothing in the channel is unread for this member any more."""
        member = self.channels[channel_id].members[user_id]
        member.last_viewed_at, member.unread, member.mention_count = now_ms(), 0, 0

    # Posts

    def post_as(self, user_id: str, channel_id: str, message: str, root_id: str = "") -> Post:
        """A message by anyone, posted as if through their client."""
        return self.create_post(user_id, channel_id, message, root_id=root_id)

    def create_post(
        self,
        user_id: str,
        channel_id: str,
        message: str,
        *,
        root_id: str = "",
        props: dict[str, Any] | None = None,
        type: str = "",  # noqa: A002 - the record's own word
        pending_post_id: str = "",
    ) -> Post:
        at = now_ms()
        kept_props = normalised_props(props or {})
        if self.users[user_id].is_bot:
            kept_props["from_bot"] = "true"  # 9.9 adds it whatever the bot says about itself
        post = Post(new_id(), channel_id, user_id, root_id, message, type, kept_props, at, at)
        post.pending_post_id = pending_post_id
        post.hashtags = hashtags_of(message)
        self.posts[post.id] = post
        self._in_channel.setdefault(channel_id, []).append(post)
        if root_id:
            self.posts[root_id].reply_count += 1
            self._in_thread.setdefault(root_id, []).append(post)
        channel = self.channels[channel_id]
        channel.last_post_at, channel.total_msg_count = at, channel.total_msg_count + 1
        self._touch_root(post)
        mentioned = self.pinged_by(post)
        for member in channel.members.values():
            if member.user_id != user_id:
                member.unread += 1
                member.mention_count += member.user_id in mentioned
        self._tell(StoreEvent("posted", channel_id, replace(post), user_id, mentioned=mentioned))
        return post

    def edit_post(
        self,
        post_id: str,
        *,
        via: EditedBy | None = None,
        message: str | None = None,
        props: dict[str, Any] | None = None,
        is_pinned: bool | None = None,
        has_reactions: bool | None = None,
    ) -> Post:
        """Writes a new version of the post: what is None stays, `props` are replaced as a whole.

        Each call makes a history row and an event, even with nothing changed; `edit_at` moves only with text
        or attachments (9.9). A call without `via`, which is what a pin is, is not among `edits`.
        """
        post = self.posts[post_id]
        at = self._after(post.update_at)
        before = replace(post, id=new_id(), original_id=post.id, update_at=at, delete_at=at, reactions=[])
        before.pending_post_id = ""
        self.history.setdefault(post.id, []).append(before)
        if message is not None:
            post.message, post.hashtags = message, hashtags_of(message)
        if props is not None:
            post.props = normalised_props(props)
        if is_pinned is not None:
            post.is_pinned = is_pinned
        if has_reactions is not None:
            post.has_reactions = has_reactions
        moved = post.message != before.message or (
            post.props.get("attachments") != before.props.get("attachments")
        )
        post.update_at = at
        if moved:
            post.edit_at = at
        self._touch_root(post)
        self.channels[post.channel_id].last_post_at = at
        if via is not None:
            self.edits.append(
                Edit(post.id, post.message, before.message, at, time.monotonic(), via, moved_edit_at=moved)
            )
        self._tell(StoreEvent("post_edited", post.channel_id, replace(post), post.user_id))
        return post

    def delete_post(self, post_id: str, by: str) -> None:
        """Marks the post, and the replies of a root, as deleted; their history rows stay."""
        post = self.posts[post_id]
        was = replace(post)
        at = self._after(post.update_at)
        if root := self.posts.get(post.root_id):
            root.reply_count -= 1
        for gone in (post, *self.replies(post_id)):
            gone.delete_at = gone.update_at = at
            gone.props = gone.props | {"deleteBy": by}
        post.reply_count = 0
        self._tell(StoreEvent("post_deleted", post.channel_id, was, by))

    def posts_in(self, channel_id: str) -> list[Post]:
        """The channel's posts as a reader sees them, oldest first, deleted ones left out."""
        return [post for post in self._in_channel.get(channel_id, ()) if not post.delete_at]

    def changed_since(self, channel_id: str, since_ms: int) -> list[Post]:
        """What was posted, edited or deleted after that time, superseded versions included; newest first."""
        posts = self._in_channel.get(channel_id, ())
        versions = (version for post in posts for version in self.history.get(post.id, ()))
        changed = [post for post in (*posts, *versions) if post.update_at > since_ms]
        return sorted(changed, key=lambda post: post.create_at, reverse=True)

    def replies(self, root_id: str) -> list[Post]:
        """The replies of a thread, oldest first, deleted ones left out."""
        return [post for post in self._in_thread.get(root_id, ()) if not post.delete_at]

    def pinged_by(self, post: Post) -> frozenset[str]:
        """The ids of the channel's other members whom this text would notify as a new post."""
        channel = self.channels[post.channel_id]
        others = channel.members.keys() - {post.user_id}
        if channel.type == "D":
            return frozenset(others)
        names = pinged_names(post.message, post.props)
        if names & _EVERYONE:
            return frozenset(others)
        return frozenset(user_id for user_id in others if self.users[user_id].username.lower() in names)

    # Reactions and typing

    def add_reaction(self, user_id: str, post_id: str, emoji_name: str) -> Reaction:
        post = self.posts[post_id]
        at = self._after(post.update_at)
        same = (r for r in post.reactions if (r.user_id, r.emoji_name) == (user_id, emoji_name))
        reaction = next(same, None)
        if reaction is None:
            reaction = Reaction(user_id, post_id, post.channel_id, emoji_name, at, at)
            post.reactions.append(reaction)
        reaction.update_at = post.update_at = at
        post.has_reactions = True
        self._tell(StoreEvent("reaction_added", post.channel_id, replace(post), user_id, replace(reaction)))
        return reaction

    def remove_reaction(self, user_id: str, post_id: str, emoji_name: str) -> None:
        post = self.posts[post_id]
        gone = [r for r in post.reactions if (r.user_id, r.emoji_name) == (user_id, emoji_name)]
        post.reactions = [r for r in post.reactions if r not in gone]
        post.has_reactions = bool(post.reactions)
        post.update_at = self._after(post.update_at)
        for reaction in gone:
            self._tell(StoreEvent("reaction_removed", post.channel_id, replace(post), user_id, reaction))

    def typing(self, user_id: str, channel_id: str, parent_id: str = "") -> None:
        self._tell(StoreEvent("typing", channel_id, user_id=user_id, parent_id=parent_id))

    def _touch_root(self, post: Post) -> None:
        if root := self.posts.get(post.root_id):
            root.update_at = self._after(root.update_at)

    @staticmethod
    def _after(moment_ms: int) -> int:
        """Now, but later than `moment_ms`: two versions of one thing share no time, as ETags rely on it."""
        return max(now_ms(), moment_ms + 1)
