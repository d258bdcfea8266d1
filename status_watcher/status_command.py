"""`status-watcher status`: how it fares, in words or as one JSON object."""

import time
from collections.abc import Mapping
from typing import Any

import orjson

from status_watcher.core.health import Health
from status_watcher.edge.lock import Holder, LockRecord


def in_json(found: Holder | None, health: Health | None) -> str:
    """One object, on one line; what nobody can tell is null."""
    record = found.record if found else None
    document: dict[str, Any] = {
        "running": found is not None,
        "pid": record.pid if record else None,
        "uptime_s": _uptime_s(record, health) if record else None,
        "sessions": health.sessions if health else None,
        "circuit": health.circuit if health else None,
    }
    return orjson.dumps(document).decode()


def in_words(found: Holder | None, health: Health | None) -> tuple[str, ...]:
    """Whether it runs, and if it can be asked what it does, what that costs, and every problem."""
    if found is None:
        return ("not running",)
    record = found.record
    if record is None or not record.ready:
        return (f"starting (PID {record.pid})" if record else "starting",)
    first = f"running (PID {record.pid}), up {_duration(_uptime_s(record, health))}"
    if record.port == 0:
        return (first,)
    if health is None:
        return (first, f"/health on {record.host} port {record.port} does not answer")
    sessions, circuit = health.sessions, health.circuit
    second = (
        f"{health.status}: {_count(sessions.active, 'box', 'boxes')} open, {sessions.waiting} waiting, "
        f"{_count(sessions.tracked, 'session')} followed, circuit {circuit.state.replace('_', '-')}"
    )
    return (first, second, _cost(health.counters), *health.problems)


def _uptime_s(record: LockRecord, health: Health | None) -> float:
    # Without an answer only the wall clock is left, which may have been set back since.
    return health.uptime_s if health else round(max(0.0, time.time() - record.started_at), 1)


def _cost(counters: Mapping[str, int]) -> str:
    """What the boxes have cost the server, and what editing at the throttle's pace would have cost more."""
    posts, edits, saved = (counters.get(name, 0) for name in ("creates", "edits", "edits_saved"))
    written, spared = (_size(counters.get(name, 0)) for name in ("bytes_written", "bytes_saved"))
    return (
        f"{_count(posts, 'post')} and {_count(edits, 'edit')} written ({written}), "
        f"{_count(saved, 'edit')} saved ({spared})"
    )


def _count(count: int, one: str, many: str = "") -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def _size(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:,.1f} MB" if size_bytes >= 1_000_000 else f"{size_bytes / 1e3:,.1f} kB"


def _duration(seconds: float) -> str:
    minutes, rest_s = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest_s} s" if minutes else f"{rest_s} s"
