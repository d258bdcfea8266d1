"""One agent's sessions directory: its index, its listing, and those of its transcripts that matter."""

import os
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from typing import Final, assert_never

from status_watcher.core.cursor import Stamp
from status_watcher.core.filenames import Archive, Transcript, classify
from status_watcher.core.index import StoreEntry, StoreStatus
from status_watcher.edge.followed import FileShared, Followed, Surroundings
from status_watcher.edge.index_file import Fresh, NotYet, Same, Unreadable
from status_watcher.edge.index_union import IndexUnion, filed_under, is_named
from status_watcher.edge.intervals import EVENT_LAG_S, GONE_S, INDEX_AGAIN_S
from status_watcher.edge.jobs import Job
from status_watcher.edge.listing import Listing, archive_of, find_sessions, list_sessions, stamps
from status_watcher.edge.locate import SessionsDir
from status_watcher.edge.tail import Opener
from status_watcher.model import SessionId, SessionKey
from status_watcher.source import IndexSeen, TranscriptGone

_INDEX_RETRIES_S: Final = (0.05, 0.2, 1.0)
_INDEX_DEGRADED_S: Final = 30.0
_LARGE_INDEX_BYTES: Final = 1 << 20
_LARGE_INDEX_PAUSE_S: Final = 0.5
_LISTING_SHARE: Final = 30
"""A listing may be repeated after this many times what it took."""
_TAIL_QUIET_S: Final = 2.0


class AgentDir:
    """Turns hints (names from events, sweeps) into looks, and looks into news."""

    def __init__(
        self,
        shared: FileShared,
        place: SessionsDir,
        root: str,
        *,
        wanted: frozenset[SessionId],
        fresh_from: float,
        now: Callable[[], float] = time.time,
        open_file: Callable[[str, int], int] = os.open,
        others: Callable[[], Iterable["AgentDir"]] = tuple,
    ) -> None:
        """At first it reads what is `wanted`, what was written since `fresh_from`, and what runs.

        `others`: the agent's other directories; what is in one of them is not missing.
        """
        self.place = place
        self.removed = False
        """Its agent is gone, while others are there."""
        self.listing_job = Job(self._list)
        self.index_job = Job(self._look_at_index)
        self._sweep_job = Job(self._sweep)
        self._shared = shared
        self._opener = Opener(root, open_file)
        self._index = IndexUnion(place.index_path, place.left_indexes, open_file)
        self._lost: dict[SessionId, float] = dict.fromkeys(wanted, shared.clock())
        self._fresh_from = fresh_from
        self._now = now
        self._others = others
        self._entries: Mapping[SessionKey, StoreEntry] | None = None
        self._index_thorough = True
        self._index_told_s = float("-inf")
        self._index_due_s = float("-inf")
        self._index_retries = 0
        self._index_trouble: tuple[str, float] | None = None
        self._listed = False
        self._running_due = True
        self._readable = True
        self._relist_due_s = float("-inf")
        self._changed_ns = 0
        self._known: Mapping[str, Stamp] = {}
        self._archives: Mapping[str, Archive] = {}
        self._archives_taken: set[str] = set()
        self._followed: dict[str, Followed] = {}
        self._refused: dict[str, str] = {}
        self._eventless = False
        self._left = False

    @property
    def settling(self) -> bool:
        """Whether a rewrite is being waited for."""
        return any(followed.settling for followed in self._followed.values())

    @property
    def idle(self) -> bool:
        """Whether nothing in it is followed."""
        return not self._followed

    def follows(self, session_id: SessionId) -> bool:
        """Whether a transcript of this session is followed here."""
        return any(followed.holds(session_id) for followed in self._followed.values())

    def seeks(self, session_id: SessionId) -> bool:
        """Whether it may yet be found here."""
        return session_id in self._lost

    def leave(self) -> None:
        """Say no more of the index: it is another one that counts."""
        self._left = True

    def want(self, session_ids: Collection[SessionId]) -> None:
        """Find these sessions too, however old they are."""
        now_s = self._shared.clock()
        self._lost |= dict.fromkeys(session_ids, now_s)
        self.relist()

    def look_at(self, name: str) -> None:
        """An event named this file."""
        kind = classify(name)
        match kind:
            case Transcript():
                self._follow(name, kind.session_id).ask()
            case Archive():
                self._shared.jobs.ask(self.listing_job)
            case _:
                pass

    def look_at_index(self) -> None:
        """An event named the index, or it may have changed unannounced."""
        self._index_thorough = True
        self._shared.jobs.ask(self.index_job)

    def relist(self) -> None:
        """Anything may have changed."""
        self._shared.jobs.ask(self.listing_job)

    def sweep(self, *, eventless: bool) -> None:
        """Look whether active files changed unannounced; without events also whether names did."""
        self._eventless = eventless
        self._shared.jobs.ask(self._sweep_job)
        self._shared.jobs.ask(self.index_job)

    def problems(self) -> tuple[str, ...]:
        """What `/health` should say of this agent, one line each."""
        agent = self.place.agent
        lines = []
        if not self._readable and not self.removed:
            lines.append(f"sessions directory of agent {agent} cannot be read")
        if self._index_trouble is not None:
            reason, since_s = self._index_trouble
            if self._shared.clock() - since_s >= _INDEX_DEGRADED_S:
                lines.append(
                    f"sessions.json of agent {agent} cannot be used ({reason}): going by its last state"
                )
        if self._refused:
            reason = next(iter(self._refused.values()))
            lines.append(f"{len(self._refused)} transcripts of agent {agent} cannot be read ({reason})")
        return tuple(lines)

    # The index.

    async def _look_at_index(self) -> bool:
        wait_s = self._index_due_s - self._shared.clock()
        if wait_s > 0:
            self._shared.later(wait_s, self.index_job)
            return False
        thorough, self._index_thorough = self._index_thorough, False
        look = await self._shared.readers.run(partial(self._index.look, thorough=thorough))
        counters = self._shared.counters
        counters.index_looks += 1
        match look:
            case Fresh(index, size_bytes):
                self._index_trouble, self._index_retries = None, 0
                self._entries = index.entries
                if size_bytes > _LARGE_INDEX_BYTES:
                    self._index_due_s = self._shared.clock() + _LARGE_INDEX_PAUSE_S
                self._tell_index()
            case Same():
                self._index_trouble, self._index_retries = None, 0
                if self._shared.clock() - self._index_told_s >= INDEX_AGAIN_S:
                    self._tell_index()
            case NotYet():
                counters.missing_index_looks += 1
                self._index_trouble, self._index_retries = None, 0
            case Unreadable(reason):
                counters.unreadable_index_looks += 1
                since_s = self._index_trouble[1] if self._index_trouble else self._shared.clock()
                self._index_trouble = reason, since_s
                self._index_thorough = True
                if self._index_retries < len(_INDEX_RETRIES_S):
                    self._shared.later(_INDEX_RETRIES_S[self._index_retries], self.index_job)
                    self._index_retries += 1
            case _:
                assert_never(look)
        if not self._listed or (self._running_due and self._entries is not None):
            self.relist()  # in this order, since the index tells which transcripts matter
        return False

    def _tell_index(self) -> None:
        if self._entries is not None and not self._left and not self.place.aside:
            self._index_told_s = self._shared.clock()
            self._shared.sink(IndexSeen(self.place.agent, self._entries))

    def _indexed_id(self, name: str) -> SessionId | None:
        return filed_under(name, self._entries or {})

    # The listing.

    async def _list(self) -> bool:
        before_s, began_s = self._shared.clock(), self._now()
        stamps_before = {name: followed.stamp for name, followed in self._followed.items()}
        listing = await self._shared.readers.run(partial(list_sessions, self.place.path, self._known))
        self._relist_due_s = self._shared.clock() + _LISTING_SHARE * (self._shared.clock() - before_s)
        self._readable = listing is not None
        if listing is None:
            if self.removed:
                for followed in self._followed.values():
                    followed.ask()
            return False
        first, self._listed = not self._listed, True
        known, self._known = self._known, listing.transcripts
        archives, self._archives = self._archives, listing.archives
        self._archives_taken &= listing.archives.keys()
        if first:
            fresh_ns = int(self._fresh_from * 1e9)
            fresh = [name for name, stamp in listing.changed.items() if stamp.mtime_ns >= fresh_ns]
            for name in fresh:
                # What another index names, or named once, lies there too.
                if not self.place.aside or is_named(name, self._entries or {}):
                    self.look_at(name)
        else:
            self._follow_changes(listing, stamps_before, began_s)
            for name in listing.archives.keys() - archives.keys():
                # Written and put away between two listings, and never seen alive.
                if listing.archives[name].live_name not in known:
                    self._follow_archive(name, listing.archives[name])
        self._follow_renames(listing)
        if self._running_due and self._entries is not None:
            self._running_due = False
            await self._follow_running(listing)
        await self._find_lost(listing)
        return False

    def _follow_changes(
        self, listing: Listing, stamps_before: Mapping[str, Stamp | None], began_s: float
    ) -> None:
        for name, stamp in listing.changed.items():
            followed = self._followed.get(name)
            known = followed.stamp if followed is not None else None
            if known == stamp:
                continue
            if known == stamps_before.get(name):  # else read meanwhile, and perhaps newer than what was seen
                self._count_find(stamp, followed, began_s)
            self.look_at(name)

    def _follow_renames(self, listing: Listing) -> None:
        for name, followed in self._followed.items():
            if name in listing.transcripts or followed.archived:
                continue
            inode = followed.stamp.inode if followed.stamp is not None else None
            put_away = archive_of(listing, name, inode)
            # An event may come so late that its file has been read as an archive already; to follow it afresh
            # would hand over everything again.
            if put_away is None or put_away[0] in self._archives_taken:
                followed.ask()
            else:
                self._archives_taken.add(put_away[0])
                followed.put_away(*put_away)

    async def _follow_running(self, listing: Listing) -> None:
        """A session may run for long without a line; its file is old then, and matters."""
        entries = (self._entries or {}).values()
        running = {entry.session_id for entry in entries if entry.status is StoreStatus.RUNNING}
        if running:
            found = await self._find(running, listing, by_header=False)
            for name in found.values():
                self.look_at(name)

    async def _find_lost(self, listing: Listing) -> None:
        """Boxes are open for these sessions, so what became of them must be told."""
        for followed in self._followed.values():
            if followed.session_id is not None:
                self._lost.pop(followed.session_id, None)
        if not self._lost:
            return
        found = await self._find(self._lost.keys(), listing, by_header=True)
        for session_id, name in found.items():
            del self._lost[session_id]
            if name in listing.archives:
                self._follow_archive(name, listing.archives[name])
            else:
                self.look_at(name)
        indexed = {entry.session_id for entry in (self._entries or {}).values()}
        for session_id, since_s in list(self._lost.items()):
            # A session that the index names may have nothing on disk yet: its first lines come with the first
            # answer.
            over = session_id not in indexed and self._shared.clock() - since_s >= GONE_S
            if self._followed_elsewhere(session_id) or (over and self.place.aside):
                del self._lost[session_id]
            elif over and not any(other.seeks(session_id) for other in self._others()):
                del self._lost[session_id]
                self._shared.sink(TranscriptGone(self.place.agent, session_id, "missing"))

    def _followed_elsewhere(self, session_id: SessionId) -> bool:
        return any(other.follows(session_id) for other in self._others())

    async def _find(
        self, session_ids: Collection[SessionId], listing: Listing, *, by_header: bool
    ) -> Mapping[SessionId, str]:
        files = {
            entry.session_id: entry.session_file.rpartition("/")[2]
            for entry in (self._entries or {}).values()
            if entry.session_file is not None and entry.session_id in session_ids
        }
        call = partial(
            find_sessions,
            self.place.path,
            frozenset(session_ids),
            files,
            listing,
            self._opener if by_header else None,
        )
        return await self._shared.readers.run(call)

    # The transcripts.

    def _follow(self, name: str, claimed_id: SessionId, archive: Archive | None = None) -> Followed:
        followed = self._followed.get(name)
        if followed is None:
            followed = self._followed[name] = Followed(
                self._shared,
                Surroundings(
                    self._indexed_id,
                    self.relist,
                    self._is_conclusive,
                    self._note_refusal,
                    self._forget,
                    self._followed_elsewhere,
                ),
                self._opener,
                agent=self.place.agent,
                directory=self.place.path,
                name=name,
                claimed_id=claimed_id,
                archive=archive,
            )
        return followed

    def _follow_archive(self, name: str, archive: Archive) -> None:
        if archive.live_name not in self._followed and name not in self._archives_taken:
            self._archives_taken.add(name)
            self._follow(name, archive.session_id, archive).ask()

    def _note_refusal(self, name: str, reason: str | None) -> None:
        if reason is None:
            self._refused.pop(name, None)
        else:
            self._refused[name] = reason

    def _forget(self, name: str) -> None:
        self._followed.pop(name, None)
        self._refused.pop(name, None)

    def _is_conclusive(self) -> bool:
        return self._readable or self.removed

    async def _sweep(self) -> bool:
        active = []
        for followed in self._followed.values():
            if followed.archived:
                followed.ask()  # it would have ended, had it been readable
            elif followed.active:
                active.append(followed)
        paths = [followed.path for followed in active]
        if self._eventless:
            paths.append(self.place.path)
        stamps_before, began_s = [followed.stamp for followed in active], self._now()
        seen = await self._shared.readers.run(lambda: list(stamps(paths))) if paths else []
        for followed, before, stamp in zip(active, stamps_before, seen, strict=False):
            if followed.stamp != before:
                continue  # read meanwhile, and perhaps newer than what was seen
            if stamp is None or stamp != before:
                self._count_find(stamp, followed, began_s)
                followed.ask()
            elif self._now() - stamp.mtime_ns / 1e9 >= _TAIL_QUIET_S:
                followed.offer_tail()
        own = seen[-1] if self._eventless else None
        if own is not None and own.mtime_ns != self._changed_ns and self._may_relist():
            self._changed_ns = own.mtime_ns
            self.relist()
        if self._lost:
            self.relist()
        return False

    def _may_relist(self) -> bool:
        """Where names change all the time, listing a large directory must not become all that is done."""
        return self._shared.clock() >= self._relist_due_s

    def _count_find(self, stamp: Stamp | None, followed: Followed | None, began_s: float) -> None:
        """Of a look that began at this time, by which the event of an older change should have come."""
        if stamp is None or (followed is not None and (followed.stamp is None or followed.job.pending)):
            return
        if began_s - stamp.mtime_ns / 1e9 >= EVENT_LAG_S:
            self._shared.counters.sweep_finds += 1
