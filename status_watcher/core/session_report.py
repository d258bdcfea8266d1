"""What `GET /sessions` says, and how `sessions` and `stuck` read it back."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

import orjson

from status_watcher.core.states import OPEN_STATES


@dataclass(frozen=True, slots=True)
class SessionReport:
    """The newest turn of one session; what is not known is ""."""

    key: str
    """OpenClaw's session key; "" where `redacted`."""
    label: str
    """The session's or agent's name as a box has it; "" where `redacted`."""
    agent: str
    kind: str
    """What a rule of `POLICY_FILE` calls the session, e.g. "channel", "dm", "cron"."""
    state: str
    """The word that stands in the brackets of a box, e.g. "ACTIVE"."""
    age_s: float
    """Since the turn began; of one that has ended, how long it took."""
    idle_s: float
    """Since the newest line of the turn and its sub-agents; of one that has ended, since its end."""
    model: str
    tokens: int
    post: str
    """Link to the post that shows it, of a sub-agent that of the turn above; "" while there is none."""
    waits_for: int = 0
    """Open sub-agents, in reports of their own, for which alone the turn waits."""
    redacted: bool = False
    """It is of a direct message or a private channel, and the asker showed no token."""

    @property
    def open(self) -> bool:
        """Whether the turn has not ended."""
        return self.state in OPEN_STATES


@dataclass(frozen=True, slots=True)
class Sessions:
    """The answer of a daemon, so that nobody takes another process's answer for it."""

    pid: int
    sessions: tuple[SessionReport, ...]


def without_private(report: SessionReport) -> SessionReport:
    """What anybody who reaches the port may know of a session that not everybody in the chat sees."""
    return replace(report, key="", label="", model="", tokens=0, post="", redacted=True)


def to_json(pid: int, reports: Iterable[SessionReport]) -> bytes:
    """The body of `GET /sessions`."""
    sessions = [
        asdict(report)
        | {"age_s": round(max(0.0, report.age_s), 1), "idle_s": round(max(0.0, report.idle_s), 1)}
        for report in reports
    ]
    return orjson.dumps({"pid": pid, "sessions": sessions}, option=orjson.OPT_APPEND_NEWLINE)


def from_json(body: bytes) -> Sessions | None:
    """What a daemon answered to `GET /sessions`; None for anything else that may listen there."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    match document:
        case {"pid": int(pid), "sessions": list(rows)}:
            reports = tuple(_report(row) for row in rows)
        case _:
            return None
    read = tuple(report for report in reports if report is not None)
    return Sessions(pid, read) if len(read) == len(reports) else None


def _report(row: Any) -> SessionReport | None:
    match row:
        case {
            "key": str(key),
            "label": str(label),
            "agent": str(agent),
            "kind": str(kind),
            "state": str(state),
            "age_s": int() | float() as age_s,
            "idle_s": int() | float() as idle_s,
            "model": str(model),
            "tokens": int(tokens),
            "post": str(post),
            "waits_for": int(waits_for),
            "redacted": bool(redacted),
        }:
            return SessionReport(
                key=key,
                label=label,
                agent=agent,
                kind=kind,
                state=state,
                age_s=float(age_s),
                idle_s=float(idle_s),
                model=model,
                tokens=tokens,
                post=post,
                waits_for=waits_for,
                redacted=redacted,
            )
        case _:
            return None
