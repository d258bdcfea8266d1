"""The file-backed store of sessions (OpenClaw 2026.2 to 2026.7), followed by events and by a sweep."""

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

from status_watcher.core.missed import MissedEvents
from status_watcher.edge.agent_dir import AgentDir
from status_watcher.edge.followed import GONE_S, SETTLE_S, Counters, Shared
from status_watcher.edge.jobs import Job, Jobs
from status_watcher.edge.locate import Layout, Located, SessionsDir, locate
from status_watcher.edge.readers import THREADS, Readers
from status_watcher.edge.watch import DirtySet, Watch
from status_watcher.model import AgentId, SessionId
from status_watcher.source import Sink, TranscriptGone, WatchHealth

SWEEP_S: Final = 2.0
"""How often active files are looked at unasked,"""
FULL_SWEEP_S: Final = 30.0
"""and how often all names are."""
_HURRIED_SWEEP_S: Final = 0.5
_HURRIED_FULL_SWEEP_S: Final = 5.0
_HUNG_S: Final = 10.0
_PACE_S: Final = 0.002
"""Between two batches of events: the first is looked at at once, a storm no more often than this."""


class FileSource:
    """Implements `Source` over sessions directories; reads, and never writes there."""

    def __init__(
        self,
        layout: Layout,
        *,
        fresh_s: float,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
        sweep_s: float = SWEEP_S,
        full_sweep_s: float = FULL_SWEEP_S,
        open_file: Callable[[str, int], int] = os.open,
        speaks: Callable[[AgentId, str], bool] | None = None,
    ) -> None:
        """Transcripts written in the last `fresh_s` seconds are read at start, older ones when they change.

        0 stands for all of them. `now` is the wall clock, which is compared to files' times; `clock` is a
        monotonic one; `open_file` has the face of `os.open`. `speaks` tells, of an agent and its directory,
        whether its sessions are in files (without it they always are); it may block, and is asked at every
        look for agents.
        """
        self._layout = layout
        self._fresh_s = fresh_s
        self._fresh_from = 0.0
        self._now = now
        self._clock = clock
        self._open_file = open_file
        self._speaks = speaks
        self._sweep_s = sweep_s
        self._full_sweep_s = full_sweep_s
        self._counters = Counters()
        self._wake: asyncio.Event = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._dirty = DirtySet(self._wake_up)
        self._watch = Watch(self._dirty, clock)
        self._shared: Shared | None = None
        self._wanted: dict[AgentId, frozenset[SessionId]] = {}
        self._homeless_since: dict[AgentId, float] = {}
        self._located: Located | None = None
        self._dirs: dict[str, AgentDir] = {}
        self._relocation = Job(self._relocate)
        self._missed = MissedEvents(0.0)

    async def run(self, wanted: Iterable[tuple[AgentId, SessionId]], sink: Sink) -> None:
        """Hand over news until cancelled; every thread has been told to end when this returns."""
        loop = self._loop = asyncio.get_running_loop()
        for agent, session_id in wanted:
            self._wanted[agent] = self._wanted.get(agent, frozenset()) | {session_id}
        self._fresh_from = self._now() - self._fresh_s if self._fresh_s else 0.0
        jobs = Jobs()
        with Readers(loop) as readers, contextlib.closing(self._watch):
            self._shared = Shared(
                readers, jobs, sink, self._counters, self._later, self._open_file, self._clock
            )
            try:
                async with asyncio.TaskGroup() as tasks:
                    for number in range(THREADS):
                        tasks.create_task(jobs.work(), name=f"source-worker-{number}")
                    tasks.create_task(self._listen(), name="source-events")
                    tasks.create_task(self._sweep(jobs), name="source-sweep")
                    jobs.ask(self._relocation)
            finally:
                self._shared = None

    async def read_now(self) -> None:
        """Look at everything that is active, whether announced or not, and wait until it has been read."""
        if self._shared is None:
            return
        jobs = self._shared.jobs
        self._take_events()
        for place in self._dirs.values():
            place.sweep(eventless=False)
        await jobs.idle()
        while any(place.settling for place in self._dirs.values()):
            await asyncio.sleep(SETTLE_S)
            await jobs.idle()

    def health(self) -> WatchHealth:
        """How it watches, whether that works, and what stands in its way."""
        located = self._located
        problems = [*(located.problems if located else ()), *self._watch.problems()]
        for place in self._dirs.values():
            problems += place.problems()
        if self._missed.missing and self._watch.mode == "inotify":
            problems.append("file events do not arrive: looking more often instead")
        if self._shared is not None and self._shared.readers.longest_s() >= _HUNG_S:
            problems.append("reading a file has not come back for a while: is a network file system away?")
        return WatchHealth(
            mode=self._watch.mode,
            alive=self._shared is not None and self._watch.alive,
            problems=tuple(problems),
            nothing_found=located.missing if located else "",
        )

    def want(self, agent: AgentId, session_ids: frozenset[SessionId]) -> None:
        """Read these sessions, however old they are, when the agent is followed next."""
        self._wanted[agent] = self._wanted.get(agent, frozenset()) | session_ids

    def look_for_agents(self) -> None:
        """Agents may have come, gone, or be told by another store now."""
        self._ask(self._relocation)

    def counters(self) -> Counters:
        """A snapshot."""
        return replace(
            self._counters,
            verdicts=dict(self._counters.verdicts),
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
        by_index = {place.place.index_path: place for place in self._dirs.values()}
        nurseries = self._located.nurseries if self._located else ()
        for path in dirty.paths:
            directory, _, name = path.rpartition("/")
            if path in by_index:
                by_index[path].look_at_index()
            elif directory in self._dirs:
                self._dirs[directory].look_at(name)
            if path in self._dirs or path in nurseries or directory in nurseries:
                self._ask(self._relocation)
        if dirty.overflowed:
            self._look_everywhere()

    def _look_everywhere(self) -> None:
        self._ask(self._relocation)
        for place in self._dirs.values():
            place.relist()
            place.look_at_index()

    async def _sweep(self, jobs: Jobs) -> None:
        """Also finds directories that came back, and threads that died."""
        full_due_s = self._clock() + self._full_sweep_s
        missed = self._missed = MissedEvents(self._clock())
        while True:
            hurried = missed.missing or self._watch.mode == "polling"
            await asyncio.sleep(min(self._sweep_s, _HURRIED_SWEEP_S) if hurried else self._sweep_s)
            self._take_events()  # what was announced is no find
            jobs.ask(self._relocation)
            for place in self._dirs.values():
                place.sweep(eventless=hurried)
            if self._clock() >= full_due_s:
                self._look_everywhere()
                period_s = min(self._full_sweep_s, _HURRIED_FULL_SWEEP_S) if hurried else self._full_sweep_s
                full_due_s = self._clock() + period_s
            missed.judge(
                finds=self._counters.sweep_finds,
                events=self._dirty.events,
                polling=self._watch.mode == "polling",
                now_s=self._clock(),
            )

    async def _relocate(self) -> bool:
        """Find the directories that there are now, and watch them."""
        shared = self._shared
        if shared is None:
            return False

        def look() -> tuple[Located, frozenset[str]]:
            located = locate(self._layout)
            speaks = self._speaks
            spoken = tuple(
                place for place in located.sessions if speaks is None or speaks(place.agent, place.agent_dir)
            )
            located = replace(located, sessions=spoken, others=tuple(set(located.sessions) - set(spoken)))
            return located, self._watch.follow(located.watched)

        located, unlisted = await shared.readers.run(look)
        self._located = located
        paths = {place.path for place in located.sessions}
        for place in located.sessions:
            if place.path not in self._dirs:
                self._open(shared, place, located.root)
            elif place.path in unlisted:
                # Between its being made and being watched, files may have come that nothing announces.
                self._dirs[place.path].relist()
                self._dirs[place.path].look_at_index()
        for place in located.others:
            self._dirs.pop(place.path, None)  # another store tells it: what is followed here would be a relic
        for path, directory in list(self._dirs.items()):
            directory.removed = path not in paths and bool(paths)
            if path not in paths and directory.idle:
                del self._dirs[path]
        self._tell_homeless(shared, located)
        # A directory may have appeared in a new one before that was watched.
        return bool(unlisted)

    def _open(self, shared: Shared, place: SessionsDir, root: str) -> None:
        directory = self._dirs[place.path] = AgentDir(
            shared,
            place,
            root,
            wanted=self._wanted.pop(place.agent, frozenset()),
            fresh_from=self._fresh_from,
            now=self._now,
        )
        directory.look_at_index()

    def _tell_homeless(self, shared: Shared, located: Located) -> None:
        """Wanted sessions of agents that are not there, when others are."""
        if not located.sessions:
            return
        for agent in list(self._wanted):
            since_s = self._homeless_since.setdefault(agent, shared.clock())
            if shared.clock() - since_s >= GONE_S:
                for session_id in sorted(self._wanted.pop(agent)):
                    shared.sink(TranscriptGone(agent, session_id, "missing"))

    def _ask(self, job: Job) -> None:
        if self._shared is not None:
            self._shared.jobs.ask(job)
