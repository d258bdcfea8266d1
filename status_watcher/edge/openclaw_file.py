"""Reading OpenClaw's configuration: `openclaw.json`, its includes, the `.env` beside it, secrets in files.

All reading goes through one function, so whoever calls decides what a disk is.
"""

import io
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import orjson
from dotenv import dotenv_values

from status_watcher.core.openclaw_config import (
    Absent,
    Given,
    HeldElsewhere,
    InFile,
    OpenclawConfig,
    Setting,
    parse_openclaw_config,
)
from status_watcher.core.openclaw_document import MAX_BYTES, NoDocument, read_document
from status_watcher.core.session_store import StorePlace
from status_watcher.edge.whole_file import read_whole

ReadFile = Callable[[Path], bytes | None]
"""The content of a file, None where it cannot be read or is too large."""

# It would name the lines of a file that is not ours, in a form that is not our log's.
logging.getLogger("dotenv.main").setLevel(logging.CRITICAL)


@dataclass(frozen=True, slots=True)
class NoOpenclawConfig:
    """There is no such file, or nothing can be made of it; `reason` follows its name and holds no value."""

    reason: str


def read_file(path: Path) -> bytes | None:
    """The content of a file of at most 1 MiB."""
    return read_whole(path, MAX_BYTES)


def read_openclaw_config(
    path: Path, state_dir: Path, env: Mapping[str, str], read: ReadFile = read_file
) -> OpenclawConfig | NoOpenclawConfig:
    """What the configuration at `path` says to a process with the environment `env`.

    Variables that `env` lacks are looked for in `.env` of the state directory, as OpenClaw does.
    """
    content = read(path)
    if content is None:
        return NoOpenclawConfig("is not there or cannot be read")
    document = read_document(content, str(path), lambda included: read(Path(included)))
    if isinstance(document, NoDocument):
        return NoOpenclawConfig(document.reason)
    known = _dotenv(read(state_dir / ".env")) | {name: text for name, text in env.items() if text.strip()}
    config = parse_openclaw_config(document, known)
    account = config.mattermost
    return replace(config, mattermost=replace(account, bot_token=_opened(account.bot_token, known, read)))


def read_sessions_store(
    path: Path | None, state_dir: Path | None, env: Mapping[str, str]
) -> StorePlace | None:
    """Where the configuration at `path` says that sessions are; None if it does not, or cannot be read."""
    found = read_openclaw_config(path, state_dir, env) if path is not None and state_dir is not None else None
    return found.sessions_store if isinstance(found, OpenclawConfig) else None


def _dotenv(content: bytes | None) -> dict[str, str]:
    text = (content or b"").decode("utf-8", "replace")
    return {
        name: value
        for name, value in dotenv_values(stream=io.StringIO(text), interpolate=False).items()
        if value
    }


def _opened(secret: Setting, env: Mapping[str, str], read: ReadFile) -> Setting:
    """The secret itself where it is in a file that we can read."""
    if not isinstance(secret, InFile):
        return secret
    home = env.get("OPENCLAW_HOME") or env.get("HOME") or ""
    path = home + secret.path[1:] if secret.path.startswith("~/") and home else secret.path
    content = read(Path(path)) if path.startswith("/") else None
    if content is None:
        return HeldElsewhere("a file that cannot be read here")
    if secret.pointer is None:
        text: object = content.decode("ascii", "replace").strip()
    else:
        text = _pointed_at(content, secret.pointer)
    return Given(text.strip()) if isinstance(text, str) and text.strip() else Absent()


def _pointed_at(content: bytes, pointer: str) -> object:
    """RFC 6901."""
    try:
        value: object = orjson.loads(content)
    except orjson.JSONDecodeError:
        return None
    for step in pointer.split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        value = value.get(key) if isinstance(value, dict) else None
    return value
