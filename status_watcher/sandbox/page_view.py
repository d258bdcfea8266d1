"""The sandbox's channels and posts as the page shows them: JSON-ready values, posts as finished HTML."""

import re
import zlib
from datetime import UTC, datetime
from typing import Any

import jinja2
from markupsafe import Markup

from status_watcher.sandbox.emoji import EMOJI
from status_watcher.sandbox.markdown import render_markdown
from status_watcher.sandbox.records import Channel, Post
from status_watcher.sandbox.store import Store, StoreEvent

_COLOUR = re.compile(r"#(?:[0-9a-fA-F]{3}){1,2}")
_NAMED_COLOURS = {"good": "#06d6a0", "warning": "#ffbc1f", "danger": "#d24b4e"}
_PLAIN_COLOUR = "#c8cacf"


class PageView:
    """Reads the store, changes nothing."""

    def __init__(self, store: Store, post_template: jinja2.Template) -> None:
        self._store = store
        self._post_template = post_template

    def team_name(self) -> str:
        return next((team.display_name for team in self._store.teams.values()), "Sandbox")

    def state(self) -> dict[str, Any]:
        """Everything on the page: `channels`, and `posts` oldest first."""
        posts = (post for channel in self._store.channels for post in self._store.posts_in(channel))
        return {
            "channels": self.channels(),
            "posts": [self.post(post) for post in sorted(posts, key=lambda post: post.create_at)],
        }

    def channels(self) -> list[dict[str, str]]:
        return [
            {"id": channel.id, "name": channel.name, "label": self._label(channel), "type": channel.type}
            for channel in self._store.channels.values()
            if not channel.delete_at
        ]

    def typing(self, event: StoreEvent) -> dict[str, str]:
        return {"channel_id": event.channel_id, "username": self._username(event.user_id)}

    def post(self, post: Post) -> dict[str, Any]:
        """Where the post belongs, and its HTML."""
        author = self._store.users.get(post.user_id)
        name = str(post.props.get("override_username") or self._username(post.user_id))
        html = self._post_template.render(
            post=post,
            author=name,
            initials=name[:2].upper(),
            hue=zlib.crc32(name.encode()) % 360,
            is_bot=bool(author and author.is_bot),
            is_system=post.type.startswith("system_"),
            created=datetime.fromtimestamp(post.create_at / 1000, UTC),
            text=_text(post),
            attachments=_attachments(post),
            reactions=_reactions(post),
        )
        return {
            "id": post.id,
            "channel_id": post.channel_id,
            "root_id": post.root_id,
            "create_at": post.create_at,
            "edit_at": post.edit_at,
            "html": html,
        }

    def _label(self, channel: Channel) -> str:
        if channel.type not in ("D", "G"):
            return channel.display_name or channel.name
        members = [self._store.users[user_id] for user_id in channel.members if user_id in self._store.users]
        people = [user.username for user in members if not user.is_bot]
        return (
            ", ".join(people or [user.username for user in members]) or channel.display_name or channel.name
        )

    def _username(self, user_id: str) -> str:
        user = self._store.users.get(user_id)
        return user.username if user else "someone"


def _text(post: Post) -> Markup:
    html = render_markdown(post.message).rstrip()
    if not post.edit_at:
        return Markup(html)  # noqa: S704 - render_markdown's promise is safe HTML
    edited = '<span class="edited">(edited)</span>'
    if html.endswith("</p>"):  # the client puts it behind the last words, where those are a paragraph
        html = f"{html.removesuffix('</p>')} {edited}</p>"
    else:
        html += edited
    return Markup(html)  # noqa: S704 - ditto


def _attachments(post: Post) -> list[dict[str, Any]]:
    attachments = post.props.get("attachments")
    if not isinstance(attachments, list):
        return []
    return [_attachment(attachment) for attachment in attachments if isinstance(attachment, dict)]


def _attachment(attachment: dict[str, Any]) -> dict[str, Any]:
    colour = str(attachment.get("color") or "")
    actions = attachment.get("actions") or []
    return {
        "colour": _NAMED_COLOURS.get(colour) or (colour if _COLOUR.fullmatch(colour) else _PLAIN_COLOUR),
        "pretext": Markup(render_markdown(str(attachment.get("pretext") or ""))),  # noqa: S704 - as in _text
        "title": str(attachment.get("title") or ""),
        "text": Markup(render_markdown(str(attachment.get("text") or ""))),  # noqa: S704 - as in _text
        "footer": str(attachment.get("footer") or ""),
        "buttons": [str(action.get("name") or "") for action in actions if isinstance(action, dict)],
    }


def _reactions(post: Post) -> list[tuple[str, int]]:
    counts: dict[str, int] = {}
    for reaction in post.reactions:
        counts[reaction.emoji_name] = counts.get(reaction.emoji_name, 0) + 1
    return [(EMOJI.get(name, f":{name}:"), count) for name, count in counts.items()]
