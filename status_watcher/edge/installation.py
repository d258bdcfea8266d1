"""One OpenClaw installation: its agents' files and databases, each agent followed in the store that speaks.

Both sources look at every agent; which of them may follow one is asked of `StoreChoice` at each look. An
agent that is migrated while we run goes on in the other store: its sessions are handed over again, and who
folds them knows the entries by their ids, which 2026.9.6 keeps when it imports.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from status_watcher.core.stores import Store
from status_watcher.edge.database_look import look_at_database
from status_watcher.edge.database_source import DatabaseCounters, DatabaseSource
from status_watcher.edge.file_source import FileSource
from status_watcher.edge.followed import Counters
from status_watcher.edge.locate import Layout
from status_watcher.edge.store_choice import Forced, StoreChoice
from status_watcher.model import AgentId, SessionId
from status_watcher.source import Lines, News, Reading, Sink, WatchHealth

_MOST_TOLD: Final = 10_000
"""Sessions remembered as handed over; the oldest are forgotten first."""


@dataclass(frozen=True, slots=True)
class InstallationCounters:
    files: Counters
    database: DatabaseCounters


class Installation:
    """Implements `Source` over both kinds of store."""

    def __init__(self, layout: Layout, *, fresh_s: float, forced: Forced | None = None) -> None:
        """`forced` says that only files are followed, because the operator named some."""
        self._choice = StoreChoice(look_at_database, forced, self._switched)
        self._files = FileSource(layout, fresh_s=fresh_s, speaks=partial(self._speaks, Store.FILES))
        self._database = DatabaseSource(layout, fresh_s=fresh_s, speaks=partial(self._speaks, Store.DATABASE))
        self._told: dict[tuple[AgentId, SessionId], Store] = {}
        """Who handed a session over last, in the order of first telling."""
        self._loop: asyncio.AbstractEventLoop | None = None

    async def run(self, wanted: Iterable[tuple[AgentId, SessionId]], sink: Sink) -> None:
        """Hand over news of both until cancelled."""
        self._loop = asyncio.get_running_loop()
        wanted = tuple(wanted)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._files.run(wanted, partial(self._take, Store.FILES, sink)), name="files")
            taken = partial(self._take, Store.DATABASE, sink)
            tasks.create_task(self._database.run(wanted, taken), name="databases")

    async def read_now(self) -> None:
        """One last look at both."""
        await asyncio.gather(self._files.read_now(), self._database.read_now())

    def health(self) -> WatchHealth:
        """Both together; that one kind of store is not there is no problem while the other is."""
        files, database = self._files.health(), self._database.health()
        problems = [*files.problems, *database.problems, *self._choice.problems()]
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
        told = frozenset(session_id for (name, session_id) in tuple(self._told) if name == agent)
        if new is Store.NEITHER:
            return
        source = self._files if new is Store.FILES else self._database
        source.want(agent, told)
        if self._loop is not None:
            self._loop.call_soon_threadsafe(source.look_for_agents)
