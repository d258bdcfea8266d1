"""Recorded transcripts again and again, each time under ids and at a time of its own.

A fold knows entries by their ids and remembers recent seconds, so plain repetition would come cheap.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson

from status_watcher.demo.captures import Capture

APART: Final = timedelta(minutes=1)
"""Between two copies; the recordings take less."""

_ID_FIELDS: Final = frozenset({"id", "parentId", "toolCallId", "sessionId", "runId", "firstKeptEntryId"})
_SHORTEST_ID: Final = 6
_UUID: Final = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_ISO: Final = rb'(?<=")\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z(?=")'
_EPOCH_MS: Final = rb"(?<=:)\d{13}(?=[,}])"


@dataclass(frozen=True, slots=True)
class Stencil:
    """A transcript cut at its ids and times: text, value, text, value, …, text."""

    texts: tuple[bytes, ...]
    holes: tuple[int, ...]
    """Which value stands between two texts, as an index into `values`."""
    values: tuple[bytes, ...]

    def copy(self, number: int) -> bytes:
        """The transcript, as long as recorded, with ids that no other copy (up to a million) has."""
        fresh = [_fresh(old, number, index) for index, old in enumerate(self.values)]
        parts = [self.texts[0]]
        for hole, text in zip(self.holes, self.texts[1:], strict=True):
            parts += (fresh[hole], text)
        return b"".join(parts)


def stencils(capture: Capture) -> list[Stencil]:
    """One for each transcript of a recording, as it was at the end."""
    return [_stencil(data) for name, data in capture.files.items() if not name.startswith("earlier/")]


def _stencil(data: bytes) -> Stencil:
    found = {text.encode() for line in data.splitlines() for text in _ids(orjson.loads(line))}
    quoted = sorted(id_ for id_ in found if len(id_) >= _SHORTEST_ID and not _UUID.fullmatch(id_))
    # UUIDs stand in keys too; other ids are looked for between quotes, since their digits may be anywhere.
    patterns = [_ISO, _EPOCH_MS, _UUID.pattern, *(rb'(?<=")' + re.escape(id_) + rb'(?=")' for id_ in quoted)]
    pieces = re.split(b"(" + b"|".join(patterns) + b")", data)
    values = tuple(dict.fromkeys(pieces[1::2]))
    places = {value: place for place, value in enumerate(values)}
    return Stencil(tuple(pieces[::2]), tuple(places[value] for value in pieces[1::2]), values)


def _ids(value: Any) -> Iterator[str]:
    match value:
        case dict():
            for key, inner in value.items():
                if key in _ID_FIELDS and isinstance(inner, str):
                    yield inner
                else:
                    yield from _ids(inner)
        case list():
            for inner in value:
                yield from _ids(inner)


def _fresh(old: bytes, number: int, index: int) -> bytes:
    if old.endswith(b"Z"):
        at = datetime.fromisoformat(old.decode()) + number * APART
        return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z".encode()
    if len(old) == 13 and old.isdigit():
        return str(int(old) + number * APART // timedelta(milliseconds=1)).encode()
    if _UUID.fullmatch(old):
        digits = f"{number:020x}{index:012x}"
        return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])).encode()
    return f"{number:05x}{index:02x}".rjust(len(old), "x")[-len(old) :].encode()
