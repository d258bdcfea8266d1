"""What a box says while the gateway's hook tells of a compaction, and after one."""

import pytest
from builders import KEY, Transcript, Watched, call, entry, ms, said, status

from status_watcher.core.doing import COMPACTION_MOST_MS
from status_watcher.core.elsewhere import MOST_COMPACTED, Elsewhere
from status_watcher.core.skew import NONE, Skew
from status_watcher.model import SessionKey

OVERFLOW = "400 This model's maximum context length is 200000 tokens."
MINE = SessionKey(KEY)


def hear(watched: Watched, at_s: float, begun_s: float | None = None, key: SessionKey = MINE) -> None:
    """The hook's word: since when the session is being compacted, or that it is not."""
    watched.until(at_s)
    watched.board.hear_of_compactions({} if begun_s is None else {key: ms(begun_s)}, ms(at_s))
    watched.at(at_s)


def first(watched: Watched) -> str:
    return watched.text.splitlines()[0]


def thinking(**more) -> tuple[Watched, Transcript]:
    """A command has ended at 2 s; the store says that it runs."""
    watched, t = Watched(entries={KEY: entry(**status("running", started_s=0))}, **more), Transcript()
    watched.at(0, t.header(), t.user(0), t.assistant(1, call("c1")))
    watched.at(2, t.ok(2, "c1"))
    return watched, t


def failed(**more) -> tuple[Watched, Transcript]:
    """The prompt has become too long at 3 s."""
    watched, t = thinking(**more)
    watched.at(3, t.failed(3, OVERFLOW))
    assert watched.states == ["RETRYING"]
    return watched, t


def test_a_box_says_for_how_long_its_session_is_being_compacted():
    watched, t = thinking()
    watched.until(9)
    assert "| thinking" in first(watched)
    hear(watched, 9, 9)
    assert first(watched) == "[ACTIVE] main | 9s | compacting"
    watched.until(31)
    assert "| compacting 15s" in first(watched)
    watched.at(40, t.final(40))
    assert watched.states == ["DONE"]
    assert "compacting" not in watched.text


def test_its_end_is_that_of_the_words():
    watched, _ = thinking()
    hear(watched, 9, 9)
    hear(watched, 12)
    assert "| thinking" in first(watched)
    assert "compacting" not in first(watched)


def test_what_came_before_the_newest_line_is_over_whether_an_end_was_told_or_not():
    watched, t = thinking()
    hear(watched, 9, 9)
    watched.at(20, t.assistant(20, said("Where was I?"), call("c2")))
    watched.at(22, t.ok(22, "c2"))
    watched.until(30)
    assert "| thinking" in first(watched)
    hear(watched, 31, 21.9)
    assert "compacting" not in first(watched)


def test_a_call_that_runs_is_what_is_shown():
    watched, t = Watched(), Transcript()
    watched.at(0, t.header(), t.user(0), t.assistant(1, call("c1")))
    hear(watched, 5, 5)
    assert "compacting" not in watched.text


def test_the_compaction_of_another_session_is_not_this_ones():
    watched, _ = thinking()
    hear(watched, 9, 9, key=SessionKey("agent:main:main"))
    assert "compacting" not in watched.text


def test_one_that_takes_too_long_is_a_stall_and_one_without_an_end_is_forgotten():
    watched, _ = thinking(rules={"max_duration_ms": 0})
    hear(watched, 10, 10)
    watched.until(309)
    assert watched.states == ["ACTIVE"]
    watched.until(320)
    assert watched.states == ["STALLED"]
    assert "| compacting 5m" in first(watched)
    watched.until(10 + COMPACTION_MOST_MS / 1000 + 30)
    assert "| thinking 10m" in first(watched)


def test_an_error_that_a_compaction_is_to_remedy_is_none_yet():
    """2026.9.6: error line, compaction, and the answer of a further try."""
    watched, t = failed()
    hear(watched, 4, 4)
    assert first(watched) == "[ACTIVE] main | 4s | compacting"
    watched.until(60)
    watched.at(60, t.entry(60, "compaction"))
    hear(watched, 60.5)
    watched.until(70)
    watched.at(71, t.final(71))
    assert set(watched.history) == {"ACTIVE", "RETRYING", "DONE"}
    assert "[session compacted - continuing]" in watched.text


def test_without_a_further_try_the_error_is_the_outcome_12_s_after_the_compaction():
    watched, _ = failed()
    hear(watched, 4, 4)
    hear(watched, 60)
    watched.until(71)
    assert watched.states == ["RETRYING"]
    watched.until(73)
    assert watched.states == ["ERROR"]


def test_where_the_store_says_that_the_run_is_over_a_compaction_of_which_no_end_was_told_is_over_too():
    """2026.9.6: there was nothing to compact, of which no event tells."""
    watched, _ = failed()
    hear(watched, 3.1, 3.1)
    watched.store_at(3.5, **status("failed", started_s=0, ended_s=3.5))
    watched.until(14)
    assert watched.states == ["RETRYING"]
    watched.until(16)
    assert watched.states == ["ERROR"]


def test_a_compaction_after_an_error_is_shown_where_the_run_goes_on():
    """2026.7.1 tells of none while it lasts."""
    watched, t = failed()
    watched.at(8, t.entry(8, "compaction"), t.final(9))
    assert watched.states == ["DONE"]
    assert "[session compacted - continuing]" in watched.text


def test_a_compaction_after_a_turn_that_failed_is_not_that_turns():
    watched, t = failed()
    watched.until(20)
    assert watched.states == ["ERROR"]
    watched.at(60, t.entry(60, "compaction"))
    watched.at(90, t.user(90, "Another thing"), t.assistant(91, call("c2")))
    assert watched.states == ["ERROR", "ACTIVE"]
    assert "compacted" not in watched.texts[0]


@pytest.mark.parametrize("ahead_ms", [0, 3_600_000])
def test_times_of_the_hook_are_told_in_the_boards(ahead_ms):
    elsewhere, skew = Elsewhere(), Skew(ahead_ms, 1000) if ahead_ms else NONE
    assert elsewhere.hear_of_compactions({MINE: 5000 + ahead_ms}, 5000, skew) == {MINE}
    assert elsewhere.hear_of_compactions({MINE: 5000 + ahead_ms}, 5000, skew) == set()
    assert elsewhere.revision(MINE) == 1
    assert elsewhere._compacting == {MINE: 5000}


def test_ends_of_compactions_are_remembered_of_so_many_sessions():
    elsewhere = Elsewhere()
    for number in range(MOST_COMPACTED + 5):
        elsewhere.hear_of_compactions({SessionKey(f"k{number}"): number}, number, NONE)
    assert len(elsewhere._compacted) == MOST_COMPACTED
    assert SessionKey("k0") not in elsewhere._compacted
