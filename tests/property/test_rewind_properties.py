"""A session whose store rewrites it, over and over, shows for its turns what they would show anyway."""

import itertools

from builders import KEY, MAIN, SESSION, T0, Transcript, call, entry, lines, ms, said, spawn, store
from hypothesis import given, settings
from hypothesis import strategies as st
from simulate import Player, board, labels

from status_watcher.core.session import Session
from status_watcher.core.shown import parts_of
from status_watcher.model import SessionId
from status_watcher.source import Reading

NOW_MS = ms(60)


def first_part() -> list[bytes]:
    """Three turns: with a sub-agent, with a command in the background, and one that is still at work."""
    t = Transcript()
    return [
        t.header(),
        t.user(0),
        t.assistant(1, said("Let me see."), call("a"), call("b")),
        t.ok(2, "b"),
        t.result(2.5, "a", status="completed", exitCode=2),
        t.assistant(3, spawn("s")),
        t.spawned(3.5, "s", "agent:main:subagent:x"),
        t.final(4, "Started."),
        t.announced(5, label="helper", child_key="agent:main:subagent:x"),
        t.final(6, "It is back."),
        t.user(10, "And now?"),
        t.assistant(11, call("bg")),
        t.result(12, "bg", status="running", sessionId="river"),
        t.failed(13),
        t.assistant(14, call("poll", "process", action="poll")),
        t.result(15, "poll", status="completed", exitCode=1, sessionId="river"),
        t.final(16, "Both."),
        t.user(20, "Once more"),
        t.assistant(21, said("Yes."), call("c")),
        t.user(22, "Faster"),
        t.ok(23, "c"),
        t.assistant(24, call("d")),
    ]


def later_part(number: int) -> list[bytes]:
    """What a session goes on with after it went back for the n-th time: a whole turn, and half of another."""
    t, at_s = Transcript(prefix=f"r{number}-"), 26 + 3 * number
    return [
        t.user(at_s, f"Otherwise {number}"),
        t.assistant(at_s + 0.5, said("Well."), call("c")),
        t.ok(at_s + 1, "c"),
        t.final(at_s + 1.5, "So it is."),
        t.user(at_s + 2, "Then what?"),
        t.assistant(at_s + 2.5, call("e")),
    ]


FIRST = first_part()

REWIND = st.tuples(
    st.integers(1, 40), st.integers(0, 6), st.booleans(), st.lists(st.integers(0, 40), max_size=3)
)
"""How much of the branch stays, how much new there is, whether at once with the rewind, and the slices."""


def a_player() -> Player:
    player = Player(board(T0 - 1_000), T0 - 1_000)
    player.at(T0 - 500, store({KEY: entry()}))
    player.at(NOW_MS)
    return player


def boxes(player: Player) -> dict[str, str]:
    """The texts in the end, by the entry that began the turn."""
    return {str(parts_of(box_id)[1]): box.text for box_id, box in player.seen.final.items()}


def turns_of(branch: list[bytes]) -> set[str]:
    """A message counts as the beginning of a turn or as part of another by what comes after it."""
    session = Session(MAIN, SessionId(SESSION), labels())
    for line in branch:
        session.fold_line(line, None)
    return {str(turn.id) for turn in session.turns}


def replace(player: Player, branch: list[bytes], cuts: list[int]) -> None:
    edges = sorted({0, len(branch), *(cut for cut in cuts if cut < len(branch))})
    slices = list(itertools.pairwise(edges))
    for start, end in slices:
        more_follows = end < len(branch)
        player.at(NOW_MS, lines(*branch[start:end], reading=Reading.REPLACED, more_follows=more_follows))


@settings(max_examples=200, deadline=None)
@given(st.integers(1, len(FIRST)), st.lists(REWIND, max_size=5))
def test_any_rewinds_leave_the_boxes_of_a_fold_from_scratch(told, rewinds):
    player, branch = a_player(), FIRST[:told]
    player.at(NOW_MS, lines(*branch))
    for number, (keep, new, at_once, cuts) in enumerate(rewinds):
        branch, later = branch[:keep], later_part(number)[:new]
        replace(player, branch + later if at_once else branch, cuts)
        if later and not at_once:
            player.at(NOW_MS, lines(*later))
        branch += later
    player.until(ms(4_000))
    scratch = a_player()
    scratch.at(NOW_MS, lines(*branch))
    at_work = {turn for turn, text in boxes(scratch).items() if text.startswith("[ACTIVE]")}
    scratch.until(ms(4_000))
    shown, expected = boxes(player), boxes(scratch)
    on_branch = turns_of(branch)
    assert {turn: text for turn, text in shown.items() if turn in on_branch} == {
        turn: text for turn, text in expected.items() if turn in shown
    }
    assert at_work <= shown.keys()
    assert player.board.counts().active == 0
    assert player.board.broken_looks == 0
    assert player.seen.withdrawn == []
