"""Decides, agent by agent, which store is followed, and notices when that changes."""

import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from status_watcher.core.filenames import INDEX_NAME, StoreIndex, Transcript, classify
from status_watcher.core.stores import (
    DatabaseLook,
    FilesLook,
    NoDatabase,
    SessionsInIt,
    Store,
    Unusable,
    choose,
    described,
)
from status_watcher.edge.index_file import Fresh, IndexFile
from status_watcher.edge.tail import Opener
from status_watcher.model import AgentId

DATABASE_NAME: Final = "agent/openclaw-agent.sqlite"
_SESSIONS: Final = "sessions"
_AHEAD_MS: Final = 86_400_000
"""A time further ahead is no clock's."""

_Stamp = tuple[tuple[int, int, int], ...]
"""Inode, size and time of each file that exists."""


@dataclass(frozen=True, slots=True)
class Forced:
    """The operator named files: `SESSIONS_JSON`, or a `TRANSCRIPT_DIR` that itself holds some."""

    variable: str
    index_path: str = ""
    """The index that counts, where the variable names one."""
    sessions_dir: str = ""
    """The real path of the directory that counts, where the variable names one."""


@dataclass(frozen=True, slots=True)
class _Known:
    agent_dir: str
    store: Store
    files: FilesLook | None
    database: DatabaseLook
    files_stamp: _Stamp
    database_stamp: _Stamp
    forced: bool


class StoreChoice:
    """The store that speaks for each agent. Its methods may be called from several threads."""

    def __init__(
        self,
        look_at_database: Callable[[str], DatabaseLook],
        forced: Forced | None,
        on_switch: Callable[[AgentId, Store], None],
    ) -> None:
        """`on_switch` runs on the thread that noticed it, before anybody acts on it."""
        self._look_at_database = look_at_database
        self._forced = forced
        self._on_switch = on_switch
        self._lock = threading.Lock()
        self._known: dict[AgentId, _Known] = {}

    def speaker(self, agent: AgentId, agent_dir: str) -> Store:
        """Who speaks for the agent now; looks at its directory, which may block."""
        with self._lock:
            known = self._known.get(agent)
            # Of another directory, nothing known says anything of this one.
            fresh = self._look(agent_dir, known if known is None or known.agent_dir == agent_dir else None)
            self._known[agent] = fresh
        if known is not None and known.store is not fresh.store:
            self._on_switch(agent, fresh.store)
        return fresh.store

    def current(self, agent: AgentId) -> Store | None:
        """Who spoke for the agent when somebody looked last; None if nobody ever did."""
        known = self._known.get(agent)
        return known.store if known is not None else None

    def stores(self) -> Mapping[AgentId, str]:
        """What `/health` says of each agent's store."""
        return {agent: described(k.store, k.database) for agent, k in sorted(self._known.items())}

    def problems(self) -> tuple[str, ...]:
        """What a person should know of these choices, one line each."""
        lines = []
        for agent, known in sorted(self._known.items()):
            match known.store, known.database:
                case Store.NEITHER, Unusable(reason=reason):
                    lines.append(
                        f"agent {agent}: its database cannot be used ({reason}) and its files are older: "
                        "showing nothing of it until one of them can be trusted"
                    )
                case Store.FILES, SessionsInIt(rows=rows) if rows and self._forced is not None:
                    if choose(known.files, known.database) is Store.DATABASE:
                        lines.append(
                            f"agent {agent}: its sessions are in openclaw-agent.sqlite now, but "
                            f"{self._forced.variable} names files: unset it to follow the database"
                        )
                case _:
                    pass
        return tuple(lines)

    def _look(self, agent_dir: str, known: _Known | None) -> _Known:
        forced = self._forced
        database_path = f"{agent_dir}/{DATABASE_NAME}"
        sessions = (forced.sessions_dir if forced is not None else "") or f"{agent_dir}/{_SESSIONS}"
        index_path = (forced.index_path if forced is not None else "") or f"{sessions}/{INDEX_NAME}"
        files_stamp = _stamp(index_path, sessions)
        database_stamp = _stamp(database_path, f"{database_path}-wal")
        if known is not None and not _may_differ(known, files_stamp, database_stamp):
            return known
        database = self._look_at_database(database_path)
        if isinstance(database, NoDatabase) and known is not None:
            database = _vanished(known.database)
        # Without a rival the files need no look.
        rival = isinstance(database, SessionsInIt | Unusable)
        files = _look_at_files(sessions, index_path) if rival else None
        store = choose(files, database) if forced is None else Store.FILES
        return _Known(agent_dir, store, files, database, files_stamp, database_stamp, forced is not None)


def _may_differ(known: _Known, files_stamp: _Stamp, database_stamp: _Stamp) -> bool:
    """Whether another look may decide otherwise: the store that speaks only becomes newer by being written.

    Forced files are looked past, so that a database which becomes newer is told.
    """
    if isinstance(known.database, Unusable) or (known.forced and files_stamp != known.files_stamp):
        return True
    match known.store:
        case Store.FILES:
            return database_stamp != known.database_stamp
        case Store.DATABASE:
            return files_stamp != known.files_stamp or _inode(database_stamp) != _inode(known.database_stamp)
        case _:
            return True


def _vanished(before: DatabaseLook) -> DatabaseLook:
    """A database that was there a moment ago is being replaced or restored: its last word still counts."""
    match before:
        case SessionsInIt(newest_ms=newest_ms):
            return Unusable("missing", newest_ms)
        case Unusable(changed_ms=changed_ms):
            return Unusable("missing", changed_ms)
        case _:
            return NoDatabase()


def _look_at_files(sessions: str, index_path: str) -> FilesLook | None:
    look = IndexFile(index_path, Opener(index_path.rpartition("/")[0], os.open)).look()
    if not isinstance(look, Fresh) and not any(_is_ours(name) for name in _names(sessions)):
        return None
    entries = look.index.entries.values() if isinstance(look, Fresh) else ()
    # One absurd time must not make a relic the newer word for ever.
    latest_ms = time.time() * 1000 + _AHEAD_MS
    times_ms = (entry.updated_at_ms for entry in entries)
    return FilesLook(max((ms for ms in times_ms if ms is not None and ms <= latest_ms), default=0))


def _is_ours(name: str) -> bool:
    return isinstance(classify(name), Transcript | StoreIndex)


def _names(directory: str) -> list[str]:
    try:
        with os.scandir(directory) as entries:
            return [entry.name for entry in entries]
    except OSError:
        return []


def _stamp(*paths: str) -> _Stamp:
    found = []
    for path in paths:
        try:
            status = Path(path).stat()
        except OSError:
            found.append((0, 0, 0))
        else:
            found.append((status.st_ino, status.st_size, status.st_mtime_ns))
    return tuple(found)


def _inode(stamp: _Stamp) -> int:
    return stamp[0][0]


def forced_by(transcript_dir: Path | None, sessions_json: Path | None) -> Forced | None:
    """Whether the configuration forces files; looks into the directory, may block."""
    holds = transcript_dir is not None and any(_is_ours(name) for name in _names(os.fspath(transcript_dir)))
    directory = os.path.realpath(transcript_dir) if transcript_dir is not None and holds else ""
    if sessions_json is not None:
        beside = os.path.realpath(sessions_json.parent)
        if transcript_dir is None:
            directory = beside
        return Forced("SESSIONS_JSON", f"{beside}/{sessions_json.name}", directory)
    return Forced("TRANSCRIPT_DIR", "", directory) if directory else None
