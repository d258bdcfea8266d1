"""One agent's database, followed: looks off the event loop, news on it."""

import time
from collections.abc import Callable
from functools import partial
from typing import Final, assert_never

from status_watcher.core.stores import SessionsInIt, Store, Unusable, described
from status_watcher.edge.database_connection import changed_ms
from status_watcher.edge.database_places import DatabasePlace
from status_watcher.edge.database_schema import Schema
from status_watcher.edge.database_sessions import DatabaseCounters, DatabaseSessions, Seen, Waiting
from status_watcher.edge.intervals import EVENT_LAG_S, GONE_S, INDEX_AGAIN_S
from status_watcher.edge.jobs import Job
from status_watcher.edge.lookout import Shared
from status_watcher.model import SessionId
from status_watcher.source import IndexSeen

_RETRIES_S: Final = (0.05, 0.2, 0.5)
_INDEX_PAUSE_S: Final = 0.00005
"""Between two tellings of an index, for each of its entries: whoever is told goes through all of them."""
_TROUBLE_S: Final = 1.0
"""A writer that locks its database for a moment is no problem yet."""


DatabaseShared = Shared[DatabaseCounters]


class AgentDatabase:
    """Turns hints (events, sweeps) into looks, and looks into news."""

    def __init__(
        self,
        shared: DatabaseShared,
        place: DatabasePlace,
        *,
        wanted: frozenset[SessionId],
        fresh_from_ms: float,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`now` is the wall clock, which is compared to files' times."""
        self.place = place
        self._shared = shared
        self._now = now
        self._sessions = DatabaseSessions(
            place.agent,
            place.path,
            wanted=wanted,
            fresh_from_ms=fresh_from_ms,
            counters=shared.counters,
            clock=shared.clock,
        )
        self._job = Job(self._step)
        self._thorough = True
        self._announced = True
        self._over = False
        self._removed_s: float | None = None
        self._schema: Schema | None = None
        self._trouble: tuple[str, float] | None = None
        self._retries = 0
        self._index_told_s = float("-inf")
        self._index_owed = False
        self._index_timed = False

    @property
    def over(self) -> bool:
        """Whether nothing more will come from it."""
        return self._over

    def look(self) -> None:
        """An event named one of its files."""
        self._announced = True
        self._shared.jobs.ask(self._job)

    def sweep(self) -> None:
        """It may have changed unannounced, or in silence."""
        self._thorough = True
        self._shared.jobs.ask(self._job)

    def want(self, session_ids: frozenset[SessionId]) -> None:
        """Read these sessions, however old they are."""
        self._sessions.want(session_ids)
        self._shared.jobs.ask(self._job)

    def leave(self) -> None:
        """Say no more of it: another store tells its sessions."""
        self._over = True
        self._shared.jobs.ask(self._job)

    def close(self) -> None:
        """Let go of the database; blocks for a moment if a look is under way."""
        self._sessions.close()

    def note_removed(self, *, removed: bool) -> None:
        """Whether its directory is gone while others are there; after a while so are its sessions."""
        if not removed:
            self._removed_s = None
        elif self._removed_s is None:
            self._removed_s = self._shared.clock()
        elif self._shared.clock() - self._removed_s >= GONE_S and not self._over:
            for gone in self._sessions.farewell():
                self._shared.sink(gone)
            self.leave()

    def problem(self) -> str:
        """What `/health` should say of it in one line, or ""."""
        if self._trouble is None or self._over or self._removed_s is not None:
            return ""
        reason, since_s = self._trouble
        if self._shared.clock() - since_s < _TROUBLE_S:
            return ""
        agent = self.place.agent
        return f"database of agent {agent} cannot be read ({reason}): waiting, going by its last state"

    def store(self) -> str:
        """What its sessions are read from."""
        if self._schema is None:
            return described(Store.DATABASE, Unusable("not read yet", 0))
        found = SessionsInIt(self._schema.version, self._schema.app_version, 0, 0)
        return described(Store.DATABASE, found)

    async def _step(self) -> bool:
        if self._over:
            await self._shared.readers.run(self._sessions.close)
            return False
        thorough, self._thorough = self._thorough, False
        announced, self._announced = self._announced, False
        look, unheard = await self._shared.readers.run(
            partial(self._look, thorough=thorough, announced=announced, began_ms=self._now() * 1000)
        )
        if self.over:  # ended or left to another store meanwhile
            return True
        match look:
            case Seen():
                self._shared.counters.sweep_finds += unheard and look.changed
                self._trouble, self._retries, self._schema = None, 0, look.schema
                self._tell_index(look)
                for news in look.news:
                    self._shared.sink(news)
                return look.more
            case Waiting(reason):
                since_s = self._trouble[1] if self._trouble is not None else self._shared.clock()
                self._trouble = reason, since_s
                self._thorough = True
                if self._retries < len(_RETRIES_S):
                    self._shared.later(_RETRIES_S[self._retries], self._job)
                    self._retries += 1
                return False
            case _:
                assert_never(look)

    def _look(self, *, thorough: bool, announced: bool, began_ms: float) -> tuple[Seen | Waiting, bool]:
        """Also whether what it finds was written long enough ago for its event to have come."""
        unheard = not announced and began_ms - changed_ms(self.place.path) >= EVENT_LAG_S * 1000
        return self._sessions.look(thorough=thorough), unheard

    def _tell_index(self, look: Seen) -> None:
        now_s = self._shared.clock()
        self._index_owed |= look.index_changed
        since_s = now_s - self._index_told_s
        pause_s = _INDEX_PAUSE_S * len(look.entries)
        if not self._index_owed and since_s < INDEX_AGAIN_S:
            return
        if since_s < pause_s and not look.news:
            if not self._index_timed:
                self._index_timed = True
                self._shared.later(pause_s - since_s, self._job)
            return
        self._index_owed = self._index_timed = False
        self._index_told_s = now_s
        self._shared.sink(IndexSeen(self.place.agent, look.entries))
