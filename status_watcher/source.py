"""The seam between a store of sessions and everything that folds them.

A source turns what lies on a disk into three kinds of news: a readable look at an agent's index, new lines of
a session, and the end of a transcript. Lines are the JSON documents themselves, as bytes: the file-backed
store (OpenClaw 2026.2 to 2026.7) cuts them out of `*.jsonl`, a database-backed one hands over its event rows.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Literal, Protocol

from status_watcher.core.index import StoreEntry
from status_watcher.model import AgentId, SessionId, SessionKey


class Reading(Enum):
    """How a batch of lines relates to what was handed over before."""

    FIRST = auto()
    """The first batch of this transcript in this run of the daemon."""
    MORE = auto()
    """Continues where the last batch ended."""
    AGAIN = auto()
    """The file shrank, was rewritten or replaced: read again from its beginning; known entries come again."""
    REPLACED = auto()
    """The store says which entries are the session's now (a rewind, a rewrite): these, from the first to the
    last slice of this reading, and no other that was handed over before.
    """


@dataclass(frozen=True, slots=True)
class Lines:
    """Complete lines of one transcript, in order, without their newline."""

    agent: AgentId
    session_id: SessionId
    """The header's id, which wins over the file's name (forked thread sessions have another name)."""
    lines: tuple[bytes, ...]
    reading: Reading
    head_skipped: bool = False
    """The transcript was too large to read whole: the lines start somewhere in its middle."""
    more_follows: bool = False
    """This batch is a slice of a longer read; the rest comes at once."""
    copied_until_ms: int = 0
    """Entries older than this were copied from another session (a fork, a rewind, a switch of branches) and
    make no turns here; 0 if none were. Told with the first batch of a reading from the beginning.
    """
    filed_as: SessionId | None = None
    """The session that the file's name, or the index, says it holds, where the header says another."""


@dataclass(frozen=True, slots=True)
class IndexSeen:
    """One readable look at an agent's index, whether it changed or not."""

    agent: AgentId
    entries: Mapping[SessionKey, StoreEntry]


@dataclass(frozen=True, slots=True)
class TranscriptGone:
    """The transcript of a session was archived or vanished; its unread lines have been handed over before."""

    agent: AgentId
    session_id: SessionId
    how: Literal["reset", "deleted", "missing"]
    at_ms: int = 0
    """When it was archived, by the archive's name; 0 if nothing tells."""


News = Lines | IndexSeen | TranscriptGone
Sink = Callable[[News], None]
"""Called on the event loop, must not block and must not raise."""


@dataclass(frozen=True, slots=True)
class WatchHealth:
    """What `/health` says of a source."""

    mode: Literal["inotify", "polling"]
    alive: bool
    problems: tuple[str, ...] = ()
    nothing_found: str = ""
    """That there is nothing to follow: a problem where no other source has found something."""
    stores: Mapping[AgentId, str] = field(default_factory=dict)
    """What each agent's sessions are read from: "files", or a database with the version of its schema."""


class Source(Protocol):
    """One store of sessions, followed until cancelled."""

    async def run(self, wanted: Iterable[tuple[AgentId, SessionId]], sink: Sink) -> None:
        """Hand over news for ever.

        `wanted` names sessions that must be read at start however old they are (their boxes are open); one of
        them that has no live transcript is looked up in its archive: handed over as lines, then as gone.
        """
        ...

    async def read_now(self) -> None:
        """Read once more whatever changed since the last look; called at shutdown, bounded by the caller."""
        ...

    def health(self) -> WatchHealth:
        """A snapshot, without I/O."""
        ...
