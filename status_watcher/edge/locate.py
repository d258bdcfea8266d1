"""Where the sessions directories are, found by what is inside."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from status_watcher.core.filenames import INDEX_NAME, StoreIndex, Transcript, classify, printable
from status_watcher.core.session_store import PerAgent, Single, UsualBelow
from status_watcher.model import AgentId

_AGENTS: Final = "agents"
_SESSIONS: Final = "sessions"
ONLY_AGENT: Final = AgentId("main")


@dataclass(frozen=True, slots=True)
class Layout:
    """What the operator said, if anything."""

    state_dir: Path
    """OpenClaw's state directory; counts when the other two are not set."""
    transcript_dir: Path | None = None
    """A sessions directory, an agent's directory, `agents/` or a state directory."""
    sessions_json: Path | None = None
    """The index of the only agent, if it does not lie beside the transcripts."""
    store: UsualBelow | PerAgent | Single | None = None
    """Where `session.store` of openclaw.json puts indexes and databases."""
    left: "Layout | None" = None
    """Where it put them before, if sessions are written there all the same: those indexes count as well."""

    @property
    def named(self) -> bool:
        """Whether the operator said it to us, rather than to OpenClaw."""
        return self.transcript_dir is not None or self.sessions_json is not None


@dataclass(frozen=True, slots=True)
class SessionsDir:
    """The sessions directory of one agent, as a real path."""

    agent: AgentId
    path: str
    index_path: str
    apart: bool = False
    """It lies where `session.store` says: beside it is nothing else of the agent."""
    aside: bool = False
    """It holds transcripts alone; another directory of the agent has the index, and tells it."""
    root: str = ""
    """What nothing is read outside of, where it is another than that of the whole look."""
    left_indexes: tuple[str, ...] = ()
    """Indexes of the agent at a place that was left and is still written to."""

    @property
    def agent_dir(self) -> str:
        """The directory that holds everything of the agent."""
        return self.path if self.apart else self.path.rpartition("/")[0]


@dataclass(frozen=True, slots=True)
class Located:
    """A look at the tree; another one may find more."""

    root: str
    """Nothing outside this directory is read, wherever links lead."""
    sessions: tuple[SessionsDir, ...] = ()
    nurseries: tuple[str, ...] = ()
    """Directories in which what is missing yet would appear."""
    problems: tuple[str, ...] = ()
    missing: str = ""
    """That there is nothing yet, and where."""
    others: tuple[SessionsDir, ...] = ()
    """Of agents whose sessions are told elsewhere: not followed here."""

    @property
    def watched(self) -> tuple[str, ...]:
        """Every directory whose events matter."""
        indexes = (path for place in self.sessions for path in (place.index_path, *place.left_indexes))
        index_dirs = (path.rpartition("/")[0] for path in indexes)
        return tuple(dict.fromkeys((*self.nurseries, *(place.path for place in self.sessions), *index_dirs)))


def locate(layout: Layout) -> Located:
    """The sessions directories there are now. Blocking, never raises for what the file system says."""
    if layout.transcript_dir is not None:
        start = layout.transcript_dir
    elif layout.sessions_json is not None:
        start = layout.sessions_json.parent
    else:
        start = layout.state_dir
    root = os.path.realpath(start)
    if not is_directory(root):
        return Located(root, missing=f"{printable(os.fspath(start))} is no directory yet")
    found = (
        _below_state(root)
        if layout.transcript_dir is None and layout.sessions_json is None
        else _inside(root)
    )
    if not found.sessions:
        found = replace(found, missing=f"no sessions directory below {printable(root)} yet")
    return found if layout.sessions_json is None else _with_index(found, layout.sessions_json)


def _inside(root: str) -> Located:
    """Tell the four forms apart; a directory with nothing telling in it goes by its name."""
    children = dict(children_of(root))
    if children.get(_AGENTS):
        return _below_state(root)
    if any(
        not is_dir and isinstance(classify(name), Transcript | StoreIndex)
        for name, is_dir in children.items()
    ):
        return _only(root, root)
    if children.get(_SESSIONS):
        return _below_agent(root, root)
    name = root.rpartition("/")[2]
    if name == _AGENTS or any(
        is_dir and is_directory(f"{root}/{child}/{_SESSIONS}") for child, is_dir in children.items()
    ):
        return _below_agents(root, root)
    return _only(root, root)


def _below_state(root: str) -> Located:
    agents = f"{root}/{_AGENTS}"
    return _below_agents(root, agents) if is_directory(agents) else Located(root, nurseries=(root,))


def _below_agents(root: str, agents: str) -> Located:
    real = within(root, agents)
    if real is None:
        return Located(root, problems=(leads_out(agents),))
    found = Located(root, nurseries=(real,))
    for name, is_dir in sorted(children_of(real)):
        if is_dir and not name.startswith("."):
            one = _below_agent(root, f"{real}/{name}")
            found = replace(
                found,
                sessions=(*found.sessions, *one.sessions),
                nurseries=(*found.nurseries, *one.nurseries),
                problems=(*found.problems, *one.problems),
            )
    return found


def _below_agent(root: str, agent: str) -> Located:
    sessions = f"{agent}/{_SESSIONS}"
    real_agent, real = within(root, agent), within(root, sessions)
    if real_agent is None or real is None:
        return Located(root, problems=(leads_out(sessions),))
    if not is_directory(real):
        return Located(root, nurseries=(real_agent,))
    name = AgentId(printable(agent.rpartition("/")[2]))
    return Located(root, (SessionsDir(name, real, f"{real}/{INDEX_NAME}"),))


def _only(root: str, sessions: str) -> Located:
    """A bare sessions directory; its agent's name is in its path, if it lies where OpenClaw puts it."""
    path = Path(sessions)
    is_usual = path.name == _SESSIONS and path.parent.parent.name == _AGENTS
    agent = AgentId(printable(path.parent.name)) if is_usual else ONLY_AGENT
    return Located(root, (SessionsDir(agent, sessions, f"{sessions}/{INDEX_NAME}"),))


def _with_index(found: Located, sessions_json: Path) -> Located:
    match found.sessions:
        case (only,):
            # The file itself is replaced by each rename, so only its directory is resolved.
            index_path = f"{os.path.realpath(sessions_json.parent)}/{sessions_json.name}"
            return replace(found, sessions=(replace(only, index_path=index_path),))
        case ():
            return found
        case _:
            problem = f"SESSIONS_JSON is for a single agent, and there are {len(found.sessions)}: not used"
            return replace(found, problems=(*found.problems, problem))


def within(root: str, path: str) -> str | None:
    """The real path, if it is the root or lies below it."""
    real = os.path.realpath(path)
    return real if real == root or real.startswith(root.rstrip("/") + "/") else None


def leads_out(path: str) -> str:
    return f"{printable(path)} leads out of the watched directory: not read"


def is_directory(path: str) -> bool:
    return os.path.isdir(path)  # noqa: PTH112 - Path.is_dir raises where a directory above may not be entered


def children_of(path: str) -> Iterator[tuple[str, bool]]:
    """Names and whether they are directories; nothing of a directory that cannot be read."""
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                yield entry.name, entry.is_dir()
    except OSError:
        return
