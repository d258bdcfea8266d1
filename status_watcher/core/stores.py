"""Which store tells an agent's sessions: files (OpenClaw 2026.2 to 2026.7), or a database (since 2026.8).

Decided by what the stores hold, never by a version's name: agents of one installation are migrated one by
one, and a restored installation may have both, one of them a relic.
"""

from dataclasses import dataclass
from enum import Enum, auto
from typing import assert_never


class Store(Enum):
    """Who speaks for an agent; NEITHER waits until one of them can be trusted."""

    FILES = auto()
    DATABASE = auto()
    NEITHER = auto()


@dataclass(frozen=True, slots=True)
class FilesLook:
    """A look at a `sessions` directory that has an index or transcripts."""

    newest_ms: int
    """The newest `updatedAt` of the index, or 0."""


@dataclass(frozen=True, slots=True)
class NoDatabase:
    """There is no `openclaw-agent.sqlite`."""


@dataclass(frozen=True, slots=True)
class NoSessionsInIt:
    """A database without tables for sessions, as 2026.7.1 keeps one for the agent's memory."""


@dataclass(frozen=True, slots=True)
class SessionsInIt:
    """A database that we can follow."""

    schema_version: int
    app_version: str
    """Of OpenClaw, "" if it does not say."""
    newest_ms: int
    """The newest `updated_at` of its sessions, or 0."""
    rows: int
    """How many sessions it has."""


@dataclass(frozen=True, slots=True)
class Unusable:
    """A database of which we do not know whether it tells sessions: unreadable, or of an unknown schema."""

    reason: str
    changed_ms: int
    """When its files were written last."""


DatabaseLook = NoDatabase | NoSessionsInIt | SessionsInIt | Unusable


def choose(files: FilesLook | None, database: DatabaseLook) -> Store:
    """The store whose word is newer; a tie goes to the database, which is how an import looks.

    An unusable database may hold what is going on now: unless the files are newer, nobody speaks rather than
    somebody wrong. With no files at all the database is the one to wait for.
    """
    match database:
        case NoDatabase() | NoSessionsInIt():
            return Store.FILES
        case SessionsInIt(newest_ms=newest_ms, rows=rows):
            if files is None:
                return Store.DATABASE
            return Store.DATABASE if rows and newest_ms >= files.newest_ms else Store.FILES
        case Unusable(changed_ms=changed_ms):
            if files is None:
                return Store.DATABASE
            return Store.FILES if files.newest_ms >= changed_ms else Store.NEITHER
        case _:
            assert_never(database)


def described(store: Store, database: DatabaseLook) -> str:
    """What `/health` names as the place that an agent's sessions are read from."""
    match store, database:
        case Store.DATABASE, SessionsInIt(schema_version=version, app_version=app):
            return f"sqlite, schema {version}" + (f" (OpenClaw {app})" if app else "")
        case Store.DATABASE, _:
            return "sqlite, not readable yet"
        case Store.FILES, _:
            return "files"
        case _:
            return "none: see problems"
