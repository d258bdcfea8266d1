"""Which settings the environment asks for, or everything that is wrong with them.

Every error is one line "VARIABLE: rule" and never holds a value: what was meant as a number may be somebody's
token. An empty variable counts as not set, because that is how people switch off lines of an env file;
`POST_TYPE` alone has a meaning when empty.

Where no variable gives Mattermost's URL or the token, OpenClaw's own configuration may (rule in `borrowed`).
"""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import orjson
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
)

from status_watcher import setting_values
from status_watcher.borrowed import ELSEWHERE, FILE_NAME, Borrowed, borrow
from status_watcher.core.labels import LabelErrors, load_labels
from status_watcher.core.naming import LinkHost
from status_watcher.edge.openclaw_file import read_openclaw_config
from status_watcher.edge.whole_file import read_whole
from status_watcher.environment import (
    PATH_VARIABLES,
    OpenclawPaths,
    openclaw_paths,
    path_of,
    state_dir_of,
    text_of,
)
from status_watcher.model import ChannelId
from status_watcher.policy_file import PolicyErrors, parse_policy
from status_watcher.proxies import RULE, UnusableProxy, proxy_for

LogLevel = Literal["debug", "info", "warning", "error", "critical"]

_MATTERMOST_MAX_POST_CHARS = 16_383
_SETTINGS_FILE_MAX_BYTES = 1 << 20

_ALIASES = {
    "mm_token": ("MM_TOKEN", "MM_TOKEN_FILE", "MATTERMOST_BOT_TOKEN", "MM_BOT_TOKEN"),
    "mm_url": ("MM_URL", "MATTERMOST_URL", "MM_BASE_URL"),
}


@dataclass(frozen=True, slots=True)
class ConfigErrors:
    """Everything that is wrong, one "VARIABLE: rule" each, in the order of the documentation."""

    lines: tuple[str, ...]


Count = Annotated[int, BeforeValidator(setting_values.whole_number)]


def _number(default: int, least: int, most: int, unit: str) -> Any:
    rule = f"must be a whole number of {unit} from {least} to {most}, digits only"
    return Field(default=default, ge=least, le=most, description=rule)


class Config(BaseModel):
    """Validated settings: a field is named for its variable, its description is the rule an error states."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, validate_default=False)

    mm_token: Annotated[SecretStr, AfterValidator(setting_values.token)] = Field(
        description="must be a bot token: 8 to 512 printable ASCII characters without spaces"
    )
    mm_url: Annotated[str, AfterValidator(setting_values.base_url)] = Field(
        description="must be an http(s) URL with a host, without user, password, query or fragment"
    )
    """Without a trailing slash and without `/api/v4`; the path of a sub-path installation is kept."""
    transcript_dir: Path | None = Field(default=None, description="must be a path")
    sessions_json: Path | None = Field(default=None, description="must be a path")
    openclaw_state_dir: Path | None = Field(default=None, description="must be a path")
    """None only when `transcript_dir` or `sessions_json` is set and there is no home directory."""
    openclaw_config_path: Path | None = Field(default=None, description="must be a path")
    """OpenClaw's `openclaw.json`, whether it exists or not; None where nothing tells."""
    throttle_ms: Count = _number(500, 50, 60_000, "milliseconds")
    edits_per_second: Count = _number(5, 0, 1000, "edits")
    """0 = no limit."""
    idle_timeout_s: Count = _number(60, 1, 86_400, "seconds")
    max_session_duration_s: Count = _number(1800, 0, 2_592_000, "seconds")
    """0 = never."""
    stall_model_s: Count = _number(300, 0, 86_400, "seconds")
    """0 = never."""
    stall_tool_s: Count = _number(300, 0, 86_400, "seconds")
    stall_tools: Annotated[Mapping[str, Count], BeforeValidator(setting_values.tool_times)] = Field(
        default_factory=dict,
        description="must be tools with whole seconds from 0 to 86400, like exec=900,browser=600",
    )
    """Those with a patience of their own, besides the ones that have one anyway."""
    stall_notify: Annotated[str, AfterValidator(setting_values.notified)] = Field(
        default="", description="must be off, on, or the name of one user"
    )
    """"" = off, "on", or a user's name."""
    max_status_lines: Count = _number(15, 1, 200, "lines")
    max_active_sessions: Count = _number(20, 1, 10_000, "boxes")
    max_message_chars: Count = _number(15_000, 500, _MATTERMOST_MAX_POST_CHARS, "characters")
    health_port: Count = Field(
        default=9090,
        ge=0,
        le=65_535,
        description="must be a port from 1 to 65535, or 0 for none, digits only",
    )
    health_host: Annotated[str, AfterValidator(setting_values.health_host)] = Field(
        default="127.0.0.1", description="must be an IP address or a host name"
    )
    health_token: Annotated[SecretStr, AfterValidator(setting_values.token)] | None = Field(
        default=None, description="must be 8 to 512 printable ASCII characters without spaces"
    )
    events_webhook_url: Annotated[SecretStr, AfterValidator(setting_values.event_url)] | None = Field(
        default=None, description="must be an http(s) URL with a host, without fragment"
    )
    loki_push_url: Annotated[SecretStr, AfterValidator(setting_values.event_url)] | None = Field(
        default=None, description="must be an http(s) URL with a host, without fragment"
    )
    log_level: Annotated[LogLevel, BeforeValidator(setting_values.log_level)] = Field(
        default="info", description="must be one of debug, info, warning, error, critical"
    )
    pid_file: Path = Field(default=Path("/tmp/status-watcher.pid"), description="must be a path")  # noqa: S108 - opened without following links, and only if it is ours
    state_dir: Path = Field(
        description="must be a directory (none of STATE_DIRECTORY, XDG_STATE_HOME and HOME tells a default)"
    )
    circuit_breaker_threshold: Count = _number(5, 1, 1000, "failures")
    circuit_breaker_cooldown_s: Count = _number(30, 1, 3600, "seconds")
    tool_labels_file: Path | None = Field(
        default=None, description="must be a readable file with one JSON object, at most 1 MiB"
    )
    # Mattermost 9.9 takes `custom_` from anybody and refuses `system_`; its column holds 26 characters.
    post_type: str = Field(
        default="custom_status_watcher",
        pattern=r"^(custom_[!-~]{1,19})?$",
        description="must be empty, or start with custom_ and have at most 26 printable characters",
    )
    on_deleted_post: Literal["quiet", "repost"] = Field(
        default="quiet", description="must be quiet or repost"
    )
    default_channel: Annotated[ChannelId, Field(pattern=r"^[a-z0-9]{26}$")] | None = Field(
        default=None, description="must be a channel id: 26 characters of a-z and 0-9"
    )
    policy_file: Path | None = Field(default=None, description="must be a readable file of at most 1 MiB")
    labels_file: Path | None = Field(default=None, description="must be a path")
    """It need not exist, or not yet."""
    link_hosts: Annotated[tuple[LinkHost, ...], BeforeValidator(setting_values.link_hosts)] = Field(
        default=(),
        description="must be hosts separated by commas, each with a port and an owner if need be: "
        "git.example.org, github.com/acme",
    )

    @property
    def secrets(self) -> tuple[str, ...]:
        """What neither a box nor the log may show; of the URLs those that may let in whoever knows them."""
        tokens = (self.mm_token, self.health_token)
        urls = (self.events_webhook_url, self.loki_push_url)
        found = [secret.get_secret_value() for secret in (*tokens, *urls) if secret is not None]
        return tuple(text for text in found if "://" not in text or re.search(r"@|\?|://[^/]*/.{8}", text))


def read_settings_file(path: Path) -> bytes | None:
    """The content of a file that a variable names, or None when it is unreadable or far too large."""
    return read_whole(path, _SETTINGS_FILE_MAX_BYTES)


def load(
    env: Mapping[str, str],
    *,
    read_file: Callable[[Path], bytes | None] = read_settings_file,
    is_dir: Callable[[Path], bool] = os.path.isdir,
) -> Config | ConfigErrors:
    """The settings that `env` asks for, or all errors at once.

    Looks at nothing but its arguments: files are read through `read_file` (None = unreadable), and `is_dir`
    tells whether OpenClaw's directory or only its predecessor's exists.
    """
    values: dict[str, object] = {}
    named: dict[str, str] = {}
    problems: dict[str, str] = {}
    for field in Config.model_fields:
        for variable in _ALIASES.get(field, (field.upper(),)):
            if text := text_of(env, variable):
                named[field] = variable
                values[field] = text
                break
    if named.get("mm_token") == "MM_TOKEN_FILE":
        values["mm_token"] = _token_in(read_file(path_of(env, "MM_TOKEN_FILE")))
    if "POST_TYPE" in env and not text_of(env, "POST_TYPE"):
        values["post_type"] = ""
    for field, variable in named.items():
        if variable in PATH_VARIABLES and field != "mm_token":
            values[field] = path_of(env, variable)
    values |= {"state_dir": state} if (state := state_dir_of(env)) else {}
    paths = openclaw_paths(env, is_dir)
    if paths is not None:
        values |= {"openclaw_state_dir": paths.state_dir, "openclaw_config_path": paths.config}
    elif "transcript_dir" not in values and "sessions_json" not in values:
        problems["openclaw_state_dir"] = "OPENCLAW_STATE_DIR: must be set where there is no home directory"
    problems |= _files(env, named, read_file)
    borrowed = _borrowed(env, values, paths, read_file)
    values |= borrowed.values
    proxies = _unusable_proxies(env, values)
    try:
        config = Config.model_validate(values)
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_context=False, include_input=False):
            field = str(detail["loc"][0])
            problems[field] = _line(field, named, borrowed)
    if problems or proxies:
        told = [problems[field].splitlines() for field in Config.model_fields if field in problems]
        return ConfigErrors((*(line for lines in told for line in lines), *proxies))
    return config


def load_state_dir(env: Mapping[str, str]) -> Path | ConfigErrors:
    """The state directory alone, which is all that `status` and `stop` need to find the daemon."""
    return state_dir_of(env) or ConfigErrors((_line("state_dir", {}),))


def _borrowed(
    env: Mapping[str, str],
    values: Mapping[str, object],
    paths: OpenclawPaths | None,
    read_file: Callable[[Path], bytes | None],
) -> Borrowed:
    """What stands in for a URL and a token that no variable gives."""
    given_url = values.get("mm_url")
    if "mm_token" in values and given_url is not None:
        return Borrowed({}, {})
    watched = [
        path for name in ("transcript_dir", "sessions_json") if isinstance(path := values.get(name), Path)
    ]
    if paths is None:
        return Borrowed({}, {})
    inside = all(path.is_relative_to(paths.state_dir) for path in watched)
    if not inside and not text_of(env, "OPENCLAW_CONFIG_PATH"):
        return Borrowed({}, dict.fromkeys(("mm_url", "mm_token"), ELSEWHERE))
    config = read_openclaw_config(paths.config, paths.state_dir, env, read_file)
    url = given_url if isinstance(given_url, str) else None
    return borrow(config, url, token="mm_token" not in values, same=_is_same_server)


def _unusable_proxies(env: Mapping[str, str], values: Mapping[str, object]) -> tuple[str, ...]:
    """Of the proxies that the URLs would go by; a URL that is none needs no proxy."""
    urls = (values.get(field) for field in ("mm_url", "events_webhook_url", "loki_push_url"))
    found: dict[str, None] = {}
    for url in urls:
        try:
            proxy = proxy_for(url, env) if isinstance(url, str) else None
        except ValueError:
            continue
        if isinstance(proxy, UnusableProxy):
            found[f"{proxy.variable}: {RULE}"] = None
    return tuple(found)


def _is_same_server(one: str, other: str) -> bool:
    try:
        return setting_values.base_url(one.strip()) == setting_values.base_url(other.strip())
    except ValueError:
        return False


def _files(
    env: Mapping[str, str], named: Mapping[str, str], read_file: Callable[[Path], bytes | None]
) -> dict[str, str]:
    """What is wrong with files whose content is a setting, by field; several lines for one that has them."""
    problems: dict[str, str] = {}
    if "tool_labels_file" in named:
        content = read_file(path_of(env, "TOOL_LABELS_FILE"))
        labels = load_labels(b"{}", content) if content is not None and _is_json_object(content) else None
        if labels is None:
            problems["tool_labels_file"] = _line("tool_labels_file", named)
        elif isinstance(labels, LabelErrors):
            errors = (error.removeprefix("labels file: ") for error in labels.errors)
            problems["tool_labels_file"] = "\n".join(f"TOOL_LABELS_FILE: {error}" for error in errors)
    if "policy_file" in named:
        content = read_file(path_of(env, "POLICY_FILE"))
        policy = parse_policy(content) if content is not None else None
        if policy is None:
            problems["policy_file"] = _line("policy_file", named)
        elif isinstance(policy, PolicyErrors):
            problems["policy_file"] = "\n".join(f"POLICY_FILE: {line}" for line in policy.lines)
    return problems


def _line(field: str, named: Mapping[str, str], borrowed: Borrowed | None = None) -> str:
    variable = named.get(field, field.upper())
    rule = Config.model_fields[field].description
    if field == "mm_token" and variable == "MM_TOKEN_FILE":
        rule = "must be a readable file with a bot token: 8 to 512 printable ASCII characters without spaces"
    elif borrowed is not None and field in borrowed.values:
        rule = f"{rule}; what {FILE_NAME} has is none"
    elif field in _ALIASES and field not in named:
        reason = borrowed.reasons.get(field) if borrowed is not None else None
        rule = f"is required ({reason}) and {rule}" if reason else f"is required and {rule}"
    return f"{variable}: {rule}"


def _token_in(content: bytes | None) -> str:
    # What is not ASCII becomes a character that the token's rule refuses.
    return (content or b"").decode("ascii", "replace").strip()


def _is_json_object(content: bytes | None) -> bool:
    try:
        return isinstance(orjson.loads(content or b""), dict)
    except orjson.JSONDecodeError:
        return False
