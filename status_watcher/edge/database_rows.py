"""The questions asked of an open database, within one read transaction; the only place with SQL over rows."""

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from status_watcher.core.store_branch import Kind, Node, abandoned, parse_node
from status_watcher.core.store_rows import Birth, NodeRow, RouteRow, fits
from status_watcher.edge.database_payload import PAYLOAD_COLUMNS, Fault, Payloads
from status_watcher.edge.database_schema import EVENTS, Schema
from status_watcher.edge.tail import END_BYTES, WHOLE_BYTES
from status_watcher.model import SessionId, SessionKey

_ACTIVE: Final = "session_transcript_active_events"
_STATE: Final = "session_transcript_index_state"
_COLD: Final = "session_transcript_cold_archives"
_ARCHIVES: Final = "session_transcript_archives"
_WATERMARKS: Final = "transcript_rewrite_watermarks"
_WINDOWS: Final = "session_windows"
_MOST_KEYS: Final = 500


@dataclass(frozen=True, slots=True)
class Mark:
    """One event, as far as that tells whether it is still the same one."""

    created_at_ms: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class RowMark:
    """The newest row of all transcripts; ids of rows are used again, so it says whose it is."""

    rowid: int
    session_id: SessionId
    seq: int
    mark: Mark


@dataclass(frozen=True, slots=True)
class Event:
    """One row of a transcript."""

    seq: int
    mark: Mark
    body: bytes | Fault


class Rows:
    """Asks one connection; every method raises `sqlite3.Error`."""

    def __init__(self, connection: sqlite3.Connection, schema: Schema, payloads: Payloads) -> None:
        self._connection = connection
        self._schema = schema
        self._payloads = payloads
        has_zstd = schema.has(EVENTS, "event_zstd", "event_utf8_bytes")
        self._payload = PAYLOAD_COLUMNS if has_zstd else "event_json, NULL"
        # Of a row that was compressed since, the text's length is told by this column.
        length = "length(CAST(event_json AS BLOB))"
        self._size = f"coalesce(event_utf8_bytes, {length})" if has_zstd else length

    # Which sessions changed

    def newest(self) -> RowMark | None:
        """The last row of all transcripts."""
        rowid = self._one(f"SELECT max(rowid) FROM {EVENTS}")  # noqa: S608 - a constant
        return None if rowid is None or rowid[0] is None else self.at(rowid[0])

    def at(self, rowid: int) -> RowMark | None:
        """The row with this id."""
        query = f"SELECT session_id, seq, created_at, {self._size} FROM {EVENTS} WHERE rowid = ?"  # noqa: S608 - names of ours
        found = self._one(query, rowid)
        if found is None:
            return None
        mark = Mark(_millis(found[2]), int(found[3] or 0))
        return RowMark(rowid, SessionId(_text(found[0])), int(found[1]), mark)

    def written_since(self, mark: RowMark | None) -> dict[SessionId, None]:
        """The sessions that have rows after this one, in the order of their first."""
        query = f"SELECT session_id FROM {EVENTS} WHERE rowid > ? ORDER BY rowid"  # noqa: S608 - ditto
        after = mark.rowid if mark is not None else -1
        return dict.fromkeys(SessionId(_text(row[0])) for row in self._connection.execute(query, (after,)))

    def tip(self, session_id: SessionId) -> tuple[int, int] | None:
        """Number and time of the last event of a transcript; None if it has none."""
        query = f"SELECT seq, created_at FROM {EVENTS} WHERE session_id = ? ORDER BY seq DESC LIMIT 1"  # noqa: S608 - names of ours
        found = self._one(query, session_id)
        return None if found is None else (int(found[0]), _millis(found[1]))

    # One transcript

    def generation(self, session_id: SessionId) -> str:
        """A word that changes whenever the transcript is rewritten; always the same where there is none."""
        if not self._schema.has(_WATERMARKS, "session_id", "generation"):
            return ""
        found = self._one(f"SELECT generation FROM {_WATERMARKS} WHERE session_id = ?", session_id)  # noqa: S608 - names of ours
        return "" if found is None else _text(found[0])

    def mark(self, session_id: SessionId, seq: int) -> Mark | None:
        """How one event is marked now; None if there is none of this number."""
        query = f"SELECT created_at, {self._size} FROM {EVENTS} WHERE session_id = ? AND seq = ?"  # noqa: S608 - names of ours
        found = self._one(query, session_id, seq)
        return None if found is None else Mark(_millis(found[0]), int(found[1] or 0))

    def events(self, session_id: SessionId, after_seq: int) -> Iterator[Event]:
        """The events after one of them, in order; read as far as it is iterated."""
        query = (
            f"SELECT seq, created_at, {self._size}, {self._payload} FROM {EVENTS}"  # noqa: S608 - constants
            " WHERE session_id = ? AND seq > ? ORDER BY seq"
        )
        with contextlib.closing(self._connection.execute(query, (session_id, after_seq))) as rows:
            for seq, created_at, size, text, packed in rows:
                mark = Mark(_millis(created_at), int(size or 0))
                yield Event(int(seq), mark, self._payloads.body(text, packed))

    def start(self, session_id: SessionId) -> tuple[int, bool]:
        """After which event to begin, and whether that leaves out a beginning too large to read."""
        query = f"SELECT seq, {self._size} FROM {EVENTS} WHERE session_id = ? ORDER BY seq DESC"  # noqa: S608 - names of ours
        seqs, sizes, total = [], [], 0
        with contextlib.closing(self._connection.execute(query, (session_id,))) as rows:
            for seq, size in rows:
                seqs.append(int(seq))
                sizes.append(int(size or 0))
                total += sizes[-1]
                if total > WHOLE_BYTES:
                    break
        count = fits(total, WHOLE_BYTES, sizes, END_BYTES)
        skipped = total > WHOLE_BYTES
        return (seqs[count - 1] - 1 if skipped else -1), skipped

    def abandoned(self, session_id: SessionId) -> frozenset[int]:
        """The events that are not on the active branch.

        The store's own projection of the branch is asked where it says that it is up to date; it is rebuilt
        some time after a branch has changed, and for large transcripts in pieces (2026.9.6).
        """
        current = self._is_projected(session_id)
        if current:
            return self._not_projected(session_id)
        off = abandoned(self._nodes_of(session_id))
        return off if current is False else off | self._not_projected(session_id)

    def is_active(self, session_id: SessionId, seq: int) -> bool:
        """False if the store's projection says that this event is on no active branch (any more)."""
        if not self._schema.has(_ACTIVE, "session_id", "event_seq"):
            return True
        found = self._one(
            f"SELECT max(event_seq), max(event_seq) FILTER (WHERE event_seq = ?) FROM {_ACTIVE}"  # noqa: S608 - names of ours
            " WHERE session_id = ? AND event_seq >= ?",
            seq,
            session_id,
            seq,
        )
        newest, own = found if found is not None else (None, None)
        if own is not None:
            return True
        return newest is None and self._is_projected(session_id) is not True

    def birth(self, session_id: SessionId, fork_source_id: str) -> Birth | None:
        """How a session began; None if it has no header with something after it."""
        query = (
            f"SELECT seq, created_at, {self._size}, {self._payload} FROM {EVENTS}"  # noqa: S608 - constants
            " WHERE session_id = ? ORDER BY seq LIMIT 2"
        )
        rows = self._connection.execute(query, (session_id,)).fetchall()
        if len(rows) < 2:
            return None
        header_ms, first_ms = _millis(rows[0][1]), _millis(rows[1][1])
        sources = tuple(
            dict.fromkeys(
                SessionId(source)
                for source in (fork_source_id, self._previous(session_id))
                if source and source != session_id
            )
        )
        if not sources or first_ms >= header_ms:
            return Birth(header_ms, first_ms, sources, None)
        node = self._node(rows[1][0], rows[1][3], rows[1][4])
        known = [self._has_entry(source, first_ms, node) for source in sources]
        told = [answer for answer in known if answer is not None]
        return Birth(header_ms, first_ms, sources, any(told) if told else None)

    def window_exists(self, session_id: SessionId) -> bool:
        """Whether the store still knows this session at all."""
        if not self._schema.has(_WINDOWS, "session_id"):
            return self.tip(session_id) is not None
        return self._one(f"SELECT 1 FROM {_WINDOWS} WHERE session_id = ?", session_id) is not None  # noqa: S608 - names of ours

    def is_cold(self, session_id: SessionId) -> bool:
        """Whether the transcript was put into an archive from which it may come back."""
        if not self._schema.has(_COLD, "session_id"):
            return False
        return self._one(f"SELECT 1 FROM {_COLD} WHERE session_id = ?", session_id) is not None  # noqa: S608 - names of ours

    def archive(
        self, session_id: SessionId
    ) -> tuple[Literal["reset", "deleted"], int, tuple[bytes, ...]] | None:
        """How and when a session ended that has no transcript any more, and what it was; None without one."""
        if not self._schema.has(_ARCHIVES, "session_id", "reason", "encoding", "archive_blob", "created_at"):
            return None
        query = f"SELECT reason, encoding, archive_blob, created_at FROM {_ARCHIVES} WHERE session_id = ?"  # noqa: S608 - names of ours
        found = self._one(f"{query} ORDER BY created_at DESC LIMIT 1", session_id)
        if found is None or not isinstance(found[2], bytes):
            return None
        lines = self._payloads.archived_lines(_text(found[1]), found[2])
        return ("reset" if found[0] == b"reset" else "deleted"), _millis(found[3]), lines

    # The index

    def versions(self) -> dict[SessionKey, int]:
        """When each session's row was written; answered by an index alone."""
        query = f"SELECT session_key, updated_at FROM {self._schema.nodes}"  # noqa: S608 - ours
        return {SessionKey(_text(key)): _millis(at) for key, at in self._connection.execute(query)}

    def nodes_since(self, updated_at_ms: int) -> list[NodeRow]:
        """The sessions whose row was written then or later."""
        return list(self._nodes("WHERE updated_at >= ?", (updated_at_ms,)))

    def nodes(self, keys: Iterable[SessionKey]) -> list[NodeRow]:
        """The rows of these sessions, of those that there are."""
        wanted = list(keys)
        found: list[NodeRow] = []
        for start in range(0, len(wanted), _MOST_KEYS):
            some = wanted[start : start + _MOST_KEYS]
            found += self._nodes(f"WHERE session_key IN ({','.join('?' * len(some))})", some)
        return found

    def routes(self, session_ids: Iterable[SessionId]) -> Mapping[SessionId, RouteRow]:
        """The primary conversation of each of these sessions that has one."""
        if not self._schema.has("session_conversations", "session_id", "conversation_id", "role"):
            return {}
        if not self._schema.has(
            "conversations", "conversation_id", "channel", "delivery_target", "thread_id"
        ):
            return {}
        native = "native_channel_id" if self._schema.has("conversations", "native_channel_id") else "NULL"
        query = (
            f"SELECT c.channel, c.delivery_target, c.thread_id, {native}"  # noqa: S608 - constants
            " FROM session_conversations AS s JOIN conversations AS c USING (conversation_id)"
            " WHERE s.session_id = ? AND s.role = 'primary' LIMIT 1"
        )
        found = {}
        for session_id in session_ids:
            row = self._one(query, session_id)
            if row is not None:
                found[session_id] = RouteRow(*(_text(column) for column in row))
        return found

    def _nodes(self, where: str, arguments: Iterable[object]) -> Iterator[NodeRow]:
        optional = ("status", "label", "spawned_by", "parent_session_key", "fork_source_session_id")
        table = self._schema.nodes
        columns = ", ".join(name if self._schema.has(table, name) else "NULL" for name in optional)
        query = (
            f"SELECT session_key, {self._schema.node_session_id}, entry_json, updated_at, {columns}"  # noqa: S608 - names of ours
            f" FROM {table} {where}"
        )
        for key, session_id, entry, updated_at, *rest in self._connection.execute(query, tuple(arguments)):
            status, label, spawned_by, parent, source = (_text(value) for value in rest)
            yield NodeRow(
                SessionKey(_text(key)),
                SessionId(_text(session_id)),
                entry if isinstance(entry, bytes) else b"",
                _millis(updated_at),
                status,
                label,
                spawned_by,
                parent,
                source,
            )

    def _is_projected(self, session_id: SessionId) -> bool | None:
        """Whether the projection of the branch is up to date; None if the store does not say."""
        if not self._schema.has(_STATE, "session_id", "indexed_seq", "needs_rebuild"):
            return None
        query = f"SELECT needs_rebuild, indexed_seq FROM {_STATE} WHERE session_id = ?"  # noqa: S608 - a constant
        found = self._one(query, session_id)
        if found is None or not self._schema.has(_ACTIVE, "session_id", "event_seq"):
            return None
        tip = self.tip(session_id)
        return found[0] == 0 and tip is not None and int(found[1]) >= tip[0]

    def _not_projected(self, session_id: SessionId) -> frozenset[int]:
        """Entries that the projection lacks.

        What lies before its first one may also be history that a reset left behind, which is not abandoned:
        the tree tells. Events that are never projected (the header, leaves, those appended aside) are told by
        their bodies.
        """
        if not self._schema.has(_ACTIVE, "session_id", "event_seq"):
            return frozenset()
        found = self._one(
            f"SELECT min(event_seq), max(event_seq) FROM {_ACTIVE} WHERE session_id = ?",  # noqa: S608 - names of ours
            session_id,
        )
        if found is None or found[0] is None:
            return abandoned(self._nodes_of(session_id))  # rewound to before its first entry
        first, last = found
        before: frozenset[int] = frozenset()
        if first > 1:
            before = frozenset(seq for seq in abandoned(self._nodes_of(session_id)) if seq < first)
        last = None if self._is_projected(session_id) else last
        query = (
            f"SELECT seq, {self._payload} FROM {EVENTS} AS e WHERE session_id = ?1 AND seq > ?2"  # noqa: S608 - names of ours
            f" AND (?3 IS NULL OR seq <= ?3) AND NOT EXISTS (SELECT 1 FROM {_ACTIVE} AS a"
            " WHERE a.session_id = e.session_id AND a.event_seq = e.seq)"
        )
        end = None if last is None else int(last)
        off = []
        for seq, text, packed in self._connection.execute(query, (session_id, int(first), end)):
            node = self._node(seq, text, packed)
            if node is not None and node.kind in {Kind.ENTRY, Kind.RESET}:
                off.append(int(seq))
        return before.union(off)

    def _nodes_of(self, session_id: SessionId) -> Iterator[Node]:
        for event in self.events(session_id, -1):
            node = parse_node(event.seq, event.body) if isinstance(event.body, bytes) else None
            if node is not None:
                yield node

    def _node(self, seq: int, text: object, packed: object) -> Node | None:
        body = self._payloads.body(text, packed)
        return parse_node(seq, body) if isinstance(body, bytes) else None

    def _previous(self, session_id: SessionId) -> str:
        if not self._schema.has(_WINDOWS, "session_id", "previous_session_id"):
            return ""
        query = f"SELECT previous_session_id FROM {_WINDOWS} WHERE session_id = ?"  # noqa: S608 - a constant
        found = self._one(query, session_id)
        return "" if found is None else _text(found[0])

    def _has_entry(self, session_id: SessionId, created_at_ms: int, node: Node | None) -> bool | None:
        """Whether the transcript has this entry; None if there is no such transcript."""
        if self.tip(session_id) is None:
            return None
        query = f"SELECT seq, {self._payload} FROM {EVENTS} WHERE session_id = ? AND created_at = ?"  # noqa: S608 - names of ours
        for seq, text, packed in self._connection.execute(query, (session_id, created_at_ms)):
            other = self._node(seq, text, packed)
            if other is not None and node is not None and other.id == node.id:
                return True
        return False

    def _one(self, query: str, *arguments: object) -> tuple[Any, ...] | None:
        found = self._connection.execute(query, arguments).fetchone()
        return None if found is None else tuple(found)


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else ""


def _millis(value: object) -> int:
    return int(value) if isinstance(value, int | float) else 0
