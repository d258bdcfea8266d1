"""The calls about users and their teams, channels and typing."""

from aiohttp import web

from status_watcher.sandbox.call import OK, Answer, Call, endpoint, token_of
from status_watcher.sandbox.errors import NO_SUCH_TEAM, NO_SUCH_USER, PERMISSION, Refusal, body_invalid
from status_watcher.sandbox.rules import may_post_in
from status_watcher.sandbox.wire import VERSION, channel_json, team_json, user_etag, user_json

_USER = "/api/v4/users/{user_id:[A-Za-z0-9]+}"


def routes() -> list[web.RouteDef]:
    return [
        web.post("/api/v4/users/logout", endpoint(_logout)),
        web.post("/api/v4/users/ids", endpoint(_by_ids)),
        web.get("/api/v4/users/username/{username}", endpoint(_by_username)),
        web.get(_USER, endpoint(_get), allow_head=True),
        web.get(f"{_USER}/teams", endpoint(_teams)),
        web.get(f"{_USER}/channels", endpoint(_channels)),
        web.get(f"{_USER}/teams/{{team_id:[A-Za-z0-9]+}}/channels", endpoint(_team_channels)),
        web.get(f"{_USER}/status", endpoint(_status)),
        web.post(f"{_USER}/typing", endpoint(_typing)),
        web.get("/api/v4/teams/{team_id:[A-Za-z0-9]+}", endpoint(_team)),
        web.get("/api/v4/teams/name/{team_name}", endpoint(_team_by_name)),
    ]


def _get(call: Call) -> Answer | Refusal:
    user = call.store.users.get(call.param("user_id"))
    if user is None:
        return NO_SUCH_USER
    return Answer(user_json(user, to_self=user is call.user), etag=user_etag(user))


def _by_username(call: Call) -> Answer | Refusal:
    user = call.store.user_named(call.param("username"))
    if user is None:
        return NO_SUCH_USER
    return Answer(user_json(user, to_self=user is call.user), etag=user_etag(user))


def _by_ids(call: Call) -> Answer | Refusal:
    ids = call.body_ids("user_ids")
    if isinstance(ids, Refusal):
        return ids
    users = (call.store.users[user_id] for user_id in ids if user_id in call.store.users)
    return Answer([user_json(user, to_self=user is call.user) for user in users])


def _logout(call: Call) -> Answer:
    call.store.revoke_token(token_of(call.request))
    return Answer({"status": "OK"}, headers={"Set-Cookie": "MMAUTHTOKEN=; Path=/; Max-Age=0; HttpOnly"})


def _status(call: Call) -> Answer | Refusal:
    user_id = call.param("user_id")
    if user_id not in call.store.users:
        return NO_SUCH_USER
    return Answer({"user_id": user_id, "status": "online", "manual": False, "last_activity_at": 0})


def _typing(call: Call) -> Answer | Refusal:
    body = call.body_object("typing")
    if isinstance(body, Refusal):
        return body
    channel_id, parent_id = body.get("channel_id"), body.get("parent_id") or ""
    if not isinstance(channel_id, str) or not isinstance(parent_id, str):
        return body_invalid("channel_id")
    channel = call.store.channels.get(channel_id)
    if call.param("user_id") != call.user.id or channel is None or not may_post_in(call.user, channel):
        return PERMISSION
    call.store.typing(call.user.id, channel.id, parent_id)
    return OK


def _teams(call: Call) -> Answer | Refusal:
    if call.param("user_id") != call.user.id:
        return PERMISSION
    return Answer([team_json(team) for team in call.store.teams.values()])


def _team(call: Call) -> Answer | Refusal:
    team = call.store.teams.get(call.param("team_id"))
    return Answer(team_json(team)) if team else NO_SUCH_TEAM


def _team_by_name(call: Call) -> Answer | Refusal:
    named = (team for team in call.store.teams.values() if team.name == call.param("team_name"))
    team = next(named, None)
    return Answer(team_json(team)) if team else NO_SUCH_TEAM


def _channels(call: Call) -> Answer | Refusal:
    return _channels_in(call, None)


def _team_channels(call: Call) -> Answer | Refusal:
    return _channels_in(call, call.param("team_id"))


def _channels_in(call: Call, team_id: str | None) -> Answer | Refusal:
    """The channels that the user is in, those without a team included whichever team is asked for."""
    if call.param("user_id") != call.user.id:
        return PERMISSION
    channels = [
        channel
        for channel in call.store.channels.values()
        if call.user.id in channel.members
        and not channel.delete_at
        and (team_id is None or channel.team_id in ("", team_id))
    ]
    channels.sort(key=lambda channel: channel.display_name)
    at, newest = max(((max(c.last_post_at, c.create_at), c.id) for c in channels), default=(0, ""))
    etag = f"{VERSION}.{newest}.{at}.0.{len(channels)}" if newest else ""
    return Answer([channel_json(channel) for channel in channels], etag=etag)
