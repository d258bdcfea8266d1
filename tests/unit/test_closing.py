"""What becomes of a post's text whose turn nobody finds again: all of it stays, but for its state."""

import pytest

from status_watcher.core.closing import closed
from status_watcher.model import Closing, State

WHOLE = Closing(State.INTERRUPTED, 15_000, one_line=False)
COMPACT = Closing(State.INTERRUPTED, 15_000, one_line=True)
BOX = """[ACTIVE] main | 5m 03s
> Plan first.
> Sub-agent: one
> > exec: `make` [OK]
>
> exec: `ls` running 3s"""


def test_lines_and_elapsed_time_stay_and_the_outcome_is_added():
    ended = BOX.replace("[ACTIVE]", "[INTERRUPTED]") + "\n\n[INTERRUPTED] 5m 03s"
    assert closed(BOX, WHOLE) == ended
    assert closed(ended, WHOLE) == ended


@pytest.mark.parametrize(
    ("first", "ended"),
    [
        ("[ACTIVE] main | 3s | thinking 2s", "[INTERRUPTED] main | 3s"),
        ("[WAITING] main | 1h 02m | for approval 12m 00s | try 2", "[INTERRUPTED] main | 1h 02m"),
        ("[STALLED] main | 20m 00s | exec running 19m 59s", "[INTERRUPTED] main | 20m 00s"),
        ("[RETRYING] main | 3s | try 1 failed | gateway stopping", "[INTERRUPTED] main | 3s"),
        ("[ACTIVE] a | b | 5s | c | 3s", "[INTERRUPTED] a | b | 5s | c | 3s"),
        ("[ACTIVE] a | 5s | 3s | thinking", "[INTERRUPTED] a | 5s | 3s"),
        ("[ACTIVE] main | 3s | [x#7](https://x.y/7)", "[INTERRUPTED] main | 3s | [x#7](https://x.y/7)"),
        ("[WAITING] main | 3s | for 1 sub-agent | [x#7](https://x.y/7)", "[INTERRUPTED] main | 3s | [x#7](https://x.y/7)"),
        ("[ACTIVE] main", "[INTERRUPTED] main"),
        ("[ACTIVE] main | gateway gone", "[INTERRUPTED] main"),
        ("[ACTIVE]", "[INTERRUPTED]"),
    ],
)  # fmt: skip
def test_what_stands_after_the_elapsed_time_goes_but_for_a_link(first, ended):
    assert closed(first, COMPACT) == ended
    assert closed(first, WHOLE).startswith(f"{ended}\n\n[INTERRUPTED]")


@pytest.mark.parametrize("state", [State.DONE, State.ERROR, State.ABORTED, State.TIMEOUT, State.INTERRUPTED])
def test_a_text_that_says_how_its_turn_ended_is_true_and_stays(state):
    said = f"[{state}] main | 3s\n> exec: `ls` [OK]\n\n[{state}] 3s | 12.4k tokens"
    assert closed(said, WHOLE) == said


@pytest.mark.parametrize("said", ["", "hello", "[active] x", "[ACTIVE](x)", "see [ACTIVE]", "[OTHER] x | 3s"])
def test_a_text_that_is_not_a_box_is_left_alone(said):
    assert closed(said, WHOLE) == said


def test_a_box_that_becomes_too_long_loses_its_oldest_lines_and_says_how_many():
    text = closed(BOX, Closing(State.INTERRUPTED, len(BOX) + 10, one_line=False))
    assert text == (
        "[INTERRUPTED] main | 5m 03s\n> (3 earlier lines)\n> exec: `ls` running 3s\n\n[INTERRUPTED] 5m 03s"
    )
    again = text.replace("[INTERRUPTED]", "[ACTIVE]").partition("\n\n")[0]
    closing = Closing(State.INTERRUPTED, len(text) - 1, one_line=False)
    assert "> (4 earlier lines)\n\n[INTERRUPTED]" in closed(again, closing), "those cut before are counted"
