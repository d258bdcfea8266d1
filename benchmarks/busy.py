"""What many busy sessions cost: processor, memory, and how late the daemon's loop gets."""

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import orjson
from figures import Figure, Goal, percentile
from openclaw import LiveSession, save_index, sessions_directory
from processes import HERE, Daemon, first_line, running_daemon, talking

LINES_PER_S: Final = 2.0
"""Of each session."""
WARM_UP_S: Final = 6.0
"""The boxes are made in this time, which is not counted."""
INDEX_EVERY_S: Final = 1.0
"""The gateway replaces sessions.json several times a turn."""


@dataclass(frozen=True, slots=True)
class Load:
    """So many sessions at work for so long, of which so many may have an open box.

    After more than 24 s beyond the warm-up turns are old enough to be edited less often.
    """

    sessions: int
    open_boxes: int
    seconds: float
    cpu_goal: Goal | None = None
    lag_goal_ms: Goal | None = None


def measure(load: Load) -> list[Figure]:
    """One load, with the sandbox as the server in a process of its own."""
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as scratch,
        talking("-m", "status_watcher.sandbox") as sandbox,
    ):
        root = Path(scratch)
        where = orjson.loads(first_line(sandbox))
        directory = sessions_directory(root / "openclaw")
        sessions = [LiveSession(number, directory) for number in range(load.sessions)]
        save_index(directory, [session.entry(where["channel_id"]) for session in sessions])
        # Without the budget, and turns under 30 s of age: each box is edited as often as the throttle allows.
        limits = {"MAX_ACTIVE_SESSIONS": str(load.open_boxes), "EDITS_PER_SECOND": "0"}
        with running_daemon(root, root / "openclaw", where["url"], where["bot_token"], **limits) as daemon:
            for session in sessions:
                session.begin()
            writing = _Writing(directory, sessions, where["channel_id"])
            writing.go_on(WARM_UP_S)
            figures = _observe(daemon, writing, load)
        for session in sessions:
            session.close()
    return figures


class _Writing:
    """A line for each session in turn, evenly spread over time."""

    def __init__(self, directory: Path, sessions: list[LiveSession], channel_id: str) -> None:
        self._directory = directory
        self._sessions = sessions
        self._entries = [session.entry(channel_id) for session in sessions]
        self._index_due_s = 0.0
        self.lines = 0
        self.late_s = 0.0
        """By how much the writer itself fell behind, at worst."""

    def go_on(self, seconds: float) -> None:
        began_s, first = time.monotonic(), self.lines
        step_s = 1 / (LINES_PER_S * len(self._sessions))
        for number in range(round(seconds / step_s)):
            behind_s = time.monotonic() - (began_s + number * step_s)
            if behind_s < 0:
                time.sleep(-behind_s)
            self.late_s = max(self.late_s, behind_s)
            self._write(first + number)

    def _write(self, number: int) -> None:
        round_, place = divmod(number, len(self._sessions))
        session = self._sessions[place]
        session.write(session.result_line() if round_ % 2 else session.call_line(f"echo line {round_}"))
        self.lines += 1
        if time.monotonic() >= self._index_due_s:
            self._index_due_s = time.monotonic() + INDEX_EVERY_S
            self._entries[place]["updatedAt"] += 1
            save_index(self._directory, self._entries)


def _observe(daemon: Daemon, writing: _Writing, load: Load) -> list[Figure]:
    port = urlsplit(daemon.health_url).port
    with talking(str(HERE / "health_probe.py"), str(port)) as probe:
        first_line(probe)
        before, cpu_s, lines = daemon.health(), daemon.cpu_s(), writing.lines
        began_s = time.monotonic()
        writing.go_on(load.seconds)
        took_s = time.monotonic() - began_s
        cpu_s, lines = daemon.cpu_s() - cpu_s, writing.lines - lines
        after = daemon.health()
        answers, _ = probe.communicate(b"x")
    lag_s: list[float] = orjson.loads(answers)
    part = f"busy {load.sessions:,}"
    edits = after["counters"].get("edits", 0) - before["counters"].get("edits", 0)
    read = after["counters"]["lines"] - before["counters"]["lines"]
    missed = after["counters"]["sweep_finds"] - before["counters"]["sweep_finds"]
    return [
        Figure(part, "share of a core", cpu_s / took_s * 100, "%", load.cpu_goal),
        Figure(part, "memory (RSS)", daemon.rss_mb(), "MB"),
        Figure(part, "health answered, p50", percentile(lag_s, 50) * 1000, "ms"),
        Figure(part, "health answered, p99", percentile(lag_s, 99) * 1000, "ms", load.lag_goal_ms),
        Figure(part, "health answered, max", max(lag_s) * 1000, "ms"),
        Figure(part, "open boxes", after["sessions"]["active"], ""),
        Figure(part, "edits", edits / took_s, "1/s"),
        Figure(part, "lines written", lines / took_s, "1/s"),
        Figure(part, "lines read", read / took_s, "1/s"),
        Figure(part, "changes found by sweeps alone", missed, ""),
        Figure(part, "cost of a line", cpu_s / lines * 1e6, "us"),
        Figure(part, "writer late, max", writing.late_s * 1000, "ms"),
    ]
