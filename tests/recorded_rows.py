"""The recorded rows of database-backed gateways (OpenClaw 2026.9), and what of them to commit when."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import orjson

from status_watcher.demo.captures import Capture, FileEvent, StoreChange
from status_watcher.demo.player import Cast, PlayOptions
from status_watcher.demo.recast import Recast, time_map

_ONE_LOOK_MS = 20  # the recorder looked every 150 ms, and took up to 2 ms for both tables
_SAME_COMMIT_MS = 5  # a first user row is up to 2 ms older than the header it is written with


@dataclass(frozen=True, slots=True)
class EventRow:
    """A row of `transcript_events`, seen `t_ms` after the start."""

    t_ms: int
    session_id: str
    seq: int
    created_at_ms: int
    event: dict[str, Any]
    zstd: bool = False
    """Stored compressed: `event_json` is NULL."""


@dataclass(frozen=True, slots=True)
class NodeRow:
    """A row of `session_nodes`, each time the whole of it, as it was `t_ms` after the start."""

    t_ms: int
    key: str
    session_id: str
    entry: dict[str, Any]
    updated_at_ms: int
    status: str | None = None
    parent_key: str | None = None
    spawned_by: str | None = None


@dataclass(frozen=True, slots=True)
class ApprovalRow:
    """A row of `operator_approvals` in the gateway's other database, as it was from `t_ms` on."""

    t_ms: int
    columns: dict[str, Any]


Row = EventRow | NodeRow


@dataclass(frozen=True, slots=True)
class DatabaseCapture(Capture):
    """A recorded scenario of a database-backed gateway; what file captures have is seen from the rows."""

    rows: tuple[Row, ...] = ()
    approvals: tuple[ApprovalRow, ...] = ()


@dataclass(frozen=True, slots=True)
class Commit:
    """Rows of one transaction, in the words and times of a replay."""

    at_s: float
    rows: tuple[Row, ...]


def is_capture(folder: Path) -> bool:
    return (folder / "db.jsonl").exists()


def load(folder: Path) -> DatabaseCapture:
    """Read a capture from its folder, with the bookkeeping rows put back that the recording left out."""
    head = orjson.loads((folder / "timeline.json").read_bytes())
    recorded = [orjson.loads(line) for line in (folder / "db.jsonl").read_bytes().splitlines()]
    rows = tuple(_with_bookkeeping([_row(row) for row in recorded]))
    database = PurePosixPath("agents", "main", "agent", "openclaw-agent.sqlite")
    nodes = [row for row in rows if isinstance(row, NodeRow)]
    approvals = _approvals(folder / "approvals.jsonl")
    lines: dict[str, bytes] = {}
    for row in rows:
        if isinstance(row, EventRow):
            lines[row.session_id] = lines.get(row.session_id, b"") + orjson.dumps(row.event) + b"\n"
    return DatabaseCapture(
        name=head["scenario"],
        version=head["version"],
        start_epoch_ms=head["start_epoch_ms"],
        duration_ms=head["duration_ms"],
        initial_bytes={},
        events=tuple(
            FileEvent(t_ms, "modify", database, None, None)
            for t_ms in sorted({r.t_ms for r in (*rows, *approvals)})
        ),
        store=tuple(StoreChange(r.t_ms, {r.key: r.entry | {"sessionId": r.session_id}}, ()) for r in nodes),
        files=lines,
        rows=rows,
        approvals=approvals,
    )


def _approvals(path: Path) -> tuple[ApprovalRow, ...]:
    if not path.exists():
        return ()
    recorded = [orjson.loads(line) for line in path.read_bytes().splitlines()]
    return tuple(ApprovalRow(row.pop("t"), row) for row in recorded)


def _row(raw: dict[str, Any]) -> Row:
    if raw["kind"] == "event":
        return EventRow(raw["t"], raw["session_id"], raw["seq"], raw["created_at"], raw["event"], raw["zstd"])
    return NodeRow(
        raw["t"],
        raw["session_key"],
        raw["current_session_id"],
        raw["entry"],
        raw["updated_at"],
        raw["status"],
        raw["parent_session_key"],
        raw["spawned_by"],
    )


def _with_bookkeeping(rows: list[Row]) -> Iterator[Row]:
    """`openclaw.cache-ttl` rows follow nearly every result; recordings left most out, but not their ids."""
    before: dict[str, EventRow] = {}
    for row in rows:
        if isinstance(row, EventRow):
            last = before.get(row.session_id)
            if last is not None and row.seq == last.seq + 2:
                event = {
                    "type": "custom",
                    "customType": "openclaw.cache-ttl",
                    "data": {"prunedToolResults": [], "frozenToolResults": []},
                    "id": row.event["parentId"],
                    "parentId": last.event["id"],
                    "timestamp": last.event["timestamp"],
                }
                yield replace(last, t_ms=row.t_ms, seq=last.seq + 1, event=event, zstd=False)
            before[row.session_id] = row
        yield row


def plan(
    capture: DatabaseCapture,
    options: PlayOptions,
    *,
    start_ms: int,
    state_dir: Path,
    cast: Cast | None = None,
) -> tuple[Commit, ...]:
    """What to commit when, if the recording's start is at `start_ms` (epoch ms).

    Of rows that one look of the recording found together, new nodes come first, with the header and what was
    copied or written along with it in the same transaction; then every event for itself; then what changed
    in nodes: the gateway writes a status after the row that is its reason.
    """
    clock = time_map(capture, options)
    recast = Recast(
        capture, clock, cast or Cast(), start_ms if options.shift_to_now else None, str(state_dir)
    )
    known: set[tuple[str, str]] = set()
    commits: list[Commit] = []
    for rows in _looks(capture.rows):
        nodes = [row for row in rows if isinstance(row, NodeRow)]
        events = [row for row in rows if isinstance(row, EventRow)]
        headers = {row.session_id: row.created_at_ms for row in events if row.seq == 0}
        begin = [row for row in nodes if (row.key, row.session_id) not in known]
        known |= {(row.key, row.session_id) for row in begin}
        with_header = [
            row for row in events if row.created_at_ms <= headers.get(row.session_id, 0) + _SAME_COMMIT_MS
        ]
        together: list[list[Row]] = [[*begin, *with_header]] if begin or with_header else []
        together += [[row] for row in events if row not in with_header]
        together += [[row] for row in nodes if row not in begin]
        commits += [
            Commit(clock.seconds(rows[0].t_ms), tuple(_recast(row, recast) for row in some))
            for some in together
        ]
    return tuple(commits)


def plan_approvals(
    capture: DatabaseCapture,
    options: PlayOptions,
    *,
    start_ms: int,
    state_dir: Path,
    cast: Cast | None = None,
) -> tuple[tuple[float, ApprovalRow], ...]:
    """The rows of the other database in a replay that starts at `start_ms`, and when each is written."""
    clock = time_map(capture, options)
    recast = Recast(
        capture, clock, cast or Cast(), start_ms if options.shift_to_now else None, str(state_dir)
    )
    planned = []
    for row in capture.approvals:
        columns = orjson.loads(recast.content(orjson.dumps(row.columns)))
        columns["source_session_key"] = recast.key(row.columns["source_session_key"])
        planned.append((clock.seconds(row.t_ms), ApprovalRow(row.t_ms, columns)))
    return tuple(planned)


def _looks(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """What the recorder found at each of its looks at the database."""
    look: list[Row] = []
    for row in sorted(rows, key=lambda row: row.t_ms):
        if look and row.t_ms > look[0].t_ms + _ONE_LOOK_MS:
            yield look
            look = []
        look.append(row)
    if look:
        yield look


def _recast(row: Row, recast: Recast) -> Row:
    def moved(ms: int) -> int:
        return int(recast.content(b"[%d]" % ms)[1:-1])

    def renamed(text: str) -> str:
        return recast.content(text.encode()).decode()

    if isinstance(row, EventRow):
        event = orjson.loads(recast.content(orjson.dumps(row.event)))
        return replace(
            row, session_id=renamed(row.session_id), created_at_ms=moved(row.created_at_ms), event=event
        )
    return replace(
        row,
        key=recast.key(row.key),
        session_id=renamed(row.session_id),
        entry=recast.entry(row.key, row.entry),
        updated_at_ms=moved(row.updated_at_ms),
        parent_key=row.parent_key and recast.key(row.parent_key),
        spawned_by=row.spawned_by and recast.key(row.spawned_by),
    )
