"""The sessions of one agent's database: a blocking look at it becomes news."""

import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from status_watcher.core.index import StoreEntry, StoreStatus
from status_watcher.edge.database_archive import DatabaseArchives
from status_watcher.edge.database_connection import Connection, Outrun, Ready, Unavailable, reason_of
from status_watcher.edge.database_index import Index, Updated, update
from status_watcher.edge.database_payload import Payloads
from status_watcher.edge.database_rows import RowMark, Rows
from status_watcher.edge.database_schema import NoSessions, NotUnderstood, Schema, read_schema
from status_watcher.edge.database_transcript import Place, Step, Vanished, step
from status_watcher.edge.intervals import ACTIVE_S, GONE_S
from status_watcher.edge.lookout import StoreCounters
from status_watcher.edge.tail import SLICE_BYTES
from status_watcher.model import AgentId, SessionId, SessionKey
from status_watcher.source import Lines, Reading, TranscriptGone

_TRIES: Final = 3
_CLOSE_S: Final = 0.2


@dataclass(slots=True)
class DatabaseCounters(StoreCounters):
    """What happened since the start; each is a fault or a mechanism that nobody would see otherwise."""

    looks: int = 0
    unchanged_looks: int = 0
    failed_looks: int = 0
    """Databases that could not be read when looked at."""
    rows: int = 0
    damaged_rows: int = 0
    """Events that could not be unpacked, or are no JSON."""
    overlong_rows: int = 0
    opened: int = 0
    rewrites: int = 0
    """Transcripts that were handed over again because the store changed what had been handed over."""
    rescans: int = 0
    """Times that ids of rows could not be trusted: rows were deleted, or the database was rebuilt."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The database could be read."""

    entries: Mapping[SessionKey, StoreEntry]
    index_changed: bool
    news: tuple[Lines | TranscriptGone, ...]
    more: bool
    """There is more to read: look again."""
    changed: bool
    schema: Schema


@dataclass(frozen=True, slots=True)
class Waiting:
    """It could not; what was handed over stands."""

    reason: str
    absent: bool = False


@dataclass(frozen=True, slots=True)
class _Followed:
    place: Place
    changed_s: float
    owes_end: bool = False


@dataclass(slots=True)
class _State:
    """What a look leaves for the next one; a look that fails leaves nothing."""

    index: Index = field(default_factory=Index)
    surveyed: bool = False
    half_read: bool = False
    """Something was committed that no thorough look has gone through."""
    newest: RowMark | None = None
    tips: Mapping[SessionId, int] = field(default_factory=dict)
    """The last event of each transcript at the first look."""
    followed: dict[SessionId, _Followed] = field(default_factory=dict)
    due: dict[SessionId, None] = field(default_factory=dict)
    lost: dict[SessionId, float] = field(default_factory=dict)
    """Wanted sessions that were not found, and since when."""
    told: frozenset[SessionId] = frozenset()
    """Sessions that were followed and are no longer: nothing of them is the first that is told."""

    def draft(self) -> "_State":
        return _State(
            self.index,
            self.surveyed,
            self.half_read,
            self.newest,
            self.tips,
            dict(self.followed),
            dict(self.due),
            dict(self.lost),
            self.told,
        )


class DatabaseSessions:
    """Remembers what was handed over; looks are blocking I/O, one at a time."""

    def __init__(
        self,
        agent: AgentId,
        path: str,
        *,
        wanted: Collection[SessionId],
        fresh_from_ms: float,
        counters: DatabaseCounters,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """At first it reads what is `wanted`, what was written since `fresh_from_ms`, and what runs."""
        self._agent = agent
        self._path = path
        self._fresh_from_ms = fresh_from_ms
        self._counters = counters
        self._clock = clock
        self._connection = Connection(path)
        self._payloads = Payloads()
        self._archives = DatabaseArchives(path, self._payloads)
        self._schema: Schema | NoSessions | NotUnderstood | None = None
        self._schema_cookie = -1
        self._asked: list[SessionId] = list(wanted)
        self._state = _State()
        self._looking = threading.Lock()

    def want(self, session_ids: Collection[SessionId]) -> None:
        """Read these too, however old they are; may be called at any time, from any thread."""
        self._asked.extend(session_ids)

    def look(self, *, thorough: bool) -> Seen | Waiting:
        """Read what is new, or a slice of it. A `thorough` look also finds what changed in silence."""
        with self._looking:
            return self._try_to_look(thorough=thorough)

    def _try_to_look(self, *, thorough: bool) -> Seen | Waiting:
        self._counters.looks += 1
        for _ in range(_TRIES):
            ready = self._connection.prepare()
            if isinstance(ready, Unavailable):
                self._counters.failed_looks += 1
                return Waiting(ready.reason, ready.absent)
            state = self._state.draft()
            self._take_wanted(state)
            nothing_left = not state.due and not state.lost and not (thorough and state.half_read)
            if ready is Ready.SAME and nothing_left and isinstance(self._schema, Schema):
                self._counters.unchanged_looks += 1
                return Seen(
                    state.index.entries,
                    index_changed=False,
                    news=(),
                    more=False,
                    changed=False,
                    schema=self._schema,
                )
            self._counters.opened += ready is Ready.OTHER
            try:
                with self._connection.snapshot() as connection:
                    seen = self._look(connection, state, ready, thorough=thorough)
            except Outrun:
                continue
            except (sqlite3.Error, OSError) as error:
                self._counters.failed_looks += 1
                return Waiting(reason_of(error, self._path))
            if isinstance(seen, Seen):
                self._state = state
            return seen
        return Waiting("its writer comes and goes")

    def farewell(self) -> tuple[TranscriptGone, ...]:
        """What to say of every session when the agent is gone altogether."""
        ids = [*self._state.followed, *self._state.lost]
        self._state = _State()
        return tuple(TranscriptGone(self._agent, session_id, "missing") for session_id in ids)

    def close(self) -> None:
        """Let go of the database, unless a look at it hangs."""
        if self._looking.acquire(timeout=_CLOSE_S):
            self._connection.close()
            self._looking.release()

    def _take_wanted(self, state: _State) -> None:
        asked, self._asked = self._asked, []
        for session_id in asked:
            state.lost.setdefault(session_id, self._clock())
        # Kept also if this look fails.
        self._state.lost.update(state.lost)

    def _look(
        self, connection: sqlite3.Connection, state: _State, ready: Ready, *, thorough: bool
    ) -> Seen | Waiting:
        cookie = int(connection.execute("PRAGMA schema_version").fetchone()[0])
        if ready is Ready.OTHER or cookie != self._schema_cookie or not isinstance(self._schema, Schema):
            self._schema, self._schema_cookie = read_schema(connection), cookie
        match self._schema:
            case NoSessions():
                return Waiting("has no tables for sessions")
            case NotUnderstood(reason):
                return Waiting(reason)
        rows = Rows(connection, self._schema, self._payloads)
        thorough = thorough or ready is Ready.OTHER
        now_s = self._clock()
        news: list[Lines | TranscriptGone] = []
        updated = Updated(state.index, changed=False)
        if ready is not Ready.SAME or not state.surveyed or (thorough and state.half_read):
            state.half_read = not thorough
            active = _keys_of_active(state, now_s) if thorough else ()
            updated = update(rows, state.index, thorough=thorough, again=active)
            state.index = updated.index
            self._counters.index_looks += 1
            self._find_changes(rows, state, updated, everything=ready is Ready.OTHER, thorough=thorough)
        self._find_lost(rows, state, news)
        self._read_due(rows, state, news)
        self._end_lost(rows, state, news)
        changed = bool(news) or updated.changed
        return Seen(state.index.entries, updated.changed, tuple(news), bool(state.due), changed, self._schema)

    def _find_changes(
        self, rows: Rows, state: _State, updated: Updated, *, everything: bool, thorough: bool
    ) -> None:
        """Which sessions have something to be read."""
        before, state.newest = state.newest, rows.newest()
        if not state.surveyed:
            self._survey(rows, state)
            return
        trusted = before is None or rows.at(before.rowid) == before
        if trusted:
            for session_id in rows.written_since(before):
                if session_id in state.index.current or session_id in state.followed:
                    self._follow(state, session_id)
        else:
            self._counters.rescans += 1
            for session_id in state.index.current:
                tip = rows.tip(session_id)
                if tip is not None and tip[0] != state.tips.get(session_id, -1):
                    self._follow(state, session_id)
        for session_id in updated.moved:
            if session_id not in state.followed and rows.tip(session_id) is not None:
                self._follow(state, session_id)
        for session_id in updated.touched:
            if session_id in state.followed:
                state.due.setdefault(session_id)
        if everything or not trusted:
            state.due |= dict.fromkeys(state.followed)
        elif thorough:
            now_s = self._clock()
            state.due |= dict.fromkeys(_active(state, now_s))

    def _survey(self, rows: Rows, state: _State) -> None:
        """At first sight: what is fresh, and what runs, which may be long without an event."""
        state.surveyed = True
        entries = state.index.entries.values()
        running = {entry.session_id for entry in entries if entry.status is StoreStatus.RUNNING}
        tips = {}
        for session_id in dict.fromkeys(known.session_id for known in state.index.known.values()):
            tip = rows.tip(session_id)
            if tip is None:
                continue
            tips[session_id] = tip[0]
            if session_id in running or tip[1] >= self._fresh_from_ms:
                self._follow(state, session_id)
        state.tips = tips

    def _follow(self, state: _State, session_id: SessionId) -> None:
        if session_id not in state.followed:
            reading = Reading.REPLACED if session_id in state.told else Reading.FIRST
            state.followed[session_id] = _Followed(Place(session_id, reading), self._clock())
        state.due.setdefault(session_id)
        state.lost.pop(session_id, None)

    def _find_lost(self, rows: Rows, state: _State, news: list[Lines | TranscriptGone]) -> None:
        """Boxes are open for these sessions, so what became of them must be told."""
        for session_id, since_s in list(state.lost.items()):
            if session_id in state.followed:
                del state.lost[session_id]
            elif rows.tip(session_id) is not None:
                self._follow(state, session_id)
            elif session_id in state.index.current:
                pass
            elif (archived := self._archives.find(rows, session_id)) is not None:
                del state.lost[session_id]
                if archived.lines:
                    news.append(Lines(self._agent, session_id, archived.lines, Reading.FIRST))
                news.append(TranscriptGone(self._agent, session_id, archived.how, archived.at_ms))
            elif self._clock() - since_s >= GONE_S:
                del state.lost[session_id]
                news.append(TranscriptGone(self._agent, session_id, "missing"))

    def _read_due(self, rows: Rows, state: _State, news: list[Lines | TranscriptGone]) -> None:
        left_bytes = SLICE_BYTES
        while state.due and left_bytes > 0:
            session_id = next(iter(state.due))
            del state.due[session_id]
            followed = state.followed[session_id]
            source = state.index.fork_sources.get(session_id, "")
            result = step(rows, followed.place, fork_source_id=source, most_bytes=left_bytes)
            if isinstance(result, Vanished):
                self._take_vanished(rows, state, followed, news)
                continue
            self._count(result)
            left_bytes -= max(1, result.size_bytes)
            lines = self._lines(result, followed)
            if lines is not None:
                news.append(lines)
            state.followed[session_id] = _Followed(
                result.place,
                self._clock() if result.rows else followed.changed_s,
                lines.more_follows if lines is not None else followed.owes_end,
            )
            if result.more:
                state.due[session_id] = None

    def _lines(self, result: Step, followed: _Followed) -> Lines | None:
        # Whoever was told that more follows is told when nothing does, be it with an empty batch.
        batch, session_id = result.batch, result.place.session_id
        if batch is None:
            if not followed.owes_end or result.more:
                return None
            return Lines(self._agent, session_id, (), Reading.MORE)
        return Lines(
            self._agent,
            session_id,
            batch.lines,
            batch.reading,
            head_skipped=batch.head_skipped,
            more_follows=result.more,
            copied_until_ms=batch.copied_until_ms,
        )

    def _take_vanished(
        self, rows: Rows, state: _State, followed: _Followed, news: list[Lines | TranscriptGone]
    ) -> None:
        """Its events are gone: with it, into an archive (they may come back), or because it was emptied."""
        session_id = followed.place.session_id
        del state.followed[session_id]
        state.told |= {session_id}
        if session_id not in state.index.current:
            self._tell_end(rows, followed, news)
        elif rows.is_cold(session_id):
            if followed.owes_end:
                news.append(Lines(self._agent, session_id, (), Reading.MORE))
        elif followed.place.begun or followed.place.reading is not Reading.FIRST:
            news.append(Lines(self._agent, session_id, (), Reading.REPLACED))

    def _end_lost(self, rows: Rows, state: _State, news: list[Lines | TranscriptGone]) -> None:
        """A session that its key has left behind (a rewind, a reset, a successor), or that was deleted."""
        for session_id in state.followed.keys() - state.index.current - state.due.keys():
            followed = state.followed.pop(session_id)
            state.told |= {session_id}
            self._tell_end(rows, followed, news)

    def _tell_end(self, rows: Rows, followed: _Followed, news: list[Lines | TranscriptGone]) -> None:
        """Its last events may have come and gone since the last look: the archive has them."""
        session_id = followed.place.session_id
        archived = self._archives.find(rows, session_id) if rows.tip(session_id) is None else None
        if archived is not None and archived.lines:
            reading = Reading.FIRST if followed.place.reading is Reading.FIRST else Reading.AGAIN
            news.append(Lines(self._agent, session_id, archived.lines, reading))
        elif followed.owes_end:
            news.append(Lines(self._agent, session_id, (), Reading.MORE))
        if archived is not None:
            news.append(TranscriptGone(self._agent, session_id, archived.how, archived.at_ms))
        else:
            how: Literal["reset", "deleted"] = "reset" if rows.window_exists(session_id) else "deleted"
            news.append(TranscriptGone(self._agent, session_id, how))

    def _count(self, result: Step) -> None:
        self._counters.rows += result.rows
        self._counters.damaged_rows += result.damaged
        self._counters.overlong_rows += result.overlong
        self._counters.rewrites += result.rewritten


def _active(state: _State, now_s: float) -> frozenset[SessionId]:
    return frozenset(
        session_id for session_id, followed in state.followed.items() if now_s - followed.changed_s < ACTIVE_S
    )


def _keys_of_active(state: _State, now_s: float) -> tuple[SessionKey, ...]:
    """Rows whose status may have changed without another time."""
    active = _active(state, now_s)
    return tuple(key for key, known in state.index.known.items() if known.session_id in active)
