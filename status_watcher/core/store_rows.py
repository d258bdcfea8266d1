"""Rows of the database store (OpenClaw 2026.8 and later), made into what the file store says of a session.

Columns and their meaning as in databases of 2026.9.6: `session_nodes.entry_json` is the entry of the old
`sessions.json`; the other columns of a node are projections of it that its writer keeps in step.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from status_watcher.core.index import StoreEntry, StoreStatus, parse_entry
from status_watcher.model import SessionId, SessionKey

CERTAINLY_OLDER_MS: Final = 1_000
"""An ordinary first line may be 1 or 2 ms older than its header (2026.9.6); a copy is older than that."""


@dataclass(frozen=True, slots=True)
class RouteRow:
    """A conversation that is the primary one of a session."""

    channel: str
    to: str
    thread_id: str = ""
    native_channel_id: str = ""


@dataclass(frozen=True, slots=True)
class NodeRow:
    """One row of `session_nodes`; a column that is NULL or that the schema lacks is ""."""

    key: SessionKey
    session_id: SessionId
    """The current one: of several windows of a session only this has what it says now."""
    entry_json: bytes
    updated_at_ms: int
    status: str = ""
    label: str = ""
    spawned_by: str = ""
    parent_key: str = ""
    fork_source_id: str = ""


@dataclass(frozen=True, slots=True)
class Birth:
    """How a session began, as far as that tells whether it began with copies."""

    header_ms: int
    first_ms: int
    """Of the first entry after the header."""
    sources: tuple[SessionId, ...]
    """The sessions that the store names as what came before it, or as what it was forked from."""
    first_in_source: bool | None
    """Whether one of them has that entry too; None if none of them has a transcript any more."""


def entry_of(row: NodeRow, route: RouteRow | None = None) -> StoreEntry | None:
    """The index entry of a node; None without a session. `route` counts where the entry itself names none."""
    if not row.session_id:
        return None
    parsed = parse_entry(row.key, row.entry_json) or StoreEntry(row.key, row.session_id)
    entry = replace(
        parsed,
        session_id=row.session_id,
        session_file=None,
        status=_STATUSES.get(row.status, parsed.status),
        updated_at_ms=row.updated_at_ms,
        spawned_by=_parent(row) or parsed.spawned_by,
        label=row.label or parsed.label,
    )
    if entry.channel or route is None:
        return entry
    return replace(
        entry,
        channel=route.channel,
        to=route.to,
        thread_id=route.thread_id,
        native_channel_id=route.native_channel_id,
    )


def copied_until_ms(birth: Birth | None) -> int:
    """Before when a session's entries are copies of another's (fork, rewind, switch); 0 if it has none.

    2026.9.6 copies entries with their ids and times behind a new header, in one transaction, and names the
    source; but a plain successor names one too, and nothing else marks a copy (`reason` was NULL in every
    window seen). So it is the source that is asked.
    """
    if birth is None or not birth.sources or birth.first_ms >= birth.header_ms:
        return 0
    copied = birth.first_in_source
    if copied is None:
        copied = birth.header_ms - birth.first_ms >= CERTAINLY_OLDER_MS
    return birth.header_ms if copied else 0


def fits(total_bytes: int, most_bytes: int, row_bytes: Sequence[int], end_bytes: int) -> int:
    """How many of the last rows to read: all, or of a transcript beyond the limit those that fit the end.

    `row_bytes` are the rows' sizes from the last one backwards.
    """
    if total_bytes <= most_bytes:
        return len(row_bytes)
    taken = count = 0
    for size in row_bytes:
        taken += size
        if taken > end_bytes:
            break
        count += 1
    return max(1, count)


_STATUSES: Final[Mapping[str, StoreStatus]] = {status.value: status for status in StoreStatus}


def _parent(row: NodeRow) -> SessionKey | None:
    parent = row.spawned_by
    # A fork, of a thread or at a message, has the session that it continues there: that did not spawn it.
    if not parent and not row.fork_source_id and ":thread:" not in row.key:
        parent = row.parent_key
    return SessionKey(parent) if parent and parent != row.key else None
