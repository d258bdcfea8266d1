"""What `session.store` of openclaw.json means: a path of sessions.json, with `{agentId}` for each agent's id.

As OpenClaw 2026.7.1 resolves it (read in its code, seen on a live gateway): `~` is OpenClaw's home, and
transcripts lie beside the index. A path that does not name the agent is the store of all of them. 2026.9.6
takes a path that ends in OpenClaw's own layout for the database in it.
"""

import posixpath
import re
from dataclasses import dataclass
from typing import Final

from status_watcher.core.filenames import INDEX_NAME

AGENT: Final = "{agentId}"
_USUAL: Final = re.compile(rf"(.*)/agents/[^/]+/sessions/{re.escape(INDEX_NAME)}")


@dataclass(frozen=True, slots=True)
class UsualBelow:
    """OpenClaw's own layout, below another directory than its state directory perhaps.

    Also where one agent is named and has the sessions of all: the others' directories are empty then.
    """

    directory: str


@dataclass(frozen=True, slots=True)
class PerAgent:
    """One index for each agent, found among the children of a directory."""

    parent: str
    """The directory whose children are named for agents."""
    child: str
    """The name of such a child, with the mark for the agent."""
    below: str
    """The index, from there; "" if the child is it."""

    def agent_of(self, name: str) -> str:
        """Whom a child of that name is for, "" if for none."""
        before, _, after = self.child.partition(AGENT)
        agent = name[len(before) : len(name) - len(after)]
        return agent if agent and self.child.replace(AGENT, agent) == name else ""

    def index_of(self, agent: str) -> str:
        """The path of the agent's index."""
        parts = (self.parent, self.child, *([self.below] if self.below else []))
        return posixpath.join(*parts).replace(AGENT, agent)


@dataclass(frozen=True, slots=True)
class Single:
    """One index for all agents."""

    index_path: str


@dataclass(frozen=True, slots=True)
class Unplaced:
    """A relative path, which starts from where the gateway was started (nothing tells us where that is); or
    what can be no path at all: with a NUL, or with half a character.
    """

    setting: str


StorePlace = UsualBelow | PerAgent | Single | Unplaced


def store_place(setting: str, home: str) -> StorePlace:
    """What the setting says where `home` is OpenClaw's home directory."""
    if setting == "~" or setting.startswith("~/"):
        setting = home + setting[1:]
    if not setting.startswith("/") or not _can_be_a_path(setting):
        return Unplaced(setting)
    path = "/" + posixpath.normpath(setting).lstrip("/")
    if usual := _USUAL.fullmatch(path):
        return UsualBelow(usual[1] or "/")
    before, mark, after = path.partition(AGENT)
    if not mark:
        return Single(path)
    parent, _, start = before.rpartition("/")
    rest, _, below = after.partition("/")
    return PerAgent(parent or "/", start + mark + rest, below)


def _can_be_a_path(setting: str) -> bool:
    """No call of the system takes another one."""
    try:
        setting.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return "\0" not in setting
