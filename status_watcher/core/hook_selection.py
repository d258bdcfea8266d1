"""Which hooks a gateway loads by its configuration, and what enabling one more changes for the others.

Three rules have been in force (read in the code of 2026.2.26, 2026.7.1 and 2026.9.6, and the last two seen at
work): at first the master switch alone, then named entries where the switch is not set, at last named entries
even where it is. Nothing on the disk says for sure which gateway will read the file, so all three are asked.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum

from status_watcher.core.openclaw_config import HookSettings

BUNDLED = ("boot-md", "bootstrap-extra-files", "command-logger", "compaction-notifier", "session-memory")
"""Shipped with OpenClaw 2026.2 to 2026.9."""


class Generation(Enum):
    """The rule in force; the value is the version that it was read in."""

    SWITCH = "2026.2.26"
    EITHER = "2026.7.1"
    NAMED = "2026.9.6"


@dataclass(frozen=True, slots=True)
class OtherHook:
    """A hook that a gateway could load; one of the workspace needs `enabled: true` of its own by now."""

    name: str
    in_workspace: bool = False


@dataclass(frozen=True, slots=True)
class Effect:
    """What changes for other hooks, each with the generations in which it does."""

    switched_off: Mapping[str, tuple[Generation, ...]]
    switched_on: Mapping[str, tuple[Generation, ...]]


def loads(hooks: HookSettings, hook: OtherHook, generation: Generation) -> bool:
    """Whether a gateway loads `hook`, if its other requirements are met."""
    flag = hooks.entries.get(hook.name)
    if hooks.enabled is False or flag is False:
        return False
    named = hook.name in hooks.entries
    opened = hooks.extra_dirs or hooks.open_installs
    match generation:
        case Generation.SWITCH:
            return hooks.enabled is True
        case Generation.EITHER:
            selected = hooks.enabled is True or opened or named
        case Generation.NAMED:
            selected = opened or named or (hooks.enabled is True and not hooks.entries)
    return selected and (flag is True or not hook.in_workspace)


def enabling(hooks: HookSettings, name: str, others: Mapping[str, bool] | None = None) -> HookSettings:
    """The settings after `name` has been enabled, and others given the flag in `others`."""
    return replace(hooks, enabled=True, entries={**hooks.entries, name: True, **(others or {})})


def effect(before: HookSettings, after: HookSettings, others: Iterable[OtherHook]) -> Effect:
    """What `after` changes for each of `others`."""
    off: dict[str, tuple[Generation, ...]] = {}
    on: dict[str, tuple[Generation, ...]] = {}
    for hook in others:
        for generation in Generation:
            was, becomes = loads(before, hook, generation), loads(after, hook, generation)
            if was and not becomes:
                off[hook.name] = (*off.get(hook.name, ()), generation)
            if becomes and not was:
                on[hook.name] = (*on.get(hook.name, ()), generation)
    return Effect(off, on)


def kept_as_they_are(hooks: HookSettings, name: str, others: Iterable[OtherHook]) -> dict[str, bool]:
    """The entries to add along with `name`'s so that each of `others` stays as it is.

    Where the generations disagree about one, the newest decides.
    """
    kept: dict[str, bool] = {}
    for hook in sorted(others, key=lambda hook: hook.name):
        chosen = min((None, True, False), key=lambda flag: _changes(hooks, name, hook, flag))
        if chosen is not None:
            kept[hook.name] = chosen
    return kept


def _changes(hooks: HookSettings, name: str, hook: OtherHook, flag: bool | None) -> list[bool]:
    """In which generations `hook` would change, the newest first, if its own entry said `flag`."""
    after = enabling(hooks, name, {} if flag is None else {hook.name: flag})
    return [loads(after, hook, g) != loads(hooks, hook, g) for g in reversed(Generation)]
