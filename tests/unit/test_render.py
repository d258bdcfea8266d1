"""What a box looks like, to the letter, and what Mattermost's parser makes of it."""

import re

import pytest
from builders import KEY, Transcript, Watched, call, child_entry, child_key, entry, lines, ms, said, spawn
from simulate import labels

from status_watcher.core.box_lines import Line, compose, newest
from status_watcher.core.clip import ELLIPSIS
from status_watcher.core.pen import Pen
from status_watcher.core.redact import Redactor
from status_watcher.core.render import Limits, bare_box, render, span
from status_watcher.core.session import Session
from status_watcher.core.states import OPEN_STATES
from status_watcher.core.tree import Rules, Views
from status_watcher.model import AgentId, SessionId, State
from status_watcher.sandbox.markdown import render_markdown
from status_watcher.sandbox.mentions import live_names

PEN = Pen(Redactor())
PLANNER, READER = child_key("planner"), child_key("reader")

ACTIVE_BOX = """\
[ACTIVE] main | 38s
> Reading live-status source code...
> exec: `ls /agents/sessions` [OK]
> exec: `grep -r live-status` [OK] 2s
> Sub-agent: proj035-planner
> > Reading protocol...
> > Sub-agent: proj035-reader
> > > read: `protocol.md` [OK]
> > > [DONE] 9s
> >
> > exec: `make test` [ERR 2] 11s
> > [DONE] 28s
>
> Plan ready."""

DONE_BOX = f"""\
{ACTIVE_BOX.replace("[ACTIVE] main | 38s", "[DONE] main | 53s")}
> All approved and merged.

[DONE] 53s | 12.4k tokens"""


def three_levels() -> tuple[Watched, Transcript]:
    entries = {
        KEY: entry(),
        PLANNER: child_entry("planner", label="proj035-planner"),
        READER: child_entry("reader", parent=PLANNER, label="proj035-reader"),
    }
    watched = Watched(entries=entries)
    root, kid, leaf = Transcript(), Transcript("planner", prefix="p"), Transcript("reader", prefix="r")
    watched.at(
        3,
        root.header(),
        root.user(0),
        root.assistant(
            1, said("Reading live-status source code..."), call("a", command="ls /agents/sessions")
        ),
        root.ok(1.2, "a"),
        root.assistant(2, call("b", command="grep -r live-status"), tokens=12_000),
        root.ok(4, "b", 2000),
        root.assistant(5, spawn("s", "proj035-planner")),
        root.spawned(5, "s", PLANNER),
    )
    watched.at(
        6,
        lines(
            kid.header(6),
            kid.user(6, "[Subagent Context]"),
            kid.assistant(7, said("Reading protocol..."), spawn("t", "proj035-reader"), tokens=0),
            kid.spawned(7, "t", READER),
            session_id="planner",
        ),
    )
    watched.at(
        16,
        lines(
            leaf.header(7),
            leaf.user(7, "[Subagent Context]"),
            leaf.assistant(8, call("x", "read", path="protocol.md"), tokens=0),
            leaf.ok(9, "x"),
            leaf.final(16, "", tokens=0),
            session_id="reader",
        ),
    )
    watched.at(
        34,
        lines(
            kid.assistant(17, call("k", command="make test"), tokens=0, asked_s=16.5),
            kid.result(28, "k", status="completed", exitCode=2, durationMs=11_000),
            kid.final(34, "", tokens=0),
            session_id="planner",
        ),
    )
    watched.at(38, root.assistant(38, said("Plan ready."), stop="other", asked_s=35))
    return watched, root


def box(*some: bytes, max_lines: int = 15, max_chars: int = 15_000, now_s: float = 10) -> str:
    """The text of the only turn of a session, at `now_s`."""
    session = Session(AgentId("main"), SessionId("s"), labels())
    for line in some:
        session.fold_line(line, None)

    class Nobody:
        def entry(self, *_):
            return None

        def session_of(self, *_):
            return None

    view = Views(Nobody(), Rules()).of(session, session.turns[-1], ms(now_s), None)
    return render(view, "main", ms(now_s), Limits(max_lines, max_chars), PEN)


# To the letter


def test_running_box_reads_as_the_contract_draws_it():
    watched, _ = three_levels()
    assert watched.boxes[0].text == ACTIVE_BOX


def test_ended_box_reads_as_the_contract_draws_it():
    watched, root = three_levels()
    watched.at(53, root.final(53, "All approved and merged.", asked_s=52))
    assert watched.boxes[0].text == DONE_BOX


@pytest.mark.parametrize("text", [ACTIVE_BOX, DONE_BOX])
def test_each_line_stands_at_its_level(text):
    shown = render_markdown(text)
    for line in text.splitlines():
        marks, words = re.fullmatch(r"((?:> ?)*)(.*)", line).groups()
        plain = words.replace("`", "")
        if plain:
            before = re.sub(r"</?code>", "", shown).partition(plain)[0]
            assert before.count("<blockquote>") - before.count("</blockquote>") == marks.count(">"), line


def test_tags_are_fixed_text():
    shown = render_markdown(DONE_BOX)
    for tag in ("[DONE] main | 53s", "[OK] 2s", "[ERR 2] 11s", "[DONE] 28s", "[DONE] 53s | 12.4k tokens"):
        assert tag in shown
    assert "<a " not in shown


@pytest.mark.parametrize("state", list(State))
def test_state_is_capitals_alone_in_the_brackets(state):
    made = bare_box("main", state, 38_000, Limits(15, 15_000), PEN).splitlines()
    ended = [] if state in OPEN_STATES else ["", f"[{state.name}] 38s"]
    assert made == [f"[{state.name}] main | 38s", *ended]


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "0s"),
        (-5, "0s"),
        (999, "0s"),
        (38_900, "38s"),
        (60_000, "1m 00s"),
        (303_000, "5m 03s"),
        (3_600_000, "1h 00m"),
        (4_320_000, "1h 12m"),
    ],
)
def test_durations_read_as_people_say_them(ms, text):
    assert span(ms) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, ""),
        (999, " | 999 tokens"),
        (12_400, " | 12.4k tokens"),
        (999_949, " | 999.9k tokens"),
        (999_950, " | 1.0M tokens"),
        (999_999, " | 1.0M tokens"),
        (2_500_000, " | 2.5M tokens"),
    ],
)
def test_tokens_stand_at_the_end_if_there_are_any(count, text):
    t = Transcript()
    assert box(t.header(), t.user(0), t.final(3, tokens=count)).splitlines()[-1] == f"[DONE] 3s{text}"


def test_running_call_shows_how_long_it_has_been():
    t = Transcript()
    made = box(t.header(), t.user(0), t.assistant(1, call(command="sleep 100")), now_s=42)
    assert made.splitlines()[-1] == "> exec: `sleep 100` running 41s"


def test_what_was_said_is_clipped_to_its_first_sentence():
    t = Transcript()
    made = box(t.header(), t.user(0), t.assistant(1, said("Reading it. Then I will\nwrite a lot."), call()))
    assert "> Reading it.\n" in made
    assert "write a lot" not in made


def test_session_that_was_cut_at_its_head_says_so():
    watched, t = Watched(), Transcript()
    cut = lines(t.user(0), t.assistant(1, call()))
    watched.at(1, type(cut)(cut.agent, cut.session_id, cut.lines, cut.reading, head_skipped=True))
    assert "(a very long session: shown from its later part)" in watched.text


# The limits


def long_turn(calls: int) -> list[bytes]:
    t = Transcript()
    made = [t.header(), t.user(0)]
    for n in range(calls):
        made += [t.assistant(1 + n, call(f"c{n}", command=f"step {n}")), t.ok(1.1 + n, f"c{n}")]
    return made


@pytest.mark.parametrize("calls", [3, 14, 15, 16, 40, 450, 1000])
def test_oldest_lines_are_dropped_and_counted(calls):
    made = box(*long_turn(calls), now_s=calls + 2).splitlines()
    assert len(made) == min(calls, 15) + 1
    assert made[-1] == f"> exec: `step {calls - 1}` [OK]"
    if calls > 15:
        assert made[1] == f"> ({calls - 14} earlier lines)"
        assert made[2] == f"> exec: `step {calls - 14}` [OK]"


def test_call_that_still_runs_is_not_dropped_for_newer_ones():
    t = Transcript()
    made = [t.header(), t.user(0), t.assistant(1, call("slow", command="slow one"))]
    for n in range(600):
        made += [t.assistant(2 + n, call(f"c{n}")), t.ok(2.1 + n, f"c{n}")]
    text = box(*made, now_s=700)
    assert "> exec: `slow one` running 11m 39s" in text
    assert "(587 earlier lines)" in text


def test_one_line_of_one_allowed_is_the_count():
    assert box(*long_turn(3), max_lines=1).splitlines()[1:] == ["> (3 earlier lines)"]


def test_nested_lines_keep_the_lines_they_are_nested_under():
    tree = [Line(0, "a", 1), Line(0, "child", 2), *(Line(1, f"c{n}", 3 + n, parent=1) for n in range(5))]
    kept, dropped = newest(tree, 4, 0)
    assert [line.text for line in kept] == ["child", "c3", "c4"]
    assert [line.parent for line in kept] == [-1, 0, 0]
    assert dropped == 4


def test_child_that_is_over_is_dropped_before_the_newer_lines_of_its_parent():
    tree = [Line(0, "child", 1), Line(1, "c", 2, parent=0), *(Line(0, f"p{n}", 10 + n) for n in range(4))]
    kept, dropped = newest(tree, 4, 0)
    assert [line.text for line in kept] == ["p1", "p2", "p3"]
    assert dropped == 3


@pytest.mark.parametrize("max_chars", [15_000, 700, 300, 120, 60, 40, 20, 8])
def test_box_is_never_longer_than_the_server_takes(max_chars):
    t = Transcript()
    texts = ["👩‍👩‍👧 " * 40, "*" * 200, "[x](http://y)" * 10, "`" * 50, "e\u0301" * 100]
    made = [t.header(), t.user(0)]
    for n, text in enumerate(texts):
        made += [t.assistant(1 + n, said(text), call(f"c{n}", command=text)), t.ok(2 + n, f"c{n}")]
    text = box(*made, t.final(9), max_chars=max_chars)
    assert len(text) <= max_chars
    assert text.startswith("[DONE]")


def test_shorter_box_is_made_of_whole_lines():
    whole = box(*long_turn(15))
    for max_chars in range(40, len(whole)):
        text = box(*long_turn(15), max_chars=max_chars)
        lines_left = text.splitlines()
        assert set(lines_left[2:]) <= set(whole.splitlines()), "each line is one of the whole box"
        assert lines_left[0] == whole.splitlines()[0]


def test_box_gives_up_its_last_line_and_then_its_first_before_its_state():
    made = [*long_turn(15), Transcript(prefix="z").final(20)]
    assert box(*made, max_chars=45).splitlines() == ["[DONE] main | 20s", "", "[DONE] 20s | 1.6k tokens"]
    assert box(*made, max_chars=30) == "[DONE] main | 20s"
    assert box(*made, max_chars=10) == "[DONE]"


def test_clipped_argument_ends_its_code_span():
    t = Transcript()
    made = box(t.header(), t.user(0), t.assistant(1, call(command="x" * 500 + " ``` @all")))
    assert made.splitlines()[-1].endswith(f"{ELLIPSIS}` running 9s")


# Nothing in it does anything


HOSTILE = [
    "@all @channel @here",
    "`@all`",
    "``` @channel",
    "[OK](http://evil.example)",
    "![x](http://evil.example/x.png)",
    "http://evil.example www.evil.example",
    "# heading",
    "> quote",
    "| a | b |\n|---|---|",
    "---",
    "~~~\n@all",
    "#hashtag ~town-square :smile: :+1:",
    "<b>bold</b> <http://evil.example>",
    "**[DONE]** all is fine",
    "&#64;all \u202e@all \u200b@\u200ball",
    "$x$ @all",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_T18_hostile_text_neither_mentions_nor_links_nor_breaks_out(text):
    t = Transcript()
    made = box(
        t.header(),
        t.user(0),
        t.assistant(1, said(text), call("a", text, command=text), call("b", command=text)),
        t.result(2, "a", error=True),
        t.final(3, text),
    )
    shown = render_markdown(made)
    assert not live_names(made, {})
    for mark in ("<a ", "<img", 'class="mention"', "<h", "<strong>", "<table", "<ul", "<ol", 'class="emoji"'):
        assert mark not in shown, mark
    assert shown.count("<blockquote>") == shown.count("</blockquote>") == 1
    last = made.splitlines()[-1]
    assert shown.rstrip().endswith(f"<p>{last}</p>")


@pytest.mark.parametrize("text", HOSTILE)
def test_T18_hostile_names_do_nothing_either(text):
    watched, t = (
        Watched(entries={KEY: entry(label=text), PLANNER: child_entry("p", label=text)}),
        Transcript(),
    )
    watched.at(0, t.header(), t.user(0), t.assistant(1, spawn("s", text)), t.spawned(1, "s", PLANNER))
    made = watched.boxes[0].text
    shown = render_markdown(made)
    assert not live_names(made, {})
    for mark in ("<a ", "<img", 'class="mention"', "<h", "<strong>", "<table", 'class="emoji"'):
        assert mark not in shown, mark


def test_T18_signal_that_ended_a_command_is_no_way_around():
    t = Transcript()
    ended = t.result(2, "c1", error=True, exitSignal="](http://x.y) @all")
    made = box(t.header(), t.user(0), t.assistant(1, call()), ended)
    assert not live_names(made, {})
    assert "<a " not in render_markdown(made)


@pytest.mark.parametrize(
    ("fields", "tag"),
    [
        ({"exitSignal": "SIGKILL"}, "[ERR SIGKILL]"),
        ({"exitSignal": "SIGSTKFLT"}, "[ERR SIGSTKFLT]"),
        ({"exitSignal": "SIGRTMIN+15"}, "[ERR SIGRTMIN+15]"),
        ({"exitSignal": "SIGs3cr3tpw"}, "[ERR]"),
        ({"exitSignal": "SIGHUNTER22"}, "[ERR]"),
        ({"exitCode": -1073741819}, "[ERR -1073741819]"),
        ({"exitCode": 4294967295}, "[ERR 4294967295]"),
        ({"exitCode": 483920117366}, "[ERR]"),
        ({"timedOut": True}, "[ERR timeout]"),
    ],
)
def test_brackets_hold_an_exit_code_or_a_signal_and_nothing_else(fields, tag):
    t = Transcript()
    ended = t.result(2, "c1", error=True, status="failed", **fields)
    made = box(t.header(), t.user(0), t.assistant(1, call(command="make")), ended)
    assert f"`make` {tag} " in made


def test_T18_tool_name_of_100_kB_is_clipped():
    t = Transcript()
    made = box(t.header(), t.user(0), t.assistant(1, call("a", "do it " * 17_000)))
    assert len(made) < 400
    assert "> do it do it" in made


def test_separator_lines_stand_where_a_level_ends():
    body = [Line(0, "a", 0), Line(1, "b", 0), Line(2, "c", 0), Line(0, "d", 0)]
    assert compose("first", body, 0, "last").splitlines() == [
        "first",
        "> a",
        "> > b",
        "> > > c",
        ">",
        "> d",
        "",
        "last",
    ]
