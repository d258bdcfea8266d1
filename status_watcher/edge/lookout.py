"""Keeps looking at one kind of store: when file events say so, and unasked every so often.

What there is to be looked at, and what comes of a look, is the business of whoever employs it.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Generic, TypeVar

from status_watcher.core.missed import MissedEvents
from status_watcher.edge.jobs import Job, Jobs
from status_watcher.edge.readers import THREADS, Readers, finish_together
from status_watcher.edge.watch import Dirty, DirtySet, Watch
from status_watcher.model import AgentId
from status_watcher.source import Sink, WatchHealth

SWEEP_S: Final = 2.0
"""How often what is followed is looked at unasked."""
_HUNG_S: Final = 10.0
_PACE_S: Final = 0.002
"""Between two batches of events: the first is looked at at once, a storm no more often than this."""
_CLOSE_S: Final = 1.0
"""At the end, for everything together that has to be closed; what hangs is left to the process's end."""


@dataclass(slots=True)
class StoreCounters:
    """What is counted of every kind of store."""

    watch_events: int = 0
    watch_errors: int = 0
    watch_overflows: int = 0
    watcher_restarts: int = 0
    index_looks: int = 0
    sweep_finds: int = 0
    """Changes that no event had announced."""


C = TypeVar("C", bound=StoreCounters)


@dataclass(frozen=True, slots=True)
class Shared(Generic[C]):
    """What everything that is followed works with."""

    readers: Readers
    jobs: Jobs
    sink: Sink
    counters: C
    later: Callable[[float, Job], None]
    """Ask for a job after so many seconds."""
    clock: Callable[[], float]


@dataclass(frozen=True, slots=True)
class Duties(Generic[C]):
    """What a store of one kind does when it is called; all on the event loop."""

    relocate: Callable[[Shared[C]], Awaitable[bool]]
    """Find what there is now and have it watched; True asks for another look at once."""
    hear: Callable[[Dirty], None]
    """These paths may have changed."""
    sweep: Callable[[bool], None]
    """Anything may have; True says that nothing announces it."""
    closers: Callable[[], Iterable[Callable[[], None]]]
    """What lets go of what is held, at the end; they may block, each on a thread of its own."""


class Lookout(Generic[C]):
    """Carries news from watchdog's thread and a clock to its employer, and takes down what it set up."""

    def __init__(
        self,
        name: str,
        duties: Duties[C],
        counters: C,
        clock: Callable[[], float],
        *,
        sweep_s: float,
        hurried_sweep_s: float,
    ) -> None:
        """`name` is for tasks; sweeps come at least every `hurried_sweep_s` where events do not arrive."""
        self.dirty = DirtySet(self._wake_up)
        self.watch = Watch(self.dirty, clock)
        self.shared: Shared[C] | None = None
        """Set while it runs."""
        self._name = name
        self._duties = duties
        self._counters = counters
        self._clock = clock
        self._sweep_s = sweep_s
        self._hurried_sweep_s = min(sweep_s, hurried_sweep_s)
        self._wake = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._relocation = Job(self._relocate)
        self._missed = MissedEvents(0.0)

    async def run(self, sink: Sink) -> None:
        """Look until cancelled; every thread has been told to end when this returns."""
        loop = self._loop = asyncio.get_running_loop()
        jobs = Jobs()
        with Readers(loop) as readers:
            self.shared = Shared(readers, jobs, sink, self._counters, self._later, self._clock)
            try:
                async with asyncio.TaskGroup() as tasks:
                    for number in range(THREADS):
                        tasks.create_task(jobs.work(), name=f"{self._name}-worker-{number}")
                    tasks.create_task(self._listen(), name=f"{self._name}-events")
                    tasks.create_task(self._sweep(), name=f"{self._name}-sweep")
                    jobs.ask(self._relocation)
            finally:
                self.shared = None
                await finish_together([self.watch.close, *self._duties.closers()], _CLOSE_S)

    def relocate(self) -> None:
        """There may be something else to be followed now."""
        if self.shared is not None:
            self.shared.jobs.ask(self._relocation)

    def take_events(self) -> None:
        """Hand on what was announced."""
        self._duties.hear(self.dirty.take())

    async def idle(self) -> None:
        """Wait until nothing is left to do."""
        if self.shared is not None:
            await self.shared.jobs.idle()

    def counters(self) -> C:
        """A snapshot."""
        return replace(
            self._counters,
            watch_events=self.dirty.events,
            watch_errors=self.dirty.errors,
            watch_overflows=self.dirty.overflows,
            watcher_restarts=self.watch.restarts,
        )

    def health(
        self,
        *,
        located: Iterable[str],
        followed: Iterable[str],
        hung: str,
        nothing_found: str,
        stores: Mapping[AgentId, str] | None = None,
    ) -> WatchHealth:
        """What its employer says of what it found and of what it follows, and what is to be said besides.

        `hung` is the line for a read that does not come back.
        """
        problems = [*located, *self.watch.problems(), *followed]
        if self._missed.missing and self.watch.mode == "inotify":
            problems.append("file events do not arrive: looking more often instead")
        if self.shared is not None and self.shared.readers.longest_s() >= _HUNG_S:
            problems.append(hung)
        return WatchHealth(
            mode=self.watch.mode,
            alive=self.shared is not None and self.watch.alive,
            problems=tuple(problems),
            nothing_found=nothing_found,
            stores=stores or {},
        )

    def _wake_up(self) -> None:
        """Runs on watchdog's thread."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: we are shutting down
                self._loop.call_soon_threadsafe(self._wake.set)

    def _later(self, delay_s: float, job: Job) -> None:
        if self._loop is not None and self.shared is not None:
            self._loop.call_later(delay_s, self.shared.jobs.ask, job)

    async def _relocate(self) -> bool:
        return self.shared is not None and await self._duties.relocate(self.shared)

    async def _listen(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            self.take_events()
            await asyncio.sleep(_PACE_S)

    async def _sweep(self) -> None:
        """Also finds directories that came back, and threads that died."""
        missed = self._missed = MissedEvents(self._clock())
        while True:
            hurried = missed.missing or self.watch.mode == "polling"
            await asyncio.sleep(self._hurried_sweep_s if hurried else self._sweep_s)
            self.take_events()  # what was announced is no find
            self.relocate()
            self._duties.sweep(hurried)
            missed.judge(
                finds=self._counters.sweep_finds,
                events=self.dirty.events,
                polling=self.watch.mode == "polling",
                now_s=self._clock(),
            )
