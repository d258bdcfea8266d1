"""One OpenClaw installation: its agents' files and databases, each agent followed in the store that speaks.

Both sources look at every agent; which of them may follow one is asked of `StoreChoice` at each look. An
agent that is migrated while we run goes on in the other store: its sessions are handed over again, and who
folds them knows the entries by their ids, which 2026.9.6 keeps when it imports.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from status_watcher.core.session_store import StorePlace, Unplaced
from status_watcher.core.stores import Store
from status_watcher.edge.database_look import look_at_database
from status_watcher.edge.database_source import DatabaseCounters, DatabaseSource
from status_watcher.edge.file_source import FileSource
from status_watcher.edge.followed import Counters
from status_watcher.edge.locate import Layout
from status_watcher.edge.locate_store import with_store
from status_watcher.edge.moved import has_moved, index_written_ms
from status_watcher.edge.readers import Readers
from status_watcher.edge.store_choice import Forced, StoreChoice
from status_watcher.model import AgentId, SessionId
from status_watcher.source import Lines, News, Reading, Sink, WatchHealth

_FIRST_LOOK_S: Final = 2.0
"""How long a disk that does not answer may hold up the start,"""
_MOVED_LOOK_S: Final = 1.0
"""and how often it is asked whether sessions are where openclaw.json says now, while they are not."""
_STILL_WRITTEN_MS: Final = 600_000
"""How long after a write to a place that was left it is said."""
_MOST_TOLD: Final = 10_000
"""Sessions remembered as handed over; the oldest are forgotten first."""


@dataclass(frozen=True, slots=True)
class InstallationCounters:
    files: Counters
    database: DatabaseCounters


@dataclass(slots=True)
class _Left:
    """Where sessions were before openclaw.json said otherwise."""

    layout: Layout
    written_ms: int
    """When an index was written there last."""
    used: bool = False
    """It was written again after it had been left."""


class Installation:
    """Implements `Source` over both kinds of store."""

    def __init__(
        self,
        layout: Layout,
        *,
        fresh_s: float,
        forced: Forced | None = None,
        read_store: Callable[[], StorePlace | None] = lambda: None,
    ) -> None:
        """`forced` says that only files are followed, because the operator named some; `read_store` tells
        what openclaw.json says of their place, which counts where the layout names none. It may block.
        """
        self._layout = self._followed = layout
        self._read_store = read_store
        self._store: StorePlace | None = None
        self._left: _Left | None = None
        self._choice = StoreChoice(look_at_database, forced, self._switched)
        self._files = FileSource(layout, fresh_s=fresh_s, speaks=partial(self._speaks, Store.FILES))
        self._database = DatabaseSource(layout, fresh_s=fresh_s, speaks=partial(self._speaks, Store.DATABASE))
        self._told: dict[tuple[AgentId, SessionId], Store] = {}
        """Who handed a session over last, in the order of first telling."""
        self._loop: asyncio.AbstractEventLoop | None = None

    async def run(self, wanted: Iterable[tuple[AgentId, SessionId]], sink: Sink) -> None:
        """Hand over news of both until cancelled."""
        loop = self._loop = asyncio.get_running_loop()
        wanted = tuple(wanted)
        with Readers(loop, threads=1) as readers:
            # What was left at another place would have boxes for a moment.
            first = readers.start(self._first_look)
            await asyncio.wait([first], timeout=_FIRST_LOOK_S)
            async with asyncio.TaskGroup() as tasks:
                taken = partial(self._take, Store.FILES, sink)
                tasks.create_task(self._files.run(wanted, taken), name="files")
                taken = partial(self._take, Store.DATABASE, sink)
                tasks.create_task(self._database.run(wanted, taken), name="databases")
                tasks.create_task(self._follow_moves(readers), name="moves")

    async def read_now(self) -> None:
        """One last look at both."""
        await asyncio.gather(self._files.read_now(), self._database.read_now())

    def move(self, store: StorePlace | None) -> None:
        """What openclaw.json says of where sessions are: followed there once OpenClaw has written there."""
        self._store = store

    def health(self) -> WatchHealth:
        """Both together; that one kind of store is not there is no problem while the other is."""
        files, database = self._files.health(), self._database.health()
        problems = [*files.problems, *database.problems, *self._choice.problems()]
        if isinstance(self._store, Unplaced) and not self._layout.named:
            problems.append("session.store of openclaw.json is a relative path, or none: not followed")
        left = self._left
        if (
            left is not None
            and left.used
            and time.time_ns() // 1_000_000 - left.written_ms < _STILL_WRITTEN_MS
        ):
            problems.append(
                "session.store of openclaw.json was changed, and sessions are still written at the old place:"
                " following both until the gateway is started again"
            )
        if files.nothing_found and database.nothing_found:
            problems.insert(0, files.nothing_found)
        return WatchHealth(
            mode="polling" if "polling" in {files.mode, database.mode} else "inotify",
            alive=files.alive and database.alive,
            problems=tuple(dict.fromkeys(problems)),
            stores=self._choice.stores(),
        )

    def counters(self) -> InstallationCounters:
        """Snapshots."""
        return InstallationCounters(self._files.counters(), self._database.counters())

    async def _follow_moves(self, readers: Readers) -> None:
        while True:
            await asyncio.sleep(_MOVED_LOOK_S)
            if self._due() != self._followed or self._left is not None:
                await readers.run(self._look_elsewhere)

    def _due(self) -> Layout:
        return with_store(self._layout, self._store)

    def _first_look(self) -> None:
        """Runs on a reader's thread."""
        self._store = self._read_store()
        self._look_elsewhere()

    def _look_elsewhere(self) -> None:
        """Runs on a reader's thread."""
        due, followed, left, loop = self._due(), self._followed, self._left, self._loop
        if loop is None:
            return
        if due != followed:
            before_ms = index_written_ms(followed)
            if has_moved(followed, due):
                loop.call_soon_threadsafe(self._go, due, _Left(followed, before_ms))
                return
        if left is not None:
            loop.call_soon_threadsafe(self._note_left, left, index_written_ms(left.layout))

    def _go(self, layout: Layout, left: _Left) -> None:
        """What was handed over is looked for there, since it may have been moved."""
        self._followed, self._left = layout, left
        for source in (self._files, self._database):
            for agent in {agent for agent, _ in self._told}:
                source.want(agent, self._told_of(agent))
            source.move(layout)

    def _note_left(self, left: _Left, written_ms: int) -> None:
        """One write is enough to go by both from then on: to and fro, one would be without the other."""
        if left is not self._left or written_ms <= left.written_ms:
            return
        left.written_ms = written_ms
        if not left.used:
            left.used = True
            for agent in {agent for (agent, _), store in self._told.items() if store is Store.FILES}:
                self._files.want(agent, self._told_of(agent))
            self._files.move(replace(self._followed, left=left.layout))

    def _speaks(self, store: Store, agent: AgentId, agent_dir: str) -> bool:
        return self._choice.speaker(agent, agent_dir) is store

    def _take(self, store: Store, sink: Sink, news: News) -> None:
        """What the other store says of an agent is a relic, or comes from before the switch."""
        if self._choice.current(news.agent) not in {store, None}:
            return
        if isinstance(news, Lines):
            news = self._as_continued(store, news)
        sink(news)

    def _as_continued(self, store: Store, news: Lines) -> Lines:
        ref = (news.agent, news.session_id)
        teller = self._told.get(ref)
        if teller is None and len(self._told) >= _MOST_TOLD:
            del self._told[next(iter(self._told))]
        self._told[ref] = store
        if news.reading is Reading.FIRST and teller is not None:
            return replace(news, reading=Reading.AGAIN)
        return news

    def _switched(self, agent: AgentId, new: Store) -> None:
        """Runs on a reader's thread: what was told of the agent is to be read where it is told now."""
        if new is Store.NEITHER:
            return
        source = self._files if new is Store.FILES else self._database
        source.want(agent, self._told_of(agent))
        if self._loop is not None:
            self._loop.call_soon_threadsafe(source.look_for_agents)

    def _told_of(self, agent: AgentId) -> frozenset[SessionId]:
        return frozenset(session_id for (name, session_id) in tuple(self._told) if name == agent)
