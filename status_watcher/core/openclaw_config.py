"""What we use of OpenClaw's configuration: agents' names, its Mattermost account, its store, its hooks.

Shapes as in the schemas of OpenClaw 2026.2.26, 2026.7.1 and 2026.9.6 and of `@openclaw/mattermost` 2026.7.1
and 2026.9.5. Anything of another shape counts as absent: the file is written for OpenClaw, which judges it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from status_watcher.core.openclaw_document import Document
from status_watcher.core.session_store import StorePlace, store_place
from status_watcher.model import AgentId

_DEFAULT_ACCOUNT: Final = "default"
_REFERENCE = re.compile(r"(\$?)\$\{([A-Z_][A-Z0-9_]*)\}")
_SHORTHAND = re.compile(r"\$([A-Z][A-Z0-9_]{0,127})")
"""`$NAME` as the whole of a secret: an older way to refer to the environment."""
_OLD_MARK = "secretref-env:"
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_SECRET_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]{0,127}")


@dataclass(frozen=True, slots=True)
class Given:
    """The value itself."""

    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Absent:
    """Neither the file nor the variable that OpenClaw reads instead has it."""


@dataclass(frozen=True, slots=True)
class Unset:
    """The file refers to an environment variable that is not set here."""

    variable: str


@dataclass(frozen=True, slots=True)
class InFile:
    """A secret in a file: its whole content, or what a JSON pointer finds in it."""

    path: str
    pointer: str | None


@dataclass(frozen=True, slots=True)
class HeldElsewhere:
    """A secret that OpenClaw alone can get at: from its own store, a command, or a provider unknown to us."""

    source: str


Setting = Given | Absent | Unset | InFile | HeldElsewhere


@dataclass(frozen=True, slots=True)
class MattermostAccount:
    """Where OpenClaw's Mattermost plugin talks to, and as whom: its default account's."""

    account: str = _DEFAULT_ACCOUNT
    base_url: Setting = Absent()
    bot_token: Setting = Absent()
    enabled: bool = True
    """The channel as a whole and this account: OpenClaw uses none that is switched off in one of the two."""


@dataclass(frozen=True, slots=True)
class HookSettings:
    """`hooks.internal`: the master switch, each entry's own, and what opens the selection to all hooks."""

    enabled: bool | None = None
    entries: Mapping[str, bool | None] = field(default_factory=dict)
    """By name, in the file's order; None = named without saying."""
    env: Mapping[str, Mapping[str, str]] = field(default_factory=dict, repr=False)
    """The `env` of each entry that has one: what OpenClaw hands to its handler."""
    extra_dirs: bool = False
    open_installs: bool = False
    """A hook pack is installed that does not say which hooks it has."""


@dataclass(frozen=True, slots=True)
class OpenclawConfig:
    """What we use of `openclaw.json`."""

    agent_names: Mapping[AgentId, str] = field(default_factory=dict)
    """The configured display name of each agent that has one."""
    mattermost: MattermostAccount = MattermostAccount()
    sessions_store: StorePlace | None = None
    """Where `session.store` puts sessions.json, if it is set."""
    workspaces: tuple[str, ...] = ()
    """Of all agents, as written."""
    hooks: HookSettings = HookSettings()
    incomplete: bool = False
    """A file that it includes could not be read."""


def parse_openclaw_config(document: Document, env: Mapping[str, str]) -> OpenclawConfig:
    """What `document` says where the environment is `env`; the document's own `env` block comes after it."""
    root = document.root
    known = _inline_env(_table(root.get("env"))) | {name: text for name, text in env.items() if text.strip()}
    agents = _table(root.get("agents"))
    store = _plain_text(_table(root.get("session")).get("store"), known)
    return OpenclawConfig(
        agent_names=_agent_names(agents, known),
        mattermost=_mattermost(root, known),
        sessions_store=store_place(store, _home(known)) if store is not None else None,
        workspaces=_workspaces(agents, known),
        hooks=_hooks(_table(_table(root.get("hooks")).get("internal")), known),
        incomplete=document.incomplete,
    )


def _home(env: Mapping[str, str]) -> str:
    return env.get("OPENCLAW_HOME", "").strip() or env.get("HOME", "").strip()


def _agents(agents: Mapping[str, object]) -> list[tuple[str, Mapping[str, object]]]:
    """Id and settings of each agent: `list` until 2026.7, `entries` by id in 2026.9."""
    listed = agents.get("list")
    found = [_table(agent) for agent in listed] if isinstance(listed, list) else []
    named = [(agent["id"], agent) for agent in found if isinstance(agent.get("id"), str)]
    pairs = [*named, *_table(agents.get("entries")).items()]
    return [(str(agent_id).strip().lower(), _table(agent)) for agent_id, agent in pairs]


def _agent_names(agents: Mapping[str, object], env: Mapping[str, str]) -> dict[AgentId, str]:
    names: dict[AgentId, str] = {}
    for agent_id, agent in _agents(agents):
        # The order of 2026.7.1's own list of agents.
        for name in (agent.get("name"), _table(agent.get("identity")).get("name")):
            if agent_id and (text := _plain_text(name, env)):
                names[AgentId(agent_id)] = text
                break
    return names


def _workspaces(agents: Mapping[str, object], env: Mapping[str, str]) -> tuple[str, ...]:
    settings = [_table(agents.get("defaults")), *(agent for _, agent in _agents(agents))]
    found = [_plain_text(agent.get("workspace"), env) for agent in settings]
    return tuple(dict.fromkeys(path for path in found if path))


def _mattermost(root: Mapping[str, object], env: Mapping[str, str]) -> MattermostAccount:
    channel = _table(_table(root.get("channels")).get("mattermost"))
    accounts = {
        str(name).strip().lower() or _DEFAULT_ACCOUNT: _table(account)
        for name, account in _table(channel.get("accounts")).items()
    }
    account = _default_account(channel, sorted(accounts), env)
    merged = {**channel, **accounts.get(account, {})}
    base_url, bot_token = _text(merged.get("baseUrl"), env), _secret(merged.get("botToken"), root, env)
    if account == _DEFAULT_ACCOUNT:
        # The plugin's own fallback, for this account alone.
        base_url = _or_variable(base_url, "MATTERMOST_URL", env)
        bot_token = _or_variable(bot_token, "MATTERMOST_BOT_TOKEN", env)
    enabled = channel.get("enabled") is not False and merged.get("enabled") is not False
    return MattermostAccount(account, base_url, bot_token, enabled)


def _default_account(channel: Mapping[str, object], listed: list[str], env: Mapping[str, str]) -> str:
    token = channel.get("botToken") or env.get("MATTERMOST_BOT_TOKEN")
    ids = [*listed, _DEFAULT_ACCOUNT] if channel.get("baseUrl") and token else listed
    preferred = channel.get("defaultAccount")
    if isinstance(preferred, str) and preferred.strip().lower() in ids:
        return preferred.strip().lower()
    return _DEFAULT_ACCOUNT if _DEFAULT_ACCOUNT in ids or not ids else ids[0]


def _or_variable(setting: Setting, variable: str, env: Mapping[str, str]) -> Setting:
    if isinstance(setting, Absent) and variable in env:
        return Given(env[variable].strip())
    return setting


def _secret(value: object, root: Mapping[str, object], env: Mapping[str, str]) -> Setting:
    if isinstance(value, str):
        text = value.strip()
        marked = text.removeprefix(_OLD_MARK) if text.startswith(_OLD_MARK) else ""
        if reference := _SHORTHAND.fullmatch(f"${marked}" if marked else text):
            return _from_env(reference[1], env)
        return _text(value, env)
    reference_to = _table(value)
    source, name = reference_to.get("source"), reference_to.get("id")
    if not isinstance(source, str) or not isinstance(name, str):
        return Absent() if not reference_to else HeldElsewhere("a reference of an unknown shape")
    match source:
        case "env":
            known = _SECRET_VARIABLE.fullmatch(name)
            return _from_env(name, env) if known else HeldElsewhere("a reference of an unknown shape")
        case "file":
            provider = _provider(reference_to.get("provider"), root)
            path = _plain_text(provider.get("path"), env)
            if path and provider.get("source") == "file":
                return InFile(path, None if provider.get("mode") == "singleValue" else name)
            return HeldElsewhere("a file of a provider that it does not describe")
        case "exec":
            return HeldElsewhere("a command")
        case "store":
            return HeldElsewhere("OpenClaw's secret store")
        case _:
            return HeldElsewhere("a source unknown to us")


def _provider(name: object, root: Mapping[str, object]) -> Mapping[str, object]:
    secrets = _table(root.get("secrets"))
    chosen = name if isinstance(name, str) else _table(secrets.get("defaults")).get("file")
    return _table(_table(secrets.get("providers")).get(chosen)) if isinstance(chosen, str) else {}


def _from_env(variable: str, env: Mapping[str, str]) -> Setting:
    text = env.get(variable, "").strip()
    return Given(text) if text else Unset(variable)


def _text(value: object, env: Mapping[str, str]) -> Setting:
    """A string with its `${NAME}` references replaced; `$${NAME}` stands for the characters `${NAME}`."""
    if not isinstance(value, str) or not value.strip():
        return Absent()
    for escape, variable in _REFERENCE.findall(value):
        if not escape and not env.get(variable):
            return Unset(variable)
    replaced = _REFERENCE.sub(lambda m: m[0][1:] if m[1] else env[m[2]], value)
    return Given(replaced.strip())


def _plain_text(value: object, env: Mapping[str, str]) -> str | None:
    setting = _text(value, env)
    return setting.text if isinstance(setting, Given) and setting.text else None


def _hooks(internal: Mapping[str, object], env: Mapping[str, str]) -> HookSettings:
    entries = {str(name).strip(): _table(entry) for name, entry in _table(internal.get("entries")).items()}
    extra = _table(internal.get("load")).get("extraDirs")
    installs = [_table(install) for install in _table(internal.get("installs")).values()]
    return HookSettings(
        enabled=_flag(internal.get("enabled")),
        entries={name: _flag(entry.get("enabled")) for name, entry in entries.items() if name},
        env={name: _entry_env(_table(entry.get("env")), env) for name, entry in entries.items()},
        extra_dirs=isinstance(extra, list) and any(isinstance(path, str) and path.strip() for path in extra),
        open_installs=any(not install.get("hooks") for install in installs),
    )


def _entry_env(block: Mapping[str, object], env: Mapping[str, str]) -> dict[str, str]:
    """What our handler makes of an entry's `env`: strings, numbers and booleans."""
    found: dict[str, str] = {}
    for name, value in block.items():
        if not _VARIABLE.fullmatch(name):
            continue
        if isinstance(value, bool):
            found[name] = str(value).lower()
        elif isinstance(value, int | float):
            found[name] = str(value)
        elif isinstance(value, str):
            found[name] = _plain_text(value, env) or value
    return found


def _inline_env(block: Mapping[str, object]) -> dict[str, str]:
    """`env` of the file itself: its strings, and those below `vars`."""
    found = {**block, **_table(block.get("vars"))}
    return {name: value for name, value in found.items() if isinstance(value, str) and value.strip()}


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _table(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}
