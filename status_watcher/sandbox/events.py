"""How store events look as WebSocket frames, and who gets them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, assert_never

import orjson

from status_watcher.sandbox.records import Post, StoreEvent
from status_watcher.sandbox.store import Store
from status_watcher.sandbox.wire import post_json, reaction_json


@dataclass(frozen=True, slots=True)
class Frame:
    """An event for one user, without its number in their connection."""

    user_id: str
    event: str
    data: dict[str, Any]
    broadcast: dict[str, Any]

    def numbered(self, seq: int) -> str:
        return orjson.dumps(
            {"event": self.event, "data": self.data, "broadcast": self.broadcast, "seq": seq}
        ).decode()


def broadcast(
    *, user_id: str = "", channel_id: str = "", omit_users: dict[str, bool] | None = None
) -> dict[str, Any]:
    return {
        "omit_users": omit_users,
        "user_id": user_id,
        "channel_id": channel_id,
        "team_id": "",
        "connection_id": "",
        "omit_connection_id": "",
    }


def frames(store: Store, event: StoreEvent) -> Iterator[Frame]:
    """The frames for the channel's members; each is told only of their own mention (9.9)."""
    name, data = _content(store, event)
    to_channel = broadcast(channel_id=event.channel_id)
    if event.kind == "typing":
        to_channel["omit_users"] = {event.user_id: True}
    elif event.kind == "post_deleted":
        to_channel["contains_sanitized_data"] = True
    for user_id in store.channels[event.channel_id].members:
        if event.kind == "typing" and user_id == event.user_id:
            continue
        own = {"mentions": orjson.dumps([user_id]).decode()} if user_id in event.mentioned else {}
        yield Frame(user_id, name, data | own, to_channel)


def _content(store: Store, event: StoreEvent) -> tuple[str, dict[str, Any]]:
    channel = store.channels[event.channel_id]
    match event.kind:
        case "posted":
            sender = f"@{store.users[event.user_id].username}"
            return event.kind, {
                "channel_display_name": sender if channel.type == "D" else channel.display_name,
                "channel_name": channel.name,
                "channel_type": channel.type,
                "post": _post(store, event.post),
                "sender_name": sender,
                "set_online": True,
                "team_id": channel.team_id,
            }
        case "post_edited":
            return event.kind, {"post": _post(store, event.post)}
        case "post_deleted":
            return event.kind, {"post": _post(store, event.post, metadata=False)}
        case "reaction_added" | "reaction_removed":
            reaction = reaction_json(event.reaction) if event.reaction else {}
            return event.kind, {"reaction": orjson.dumps(reaction).decode()}
        case "typing":
            return event.kind, {"parent_id": event.parent_id, "user_id": event.user_id}
        case "channel_created":
            if channel.type == "D":
                others = [user_id for user_id in channel.members if user_id != event.user_id]
                return "direct_added", {
                    "creator_id": event.user_id,
                    "teammate_id": next(iter(others), event.user_id),
                }
            return event.kind, {"channel_id": channel.id, "team_id": channel.team_id}
        case "member_added":
            return "user_added", {"team_id": channel.team_id, "user_id": event.user_id}
        case "member_removed":
            return "user_removed", {"remover_id": "", "user_id": event.user_id}
        case _:
            assert_never(event.kind)


def _post(store: Store, post: Post | None, *, metadata: bool = True) -> str:
    return orjson.dumps(post_json(store, post, metadata=metadata)).decode() if post else ""
