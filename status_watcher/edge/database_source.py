"""The database-backed store of sessions (OpenClaw 2026.8 and later), followed by events and by a sweep."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

from status_watcher.core.missed import MissedEvents
from status_watcher.edge.database_agent import AgentDatabase, DatabaseShared
from status_watcher.edge.database_connection import DATABASE_NAME
from status_watcher.edge.database_places import DatabasePlace, Places, find_databases
from status_watcher.edge.database_sessions import DatabaseCounters as DatabaseCounters  # noqa: PLC0414 - exported
from status_watcher.edge.followed import GONE_S
from status_watcher.edge.jobs import Job, Jobs
from status_watcher.edge.locate import Layout
from status_watcher.edge.readers import THREADS, Readers
from status_watcher.edge.watch import DirtySet, Watch
from status_watcher.model import AgentId, SessionId
from status_watcher.source import Sink, TranscriptGone, WatchHealth

SWEEP_S: Final = 2.0
"""How often every database is asked unasked."""
_HURRIED_SWEEP_S: Final = 0.25
_HUNG_S: Final = 10.0
_PACE_S: Final = 0.002
"""Between two batches of events: the first is looked at at once, a storm no more often than this."""


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
        self._layout = layout
        self._fresh_s = fresh_s
        self._fresh_from_ms = 0.0
        self._now = now
        self._clock = clock
        self._sweep_s = sweep_s
        self._speaks = speaks
        self._counters = DatabaseCounters()
        self._wake: asyncio.Event = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._dirty = DirtySet(self._wake_up)
        self._watch = Watch(self._dirty, clock)
        self._shared: DatabaseShared | None = None
        self._wanted: dict[AgentId, frozenset[SessionId]] = {}
        self._homeless_since: dict[AgentId, float] = {}
        self._places = Places()
        self._databases: dict[str, AgentDatabase] = {}
        self._relocation = Job(self._relocate)
        self._missed = MissedEvents(0.0)

    async def run(self, wanted: Iterable[tuple[AgentId, SessionId]], sink: Sink) -> None:
        """Hand over news until cancelled; every thread has been told to end when this returns."""
        loop = self._loop = asyncio.get_running_loop()
        for agent, session_id in wanted:
            self._wanted[agent] = self._wanted.get(agent, frozenset()) | {session_id}
        self._fresh_from_ms = (self._now() - self._fresh_s) * 1000 if self._fresh_s else 0.0
        jobs = Jobs()
        with Readers(loop) as readers, contextlib.closing(self._watch):
            self._shared = DatabaseShared(readers, jobs, sink, self._counters, self._later, self._clock)
            try:
                async with asyncio.TaskGroup() as tasks:
                    for number in range(THREADS):
                        tasks.create_task(jobs.work(), name=f"database-worker-{number}")
                    tasks.create_task(self._listen(), name="database-events")
                    tasks.create_task(self._sweep(jobs), name="database-sweep")
                    jobs.ask(self._relocation)
            finally:
                self._shared = None
                for database in self._databases.values():
                    database.close()

    async def read_now(self) -> None:
        """Look at every database, whether announced or not, and wait until what it has was read."""
        if self._shared is None:
            return
        self._take_events()
        for database in self._databases.values():
            database.sweep()
        await self._shared.jobs.idle()

    def health(self) -> WatchHealth:
        """How it watches, whether that works, and what stands in its way."""
        problems = [*self._places.problems, *self._watch.problems()]
        problems += [line for database in self._databases.values() if (line := database.problem())]
        if self._missed.missing and self._watch.mode == "inotify":
            problems.append("file events do not arrive: looking more often instead")
        if self._shared is not None and self._shared.readers.longest_s() >= _HUNG_S:
            problems.append("reading a database has not come back: is a network file system away?")
        return WatchHealth(
            mode=self._watch.mode,
            alive=self._shared is not None and self._watch.alive,
            problems=tuple(problems),
            nothing_found=self._places.missing,
            stores={one.place.agent: one.store() for one in self._databases.values() if not one.over},
        )

    def want(self, agent: AgentId, session_ids: frozenset[SessionId]) -> None:
        """Read these sessions, however old they are, now or when the agent is followed; from any thread."""
        self._wanted[agent] = self._wanted.get(agent, frozenset()) | session_ids

    def look_for_agents(self) -> None:
        """Agents may have come, gone, or be told by another store now."""
        self._ask(self._relocation)

    def counters(self) -> DatabaseCounters:
        """A snapshot."""
        return replace(
            self._counters,
            watch_events=self._dirty.events,
            watch_errors=self._dirty.errors,
            watch_overflows=self._dirty.overflows,
            watcher_restarts=self._watch.restarts,
        )

    def _wake_up(self) -> None:
        """Runs on watchdog's thread."""
        loop = self._loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: we are shutting down
                loop.call_soon_threadsafe(self._wake.set)

    def _later(self, delay_s: float, job: Job) -> None:
        if self._loop is not None and self._shared is not None:
            self._loop.call_later(delay_s, self._shared.jobs.ask, job)

    async def _listen(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            self._take_events()
            await asyncio.sleep(_PACE_S)

    def _take_events(self) -> None:
        dirty = self._dirty.take()
        homes = {place.path.rpartition("/")[0] for place in self._places.databases}
        for path in dirty.paths:
            directory, _, name = path.rpartition("/")
            stem = path.removesuffix("-wal").removesuffix("-shm").removesuffix("-journal")
            if stem in self._databases:
                self._databases[stem].look()
            elif name == DATABASE_NAME or directory not in homes:
                # A database, or a directory that one may come to be in; agents keep other things beside it.
                self._ask(self._relocation)
        if dirty.overflowed:
            self._ask(self._relocation)
            for database in self._databases.values():
                database.look()

    async def _sweep(self, jobs: Jobs) -> None:
        """Also finds databases that came back, and threads that died."""
        missed = self._missed = MissedEvents(self._clock())
        while True:
            hurried = missed.missing or self._watch.mode == "polling"
            await asyncio.sleep(min(self._sweep_s, _HURRIED_SWEEP_S) if hurried else self._sweep_s)
            self._take_events()  # what was announced is no find
            jobs.ask(self._relocation)
            for database in self._databases.values():
                database.sweep()
            missed.judge(
                finds=self._counters.sweep_finds,
                events=self._dirty.events,
                polling=self._watch.mode == "polling",
                now_s=self._clock(),
            )

    async def _relocate(self) -> bool:
        """Find the databases that there are now and are to be followed, and watch them."""
        shared = self._shared
        if shared is None:
            return False

        def look() -> tuple[Places, dict[str, DatabasePlace], frozenset[str], frozenset[str]]:
            places = find_databases(self._layout)
            spoken = {
                place.path: place
                for place in places.databases
                if self._speaks is None or self._speaks(place.agent, place.agent_dir)
            }
            others = frozenset(place.path for place in places.databases if place.path not in spoken)
            return places, spoken, others, self._watch.follow(places.watched)

        places, spoken, others, unlisted = await shared.readers.run(look)
        self._places = places
        for path, database in list(self._databases.items()):
            if path in others:
                database.leave()
            database.note_removed(removed=path not in spoken and bool(spoken))
            if database.over:
                del self._databases[path]
        for path, place in spoken.items():
            if path in self._databases:
                wanted = self._wanted.pop(place.agent, frozenset())
                if wanted:
                    self._databases[path].want(wanted)
                if path.rpartition("/")[0] in unlisted:
                    # Between its being made and being watched, commits may have come that nothing announces.
                    self._databases[path].look()
            elif place.exists:
                self._open(shared, place)
        self._tell_homeless(shared, places)
        # A directory may have appeared in a new one before that was watched.
        return bool(unlisted)

    def _open(self, shared: DatabaseShared, place: DatabasePlace) -> None:
        database = self._databases[place.path] = AgentDatabase(
            shared,
            place,
            wanted=self._wanted.pop(place.agent, frozenset()),
            fresh_from_ms=self._fresh_from_ms,
            now=self._now,
        )
        database.sweep()

    def _tell_homeless(self, shared: DatabaseShared, places: Places) -> None:
        """Wanted sessions of agents that are not there, when others are."""
        agents = {place.agent for place in places.databases}
        if not any(place.exists for place in places.databases):
            return
        for agent in list(self._wanted):
            if agent in agents:
                self._homeless_since.pop(agent, None)
                continue
            since_s = self._homeless_since.setdefault(agent, shared.clock())
            if shared.clock() - since_s >= GONE_S:
                for session_id in sorted(self._wanted.pop(agent)):
                    shared.sink(TranscriptGone(agent, session_id, "missing"))

    def _ask(self, job: Job) -> None:
        if self._shared is not None:
            self._shared.jobs.ask(job)
