"""What an installation with a long history costs while nobody works there: start, processor, memory."""

import os
import tempfile
import time
from pathlib import Path
from typing import Final

from figures import Figure, Goal
from openclaw import LiveSession, save_index, sessions_directory
from processes import CHANNEL_ID, HERE, READY_S, Daemon, first_line, running_daemon, talking
from stencil import stencils

from status_watcher.demo.captures import load_demo

DAYS_OLD: Final = 2
INDEXED: Final = 500
"""OpenClaw keeps so many entries in sessions.json (2026.2 to 2026.7)."""
ENTRY_CHARS: Final = 8_000
"""What an entry of 2026.2.26 to 2026.7.1 says of skills and prompts, which we do not read."""
SETTLE_S: Final = 5.0


def measure(files: int, seconds: float) -> list[Figure]:
    """So many transcripts of ended sessions, watched for so long."""
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as scratch,
        talking(str(HERE / "receiver.py")) as receiver,
    ):
        root = Path(scratch)
        url = f"http://127.0.0.1:{int(first_line(receiver))}"
        oldest = _fill(sessions_directory(root / "openclaw"), files)
        with running_daemon(root, root / "openclaw", url, "t" * 26) as daemon:
            time.sleep(SETTLE_S)
            began_s, cpu_s = time.monotonic(), daemon.cpu_s()
            time.sleep(seconds)
            cpu_s, took_s = daemon.cpu_s() - cpu_s, time.monotonic() - began_s
            noticed_s = _wake_one(daemon, oldest)
            return [
                Figure("idle", "start to healthy", daemon.start_s, "s", Goal("<=", 3)),
                Figure("idle", "share of a core", cpu_s / took_s * 100, "%", Goal("<=", 1)),
                Figure("idle", "memory (RSS)", daemon.rss_mb(), "MB", Goal("<=", 100)),
                Figure("idle", "memory at most", daemon.peak_rss_mb(), "MB"),
                Figure("idle", "files", files, ""),
                Figure("idle", "an old one that wakes is read after", noticed_s * 1000, "ms"),
            ]


def _wake_one(daemon: Daemon, session: LiveSession) -> float:
    """Seconds until a session that begins anew after days has been read: nothing is deaf for being idle."""
    written_s = time.monotonic()
    session.begin()
    session.close()
    while not daemon.health()["sessions"]["tracked"]:
        if time.monotonic() - written_s > READY_S:
            raise RuntimeError("the daemon did not notice a new line")
        time.sleep(0.001)
    return time.monotonic() - written_s


def _fill(directory: Path, files: int) -> LiveSession:
    """Transcripts that ended days ago; returns the first of them."""
    (stencil,) = stencils(load_demo("tools"))
    at_s = time.time() - DAYS_OLD * 86_400
    sessions = [LiveSession(number, directory) for number in range(files)]
    for session in sessions:
        session.path.write_bytes(stencil.copy(session.number))
        os.utime(session.path, (at_s, at_s))
    bulk = {"systemPromptReport": {"text": "x" * ENTRY_CHARS}}
    save_index(
        directory, [session.entry(CHANNEL_ID, running=False) | bulk for session in sessions[-INDEXED:]]
    )
    return sessions[0]
