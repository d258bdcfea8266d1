"""What is written into a box: seen, redacted, cut and made plain, in this order."""

import pytest

from status_watcher.core.pen import ARGUMENT_CHARS, Pen
from status_watcher.core.redact import REDACTED, Redactor, without_cut_word
from status_watcher.core.transcript import LONGEST_TEXT_CHARS

PEN = Pen(Redactor())
TOKEN = "gh" + "p_" + "Q7" * 18


@pytest.mark.parametrize(
    "hidden",
    ["\u200b", "\u2060", "\u00ad", "\x1b[31m", "\x1b[0m", "\x00", "\u202e", "\ufe0f", "\u034f", "\U000e0041"],
)
def test_what_nobody_sees_hides_no_secret(hidden):
    broken = TOKEN[:2] + hidden + TOKEN[2:20] + hidden + TOKEN[20:]
    assert PEN.argument(f"echo {broken} x") == f"`echo {REDACTED} x`"


def test_decoration_hides_no_secret():
    assert PEN.sentence(f"Using **{TOKEN[:9]}**{TOKEN[9:]} now") == f"Using {REDACTED} now"


def test_secret_is_gone_before_the_text_is_cut():
    argument = "x" * (ARGUMENT_CHARS - 8) + " " + TOKEN
    assert "Q7" not in PEN.argument(argument)
    assert PEN.argument(argument).endswith("(redac…`")


def test_text_that_was_cut_when_it_was_read_loses_the_word_at_its_end():
    text = ("\n" * (LONGEST_TEXT_CHARS - 12) + "Using " + TOKEN)[:LONGEST_TEXT_CHARS]
    assert text.endswith(TOKEN[:6])
    assert PEN.sentence(text) == "Using"


def test_one_word_that_was_cut_is_not_shown_at_all():
    assert without_cut_word("a" * 20) == REDACTED


def test_colon_behind_a_name_makes_no_emoji_of_its_end():
    assert f"{PEN.name('run :smile')}:" == "run :\u200bsmile:"


@pytest.mark.parametrize("name", ["#", "######", "-", "+", "1.", "2)"])
def test_name_with_a_blank_behind_it_begins_no_block(name):
    assert PEN.name(name) == f"\u200b{name}"


def test_name_of_nothing_to_see_is_unnamed():
    assert PEN.name("\u200b \n") == "unnamed"
