"""The file-backed store of sessions (OpenClaw 2026.2 to 2026.7), followed by events and by a sweep."""

import asyncio
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

from status_watcher.edge.agent_dir import AgentDir
from status_watcher.edge.followed import SETTLE_S, Counters, FileShared
from status_watcher.edge.locate import Layout, Located, SessionsDir
from status_watcher.edge.locate_store import locate_sessions
from status_watcher.edge.lookout import SWEEP_S, Duties, Lookout
from status_watcher.edge.wanted import Wanted
from status_watcher.edge.watch import Dirty
from status_watcher.model import AgentId, SessionId
from status_watcher.source import Sink, WatchHealth

FULL_SWEEP_S: Final = 30.0
"""How often all names are looked at, and not only active files."""
_HURRIED_SWEEP_S: Final = 0.5
_HURRIED_FULL_SWEEP_S: Final = 5.0


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
        self._layout = self._located_in = layout
        self._fresh_s = fresh_s
        self._fresh_from = 0.0
        self._now = now
        self._clock = clock
        self._open_file = open_file
        self._speaks = speaks
        self._full_sweep_s = full_sweep_s
        self._full_sweep_due_s = 0.0
        self._wanted = Wanted()
        self._located: Located | None = None
        self._dirs: dict[str, AgentDir] = {}
        self._lookout = Lookout(
            "source",
            Duties(self._relocate, self._hear, self._sweep, closers=tuple),
            Counters(),
            clock,
            sweep_s=sweep_s,
            hurried_sweep_s=_HURRIED_SWEEP_S,
        )

    async def run(self, wanted: Iterable[tuple[AgentId, SessionId]], sink: Sink) -> None:
        """Hand over news until cancelled; every thread has been told to end when this returns."""
        for agent, session_id in wanted:
            self._wanted.add(agent, [session_id])
        self._fresh_from = self._now() - self._fresh_s if self._fresh_s else 0.0
        self._full_sweep_due_s = self._clock() + self._full_sweep_s
        await self._lookout.run(sink)

    async def read_now(self) -> None:
        """Look at everything that is active, whether announced or not, and wait until it has been read."""
        if self._lookout.shared is None:
            return
        self._lookout.take_events()
        for directory in self._dirs.values():
            directory.sweep(eventless=False)
        await self._lookout.idle()
        while any(directory.settling for directory in self._dirs.values()):
            await asyncio.sleep(SETTLE_S)
            await self._lookout.idle()

    def health(self) -> WatchHealth:
        """How it watches, whether that works, and what stands in its way."""
        located = self._located
        return self._lookout.health(
            located=located.problems if located else (),
            followed=[line for directory in self._dirs.values() for line in directory.problems()],
            hung="reading a file has not come back for a while: is a network file system away?",
            nothing_found=located.missing if located else "",
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

    def counters(self) -> Counters:
        """A snapshot."""
        counters = self._lookout.counters()
        return replace(counters, verdicts=dict(counters.verdicts))

    def _hear(self, dirty: Dirty) -> None:
        by_index: dict[str, list[AgentDir]] = {}
        for directory in self._dirs.values():
            for index_path in (directory.place.index_path, *directory.place.left_indexes):
                by_index.setdefault(index_path, []).append(directory)
        nurseries = self._located.nurseries if self._located else ()
        for path in dirty.paths:
            parent, _, name = path.rpartition("/")
            if path in by_index:
                for directory in by_index[path]:
                    directory.look_at_index()
            elif parent in self._dirs:
                self._dirs[parent].look_at(name)
            if path in self._dirs or path in nurseries or parent in nurseries:
                self._lookout.relocate()
        if dirty.overflowed:
            self._look_everywhere()

    def _look_everywhere(self) -> None:
        self._lookout.relocate()
        for directory in self._dirs.values():
            directory.relist()
            directory.look_at_index()

    def _sweep(self, hurried: bool) -> None:
        for directory in self._dirs.values():
            directory.sweep(eventless=hurried)
        if self._clock() >= self._full_sweep_due_s:
            self._look_everywhere()
            period_s = min(self._full_sweep_s, _HURRIED_FULL_SWEEP_S) if hurried else self._full_sweep_s
            self._full_sweep_due_s = self._clock() + period_s

    async def _relocate(self, shared: FileShared) -> bool:
        """Find the directories that there are now, and watch them."""
        layout = self._layout

        def look() -> tuple[Located, frozenset[str]]:
            located = locate_sessions(layout)
            speaks = self._speaks
            agents = {
                place.agent
                for place in located.sessions
                if not place.aside and (speaks is None or speaks(place.agent, place.agent_dir))
            }
            spoken = tuple(place for place in located.sessions if place.agent in agents)
            located = replace(located, sessions=spoken, others=tuple(set(located.sessions) - set(spoken)))
            return located, self._lookout.watch.follow(located.watched)

        located, unlisted = await shared.readers.run(look)
        self._located = located
        paths = {place.path for place in located.sessions}
        wanted = {agent: self._wanted.take(agent) for agent in {place.agent for place in located.sessions}}
        for place in located.sessions:
            if place.path in self._dirs and self._dirs[place.path].place != place:
                self._dirs.pop(place.path).leave()  # its index is another one now
            if place.path not in self._dirs:
                self._open(shared, place, place.root or located.root, wanted[place.agent])
                continue
            if wanted[place.agent]:
                self._dirs[place.path].want(wanted[place.agent])
            if place.path in unlisted:
                # Between its being made and being watched, files may have come that nothing announces.
                self._dirs[place.path].relist()
                self._dirs[place.path].look_at_index()
        # What another store tells, or a directory that is no longer meant, would be followed as a relic.
        moved, self._located_in = layout != self._located_in, layout
        left = self._dirs.keys() - paths if moved else {place.path for place in located.others}
        for path in left & self._dirs.keys():
            self._dirs.pop(path).leave()
        for path, directory in list(self._dirs.items()):
            directory.removed = path not in paths and bool(paths)
            if path not in paths and directory.idle:
                del self._dirs[path]
        if located.sessions:
            there = {place.agent for place in (*located.sessions, *located.others)}
            self._wanted.tell_homeless(there, shared.clock(), shared.sink)
        # A directory may have appeared in a new one before that was watched.
        return bool(unlisted)

    def _open(self, shared: FileShared, place: SessionsDir, root: str, wanted: frozenset[SessionId]) -> None:
        directory = self._dirs[place.path] = AgentDir(
            shared,
            place,
            root,
            wanted=wanted,
            fresh_from=self._fresh_from,
            now=self._now,
            open_file=self._open_file,
            others=lambda: [
                one for one in self._dirs.values() if one is not directory and one.place.agent == place.agent
            ],
        )
        directory.look_at_index()
