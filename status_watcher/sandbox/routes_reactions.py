"""The calls about reactions."""

from aiohttp import web

from status_watcher.sandbox.call import OK, Answer, Call, endpoint
from status_watcher.sandbox.emoji import EMOJI
from status_watcher.sandbox.errors import NO_SUCH_EMOJI, PERMISSION, Refusal, body_invalid
from status_watcher.sandbox.rules import postable_post, readable_post
from status_watcher.sandbox.wire import reaction_json

# Beside those that the page draws; a real server knows some four thousand.
# fmt: off
_ALSO_KNOWN = frozenset({
    "arrow_forward", "arrows_counterclockwise", "boom", "brain", "clap", "exploding_head", "fearful",
    "ghost", "hammer_and_wrench", "heart_eyes", "key", "link", "lobster", "lock", "mag",
    "man_technologist", "memo", "muscle", "nerd_face", "octagonal_sign", "package", "pencil2", "pray",
    "question", "repeat", "robot_face", "rocket", "scream", "sleeping", "stop_sign", "stopwatch",
    "tada", "technologist", "thinking", "thinking_face", "thumbsdown", "thumbsup", "warning", "wave",
    "white_check_mark", "woman_technologist", "wrench", "x", "yawning_face", "zap",
})
# fmt: on


def routes() -> list[web.RouteDef]:
    return [
        web.post("/api/v4/reactions", endpoint(_add)),
        web.get("/api/v4/posts/{post_id:[A-Za-z0-9]+}/reactions", endpoint(_of_post)),
        web.delete(
            "/api/v4/users/{user_id:[A-Za-z0-9]+}/posts/{post_id:[A-Za-z0-9]+}"
            "/reactions/{emoji:[A-Za-z0-9_+\\-]+}",
            endpoint(_remove),
        ),
    ]


def _add(call: Call) -> Answer | Refusal:
    body = call.body_object("reaction")
    if isinstance(body, Refusal):
        return body
    post_id, emoji = body.get("post_id"), body.get("emoji_name")
    if not isinstance(post_id, str) or not isinstance(emoji, str):
        return body_invalid("reaction")
    if body.get("user_id") != call.user.id:
        return PERMISSION
    post = postable_post(call.store, call.user, post_id)
    if isinstance(post, Refusal):
        return post
    if emoji not in EMOJI and emoji not in _ALSO_KNOWN:
        return NO_SUCH_EMOJI
    return Answer(reaction_json(call.store.add_reaction(call.user.id, post.id, emoji)))


def _of_post(call: Call) -> Answer | Refusal:
    """The reactions, or null where there are none."""
    post = readable_post(call.store, call.user, call.param("post_id"))
    if isinstance(post, Refusal):
        return post
    return Answer([reaction_json(reaction) for reaction in post.reactions] or None)


def _remove(call: Call) -> Answer | Refusal:
    if call.param("user_id") != call.user.id:
        return PERMISSION
    post = postable_post(call.store, call.user, call.param("post_id"))
    if isinstance(post, Refusal):
        return post
    call.store.remove_reaction(call.user.id, post.id, call.param("emoji"))
    return OK
