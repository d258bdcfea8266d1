"""Which turns get a box at all, what is found at start, and first turns without a transcript."""

from dataclasses import replace

import pytest
from builders import (
    CHANNEL,
    KEY,
    SESSION,
    T0,
    Transcript,
    Watched,
    call,
    child_entry,
    child_key,
    entry,
    gone,
    lines,
    ms,
    said,
    status,
    store,
)
from simulate import DEFAULT_CHANNEL, Player, board

from status_watcher.core.board import FIRST_TURN, box_id_of, parts_of
from status_watcher.core.post import BoxRecord
from status_watcher.model import (
    AgentId,
    Box,
    BoxId,
    ChannelId,
    ChannelTarget,
    Closing,
    EntryId,
    Making,
    PostId,
    SessionId,
    State,
    Urgency,
)
from status_watcher.source import IndexSeen, Reading

REF = (AgentId("main"), SessionId(SESSION))
FIRST = box_id_of(REF, FIRST_TURN)
PLACE = ChannelTarget(ChannelId(CHANNEL), PostId(""))


def turn(t: Transcript, start_s: float, *, ended: bool = True, text: str = "Please do it") -> list[bytes]:
    n = t.made
    made = [
        t.user(start_s, text),
        t.assistant(start_s + 1, said(f"Step {n}."), call(f"c{n}")),
        t.ok(start_s + 2, f"c{n}"),
    ]
    return [*made, t.final(start_s + 3, f"Answer {n}.")] if ended else made


# A file that is seen for the first time


def test_of_a_file_first_seen_only_the_last_turn_counts():
    watched, t = Watched(started_s=100), Transcript()
    old = [t.header(0), *turn(t, 0), *turn(t, 20), *turn(t, 90, ended=False)]
    watched.at(101, lines(*old, reading=Reading.FIRST))
    assert watched.states == ["ACTIVE"]
    assert "Step 8." in watched.text


def test_last_turn_that_ended_before_this_run_gets_no_box():
    watched, t = Watched(started_s=100), Transcript()
    watched.at(101, lines(t.header(0), *turn(t, 90), reading=Reading.FIRST))
    watched.until(300)
    assert watched.boxes == []


def test_last_turn_that_ended_in_this_run_gets_a_box():
    watched, t = Watched(started_s=100), Transcript()
    watched.at(104, lines(t.header(0), *turn(t, 0), *turn(t, 98), reading=Reading.FIRST))
    assert watched.states == ["DONE"]
    assert "Step 4." in watched.text


def test_file_born_in_this_run_with_several_turns_shows_the_last():
    watched, t = Watched(started_s=-10), Transcript()
    watched.at(20, lines(t.header(0), *turn(t, 0), *turn(t, 10), reading=Reading.FIRST))
    assert len(watched.boxes) == 1


def test_turn_whose_end_only_the_store_dates_into_this_run_is_as_old_as_its_last_line():
    found_dead = status("failed", started_s=0, ended_s=101, abortedLastRun=True)
    watched, t = Watched(started_s=100, entries={KEY: entry(**found_dead)}), Transcript()
    watched.at(101, lines(t.header(0), *turn(t, 0, ended=False), reading=Reading.FIRST))
    watched.until(300)
    assert watched.boxes == []


def test_turn_found_timed_out_gets_a_box_when_it_goes_on():
    watched, t = Watched(started_s=10_000), Transcript()
    watched.at(10_001, lines(t.header(0), *turn(t, 0, ended=False), reading=Reading.FIRST))
    assert watched.boxes == []
    watched.at(10_010, t.assistant(10_010, call("again")))
    assert watched.states == ["ACTIVE"]


def test_nothing_is_shown_of_a_file_that_is_still_being_read():
    watched, t = Watched(started_s=100), Transcript()
    first, second = turn(t, 80, ended=False), [t.final(83), *turn(t, 90)]
    watched.at(101, lines(t.header(0), *first, reading=Reading.FIRST, more_follows=True))
    watched.store_at(104, updatedAt=T0 + 1)
    watched.until(106)
    assert watched.boxes == []
    watched.at(107, lines(*second))
    watched.until(200)
    assert watched.boxes == []


def test_lines_copied_into_a_forked_thread_are_not_its_turns():
    watched, t = Watched(started_s=-10), Transcript()
    copied = turn(t, -5)
    watched.at(1, lines(t.header(0, parentSession="/s/parent.jsonl"), *copied, reading=Reading.FIRST))
    watched.until(50)
    assert watched.boxes == []
    watched.at(60, *turn(t, 57))
    assert watched.states == ["DONE"]


def test_late_answer_to_a_turn_from_before_this_run_changes_nothing_unless_it_calls_a_tool():
    child = child_key("c")
    entries = {KEY: entry(), child: child_entry("kid")}
    watched, t, kid = Watched(started_s=100, entries=entries), Transcript(), Transcript("kid", prefix="k")
    old = [
        t.header(0),
        t.user(0),
        t.assistant(1, call("s", "sessions_spawn", task="x", label="helper")),
        t.spawned(1, "s", child),
        t.final(2, "Started."),
    ]
    kid_lines = [kid.header(1), kid.user(1, "[Subagent Context] x"), kid.final(5)]
    watched.at(
        101,
        lines(*old, reading=Reading.FIRST),
        lines(*kid_lines, session_id="kid", reading=Reading.FIRST),
    )
    watched.at(103, t.final(103, "A child reported back."))
    watched.until(120)
    assert watched.boxes == []
    watched.at(121, t.assistant(121, call("late")))
    assert watched.states == ["ACTIVE"]


# Boxes of an earlier run of the daemon


def record(turn_id: str, at_s: float = 0) -> BoxRecord:
    box_id = box_id_of(REF, EntryId(turn_id))
    return BoxRecord(box_id, PLACE, "nonce", ms(at_s), PostId("p" * 26))


def restarted(*records: BoxRecord, started_s: float = 100) -> Watched:
    watched = Watched(started_s=started_s)
    assert watched.board.restore(records, ms(started_s)) == [REF]
    return watched


def test_box_of_the_last_run_goes_on_as_active():
    t = Transcript()
    watched = restarted(record("e1"))
    watched.at(101, lines(t.header(), *turn(t, 0, ended=False), reading=Reading.FIRST))
    assert watched.states == ["ACTIVE"]
    assert list(watched.player.seen.final) == [box_id_of(REF, EntryId("e1"))]


def test_box_of_the_last_run_is_closed_with_the_outcome_that_its_turn_had_meanwhile():
    t = Transcript()
    watched = restarted(record("e1"))
    everything = [t.header(), *turn(t, 0), *turn(t, 50)]
    watched.at(101, lines(*everything, reading=Reading.FIRST))
    watched.until(300)
    assert watched.states == ["DONE"]
    assert "Answer 0." in watched.text


def test_box_of_a_session_in_the_archive_is_closed_with_the_outcome_found_there():
    t = Transcript()
    watched = restarted(record("e1"))
    watched.at(101, lines(t.header(), *turn(t, 0), reading=Reading.FIRST), gone("deleted"))
    assert watched.states == ["DONE"]


CLOSING = Closing(State.INTERRUPTED, 15_000, one_line=False)


def test_box_whose_turn_is_nowhere_is_closed_with_what_its_post_says():
    watched = restarted(record("e1"))
    watched.until(114)
    assert watched.boxes == []
    watched.until(116)
    (box,) = watched.boxes
    assert (box.closing, box.making, box.ended) == (CLOSING, Making.NEVER, True)
    assert box.text == "[INTERRUPTED] main\n\n[INTERRUPTED]", "for those who ask for the state"


def test_S1_nothing_is_given_up_while_nothing_of_its_agent_can_be_read():
    """As where a disk is mounted late, or a database is damaged: its source has no news of it."""
    unread = Player(board(ms(100)), ms(100))
    unread.board.restore([record("e1")], ms(100))
    unread.until(ms(4_000))
    assert unread.seen.final == {}
    assert unread.board.problems(ms(114)) == ()
    waiting = "1 open box waits for sessions of agent main: none could be read since the start"
    assert unread.board.problems(ms(116)) == (waiting,)
    unread.at(ms(4_001), store({KEY: entry()}))
    assert unread.board.problems(ms(4_001)) == ()
    unread.until(ms(4_015))
    assert unread.seen.final == {}, "its sessions have as long as after a start"
    unread.until(ms(4_017))
    (box,) = unread.seen.final.values()
    assert box.closing == CLOSING


def test_a_box_whose_agent_is_away_for_a_day_is_closed():
    player = Player(board(ms(100)), ms(100))
    player.board.restore([record("e1")], ms(100))
    player.until(ms(100 + 86_399))
    assert player.seen.final == {}
    player.until(ms(100 + 86_401))
    (box,) = player.seen.final.values()
    assert box.closing == CLOSING
    assert player.board.problems(player.now_ms) == ()


def test_another_agents_news_say_nothing_of_a_box():
    player = Player(board(ms(100)), ms(100))
    player.board.restore([record("e1")], ms(100))
    player.at(ms(101), IndexSeen(AgentId("other"), {}))
    player.until(ms(200))
    assert player.seen.final == {}


def test_box_that_was_closed_without_its_turn_goes_on_when_that_is_found():
    watched, t = restarted(record("e1")), Transcript()
    watched.until(116)
    assert watched.boxes[0].closing == CLOSING
    watched.at(120, lines(t.header(), *turn(t, 0, ended=False), reading=Reading.FIRST))
    (box,) = watched.boxes
    assert (box.closing, box.making, box.ended) == (None, Making.ANYWHERE, False)
    assert watched.states == ["ACTIVE"]


def test_P5_box_that_was_not_found_by_the_time_we_stop_says_that_we_stop():
    watched = restarted(record("e1"), replace(record("e2"), post_id=None))
    watched.until(105)
    assert watched.board.render(box_id_of(REF, EntryId("e1"))) is None
    watched.board.stop(ms(105))
    box = watched.board.render(box_id_of(REF, EntryId("e1")))
    assert box == Box(PLACE, "[INTERRUPTED]", False, making=Making.NEVER, closing=CLOSING)
    assert watched.board.render(box_id_of(REF, EntryId("e2"))) is None, "there is no post of it"


def test_box_whose_turn_is_not_found_is_not_given_up_at_the_first_look():
    watched, t = restarted(record("elsewhere")), Transcript()
    watched.at(101, lines(t.header(), *turn(t, 0), reading=Reading.FIRST))
    watched.store_at(102, updatedAt=T0 + 1)
    watched.until(114)
    assert watched.boxes == []
    watched.until(116)
    assert watched.states == ["INTERRUPTED"]


def test_first_turn_box_of_the_last_run_is_that_turns_and_not_the_next_ones():
    t = Transcript()
    watched = restarted(record(FIRST_TURN, at_s=3))
    everything = [t.header(), *turn(t, 0), *turn(t, 90, ended=False)]
    watched.at(101, lines(*everything, reading=Reading.FIRST))
    assert watched.states == ["DONE", "ACTIVE"]
    assert "Answer 0." in watched.texts[0]
    first_box, *_ = watched.player.seen.final
    assert first_box == box_id_of(REF, EntryId("e1"))


def ended_record(turn_id: str, kept_s: float) -> BoxRecord:
    return replace(record(turn_id), ended=True, text_sha256=b"t", kept_at_ms=ms(kept_s))


@pytest.mark.parametrize("later", [False, True])
def test_ended_box_whose_turn_went_on_while_we_were_away_says_what_came_of_it(later):
    t = Transcript()
    known = [t.header(), *turn(t, 0, ended=False), t.final(50, "After all.")]
    known += turn(t, 60) if later else []
    watched = restarted(ended_record("e1", kept_s=40))
    watched.at(101, lines(*known, reading=Reading.FIRST))
    watched.until(300)
    assert list(watched.player.seen.final) == [box_id_of(REF, EntryId("e1"))]
    assert watched.states == ["DONE"]
    assert "After all." in watched.text


def test_ended_box_whose_turn_still_goes_on_when_we_come_back_goes_on():
    t = Transcript()
    watched = restarted(ended_record("e1", kept_s=40))
    known = [t.header(), *turn(t, 0, ended=False), t.assistant(90, call("more"))]
    watched.at(101, lines(*known, reading=Reading.FIRST))
    assert watched.states == ["ACTIVE"]
    watched.at(110, t.ok(110, "more"), t.final(111))
    assert watched.history == ["ACTIVE", "DONE"]


def test_ended_box_that_a_late_answer_with_tools_reopened_while_we_were_away_shows_it():
    child = child_key("c")
    watched, t, kid = restarted(ended_record("e1", kept_s=30)), Transcript(), Transcript("kid", prefix="k")
    watched.entries[child] = child_entry("kid")
    known = [
        t.header(0),
        t.user(0),
        t.assistant(1, call("s", "sessions_spawn", task="x", label="helper")),
        t.spawned(1, "s", child),
        t.final(2, "Started."),
        t.assistant(50, call("late", command="use it")),
        t.ok(51, "late"),
        t.final(52, "Used."),
    ]
    kid_lines = [kid.header(1), kid.user(1, "[Subagent Context] x"), kid.final(15)]
    watched.at(
        101,
        watched.look(),
        lines(*known, reading=Reading.FIRST),
        lines(*kid_lines, session_id="kid", reading=Reading.FIRST),
    )
    assert watched.history == ["DONE"]
    assert "use it" in watched.text


def test_ended_box_of_a_turn_that_has_not_gone_on_is_not_touched():
    t = Transcript()
    watched = restarted(ended_record("e1", kept_s=4), ended_record("elsewhere", kept_s=4))
    watched.at(101, lines(t.header(), *turn(t, 0), reading=Reading.FIRST))
    watched.until(300)
    assert watched.boxes == []
    assert watched.player.seen.withdrawn == []


def test_ended_box_is_reopened_by_a_late_answer_with_tools_after_our_restart_and_by_no_other():
    t = Transcript()
    spawned = [t.header(), t.user(0), t.assistant(1, call("s", "sessions_spawn", task="x", label="helper"))]
    spawned += [t.spawned(1, "s", child_key("c")), t.final(2, "Started."), t.final(20, "It is back.")]
    watched = restarted(ended_record("e1", kept_s=31))
    watched.at(101, lines(*spawned, reading=Reading.FIRST))
    watched.at(103, t.final(103, "Late."))
    watched.until(130)
    assert watched.boxes == []
    watched.at(131, t.assistant(131, call("late")))
    assert list(watched.player.seen.final) == [box_id_of(REF, EntryId("e1"))]
    assert watched.states == ["ACTIVE"]


def test_ended_box_about_whose_text_there_is_doubt_is_written_again():
    """The server may have got, or not, what was sent when we were killed."""
    t = Transcript()
    watched = restarted(replace(ended_record("e1", kept_s=60), text_sha256=None))
    watched.at(101, lines(t.header(), *turn(t, 0), reading=Reading.FIRST))
    assert watched.states == ["DONE"]


def test_first_turn_box_that_had_ended_is_that_of_the_turn_that_was_written_down_afterwards():
    t = Transcript()
    watched = restarted(ended_record(FIRST_TURN, kept_s=30))
    watched.at(101, lines(t.header(), *turn(t, 0), *turn(t, 95, ended=False), reading=Reading.FIRST))
    assert watched.states == ["DONE", "ACTIVE"]
    first_box, *_ = watched.player.seen.final
    assert first_box == box_id_of(REF, EntryId("e1"))


def test_first_turn_box_that_had_ended_is_not_that_of_a_turn_begun_later():
    t, elsewhere = Transcript(), ChannelTarget(ChannelId("elsewherexxxxxxxxxxxxxxxxx"), PostId(""))
    watched = restarted(replace(ended_record(FIRST_TURN, kept_s=30), target=elsewhere))
    watched.at(101, lines(t.header(90), *turn(t, 90, ended=False), reading=Reading.FIRST))
    watched.until(300)
    assert list(watched.player.seen.final) == [box_id_of(REF, EntryId("e1"))]
    assert watched.boxes[0].target == PLACE, "it is not the old post"


def test_name_of_a_box_is_taken_apart_whatever_the_entry_is_called():
    assert parts_of(box_id_of(REF, EntryId("a/b"))) == (REF, EntryId("a/b"))
    assert parts_of(box_id_of(REF, FIRST_TURN)) == (REF, FIRST_TURN)


# No box


def test_no_box_for_a_turn_of_less_than_two_seconds_without_tools():
    watched, t = Watched(), Transcript()
    watched.at(0, t.header(), t.user(0))
    watched.at(1.9, t.final(1.9))
    watched.until(100)
    assert watched.boxes == []


def test_length_of_a_turn_is_taken_from_its_own_lines():
    watched, t = Watched(), Transcript()
    watched.at(5, lines(t.header(), t.user(0), t.final(1.9), reading=Reading.FIRST))
    watched.until(100)
    assert watched.boxes == []


def test_turn_of_two_seconds_without_tools_has_a_box():
    watched, t = Watched(), Transcript()
    watched.at(0, t.header(), t.user(0))
    watched.until(1.9)
    assert watched.boxes == []
    watched.until(2.1)
    assert watched.states == ["ACTIVE"]
    watched.at(4, t.final(4))
    assert watched.states == ["DONE"]


HEARTBEATS = {
    "2.26": "Read HEARTBEAT.md if it exists (workspace context). Follow it strictly.",
    "7.1": "[OpenClaw heartbeat poll]",
}


@pytest.mark.parametrize("version", HEARTBEATS)
def test_heartbeats_get_no_box_also_when_they_call_tools(version):
    watched, t = Watched(), Transcript(version=version)
    watched.at(0, t.header(), t.user(0, HEARTBEATS[version]), t.assistant(1, call()))
    watched.at(5, t.ok(5, "c1"), t.final(6, "HEARTBEAT_OK"))
    watched.until(100)
    assert watched.boxes == []


@pytest.mark.parametrize("version", HEARTBEATS)
def test_heartbeat_that_fails_gets_a_box(version):
    watched, t = Watched(), Transcript(version=version)
    watched.at(0, t.header(), t.user(0, HEARTBEATS[version]), t.assistant(1, call()))
    watched.at(5, t.ok(5, "c1"), t.failed(6))
    watched.until(30)
    assert watched.states == ["ERROR"]


def test_session_for_heartbeats_gets_no_box_whatever_it_is_asked():
    watched, t = Watched(entries={"agent:main:main:heartbeat": entry()}), Transcript()
    watched.at(0, t.header(), *turn(t, 0, text="Look after the garden"))
    watched.until(60)
    assert watched.boxes == []


def test_message_that_speaks_of_the_heartbeat_file_is_a_persons():
    watched, t = Watched(), Transcript()
    watched.at(0, t.header(), t.user(0, 'Why do you say "Read HEARTBEAT.md if it exists"?'))
    watched.until(3)
    assert watched.states == ["ACTIVE"]


@pytest.mark.parametrize("word", ["NO_REPLY", "no_reply", "HEARTBEAT_OK", "ANNOUNCE_SKIP", "REPLY_SKIP"])
def test_silent_reply_without_tools_gets_no_box(word):
    watched, t = Watched(), Transcript()
    watched.at(10, lines(t.header(), t.user(0), t.final(9, word), reading=Reading.FIRST))
    watched.until(100)
    assert watched.boxes == []


def test_silent_reply_after_tools_is_work_without_words():
    watched, t = Watched(), Transcript()
    watched.at(0, t.header(), t.user(0), t.assistant(1, call()), t.ok(2, "c1"), t.final(3, "NO_REPLY"))
    assert watched.states == ["DONE"]
    assert "NO_REPLY" not in watched.text


def test_box_that_turns_out_silent_and_empty_is_taken_back():
    watched, t = Watched(), Transcript()
    watched.at(0, t.header(), t.user(0))
    watched.until(8)
    assert watched.states == ["ACTIVE"]
    watched.at(9, t.final(9, "NO_REPLY"))
    watched.until(100)
    assert watched.boxes == []
    assert len(watched.player.seen.withdrawn) == 1


def test_box_with_work_in_it_stays_though_the_answer_is_silent():
    watched, t = Watched(), Transcript()
    watched.at(0, t.header(), t.user(0), t.assistant(1, call("w")))
    watched.at(3, t.ok(3, "w"), t.final(9, "NO_REPLY"))
    watched.until(100)
    assert watched.states == ["DONE"]
    assert watched.player.seen.withdrawn == []


def test_memory_flush_gets_no_box_and_the_turn_after_it_does():
    watched, t = Watched(), Transcript(version="2.26")
    flush = "Pre-compaction memory flush. Store durable memories now."
    watched.at(0, t.header(), t.user(0, flush), t.assistant(1, call("m", "write", path="memory.md")))
    watched.at(3, t.ok(3, "m"), t.final(4, "NO_REPLY"))
    assert watched.boxes == []
    watched.at(5, t.user(5), t.assistant(6, call()))
    assert watched.states == ["ACTIVE"]


def test_what_the_gateway_itself_answers_gets_no_box():
    watched, t = Watched(), Transcript()
    watched.at(0, t.header(), t.user(0, "/new"), t.injected(0.1, "✅ New session started."))
    watched.until(100)
    assert watched.boxes == []


def test_notice_of_the_gateway_does_not_end_a_turn_whose_model_still_answers():
    watched, t = Watched(), Transcript()
    watched.at(0, t.header(), t.user(0), t.injected(0.5, "⚙️ Compacting first …"))
    watched.at(4, t.assistant(4, call()))
    assert watched.states == ["ACTIVE"]
    assert list(watched.player.seen.final) == [box_id_of(REF, EntryId("e1"))]


def test_copies_of_delivered_text_after_the_end_are_no_turn():
    watched, t = Watched(), Transcript()
    watched.at(0, t.header(), *turn(t, 0))
    watched.at(4, t.injected(4, "Answer 0.", model="delivery-mirror"))
    watched.until(60)
    assert len(watched.boxes) == 1


# Where


def test_cron_run_that_works_goes_to_the_default_channel():
    job = "agent:main:cron:job-1"
    cron = entry(label="Cron: nightly")
    watched, t = Watched(entries={job: cron, f"{job}:run:{SESSION}": cron}), Transcript()
    watched.at(0, t.header(), *turn(t, 0, text="[cron:job-1 nightly] do it"))
    assert watched.boxes[0].target == ChannelTarget(DEFAULT_CHANNEL, PostId(""))
    assert watched.text.startswith("[DONE] Cron: nightly | 3s")


def test_no_box_without_a_channel_of_its_own_or_a_default_one():
    watched = Watched(entries={"agent:main:main": {"sessionId": SESSION}}, default_channel=None)
    t = Transcript()
    watched.at(0, t.header(), *turn(t, 0))
    watched.until(60)
    assert watched.boxes == []
    assert watched.board.counts().waiting == 0


def test_session_that_the_store_does_not_name_waits_for_it_before_it_goes_to_the_default_channel():
    watched, t = Watched(entries={}), Transcript()
    watched.at(0, t.header(), *turn(t, 0, ended=False))
    assert watched.boxes == []
    watched.entries = {KEY: entry()}
    watched.at(1, watched.look())
    assert watched.boxes[0].target == PLACE


def test_torn_store_at_start_sends_no_box_to_the_wrong_channel():
    player, t = Player(board(T0), T0), Transcript()
    player.at(T0, lines(t.header(), *turn(t, 0, ended=False)))
    player.until(T0 + 9_000)
    assert player.seen.final == {}
    player.at(T0 + 9_000, store({KEY: entry()}))
    (box,) = player.seen.final.values()
    assert box.target == PLACE


def test_without_any_store_the_default_channel_has_the_box_in_the_end():
    player, t = Player(board(T0), T0), Transcript()
    player.at(T0, lines(t.header(), *turn(t, 0, ended=False)))
    player.until(T0 + 11_000)
    (box,) = player.seen.final.values()
    assert box.target == ChannelTarget(DEFAULT_CHANNEL, PostId(""))


# A first turn whose transcript is not on disk yet


def started(at_s: float = 0, **more) -> Watched:
    return Watched(entries={KEY: entry(**status("running", started_s=at_s), **more)}, started_s=at_s)


def test_first_turn_gets_its_box_once_the_store_has_shown_it_running_for_two_seconds():
    watched = started()
    watched.until(1.9)
    assert watched.boxes == []
    watched.until(2.1)
    assert watched.text == "[ACTIVE] main | 2s | thinking 2s"


def test_first_turn_that_is_over_sooner_gets_none():
    watched = started()
    watched.store_at(1.5, **status("done", started_s=0, ended_s=1.4))
    watched.until(60)
    assert watched.boxes == []


def test_box_of_a_first_turn_becomes_that_of_the_turn_when_its_lines_come():
    watched, t = started(), Transcript()
    watched.until(5)
    watched.at(6, lines(t.header(5.9), *turn(t, 0), reading=Reading.FIRST))
    assert list(watched.player.seen.final) == [box_id_of(REF, EntryId("e1"))]
    assert watched.states == ["DONE"]
    assert watched.player.seen.withdrawn == []


@pytest.mark.parametrize("noise", ["heartbeat", "silent", "command"])
def test_box_of_a_first_turn_that_proves_to_be_noise_is_taken_back(noise):
    watched, t = started(), Transcript()
    watched.until(5)
    turns = {
        "heartbeat": [t.user(0, HEARTBEATS["7.1"]), t.final(5, "HEARTBEAT_OK")],
        "silent": [t.user(0), t.final(5, "NO_REPLY")],
        "command": [t.user(0, "/status"), t.injected(5, "All is well.")],
    }
    watched.at(6, lines(t.header(5), *turns[noise], reading=Reading.FIRST))
    assert watched.boxes == []
    assert len(watched.player.seen.withdrawn) == 1
    watched.until(60)
    assert watched.boxes == []


def test_first_turn_without_lines_ends_with_the_stores_word():
    watched = started()
    watched.until(5)
    watched.store_at(8, **status("done", started_s=0, ended_s=7.9))
    watched.until(11)
    assert watched.text == "[DONE] main | 7s\n\n[DONE] 7s"


def test_first_turn_that_failed_without_lines_may_be_tried_again():
    watched = started()
    watched.store_at(8, **status("failed", started_s=0, ended_s=7.9))
    watched.until(19.9)
    assert watched.states == ["ACTIVE"]
    watched.until(20.1)
    assert watched.states == ["ERROR"]


@pytest.mark.parametrize("how", ["replaced", "removed"])
def test_first_turn_whose_session_leaves_the_store_without_a_line_is_interrupted(how):
    watched = started()
    watched.until(5)
    watched.entries = {KEY: entry("another")} if how == "replaced" else {}
    watched.at(6, watched.look())
    watched.until(20)
    assert watched.states == ["INTERRUPTED"]


def test_first_turn_that_nothing_is_heard_of_is_timed_out():
    watched = started()
    watched.until(1_799)
    assert watched.states == ["STALLED"]
    watched.until(1_810)
    assert watched.states == ["TIMEOUT"]


def test_session_left_running_long_ago_without_a_transcript_gets_no_box():
    watched = Watched(entries={KEY: entry(**status("running", started_s=0))}, started_s=500)
    watched.until(600)
    assert watched.boxes == []


def test_transcript_that_is_read_right_after_the_store_makes_no_box_of_its_own():
    watched, t = Watched(entries={KEY: entry(**status("running", started_s=95))}, started_s=100), Transcript()
    watched.at(101, lines(t.header(0), *turn(t, 0), *turn(t, 90), reading=Reading.FIRST))
    watched.until(160)
    assert watched.boxes == []
    assert watched.player.seen.withdrawn == []


def test_store_alone_makes_no_box_of_a_sub_agent():
    entries = {child_key("c"): child_entry(SESSION, **status("running", started_s=0))}
    watched = Watched(entries=entries, started_s=0)
    watched.until(60)
    assert watched.boxes == []


# The number of open boxes


def crowd(count: int, most_open: int) -> tuple[Watched, dict[str, Transcript]]:
    ids = [f"s{n}" for n in range(count)]
    entries = {f"agent:main:mattermost:channel:{CHANNEL[:-1]}{n}": entry(i) for n, i in enumerate(ids)}
    watched = Watched(entries=entries, most_open=most_open)
    transcripts = {i: Transcript(i) for i in ids}
    for n, (i, t) in enumerate(transcripts.items()):
        watched.at(n, lines(t.header(n), t.user(n), t.assistant(n, call()), session_id=i))
    return watched, transcripts


def test_only_so_many_boxes_are_open_and_the_rest_are_counted():
    watched, _ = crowd(5, most_open=3)
    counts = watched.board.counts()
    assert (counts.active, counts.waiting, counts.tracked) == (3, 2, 5)
    assert len(watched.boxes) == 3


def test_oldest_waiting_box_gets_the_free_place():
    watched, transcripts = crowd(5, most_open=3)
    t = transcripts["s1"]
    watched.at(10, lines(t.ok(10, "c1"), t.final(10), session_id="s1"))
    assert [parts_of(b)[0][1] for b in watched.player.seen.final] == ["s0", "s1", "s2", "s3"]
    counts = watched.board.counts()
    assert (counts.active, counts.waiting) == (3, 1)


def test_turn_that_ends_while_it_waits_gets_one_final_post():
    watched, transcripts = crowd(5, most_open=3)
    t = transcripts["s4"]
    watched.at(10, lines(t.ok(10, "c1"), t.final(10), session_id="s4"))
    assert watched.states == ["ACTIVE"] * 3 + ["DONE"]
    *_, texts = watched.player.seen.texts.values()
    assert len(texts) == 1
    counts = watched.board.counts()
    assert (counts.active, counts.waiting) == (3, 1)


def test_reopened_box_keeps_its_post_though_all_places_are_taken():
    watched, transcripts = crowd(2, most_open=1)
    t = transcripts["s0"]
    watched.at(10, lines(t.ok(10, "c1"), t.failed(10), session_id="s0"))
    watched.until(23)
    assert watched.states == ["ERROR", "ACTIVE"]
    watched.at(24, lines(t.assistant(24, call("again")), session_id="s0"))
    assert watched.states == ["ACTIVE", "ACTIVE"]
    assert watched.board.counts().active == 2


def test_box_that_ended_while_it_waited_counts_as_open_when_it_is_reopened():
    watched, transcripts = crowd(2, most_open=1)
    t = transcripts["s1"]
    watched.at(10, lines(t.ok(10, "c1"), t.failed(10), session_id="s1"))
    watched.until(23)
    assert watched.states == ["ACTIVE", "ERROR"]
    watched.at(24, lines(t.assistant(24, call("again")), session_id="s1"))
    assert watched.board.counts().active == 2
    watched.at(25, lines(t.ok(25, "again"), t.final(25), session_id="s1"))
    assert watched.board.counts().active == 1


def box_of(session_id: str) -> BoxId:
    return box_id_of((REF[0], SessionId(session_id)), EntryId("e1"))


def test_box_that_nobody_can_see_gives_its_place_to_one_that_waits():
    """Its channel takes no post of ours, or a person has deleted the post: the publisher tells."""
    watched, transcripts = crowd(5, most_open=3)
    (hidden, *_) = watched.player.seen.final
    watched.board.hear_of_hidden(hidden, hidden=True)
    watched.player.at(ms(10))
    assert [parts_of(b)[0][1] for b in watched.player.seen.final] == ["s0", "s1", "s2", "s3"]
    counts = watched.board.counts()
    assert (counts.active, counts.waiting) == (3, 1)
    t = transcripts["s0"]
    watched.at(11, lines(t.ok(11, "c1"), t.assistant(11, call("c2")), session_id="s0"))
    assert "exec: make test [OK]" in watched.texts[0], "the publisher still hears of it, and may try again"
    watched.at(12, lines(t.ok(12, "c2"), t.final(12), session_id="s0"))
    counts = watched.board.counts()
    assert (counts.active, counts.waiting) == (3, 1), "it had no place that would be free now"


def test_box_that_can_be_seen_after_all_takes_a_place_again():
    watched, transcripts = crowd(5, most_open=3)
    (first, *_) = watched.player.seen.final
    for hidden in (True, True, False, False):
        watched.board.hear_of_hidden(first, hidden=hidden)
    watched.player.at(ms(10))
    counts = watched.board.counts()
    assert (counts.active, counts.waiting) == (4, 1), "beside those that were let in meanwhile"
    t = transcripts["s1"]
    watched.at(11, lines(t.ok(11, "c1"), t.final(11), session_id="s1"))
    counts = watched.board.counts()
    assert (counts.active, counts.waiting) == (3, 1)


def test_what_is_said_of_a_box_that_is_not_there_or_waits_changes_nothing():
    watched, _ = crowd(5, most_open=3)
    assert watched.board.render(box_of("s4")) is not None
    for name in ("nobody", "s4"):
        for hidden in (True, False):
            watched.board.hear_of_hidden(box_of(name), hidden=hidden)
    counts = watched.board.counts()
    assert (counts.active, counts.waiting) == (3, 2)


def test_stop_marks_every_open_box_and_no_ended_one():
    watched, transcripts = crowd(4, most_open=3)
    t = transcripts["s0"]
    watched.at(10, lines(t.ok(10, "c1"), t.final(10), session_id="s0"))
    watched.board.stop(ms(12))
    changes = watched.board.take_changes()
    assert len(changes.touched) == 3
    for box_id, urgency in changes.touched:
        box = watched.board.render(box_id)
        assert box is not None
        assert urgency is Urgency.STATE
        assert not box.ended
        assert box.text.startswith("[INTERRUPTED] main | ")
        assert box.text.splitlines()[-1].startswith("[INTERRUPTED] ")


def test_store_without_lines_does_not_close_a_box():
    watched, t = Watched(), Transcript()
    watched.at(0, t.header(), *turn(t, 0, ended=False))
    watched.at(5, store({}))
    watched.at(60, store({}))
    assert watched.states == ["ACTIVE"]
