"""The calls about posts: create, edit, delete, read, pin."""

from functools import partial
from typing import Any

from aiohttp import web

from status_watcher.sandbox.call import EXCHANGE, OK, Answer, Call, endpoint
from status_watcher.sandbox.dedup import InFlight
from status_watcher.sandbox.errors import CREATE_PENDING, NO_SUCH_POST, PERMISSION, Refusal, body_invalid
from status_watcher.sandbox.rules import (
    may_read_channel,
    own_post,
    postable_post,
    readable_post,
    refused_create,
    refused_edit,
    refused_props,
)
from status_watcher.sandbox.wire import post_etag, post_json, post_list_json

_TYPES: dict[str, tuple[type, ...]] = {
    "id": (str,),
    "channel_id": (str,),
    "root_id": (str,),
    "message": (str,),
    "type": (str,),
    "pending_post_id": (str,),
    "props": (dict,),
    "is_pinned": (bool,),
    "has_reactions": (bool,),
}


def routes() -> list[web.RouteDef]:
    return [
        web.post("/api/v4/posts", endpoint(_create)),
        web.post("/api/v4/posts/ids", endpoint(_by_ids)),
        web.get("/api/v4/posts/{post_id:[A-Za-z0-9]+}", endpoint(_get), allow_head=True),
        web.put("/api/v4/posts/{post_id:[A-Za-z0-9]+}", endpoint(_put)),
        web.delete("/api/v4/posts/{post_id:[A-Za-z0-9]+}", endpoint(_delete)),
        web.put("/api/v4/posts/{post_id:[A-Za-z0-9]+}/patch", endpoint(_patch)),
        web.post("/api/v4/posts/{post_id:[A-Za-z0-9]+}/pin", endpoint(partial(_pin, pinned=True))),
        web.post("/api/v4/posts/{post_id:[A-Za-z0-9]+}/unpin", endpoint(partial(_pin, pinned=False))),
        web.get("/api/v4/posts/{post_id:[A-Za-z0-9]+}/thread", endpoint(_thread)),
        web.get("/api/v4/posts/{post_id:[A-Za-z0-9]+}/edit_history", endpoint(_edit_history)),
    ]


def _post_body(call: Call) -> dict[str, Any] | Refusal:
    """A body whose known fields, where not null, have the types of a post."""
    body = call.body_object("post")
    if isinstance(body, Refusal):
        return body
    body = {name: value for name, value in body.items() if value is not None}
    if all(isinstance(body[name], types) for name, types in _TYPES.items() if name in body):
        return body
    return body_invalid("post")


def _create(call: Call) -> Answer | Refusal:
    body = _post_body(call)
    if isinstance(body, Refusal):
        return body
    pending_post_id = body.get("pending_post_id", "")
    pending = call.backend.pending
    if pending_post_id:
        match pending.seen(pending_post_id):
            case InFlight():
                return CREATE_PENDING
            case str(post_id):
                return _made_before(call, post_id)
            case None:
                pending.begin(pending_post_id)
    outcome = _create_first(call, body, pending_post_id)
    if pending_post_id:
        made = None if isinstance(outcome, Refusal) else outcome.payload["id"]
        EXCHANGE.get().settle = partial(pending.settle, pending_post_id, made)
    return outcome


def _made_before(call: Call, post_id: str) -> Answer | Refusal:
    post = call.store.posts[post_id]
    if not may_read_channel(call.user, call.store.channels[post.channel_id]):
        return PERMISSION
    return Answer(post_json(call.store, post, metadata=False) | {"pending_post_id": ""}, status=201)


def _create_first(call: Call, body: dict[str, Any], pending_post_id: str) -> Answer | Refusal:
    message, channel_id, root_id = (body.get(name, "") for name in ("message", "channel_id", "root_id"))
    settings = call.backend.settings
    refusal = refused_create(
        call.store,
        settings,
        call.user,
        channel_id=channel_id,
        root_id=root_id,
        type_=body.get("type", ""),
        message=message,
    ) or refused_props(settings, body.get("props"))
    if refusal:
        return refusal
    post = call.store.create_post(
        call.user.id,
        channel_id,
        message,
        root_id=root_id,
        props=body.get("props"),
        type=body.get("type", ""),
    )
    # Only the first answer carries it; the post as read later does not.
    return Answer(post_json(call.store, post) | {"pending_post_id": pending_post_id}, status=201)


def _patch(call: Call) -> Answer | Refusal:
    """Absent fields stay; `{}` is a new version too."""
    body = _post_body(call)
    if isinstance(body, Refusal):
        return body
    post = own_post(call.store, call.user, call.param("post_id"))
    if isinstance(post, Refusal):
        return post
    message, props = body.get("message"), body.get("props")
    settings = call.backend.settings
    refusal = refused_edit(call.store, settings, post, message=message, via="patch")
    if refusal := refusal or refused_props(settings, props):
        return refusal
    edited = call.store.edit_post(
        post.id,
        via="patch",
        message=message,
        props=props,
        is_pinned=body.get("is_pinned"),
        has_reactions=body.get("has_reactions"),
    )
    return Answer(post_json(call.store, edited))


def _put(call: Call) -> Answer | Refusal:
    """The whole post: absent fields become empty; place, author and times in the body are ignored."""
    body = _post_body(call)
    if isinstance(body, Refusal):
        return body
    if body.get("id") != call.param("post_id"):
        return body_invalid("id")
    post = own_post(call.store, call.user, call.param("post_id"))
    if isinstance(post, Refusal):
        return post
    message, props = body.get("message", ""), body.get("props", {})
    settings = call.backend.settings
    refusal = refused_edit(call.store, settings, post, message=message, via="put")
    if refusal := refusal or refused_props(settings, props):
        return refusal
    edited = call.store.edit_post(
        post.id,
        via="put",
        message=message,
        props=props,
        is_pinned=body.get("is_pinned", False),
        has_reactions=body.get("has_reactions", False),
    )
    return Answer(post_json(call.store, edited))


def _get(call: Call) -> Answer | Refusal:
    post = readable_post(call.store, call.user, call.param("post_id"))
    if isinstance(post, Refusal):
        return post
    return Answer(post_json(call.store, post), etag=post_etag(post))


def _delete(call: Call) -> Answer | Refusal:
    post = own_post(call.store, call.user, call.param("post_id"))
    if isinstance(post, Refusal):
        return post
    call.store.delete_post(post.id, call.user.id)
    return OK


def _by_ids(call: Call) -> Answer | Refusal:
    """The posts that exist, deleted ones too, newest first; unknown ids are left out."""
    ids = call.body_ids("post_ids")
    if isinstance(ids, Refusal):
        return ids
    store = call.store
    found = (store.posts[post_id] for post_id in dict.fromkeys(ids) if post_id in store.posts)
    shown = [post for post in found if may_read_channel(call.user, store.channels[post.channel_id])]
    shown.sort(key=lambda post: post.create_at, reverse=True)
    return Answer([post_json(store, post) for post in shown], headers={"First-Inaccessible-Post-Time": "0"})


def _pin(call: Call, *, pinned: bool) -> Answer | Refusal:
    """Any member may; it makes a history row and an event, like an edit."""
    post = postable_post(call.store, call.user, call.param("post_id"))
    if isinstance(post, Refusal):
        return post
    call.store.edit_post(post.id, is_pinned=pinned)
    return OK


def _thread(call: Call) -> Answer | Refusal:
    """The thread that the post is in, root first."""
    post = readable_post(call.store, call.user, call.param("post_id"))
    if isinstance(post, Refusal):
        return post
    root = call.store.posts[post.root_id or post.id]
    posts = [root, *call.store.replies(root.id)]
    last = posts[-1]
    return Answer(
        post_list_json(call.store, posts),
        etag=f"{post_etag(root).rsplit('.', 1)[0]}.{last.id}.{root.update_at}",
    )


def _edit_history(call: Call) -> Answer | Refusal:
    """Superseded versions, newest `edit_at` first, for the author alone and while the post stands."""
    post = call.store.posts.get(call.param("post_id"))
    if post is None or post.delete_at or post.user_id != call.user.id:
        return PERMISSION
    versions = call.store.history.get(post.id)
    if not versions:
        return NO_SUCH_POST
    newest_first = sorted(versions, key=lambda version: (version.edit_at, version.update_at), reverse=True)
    shown = [post_json(call.store, v, metadata=False, deleted_text=True) for v in newest_first]
    return Answer(shown)
