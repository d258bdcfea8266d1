"""What open boxes, and `/health`, say of a gateway that stops or dies."""

import pytest
from builders import (
    KEY,
    Transcript,
    Watched,
    call,
    child_entry,
    child_key,
    entry,
    lines,
    ms,
    said,
    spawn,
)

from status_watcher.core.gateway import (
    DEATH_IS_NEWS_MS,
    GatewayNote,
    GatewayStop,
    GatewayWord,
    gateway_note,
    word_of,
)
from status_watcher.core.skew import Skew
from status_watcher.model import SessionKey

OTHER = "d1105dde-d69c-4e3a-9bfd-a511adafc95a"
OTHER_KEY = "agent:main:main"


def said_at(at_s: float, *, gone_s: float | None = None) -> GatewayStop:
    return GatewayStop(ms(at_s), None if gone_s is None else ms(gone_s))


def died_at(at_s: float) -> GatewayStop:
    return GatewayStop(ms(at_s), ms(at_s), told=False)


def heard(watched: Watched, at_s: float, stop: GatewayStop | None) -> None:
    watched.until(at_s)
    watched.board.hear_of_gateway(stop, ms(at_s))
    watched.at(at_s)


def running() -> tuple[Watched, Transcript]:
    watched, t = Watched(), Transcript()
    watched.at(0, t.header(), t.user(0), t.assistant(1, said("Working."), call("c1")))
    return watched, t


def first_line(watched: Watched) -> str:
    return watched.text.splitlines()[0]


def test_an_open_box_says_so_on_its_first_line_and_stays_open():
    watched, _ = running()
    heard(watched, 37, said_at(37))
    assert first_line(watched) == "[ACTIVE] main | 38s | gateway stopping"
    assert not watched.boxes[0].ended
    watched.until(200)
    assert first_line(watched).endswith("| gateway stopping"), "it drains for minutes"
    assert watched.states == ["ACTIVE"]


def test_the_runs_real_end_is_shown_as_ever():
    watched, t = running()
    heard(watched, 5, said_at(5))
    watched.at(60, t.ok(60, "c1"), t.final(61))
    assert watched.states == ["DONE"]
    assert "gateway" not in watched.text


def test_the_next_start_takes_the_note_away():
    watched, _ = running()
    heard(watched, 5, said_at(5))
    heard(watched, 29, said_at(5, gone_s=29))
    assert first_line(watched) == "[ACTIVE] main | 30s | gateway stopped"
    heard(watched, 39, None)
    assert first_line(watched) == "[ACTIVE] main | 40s"


def test_a_turn_that_began_later_is_another_gateways():
    watched, t = running()
    heard(watched, 5, said_at(5, gone_s=5))
    watched.at(8, t.ok(8, "c1"), t.final(8))
    watched.at(20, t.user(20), t.assistant(21, call("c2")))
    assert watched.states == ["DONE", "ACTIVE"]
    assert "gateway" not in watched.texts[1]


def test_a_box_that_has_ended_is_not_written_to():
    watched, t = running()
    watched.at(4, t.ok(4, "c1"), t.final(4))
    watched.board.hear_of_gateway(said_at(5), ms(5))
    assert watched.board.take_changes().touched == ()


def test_a_box_of_which_only_the_store_tells_says_so_too():
    watched = Watched(entries={KEY: entry(status="running", startedAt=ms(0))})
    watched.until(20)
    heard(watched, 20, said_at(20))
    assert first_line(watched).startswith("[ACTIVE] main | ")
    assert first_line(watched).endswith("| gateway stopping")


def test_our_own_stop_is_what_is_said_then():
    watched, _ = running()
    heard(watched, 5, said_at(5))
    watched.board.stop(ms(5))
    [(box_id, _)] = watched.board.take_changes().touched
    box = watched.board.render(box_id)
    assert box is not None
    assert box.text.splitlines()[0] == "[INTERRUPTED] main | 6s"


# A gateway that died without a word

PROBLEM = ("gateway: stopped",)


def problem(watched: Watched, at_s: float) -> tuple[str, ...]:
    watched.until(at_s)
    return watched.board.problems(ms(at_s))


def test_a_box_whose_gateway_was_killed_says_so_until_the_gateway_is_back():
    watched, t = running()
    heard(watched, 20, died_at(20))
    assert first_line(watched) == "[ACTIVE] main | 21s | gateway stopped"
    assert problem(watched, 20) == PROBLEM
    heard(watched, 39, None)
    assert first_line(watched) == "[ACTIVE] main | 40s"
    assert problem(watched, 40) == ()
    watched.at(50, t.ok(50, "c1"), t.final(51))
    assert watched.states == ["DONE"]


def test_what_was_written_before_the_end_and_read_after_it_is_no_sign_of_life():
    watched, t = running()
    heard(watched, 20, died_at(20))
    watched.at(22, t.ok(19.9, "c1"))
    assert first_line(watched).endswith("| gateway stopped")
    assert problem(watched, 22) == PROBLEM


def test_a_line_written_after_the_end_means_that_some_gateway_works():
    watched, t = running()
    heard(watched, 20, died_at(20))
    watched.at(25, t.ok(25, "c1"))
    assert "gateway" not in first_line(watched)
    assert problem(watched, 25) == ()


def test_a_line_of_a_sub_agent_means_it_too():
    key = child_key("kid")
    watched, t = Watched(entries={KEY: entry(), key: child_entry("kid")}), Transcript()
    kid = Transcript(session_id="kid", prefix="k")
    watched.at(0, t.header(), t.user(0), t.assistant(1, spawn("c1")))
    watched.at(2, t.spawned(2, "c1", key))
    watched.at(3, lines(kid.header(3), kid.user(3), session_id="kid"))
    heard(watched, 20, died_at(20))
    assert first_line(watched).endswith("| gateway stopped")
    watched.at(25, lines(kid.assistant(25, call("k1")), session_id="kid"))
    assert "gateway" not in first_line(watched)
    assert problem(watched, 25) == ()


def test_the_gateway_of_another_session_does_not_bring_a_dead_run_back():
    watched = Watched(entries={KEY: entry(), OTHER_KEY: entry(OTHER)})
    t, other = Transcript(), Transcript(session_id=OTHER, prefix="o")
    watched.at(0, t.header(), t.user(0), t.assistant(1, call("c1")))
    watched.at(1, lines(other.header(), other.user(1), session_id=OTHER))
    heard(watched, 20, died_at(20))
    assert problem(watched, 20) == PROBLEM
    watched.at(25, lines(other.final(25), session_id=OTHER))
    assert problem(watched, 25) == (), "some gateway works"
    assert watched.states == ["ACTIVE", "DONE"]
    assert "| gateway stopped\n" in watched.texts[0], "and not on this turn"


def test_a_turn_that_began_after_it_was_seen_last_is_another_gateways():
    """A note that was left for good, found by a daemon that has just started."""
    watched, _ = running()
    heard(watched, 5, GatewayStop(ms(-86_000), ms(5), told=False))
    assert "gateway" not in first_line(watched)
    assert problem(watched, 5) == ()


def test_a_death_without_an_open_box_is_a_problem_for_a_day():
    watched = Watched()
    heard(watched, 0, died_at(0))
    assert problem(watched, 1) == PROBLEM
    assert problem(watched, DEATH_IS_NEWS_MS / 1000 - 1) == PROBLEM
    assert problem(watched, DEATH_IS_NEWS_MS / 1000) == ()


def test_a_gateway_that_was_stopped_is_a_problem_only_while_a_box_hangs_on_it():
    watched, _ = running()
    heard(watched, 5, said_at(5))
    assert problem(watched, 5) == (), "it waits for its runs"
    heard(watched, 9, said_at(5, gone_s=9))
    assert problem(watched, 9) == PROBLEM
    watched.store_at(10, status="failed", abortedLastRun=True, startedAt=ms(0), endedAt=ms(10))
    watched.until(20)
    assert watched.states == ["INTERRUPTED"]
    assert problem(watched, 20) == ()


def test_times_of_a_clock_that_was_set_are_told_in_the_boards():
    skew = Skew(3_600_000, ms(100))
    stop = GatewayStop(ms(3700), ms(3705), told=False)
    assert stop.told_by(skew) == GatewayStop(ms(100), ms(105), told=False)
    assert GatewayStop(ms(50)).told_by(skew) == GatewayStop(ms(50))


@pytest.mark.parametrize(
    ("stop", "start_ms", "written_ms", "note"),
    [
        (None, 5, 6, ""),
        (GatewayStop(10), 5, 6, "gateway stopping"),
        (GatewayStop(10), 5, 11, "gateway stopping"),
        (GatewayStop(10), 11, 11, ""),
        (GatewayStop(10, 20), 5, 20, "gateway stopped"),
        (GatewayStop(10, 20), 5, 21, ""),
        (GatewayStop(10, 20), 11, 11, ""),
    ],
)
def test_what_a_box_says_by_when_its_turn_began_and_wrote_last(stop, start_ms, written_ms, note):
    assert gateway_note(stop, start_ms, written_ms) == note


COMPACTING = {SessionKey("agent:main:main"): 7}
WORDS = {
    "no note": ([], GatewayWord()),
    "running": ([GatewayNote(1, False, 5)], GatewayWord()),
    "compacting": (
        [GatewayNote(1, False, 5, compacting=COMPACTING)],
        GatewayWord(compacting=COMPACTING),
    ),
    "stopping": ([GatewayNote(1, True, 5)], GatewayWord(GatewayStop(1))),
    "compacting while it stops": (
        [GatewayNote(1, True, 5, compacting=COMPACTING)],
        GatewayWord(GatewayStop(1), COMPACTING),
    ),
    "stopped": (
        [GatewayNote(1, True, 5, 6, COMPACTING)],
        GatewayWord(GatewayStop(1, 6)),
    ),
    "killed": (
        [GatewayNote(1, False, 5, 6, COMPACTING)],
        GatewayWord(GatewayStop(5, 6, told=False)),
    ),
    "killed, and another runs that began later": (
        [GatewayNote(1, False, 5, 6), GatewayNote(2, False, 9)],
        GatewayWord(),
    ),
    "killed, and another was before": (
        [GatewayNote(1, True, 5, 6), GatewayNote(2, False, 9, 9)],
        GatewayWord(GatewayStop(9, 9, told=False)),
    ),
}


@pytest.mark.parametrize(("notes", "word"), WORDS.values(), ids=WORDS.keys())
def test_what_the_notes_come_to(notes, word):
    assert word_of(notes) == word
    assert word_of(notes[::-1]) == word
