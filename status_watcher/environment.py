"""What the environment says: texts, paths, and the directories that it names or implies.

An empty variable counts as not set, because that is how people switch off lines of an env file.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

PATH_VARIABLES = (
    "MM_TOKEN_FILE",
    "TRANSCRIPT_DIR",
    "SESSIONS_JSON",
    "OPENCLAW_STATE_DIR",
    "CLAWDBOT_STATE_DIR",
    "OPENCLAW_CONFIG_PATH",
    "OPENCLAW_HOME",
    "PID_FILE",
    "STATE_DIR",
    "TOOL_LABELS_FILE",
    "POLICY_FILE",
    "LABELS_FILE",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
)


@dataclass(frozen=True, slots=True)
class OpenclawPaths:
    """Where OpenClaw keeps its state and its configuration, by its own rules."""

    state_dir: Path
    config: Path


def openclaw_paths(
    env: Mapping[str, str], is_dir: Callable[[Path], bool] = os.path.isdir
) -> OpenclawPaths | None:
    """OpenClaw's state directory and configuration file; None where there is no home directory."""
    state_dir = _openclaw_state_dir(env, is_dir)
    if state_dir is None:
        return None
    named = text_of(env, "OPENCLAW_CONFIG_PATH")
    return OpenclawPaths(
        state_dir, path_of(env, "OPENCLAW_CONFIG_PATH") if named else state_dir / "openclaw.json"
    )


def with_absolute_paths(env: Mapping[str, str], cwd: Path) -> dict[str, str]:
    """`env` with relative paths made absolute, for a process with another working directory."""
    absolute = dict(env)
    for variable in PATH_VARIABLES:
        text = text_of(env, variable)
        if text and not text.startswith(("/", "~")):
            absolute[variable] = str(cwd / text)
    return absolute


def text_of(env: Mapping[str, str], variable: str) -> str:
    """The variable without blanks around it, empty where it is not set."""
    return env.get(variable, "").strip()


def path_of(env: Mapping[str, str], variable: str) -> Path:
    """The path in a variable; `~` is spelled out, which no shell does in systemd's and Docker's env files."""
    text = text_of(env, variable)
    home = text_of(env, "HOME")
    if home and (text == "~" or text.startswith("~/")):
        return Path(home + text[1:])
    return Path(text)


def state_dir_of(env: Mapping[str, str]) -> Path | None:
    """Our own; None where nothing tells."""
    if text_of(env, "STATE_DIR"):
        return path_of(env, "STATE_DIR")
    # systemd.exec(5): several directories are separated by colons.
    if first := text_of(env, "STATE_DIRECTORY").split(":", maxsplit=1)[0]:
        return Path(first)
    # XDG Base Directory Specification: a relative path is invalid and to be ignored.
    if (xdg := text_of(env, "XDG_STATE_HOME")).startswith("/"):
        return Path(xdg, "status-watcher")
    if home := text_of(env, "HOME"):
        return Path(home, ".local", "state", "status-watcher")
    return None


def _openclaw_state_dir(env: Mapping[str, str], is_dir: Callable[[Path], bool]) -> Path | None:
    """OpenClaw's own order (2026.2 to 2026.7): new and old variable, `~/.openclaw`, the old `~/.clawdbot`."""
    for variable in ("OPENCLAW_STATE_DIR", "CLAWDBOT_STATE_DIR"):
        if text_of(env, variable):
            return path_of(env, variable)
    if text_of(env, "OPENCLAW_HOME"):
        home = path_of(env, "OPENCLAW_HOME")
    elif text_of(env, "HOME"):
        home = path_of(env, "HOME")
    else:
        return None
    current, former = home / ".openclaw", home / ".clawdbot"
    return former if is_dir(former) and not is_dir(current) else current
