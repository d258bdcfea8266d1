"""T16: whatever sessions claim about their parents and children, looking at them ends, and soon."""

from builders import T0, Transcript, call, child_entry, child_key, entry, lines, ms, spawn, store
from hypothesis import given, settings
from hypothesis import strategies as st
from simulate import Player, board

from status_watcher.core.tree import DEEPEST
from status_watcher.source import Reading

SESSIONS = 12
KEYS = [child_key(f"k{n}") for n in range(SESSIONS)]
ONE = st.integers(0, SESSIONS - 1)

GRAPH = st.tuples(
    st.lists(st.tuples(ONE, ONE), max_size=60),  # who claims to have started whom
    st.dictionaries(ONE, ONE | st.just(-1), max_size=SESSIONS),  # whom the store calls the parent of whom
    st.sets(ONE),  # who has ended
    st.sets(ONE),  # who is not in the store
    st.permutations(range(SESSIONS)),  # in which order the transcripts are seen
)


@settings(max_examples=200, deadline=None)
@given(GRAPH)
def test_T16_any_graph_of_sessions_ends_in_bounded_boxes(graph):
    spawns, parents, ended, missing, order = graph
    entries = {}
    for n, key in enumerate(KEYS):
        if n in missing:
            continue
        parent = parents.get(n)
        if parent is None:
            entries[key] = entry(f"k{n}")
        else:
            entries[key] = child_entry(f"k{n}", parent=KEYS[parent] if parent >= 0 else "agent:main:nobody")
    player = Player(board(T0 - 1_000, most_open=100), T0 - 1_000)
    player.at(T0, store(entries))
    for n in order:
        t = Transcript(f"k{n}", prefix=f"p{n}-")
        made = [t.header(), t.user(0), t.assistant(1, call("w"))]
        for m, (above, below) in enumerate(spawns):
            if above == n:
                made += [t.assistant(2, spawn(f"s{m}")), t.spawned(2, f"s{m}", KEYS[below])]
        if n in ended:
            made += [t.ok(3, "w"), t.final(4)]
        player.at(ms(4), lines(*made, session_id=f"k{n}", reading=Reading.FIRST))
    player.until(ms(60))
    player.at(ms(61), store(entries))
    player.until(ms(2_500))
    assert player.seen.withdrawn == []
    for box in player.seen.final.values():
        assert len(box.text) <= 15_000
        deepest = max(line.count("> ") for line in box.text.splitlines())
        assert deepest <= DEEPEST + 1
    counts = player.board.counts()
    assert counts.tracked == SESSIONS
    assert counts.active == sum(not box.ended for box in player.seen.final.values())
    assert counts.waiting == 0
    told = "\n".join(box.text for box in player.seen.final.values())
    assert told, "somebody is shown"
