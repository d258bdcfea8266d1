"""`status-watcher hook`: the gateway's hook put in place, taken away, and how it stands.

Each command returns what to print; nothing is printed here. The configuration is written to only where the
operator asked for it.
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from status_watcher import __version__
from status_watcher.config import ConfigErrors, load, load_state_dir
from status_watcher.core.hook_selection import (
    BUNDLED,
    Generation,
    OtherHook,
    effect,
    enabling,
    kept_as_they_are,
    loads,
)
from status_watcher.core.openclaw_config import HookSettings, OpenclawConfig
from status_watcher.edge import hook_dir
from status_watcher.edge.bundled import HOOK_FILES, HOOK_NAME, read_hook
from status_watcher.edge.gateway_notice import remove_notes
from status_watcher.edge.hook_dir import HookCopy, Presence
from status_watcher.edge.lock import Holder, holder
from status_watcher.edge.openclaw_edit import Edited, enable_hooks
from status_watcher.edge.openclaw_file import NoOpenclawConfig, read_openclaw_config
from status_watcher.environment import OpenclawPaths, openclaw_paths, with_absolute_paths
from status_watcher.exit_codes import ExitCode

# -P: the working directory is OpenClaw's, and what lies there is no code of ours.
START_COMMAND = (sys.executable, "-P", "-m", "status_watcher")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command says: lines for standard output, complaints for standard error."""

    code: ExitCode
    lines: tuple[str, ...] = ()
    complaints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Standing:
    """What is on the disk about the hook."""

    copy: HookCopy
    config: OpenclawConfig | NoOpenclawConfig
    hooks: HookSettings
    others: tuple[OtherHook, ...]
    env: Mapping[str, str] = field(repr=False)
    """What the daemon would be started with, as far as this process can tell."""

    @property
    def enabled(self) -> bool:
        return all(loads(self.hooks, OtherHook(HOOK_NAME), generation) for generation in Generation)


def install(env: Mapping[str, str], *, enable: bool) -> Answer:
    """Copy the hook into the state directory, or bring an older copy up to date; say how to enable it."""
    paths = openclaw_paths(env)
    if paths is None:
        return _NOWHERE
    if not paths.state_dir.is_dir():
        return _failed(
            f"{paths.state_dir} is no directory; set up OpenClaw first, or name its state directory"
        )
    before = _standing(env, paths)
    path = before.copy.path
    copy = hook_dir.install(path, read_hook(), __version__, START_COMMAND)
    if isinstance(copy, hook_dir.Failed):
        return _failed(copy.reason)
    done = "up to date" if before.copy.current else f"installed (version {__version__})"
    lines = [f"{done}: {path}"]
    complaints: tuple[str, ...] = ()
    if before.enabled:
        if not before.copy.current:
            lines += [_enabled_in_words(before, paths), "restart the gateway to load it"]
    elif enable:
        wanted = {HOOK_NAME: True, **kept_as_they_are(before.hooks, HOOK_NAME, before.others)}
        edited = (
            enable_hooks(paths.config, wanted)
            if isinstance(before.config, OpenclawConfig)
            else NoOpenclawConfig(before.config.reason)
        )
        if not isinstance(edited, Edited):
            complaints = (f"{paths.config.name} was left as it is: {edited.reason}",)
            lines += _how_to_enable(before, paths)
        else:
            lines.append(f"enabled in {paths.config}; as it was before: {edited.backup}")
            lines += _for_others(wanted)
            lines.append("restart the gateway to load it")
    else:
        lines += _how_to_enable(before, paths)
    lines += _would_not_start(before)
    return Answer(ExitCode.FAILED if complaints else ExitCode.OK, tuple(lines), complaints)


def uninstall(env: Mapping[str, str]) -> Answer:
    """Remove our files from the state directory and the note that the hook has left the daemon; the
    configuration stays as it is.
    """
    paths = openclaw_paths(env)
    if paths is None:
        return _NOWHERE
    before = _standing(env, paths)
    path = before.copy.path
    match before.copy.presence:
        case Presence.ABSENT:
            return Answer(ExitCode.NOT_IN_THAT_STATE, complaints=(f"not installed in {paths.state_dir}",))
        case Presence.FOREIGN:
            return _failed(f"{path} is not this hook; left alone")
        case Presence.OURS:
            pass
    removed = hook_dir.uninstall(path, HOOK_FILES)
    if isinstance(removed, hook_dir.Failed):
        return _failed(removed.reason)
    _remove_notes(before.env, paths.state_dir)
    lines = [f"removed: {path}"]
    if removed.left:
        lines.append(f"left there, not ours: {', '.join(removed.left)}")
    if HOOK_NAME in before.hooks.entries:
        # OpenClaw's own command does not know a hook that is not there.
        lines.append(f"{paths.config.name} still names it; its entry in hooks.internal.entries can go")
    if _daemon(before.env) is not None:
        lines.append("the daemon still runs: `status-watcher stop` ends it")
    return Answer(ExitCode.OK, tuple(lines))


def status(env: Mapping[str, str], *, as_json: bool) -> Answer:
    """Whether the hook is installed, up to date and enabled, what it keeps from loading, and the daemon."""
    paths = openclaw_paths(env)
    if paths is None:
        return _NOWHERE
    now = _standing(env, paths)
    installed = now.copy.presence is Presence.OURS
    code = ExitCode.OK if installed else ExitCode.NOT_IN_THAT_STATE
    if as_json:
        return Answer(code, (json.dumps(_as_document(now)),))
    match now.copy.presence:
        case Presence.OURS:
            by = f"version {now.copy.version}" if now.copy.version else "copied by hand"
            how = "up to date" if now.copy.current else "out of date, run `status-watcher hook install`"
            lines = [f"installed ({by}, {how}): {now.copy.path}"]
        case Presence.FOREIGN:
            lines = [f"not installed, and something else is in its place: {now.copy.path}"]
        case Presence.ABSENT:
            lines = [f"not installed in {paths.state_dir}"]
    lines.append(_enabled_in_words(now, paths))
    if kept_out := _kept_out(now):
        lines.append("not loaded because this hook is named and they are not: " + _by_version(kept_out))
    found = _daemon(now.env)
    pid = found.record.pid if found is not None and found.record is not None else None
    lines.append("daemon not running" if found is None else f"daemon running (PID {pid or 'not known yet'})")
    lines += _would_not_start(now)
    return Answer(code, tuple(lines))


_NOWHERE = Answer(
    ExitCode.BAD_CONFIG, complaints=("OPENCLAW_STATE_DIR: must be set where there is no home directory",)
)


def _standing(env: Mapping[str, str], paths: OpenclawPaths) -> _Standing:
    config = read_openclaw_config(paths.config, paths.state_dir, env)
    known = config if isinstance(config, OpenclawConfig) else OpenclawConfig()
    path = hook_dir.hook_path(paths.state_dir, HOOK_NAME)
    copy = hook_dir.look(path, read_hook(), __version__, START_COMMAND)
    # As the handler does it: an empty string does not replace what is set.
    entry = {name: text for name, text in known.hooks.env.get(HOOK_NAME, {}).items() if text}
    daemon_env = with_absolute_paths({**env, **entry}, paths.state_dir)
    return _Standing(copy, config, known.hooks, _others(known, paths.state_dir, env), daemon_env)


def _others(config: OpenclawConfig, state_dir: Path, env: Mapping[str, str]) -> tuple[OtherHook, ...]:
    home = env.get("OPENCLAW_HOME") or env.get("HOME") or "/"
    workspaces = [Path(home + text[1:] if text.startswith("~/") else text) for text in config.workspaces]
    workspaces += sorted(state_dir.glob("workspace*"))
    managed = hook_dir.hooks_in(state_dir / "hooks")
    elsewhere = {name for workspace in workspaces for name in hook_dir.hooks_in(workspace / "hooks")}
    names = {*BUNDLED, *managed, *config.hooks.entries, *elsewhere} - {HOOK_NAME}
    own = {*BUNDLED, *managed}
    return tuple(OtherHook(name, name in elsewhere and name not in own) for name in sorted(names))


def _remove_notes(env: Mapping[str, str], openclaw: Path) -> None:
    """A gateway that runs on has its hook loaded still, which leaves none once its files are gone."""
    state_dir = load_state_dir(env)
    if not isinstance(state_dir, ConfigErrors):
        remove_notes(state_dir, openclaw)


def _daemon(env: Mapping[str, str]) -> Holder | None:
    state_dir = load_state_dir(env)
    found = None if isinstance(state_dir, ConfigErrors) else holder(state_dir)
    return found if isinstance(found, Holder) else None


def _how_to_enable(now: _Standing, paths: OpenclawPaths) -> list[str]:
    """The command of OpenClaw's own where it changes nothing else; the exact entries where it would."""
    after = enabling(now.hooks, HOOK_NAME)
    changes = effect(now.hooks, after, now.others)
    lines = [f"not enabled yet; OpenClaw's own way is `openclaw hooks enable {HOOK_NAME}`"]
    if changes.switched_off:
        lines.append("that would keep other hooks from loading: " + _by_version(changes.switched_off))
    if changes.switched_on:
        lines.append("that would let other hooks load: " + _by_version(changes.switched_on))
    if changes.switched_off or changes.switched_on:
        wanted = {HOOK_NAME: True, **kept_as_they_are(now.hooks, HOOK_NAME, now.others)}
        entries = {name: {"enabled": flag} for name, flag in wanted.items()}
        lines.append(
            f"to leave them as they are, merge this into {paths.config} "
            "(`status-watcher hook install --enable` does it):"
        )
        lines += json.dumps(
            {"hooks": {"internal": {"enabled": True, "entries": entries}}}, indent=2
        ).splitlines()
    else:
        lines.append(
            "it changes nothing for other hooks; `status-watcher hook install --enable` does the same"
        )
    lines.append("hooks that come with plugins cannot be seen from here: `openclaw hooks list` shows them")
    lines.append("then restart the gateway")
    return lines


def _for_others(wanted: Mapping[str, bool]) -> list[str]:
    others = {name: flag for name, flag in wanted.items() if name != HOOK_NAME}
    return [
        f"named as well, so that they {what}: {', '.join(names)}"
        for flag, what in ((True, "go on loading"), (False, "stay off"))
        if (names := [name for name, enabled in others.items() if enabled is flag])
    ]


def _kept_out(now: _Standing) -> Mapping[str, tuple[Generation, ...]]:
    without = {name: flag for name, flag in now.hooks.entries.items() if name != HOOK_NAME}
    if not now.enabled or HOOK_NAME not in now.hooks.entries:
        return {}
    before = HookSettings(
        now.hooks.enabled, without, extra_dirs=now.hooks.extra_dirs, open_installs=now.hooks.open_installs
    )
    return effect(before, now.hooks, now.others).switched_off


def _by_version(hooks: Mapping[str, tuple[Generation, ...]]) -> str:
    """`a, b (2026.9.6)`: hooks with the versions whose rule it is."""
    by_rule: dict[tuple[Generation, ...], list[str]] = {}
    for name, generations in hooks.items():
        by_rule.setdefault(generations, []).append(name)
    return "; ".join(
        f"{', '.join(names)} (as in {', '.join(generation.value for generation in generations)})"
        for generations, names in by_rule.items()
    )


def _enabled_in_words(now: _Standing, paths: OpenclawPaths) -> str:
    name = paths.config.name
    if isinstance(now.config, NoOpenclawConfig):
        return f"not known whether it is enabled: {name} {now.config.reason}"
    if now.enabled:
        return f"enabled in {name}" + (
            "" if HOOK_NAME in now.hooks.entries else ", which lets every hook load"
        )
    if now.hooks.enabled is False:
        return f"not enabled: hooks.internal.enabled is false in {name}"
    if now.hooks.entries.get(HOOK_NAME) is False:
        return f"not enabled: its entry in {name} says so"
    some = [g.value for g in Generation if loads(now.hooks, OtherHook(HOOK_NAME), g)]
    only = f" (only gateways like {', '.join(some)} load it)" if some else ""
    return f"not enabled in {name}{only}: `status-watcher hook install` tells how"


def _would_not_start(now: _Standing) -> list[str]:
    """What is wrong with the settings, if this process's environment is the gateway's."""
    result = load(now.env)
    if not isinstance(result, ConfigErrors):
        return []
    return ["with this environment the daemon would not start:", *(f"  {line}" for line in result.lines)]


def _as_document(now: _Standing) -> dict[str, Any]:
    found = _daemon(now.env)
    record = found.record if found is not None else None
    result = load(now.env)
    return {
        "installed": now.copy.presence is Presence.OURS,
        "path": str(now.copy.path),
        "version": now.copy.version,
        "up_to_date": now.copy.current,
        "enabled": now.enabled if isinstance(now.config, OpenclawConfig) else None,
        "loaded_as_in": [g.value for g in Generation if loads(now.hooks, OtherHook(HOOK_NAME), g)],
        "not_loaded": {name: [g.value for g in rules] for name, rules in _kept_out(now).items()},
        "daemon": {"running": found is not None, "pid": record.pid if record is not None else None},
        "problems": list(result.lines) if isinstance(result, ConfigErrors) else [],
    }


def _failed(reason: str) -> Answer:
    return Answer(ExitCode.FAILED, complaints=(reason,))
