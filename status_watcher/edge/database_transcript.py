"""One transcript of the database: where it was read to, and what of it is to be handed over next."""

from dataclasses import dataclass, field, replace
from typing import Final

from status_watcher.core.store_branch import Kind, extends, parse_node
from status_watcher.core.store_rows import copied_until_ms
from status_watcher.edge.database_payload import Fault
from status_watcher.edge.database_rows import Mark, Rows
from status_watcher.model import SessionId
from status_watcher.source import Reading

_NONE: Final[frozenset[int]] = frozenset()


@dataclass(frozen=True, slots=True)
class Place:
    """How far a transcript was read. Numbers of events alone do not tell whether it was rewritten since."""

    session_id: SessionId
    reading: Reading
    """What the next batch is."""
    begun: bool = False
    seq: int = -1
    mark: Mark | None = None
    """Of the event with that number."""
    generation: str = ""
    leaf: str | None = None
    """The id of the last entry of the branch,"""
    leaf_seq: int = -1
    """and its number."""
    abandoned: frozenset[int] = _NONE
    branch_known_to: int = -1
    """The number up to which `abandoned` tells all of them."""
    copied_until_ms: int = 0
    head_skipped: bool = False


@dataclass(frozen=True, slots=True)
class Batch:
    """What a step found to hand over."""

    lines: tuple[bytes, ...]
    reading: Reading
    head_skipped: bool
    copied_until_ms: int


@dataclass(frozen=True, slots=True)
class Step:
    """A slice read."""

    place: Place
    batch: Batch | None
    size_bytes: int = 0
    more: bool = False
    rows: int = 0
    damaged: int = 0
    """Events that could not be unpacked, or are no JSON."""
    overlong: int = 0
    rewritten: bool = False


@dataclass(frozen=True, slots=True)
class Vanished:
    """The transcript has no event (any more)."""


@dataclass(slots=True)
class _Slice:
    events: list[tuple[int, bytes]] = field(default_factory=list)
    size_bytes: int = 0
    rows: int = 0
    damaged: int = 0
    overlong: int = 0
    more: bool = False


def step(rows: Rows, place: Place, *, fork_source_id: str, most_bytes: int) -> Step | Vanished:
    """Read on for about so many bytes; raises `sqlite3.Error`.

    If what was handed over is no longer what the store says, reading begins anew and replaces it.
    """
    rewritten = place.begun and _is_rewritten(rows, place)
    if rewritten:
        place = Place(place.session_id, Reading.REPLACED)
    while True:
        if not place.begun:
            beginning = _begin(rows, place, fork_source_id)
            if beginning is None:
                return Vanished()
            place = beginning
        read = _read(rows, place, most_bytes)
        if read is not None:
            return replace(read, rewritten=rewritten)
        rewritten = True
        place = Place(place.session_id, Reading.REPLACED)


def _is_rewritten(rows: Rows, place: Place) -> bool:
    if rows.generation(place.session_id) != place.generation:
        return True
    if place.mark is not None and rows.mark(place.session_id, place.seq) != place.mark:
        return True
    if place.leaf_seq < 0 or rows.is_active(place.session_id, place.leaf_seq):
        return False
    return _handed_over(rows.abandoned(place.session_id), place) != _handed_over(place.abandoned, place)


def _handed_over(abandoned: frozenset[int], place: Place) -> frozenset[int]:
    return frozenset(seq for seq in abandoned if seq <= place.seq)


def _begin(rows: Rows, place: Place, fork_source_id: str) -> Place | None:
    tip = rows.tip(place.session_id)
    if tip is None:
        return None
    start, head_skipped = rows.start(place.session_id)
    return replace(
        place,
        begun=True,
        seq=start,
        generation=rows.generation(place.session_id),
        abandoned=rows.abandoned(place.session_id),
        branch_known_to=tip[0],
        copied_until_ms=copied_until_ms(rows.birth(place.session_id, fork_source_id)),
        head_skipped=head_skipped,
    )


def _read(rows: Rows, place: Place, most_bytes: int) -> Step | None:
    """None if a new entry leaves some of what was handed over behind."""
    found = _Slice()
    before = place
    for event in rows.events(place.session_id, place.seq):
        if found.size_bytes >= most_bytes:
            found.more = True
            break
        found.rows += 1
        found.size_bytes += event.mark.size_bytes
        place = replace(place, seq=event.seq, mark=event.mark)
        if isinstance(event.body, Fault):
            found.damaged += event.body is Fault.DAMAGED
            found.overlong += event.body is Fault.OVERLONG
            continue
        node = parse_node(event.seq, event.body)
        if node is None:
            found.damaged += 1
            continue
        if event.seq > place.branch_known_to and not extends(node, place.leaf):
            tip = rows.tip(place.session_id)
            place = replace(
                place,
                abandoned=rows.abandoned(place.session_id),
                branch_known_to=event.seq if tip is None else tip[0],
            )
            if _handed_over(place.abandoned, before) != _handed_over(before.abandoned, before):
                return None
        if event.seq not in place.abandoned:
            if node.kind is Kind.LEAF:
                place = replace(place, leaf=node.target)
            elif node.kind in {Kind.ENTRY, Kind.RESET}:
                place = replace(place, leaf=node.id, leaf_seq=event.seq)
        found.events.append((event.seq, event.body))
    lines = tuple(body for seq, body in found.events if seq not in place.abandoned)
    batch = None
    # That nothing is left of a transcript is told too.
    if lines or (place.reading is Reading.REPLACED and not found.more):
        batch = Batch(lines, place.reading, place.head_skipped, place.copied_until_ms)
        if place.reading is Reading.MORE:
            batch = Batch(lines, Reading.MORE, head_skipped=False, copied_until_ms=0)
        # What is replaced is told as such to its last slice.
        unfinished = place.reading is Reading.REPLACED and found.more
        place = replace(place, reading=Reading.REPLACED if unfinished else Reading.MORE)
    return Step(place, batch, found.size_bytes, found.more, found.rows, found.damaged, found.overlong)
