"""`status-watcher sessions`: what the running daemon knows, asked on its health port."""

from dataclasses import dataclass

from status_watcher.core.session_report import SessionReport, Sessions, from_json, to_json
from status_watcher.edge.background import ask
from status_watcher.edge.lock import Holder
from status_watcher.exit_codes import ExitCode


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """There is nothing to list; `reason` is one line for people."""

    code: ExitCode
    reason: str


def ask_sessions(found: Holder | None, token: str) -> Sessions | NoAnswer:
    """What the daemon that holds the lock tells whoever has `token` ("" for none)."""
    if found is None:
        return NoAnswer(ExitCode.NOT_IN_THAT_STATE, "not running")
    record = found.record
    if record is None or not record.ready:
        return NoAnswer(ExitCode.FAILED, "starting; try again")
    if record.port == 0:
        return NoAnswer(ExitCode.FAILED, "running with HEALTH_PORT=0, so it cannot be asked")
    answer = ask(record.host, record.port, "/sessions", token)
    if answer is not None and answer.status == 401:
        which = "is not the daemon's" if token else "is set for the daemon, and not here"
        return NoAnswer(ExitCode.FAILED, f"HEALTH_TOKEN {which}")
    sessions = from_json(answer.body) if answer is not None and answer.status == 200 else None
    if sessions is None or sessions.pid != record.pid:
        return NoAnswer(ExitCode.FAILED, f"/sessions on {record.host} port {record.port} does not answer")
    return sessions


def in_json(sessions: Sessions) -> str:
    """The daemon's document, on one line."""
    return to_json(sessions.pid, sessions.sessions).decode().rstrip("\n")


def in_words(sessions: Sessions) -> list[str]:
    """A line each, in columns; private ones that we may not know of are there without a name."""
    rows = [_row(report) for report in sessions.sessions]
    if not rows:
        return ["no sessions"]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def short_time(seconds: float) -> str:
    """At most two units, as in the boxes: "38s", "2m 05s", "1h 04m"."""
    minutes, rest_s = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h {minutes:02}m"
    return f"{minutes}m {rest_s:02}s" if minutes else f"{rest_s}s"


def private_name(report: SessionReport) -> str:
    """What stands in the place of a name that we may not know."""
    return f"({report.kind}, private)" if report.kind else "(private)"


def _row(report: SessionReport) -> tuple[str, ...]:
    name = private_name(report) if report.redacted else report.label
    since = f"quiet {short_time(report.idle_s)}" if report.open else f"ended {short_time(report.idle_s)} ago"
    tokens = f"{report.tokens:,} tokens" if report.tokens else ""
    return (
        f"[{report.state}]",
        name,
        short_time(report.age_s),
        since,
        report.model,
        tokens,
        report.key,
        report.post,
    )
