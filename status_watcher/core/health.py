"""What `/health` says, and which HTTP status goes with it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

HealthStatus = Literal["ok", "degraded", "failed"]
CircuitState = Literal["closed", "open", "half_open"]
WatchMode = Literal["inotify", "polling"]


@dataclass(frozen=True, slots=True)
class Sessions:
    """How many root sessions have an open box, are followed at all, and wait for a free place."""

    active: int
    tracked: int
    waiting: int


@dataclass(frozen=True, slots=True)
class Circuit:
    """The circuit breaker in front of Mattermost."""

    state: CircuitState
    failures: int


@dataclass(frozen=True, slots=True)
class Watch:
    """How changes on disk are noticed, and whether they still are."""

    mode: WatchMode
    alive: bool


@dataclass(frozen=True, slots=True)
class Health:
    """A snapshot of the daemon for supervisors and people."""

    status: HealthStatus
    version: str
    pid: int
    uptime_s: float
    sessions: Sessions
    circuit: Circuit
    watch: Watch
    mattermost_last_ok_s: float | None
    """Seconds since Mattermost last did what we asked; None before the first time."""
    problems: tuple[str, ...] = ()
    stores: Mapping[str, str] = field(default_factory=dict)
    """What each agent's sessions are read from, by the agent's id; only when any agent was found."""
    counters: Mapping[str, int] = field(default_factory=dict)
    """Counts since the start, by name; the document has them only when there are any."""


def judge(*, watch_alive: bool, token_refused: bool, problems: tuple[str, ...]) -> HealthStatus:
    """Failed only where a restart or a person can help; Mattermost being away is not such a case."""
    if not watch_alive or token_refused:
        return "failed"
    return "degraded" if problems else "ok"


def http_status(health: Health) -> int:
    """200 while the daemon does its work, 503 when it cannot."""
    return 503 if health.status == "failed" else 200


def to_json(health: Health) -> bytes:
    """The body of `GET /health`."""
    last_ok_s = health.mattermost_last_ok_s
    document: dict[str, Any] = {
        "status": health.status,
        "version": health.version,
        "pid": health.pid,
        "uptime_s": round(max(0.0, health.uptime_s), 1),
        "sessions": health.sessions,
        "circuit": health.circuit,
        "watch": health.watch,
        "mattermost": {"last_ok_s": None if last_ok_s is None else round(max(0.0, last_ok_s), 1)},
        "problems": health.problems,
    }
    if health.stores:
        document["stores"] = dict(health.stores)
    if health.counters:
        document["counters"] = dict(health.counters)
    return orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE)


def from_json(body: bytes) -> Health | None:
    """What a daemon answered to `GET /health`; None for anything else that may listen there."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    match document:
        case {
            "status": "ok" | "degraded" | "failed" as status,
            "version": str(version),
            "pid": int(pid),
            "uptime_s": int() | float() as uptime_s,
            "sessions": {"active": int(active), "tracked": int(tracked), "waiting": int(waiting)},
            "circuit": {"state": "closed" | "open" | "half_open" as circuit, "failures": int(failures)},
            "watch": {"mode": "inotify" | "polling" as mode, "alive": bool(alive)},
            "mattermost": {"last_ok_s": int() | float() | None as last_ok_s},
            "problems": list(problems),
        }:
            stores, counters = document.get("stores", {}), document.get("counters", {})
            return Health(
                status=status,
                version=version,
                pid=pid,
                uptime_s=float(uptime_s),
                sessions=Sessions(active, tracked, waiting),
                circuit=Circuit(circuit, failures),
                watch=Watch(mode, alive),
                mattermost_last_ok_s=None if last_ok_s is None else float(last_ok_s),
                problems=tuple(str(problem) for problem in problems),
                stores=stores if isinstance(stores, dict) else {},
                counters=counters if isinstance(counters, dict) else {},
            )
        case _:
            return None
