"""Which of OpenClaw's own Mattermost settings stand in for ours that are not set.

The URL does wherever ours is missing. The token is a secret, and goes only to the server that OpenClaw itself
sends it to: it does not stand in beside a URL of ours that is another one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import assert_never

from status_watcher.core.openclaw_config import (
    Absent,
    Given,
    HeldElsewhere,
    InFile,
    OpenclawConfig,
    Setting,
    Unset,
)
from status_watcher.edge.openclaw_file import NoOpenclawConfig

FILE_NAME = "openclaw.json"
ELSEWHERE = (
    "TRANSCRIPT_DIR or SESSIONS_JSON is outside of OpenClaw's state directory, so its settings are not used"
)


@dataclass(frozen=True, slots=True)
class Borrowed:
    """For each of `mm_url` and `mm_token` that was asked for: a value, or the reason why there is none."""

    values: Mapping[str, str] = field(repr=False)
    reasons: Mapping[str, str]


def borrow(
    config: OpenclawConfig | NoOpenclawConfig,
    given_url: str | None,
    *,
    token: bool,
    same: Callable[[str, str], bool],
) -> Borrowed:
    """The URL unless one is given, the token if it is asked for; `same` tells whether two URLs are one."""
    if isinstance(config, NoOpenclawConfig):
        reason = f"{FILE_NAME} {config.reason}"
        return Borrowed({}, {"mm_url": reason, "mm_token": reason})
    account = config.mattermost
    if not account.enabled:
        # Nobody talks to it any more (plugin 2026.9.5: `enabled: false` of the channel or the account).
        reason = f"{FILE_NAME} has Mattermost disabled, so its settings are not used"
        return Borrowed({}, {"mm_url": reason, "mm_token": reason})
    values: dict[str, str] = {}
    reasons: dict[str, str] = {}
    if given_url is None:
        _put("mm_url", account.base_url, config, values, reasons)
    if token:
        _put("mm_token", account.bot_token, config, values, reasons)
        own = account.base_url
        if given_url is not None and not (isinstance(own, Given) and same(own.text, given_url)):
            values.pop("mm_token", None)
            reasons.setdefault("mm_token", f"the one in {FILE_NAME} is for another server")
    return Borrowed(values, reasons)


def _put(
    name: str, setting: Setting, config: OpenclawConfig, values: dict[str, str], reasons: dict[str, str]
) -> None:
    what = "URL" if name == "mm_url" else "bot token"
    match setting:
        case Given(text):
            values[name] = text
        case Unset(variable):
            reasons[name] = f"{FILE_NAME} takes it from {variable}, which is not set here"
        case HeldElsewhere(source):
            reasons[name] = f"{FILE_NAME} refers to {source} for it"
        case Absent() | InFile():
            included = ", and a file that it includes cannot be read" if config.incomplete else ""
            reasons[name] = f"{FILE_NAME} has no {what} for Mattermost{included}"
        case _:
            assert_never(setting)
