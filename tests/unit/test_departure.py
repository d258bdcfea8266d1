"""Sessions that are reset, deleted or replaced while a turn is at work: that it ends, and when it did."""

from dataclasses import replace

import pytest
from builders import (
    KEY,
    MAIN,
    SESSION,
    Transcript,
    Watched,
    call,
    entry,
    gone,
    lines,
    ms,
    said,
    spawn,
    status,
    store,
)
from simulate import labels

from status_watcher.core.forest import Forest
from status_watcher.core.tree import Rules
from status_watcher.model import SessionId
from status_watcher.source import Reading

DAY_S = 86_400


def at_work(**settings) -> tuple[Watched, Transcript]:
    """A command runs since second 1."""
    watched, t = Watched(**settings), Transcript()
    watched.at(0, t.header(), t.user(0), t.assistant(1, call()))
    return watched, t


def successor(watched: Watched, at_s: float) -> None:
    """The store gives the key to another session, which has a file of its own."""
    watched.until(at_s)
    watched.entries[KEY] = entry("new")
    t = Transcript("new", prefix="n")
    begun = (t.header(at_s), t.user(at_s), t.assistant(at_s, call("n1", command="the next")))
    watched.at(at_s, watched.look(), lines(*begun, session_id="new"))


# When


@pytest.mark.parametrize("limit_ms", [1_800_000, 0])
def test_interrupted_turn_keeps_the_time_that_its_command_ran_until_the_reset(limit_ms):
    watched, _ = at_work(rules={"max_duration_ms": limit_ms})
    watched.until(1200)
    watched.at(1200, replace(gone("reset"), at_ms=ms(1198)))
    successor(watched, 1200)
    assert watched.texts[0].startswith("[INTERRUPTED] main | 19m 58s\n")


def test_without_a_time_in_the_name_it_ended_when_it_was_seen_to_go():
    watched, _ = at_work()
    watched.at(17, gone("missing"))
    successor(watched, 18)
    assert watched.texts[0].startswith("[INTERRUPTED] main | 17s\n")


def test_time_in_the_name_that_is_before_the_last_line_is_none():
    watched, t = at_work()
    watched.at(10, t.ok(10, "c1"), t.assistant(11, call("c2")))
    watched.at(17, replace(gone("reset"), at_ms=ms(3)))
    successor(watched, 18)
    assert watched.texts[0].startswith("[INTERRUPTED] main | 17s\n")


@pytest.mark.parametrize(("at_s", "over_s"), [(600, 600), (None, 1), (DAY_S, 1801)])
def test_transcript_that_went_while_nobody_watched_ended_by_its_name_or_with_its_last_line(at_s, over_s):
    forest, ref, t = Forest(Rules(), labels()), (MAIN, SessionId(SESSION)), Transcript()
    begun = lines(t.header(), t.user(1), t.assistant(1, call()), reading=Reading.FIRST)
    put_away = replace(gone("reset"), at_ms=ms(at_s) if at_s is not None else 0)
    for news in (store({KEY: entry("new")}), begun, put_away):
        forest.take(news, ms(DAY_S), known_turns={})
    forest.take(store({KEY: entry("new")}), ms(DAY_S + 5), known_turns={})
    forest.close_by_store(ref, ms(DAY_S + 5))
    session = forest.session(ref)
    assert session is not None
    assert session.turns[0].run.ending_ms == ms(over_s)


def test_new_prompt_of_the_next_day_does_not_make_a_day_of_work():
    watched, t = at_work(rules={"max_duration_ms": 1_800_000, "idle_timeout_ms": 60_000})
    watched.at(DAY_S, t.user(DAY_S, "Good morning"))
    watched.at(DAY_S + 2, t.assistant(DAY_S + 2, call("c2")))
    assert watched.states == ["INTERRUPTED", "ACTIVE"]
    assert watched.texts[0].startswith("[INTERRUPTED] main | 30m 00s\n"), "as its box had said all night"


def test_turn_closed_for_its_age_stays_so_when_the_next_one_begins():
    watched, t = Watched(rules={"max_duration_ms": 1_800_000, "idle_timeout_ms": 60_000}), Transcript()
    watched.at(0, t.header(), t.user(0))
    watched.at(1, t.assistant(1, call()))
    watched.at(2, t.ok(2, "c1"))
    watched.until(3000)
    before = watched.text
    watched.at(4000, t.user(4000, "Next"), t.assistant(4001, call("c2")))
    assert before.startswith("[TIMEOUT] main | 30m 00s\n")
    assert watched.texts[0] == before


def test_entry_that_vanished_before_any_line_ended_when_the_store_lacked_it():
    watched = Watched(entries={KEY: entry(**status("running", started_s=0))})
    watched.at(0, watched.look())
    watched.until(47)
    assert watched.states == ["ACTIVE"]
    watched.entries = {}
    watched.at(47, watched.look())
    watched.until(60)
    assert watched.text.startswith("[INTERRUPTED] main | 47s\n")


# That


@pytest.mark.parametrize("how", ["reset", "deleted", "missing"])
def test_transcript_that_is_gone_ends_its_turn_though_the_store_stays_as_it_was(how):
    watched, _ = at_work()
    watched.at(17, gone(how))
    watched.until(21)
    assert watched.states == ["ACTIVE"], "it may come back, and the store may be slower"
    watched.until(23)
    assert watched.states == ["INTERRUPTED"]
    assert watched.text.startswith("[INTERRUPTED] main | 17s\n")


def test_transcript_that_comes_back_in_time_ends_nothing():
    watched, t = Watched(), Transcript()
    begun = (t.header(), t.user(0), t.assistant(1, call()))
    watched.at(1, *begun)
    watched.at(17, gone("deleted"))
    watched.at(20, lines(*begun, reading=Reading.FIRST))
    watched.until(60)
    assert watched.states == ["ACTIVE"]


def test_lines_after_a_reset_go_on_in_the_same_box():
    watched, t = at_work()
    watched.at(17, gone("reset"))
    watched.until(30)
    watched.at(31, t.ok(31, "c1"), t.assistant(32, said("Still here."), call("c2")))
    assert watched.history == ["ACTIVE", "INTERRUPTED", "ACTIVE"]


def test_key_that_is_given_to_another_session_ends_the_turn_of_the_one_before():
    watched, _ = at_work()
    successor(watched, 17)
    assert watched.states == ["ACTIVE", "ACTIVE"]
    watched.until(20)
    assert watched.states == ["INTERRUPTED", "ACTIVE"]
    assert watched.texts[0].startswith("[INTERRUPTED] main | 17s\n")


def test_session_that_writes_on_although_its_key_has_another_ends_when_it_is_quiet():
    watched, t = at_work()
    successor(watched, 17)
    for at_s in (18, 20, 22, 40):
        watched.at(at_s, t.assistant(at_s, said(f"Word {at_s}."), call(f"w{at_s}")))
    watched.until(70)
    assert watched.states == ["ACTIVE", "ACTIVE"]
    watched.until(102)
    assert watched.states == ["INTERRUPTED", "ACTIVE"]


def test_run_of_a_job_goes_on_when_its_key_is_given_to_the_next_run():
    job = "agent:main:cron:job-1"
    told = entry()
    watched = Watched(entries={job: told, f"{job}:run:{SESSION}": told})
    t = Transcript()
    watched.at(0, t.header(), t.user(0), t.assistant(1, call()))
    watched.entries[job] = entry("new")
    watched.at(17, watched.look())
    watched.until(60)
    assert watched.states == ["ACTIVE"]


def test_two_sessions_of_one_file_follow_each_other_in_one_place():
    watched, _ = at_work(default_channel=None)
    t = Transcript("other", prefix="o")
    begun = (t.header(17), t.user(17), t.assistant(17, call("o1", command="the other")))
    told = lines(*begun, session_id="other", reading=Reading.FIRST)
    watched.at(17, gone("missing"), replace(told, filed_as=SessionId(SESSION)))
    watched.until(30)
    assert watched.states == ["INTERRUPTED", "ACTIVE"]
    assert "the other" in watched.texts[1]
    watched.at(40, lines(t.ok(40, "o1"), t.final(41), session_id="other"))
    assert watched.states == ["INTERRUPTED", "DONE"]


def test_parent_that_is_gone_with_its_transcript_does_not_wait_for_its_child():
    child = "agent:main:subagent:one"
    watched, t = Watched(), Transcript()
    watched.at(0, t.header(), t.user(0), t.assistant(1, spawn("s")), t.spawned(2, "s", child))
    watched.at(17, gone("deleted"))
    watched.until(30)
    assert watched.states == ["INTERRUPTED"]


# Turns that wait for their place


@pytest.mark.parametrize("told_s", [1.5, 30])
def test_turn_that_is_over_before_the_store_tells_of_its_session_gets_its_box_then(told_s):
    watched, t = Watched(entries={}, default_channel=None), Transcript()
    watched.at(0, t.header(), t.user(0), t.assistant(0.1, call()))
    watched.at(0.5, t.ok(0.5, "c1"), t.final(0.6, "The first is done."))
    watched.at(0.8, t.user(0.8, "Next"))
    watched.at(1, t.assistant(1, call("c2")))
    watched.until(told_s)
    watched.entries = {KEY: entry()}
    watched.at(told_s, watched.look())
    assert watched.states == ["DONE", "ACTIVE"]
    assert "The first is done." in watched.texts[0]


def test_of_turns_that_wait_for_a_store_only_the_last_twenty_get_a_box():
    watched, t = Watched(entries={}, default_channel=None), Transcript()
    watched.at(0, t.header())
    for n in range(100):
        works = t.assistant(n, call(f"c{n}", command=f"turn {n}"))
        watched.at(n, t.user(n), works, t.ok(n, f"c{n}"), t.final(n))
    watched.entries = {KEY: entry()}
    watched.at(101, watched.look())
    assert len(watched.texts) == 20
    assert "turn 99" in watched.texts[-1]


@pytest.mark.parametrize("prompt", ["Another question", "[OpenClaw heartbeat poll]"])
def test_error_gets_its_box_though_the_next_turn_begins_at_once(prompt):
    watched, t = Watched(), Transcript()
    watched.at(0, t.header(), t.user(0), t.failed(0.3))
    watched.at(0.8, t.user(0.8, prompt), t.final(1, "HEARTBEAT_OK"))
    watched.until(20)
    assert watched.states == ["ERROR"]
