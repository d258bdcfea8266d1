"""The fold and the board under any bytes, any order, any slicing."""

import itertools

import orjson
from builders import KEY, SESSION, T0, Transcript, call, entry, lines, ms, said, spawn, store
from hypothesis import given, settings
from hypothesis import strategies as st
from simulate import Player, board, labels

from status_watcher.core.session import Session
from status_watcher.core.transcript import Skipped, parse_line
from status_watcher.model import AgentId, SessionId
from status_watcher.source import Reading

LABELS = labels()


def nested(t: Transcript, at_s: float, parent: str) -> bytes:
    details = {
        "parentToolCallId": parent,
        "toolCallId": f"tool_search_code:{parent}:exec:1",
        "toolName": "exec",
        "input": {"command": "ls"},
        "result": {"content": [], "details": {"status": "completed", "exitCode": 1}},
        "isError": False,
        "startedAt": ms(at_s) - 100,
        "timestamp": ms(at_s),
    }
    record = {"role": "custom", "customType": "openclaw.nested-tool.v1", "details": details}
    return t.message(at_s, record)


def story() -> list[bytes]:
    """Turns with everything in them."""
    t = Transcript()
    return [
        t.header(),
        t.user(0),
        t.assistant(1, said("Let me see."), call("a"), call("b")),
        t.ok(2, "b"),
        t.result(2.5, "a", status="completed", exitCode=2),
        t.entry(3, "compaction", summary="x"),
        t.failed(4),
        t.assistant(6, spawn("s"), call("bg")),
        t.spawned(6.5, "s", "agent:main:subagent:x"),
        t.result(7, "bg", status="running", sessionId="river"),
        t.final(8, "Started."),
        t.announced(20, label="helper", child_key="agent:main:subagent:x"),
        t.final(22, "It is back."),
        t.user(30, "And now?"),
        t.assistant(31, call("c")),
        t.user(32, "Faster"),
        t.ok(33, "c"),
        t.prompt_error(34, "This operation was aborted"),
        t.aborted(34.1),
        t.injected(35, "copy"),
        t.user(36, "Behind a tool_call"),
        t.assistant(
            37, call("w", "tool_call", id="exec", args={"command": "ls"}), call("o", "tool_search_code")
        ),
        nested(t, 38, "w"),
        nested(t, 38.2, "o"),
        t.result(38.5, "w", tool="tool_call", result={"details": {"status": "completed", "exitCode": 1}}),
        t.entry(39, "reset", reason="new"),
        t.user(40, "[OpenClaw heartbeat poll]"),
        t.final(41, "HEARTBEAT_OK"),
    ]


STORY = story()


def folded(some: list[bytes]) -> Session:
    session = Session(AgentId("main"), SessionId(SESSION), LABELS)
    for line in some:
        session.fold_line(line, None)
    return session


def shown(session: Session) -> object:
    """What boxes can show of a session, and nothing of how it came to be."""
    return [
        (
            turn.id,
            turn.start_ms,
            turn.nature,
            [(run.items, run.ending, run.ending_text, run.tokens) for run in turn.runs],
        )
        for turn in session.turns
    ]


def played(batches: list[list[bytes]]) -> dict[str, str]:
    player = Player(board(T0 - 1_000), T0 - 1_000)
    player.at(T0 - 500, store({KEY: entry()}))
    for batch in batches:
        player.at(ms(50), lines(*batch))
    player.until(ms(200))
    return {box_id: box.text for box_id, box in player.seen.final.items()}


@settings(deadline=None)
@given(st.lists(st.integers(0, len(STORY)), max_size=6))
def test_slices_of_any_size_give_the_same_boxes(cuts):
    edges = sorted({0, len(STORY), *cuts})
    batches = [STORY[a:b] for a, b in itertools.pairwise(edges)]
    assert played(batches) == played([STORY])


@settings(deadline=None)
@given(st.data())
def test_T17_line_that_comes_again_changes_nothing(data):
    again = data.draw(st.lists(st.sampled_from(STORY), max_size=20))
    places = data.draw(st.lists(st.integers(0, len(STORY)), min_size=len(again), max_size=len(again)))
    some = list(STORY)
    for line, place in sorted(zip(again, places, strict=True), key=lambda pair: -pair[1]):
        if line in STORY[:place]:
            some.insert(place, line)
    assert shown(folded(some)) == shown(folded(STORY))


@settings(deadline=None)
@given(st.integers(0, len(STORY)), st.integers(0, len(STORY)))
def test_T17_file_read_again_from_its_beginning_changes_nothing(first, second):
    player = Player(board(T0 - 1_000), T0 - 1_000)
    player.at(T0 - 500, store({KEY: entry()}))
    player.at(ms(50), lines(*STORY[:first]))
    player.at(ms(50), lines(*STORY[: max(first, second)], reading=Reading.AGAIN))
    player.at(ms(50), lines(*STORY, reading=Reading.AGAIN))
    player.until(ms(200))
    texts = {box_id: box.text for box_id, box in player.seen.final.items()}
    assert texts == played([STORY])


@settings(deadline=None)
@given(st.permutations(STORY[1:]))
def test_T17_lines_in_any_order_are_safe(some):
    texts = played([[STORY[0], *some]])
    assert all(len(text) <= 15_000 for text in texts.values())


@settings(deadline=None)
@given(st.permutations(range(5)), st.integers(0, 5), st.booleans())
def test_T17_result_closes_its_own_call_alone_however_late_it_is(order, in_time, in_a_new_turn):
    """Five calls in two turns, each with an exit code of its own; results beyond the first few come late."""
    t = Transcript()
    results = [t.result(3, f"call {n}", status="completed", exitCode=n + 1) for n in order]
    late = [t.user(4, "And now?")] if in_a_new_turn else []
    asked = [
        t.assistant(1, call("call 0"), call("call 1")),
        t.assistant(2, *(call(f"call {n}") for n in (2, 3, 4))),
    ]
    for answered in range(6):
        session = folded(
            [t.header(), t.user(0), *asked, *results[:in_time], *late, *results[in_time:answered]]
        )
        ended = set(order[: max(answered, in_time)])
        codes = {one.id: one.code for turn in session.turns for run in turn.runs for one in run.items}
        assert codes == {f"call {n}": f"{n + 1}" if n in ended else "" for n in range(5)}


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_T10_any_bytes_are_an_entry_or_skipped(line):
    parse_line(line)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
RAW = [orjson.loads(line) for line in STORY]


@st.composite
def bent(draw) -> bytes:
    """A line of the story with some of its fields, at any depth, replaced or gone."""
    raw = orjson.loads(orjson.dumps(draw(st.sampled_from(RAW))))
    for _ in range(draw(st.integers(1, 3))):
        place = raw
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            if isinstance(place[key], dict | list) and place[key] and draw(st.booleans()):
                place = place[key]
                continue
            if draw(st.booleans()):
                del place[key]
            else:
                place[key] = draw(JSON)
            break
    return orjson.dumps(raw)


@settings(max_examples=200, deadline=None)
@given(st.lists(bent() | st.sampled_from(STORY) | st.binary(max_size=20), max_size=25))
def test_T10_any_fields_in_known_shapes_never_stop_the_board(some):
    player = Player(board(T0 - 1_000), T0 - 1_000)
    player.at(T0 - 500, store({KEY: entry()}))
    for n, line in enumerate(some):
        player.at(ms(n), lines(line))
    player.until(ms(4_000))
    player.board.stop(ms(4_000))
    for box_id, _ in player.board.take_changes().touched:
        assert player.board.render(box_id) is not None
    bad = sum(isinstance(parse_line(line), Skipped) for line in some)
    assert sum(player.board.skipped_lines().values()) == bad


@settings(deadline=None)
@given(
    st.lists(st.binary(max_size=50).filter(lambda line: isinstance(parse_line(line), Skipped)), max_size=10),
    st.data(),
)
def test_T10_lines_between_bad_ones_are_not_lost(bad, data):
    some = list(STORY)
    for line in bad:
        some.insert(data.draw(st.integers(0, len(some))), line)
    session = folded(some)
    assert shown(session) == shown(folded(STORY))
    assert sum(session.skipped.values()) == len(bad)


def test_entry_of_a_bent_story_still_has_its_id():
    ids = [raw["id"] for raw in RAW[1:]]
    assert len(set(ids)) == len(ids)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 40), st.sampled_from(["call", "result", "both"])), max_size=200))
def test_T17_call_ids_used_over_and_over_are_safe(steps):
    t = Transcript()
    made = [t.header(), t.user(0)]
    for n, (number, kind) in enumerate(steps):
        if kind != "result":
            made.append(t.assistant(1 + n, call(f"c{number}")))
        if kind != "call":
            made.append(t.ok(1.5 + n, f"c{number}"))
    session = folded(made)
    (turn,) = session.turns
    answered = sum(1 for item in turn.run.items if getattr(item, "result", None) is not None)
    assert answered <= sum(kind != "call" for _, kind in steps)
