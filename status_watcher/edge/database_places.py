"""Where the agents' databases are, or would be: one per agent's directory."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from status_watcher.core.filenames import printable
from status_watcher.core.session_store import UsualBelow
from status_watcher.edge.database_connection import DATABASE_NAME
from status_watcher.edge.locate import Layout, children_of, is_directory, leads_out
from status_watcher.model import AgentId

_AGENTS: Final = "agents"
_SESSIONS: Final = "sessions"
_ONLY_AGENT: Final = "main"
"""What the agent of a directory is called that does not lie where OpenClaw puts it, as with files."""
_HOME: Final = "agent"
"""The directory in an agent's directory that its database is in."""


@dataclass(frozen=True, slots=True)
class DatabasePlace:
    """The place of one agent's database, as a real path; there may be none yet."""

    agent: AgentId
    agent_dir: str
    path: str
    exists: bool


@dataclass(frozen=True, slots=True)
class Places:
    """A look at the tree; another one may find more."""

    databases: tuple[DatabasePlace, ...] = ()
    watched: tuple[str, ...] = ()
    """Every directory whose events matter, those included in which what is missing yet would appear."""
    problems: tuple[str, ...] = ()
    missing: str = ""
    """That there is no database yet, and where."""


def find_databases(layout: Layout) -> Places:
    """The places that there are now. Blocking, never raises for what the file system says."""
    if isinstance(layout.store, UsualBelow):
        return find_databases(Layout(Path(layout.store.directory)))
    if layout.store is not None:
        return Places(missing=f"no {DATABASE_NAME} where session.store of openclaw.json leads to")
    start = layout.state_dir
    if layout.transcript_dir is not None:
        start = layout.transcript_dir
    elif layout.sessions_json is not None:
        start = layout.sessions_json.parent
    root = os.path.realpath(start)
    if not is_directory(root) and not (layout.transcript_dir is not None and root.endswith(f"/{_SESSIONS}")):
        return Places(missing=f"{printable(os.fspath(start))} is no directory yet")
    is_state_dir = start is layout.state_dir
    places = _below_agents(root, f"{root}/{_AGENTS}") if is_state_dir else _inside(root)
    if any(place.exists for place in places.databases):
        return places
    missing = f"no {DATABASE_NAME} below {printable(root)} yet"
    return Places(places.databases, places.watched, places.problems, missing)


def _inside(root: str) -> Places:
    """A state directory, `agents/`, an agent's directory, or its `sessions`, beside which it is."""
    children = {name for name, is_dir in children_of(root) if is_dir}
    name = root.rpartition("/")[2]
    if _AGENTS in children:
        return _below_agents(root, f"{root}/{_AGENTS}")
    if name == _SESSIONS:
        agent_dir = root.rpartition("/")[0] or "/"
        is_usual = Path(agent_dir).parent.name == _AGENTS
        return _of_agents(agent_dir, [agent_dir], name="" if is_usual else _ONLY_AGENT)
    if children & {_HOME, _SESSIONS}:
        return _of_agents(root, [root])
    if name == _AGENTS or any(
        is_directory(f"{root}/{child}/{inner}") for child in children for inner in (_HOME, _SESSIONS)
    ):
        return _below_agents(root, root)
    return Places(watched=(root,))


def _below_agents(root: str, agents: str) -> Places:
    real = os.path.realpath(agents)
    if not _is_below(root, real):
        return Places(problems=(leads_out(agents),))
    if not is_directory(real):
        return Places(watched=(root,))
    names = sorted(name for name, is_dir in children_of(real) if is_dir and not name.startswith("."))
    return _of_agents(root, [f"{real}/{name}" for name in names], nursery=real)


def _of_agents(root: str, agent_dirs: list[str], *, nursery: str = "", name: str = "") -> Places:
    databases, problems = [], []
    watched = [nursery] if nursery else []
    for agent_dir in agent_dirs:
        real_dir, home = os.path.realpath(agent_dir), os.path.realpath(f"{agent_dir}/{_HOME}")
        # A link to the file itself would leave its `-wal` where nobody looks for it.
        path = os.path.realpath(f"{home}/{DATABASE_NAME}")
        if not (_is_below(root, real_dir) and _is_below(root, home) and _is_below(root, path)):
            problems.append(leads_out(f"{agent_dir}/{_HOME}"))
            continue
        agent = AgentId(name or printable(agent_dir.rpartition("/")[2]))
        databases.append(DatabasePlace(agent, real_dir, path, Path(path).is_file()))
        watched += [path.rpartition("/")[0]] if is_directory(home) else [real_dir]
    return Places(tuple(databases), tuple(dict.fromkeys(watched)), tuple(problems))


def _is_below(root: str, real: str) -> bool:
    return real == root or real.startswith(root.rstrip("/") + "/")
