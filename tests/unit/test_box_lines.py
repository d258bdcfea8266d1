"""Boxes with less room than lines: what of many sub-agents, and of the turn itself, is kept."""

import pytest
from builders import KEY, Transcript, Watched, call, child_entry, child_key, entry, lines, said, spawn

from status_watcher.core.box_lines import OPEN_CHILD, Line, newest
from status_watcher.core.render import Limits

KIDS = 12


def many_at_work(max_lines: int = 15) -> tuple[Watched, Transcript, list[Transcript]]:
    """Twelve sub-agents run a command each; then the parent says something."""
    entries = {child_key(f"k{n}"): child_entry(f"k{n}", label=f"kid{n}") for n in range(KIDS)}
    watched = Watched(entries={KEY: entry(), **entries}, limits=Limits(max_lines, 15_000))
    t, kids = Transcript(), [Transcript(f"k{n}", prefix=f"k{n}-") for n in range(KIDS)]
    spawns = [spawn(f"s{n}", f"kid{n}") for n in range(KIDS)]
    watched.at(0, t.header(), t.user(0), t.assistant(1, said("Twelve of them."), *spawns))
    for n, kid in enumerate(kids):
        watched.at(2, t.spawned(2, f"s{n}", child_key(f"k{n}")))
        works = kid.assistant(3, said("I begin."), call(f"c{n}", command=f"job {n}"))
        watched.at(3, lines(kid.header(3), kid.user(3), works, session_id=f"k{n}"))
    watched.at(4, t.assistant(4, said("All are at work."), call("own", command="watch them")))
    return watched, t, kids


def test_newest_words_and_line_of_the_turn_outlive_the_lines_of_many_sub_agents():
    watched, _, _ = many_at_work()
    watched.until(20)
    assert "All are at work." in watched.text
    assert "exec: watch them running" in watched.text
    assert "Twelve of them." not in watched.text
    assert len(watched.text.splitlines()) == 1 + 15


def test_each_sub_agent_is_told_with_its_state_where_lines_are_short():
    watched, t, kids = many_at_work()
    watched.until(20)
    for n in range(KIDS):
        assert f"Sub-agent: kid{n} running" in watched.text
    for n, kid in enumerate(kids):
        watched.at(30, lines(kid.ok(30, f"c{n}"), kid.final(31, f"kid{n} is done."), session_id=f"k{n}"))
    watched.at(32, t.ok(32, "own"), t.final(33, "Everything is done."))
    watched.until(60)
    assert watched.states == ["DONE"]
    assert "Everything is done." in watched.text
    for n in range(KIDS):
        assert f"Sub-agent: kid{n} [DONE] 28s" in " ".join(watched.text.split())


@pytest.mark.parametrize("max_lines", range(1, 40))
def test_no_sub_agent_ever_stands_without_its_state(max_lines):
    watched, t, kids = many_at_work(max_lines)
    for n, kid in enumerate(kids[:6]):
        watched.at(30, lines(kid.ok(30, f"c{n}"), kid.final(31, f"kid{n} is done."), session_id=f"k{n}"))
    watched.at(31, t.ok(31, "own"), t.final(32, "I wait."))
    (box,) = watched.boxes
    body = box.text.splitlines()[1:]
    assert sum(line != ">" for line in body) <= max_lines
    for line, after in zip(body, [*body[1:], ""], strict=True):
        if line.startswith("> Sub-agent: "):
            assert " [DONE] " in line or " running " in line or after.startswith("> > ")


def test_line_of_a_sub_agent_that_says_its_state_alone_is_joined_to_its_head_before_anything_goes():
    alone = Line(0, "head [DONE]", 9)
    tree = [Line(0, "old", 1), Line(0, "head", 2, alone=alone), Line(1, "[DONE]", 9, 1, is_state=True)]
    kept, dropped = newest(tree, 2, 0)
    assert [line.text for line in kept] == ["old", "head [DONE]"]
    assert dropped == 0


def test_sub_agent_at_work_outlives_newer_lines():
    alone = Line(0, "head running", 9, weight=OPEN_CHILD)
    tree = [
        Line(0, "head", 2, alone=alone),
        Line(1, "a", 3, 0),
        *(Line(0, f"p{n}", 20 + n) for n in range(5)),
    ]
    kept, dropped = newest(tree, 3, 0)
    assert [line.text for line in kept] == ["head running", "p4"]
    assert dropped == 5
