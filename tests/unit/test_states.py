"""What an open box says of its turn: each state by its evidence, and when that goes away."""

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
    lines,
    ms,
    said,
    spawn,
    status,
)
from simulate import Player

from status_watcher.core.board import box_id_of
from status_watcher.core.elsewhere import ApprovalRow, ApprovalStatus
from status_watcher.core.patience import Patience
from status_watcher.core.policy import Level, Policy, Rule, SessionKind
from status_watcher.core.post import BoxRecord
from status_watcher.core.skew import Skew
from status_watcher.core.states import EVIDENCE, OPEN_STATES
from status_watcher.model import (
    AgentId,
    ChannelId,
    ChannelTarget,
    EntryId,
    PostId,
    SessionId,
    SessionKey,
    State,
    ToolCallId,
)

A, B = child_key("a"), child_key("b")
CALL = ToolCallId("c1")


def first(watched: Watched) -> str:
    return watched.text.splitlines()[0]


def begun(**more) -> tuple[Watched, Transcript]:
    """Asked at 0 s, an `exec` from 1 s on."""
    watched, t = Watched(**more), Transcript()
    watched.at(0, t.header(), t.user(0))
    watched.at(1, t.assistant(1, call()))
    return watched, t


def test_every_state_has_its_evidence():
    assert {row.state for row in EVIDENCE} == set(State)
    assert {row.state for row in EVIDENCE if row.shown} <= OPEN_STATES


# What it does now


def test_thinking_is_said_while_the_model_is_asked():
    watched, t = begun()
    watched.at(2, t.ok(2, "c1"))
    assert first(watched) == "[ACTIVE] main | 2s | thinking"
    watched.until(17.5)
    assert first(watched) == "[ACTIVE] main | 17s | thinking 15s"
    watched.at(18, t.assistant(18, call("c2")))
    assert first(watched) == "[ACTIVE] main | 18s"
    assert watched.text.endswith("exec: make test running")


def test_what_a_tool_does_stands_in_its_own_line_alone():
    watched, _ = begun()
    watched.until(16.5)
    assert watched.text == "[ACTIVE] main | 16s\nexec: make test running 15s"


# Waiting


def family(*names: str, **settings) -> tuple[Watched, Transcript, dict[str, Transcript]]:
    """A parent that ended its own run at 2 s and has started these helpers, each at work from 1.5 s on."""
    entries = {KEY: entry()} | {child_key(name): child_entry(name, label=name) for name in names}
    watched, t = Watched(entries=entries, **settings), Transcript()
    kids = {name: Transcript(name, prefix=name) for name in names}
    spawns = (spawn(f"s{name}", name) for name in names)
    watched.at(0, t.header(), t.user(0))
    watched.at(1, t.assistant(1, *spawns), *(t.spawned(1, f"s{name}", child_key(name)) for name in names))
    for name, kid in kids.items():
        watched.at(1.5, lines(kid.header(1.2), kid.user(1.2, "[Subagent Context]"), session_id=name))
        watched.at(1.5, lines(kid.assistant(1.5, call(f"k{name}", "read")), session_id=name))
    watched.at(2, t.final(2, "They are at work."))
    return watched, t, kids


def test_parent_that_has_ended_its_own_run_waits_for_its_sub_agents():
    watched, t, kids = family("a", "b")
    assert first(watched) == "[WAITING] main | 2s | for 2 sub-agents"
    kid = kids["a"]
    watched.at(20, lines(kid.result(20, "ka", tool="read"), kid.final(20), session_id="a"))
    assert first(watched) == "[WAITING] main | 20s | for 1 sub-agent"
    watched.at(21, t.assistant(22, call("c9"), asked_s=21))
    assert watched.states == ["ACTIVE"], "its own run goes on"


def pending(key: str = KEY, call_id: str = "c1", at_s: float = 1.2, lasts_s: float = 1800) -> ApprovalRow:
    return ApprovalRow(
        SessionKey(key), ToolCallId(call_id), ApprovalStatus.PENDING, ms(at_s), ms(at_s + lasts_s)
    )


def heard(watched: Watched, at_s: float, *rows: ApprovalRow) -> None:
    watched.until(at_s)
    watched.board.hear_of_approvals(rows)
    watched.at(at_s)


def test_call_that_a_person_has_to_allow_waits_while_the_database_says_so():
    watched, t = begun()
    heard(watched, 2, pending())
    assert watched.text == "[WAITING] main | 2s | for approval\nexec: make test waiting for approval"
    watched.until(600)
    assert first(watched) == "[WAITING] main | 9m 02s | for approval 9m 00s"
    heard(watched, 610)
    assert watched.text == "[ACTIVE] main | 10m 10s\nexec: make test running 10m 09s"
    watched.at(620, t.ok(620, "c1"), t.final(621))
    assert watched.history == ["ACTIVE", "WAITING", "ACTIVE", "DONE"]


def test_person_who_takes_long_makes_nothing_stall():
    watched, _ = begun()
    heard(watched, 2, pending(lasts_s=7200))
    watched.until(1700)
    assert watched.states == ["WAITING"]


@pytest.mark.parametrize(
    ("reason", "shown"), [("user-denied", "[ERR denied]"), ("approval-timeout", "[ERR expired]")]
)
def test_call_that_was_refused_says_so(reason, shown):
    """As a gateway 2026.9.6 was seen to write it."""
    watched, t = begun()
    heard(watched, 2, pending())
    text = f"Exec denied (gateway id=9d6a38f3, {reason}): make test"
    watched.at(9, t.result(9, "c1", error=True, text=text, status="failed", exitCode=None, durationMs=0))
    heard(watched, 9.1)
    assert watched.text.splitlines()[1] == f"exec: make test {shown}"


def test_command_that_fails_talking_of_a_refusal_was_not_refused():
    watched, t = begun()
    text = "tail of the log: Exec denied (gateway id=1, user-denied): x"
    watched.at(9, t.result(9, "c1", error=True, text=text, status="failed", exitCode=3))
    assert "exec: make test [ERR 3]" in watched.text


def test_approval_that_has_lapsed_is_waited_for_no_more():
    watched, _ = begun()
    heard(watched, 2, pending(lasts_s=300))
    watched.until(302)
    assert watched.states == ["ACTIVE"]


@pytest.mark.parametrize(
    "row",
    [pending("agent:main:other"), pending(call_id="c2"), pending(at_s=-60)],
    ids=["other session", "other call", "call of an earlier turn with the same id"],
)
def test_approval_of_another_call_is_none_of_this_one(row):
    watched, _ = begun()
    heard(watched, 2, row)
    assert watched.states == ["ACTIVE"]


def test_approval_that_a_sub_agent_needs_stands_in_the_first_line():
    watched, _, _ = family("a")
    heard(watched, 3, pending(A, "ka", 1.6))
    assert first(watched) == "[WAITING] main | 3s | for approval 1s"
    assert "read waiting for approval 1s" in watched.text


def test_approval_by_a_clock_that_was_set_is_told_in_the_boards_time():
    watched, _ = begun()
    watched.until(2)
    watched.board.hear_of_approvals([pending(at_s=3602)], Skew(3_600_000, ms(1)))
    watched.at(2.1)
    assert first(watched) == "[WAITING] main | 2s | for approval"


# Waiting for an approval as 2026.7.1 has it


def follow_up(what: str, approval: str = "id-1") -> str:
    done = "has completed" if what.startswith("finished") else "did not run"
    how, _, more = what.partition(" ")
    return f"An async command {done}.\n\nExact:\nExec {how} (gateway id={approval}, {more})\nout"


def asked(*, lasts_s: float = 1800, **rules: int) -> tuple[Watched, Transcript]:
    """A turn whose one command waits for a person and whose run has ended, at 3 s."""
    watched, t = begun(rules=rules or None)
    expires = {"expiresAtMs": ms(2 + lasts_s)} if lasts_s else {}
    watched.at(2, t.result(2, "c1", status="approval-pending", approvalId="id-1", **expires))
    watched.at(3, t.final(3, "I asked."))
    return watched, t


def test_turn_that_has_ended_waits_for_the_approval_that_its_command_needs():
    watched, _ = asked()
    watched.until(60)
    assert first(watched) == "[WAITING] main | 48s | for approval 46s"
    assert "exec: make test waiting for approval 46s" in watched.text
    assert not watched.boxes[0].ended


def test_no_approval_keeps_a_box_open_for_more_than_a_day_whatever_its_expiry():
    watched, _ = asked(lasts_s=10**10, max_duration_ms=0)
    watched.at(86_000)
    assert first(watched).startswith("[WAITING] ")
    watched.at(86_500)
    watched.until(86_520)
    assert watched.boxes[0].ended


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("finished session=amber, code 0", "[OK]"),
        ("finished session=amber, code 7", "[ERR 7]"),
        ("finished session=amber, signal SIGKILL", "[ERR SIGKILL]"),
        ("finished session=amber, timeout", "[ERR timeout]"),
        ("finished session=amber, who knows", "[ERR]"),
        ("denied user-denied", "[ERR denied]"),
        ("denied approval-timeout", "[ERR expired]"),
        ("denied spawn-failed", "[ERR denied]"),
    ],
)
def test_gateways_word_on_an_approval_ends_the_turn_that_asked(said, shown):
    watched, t = asked()
    watched.at(30, t.user(30, follow_up(said)), t.final(30.2, "Acknowledged."))
    assert watched.text.splitlines()[:2] == ["[DONE] main | 30s", f"exec: make test {shown}"]
    assert len(watched.boxes) == 1, "the answer has no tool and took no time"


def test_words_about_an_approval_by_anybody_else_answer_nothing():
    watched, t = asked()
    watched.at(30, t.user(30, "Exec finished (gateway id=id-1, session=x, code 0)"), t.final(30.2))
    watched.at(31, t.user(31, follow_up("finished session=x, code 0", "id-2")), t.final(31.2))
    assert watched.states == ["WAITING"]


@pytest.mark.parametrize("lasts_s", [300, 0], ids=["told", "not told"])
def test_approval_that_nobody_gave_ends_the_turn_when_it_lapses(lasts_s):
    watched, _ = asked(lasts_s=lasts_s, max_duration_ms=3_600_000)
    end_s = 2 + (lasts_s or 1800)
    watched.until(end_s - 1)
    assert watched.states == ["WAITING"]
    watched.until(end_s + 1)
    assert watched.states == ["DONE"]
    assert "exec: make test [ERR expired]" in watched.text
    ended = watched.text
    watched.until(end_s + 5000)
    assert watched.text == ended


def test_turn_that_waits_for_a_person_is_timed_out_like_any_other_and_the_word_is_still_shown():
    watched, t = asked(lasts_s=3600)
    watched.until(1799)
    assert watched.states == ["WAITING"]
    watched.until(1801)
    assert watched.text.splitlines()[0] == "[TIMEOUT] main | 30m 00s"
    assert "[OK]" not in watched.text
    watched.at(2000, t.user(2000, follow_up("finished session=x, code 0")), t.final(2000.2))
    assert watched.text.splitlines()[:2] == ["[DONE] main | 33m 20s", "exec: make test [OK]"]
    assert len(watched.boxes) == 1


def test_word_after_the_approval_has_lapsed_changes_nothing():
    watched, t = asked(lasts_s=20)
    watched.until(30)
    before = watched.text
    watched.at(40, t.user(40, follow_up("finished session=x, code 0")), t.final(40.2))
    assert watched.text == before


def test_turn_that_was_aborted_waits_for_no_approval():
    watched, t = begun()
    watched.at(2, t.result(2, "c1", status="approval-pending", approvalId="id-1", expiresAtMs=ms(500)))
    watched.at(3, t.aborted(3))
    assert watched.states == ["ABORTED"]
    assert "exec: make test not approved" in watched.text
    watched.until(1000)
    assert watched.text.startswith("[ABORTED] main | 3s")


def test_box_that_waits_goes_on_after_a_restart():
    target = ChannelTarget(ChannelId("kz5mey4ot7dopqcawtegozda4r"), PostId(""))
    box_id = box_id_of((AgentId("main"), SessionId(SESSION)), EntryId("e1"))
    again = Watched(started_s=20)
    again.board.restore([BoxRecord(box_id, target, "n", ms(1), PostId("p"))], ms(20))
    t = Transcript()
    expires = {"expiresAtMs": ms(1800)}
    result = t.result(2, "c1", status="approval-pending", approvalId="id-1", **expires)
    again.at(21, lines(t.header(), t.user(0), t.assistant(1, call()), result, t.final(3)))
    assert again.states == ["WAITING"]
    again.at(30, t.user(30, follow_up("finished session=x, code 0")), t.final(30.2))
    assert again.states == ["DONE"]


# Stalled

PATIENT = Patience(model_ms=300_000, tool_ms=400_000, tools_ms={"exec": 900_000, "forever": 0})


def test_model_that_says_nothing_for_too_long_has_stalled():
    watched, t = begun()
    watched.at(2, t.ok(2, "c1"))
    watched.until(301)
    assert watched.states == ["ACTIVE"]
    watched.until(303)
    assert first(watched) == "[STALLED] main | 5m 02s | thinking 5m 00s"
    watched.at(340, t.assistant(340, call("c2")))
    assert first(watched) == "[ACTIVE] main | 5m 40s"
    assert watched.history == ["ACTIVE", "STALLED", "ACTIVE"]


@pytest.mark.parametrize(
    ("tool", "stalls_s"),
    [("exec", 901), ("EXEC", 901), ("browser", 401), ("forever", None)],
)
def test_each_tool_has_its_own_patience(tool, stalls_s):
    watched, t = Watched(rules={"patience": PATIENT, "max_duration_ms": 0}), Transcript()
    watched.at(0, t.header(), t.user(0))
    watched.at(1, t.assistant(1, call("c1", tool)))
    watched.until((stalls_s or 100_000) - 1)
    assert watched.states == ["ACTIVE"]
    if stalls_s is not None:
        watched.until(stalls_s + 1)
        took = f"{stalls_s // 60}m {stalls_s % 60:02d}s"
        assert first(watched).startswith(f"[STALLED] main | {took} | {tool.lower()} running ")


def test_one_of_several_calls_that_still_has_time_is_no_stall():
    watched, t = Watched(), Transcript()
    watched.at(0, t.header(), t.user(0))
    watched.at(1, t.assistant(1, call("r", "read"), call("x")))
    watched.until(899)
    assert watched.states == ["ACTIVE"]
    watched.until(902)
    assert watched.states == ["STALLED"]


def test_turn_that_has_just_written_something_has_not_stalled():
    watched, t = Watched(), Transcript()
    watched.at(0, t.header(), t.user(0), t.assistant(1, call("r", "read"), call("x")))
    watched.at(350, t.ok(350, "x"))
    assert watched.states == ["ACTIVE"], "though the other call is at it for longer than it may"
    watched.until(412)
    assert watched.states == ["STALLED"]


def test_slowness_that_came_to_an_end_is_told_once():
    """A model that takes six minutes each time: its second time has nine before it counts as stalled."""
    watched, t = begun(rules={"max_duration_ms": 0})
    watched.at(2, t.ok(2, "c1"))
    at_s = 2
    for n in range(2, 8):
        watched.at(at_s + 360, t.assistant(at_s + 360, call(f"c{n}")))
        at_s += 361
        watched.at(at_s, t.ok(at_s, f"c{n}"))
    assert watched.history == ["ACTIVE", "STALLED", "ACTIVE"]
    watched.until(at_s + 541)
    assert watched.states == ["STALLED"], "there is an end to it"


def test_slowness_of_a_tool_that_came_to_an_end_is_told_once():
    watched, t = Watched(rules={"max_duration_ms": 0}), Transcript()
    watched.at(0, t.header(), t.user(0))
    at_s = 1
    for n in range(5):
        watched.at(at_s, t.assistant(at_s, call(f"c{n}", "browser")))
        at_s += 350
        watched.at(at_s, t.result(at_s, f"c{n}", tool="browser"))
    assert watched.history == ["ACTIVE", "STALLED", "ACTIVE"]


def test_parent_has_stalled_only_when_all_its_sub_agents_have():
    watched, _, kids = family("a", "b")
    kid = kids["b"]
    for at_s in range(50, 1000, 50):
        step = f"w{at_s}"
        told = kid.assistant(at_s, call(step, "read")), kid.result(at_s, step, tool="read")
        watched.at(at_s, lines(*told, session_id="b"))
    assert watched.states == ["WAITING"]
    assert "[STALLED] read running 15m 48s" in watched.text, "that is the helper's own line"
    watched.until(1300)
    assert watched.states == ["STALLED"]
    assert first(watched).endswith("| for 2 sub-agents")
    watched.at(1301, lines(kid.assistant(1301, call("last", "read")), session_id="b"))
    assert watched.states == ["WAITING"]


def test_sub_agent_of_which_one_line_is_shown_says_there_that_it_has_stalled():
    watched, _, _ = family("a", policy=Policy((Rule(level=Level.COMPACT, kind=SessionKind.SUBAGENT),)))
    watched.until(300)
    assert "Sub-agent: a running" in watched.text
    watched.until(310)
    assert "Sub-agent: a [STALLED] read running 5m 00s" in watched.text


def test_sub_agent_that_never_writes_a_line_stalls_its_parent():
    watched, t = Watched(entries={KEY: entry()}), Transcript()
    watched.at(0, t.header(), t.user(0))
    watched.at(2, t.assistant(1, spawn("s")), t.spawned(1, "s", A), t.final(2))
    watched.until(299)
    assert watched.states == ["WAITING"]
    watched.until(301)
    assert watched.states == ["STALLED"]
    assert "[STALLED] thinking 5m 00s" in watched.text


def test_session_of_which_only_the_store_tells_stalls_like_a_model():
    watched = Watched(entries={KEY: entry(**status("running", started_s=0))}, started_s=-1)
    watched.until(10)
    assert first(watched).startswith("[ACTIVE] main | ")
    watched.until(305)
    assert watched.text == "[STALLED] main | 5m 00s | thinking 5m 00s"


def test_patience_without_an_end_never_stalls():
    rules = {"patience": Patience(0, 0, {}), "max_duration_ms": 0}
    watched, t = begun(rules=rules)
    watched.until(50_000)
    assert watched.states == ["ACTIVE"]
    watched.at(50_001, t.ok(50_001, "c1"))
    watched.until(100_000)
    assert watched.states == ["ACTIVE"]


def test_stall_is_a_change_of_state_and_what_clears_it_too():
    watched, t = begun()
    watched.at(2, t.ok(2, "c1"))
    watched.until(310)
    words = [text.split("]")[0] for texts in watched.player.seen.texts.values() for text in texts]
    assert words.count("[STALLED") == 1, "it is told when it begins; ticks come later"


# Retrying


def test_error_is_retried_while_it_settles():
    watched, t = begun()
    watched.at(2, t.ok(2, "c1"))
    watched.at(3, t.failed(3))
    assert first(watched) == "[RETRYING] main | 3s | try 1 failed"
    watched.at(9, t.failed(9))
    assert first(watched) == "[RETRYING] main | 9s | try 2 failed"
    watched.until(22)
    assert watched.history == ["ACTIVE", "RETRYING", "ERROR"]
    assert "Error: 529 Overloaded" in watched.text


def test_error_that_another_message_followed_stands_above_its_answer():
    """It need not wait until it has settled: the next turn would have its box first."""
    watched, t = Watched(), Transcript()
    watched.at(0, t.header(), t.user(0, "Please"), t.failed(0.2))
    watched.at(0.7, t.user(0.7, "Something else"), t.assistant(1, call()), t.ok(1.1, "c1"))
    watched.at(1.2, t.assistant(1.2, said("Here."), stop="stop"))
    assert watched.states == ["RETRYING", "DONE"]
    watched.until(20)
    assert watched.states == ["ERROR", "DONE"]


def test_repeated_prompt_is_the_next_try_under_way():
    watched, t = Watched(), Transcript()
    watched.at(0, t.header(), t.user(0, "Please"), t.failed(1))
    watched.at(4, t.user(4, "Please"))
    assert first(watched) == "[RETRYING] main | 4s | try 2"
    watched.at(6, t.assistant(6, call()))
    assert first(watched) == "[ACTIVE] main | 6s | try 2"


def test_tries_that_only_the_store_tells_of_are_counted():
    watched, t = Watched(entries={KEY: entry()}), Transcript()
    watched.at(0, t.header(version=4), t.user(0))
    watched.store_at(0.2, **status("running", started_s=-0.1))
    watched.store_at(0.3, **status("running", started_s=0.1))
    watched.until(2.5)
    assert watched.states == ["ACTIVE"], "a channel's session is said to run before its line is written"
    watched.store_at(3, **status("running", started_s=2.9))
    assert first(watched) == "[RETRYING] main | 3s | try 2"
    watched.at(9, t.assistant(9, call()))
    assert first(watched) == "[ACTIVE] main | 9s"


def test_try_after_a_result_is_the_second_one():
    """As seen on 2026.9.6: within a run the store's start moves with each further try, and not otherwise."""
    watched, t = begun(entries={KEY: entry(**status("running", started_s=0.5))})
    watched.at(2, t.ok(2, "c1"))
    watched.store_at(3.3, **status("running", started_s=3.2))
    assert first(watched) == "[RETRYING] main | 3s | try 2"
    watched.store_at(6.3, **status("running", started_s=6.2))
    assert first(watched) == "[RETRYING] main | 6s | try 3"
    watched.at(9, t.failed(9))
    watched.store_at(9.1, **status("failed", started_s=6.2, ended_s=9))
    assert first(watched) == "[RETRYING] main | 9s | try 3 failed"


def test_run_that_begins_anew_after_a_compaction_is_no_try():
    watched, t = begun(entries={KEY: entry(**status("running", started_s=0.5))})
    watched.at(2, t.ok(2, "c1"), t.entry(3, "compaction", summary="s"))
    watched.store_at(4, **status("running", started_s=3.9))
    assert watched.states == ["ACTIVE"]
    assert watched.text.endswith("[session compacted - continuing]")


def test_start_that_the_store_tells_beside_the_message_is_no_try():
    watched, t = Watched(entries={KEY: entry()}), Transcript()
    watched.at(0, t.header(version=4), t.user(0))
    watched.store_at(0.1, **status("running", started_s=0.01))
    watched.store_at(0.3, **status("running", started_s=0.2))
    watched.until(5)
    assert watched.states == ["ACTIVE"]


def test_store_that_runs_anew_counts_anew():
    watched, t = Watched(entries={KEY: entry()}), Transcript()
    watched.at(0, t.header(version=4), t.user(0))
    for started_s in (0.1, 1, 2):
        watched.store_at(started_s + 0.1, **status("running", started_s=started_s))
    watched.at(3, t.assistant(3, call()), t.ok(4, "c1"), t.final(4))
    watched.store_at(4, **status("done", started_s=2, ended_s=4))
    watched.store_at(20, **status("running", started_s=20.1))
    watched.at(20, t.user(20, "Again"))
    watched.until(23)
    assert watched.states == ["DONE", "ACTIVE"]


def test_failure_that_only_the_store_tells_of_is_no_try():
    watched, t = begun(entries={KEY: entry(**status("running", started_s=0))})
    watched.at(2, t.ok(2, "c1"))
    watched.store_at(5, **status("failed", started_s=0, ended_s=4.9))
    watched.until(30)
    assert watched.history == ["ACTIVE", "ERROR"]


def test_a_player_is_never_asked_to_look_again_at_once():
    """A look that is asked for at a time that has come already would never end."""
    watched, t = begun()
    heard(watched, 2, pending(lasts_s=300))
    watched.at(3, t.ok(3, "c1"))
    for at_s in (302, 303, 304, 1000):
        watched.until(at_s)
        wake_ms = watched.board.next_wake_ms()
        assert isinstance(watched.player, Player)
        assert wake_ms is None or wake_ms > ms(at_s)
