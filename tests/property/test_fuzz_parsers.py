"""T10 with bytes that nobody chose: real lines and stores, bent and broken, cost no box and not the daemon.

The same targets run coverage-guided with `make fuzz`.
"""

import asyncio
import json

from fuzz import seeds, targets
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from status_watcher.core.index import Index, parse_index
from status_watcher.model import BoxId, Urgency
from status_watcher.relay import BoardClock, Relay
from status_watcher.source import IndexSeen, Lines, News, Reading

LINES = seeds.lines()
RECORDED = frozenset(LINES)
TRANSCRIPTS = [data.splitlines() for data in seeds.transcripts()]
STORES = seeds.stores()
CANARY = "xyzzy-never-to-be-logged"

ODD_TEXTS = st.sampled_from(
    [
        "",
        "\0",
        "\ud800",
        "�",
        "\u202e",
        "NO_REPLY",
        "@all",
        "`" * 50,
        "x" * 20_000,
        "9999-12-31T23:59:59.999Z",
    ]
)
ODD_NUMBERS = st.sampled_from([0, -1, 2**53, 2**63, 10**25, -(10**25), 1e308, -0.0, 0.1, True, False])
VALUES = st.recursive(
    st.none() | ODD_NUMBERS | st.integers() | st.floats(allow_nan=False) | ODD_TEXTS | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def places(document, place=()):
    """The paths of all values in a JSON document."""
    yield place
    if isinstance(document, dict):
        for name, value in document.items():
            yield from places(value, (*place, name))
    elif isinstance(document, list):
        for number, value in enumerate(document):
            yield from places(value, (*place, number))


def put(document, place, value):
    """The document with another value in that place."""
    if not place:
        return value
    copy = document.copy()
    copy[place[0]] = put(document[place[0]], place[1:], value)
    return copy


@st.composite
def bent(draw, originals):
    """A real document in which some values are others, or have changed places."""
    document = json.loads(draw(st.sampled_from(originals)))
    for _ in range(draw(st.integers(1, 4))):
        where = list(places(document))
        place = draw(st.sampled_from(where))
        value = draw(VALUES)
        if draw(st.booleans()):
            value = document
            for step in draw(st.sampled_from(where)):
                value = value[step]
        document = put(document, place, value)
    return json.dumps(document).encode()


@st.composite
def broken(draw, originals):
    """Real bytes with pieces cut out, put in, doubled or taken from elsewhere."""
    data = draw(st.sampled_from(originals))
    for _ in range(draw(st.integers(1, 4))):
        start, end = sorted((draw(st.integers(0, len(data))), draw(st.integers(0, len(data)))))
        other = draw(st.sampled_from(originals))
        piece = draw(st.binary(max_size=8) | st.just(data[start:end] * 2) | st.just(other[start:end]))
        data = data[:start] + piece + data[end:]
    return data


ANY_LINE = st.sampled_from(LINES) | bent(LINES) | broken(LINES) | st.binary(max_size=200)


@st.composite
def transcripts(draw):
    """A piece of a recorded transcript with lines bent, dropped, doubled, moved or from another one."""
    lines = list(draw(st.sampled_from(TRANSCRIPTS)))
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, len(lines)))
        match draw(st.sampled_from(["bend", "drop", "double", "move", "put"])):
            case "bend" if at < len(lines) and lines[at] in RECORDED:
                lines[at] = draw(bent([lines[at]]))
            case "drop":
                del lines[at : at + draw(st.integers(1, 5))]
            case "double":
                lines[at:at] = lines[:at]
            case "move" if at < len(lines):
                lines.insert(draw(st.integers(0, len(lines) - 1)), lines.pop(at))
            case _:
                lines.insert(at, draw(ANY_LINE).replace(b"\n", b" "))
    return b"\n".join(lines[:120])


@given(ANY_LINE)
def test_T10_whatever_a_line_is_it_is_an_entry_or_skipped(line):
    targets.read_line(line)


@settings(deadline=None)
@given(transcripts())
def test_T10_whatever_a_transcript_holds_it_is_folded_and_shown(data):
    targets.fold_transcript(data)


@settings(deadline=None)
@given(bent(STORES) | broken(STORES) | st.binary(max_size=200))
def test_S1_S5_whatever_the_index_holds_it_is_read_and_shown_or_refused(data):
    targets.read_index(data)


@st.composite
def marked(draw, originals):
    """A real document in which some texts are, or contain, one that must never be logged."""
    document = json.loads(draw(st.sampled_from(originals)))
    for _ in range(draw(st.integers(1, 6))):
        text = draw(st.sampled_from([CANARY, f"{CANARY} @all", f"2026-{CANARY}", CANARY * 1000]))
        document = put(document, draw(st.sampled_from(list(places(document)))), text)
    return json.dumps(document).encode()


@st.composite
def torn_marked(draw, originals):
    """Real bytes with that text somewhere in them, and perhaps an end too soon."""
    data = draw(st.sampled_from(originals))
    at, end = draw(st.integers(0, len(data))), draw(st.integers(0, len(data)))
    return (data[:at] + CANARY.encode() + data[at:])[: end + len(CANARY)]


class Deaf:
    """An outlet that publishes nothing."""

    def touch(self, box_id: BoxId, urgency: Urgency) -> None: ...
    def withdraw(self, box_id: BoxId) -> None: ...
    def rename(self, old: BoxId, new: BoxId) -> None: ...


async def relayed(*news: News) -> Relay:
    """A relay that has taken these, drawn its conclusions and stopped."""
    relay = Relay(targets.board(), Deaf(), BoardClock())
    for one in news:
        relay.take(one)
    await asyncio.sleep(0)  # what it left for the loop's next round
    relay.stop()
    return relay


def lines(*given: bytes) -> Lines:
    return Lines(targets.AGENT, targets.SESSION, given, Reading.FIRST)


@settings(deadline=None)
@given(
    st.lists(marked(LINES) | torn_marked(LINES), min_size=1, max_size=8), marked(STORES) | torn_marked(STORES)
)
def test_T10_no_word_of_a_transcript_or_an_index_is_ever_logged(transcript, store):
    index = parse_index(store)
    news: list[News] = [IndexSeen(targets.AGENT, index.entries)] if isinstance(index, Index) else []
    with capture_logs() as logged:
        relay = asyncio.run(relayed(*news, lines(*transcript)))
    assert relay.broken_news == 0
    assert logged == []


class Raises(tuple):
    """Lines that cannot be looked at: a bug somewhere in the fold, which quotes what it was about."""

    __slots__ = ()

    def __iter__(self):
        raise ValueError(CANARY)


def test_P11_a_bug_in_one_session_is_counted_and_told_without_its_words_and_others_go_on():
    whole = TRANSCRIPTS[-1]
    broken_lines = Lines(targets.AGENT, targets.SESSION, Raises(), Reading.FIRST)
    with capture_logs() as logged:
        relay = asyncio.run(relayed(broken_lines, broken_lines, lines(*whole)))
    assert relay.broken_news == 2
    (told,) = logged
    assert (told["event"], told["kind"], told["error"]) == ("news_not_understood", "Lines", "ValueError")
    assert CANARY not in str(logged)
