"""`status-watcher stuck`: what a scheduler may ask every few minutes, and stays silent while all is well."""

from collections.abc import Iterable
from dataclasses import asdict

import orjson

from status_watcher.core.session_report import SessionReport
from status_watcher.exit_codes import ExitCode
from status_watcher.hook_command import Answer
from status_watcher.sessions_command import private_name, short_time


def stuck(reports: Iterable[SessionReport], threshold_s: float) -> list[SessionReport]:
    """The open turns in which nothing has happened for so long, the quietest first.

    That counts the sub-agents below them; a person who is asked for an approval is waited for as well. A turn
    that only waits for its sub-agents is not stuck: they are, and are told themselves.
    """
    found = [r for r in reports if r.open and not r.waits_for and r.idle_s >= threshold_s]
    return sorted(found, key=lambda report: -report.idle_s)


def answer(reports: Iterable[SessionReport], threshold_min: float, *, as_json: bool) -> Answer:
    """Exit code 0 and nothing said while nothing is stuck, else 1 and a line (or with `as_json` an element of
    one JSON list) for each turn.
    """
    found = stuck(reports, threshold_min * 60)
    if not found:
        return Answer(ExitCode.OK)
    if as_json:
        return Answer(ExitCode.FAILED, (orjson.dumps([asdict(report) for report in found]).decode(),))
    return Answer(ExitCode.FAILED, tuple(_line(report) for report in found))


def _line(report: SessionReport) -> str:
    name = private_name(report) if report.redacted else report.label or report.agent
    parts = (
        f"[{report.state}] {name}",
        f"quiet for {short_time(report.idle_s)}",
        f"began {short_time(report.age_s)} ago",
        report.key,
        report.post,
    )
    return " | ".join(part for part in parts if part)
