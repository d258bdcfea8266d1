"""What redacting costs: an ordinary line, one with a secret, a box of 15 lines drawn for the first time."""

import gc
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, TypeVar

from figures import Figure, percentile

from status_watcher.core.pen import Pen
from status_watcher.core.redact import Redactor, redact

CORPUS: Final = Path(__file__).parents[1] / "tests" / "data" / "secrets"
BOX_LINES: Final = 15
T = TypeVar("T")


def measure(rounds: int) -> list[Figure]:
    """Each line of the corpus so many times; a box's lines by a pen that has not seen them yet."""
    ordinary = (CORPUS / "ordinary.txt").read_text(encoding="utf-8").splitlines()
    with_secrets = [
        "".join(part for key in ("before", "prefix", "secret", "after") for part in case[key])
        for case in json.loads((CORPUS / "positives.json").read_text(encoding="utf-8"))
    ]
    secrets = Redactor.for_secrets("kz5mey4ot7dopqcawtegozda4r")
    figures: list[Figure] = []
    for name, lines in (("ordinary line", ordinary), ("line with a secret", with_secrets)):
        taken = _taken_us(lambda line: redact(line, secrets), lines, rounds)
        figures += [
            Figure("redact", f"{name}, p50", percentile(taken, 50), "us"),
            Figure("redact", f"{name}, p99", percentile(taken, 99), "us"),
        ]
    boxes = [ordinary[at : at + BOX_LINES] for at in range(0, len(ordinary) - BOX_LINES, BOX_LINES)]
    drawn = _taken_us(lambda box: _written(box, Pen(secrets)), boxes, max(1, rounds // 4))
    figures.append(
        Figure("redact", f"{BOX_LINES} lines written for the first time, p50", percentile(drawn, 50), "us")
    )
    seen = Pen(secrets)
    for box in boxes:
        _written(box, seen)
    again = _taken_us(lambda box: _written(box, seen), boxes, rounds)
    figures.append(Figure("redact", f"{BOX_LINES} lines written again, p50", percentile(again, 50), "us"))
    return figures


def _written(lines: Sequence[str], pen: Pen) -> None:
    for number, line in enumerate(lines):
        (pen.argument if number % 3 else pen.sentence)(line)


def _taken_us(work: Callable[[T], object], pieces: Sequence[T], rounds: int) -> list[float]:
    taken: list[float] = []
    gc.collect()
    for _ in range(rounds):
        for piece in pieces:
            started_ns = time.perf_counter_ns()
            work(piece)
            taken.append((time.perf_counter_ns() - started_ns) / 1000)
    return taken
