"""From a line written to its edit on the wire, against a bare hand-over of the file event to a PUT.

Both go to the same receiver, in turn, sample by sample; the daemon is the real one, with its throttle idle.
"""

import random
import subprocess
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any, Final

import orjson
from figures import Figure, Goal, percentile
from openclaw import LiveSession, save_index, sessions_directory
from processes import CHANNEL_ID, HERE, first_line, running_daemon, talking

SESSIONS: Final = 16
THROTTLE_IDLE_S: Final = 0.6
"""After an edit; the throttle is 0.5 s."""
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

    def __init__(self, directory: Path, arrivals: _Arrivals) -> None:
        self._arrivals = arrivals
        self._sessions = [LiveSession(number, directory) for number in range(SESSIONS)]
        self._turn = cycle(self._sessions)
        self._samples = 0
        self._marks: dict[int, str] = {}
        self._edited_s: dict[int, float] = {}
        for session in self._sessions:
            session.begin()
        save_index(directory, [session.entry(CHANNEL_ID) for session in self._sessions])

    def sample(self) -> float | None:
        """Seconds from a line to its edit; None if another edit of the same post came in between.

        A call and its result take turns, so that half of the edits add a line and half change one.
        """
        session = next(self._turn)
        time.sleep(max(0.0, self._edited_s.get(session.number, 0.0) + THROTTLE_IDLE_S - time.monotonic()))
        mark = self._marks.pop(session.number, None)
        if mark is None:
            self._samples += 1
            mark = self._marks[session.number] = f"sample {self._samples:06d}`"
            line, wanted = session.call_line(f"echo {mark[:-1]}"), f"{mark} running"
        else:
            line, wanted = session.result_line(), f"{mark} [OK]"
        written_s = time.monotonic()
        session.write(line)
        arrival = self._arrivals.wait_for(lambda seen: wanted in seen.text)
        self._edited_s[session.number] = arrival.at_s
        last_s = self._arrivals.last_s(lambda seen: seen.path == arrival.path, before_s=arrival.at_s)
        return arrival.at_s - written_s if last_s < written_s - THROTTLE_IDLE_S + 0.05 else None


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
        sessions = sessions_directory(root / "openclaw")
        with (
            running_daemon(root, root / "openclaw", url, "t" * 26) as daemon,
            talking(str(HERE / "handover.py"), str(bare), f"{url}/floor") as handover,
        ):
            first_line(handover)
            rotation = _Rotation(sessions, arrivals)
            ours, floor, disturbed = _alternate(samples, rotation, bare / "file", arrivals)
            daemon.health()
    return [
        *_figures("edit", ours, p99_goal=Goal("<=", 15)),
        *_figures("floor", floor),
        Figure("latency", "p50 / floor", percentile(ours, 50) / percentile(floor, 50), "x", Goal("<=", 4)),
        Figure("latency", "p99 / floor", percentile(ours, 99) / percentile(floor, 99), "x"),
        Figure("latency", "samples", len(ours), ""),
        Figure("latency", "samples left out", disturbed, ""),
    ]


def _alternate(
    samples: int, rotation: _Rotation, bare: Path, arrivals: _Arrivals
) -> tuple[list[float], list[float], int]:
    ours: list[float] = []
    floor: list[float] = []
    disturbed = 0
    jitter = random.Random(0)
    with bare.open("ab", buffering=0) as file:
        for number in range(WARM_UP + samples):
            time.sleep(jitter.uniform(*_PAUSE_S))
            took_s = rotation.sample()
            time.sleep(jitter.uniform(*_PAUSE_S))
            written_s = time.monotonic()
            file.write(b"x" * 400 + b"\n")
            bare_s = arrivals.wait_for(_floor_since(written_s)).at_s - written_s
            if number < WARM_UP:
                continue
            floor.append(bare_s)
            if took_s is None:
                disturbed += 1
            else:
                ours.append(took_s)
    return ours, floor, disturbed


def _floor_since(written_s: float) -> Callable[[Arrival], bool]:
    return lambda seen: seen.path == "/floor" and seen.at_s > written_s


def _figures(name: str, seconds: list[float], p99_goal: Goal | None = None) -> list[Figure]:
    return [
        Figure("latency", f"{name} p50", percentile(seconds, 50) * 1000, "ms"),
        Figure("latency", f"{name} p95", percentile(seconds, 95) * 1000, "ms"),
        Figure("latency", f"{name} p99", percentile(seconds, 99) * 1000, "ms", p99_goal),
        Figure("latency", f"{name} max", max(seconds) * 1000, "ms"),
    ]
