"""Nothing in a box acts: checked by a model of Mattermost's parsers that does not know how boxes are made."""

import pytest
from boxed import PLACES, box_of, flat_box
from chat_model import acts, code_spans, depths
from hypothesis import given, settings
from hypothesis import strategies as st

ROWS = [
    # The table of what is a mention, row by row. Fences and indented code are found, whatever is in them.
    ("`@all`", set()),
    ("`` `a`b @all` ``", set()),
    ("`` a`b @all ``", set()),
    ("`a`b @all`", {"mention", "code"}),
    ("```\n@all\n```", {"fence"}),
    ("~~~\n@all\n~~~", {"fence"}),
    ("    @all", {"code block"}),
    ("```\n@all", {"fence"}),
    ("`a\n\nb @all`", {"mention", "code"}),
    ("\\@all", {"mention"}),
    ("&#64;all", {"mention"}),
    ("@\u200ball", set()),
    ("@\u2060all", set()),
    ("＠all", set()),
    ("> hello @all", {"mention"}),
    ("| a | @all |\n| --- | --- |", {"mention", "table"}),
    ("[text @all](http://x.y)", {"mention", "markdown link", "link"}),
    # Everything else that the notes name.
    ("a\n---", {"underline", "rule", "table"}),
    ("a\n===", {"underline"}),
    ("# head", {"heading"}),
    ("#tag", {"hashtag"}),
    ("#\u200btag", set()),
    ("\\#tag", {"hashtag"}),
    ("see #123", set()),
    (":smile: at 10:30:45", {"emoji"}),
    ("at 10:30:45", set()),
    (":100:", {"emoji"}),
    ("yes :) and <3", {"emoticon"}),
    ("~town", {"channel"}),
    ("me@all.com", {"mention"}),
    ("*.py and **/x*", {"bold or italic"}),
    ("2 * 3 * 4", set()),
    ("snake_case_name", set()),
    ("_x_", {"italic"}),
    ("~~gone~~", {"strike"}),
    ("http://x.y/z", {"link"}),
    ("`http://x.y/z`", set()),
    ("www.example.com", {"link"}),
    ("example.com/x", {"link"}),
    ("<http://x>", {"link", "autolink"}),
    ("[OK](x)", {"markdown link"}),
    ("![i](x)", {"markdown link"}),
    ("[OK] a\n`b](x)`", {"markdown link"}),
    ("[OK] a\n\\](x)", {"markdown link"}),
    ("[OK] `[a b](x)`", set()),
    ("[x]: http://y", {"definition", "link"}),
    ("- a", {"list"}),
    ("1. a", {"list"}),
    ("$x$", {"formula"}),
    ("/kick bob", {"command"}),
    ("a\u202eb", {"control"}),
    ("a\x1b[31mb", {"control"}),
    ("<b>bold</b>", set()),  # the client escapes it
]


@pytest.mark.parametrize(("text", "kinds"), ROWS)
def test_model_sees_what_the_notes_say(text, kinds):
    found = {act.kind for act in acts(text)}
    assert found >= kinds
    assert found == kinds or kinds, "it sees too much"


def test_model_keeps_lines_together_until_an_empty_one():
    assert depths("a\n> b\nc\n\nd") == [0, 1, 1, 0]
    assert code_spans("> `a\n> b` c\n> > `d`") == ["a\nb", "d"]


# What people and programs write when they mean harm, or nothing at all.
PARTS = [
    *("@all", "@channel", "@here", "@bob.b", "@", "#tag", "#ümlaut", "# ", "## x", "~town-square", "~", "~~"),
    *(
        ":smile:",
        ":+1:",
        ":100:",
        ":e-mail:",
        ":",
        "::",
        ":)",
        ":-(",
        ";)",
        ":'(",
        "<3",
        "</3",
        "x-D",
        ":|",
        ":/",
    ),
    *("http://x.y/z", "https://", "HTTP://X.Y", "ftp://a", "www.x.com", "WWW.x.y", "x.com/", "mailto:a@b.c"),
    *("mattermost://x", "javascript:alert(1)", "<http://x>", "<a@b.c>", "a.b/c", "me@all.com"),
    *(
        "[",
        "]",
        "(",
        ")",
        "](x)",
        "](",
        "[a](b)",
        "![a](b)",
        "[a][b]",
        "[a]: b",
        "[OK]",
        "[DONE] 3s",
        "[ACTIVE]",
    ),
    *("`", "``", "```", "````", "~~~", "`a`", "```sh\n", "\n```\n", "` @all `", "*", "**", "***", "_", "__"),
    *("*a*", "_a_", "__init__", "2 * 3", "$", "$x$", "$$", "\\", "\\\\", "\\@all", "\\[", "\\`", "\\\n"),
    *(
        "&#64;all",
        "&commat;all",
        "&lt;",
        "&",
        "&#x23;tag",
        "&colon;smile&colon;",
        "<b>",
        "<img src=x>",
        "<!--",
    ),
    *(
        "- ",
        "+ ",
        "1. ",
        "1) ",
        "> ",
        ">",
        ">>",
        "|",
        "| --- |",
        "|---|",
        ":--|--:",
        "---",
        "===",
        "* * *",
        "- - -",
    ),
    *(
        "/kick bob",
        "/",
        "\n",
        "\n\n",
        "\r\n",
        "\t",
        "    ",
        "\u00a0\u00a0\u00a0\u00a0",
        " ",
        "  ",
        "\u2424",
        "\u2028",
    ),
    *("\x00", "\x07", "\x1b[31m", "\x1b]8;;http://x\x07", "\x1b", "\x85", "\u009b31m"),
    *(
        "\u200b",
        "\u200d",
        "\u2060",
        "\ufeff",
        "\u202e",
        "\u2066",
        "\u2069",
        "\u00ad",
        "\ufe0f",
        "\u034f",
        "\U000e0041",
    ),
    *(
        "a",
        "é",
        "日本",
        "👩‍👩‍👧",
        "🎉",
        "🇩🇪",
        "1️⃣",
        "e\u0301",
        "x" * 40,
        "＠all",
        "＃tag",
        "10:30:45",
        "1",
        ".",
    ),
]
HOSTILE = (
    st.lists(st.sampled_from(PARTS) | st.text(max_size=3), max_size=14)
    .map("".join)
    .map(lambda text: text.encode("utf-8", "ignore").decode())  # what a line of JSON can hold
)
STEPS = st.lists(st.tuples(st.sampled_from(["say", "run", "fail", "use"]), HOSTILE), min_size=1, max_size=6)


@settings(max_examples=400, deadline=None)
@given(STEPS, HOSTILE)
def test_nothing_acts_in_a_box_of_hostile_lines(steps, error):
    box = flat_box(steps, error)
    assert acts(box) == [], box
    *_, last = box.splitlines()
    body = depths(box)[1:-1] if last.startswith("[") else depths(box)[1:]
    assert set(body) <= {1}, box


@settings(max_examples=300, deadline=None)
@given(HOSTILE, st.sampled_from(PLACES))
def test_nothing_acts_wherever_the_hostile_text_stands(text, place):
    box = box_of(place, text)
    assert acts(box) == [], box


@settings(max_examples=200, deadline=None)
@given(HOSTILE)
def test_command_is_one_code_span_that_shows_it(command):
    """Whatever stands in a command: its code neither ends early nor swallows what follows."""
    box = flat_box([("run", command), ("run", "make test")])
    shown = code_spans(box)
    assert shown[-1:] == ["make test"], box
    assert len(shown) == box.count("exec: `"), box


def test_storm_of_emoji_is_text():
    box = flat_box([("say", ":smile:" * 2_000), ("use", ":+1:" * 500), ("run", ":tada:" * 2_000)])
    assert acts(box) == []
    assert len(box) < 1_000
