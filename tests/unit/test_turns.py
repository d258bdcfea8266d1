"""Where a turn begins and how it ends, sentence by sentence of the contract, on a clock of our own."""

import pytest
from builders import (
    KEY,
    SESSION,
    Transcript,
    Watched,
    call,
    child_entry,
    child_key,
    entry,
    gone,
    lines,
    said,
    spawn,
    status,
    store,
)

from status_watcher.source import Reading

VERSIONS = ["2.26", "3.31", "7.1"]


def begun(version="7.1", **more) -> tuple[Watched, Transcript]:
    """A turn that has called a tool and waits for its result, at 1 s."""
    watched, t = Watched(**more), Transcript(version=version)
    watched.at(0, t.header(), t.user(0))
    watched.at(1, t.assistant(1, said("Let me see."), call("c1")))
    return watched, t


# Begin and end


@pytest.mark.parametrize("version", VERSIONS)
def test_box_appears_with_the_first_tool_call(version):
    watched, _ = begun(version)
    assert watched.text == "[ACTIVE] main | 1s\nLet me see.\nexec: make test running"


def test_final_line_is_shown_as_ended_at_once():
    watched, t = begun()
    watched.at(2, t.ok(2, "c1"))
    watched.at(3, t.final(3, "It works."))
    assert watched.text == (
        "[DONE] main | 3s\nLet me see.\nexec: make test [OK]\nIt works.\n\n[DONE] 3s | 200 tokens"
    )
    assert watched.boxes[0].ended


def test_next_turn_gets_a_box_of_its_own():
    watched, t = begun()
    watched.at(2, t.ok(2, "c1"), t.final(2.5))
    watched.at(60, t.user(60, "And now?"), t.assistant(61, call("c2")))
    assert watched.states == ["DONE", "ACTIVE"]


def test_wake_up_that_makes_the_agent_work_is_a_turn():
    watched, t = Watched(), Transcript(version="2.26")
    wake = "System: [2026-11-20 15:05:00 UTC] Exec completed (briny-river, code 0)"
    watched.at(0, t.header(), t.user(0, wake), t.assistant(1, call()), t.ok(2, "c1"), t.final(3))
    assert watched.states == ["DONE"]


@pytest.mark.parametrize("version", VERSIONS)
def test_message_before_the_final_line_belongs_to_the_running_turn(version):
    watched, t = begun(version)
    watched.at(2, t.ok(2, "c1"))
    watched.at(3, t.user(3, "Faster, please"))
    watched.at(4, t.assistant(4, said("Right."), call("c2")), t.ok(5, "c2"), t.final(6, "There."))
    assert "There." in watched.text


def test_message_during_a_call_whose_result_follows_is_steering():
    watched, t = begun()
    watched.at(2, t.user(2, "Faster, please"))
    watched.at(9, t.ok(9, "c1"))
    watched.at(10, t.final(10, "There."))
    assert watched.states == ["DONE"]
    assert "no result" not in watched.text


def test_call_without_a_result_before_a_later_prompt_and_answer_was_cut_by_a_restart():
    watched, t = begun()
    watched.at(300, t.user(300, "Are you there?"))
    assert watched.states == ["ACTIVE"], "a result may still come"
    watched.at(303, t.assistant(303, said("Back again."), call("c2")))
    assert watched.states == ["INTERRUPTED", "ACTIVE"]
    assert "exec: make test no result" in watched.texts[0]
    assert watched.texts[0].startswith("[INTERRUPTED] main | 5m 00s"), "the call ran until then, or may have"
    assert "Back again." in watched.texts[1]


def test_restart_between_two_parallel_calls_is_told_from_steering():
    watched, t = Watched(), Transcript()
    watched.at(0, t.header(), t.user(0), t.assistant(1, call("a"), call("b")))
    watched.at(2, t.user(2, "Faster"), t.ok(3, "b"))
    assert watched.states == ["ACTIVE"]
    watched.at(20, t.user(20, "Hello?"))
    watched.at(25, t.assistant(25, call("c")))
    assert watched.states == ["INTERRUPTED", "ACTIVE"]


def test_word_of_the_store_about_the_cut_turn_counts_after_the_next_message_too():
    watched, t = begun(entries={KEY: entry(**status("running", started_s=0))})
    watched.at(30, t.user(30, "Are you there?"))
    watched.store_at(31, **status("failed", started_s=0, ended_s=20, abortedLastRun=True))
    watched.until(40)
    assert watched.states == ["INTERRUPTED"]
    watched.at(41, t.assistant(41, call("c2")))
    assert watched.states == ["INTERRUPTED", "ACTIVE"]


def test_model_that_says_stop_but_calls_a_tool_has_not_stopped():
    watched, t = Watched(), Transcript()
    watched.at(0, t.header(), t.user(0), t.assistant(1, call(), stop="stop"))
    assert watched.states == ["ACTIVE"]
    watched.at(2, t.ok(2, "c1"), t.final(3, "Now."))
    assert watched.states == ["DONE"]


def test_answer_cut_off_by_its_length_is_an_end():
    watched, t = begun()
    watched.at(2, t.ok(2, "c1"), t.final(3, "A long answer", stop="length"))
    assert watched.states == ["DONE"]


# Errors


def test_error_is_the_outcome_only_after_twelve_seconds():
    watched, t = begun()
    watched.at(2, t.ok(2, "c1"))
    watched.at(3, t.failed(3))
    watched.until(14.9)
    assert watched.states == ["RETRYING"]
    watched.until(15.1)
    assert watched.text.endswith("Error: 529 Overloaded\n\n[ERROR] 3s | 100 tokens")


def test_store_that_says_failed_does_not_hurry_an_error():
    watched, t = begun(entries={KEY: entry(**status("running", started_s=0))})
    watched.at(2, t.ok(2, "c1"))
    watched.at(3, t.failed(3))
    watched.store_at(3.1, **status("failed", started_s=0, ended_s=3))
    watched.until(14.9)
    assert watched.states == ["RETRYING"]
    watched.until(15.1)
    assert watched.states == ["ERROR"]


def test_further_tries_are_the_same_turn_and_the_last_word_is_its_outcome():
    watched, t = Watched(), Transcript(version="2.26")
    watched.at(0, t.header(), t.user(0))
    for at_s in (1, 4, 10, 20):
        watched.at(at_s, t.failed(at_s))
    watched.at(25, t.final(25, "At last."))
    watched.until(60)
    assert watched.states == ["DONE"]
    assert watched.history == ["RETRYING", "DONE"]
    assert "Error" not in watched.text


def test_which_try_it_is_stands_in_the_first_line():
    watched, t = Watched(), Transcript()
    watched.at(0, t.header(), t.user(0), t.failed(1))
    watched.at(6, t.assistant(6, call()))
    assert watched.text.splitlines()[0] == "[ACTIVE] main | 6s | try 2"


def test_identical_user_line_after_an_error_is_the_same_turn():
    watched, t = Watched(), Transcript()
    watched.at(0, t.header(), t.user(0, "Please"), t.failed(1))
    watched.at(4, t.user(4, "Please"), t.failed(5, "500 internal"))
    watched.until(60)
    assert watched.states == ["ERROR"]
    assert "500 internal" in watched.text
    assert "529" not in watched.text


def test_identical_message_long_after_an_error_is_a_person_asking_again():
    watched, t = Watched(), Transcript()
    watched.at(0, t.header(), t.user(0, "Please"), t.failed(1))
    watched.at(90, t.user(90, "Please"), t.assistant(91, call()))
    assert watched.states == ["ERROR", "ACTIVE"]


def test_error_in_under_two_seconds_still_gets_a_box():
    watched, t = Watched(), Transcript()
    watched.at(0, t.header(), t.user(0), t.failed(0.5))
    watched.until(20)
    assert watched.states == ["ERROR"]


def test_calls_of_a_failed_answer_were_never_made():
    watched, t = begun()
    watched.at(2, t.ok(2, "c1"))
    watched.at(3, t.assistant(3, said("Trying"), call("half"), stop="error", errorMessage="overloaded"))
    watched.at(6, t.assistant(6, call("c2")))
    watched.at(7, t.user(7, "Faster"), t.ok(8, "c2"), t.final(9))
    assert watched.states == ["DONE"]
    assert "no result" not in watched.text


# Signs of running, and what ends a turn without a final line


@pytest.mark.parametrize("last", ["prompt", "call", "result"])
def test_turn_with_a_sign_of_running_is_never_closed_by_quiet(last):
    watched, t = begun()
    if last == "result":
        watched.at(2, t.ok(2, "c1"))
    if last == "prompt":
        watched.at(3, t.ok(2, "c1"), t.user(3, "More"))
    watched.until(1799)
    assert watched.states == ["STALLED"]


def test_store_that_says_running_keeps_a_turn_open():
    watched = Watched(entries={KEY: entry(**status("running", started_s=0))})
    t = Transcript()
    watched.at(0, t.header(), t.user(0), t.assistant(3, said("Hm."), stop="other"))
    watched.until(600)
    assert watched.states == ["STALLED"]


def test_turn_without_any_sign_of_running_is_done_after_the_idle_timeout():
    watched, t = Watched(), Transcript()
    watched.at(3, t.header(), t.user(0), t.assistant(3, said("Hm."), stop="other"))
    watched.until(62.9)
    assert watched.states == ["ACTIVE"]
    watched.until(63.1)
    assert watched.states == ["DONE"]
    watched.at(70, t.user(70, "Next"), t.assistant(71, call()))
    assert watched.states == ["DONE", "ACTIVE"], "nobody was at work any more: no steering"


@pytest.mark.parametrize("started", [{"started_s": 0}, {}])
def test_message_after_a_minute_of_quiet_steers_a_turn_that_the_store_says_is_running(started):
    watched, t = begun(entries={KEY: entry(**status("running", **started))})
    watched.at(2, t.ok(2, "c1"))
    watched.at(5, t.assistant(5, said("Hm."), stop="other"))
    watched.until(80)
    assert watched.states == ["ACTIVE"]
    watched.at(81, t.user(81, "Faster"))
    watched.at(82, t.assistant(82, call("c2")))
    assert watched.states == ["ACTIVE"]
    watched.at(83, t.ok(83, "c2"), t.final(84))
    assert watched.states == ["DONE"]


def test_message_after_a_quiet_end_begins_a_turn_though_the_store_tells_of_its_run_first():
    watched, t = Watched(), Transcript()
    watched.at(3, t.header(), t.user(0), t.assistant(3, said("Hm."), stop="other"))
    watched.until(70)
    assert watched.states == ["DONE"]
    watched.store_at(70, **status("running", started_s=69.99))
    watched.at(70, t.user(70, "Next"), t.assistant(71, call()))
    assert watched.states == ["DONE", "ACTIVE"]


@pytest.mark.parametrize(
    ("kid_ends_s", "states"), [(None, ["ACTIVE"]), (40, ["ACTIVE"]), (8, ["DONE", "ACTIVE"])]
)
def test_message_after_a_minute_of_quiet_steers_a_turn_whose_sub_agent_worked_meanwhile(kid_ends_s, states):
    key = child_key("kid")
    watched = Watched(entries={KEY: entry(), key: child_entry("kid")})
    t, kid = Transcript(), Transcript("kid", prefix="k")
    watched.at(2, t.header(), t.user(0), t.assistant(1, spawn("s")), t.spawned(2, "s", key))
    watched.at(3, lines(kid.header(2), kid.user(2), kid.assistant(3, call("k")), session_id="kid"))
    watched.at(5, t.assistant(5, said("Hm."), stop="other"))
    if kid_ends_s is not None:
        watched.at(kid_ends_s, lines(kid.ok(kid_ends_s, "k"), kid.final(kid_ends_s), session_id="kid"))
    watched.at(81, t.user(81, "Faster"))
    watched.at(82, t.assistant(82, call("c2")))
    assert watched.states == states


@pytest.mark.parametrize(
    ("word", "fields", "state"),
    [
        ("done", {}, "DONE"),
        ("failed", {}, "ERROR"),
        ("failed", {"abortedLastRun": True}, "INTERRUPTED"),
        ("killed", {}, "ABORTED"),
        ("timeout", {}, "TIMEOUT"),
    ],
)
def test_status_of_the_store_ends_a_turn_without_a_final_line(word, fields, state):
    watched, t = begun(entries={KEY: entry(**status("running", started_s=0))})
    watched.at(2, t.ok(2, "c1"))
    watched.store_at(10, **status(word, started_s=0, ended_s=9.9), **fields)
    watched.until(22.1)
    assert watched.states == [state]


def test_status_of_an_earlier_run_ends_nothing():
    watched, _ = begun(entries={KEY: entry(**status("done", started_s=-100, ended_s=-90))})
    watched.until(100)
    assert watched.states == ["ACTIVE"]


def test_killed_that_began_after_it_ended_ends_nothing():
    watched, _ = begun(entries={KEY: entry(**status("killed", started_s=50, ended_s=40))})
    watched.until(100)
    assert watched.states == ["ACTIVE"]


def test_run_of_no_length_is_believed():
    watched, t = begun()
    watched.at(2, t.ok(2, "c1"))
    watched.store_at(5, **status("done", started_s=4.9, ended_s=4.9))
    watched.until(8)
    assert watched.states == ["DONE"]


def test_failure_before_any_line_of_the_model_may_be_tried_again():
    watched, t = Watched(entries={KEY: entry(**status("running", started_s=0))}), Transcript()
    watched.at(0, t.header(), t.user(0))
    watched.store_at(3, **status("failed", started_s=0, ended_s=2.9))
    watched.until(10)
    assert watched.states == ["ACTIVE"]
    watched.store_at(11, **status("running", started_s=11))
    watched.at(14, t.final(14))
    assert watched.history == ["ACTIVE", "DONE"]


def test_model_that_goes_on_after_the_store_said_done_goes_on_in_the_same_box():
    watched, t = begun(entries={KEY: entry(**status("running", started_s=0))})
    watched.store_at(5, **status("done", started_s=0, ended_s=4.9))
    watched.until(8)
    assert watched.states == ["DONE"]
    watched.at(9, t.ok(9, "c1"), t.assistant(10, call("c2")))
    assert watched.states == ["ACTIVE"]
    assert "[OK]" in watched.text


def test_reset_ends_a_running_turn():
    watched, _ = begun()
    watched.entries = {KEY: entry("other-session")}
    watched.at(20, gone("reset"), watched.look())
    assert watched.states == ["INTERRUPTED"]


def test_old_and_quiet_turn_is_timed_out_and_reopened_by_new_lines():
    watched, t = begun()
    watched.until(1799)
    assert watched.states == ["STALLED"]
    watched.until(1801)
    assert watched.states == ["TIMEOUT"]
    assert watched.boxes[0].ended
    watched.at(1900, t.ok(1900, "c1"))
    assert watched.states == ["ACTIVE"]
    assert not watched.boxes[0].ended
    watched.at(1901, t.final(1901))
    assert watched.history == ["ACTIVE", "STALLED", "TIMEOUT", "ACTIVE", "DONE"]


def test_old_turn_that_still_writes_goes_on():
    watched, t = begun()
    for at_s in range(50, 2500, 50):
        watched.at(at_s, t.assistant(at_s, call(f"n{at_s}")))
    assert watched.history == ["ACTIVE"]


def test_no_turn_is_timed_out_where_the_limit_is_zero():
    watched, _ = begun(rules={"max_duration_ms": 0})
    watched.until(100_000)
    assert watched.states == ["STALLED"]


def test_message_after_a_turn_that_was_timed_out_is_a_turn_of_its_own():
    watched, t = begun()
    watched.at(2, t.ok(2, "c1"))
    watched.at(5000, t.user(5000, "Hello?"), t.assistant(5001, call("c2")))
    assert watched.states == ["TIMEOUT", "ACTIVE"]


def test_missing_entry_ends_nothing_until_two_looks_lack_it_and_the_transcript_is_gone():
    watched, _ = begun()
    full, watched.entries = watched.entries, {}
    watched.at(2, store({}))
    watched.at(30, store({}))
    assert watched.states == ["ACTIVE"], "two looks, but the transcript is there"
    watched.entries = full
    watched.at(31, watched.look())
    watched.entries = {}
    watched.at(32, gone("deleted"), store({}))
    watched.player.until(watched.player.now_ms + 4_000)
    assert watched.states == ["ACTIVE"], "one look"
    watched.player.at(watched.player.now_ms + 900, store({}))
    assert watched.states == ["ACTIVE"], "two looks less than 5 s apart"
    watched.player.at(watched.player.now_ms + 200, store({}))
    assert watched.states == ["INTERRUPTED"]


def test_entry_that_comes_back_between_two_looks_ends_nothing():
    watched, _ = begun()
    full, watched.entries = watched.entries, {}
    watched.at(2, gone("missing"), store({}))
    watched.entries = full
    watched.at(4, watched.look())
    watched.entries = {}
    watched.at(8, store({}))
    assert watched.states == ["ACTIVE"]


# Aborts


def test_abort_of_a_tool_in_2_26():
    watched, t = begun("2.26")
    watched.at(
        3,
        t.prompt_error(3, "aborted"),
        t.result(3.01, "c1", error=True, text="Command aborted by signal SIGTERM"),
        t.aborted(3.02),
    )
    assert watched.text == (
        "[ABORTED] main | 3s\nLet me see.\nexec: make test [ERR] 2s\n\n[ABORTED] 3s | 100 tokens"
    )


def test_abort_of_a_tool_in_7_1_by_mirror_result_and_aborted_line():
    watched, t = begun()
    watched.at(3, t.injected(3, "Let me see.", openclawAbort={"aborted": True}))
    watched.at(3.1, t.entry(3.1, "leaf", appendMode="side"))
    watched.at(3.2, t.result(3.2, "c1", error=True, status="failed", exitCode=None, exitSignal="SIGTERM"))
    watched.at(3.3, t.aborted(3.3), t.prompt_error(3.4, "This operation was aborted"))
    watched.until(30)
    assert watched.states == ["ABORTED"]
    assert "[ERR SIGTERM]" in watched.text


def test_stop_command_in_7_1_writes_a_mirror_and_a_prompt_error_only():
    watched, t = begun()
    watched.at(3, t.injected(3, "Let me see."), t.prompt_error(3.1, "Request was aborted"))
    assert watched.states == ["ABORTED"]
    assert "[OK]" not in watched.text


def test_abort_of_streaming_text_in_7_1_mirrors_the_partial_text_first():
    watched, t = Watched(), Transcript()
    watched.at(0, t.header(), t.user(0))
    watched.at(5, t.injected(5, "Half of an ans"), t.aborted(5.1))
    watched.until(30)
    assert watched.states == ["ABORTED"]


def test_abort_in_9_6_is_one_injected_line():
    watched, t = begun()
    watched.at(3, t.injected(3, "", openclawAbort={"aborted": True, "origin": "rpc", "runId": "r"}))
    assert watched.states == ["ABORTED"]
    assert "exec: make test no result" in watched.text


def test_prompt_error_that_is_no_abort_is_an_error():
    watched, t = begun()
    watched.at(2, t.ok(2, "c1"), t.prompt_error(2, "context window exceeded"))
    watched.until(16)
    assert watched.states == ["ERROR"]
    assert "Error: context window exceeded" in watched.text


# Tool calls


def test_parallel_calls_are_matched_by_id_in_any_order():
    watched, t = Watched(), Transcript()
    commands = {"a": "one", "b": "two", "c": "three"}
    watched.at(0, t.header(), t.user(0), t.assistant(1, *(call(i, command=c) for i, c in commands.items())))
    watched.at(3, t.ok(1.2, "b"), t.result(1.3, "c", status="completed", exitCode=3), t.ok(3, "a", 2000))
    assert watched.text.splitlines()[1:] == ["exec: one [OK] 2s", "exec: two [OK]", "exec: three [ERR 3]"]


def test_background_command_is_not_ok_until_the_process_tool_says_so():
    watched, t = begun()
    watched.at(12, t.result(12, "c1", status="running", sessionId="briny-river"))
    assert "exec: make test still running" in watched.text
    watched.at(13, t.assistant(13, call("p", "process", action="poll", sessionId="briny-river")))
    watched.at(20, t.result(20, "p", tool="process", status="completed", exitCode=0, sessionId="briny-river"))
    assert "exec: make test [OK] 19s" in watched.text


def test_command_that_still_runs_when_its_turn_ends_is_never_ok():
    watched, t = begun()
    watched.at(12, t.result(12, "c1", status="running", sessionId="briny-river"), t.final(13))
    watched.at(30, t.user(30), t.assistant(31, call("p", "process", action="poll", sessionId="briny-river")))
    watched.at(32, t.result(32, "p", tool="process", status="completed", exitCode=0, sessionId="briny-river"))
    ended = next(iter(watched.player.seen.final))
    box = watched.board.render(ended)
    assert box is not None
    assert "[OK]" not in box.text
    assert "still running" in box.text


def test_result_that_comes_after_the_end_is_never_ok():
    watched, t = begun()
    watched.at(3, t.injected(3, "", openclawAbort={"aborted": True}), t.ok(4, "c1"))
    assert watched.states == ["ABORTED"]
    assert "[OK]" not in watched.text


def test_call_that_waits_for_approval_is_neither_ok_nor_an_error():
    watched, t = begun()
    watched.at(2, t.result(2, "c1", status="approval-pending", approvalId="x"), t.final(3))
    assert "exec: make test waiting for approval" in watched.text
    assert "[OK]" not in watched.text


@pytest.mark.parametrize(
    ("details", "error", "tag"),
    [
        ({"status": "completed", "exitCode": 2}, False, "[ERR 2]"),
        ({"status": "failed", "exitCode": 2}, True, "[ERR 2]"),
        ({"status": "error"}, False, "[ERR]"),
        ({"status": "failed", "exitCode": None, "exitSignal": "SIGKILL"}, True, "[ERR SIGKILL]"),
        ({"status": "failed", "timedOut": True, "exitCode": None}, True, "[ERR timeout]"),
        ({}, True, "[ERR]"),
        ({"status": "forbidden"}, False, "[ERR]"),
        ({"status": "completed", "exitCode": "2"}, False, "[ERR 2]"),
        ({"status": "completed", "exitCode": "-1"}, False, "[ERR -1]"),
        ({"exitCode": "killed"}, False, "[ERR]"),
        ({"exitCode": 2.5}, False, "[ERR]"),
        ({"exitCode": True}, False, "[ERR]"),
        ({"exitCode": [2]}, False, "[ERR]"),
        ({"status": "completed", "exitCode": "0"}, False, "[OK]"),
        ({"status": "completed", "exitCode": None}, False, "[OK]"),
        ({}, False, "[OK]"),
    ],
)
def test_verdict_on_a_result(details, error, tag):
    watched, t = begun()
    watched.at(1.5, t.result(1.5, "c1", error=error, **details))
    assert watched.text.endswith(f"make test {tag}")


def test_late_result_closes_only_its_own_call():
    watched, t = begun()
    watched.at(2, t.assistant(2, call("c2", command="other")), t.ok(2, "c1"))
    watched.at(4, t.result(4, "unknown", status="completed", exitCode=1))
    assert watched.text.splitlines()[2:] == ["exec: make test [OK]", "exec: other running"]


def test_compaction_is_a_line():
    watched, t = begun()
    watched.at(2, t.entry(2, "compaction", summary="…", firstKeptEntryId="e1"))
    assert "[session compacted - continuing]" in watched.text


# Rewrites in place


def test_lines_read_again_change_nothing():
    watched, t = Watched(), Transcript()
    first = [t.header(), t.user(0), t.assistant(1, said("Hm."), call("c1")), t.ok(2, "c1")]
    watched.at(2, *first)
    before = watched.text
    watched.at(2, lines(*first, reading=Reading.AGAIN))
    assert watched.text == before


def test_assistant_line_after_a_rewrite_without_the_user_line_continues_the_open_turn():
    watched, t = Watched(), Transcript()
    header, user, assistant = t.header(), t.user(0), t.assistant(1, call("c1"))
    watched.at(1, header, user, assistant)
    watched.at(2, lines(header, assistant, t.ok(2, "c1"), t.final(3), reading=Reading.AGAIN))
    assert watched.states == ["DONE"]


def test_second_header_in_a_file_changes_nothing():
    watched, t = Watched(), Transcript()
    watched.at(0, t.header(), t.user(0), t.header(0.5, parentSession="/x"), t.assistant(1, call()))
    watched.at(2, t.ok(2, "c1"), t.final(3))
    assert watched.states == ["DONE"]


# Sessions that are removed


def test_session_that_is_nowhere_any_more_is_forgotten_and_its_box_stays():
    watched, t = begun()
    watched.at(2, t.ok(2, "c1"), t.final(3))
    watched.entries = {}
    watched.at(4, gone("deleted"), store({}))
    watched.until(20)
    assert watched.board.counts().tracked == 0
    assert watched.states == ["DONE"]
    box = next(iter(watched.player.seen.final))
    assert box == f"main/{SESSION}/e1"
    assert watched.board.render(box) is not None


# Clocks


@pytest.mark.parametrize("ahead_s", [3600, 90])
def test_ages_are_true_though_our_clock_stood_still_for_a_while(ahead_s):
    """The board's clock does not count the time that a machine sleeps; the gateway's lines do."""
    watched, t = Watched(), Transcript()
    watched.at(0, t.header(), t.user(ahead_s))
    watched.until(1.9)
    assert watched.boxes == []
    watched.until(2.1)
    assert watched.text == "[ACTIVE] main | 2s | thinking 2s"
    watched.at(3, t.assistant(ahead_s + 3, call("c1")))
    watched.until(19)
    assert watched.text == "[ACTIVE] main | 18s\nexec: make test running 15s"
    watched.at(20, t.ok(ahead_s + 20, "c1"), t.final(ahead_s + 20))
    assert watched.text.startswith("[DONE] main | 20s")


def test_ages_are_never_negative():
    watched, t = Watched(started_s=-60), Transcript()
    watched.at(0, lines(t.header(), t.user(500), t.assistant(501, call()), reading=Reading.FIRST))
    watched.until(5)
    assert "-" not in watched.text


# What 2026.9.6 does otherwise


def test_reset_in_mid_turn_ends_it_as_interrupted_and_the_session_goes_on():
    watched, t = begun()
    watched.at(4, t.entry(4, "reset", reason="new"))
    assert watched.states == ["INTERRUPTED"]
    assert watched.text.startswith("[INTERRUPTED] main | 4s\nLet me see.\nexec: make test no result")
    watched.at(4.1, t.user(4.1, "/new"), t.injected(4.1, "✅ New session started."))
    watched.at(20, t.user(20, "And now?"), t.assistant(21, call("c2")))
    assert watched.states == ["INTERRUPTED", "ACTIVE"]


def test_reset_after_a_turn_changes_nothing_and_its_command_gets_no_box():
    watched, t = begun()
    watched.at(2, t.ok(2, "c1"), t.final(3))
    before = watched.texts
    watched.at(
        60, t.entry(60, "reset", reason="new"), t.user(60, "/new"), t.injected(60.1, "✅ New session.")
    )
    watched.until(90)
    assert watched.texts == before


def test_message_that_waited_for_a_call_when_the_session_was_reset_is_forgotten():
    watched, t = begun()
    watched.at(2, t.user(2, "Faster, please"))
    watched.at(4, t.entry(4, "reset", reason="reset"))
    watched.at(9, t.user(9, "Something else"), t.assistant(10, call("c2")), t.ok(11, "c2"), t.final(12))
    assert watched.states == ["INTERRUPTED", "DONE"]


def test_whatever_comes_after_a_reset_is_no_part_of_the_turn_before():
    watched, t = begun()
    watched.at(2, t.user(2, "Faster, please"))
    watched.at(4, t.entry(4, "reset", reason="reset"))
    watched.at(5, t.ok(5, "c1"))
    watched.at(9, t.assistant(9, call("c2"), asked_s=8))
    assert watched.states == ["INTERRUPTED", "ACTIVE"]
    assert "exec: make test still running" in watched.texts[0], "which is how it stood at the reset"
    assert watched.texts[1].startswith("[ACTIVE] main | 1s"), "it begins with the model, not with the message"


def test_abort_that_only_the_gateway_marks_leaves_the_call_without_a_result():
    watched, t = begun()
    watched.at(6, t.injected(6, "Let me see.", openclawAbort={"aborted": True, "origin": "rpc"}))
    watched.store_at(6, **status("killed", started_s=0, ended_s=6, abortedLastRun=True))
    assert watched.states == ["ABORTED"]
    assert "exec: make test no result" in watched.text
    watched.store_at(10, status=None)
    watched.at(10, t.user(10, "Again"), t.assistant(11, call("c2")))
    assert watched.states == ["ABORTED", "ACTIVE"]


def test_overload_without_a_line_is_a_turn_at_work_until_its_only_error():
    watched, t = Watched(), Transcript()
    watched.at(0, t.header(version=4), t.user(0))
    for started_s in (0, 1, 3, 6, 13, 32, 62):
        watched.store_at(started_s + 0.2, **status("running", started_s=started_s + 0.1))
    watched.until(87)
    assert watched.history == ["RETRYING"]
    assert watched.text == "[RETRYING] main | 1m 02s | try 7"
    watched.at(88, t.failed(88))
    watched.store_at(88.1, **status("failed", started_s=62, ended_s=88))
    watched.until(99)
    assert watched.states == ["RETRYING"]
    watched.until(103)
    assert watched.history == ["RETRYING", "ERROR"]
    assert watched.text.startswith("[ERROR] main | 1m 28s\nError: 529 Overloaded")


def test_restart_that_the_gateway_tells_of_begins_a_new_turn():
    watched, t = begun()
    told = {"kind": "internal_system", "sourceTool": "main_session_restart_recovery"}
    watched.at(30, t.user(30, "Your run was interrupted; go on.", provenance=told))
    assert watched.states == ["INTERRUPTED"]
    watched.at(31, t.assistant(31, call("c2")))
    assert watched.states == ["INTERRUPTED", "ACTIVE"]
    assert watched.texts[0].startswith("[INTERRUPTED] main | 30s"), "when the gateway told of it"


def test_command_that_waits_for_approval_is_at_work_however_long_it_is_quiet():
    watched, t = begun()
    watched.store_at(1, **status("running", started_s=0))
    watched.until(600)
    assert watched.states == ["ACTIVE"]
    watched.at(600, t.ok(600, "c1"), t.final(601))
    assert watched.states == ["DONE"]
    assert "exec: make test [OK]" in watched.text


def test_words_before_a_call_and_bookkeeping_are_what_they_were():
    watched, t = Watched(), Transcript()
    words = said("Let me see.") | {"textSignature": '{"v":1,"phase":"commentary"}'}
    watched.at(0, t.header(version=4), t.user(0), t.entry(0, "thinking_level_change"))
    watched.at(1, t.assistant(1, words, call("c1"), __openclaw={"runId": "r"}))
    watched.at(2, t.ok(2, "c1"), t.entry(2, "custom", customType="openclaw.cache-ttl", data={"x": []}))
    watched.at(3, t.entry(3, "something_new", data="x"), t.final(3))
    assert watched.text.split("\n")[1:4] == ["Let me see.", "exec: make test [OK]", "All done."]
