"""The database-backed store of sessions (OpenClaw 2026.8 and later), followed by events and by a sweep."""

import time
from collections.abc import Callable, Iterable
from typing import Final

from status_watcher.edge.database_agent import AgentDatabase, DatabaseShared
from status_watcher.edge.database_connection import DATABASE_NAME
from status_watcher.edge.database_places import DatabasePlace, Places, find_databases
from status_watcher.edge.database_sessions import DatabaseCounters as DatabaseCounters  # noqa: PLC0414 - exported
from status_watcher.edge.locate import Layout
from status_watcher.edge.lookout import SWEEP_S, Duties, Lookout
from status_watcher.edge.wanted import Wanted
from status_watcher.edge.watch import Dirty
from status_watcher.model import AgentId, SessionId
from status_watcher.source import Sink, WatchHealth

_HURRIED_SWEEP_S: Final = 0.25


class DatabaseSource:
    """Implements `Source` over the agents' databases; reads, and never writes there."""

    def __init__(
        self,
        layout: Layout,
        *,
        fresh_s: float,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
        sweep_s: float = SWEEP_S,
        speaks: Callable[[AgentId, str], bool] | None = None,
    ) -> None:
        """Transcripts written in the last `fresh_s` seconds are read at start, older ones when they change.

        0 stands for all of them. `now` is the wall clock, which is compared to files' and events' times;
        `clock` is a monotonic one. `speaks` tells, of an agent and its directory, whether its sessions are in
        its database (without it they always are); it may block, and is asked at every look for agents.
        """
        self._layout = self._found_in = layout
        self._fresh_s = fresh_s
        self._fresh_from_ms = 0.0
        self._now = now
        self._speaks = speaks
        self._wanted = Wanted()
        self._places = Places()
        self._databases: dict[str, AgentDatabase] = {}
        self._lookout = Lookout(
            "database",
            Duties(self._relocate, self._hear, self._sweep, self._closers),
            DatabaseCounters(),
            clock,
            sweep_s=sweep_s,
            hurried_sweep_s=_HURRIED_SWEEP_S,
        )

    async def run(self, wanted: Iterable[tuple[AgentId, SessionId]], sink: Sink) -> None:
        """Hand over news until cancelled; every thread has been told to end when this returns."""
        for agent, session_id in wanted:
            self._wanted.add(agent, [session_id])
        self._fresh_from_ms = (self._now() - self._fresh_s) * 1000 if self._fresh_s else 0.0
        await self._lookout.run(sink)

    async def read_now(self) -> None:
        """Look at every database, whether announced or not, and wait until what it has was read."""
        if self._lookout.shared is None:
            return
        self._lookout.take_events()
        self._sweep()
        await self._lookout.idle()

    def health(self) -> WatchHealth:
        """How it watches, whether that works, and what stands in its way."""
        return self._lookout.health(
            located=self._places.problems,
            followed=[line for database in self._databases.values() if (line := database.problem())],
            hung="reading a database has not come back: is a network file system away?",
            nothing_found=self._places.missing,
            stores={one.place.agent: one.store() for one in self._databases.values() if not one.over},
        )

    def want(self, agent: AgentId, session_ids: frozenset[SessionId]) -> None:
        """Read these sessions, however old they are, when the agent is looked for next; from any thread."""
        self._wanted.add(agent, session_ids)

    def look_for_agents(self) -> None:
        """Agents may have come, gone, or be told by another store now."""
        self._lookout.relocate()

    def move(self, layout: Layout) -> None:
        """Look elsewhere from now on, and leave what is not there."""
        self._layout = layout
        self._lookout.relocate()

    def counters(self) -> DatabaseCounters:
        """A snapshot."""
        return self._lookout.counters()

    def _hear(self, dirty: Dirty) -> None:
        homes = {place.path.rpartition("/")[0] for place in self._places.databases}
        for path in dirty.paths:
            directory, _, name = path.rpartition("/")
            stem = path.removesuffix("-wal").removesuffix("-shm").removesuffix("-journal")
            if stem in self._databases:
                self._databases[stem].look()
            elif name == DATABASE_NAME or directory not in homes:
                # A database, or a directory that one may come to be in; agents keep other things beside it.
                self._lookout.relocate()
        if dirty.overflowed:
            self._lookout.relocate()
            for database in self._databases.values():
                database.look()

    def _sweep(self, _hurried: bool = False) -> None:
        for database in self._databases.values():
            database.sweep()

    def _closers(self) -> list[Callable[[], None]]:
        return [database.close for database in self._databases.values()]

    async def _relocate(self, shared: DatabaseShared) -> bool:
        """Find the databases that there are now and are to be followed, and watch them."""
        layout = self._layout

        def look() -> tuple[Places, dict[str, DatabasePlace], frozenset[str], frozenset[str]]:
            places = find_databases(layout)
            spoken = {
                place.path: place
                for place in places.databases
                if self._speaks is None or self._speaks(place.agent, place.agent_dir)
            }
            others = frozenset(place.path for place in places.databases if place.path not in spoken)
            return places, spoken, others, self._lookout.watch.follow(places.watched)

        places, spoken, others, unlisted = await shared.readers.run(look)
        self._places = places
        moved, self._found_in = layout != self._found_in, layout
        for path, database in list(self._databases.items()):
            if path in others or (moved and path not in spoken):
                database.leave()
            database.note_removed(removed=path not in spoken and bool(spoken))
            if database.over:
                del self._databases[path]
        for path, place in spoken.items():
            if path in self._databases:
                wanted = self._wanted.take(place.agent)
                if wanted:
                    self._databases[path].want(wanted)
                if path.rpartition("/")[0] in unlisted:
                    # Between its being made and being watched, commits may have come that nothing announces.
                    self._databases[path].look()
            elif place.exists:
                self._open(shared, place)
        if any(place.exists for place in places.databases):
            there = {place.agent for place in places.databases}
            self._wanted.tell_homeless(there, shared.clock(), shared.sink)
        # A directory may have appeared in a new one before that was watched.
        return bool(unlisted)

    def _open(self, shared: DatabaseShared, place: DatabasePlace) -> None:
        database = self._databases[place.path] = AgentDatabase(
            shared,
            place,
            wanted=self._wanted.take(place.agent),
            fresh_from_ms=self._fresh_from_ms,
            now=self._now,
        )
        database.sweep()
