"""From a line written to its edit on the wire, against a bare hand-over of the file event to a PUT.

Lines of files, rows of a database and the bare hand-over go to the same receiver, in turn, sample by sample;
the daemon is the real one, with its throttle idle.
"""

import random
import subprocess
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any, Final

import orjson
from figures import Figure, Goal, percentile
from openclaw import LiveRows, LiveSession, rows_writer, save_index, sessions_directory
from processes import CHANNEL_ID, HERE, first_line, running_daemon, talking

SESSIONS: Final = 16
THROTTLE_IDLE_S: Final = 0.6
"""After an edit; the throttle is 0.5 s."""
YOUNG_S: Final = 20.0
"""An older turn gives way to a new one: beyond 30 s edits wait for more than the throttle."""
NO_QUEUE: Final = {"EDITS_PER_SECOND": "0", "MAX_ACTIVE_SESSIONS": str(4 * SESSIONS)}
WARM_UP: Final = 2 * SESSIONS
_ARRIVAL_S: Final = 5.0
_PAUSE_S: Final = (0.01, 0.03)


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request at the receiver."""

    at_s: float
    method: str
    path: str
    text: str


class _Arrivals:
    """What the receiver reports, collected by a thread."""

    def __init__(self, receiver: subprocess.Popen[bytes]) -> None:
        self._receiver = receiver
        self._new = threading.Condition()
        self._seen: deque[Arrival] = deque(maxlen=1000)
        threading.Thread(target=self._collect, daemon=True).start()

    def wait_for(self, fits: Callable[[Arrival], bool]) -> Arrival:
        """The first arrival that fits, also if it came before."""

        def found() -> Arrival | None:
            return next((arrival for arrival in self._seen if fits(arrival)), None)

        with self._new:
            self._new.wait_for(found, _ARRIVAL_S)
            arrival = found()
        if arrival is None:
            raise RuntimeError("what was written did not arrive")
        return arrival

    def last_s(self, fits: Callable[[Arrival], bool], *, before_s: float) -> float:
        """When the newest such arrival before then was; 0 if there is none."""
        with self._new:
            return max((seen.at_s for seen in self._seen if seen.at_s < before_s and fits(seen)), default=0.0)

    def _collect(self) -> None:
        for line in self._receiver.stdout or ():
            raw: dict[str, Any] = orjson.loads(line)
            arrival = Arrival(raw["at_s"], raw["method"], raw["path"], raw["body"].get("message", ""))
            with self._new:
                self._seen.append(arrival)
                self._new.notify_all()


class _Rotation:
    """Sessions written to in turn, so that each one's throttle is idle when it is its turn again."""

    def __init__(self, name: str, sessions: Sequence[LiveSession], arrivals: _Arrivals) -> None:
        """`name` goes into what is written, so that several rotations may go on together."""
        self._name = name
        self._arrivals = arrivals
        self._turn = cycle(sessions)
        self._samples = 0
        self._marks: dict[int, str] = {}
        self._edited_s: dict[int, float] = {}
        self._begun_s = dict.fromkeys((session.number for session in sessions), time.monotonic())

    def sample(self) -> float | None:
        """Seconds from a line to its edit; None if another edit of the same post came in between.

        A call and its result take turns, so that half of the edits add a line and half change one.
        """
        session = next(self._turn)
        if session.number not in self._marks and time.monotonic() > self._begun_s[session.number] + YOUNG_S:
            self._begin_anew(session)
        time.sleep(max(0.0, self._edited_s.get(session.number, 0.0) + THROTTLE_IDLE_S - time.monotonic()))
        mark = self._marks.pop(session.number, None)
        if mark is None:
            self._samples += 1
            mark = self._marks[session.number] = f"{self._name} {self._samples:06d}`"
            line, wanted = session.call_line(f"echo {mark[:-1]}"), f"{mark} running"
        else:
            line, wanted = session.result_line(), f"{mark} [OK]"
        written_s = time.monotonic()
        session.write(line)
        arrival = self._arrivals.wait_for(lambda seen: wanted in seen.text)
        self._edited_s[session.number] = arrival.at_s
        last_s = self._arrivals.last_s(lambda seen: seen.path == arrival.path, before_s=arrival.at_s)
        return arrival.at_s - written_s if last_s < written_s - THROTTLE_IDLE_S + 0.05 else None

    def _begin_anew(self, session: LiveSession) -> None:
        """The next turn of the session, with its post."""
        self._samples += 1
        mark = f"{self._name} turn {self._samples:06d}"
        session.end_turn()
        session.ask()
        session.write(session.call_line(f"echo {mark}"))
        session.write(session.result_line())
        arrival = self._arrivals.wait_for(lambda seen: f"{mark}` [OK]" in seen.text)
        self._edited_s[session.number] = self._begun_s[session.number] = arrival.at_s


def _files(state_dir: Path) -> list[LiveSession]:
    directory = sessions_directory(state_dir)
    sessions = [LiveSession(number, directory) for number in range(SESSIONS)]
    for session in sessions:
        session.begin()
    save_index(directory, [session.entry(CHANNEL_ID) for session in sessions])
    return sessions


def _rows(state_dir: Path) -> list[LiveRows]:
    writer = rows_writer(state_dir)
    sessions = [LiveRows(SESSIONS + number, writer) for number in range(SESSIONS)]
    for session in sessions:
        session.begin()
        session.save(CHANNEL_ID)
    return sessions


def measure(samples: int) -> list[Figure]:
    """So many samples of each."""
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as scratch,
        talking(str(HERE / "receiver.py")) as receiver,
    ):
        root = Path(scratch)
        url = f"http://127.0.0.1:{int(first_line(receiver))}"
        arrivals = _Arrivals(receiver)
        bare = root / "bare"
        bare.mkdir()
        sessions_directory(root / "openclaw")
        with (
            running_daemon(root, root / "openclaw", url, "t" * 26, **NO_QUEUE) as daemon,
            talking(str(HERE / "handover.py"), str(bare), f"{url}/floor") as handover,
        ):
            first_line(handover)
            files = _Rotation("sample", _files(root / "openclaw"), arrivals)
            rows = _Rotation("row", _rows(root / "openclaw"), arrivals)
            ours, theirs, floor, disturbed = _alternate(samples, files, rows, bare / "file", arrivals)
            daemon.health()
    return [
        *_figures("edit", ours, p99_goal=Goal("<=", 15)),
        *_figures("edit from a database", theirs, p99_goal=Goal("<=", 15)),
        *_figures("floor", floor),
        Figure("latency", "p50 / floor", percentile(ours, 50) / percentile(floor, 50), "x", Goal("<=", 4)),
        Figure("latency", "p50 of rows / of lines", percentile(theirs, 50) / percentile(ours, 50), "x"),
        Figure("latency", "p99 / floor", percentile(ours, 99) / percentile(floor, 99), "x"),
        Figure("latency", "samples", len(ours), ""),
        Figure("latency", "samples left out", disturbed, ""),
    ]


def _alternate(
    samples: int, files: _Rotation, rows: _Rotation, bare: Path, arrivals: _Arrivals
) -> tuple[list[float], list[float], list[float], int]:
    ours: list[float] = []
    theirs: list[float] = []
    floor: list[float] = []
    disturbed = 0
    jitter = random.Random(0)
    with bare.open("ab", buffering=0) as file:
        for number in range(WARM_UP + samples):
            time.sleep(jitter.uniform(*_PAUSE_S))
            took_s = files.sample()
            time.sleep(jitter.uniform(*_PAUSE_S))
            row_took_s = rows.sample()
            time.sleep(jitter.uniform(*_PAUSE_S))
            written_s = time.monotonic()
            file.write(b"x" * 400 + b"\n")
            bare_s = arrivals.wait_for(_floor_since(written_s)).at_s - written_s
            if number < WARM_UP:
                continue
            floor.append(bare_s)
            disturbed += (took_s is None) + (row_took_s is None)
            if took_s is not None:
                ours.append(took_s)
            if row_took_s is not None:
                theirs.append(row_took_s)
    return ours, theirs, floor, disturbed


def _floor_since(written_s: float) -> Callable[[Arrival], bool]:
    return lambda seen: seen.path == "/floor" and seen.at_s > written_s


def _figures(name: str, seconds: list[float], p99_goal: Goal | None = None) -> list[Figure]:
    return [
        Figure("latency", f"{name} p50", percentile(seconds, 50) * 1000, "ms"),
        Figure("latency", f"{name} p95", percentile(seconds, 95) * 1000, "ms"),
        Figure("latency", f"{name} p99", percentile(seconds, 99) * 1000, "ms", p99_goal),
        Figure("latency", f"{name} max", max(seconds) * 1000, "ms"),
    ]
