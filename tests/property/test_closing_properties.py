"""A post that is closed without its turn reads as `render` would have it, had it still the turn to show."""

import re
from dataclasses import replace

from builders import T0
from hypothesis import example, given, settings
from hypothesis import strategies as st
from test_render_properties import HOSTILE, PEN, SAYABLE, STEP, check, nested, seen

from status_watcher.core.closing import closed
from status_watcher.core.render import Limits, bare_box, render
from status_watcher.core.states import (
    OPEN_STATES,
    Compacting,
    ForApproval,
    ForChildren,
    Retrying,
    Thinking,
    UsingTool,
)
from status_watcher.model import Closing, State

ROOM = 100_000
TOKENS = re.compile(r" \| [\d.]+[kM]? tokens$", re.MULTILINE)
LINKS = st.sampled_from(["", "[team/app#12](https://forge.example/team/app/issues/12)"])
NOTES = st.sampled_from(["", "gateway stopping", "gateway gone 12s"])
DOINGS = st.sampled_from(
    [
        None,
        Thinking(T0 + 1_000),
        Compacting(T0 + 2_000),
        UsingTool(T0 + 3_000, "exec"),
        ForChildren(2),
        ForApproval(T0),
        Retrying(2, failed=True),
    ]
)
TURNS = st.lists(st.lists(STEP, max_size=8), min_size=1, max_size=4)
NAMES = st.lists(SAYABLE, min_size=3, max_size=3)


def open_views(turns, names, state, doing):
    view = nested([seen(steps) for steps in turns], names)
    return replace(view, verdict=replace(view.verdict, state=state, ended_ms=None, doing=doing))


OPEN = st.builds(open_views, TURNS, NAMES, st.sampled_from(sorted(OPEN_STATES)), DOINGS)


def without_tries(text: str) -> str:
    """What our stop keeps of a first line, and nobody misses afterwards."""
    return re.sub(r" \| try \d+", "", text, count=1)


@settings(max_examples=150, deadline=None)
@given(OPEN, HOSTILE, NOTES, LINKS, st.booleans())
def test_a_closed_box_reads_as_one_that_our_stop_marks(view, name, note, link, one_line):
    limits = Limits(15, ROOM, one_line)
    said = render(view, name, T0 + 60_000, limits, PEN, note=note, link=link)
    stopped = render(view, name, T0 + 60_000, limits, PEN, state=State.INTERRUPTED, link=link)
    closing = Closing(State.INTERRUPTED, ROOM, one_line=one_line)
    text = closed(said, closing)
    told = without_tries(stopped)
    if one_line:
        told = re.sub(r" \| [\d.]+[kM]? tokens", "", told, count=1)  # an open one has none yet
    assert text == TOKENS.sub("", told)
    assert closed(text, closing) == text
    assert closed(stopped, closing) == stopped, "what our stop has marked is not touched"


@settings(max_examples=150, deadline=None)
@given(OPEN, SAYABLE, st.integers(1, 20), st.integers(20, 3_000), LINKS, st.booleans())
def test_a_closed_box_keeps_the_limit_and_its_newest_lines(view, name, max_lines, max_chars, link, one_line):
    said = render(view, name, T0 + 60_000, Limits(max_lines, max_chars, one_line), PEN, link=link)
    text = closed(said, Closing(State.INTERRUPTED, max_chars, one_line=one_line))
    assert text.startswith("[INTERRUPTED]")
    assert len(text) <= max_chars
    below = [line for line in said.split("\n")[1:] if line.strip("> ")]
    kept = [line for line in text.split("\n")[1:] if line.startswith(">") and line.strip("> ")]
    if kept and kept != below:
        assert re.fullmatch(r"> \(\d+ earlier lines?\)", kept[0])
        assert kept[1:] == below[len(below) - len(kept) + 1 :]
    if not link:
        check(text, max_chars)


@settings(max_examples=100, deadline=None)
@given(HOSTILE, st.sampled_from(sorted(OPEN_STATES)), st.none() | st.integers(0, 10**9), NOTES, LINKS)
@example("| --- |", State.ACTIVE, 0, "", "")
def test_a_closed_box_without_lines_is_the_bare_box_of_an_ended_turn(name, state, elapsed_ms, note, link):
    limits = Limits(15, ROOM)
    said = bare_box(name, state, elapsed_ms, limits, PEN, note=note, link=link)
    ended = bare_box(name, State.INTERRUPTED, elapsed_ms, limits, PEN, link=link)
    if elapsed_ms is not None:  # where no time stands a name that looks like one would be taken for it
        assert closed(said, Closing(State.INTERRUPTED, ROOM, one_line=False)) == ended


@settings(deadline=None)
@given(HOSTILE | st.from_regex(r"\[[A-Z]+\].*", fullmatch=True), st.integers(20, 500), st.booleans())
def test_any_text_can_be_asked_and_closing_twice_is_closing_once(said, max_chars, one_line):
    closing = Closing(State.INTERRUPTED, max_chars, one_line=one_line)
    text = closed(said, closing)
    assert text == said or len(text) <= max_chars
    assert closed(text, closing) == text
