"""An agent's index as its database has it, kept up to date without reading again what did not change."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from status_watcher.core.index import StoreEntry
from status_watcher.core.store_rows import NodeRow, entry_of
from status_watcher.edge.database_rows import Rows
from status_watcher.model import SessionId, SessionKey

_FEW: Final = 32
"""Of so many sessions all row versions may be compared at every look;"""
_SHARE: Final = 50
"""of more, after this many times what it took."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is remembered of one row."""

    session_id: SessionId
    updated_at_ms: int
    fingerprint: int
    fork_source_id: str


@dataclass(frozen=True, slots=True)
class Index:
    """All sessions of an agent, as of one look; never changed, but replaced by the next."""

    entries: Mapping[SessionKey, StoreEntry] = field(default_factory=dict)
    known: Mapping[SessionKey, Known] = field(default_factory=dict)
    current: frozenset[SessionId] = frozenset()
    fork_sources: Mapping[SessionId, str] = field(default_factory=dict)
    newest_ms: int = 0
    full_due_s: float = float("-inf")


@dataclass(frozen=True, slots=True)
class Updated:
    """The index after a look, and what of it is new."""

    index: Index
    changed: bool
    moved: tuple[SessionId, ...] = ()
    """Sessions that have become current ones."""
    touched: tuple[SessionId, ...] = ()
    """Sessions of which any field changed."""


def update(rows: Rows, index: Index, *, thorough: bool, again: Iterable[SessionKey] = ()) -> Updated:
    """Compare the rows with what is known; raises `sqlite3.Error`.

    Every look finds rows that were written after the newest one; a `thorough` one, or any of a small index,
    also those with older times and those that are gone. `again` names rows to read whatever their time is.
    """
    read = {row.key: row for row in rows.nodes_since(index.newest_ms)}
    gone: set[SessionKey] = set()
    now_s = time.monotonic()
    if thorough or len(index.known) <= _FEW or now_s >= index.full_due_s:
        versions = rows.versions()
        gone = {key for key in index.known if key not in versions}
        stale = {key for key, at in versions.items() if _version(index, key) != at} | set(again)
        read |= {row.key: row for row in rows.nodes((stale & versions.keys()) - read.keys())}
        took_s = time.monotonic() - now_s
        index = replace(index, full_due_s=now_s + took_s + _SHARE * took_s)
    fresh = {key: row for key, row in read.items() if _fingerprint(index, key) != hash(row)}
    if not fresh and not gone:
        return Updated(index, changed=False)
    return _merged(rows, index, fresh, gone)


def _merged(rows: Rows, index: Index, fresh: Mapping[SessionKey, NodeRow], gone: set[SessionKey]) -> Updated:
    entries, known = dict(index.entries), dict(index.known)
    for key in gone:
        entries.pop(key, None)
        del known[key]
    parsed = {key: entry_of(row) for key, row in fresh.items()}
    routes = rows.routes(entry.session_id for entry in parsed.values() if entry and not entry.channel)
    for key, row in fresh.items():
        known[key] = Known(row.session_id, row.updated_at_ms, hash(row), row.fork_source_id)
        entry = parsed[key]
        if entry is not None and entry.session_id in routes:
            entry = entry_of(row, routes[entry.session_id])
        if entry is None:
            entries.pop(key, None)
        else:
            entries[key] = entry
    current, fork_sources = index.current, index.fork_sources
    moved = tuple(row.session_id for row in fresh.values() if row.session_id not in current)
    if gone or any(_session(index, key) != row.session_id for key, row in fresh.items()):
        current = frozenset(one.session_id for one in known.values() if one.session_id)
        fork_sources = {one.session_id: one.fork_source_id for one in known.values() if one.fork_source_id}
    newest_ms = max([index.newest_ms, *(row.updated_at_ms for row in fresh.values())])
    touched = tuple(row.session_id for row in fresh.values())
    updated = Index(entries, known, current, fork_sources, newest_ms, index.full_due_s)
    return Updated(updated, changed=True, moved=moved, touched=touched)


def _version(index: Index, key: SessionKey) -> int | None:
    known = index.known.get(key)
    return None if known is None else known.updated_at_ms


def _fingerprint(index: Index, key: SessionKey) -> int | None:
    known = index.known.get(key)
    return None if known is None else known.fingerprint


def _session(index: Index, key: SessionKey) -> SessionId | None:
    known = index.known.get(key)
    return None if known is None else known.session_id
