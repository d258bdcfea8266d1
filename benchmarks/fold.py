"""How fast a backlog is folded, against nothing but parsing the same lines as JSON."""

import gc
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Final

import orjson
from figures import Figure, Goal
from stencil import stencils

from status_watcher.core.labels import Labels, load_labels
from status_watcher.core.session import Session
from status_watcher.demo.captures import load_demo
from status_watcher.edge.bundled import read_tool_labels
from status_watcher.model import AgentId, SessionId

CAPTURES: Final = ("tools", "subagents-two")
CHUNK_BYTES: Final = 10_000_000
GOAL: Final = Goal(">=", 0.4)

Transcript = list[bytes]
"""Its lines."""


@dataclass(slots=True)
class _Sums:
    lines: int = 0
    size_bytes: int = 0
    fold_s: float = 0.0
    loads_s: float = 0.0


def measure(total_bytes: int) -> list[Figure]:
    """Fold so much in transcripts as long as the recorded ones, then as much in one that never ends."""
    labels = load_labels(read_tool_labels())
    if not isinstance(labels, Labels):
        raise TypeError(labels)
    short = _Sums()
    for chunk in _chunks(total_bytes):
        _measure_chunk(chunk, lambda transcripts: _fold_each(transcripts, labels), short)
    long, session = _Sums(), Session(AgentId("main"), SessionId("bench"), labels)
    for chunk in _chunks(total_bytes):
        _measure_chunk(chunk, lambda transcripts: _fold_into(transcripts, session), long)
    return [*_figures("", short), *_figures(", one long session", long)]


def _figures(variant: str, sums: _Sums) -> list[Figure]:
    return [
        Figure("fold", f"rate / orjson.loads{variant}", sums.loads_s / sums.fold_s, "x", GOAL),
        Figure("fold", f"lines/s{variant}", sums.lines / sums.fold_s, "1/s"),
        Figure("fold", f"MB/s{variant}", sums.size_bytes / sums.fold_s / 1e6, "MB/s"),
        Figure("fold", f"per line{variant}", sums.fold_s / sums.lines * 1e6, "us"),
        Figure("fold", f"orjson.loads per line{variant}", sums.loads_s / sums.lines * 1e6, "us"),
        Figure("fold", f"bytes per line{variant}", sums.size_bytes / sums.lines, "B"),
    ]


def _chunks(total_bytes: int) -> Iterator[list[Transcript]]:
    """Copies of all recorded transcripts in turn, about 10 MB at a time."""
    turn = [stencil for name in CAPTURES for stencil in stencils(load_demo(name))]
    numbers = count()
    made_bytes = 0
    while made_bytes < total_bytes:
        chunk: list[Transcript] = []
        size_bytes = 0
        while size_bytes < min(CHUNK_BYTES, total_bytes - made_bytes):
            for stencil in turn:
                data = stencil.copy(next(numbers))
                chunk.append(data.split(b"\n")[:-1])
                size_bytes += len(data)
        made_bytes += size_bytes
        yield chunk


def _measure_chunk(chunk: list[Transcript], fold: Callable[[list[Transcript]], None], sums: _Sums) -> None:
    """Both over the same lines, parsing before and after, so that neither profits from warm caches."""
    before_s = _timed(_load_each, chunk)
    sums.fold_s += _timed(fold, chunk)
    sums.loads_s += (before_s + _timed(_load_each, chunk)) / 2
    sums.lines += sum(map(len, chunk))
    sums.size_bytes += sum(len(line) + 1 for transcript in chunk for line in transcript)


def _timed(work: Callable[[list[Transcript]], None], chunk: list[Transcript]) -> float:
    gc.collect()
    started_s = time.perf_counter()
    work(chunk)
    return time.perf_counter() - started_s


def _load_each(transcripts: list[Transcript]) -> None:
    for transcript in transcripts:
        for line in transcript:
            orjson.loads(line)


def _fold_each(transcripts: list[Transcript], labels: Labels) -> None:
    for number, transcript in enumerate(transcripts):
        session = Session(AgentId("main"), SessionId(f"bench-{number}"), labels)
        for line in transcript:
            session.fold_line(line, None)


def _fold_into(transcripts: list[Transcript], session: Session) -> None:
    for transcript in transcripts:
        for line in transcript:
            session.fold_line(line, None)
