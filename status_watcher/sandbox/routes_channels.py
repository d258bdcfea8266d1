"""The calls about channels: by id, by name, direct ones, members, and the posts in them."""

from aiohttp import web

from status_watcher.sandbox.call import OK, Answer, Call, endpoint
from status_watcher.sandbox.errors import (
    DIRECT_USER_INVALID,
    NO_SUCH_CHANNEL,
    NO_SUCH_CHANNEL_NAME,
    NO_SUCH_MEMBER,
    NO_SUCH_TEAM,
    PERMISSION,
    Refusal,
    body_invalid,
    param_invalid,
)
from status_watcher.sandbox.records import Channel, Post
from status_watcher.sandbox.rules import may_read_channel
from status_watcher.sandbox.wire import VERSION, channel_json, member_json, post_etag, post_list_json

_POSTS_PER_PAGE = 60
_CHANNEL = "/api/v4/channels/{channel_id:[A-Za-z0-9]+}"
_NAME = "{channel_name:[A-Za-z0-9_.\\-]+}"


def routes() -> list[web.RouteDef]:
    return [
        web.post("/api/v4/channels/direct", endpoint(_direct)),
        web.post("/api/v4/channels/members/{user_id:[A-Za-z0-9]+}/view", endpoint(_view)),
        web.get(_CHANNEL, endpoint(_get)),
        web.get(f"{_CHANNEL}/posts", endpoint(_posts)),
        web.get(f"{_CHANNEL}/pinned", endpoint(_pinned)),
        web.get(f"{_CHANNEL}/members", endpoint(_members)),
        web.post(f"{_CHANNEL}/members", endpoint(_join)),
        web.get(f"{_CHANNEL}/members/{{user_id:[A-Za-z0-9]+}}", endpoint(_member)),
        web.delete(f"{_CHANNEL}/members/{{user_id:[A-Za-z0-9]+}}", endpoint(_leave)),
        web.get(
            "/api/v4/users/{user_id:[A-Za-z0-9]+}" + _CHANNEL.removeprefix("/api/v4") + "/unread",
            endpoint(_unread),
        ),
        web.get(f"/api/v4/teams/{{team_id:[A-Za-z0-9]+}}/channels/name/{_NAME}", endpoint(_by_name)),
        web.get(f"/api/v4/teams/name/{{team_name}}/channels/name/{_NAME}", endpoint(_by_names)),
    ]


def _channel(call: Call) -> Channel | Refusal:
    channel = call.store.channels.get(call.param("channel_id"))
    if channel is None:
        return NO_SUCH_CHANNEL
    return channel if may_read_channel(call.user, channel) else PERMISSION


def _get(call: Call) -> Answer | Refusal:
    channel = _channel(call)
    return channel if isinstance(channel, Refusal) else Answer(channel_json(channel))


def _direct(call: Call) -> Answer | Refusal:
    ids = call.body_ids("user_ids")
    if isinstance(ids, Refusal):
        return ids
    if len(ids) != 2:
        return body_invalid("user_ids")
    if any(user_id not in call.store.users for user_id in ids):
        return DIRECT_USER_INVALID
    if call.user.id not in ids:
        return PERMISSION
    other = ids[1] if ids[0] == call.user.id else ids[0]
    return Answer(channel_json(call.store.direct_channel(call.user.id, other)), status=201)


def _by_name(call: Call) -> Answer | Refusal:
    channel = call.store.channel_named(call.param("team_id"), call.param("channel_name"))
    if channel is None:
        return NO_SUCH_CHANNEL_NAME
    return Answer(channel_json(channel)) if may_read_channel(call.user, channel) else PERMISSION


def _by_names(call: Call) -> Answer | Refusal:
    named = (team for team in call.store.teams.values() if team.name == call.param("team_name"))
    team = next(named, None)
    if team is None:
        return NO_SUCH_TEAM
    channel = call.store.channel_named(team.id, call.param("channel_name"))
    if channel is None:
        return NO_SUCH_CHANNEL_NAME
    return Answer(channel_json(channel)) if may_read_channel(call.user, channel) else PERMISSION


def _posts(call: Call) -> Answer | Refusal:
    """A page of the channel, newest first; with `since`, all that changed after that time instead."""
    channel = _channel(call)
    if isinstance(channel, Refusal):
        return channel
    store, query = call.store, call.request.query
    if since := query.get("since"):
        if not since.isdigit():
            return param_invalid("since")
        return Answer(post_list_json(store, store.changed_since(channel.id, int(since))))
    newest_first = store.posts_in(channel.id)[::-1]
    ids = [post.id for post in newest_first]
    start, end = 0, len(ids)
    if (before := query.get("before")) in ids:
        start = ids.index(before) + 1
    if (after := query.get("after")) in ids:
        end = ids.index(after)
    per_page = min(_whole(query.get("per_page")) or _POSTS_PER_PAGE, 200)
    first = _whole(query.get("page")) * per_page
    if "after" in query:  # pages go away from the anchor
        start, end = max(0, end - first - per_page), max(0, end - first)
    else:
        start, end = start + first, min(end, start + first + per_page)
    shown = newest_first[start:end]
    return Answer(
        post_list_json(
            store,
            shown,
            prev_post_id=ids[end] if end < len(ids) and shown else "",
            next_post_id=ids[start - 1] if start and shown else "",
        ),
        etag=f"{VERSION}.{max((post.update_at for post in newest_first), default=0)}",
    )


def _whole(text: str | None) -> int:
    return int(text) if text is not None and text.isdigit() else 0


def _pinned(call: Call) -> Answer | Refusal:
    channel = _channel(call)
    if isinstance(channel, Refusal):
        return channel
    pinned: list[Post] = [post for post in call.store.posts_in(channel.id)[::-1] if post.is_pinned]
    etag = f"{VERSION}.{pinned[0].id}.{post_etag(pinned[0]).removeprefix(VERSION + '.')}" if pinned else ""
    return Answer(post_list_json(call.store, pinned), etag=etag)


def _members(call: Call) -> Answer | Refusal:
    channel = _channel(call)
    if isinstance(channel, Refusal):
        return channel
    return Answer([member_json(channel, member) for member in channel.members.values()])


def _member(call: Call) -> Answer | Refusal:
    channel = _channel(call)
    if isinstance(channel, Refusal):
        return channel
    member = channel.members.get(call.param("user_id"))
    return Answer(member_json(channel, member)) if member else NO_SUCH_MEMBER


def _join(call: Call) -> Answer | Refusal:
    """Anyone joins an open channel by themselves; members bring others into it."""
    body = call.body_object("channel_member")
    if isinstance(body, Refusal):
        return body
    user_id = body.get("user_id")
    if not isinstance(user_id, str) or user_id not in call.store.users:
        return body_invalid("user_id")
    channel = call.store.channels.get(call.param("channel_id"))
    if channel is None:
        return NO_SUCH_CHANNEL
    inside = call.user.id in channel.members
    if channel.type in "DG" or not (inside or (channel.type == "O" and user_id == call.user.id)):
        return PERMISSION
    return Answer(member_json(channel, call.store.add_member(channel.id, user_id)), status=201)


def _leave(call: Call) -> Answer | Refusal:
    channel = _channel(call)
    if isinstance(channel, Refusal):
        return channel
    if call.user.id not in channel.members or channel.type in "DG":
        return PERMISSION
    call.store.remove_member(channel.id, call.param("user_id"))
    return OK


def _view(call: Call) -> Answer | Refusal:
    body = call.body_object("channel_view")
    if isinstance(body, Refusal):
        return body
    channel = call.store.channels.get(str(body.get("channel_id", "")))
    if call.param("user_id") != call.user.id or channel is None or call.user.id not in channel.members:
        return PERMISSION
    call.store.view_channel(channel.id, call.user.id)
    return Answer({"status": "OK", "last_viewed_at_times": {channel.id: channel.last_post_at}})


def _unread(call: Call) -> Answer | Refusal:
    channel = _channel(call)
    if isinstance(channel, Refusal):
        return channel
    member = channel.members.get(call.param("user_id"))
    if member is None:
        return NO_SUCH_MEMBER
    if member.user_id != call.user.id:
        return PERMISSION
    return Answer(
        {
            "team_id": channel.team_id,
            "channel_id": channel.id,
            "msg_count": member.unread,
            "mention_count": member.mention_count,
            "mention_count_root": member.mention_count,
            "urgent_mention_count": 0,
            "msg_count_root": member.unread,
            "notify_props": {},
        }
    )
