"""Calls under `/sandbox/` for tests and demos in another process: set faults, be a person, see what happened.

No token is asked for: the sandbox listens on loopback and holds nothing of worth.
"""

from collections.abc import Callable
from dataclasses import asdict, fields
from typing import Any

import orjson
from aiohttp import web

from status_watcher.sandbox.faults import Fault, Faults
from status_watcher.sandbox.store import Store
from status_watcher.sandbox.traffic import Traffic
from status_watcher.sandbox.wire import post_json


def routes(
    store: Store,
    faults: Faults,
    traffic: Traffic,
    person_id: str,
    violations: Callable[[float | None], list[str]],
) -> list[web.RouteDef]:
    """`person_id` is who posts where a request names no user."""

    async def add_fault(request: web.Request) -> web.Response:
        given = await _object(request)
        unknown = given.keys() - {field.name for field in fields(Fault)}
        if unknown:
            raise web.HTTPBadRequest(text=f"unknown fields: {', '.join(sorted(unknown))}\n")
        faults.add(Fault(**given))
        return _json({"status": "OK"})

    async def clear_faults(_request: web.Request) -> web.Response:
        faults.clear()
        return _json({"status": "OK"})

    async def post(request: web.Request) -> web.Response:
        given = await _object(request)
        channel_id, user_id = given.get("channel_id"), given.get("user_id", person_id)
        if channel_id not in store.channels or user_id not in store.users:
            raise web.HTTPBadRequest(text="unknown channel_id or user_id\n")
        made = store.post_as(
            user_id, channel_id, str(given.get("message", "")), str(given.get("root_id", ""))
        )
        return _json(post_json(store, made))

    async def posts(request: web.Request) -> web.Response:
        channel_id = request.query.get("channel_id")
        ids = [channel_id] if channel_id else list(store.channels)
        return _json([post_json(store, post) for id_ in ids for post in store.posts_in(id_)])

    async def channel(request: web.Request) -> web.Response:
        given = await _object(request)
        members = given.get("members") or list(store.users)
        made = store.add_channel(
            str(given.get("name", "channel")),
            type=given.get("type", "O"),
            id=given.get("id"),
            members=members,
        )
        return _json({"id": made.id})

    async def edits(_request: web.Request) -> web.Response:
        return _json([asdict(edit) for edit in store.edits])

    async def requests(_request: web.Request) -> web.Response:
        seen = (asdict(request) for request in traffic.requests)
        return _json([request | {"body": request["body"].decode("utf-8", "replace")} for request in seen])

    async def broken(request: web.Request) -> web.Response:
        throttle_s = request.query.get("throttle_s")
        return _json(violations(float(throttle_s) if throttle_s else None))

    return [
        web.post("/sandbox/faults", add_fault),
        web.delete("/sandbox/faults", clear_faults),
        web.post("/sandbox/posts", post),
        web.get("/sandbox/posts", posts),
        web.post("/sandbox/channels", channel),
        web.get("/sandbox/edits", edits),
        web.get("/sandbox/requests", requests),
        web.get("/sandbox/violations", broken),
    ]


async def _object(request: web.Request) -> dict[str, Any]:
    try:
        body = orjson.loads(await request.read())
    except orjson.JSONDecodeError:
        body = None
    if not isinstance(body, dict):
        raise web.HTTPBadRequest(text="the body is no JSON object\n")
    return body


def _json(payload: Any) -> web.Response:
    return web.Response(body=orjson.dumps(payload), content_type="application/json")
