"""The lines between the first and the last of a box: which of them are kept, and how they are nested."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, replace

MERGE = -1
ORDINARY = 0
OPEN_CHILD = 1
"""A sub-agent that runs, or one that failed, where one line is all that is left of it."""
NEWEST = 2
"""The newest line of the turn itself, and what it said last."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line: `parent` is the index of the line it is nested under, -1 for none."""

    depth: int
    text: str
    at_ms: int
    parent: int = -1
    alone: "Line | None" = None
    """Of the head of a sub-agent: what stands there when nothing is nested under it, with its state."""
    is_word: bool = False
    """The agent at the top said it."""
    is_state: bool = False
    """It says what `alone` of its head says too."""
    weight: int = ORDINARY
    """Whatever weighs less is left out before it, however new it is."""


def compose(first: str, body: Sequence[Line], cut: int, last: str) -> str:
    """First line, quoted body with the separators that nesting needs, last line."""
    parts = [first]
    if cut:
        parts.append(f"> ({cut} earlier {'line' if cut == 1 else 'lines'})")
    depth = 0
    for line in body:
        if line.depth < depth:
            parts.append(" ".join([">"] * (line.depth + 1)))
        depth = line.depth
        parts.append("> " * (depth + 1) + line.text)
    if last:
        parts.extend(("", last))
    return "\n".join(parts)


def newest(lines: Sequence[Line], most: int, dropped: int) -> tuple[list[Line], int]:
    """The newest lines within `most`, in order, each with the lines it is nested under; and how many are left
    out.

    A sub-agent of which nothing else is left stands on one line, with its state: nothing is lost by that, so
    it comes first. The line that tells how many are left out is one of the `most`.
    """
    if len(lines) + (1 if dropped else 0) <= most:
        return list(lines), dropped
    shown = list(lines)
    nested = [0] * len(lines)
    states: dict[int, list[int]] = {}
    for index, line in enumerate(lines):
        if line.parent >= 0 and line.is_state and lines[line.parent].alone is not None:
            states.setdefault(line.parent, []).append(index)
        elif line.parent >= 0:
            nested[line.parent] += 1
    gone = {index for indices in states.values() for index in indices}
    # Only a line with nothing below it can go.
    ahead = [_due(line, index) for index, line in enumerate(lines) if not nested[index] and index not in gone]
    heapq.heapify(ahead)
    gone, left, out = set(), len(lines), dropped
    while ahead and left + (1 if out else 0) > most:
        *_, index = heapq.heappop(ahead)
        alone, parent = shown[index].alone, shown[index].parent
        if alone is not None:
            gone.update(states.get(index, ()))
            left -= len(states.pop(index, ()))
            shown[index] = replace(alone, parent=parent)
            heapq.heappush(ahead, _due(shown[index], index))
            continue
        gone.add(index)
        left, out = left - 1, out + 1
        if parent >= 0:
            nested[parent] -= 1
            if not nested[parent]:
                heapq.heappush(ahead, _due(shown[parent], parent))
    kept: list[Line] = []
    place: dict[int, int] = {-1: -1}
    for index, line in enumerate(shown):
        if index not in gone:
            place[index] = len(kept)
            bare = line.alone is not None and not nested[index] and index not in states
            kept.append(replace(line.alone if bare and line.alone else line, parent=place[line.parent]))
    return kept, out


def _due(line: Line, index: int) -> tuple[int, int, bool, int]:
    """What goes first; of what is equally new it is what is nested."""
    if line.alone is not None:
        return MERGE, line.alone.at_ms, False, index
    return line.weight, line.at_ms, line.parent < 0, index
