"""Whatever agents write: a box keeps its limits, its levels and its tags, and does nothing."""

import re
from dataclasses import replace

from builders import T0, Transcript, call, said
from hypothesis import given, settings
from hypothesis import strategies as st
from simulate import labels

from status_watcher.core.box_lines import Line, compose, newest
from status_watcher.core.pen import Pen
from status_watcher.core.redact import Redactor
from status_watcher.core.render import Limits, bare_box, render
from status_watcher.core.session import Session
from status_watcher.core.tree import ChildView, Rules, TurnView, Verdict, Views
from status_watcher.model import AgentId, SessionId, SessionKey, State
from status_watcher.sandbox.markdown import render_markdown
from status_watcher.sandbox.mentions import live_names

PEN = Pen(Redactor())
LABELS = labels()

PIECES = [
    *(
        "`",
        "``",
        "```",
        "~~~",
        "*",
        "**",
        "_",
        "__",
        "~~",
        "#",
        "## ",
        "- ",
        "+ ",
        "1. ",
        "> ",
        "| --- |",
        "---",
        "===",
    ),
    *("[", "]", "(", ")", "](x)", "](http://x.y)", "![", "[OK]", "[DONE] 3s", "[x]: http://y.z", "[x][y]"),
    *(
        "@all",
        "@channel",
        "@here",
        "@",
        "#tag",
        "~town",
        ":smile:",
        ":+1:",
        ":)",
        "<b>",
        "<http://x>",
        "&#64;all",
    ),
    *(
        "http://x.y/z",
        "www.x.com",
        "mailto:a@b",
        "\\",
        "$x$",
        "<3",
        "\n",
        "\r\n",
        "\t",
        "\x00",
        "\x1b[31m",
        "\u202e",
    ),
    *(
        "\u200b",
        "\u2028",
        "\u00a0",
        " ",
        "    ",
        "é",
        "日本",
        "👩‍👩‍👧",
        "🇩🇪",
        "e\u0301",
        "a",
        "foo",
        "10:30",
        "\ud800",
    ),
]
HOSTILE = st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=10).map("".join)
SAYABLE = HOSTILE.map(lambda text: text.encode("utf-8", "ignore").decode())  # what a line of JSON can hold

STEP = st.one_of(
    st.tuples(st.just("say"), SAYABLE, SAYABLE),
    st.tuples(st.just("call"), SAYABLE, SAYABLE),
    st.tuples(st.just("failed call"), SAYABLE, SAYABLE),
    st.tuples(st.just("signal"), SAYABLE, SAYABLE),
    st.tuples(st.just("compacted"), SAYABLE, SAYABLE),
    st.tuples(st.just("error"), SAYABLE, SAYABLE),
    st.tuples(st.just("final"), SAYABLE, SAYABLE),
)


class Nobody:
    def entry(self, *_):
        return None

    def session_of(self, *_):
        return None


def seen(steps: list[tuple[str, str, str]], now_s: float = 10) -> TurnView:
    t = Transcript()
    session = Session(AgentId("main"), SessionId("s"), LABELS)
    made = [t.header(), t.user(0)]
    for n, (kind, one, two) in enumerate(steps):
        at_s = 1 + n * 0.1
        match kind:
            case "say":
                made.append(t.assistant(at_s, said(one), said(two), call(f"c{n}")))
            case "call":
                made += [t.assistant(at_s, call(f"c{n}", one or "exec", command=two)), t.ok(at_s, f"c{n}")]
            case "failed call":
                made += [t.assistant(at_s, call(f"c{n}", command=one)), t.result(at_s, f"c{n}", error=True)]
            case "signal":
                made += [
                    t.assistant(at_s, call(f"c{n}", command=one)),
                    t.result(at_s, f"c{n}", exitSignal=two),
                ]
            case "compacted":
                made.append(t.entry(at_s, "compaction", summary=one))
            case "error":
                made.append(t.failed(at_s, one))
            case _:
                made.append(t.final(at_s, one))
    for line in made:
        session.fold_line(line, None)
    return Views(Nobody(), Rules()).of(session, session.turns[0], T0 + round(now_s * 1000), None)


def nested(views: list[TurnView], labels_: list[str]) -> TurnView:
    """Each view below the first call of the one before, as far as there is one."""
    view = views[-1]
    for above, label in zip(reversed(views[:-1]), labels_, strict=False):
        calls = [item for run in above.runs for item in run.items if hasattr(item, "child")]
        if not calls:
            return view
        child = ChildView(SessionKey(label), label, (view,), Verdict(State.ERROR, T0 + 9_000), T0)
        view = replace(above, children={calls[0].id: child})
    return view


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.lists(STEP, max_size=8), min_size=1, max_size=4),
    SAYABLE,
    st.lists(SAYABLE, min_size=3, max_size=3),
    st.integers(1, 20),
    st.integers(20, 3_000),
)
def test_box_keeps_its_limits_its_levels_and_does_nothing(turns, name, names, max_lines, max_chars):
    view = nested([seen(steps) for steps in turns], names)
    text = render(view, name, T0 + 60_000, Limits(max_lines, max_chars), PEN)
    check(text, max_chars)
    body = [line for line in text.splitlines() if line.startswith(">") and line.strip("> ")]
    assert len(body) <= max_lines
    again = render(view, name, T0 + 60_000, Limits(max_lines, max_chars), PEN)
    assert again == text, "the same state reads the same"


@settings(max_examples=100, deadline=None)
@given(HOSTILE, st.sampled_from(State), st.none() | st.integers(-5, 10**9), st.integers(20, 500))
def test_box_without_a_transcript_keeps_its_limits_too(name, state, elapsed_ms, max_chars):
    check(bare_box(name, state, elapsed_ms, Limits(15, max_chars), PEN), max_chars)


def check(text: str, max_chars: int) -> None:
    assert len(text) <= max_chars
    shown = render_markdown(text)
    assert not live_names(text, {}), text
    for mark in (
        "<a ",
        "<img",
        'class="mention"',
        "<h",
        "<strong>",
        "<em>",
        "<del>",
        "<table",
        "<ul",
        "<ol",
        "<pre",
    ):
        assert mark not in shown, (mark, text)
    assert 'class="emoji"' not in shown, text
    written = text.splitlines()
    assert re.match(rf"\[({'|'.join(State)})\]", text)
    for number, line in enumerate(written[1:-1], start=1):
        assert not line or line.startswith(">"), (number, text)
    levels = [len(re.match(r"(?:> ?)*", line)[0].replace(" ", "")) for line in written]
    assert levels_shown(shown) == [
        level for level, line in zip(levels, written, strict=True) if line.strip("> ")
    ], text


def levels_shown(shown: str) -> list[int]:
    """The depth of each line of text that a reader sees."""
    levels: list[int] = []
    depth = 0
    for part in re.split(r"(</?blockquote>|</?p>|<br>)", shown):
        if part == "<blockquote>":
            depth += 1
        elif part == "</blockquote>":
            depth -= 1
        elif part.strip() and not part.startswith(("<p", "</p", "<br")):
            levels.append(depth)
    return levels


TREE = st.lists(
    st.tuples(st.integers(0, 100), st.integers(-1, 30)),  # when, and below which earlier line
    max_size=40,
).map(
    lambda drawn: [
        Line(0, f"{n}", at_ms, parent=min(parent, n - 1) if parent >= 0 else -1)
        for n, (at_ms, parent) in enumerate(drawn)
    ]
)


@settings(deadline=None)
@given(TREE, st.integers(1, 25), st.integers(0, 5))
def test_newest_lines_keep_their_order_and_their_heads_and_all_are_accounted_for(tree, most, dropped):
    kept, cut = newest(tree, most, dropped)
    assert len(kept) + (1 if cut else 0) <= most
    assert len(kept) + cut == len(tree) + dropped
    numbers = [int(line.text) for line in kept]
    assert numbers == sorted(numbers)
    for line in kept:
        original = tree[int(line.text)]
        if original.parent >= 0:
            assert kept[line.parent].text == str(original.parent)
        else:
            assert line.parent == -1


@settings(deadline=None)
@given(TREE, st.integers(2, 25))
def test_making_a_box_shorter_in_two_steps_is_making_it_shorter_in_one(tree, most):
    once, cut_once = newest(tree, most - 1, 0)
    first, cut = newest(tree, most, 0)
    twice, cut_twice = newest(first, most - 1, cut)
    assert compose("", once, cut_once, "") == compose("", twice, cut_twice, "")
