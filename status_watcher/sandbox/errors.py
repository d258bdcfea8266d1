"""The refusals of the API: status and error id as Mattermost 9.9 gives them, in words of our own."""

from dataclasses import dataclass

from status_watcher.sandbox.records import ID_CHARS


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not done: clients decide by `status` and `id`, `message` is for people."""

    status: int
    id: str
    message: str
    detail: str = ""
    clear_cookie: bool = False
    close_connection: bool = False


PERMISSION = Refusal(403, "api.context.permissions.app_error", "This user may not do that.")
SESSION_EXPIRED = Refusal(
    401, "api.context.session_expired.app_error", "No valid token came with the request.", clear_cookie=True
)
NO_TOKEN = Refusal(401, "api.context.session_expired.app_error", "No token came with the request.")
TOKEN_IN_QUERY = Refusal(401, "api.context.token_provided.app_error", "Tokens in the URL are not accepted.")

NO_SUCH_POST = Refusal(404, "app.post.get.app_error", "No such post.")
NO_SUCH_USER = Refusal(404, "app.user.missing_account.const", "No such user.")
NO_SUCH_TEAM = Refusal(404, "app.team.get_by_name.missing.app_error", "No such team.")
NO_SUCH_CHANNEL = Refusal(404, "app.channel.get.existing.app_error", "No such channel.")
NO_SUCH_CHANNEL_NAME = Refusal(404, "app.channel.get_by_name.missing.app_error", "No channel has that name.")
NO_SUCH_MEMBER = Refusal(404, "app.channel.get_member.missing.app_error", "No such member of the channel.")
NO_SUCH_EMOJI = Refusal(404, "app.emoji.get_by_name.no_result", "No emoji has that name.")

ROOT_INVALID = Refusal(400, "api.post.create_post.root_id.app_error", "The root is not a root post.")
ROOT_ELSEWHERE = Refusal(
    400, "api.post.create_post.channel_root_id.app_error", "The root is a post of another channel."
)
CREATE_IN_ARCHIVED = Refusal(
    400, "api.post.create_post.can_not_post_to_deleted.error", "The channel is archived."
)
PATCH_IN_ARCHIVED = Refusal(
    400, "api.post.patch_post.can_not_update_post_in_deleted.error", "The channel is archived."
)
PUT_IN_ARCHIVED = Refusal(
    400, "api.post.update_post.can_not_update_post_in_deleted.error", "The channel is archived."
)
MESSAGE_TOO_LONG = Refusal(400, "model.post.is_valid.msg.app_error", "The message is too long.")
PROPS_TOO_LONG = Refusal(400, "model.post.is_valid.props.app_error", "The props are too long.")
DIRECT_USER_INVALID = Refusal(
    400, "api.channel.create_direct_channel.invalid_user.app_error", "A direct channel needs two known users."
)

CREATE_PENDING = Refusal(
    500, "api.post.deduplicate_create_post.pending", "A create with this pending_post_id is still running."
)
NOT_SAVED = Refusal(500, "app.post.save.app_error", "The post could not be saved.")
NOT_UPDATED = Refusal(500, "app.post.update.app_error", "The post could not be updated.")


def edit_too_late(limit_s: int) -> Refusal:
    return Refusal(
        400,
        "api.post.update_post.permissions_time_limit.app_error",
        f"Posts may be edited for {limit_s} seconds only.",
    )


def body_invalid(name: str, *, too_large: bool = False) -> Refusal:
    """The request's body is not JSON, of the wrong shape, or lacks the field `name`."""
    return Refusal(
        400,
        "api.context.invalid_body_param.app_error",
        f"The body has no usable {name}.",
        close_connection=too_large,
    )


def url_param_invalid(name: str) -> Refusal:
    return Refusal(
        400,
        "api.context.invalid_url_param.app_error",
        f"{name} in the URL is not an id of {ID_CHARS} characters.",
    )


def param_invalid(name: str) -> Refusal:
    return Refusal(400, "api.context.invalid_param.app_error", f"{name} is not valid.")
