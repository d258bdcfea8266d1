"""What boxes cost the server in edits, and how old what they show gets: in simulated time
(tests/simulated.py), with the real board and the real publisher.

Turns of half an hour, made up, and every capture that the tests have, replayed as recorded.
"""

import sys
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any, Final

from figures import Figure, Goal

from status_watcher.demo.captures import Capture
from status_watcher.demo.player import Append, PlayOptions, plan
from status_watcher.publisher import PublisherSettings
from status_watcher.source import News

sys.path.append(str(Path(__file__).parents[1] / "tests"))

import captures
import recorded_rows
from builders import T0, Transcript, call, entry, lines, said, store
from simulate import Disk, Tables
from simulated import CHANNEL, Seen, simulate, watch

HALF_AN_HOUR_S: Final = 1_800
STEP_S: Final = 3.0
"""Between a call and the next."""
RESULT_AFTER_S: Final = 1.5
LOOK_S: Final = 5.0
"""Between two looks at the store."""
MOST_EDITS: Final = Goal("<=", 250)
STALEST_S: Final = Goal("<=", 10)
SOON_S: Final = Goal("<=", 1)
NONE: Final = Goal("<=", 0)
DEFAULTS: Final = PublisherSettings()

Timed = tuple[float, Sequence[News]]


@dataclass(frozen=True, slots=True)
class Work:
    """A turn: a call each `step_s`, whose result comes `result_after_s` later and is an error each
    `fails_every` times (0 for never).
    """

    step_s: float = STEP_S
    result_after_s: float = RESULT_AFTER_S
    fails_every: int = 0
    begins_s: float = 1.0


def measure(seconds: int) -> list[Figure]:
    """One turn of half an hour, and several at once of so many seconds."""
    busy = Work()
    some_fail, more_fail, all_fail = Work(fails_every=20), Work(fails_every=10), Work(fails_every=1)
    one_call = Work(step_s=HALF_AN_HOUR_S, result_after_s=HALF_AN_HOUR_S - 1)
    twenty = [replace(busy, begins_s=1.0 + 0.05 * number) for number in range(20)]
    return [
        *_figures("busy turn", _watch([busy]), MOST_EDITS),
        *_figures("1 in 20 fails", _watch([some_fail]), MOST_EDITS),
        *_figures("1 in 10 fails", _watch([more_fail]), MOST_EDITS),
        *_figures("all fail", _watch([all_fail]), MOST_EDITS),
        *_figures("one long call", _watch([one_call])),
        *_figures("20 turns", _watch(twenty, seconds)),
        *_figures("20, no budget", _watch(twenty, seconds, replace(DEFAULTS, edits_per_s=0))),
        *_captures(),
    ]


def _watch(
    works: Sequence[Work], seconds: int = HALF_AN_HOUR_S, settings: PublisherSettings = DEFAULTS
) -> Seen:
    turns = (_turn(number, work, seconds) for number, work in enumerate(works))
    news = sorted(chain(_looks(len(works), seconds), *turns), key=lambda timed: timed[0])
    return simulate(watch(news, T0, settings, settle_s=60.0))


def _looks(sessions: int, seconds: int) -> Iterator[Timed]:
    index = store({f"agent:main:bench-{n}": _entry(f"session-{n}") for n in range(sessions)})
    for look in range(int(seconds / LOOK_S) + 10):
        yield look * LOOK_S, [index]


def _entry(session_id: str) -> dict[str, Any]:
    place = {"channel": "mattermost", "to": f"channel:{CHANNEL}"}
    return entry(session_id, lastTo=place["to"], deliveryContext=place)


def _turn(number: int, work: Work, seconds: int) -> Iterator[Timed]:
    session_id = f"session-{number}"
    t = Transcript(session_id, prefix=f"{number}-")
    begins_s, at_s, step = work.begins_s, work.begins_s, 0
    yield at_s, [lines(t.header(at_s), t.user(at_s), session_id=session_id)]
    while at_s + work.step_s <= begins_s + seconds:
        step += 1
        id_ = f"c{step}"
        said_ = said(f"Step {step}: the next file of the module is looked at.")
        made = t.assistant(at_s, said_, call(id_, command=f"grep -rn 'import' src/module_{step}/"))
        yield at_s, [lines(made, session_id=session_id)]
        done_s = at_s + work.result_after_s
        if work.fails_every and step % work.fails_every == 0:
            result = t.result(done_s, id_, error=True, status="failed", exitCode=2, durationMs=1500)
        else:
            result = t.ok(done_s, id_, 1_500)
        yield done_s, [lines(result, session_id=session_id)]
        at_s += work.step_s
    yield begins_s + seconds, [lines(t.final(begins_s + seconds), session_id=session_id)]


def _captures() -> list[Figure]:
    """All captures, each for itself, added up."""
    whole, most = Seen(), 0
    for name in captures.names():
        seen = simulate(watch(_replayed(captures.load(name)), T0, DEFAULTS, settle_s=60.0))
        most = max(most, _most_in_a_second(seen))
        whole.writes += seen.writes
        whole.staleness_s += seen.staleness_s
        whole.first_lines_s += seen.first_lines_s
        whole.endings_s += seen.endings_s
        whole.left_behind += seen.left_behind
        whole.counters = Counter(whole.counters) + Counter(seen.counters)
    return _figures(f"{len(captures.names())} captures", whole, most_in_a_second=most)


def _replayed(capture: Capture) -> Iterator[Timed]:
    """With looks at the store in between, as the source has them."""
    options, state_dir, at_s = PlayOptions(), Path("/state"), 0.0
    steps: list[Any]
    disk: Tables | Disk
    if isinstance(capture, recorded_rows.DatabaseCapture):
        disk, steps = Tables(), recorded_rows.plan(capture, options, start_ms=T0 + 1_000, state_dir=state_dir)
    else:
        disk, steps = Disk(), plan(capture, options, start_ms=T0 + 1_000, state_dir=state_dir)
    for step in steps:
        while at_s + LOOK_S < step.at_s + 1.0:
            at_s += LOOK_S
            yield at_s, [disk.look_at_store()]
        before = step.at_s == 0 and isinstance(step, Append)
        yield (0.5 if before else step.at_s + 1.0), disk.news(step)
    for _ in range(4):
        at_s += LOOK_S
        yield at_s, [disk.look_at_store()]


def _figures(
    name: str, seen: Seen, most: Goal | None = None, *, most_in_a_second: int | None = None
) -> list[Figure]:
    part, size_bytes = f"edits: {name}", sum(write.size_bytes for write in seen.writes)
    counters = Counter(seen.counters)
    if most_in_a_second is None:
        most_in_a_second = _most_in_a_second(seen)
    return [
        Figure(part, "edits", seen.edits, "", most),
        Figure(part, "edits of a plain throttle", seen.edits + counters["edits_saved"], ""),
        Figure(part, "written", size_bytes / 1000, "kB"),
        Figure(part, "saved", counters["bytes_saved"] / 1000, "kB"),
        Figure(part, "most writes in a second", most_in_a_second, ""),
        Figure(part, "held back by the budget", counters["edits_held_back"], ""),
        Figure(part, "oldest text while things happen", max(seen.staleness_s, default=0.0), "s", STALEST_S),
        Figure(part, "first line, latest", max(seen.first_lines_s, default=0.0), "s", SOON_S),
        Figure(part, "final state, latest", max(seen.endings_s, default=0.0), "s", SOON_S),
        Figure(part, "posts left behind", seen.left_behind, "", NONE),
    ]


def _most_in_a_second(seen: Seen) -> int:
    times = sorted(write.at_s for write in seen.writes)
    return max((bisect_left(times, at_s + 1) - n for n, at_s in enumerate(times)), default=0)
