"""Sub-agents, from the spawn to the answer, at any depth and however they are announced."""

import captures
import orjson
import pytest
from builders import (
    CHANNEL,
    KEY,
    MAIN,
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
    spawn,
    status,
    store,
)
from simulate import Player, board

from status_watcher.core.board import box_id_of
from status_watcher.core.post import BoxRecord
from status_watcher.model import ChannelId, ChannelTarget, EntryId, PostId, SessionId
from status_watcher.source import Reading

A, B = child_key("a"), child_key("b")
VERSIONS = ["2.26", "3.31", "7.1"]


class Family:
    """A parent that has started the helpers, at 1 s, and ended its own run, at 2 s."""

    def __init__(self, version="7.1", names=("a",), final_s: float | None = 2, **more) -> None:
        self.t = Transcript(version=version)
        self.kids = {name: Transcript(name, version=version, prefix=name) for name in names}
        entries = {KEY: entry()} | {
            child_key(name): child_entry(name, label=f"helper-{name}") for name in names
        }
        self.watched = Watched(entries=entries, **more)
        watched, t = self.watched, self.t
        watched.at(0, t.header(), t.user(0))
        watched.at(
            1,
            t.assistant(1, said("Starting."), *(spawn(f"s-{name}", f"helper-{name}") for name in names)),
            *(t.spawned(1, f"s-{name}", child_key(name)) for name in names),
        )
        for name, kid in self.kids.items():
            self.say(1.2, name, kid.header(1.2), kid.user(1.2, "[Subagent Context] (depth 1/3)"))
            self.say(1.5, name, kid.assistant(1.5, call(f"k-{name}", command=f"work {name}")))
        if final_s is not None:
            watched.at(final_s, t.final(final_s, "They are at work."))

    def say(self, at_s: float, name: str, *some: bytes) -> None:
        self.watched.at(at_s, lines(*some, session_id=name))

    def end(self, at_s: float, name: str) -> None:
        """The child's last lines."""
        kid = self.kids[name]
        self.say(at_s, name, kid.ok(at_s, f"k-{name}"), kid.final(at_s, f"Report {name}."))

    def answer(self, at_s: float, name: str, *more: bytes, text: str = "It reported back.") -> None:
        """The parent hears of it, as its version has it, and answers."""
        told = []
        if self.t.version != "7.1":
            told = [
                self.t.announced(at_s, label=f"helper-{name}", child_session=name, child_key=child_key(name))
            ]
        self.watched.at(at_s, *told, *(more or [self.t.final(at_s, text)]))


@pytest.mark.parametrize("version", VERSIONS)
def test_parent_stays_open_while_a_child_works_and_shows_its_lines(version):
    f = Family(version)
    f.watched.until(600)
    assert f.watched.states == ["WAITING"]
    assert f.watched.text.splitlines()[1:] == [
        "Starting.",
        "Sub-agent: helper-a",
        "exec: work a running 9m 00s",
        "",
        "They are at work.",
    ]


@pytest.mark.parametrize("version", VERSIONS)
def test_box_ends_with_the_answer_to_the_last_child(version):
    f = Family(version, names=("a", "b"))
    f.end(5, "a")
    f.answer(5.5, "a")
    assert f.watched.states == ["WAITING"]
    f.end(30, "b")
    assert f.watched.states == ["ACTIVE"]
    f.answer(31, "b", text="Both are done.")
    assert f.watched.states == ["DONE"]
    assert f.watched.text.count("[DONE]") == 4, "first line, two children, last line"
    assert "Both are done." in f.watched.text


@pytest.mark.parametrize("version", VERSIONS)
def test_without_an_answer_the_box_waits_ten_seconds(version):
    f = Family(version)
    f.end(20, "a")
    f.watched.until(29.9)
    assert f.watched.states == ["ACTIVE"]
    f.watched.until(30.1)
    assert f.watched.states == ["DONE"]
    assert f.watched.text.startswith("[DONE] main | 20s"), "it ended with its last line, not with the waiting"


@pytest.mark.parametrize("version", VERSIONS)
def test_answers_to_children_that_end_together_are_all_waited_for(version):
    f = Family(version, names=("a", "b"))
    f.end(20, "a")
    f.end(20.2, "b")
    f.answer(21, "a", text="First.")
    assert f.watched.states == ["ACTIVE"]
    f.answer(23, "b", text="Second.")
    assert f.watched.history == ["ACTIVE", "WAITING", "ACTIVE", "DONE"]
    assert "Second." in f.watched.text


@pytest.mark.parametrize("version", VERSIONS)
def test_late_answer_without_tools_changes_nothing(version):
    f = Family(version)
    f.end(20, "a")
    f.watched.until(40)
    before = f.watched.text
    f.answer(41, "a")
    f.watched.until(100)
    assert f.watched.text == before


@pytest.mark.parametrize("version", VERSIONS)
def test_late_answer_that_calls_a_tool_reopens_the_box(version):
    f = Family(version)
    f.end(20, "a")
    f.watched.until(40)
    f.answer(41, "a", f.t.assistant(42, said("Using it."), call("late", command="use it")))
    assert f.watched.states == ["ACTIVE"]
    f.watched.at(50, f.t.ok(50, "late"), f.t.final(51, "Used."))
    assert f.watched.states == ["DONE"]
    assert f.watched.history == ["ACTIVE", "WAITING", "ACTIVE", "DONE", "ACTIVE", "DONE"]


def test_final_line_after_the_last_childs_end_and_the_wait_ends_the_box_at_once():
    f = Family(final_s=None)
    f.end(5, "a")
    f.watched.at(30, f.t.final(30, "I watched it."))
    assert f.watched.states == ["DONE"]


def test_announcement_that_the_running_parent_has_heard_is_answered_by_its_final_line():
    f = Family("2.26", final_s=None)
    f.end(5, "a")
    f.watched.at(6, f.t.announced(6, label="helper-a", child_session="a"))
    f.watched.at(8, f.t.final(8, "I heard.", asked_s=6.1))
    assert f.watched.states == ["DONE"]


def test_childs_failure_is_the_childs_line():
    f = Family()
    kid = f.kids["a"]
    f.say(5, "a", kid.ok(5, "k-a"))
    f.say(6, "a", kid.failed(6, "500 internal"))
    f.watched.until(17)
    assert f.watched.states == ["WAITING"], "the child may try again"
    f.watched.until(19)
    f.answer(19, "a")
    f.watched.until(60)
    assert f.watched.states == ["DONE"]
    assert "Error: 500 internal" in f.watched.text
    assert "[ERROR] 4s" in f.watched.text


def test_answer_to_a_failed_child_is_waited_for_from_when_the_failure_is_known():
    f = Family()
    kid = f.kids["a"]
    f.say(5, "a", kid.ok(5, "k-a"))
    f.say(6, "a", kid.failed(6))
    f.watched.until(20)
    assert f.watched.states == ["ACTIVE"]
    f.answer(21, "a", text="It failed.")
    assert f.watched.history == ["ACTIVE", "WAITING", "ACTIVE", "DONE"]
    assert "It failed." in f.watched.text


def test_failed_child_of_which_nobody_speaks_is_waited_for_no_longer_than_that():
    f = Family()
    kid = f.kids["a"]
    f.say(6, "a", kid.ok(6, "k-a"), kid.failed(6))
    f.watched.until(27.9)
    assert f.watched.states == ["ACTIVE"]
    f.watched.until(28.1)
    assert f.watched.states == ["DONE"]


def test_refused_spawn_is_an_ordinary_line_with_an_error():
    watched, t = Watched(), Transcript()
    watched.at(0, t.header(), t.user(0), t.assistant(1, spawn("s")))
    watched.at(2, t.result(2, "s", tool="sessions_spawn", status="forbidden"), t.final(3))
    assert watched.states == ["DONE"]
    assert "[ERR]" in watched.text
    assert "Sub-agent: helper\n" not in watched.text


@pytest.mark.parametrize(
    ("version", "how", "state"),
    [
        ("2.26", "completed successfully", "DONE"),
        ("2.26", "timed out", "TIMEOUT"),
        ("2.26", "failed: out of memory", "ERROR"),
        ("3.31", "completed successfully", "DONE"),
        ("3.31", "timed out", "TIMEOUT"),
        ("3.31", "failed", "ERROR"),
    ],
)
def test_child_without_a_final_line_has_ended_when_its_parent_is_told(version, how, state):
    f = Family(version)
    f.watched.at(30, f.t.announced(30, label="helper-a", child_session="a", child_key=A, how=how))
    assert f"[{state}] 28s" in f.watched.text
    f.watched.at(31, f.t.final(31))
    assert f.watched.states == ["DONE"]


def test_failing_words_in_a_childs_name_or_report_do_not_make_it_a_failure():
    watched, t = (
        Watched(entries={KEY: entry(), A: child_entry("a", label="fix failed tests")}),
        Transcript(version="2.26"),
    )
    watched.at(0, t.header(), t.user(0), t.assistant(1, spawn("s", "fix failed tests")), t.spawned(1, "s", A))
    watched.at(2, t.final(2))
    watched.at(20, t.announced(20, label="fix failed tests", child_session="a"), t.final(21))
    assert "[DONE] 19s" in watched.text
    assert "[ERR" not in watched.text


def test_child_of_which_only_the_store_tells_ends_by_the_store():
    watched, t = (
        Watched(entries={KEY: entry(), A: child_entry("a", **status("running", started_s=1))}),
        Transcript(),
    )
    watched.at(0, t.header(), t.user(0), t.assistant(1, spawn("s")), t.spawned(1, "s", A), t.final(2))
    watched.until(60)
    assert watched.states == ["WAITING"]
    assert "starting..." in watched.text
    watched.store_at(60, A, **status("failed", started_s=1, ended_s=59))
    watched.until(75)
    assert watched.states == ["DONE"]
    assert "[ERROR] 58s" in watched.text


def test_child_killed_in_mid_turn_ends_by_the_store():
    f = Family()
    f.watched.store_at(30, A, **status("killed", started_s=1, ended_s=29))
    f.watched.until(45)
    assert f.watched.states == ["DONE"]
    assert "[ABORTED]" in f.watched.text
    assert "exec: work a no result" in f.watched.text


def test_child_that_never_reports_keeps_its_parent_open_until_the_limit():
    f = Family()
    f.watched.until(1799)
    assert f.watched.states == ["STALLED"]
    f.watched.until(5000)
    assert f.watched.states == ["TIMEOUT"]
    assert f.watched.history == ["ACTIVE", "WAITING", "STALLED", "TIMEOUT"]
    assert "exec: work a no result" in f.watched.text
    assert f.watched.text.count("[TIMEOUT]") == 3, "first line, the child's, last line"
    f.watched.store_at(5000, A, updatedAt=ms(5000))
    assert f.watched.states == ["TIMEOUT"], "the child is part of it, and is not timed out by itself"
    f.end(5001, "a")
    f.watched.until(5020)
    assert f.watched.states == ["DONE"]


def test_child_of_which_there_is_no_trace_after_our_restart_is_not_waited_for():
    watched, t = Watched(started_s=100), Transcript()
    before = [t.header(), t.user(0), t.assistant(1, spawn("s")), t.spawned(1, "s", A)]
    watched.at(101, lines(*before, reading=Reading.FIRST))
    watched.at(102, t.final(102))
    watched.until(120)
    assert watched.states == ["DONE"]


# Sub-agents of which there is no trace when we come back


def open_box(session_id: str = SESSION, turn_id: str = "e1", made_ms: int = T0) -> BoxRecord:
    box_id = box_id_of((MAIN, SessionId(session_id)), EntryId(turn_id))
    place = ChannelTarget(ChannelId(CHANNEL), PostId(""))
    return BoxRecord(box_id, place, "nonce", made_ms, PostId("p" * 26))


def after_restart(*known: bytes) -> Watched:
    """The daemon starts at 100 s, with an open box for the turn, and reads these lines at 101 s."""
    watched = Watched(started_s=100)
    watched.board.restore([open_box()], ms(100))
    watched.at(101, lines(*known, reading=Reading.FIRST))
    return watched


def spawning(t: Transcript, *keys: str) -> list[bytes]:
    calls = [spawn(f"s-{key}", f"helper-{key[-1]}") for key in keys]
    first = [t.header(), t.user(0), t.assistant(1, *calls)]
    return [*first, *(t.spawned(1, f"s-{key}", key) for key in keys), t.final(2, "They are at work.")]


def test_children_whose_parent_answered_every_end_before_our_restart_are_done():
    t = Transcript()
    known = [*spawning(t, A, B), t.final(40, "First is back."), t.final(60, "Second is back.")]
    watched = after_restart(*known)
    watched.until(130)
    assert watched.states == ["DONE"]
    assert watched.text.splitlines()[1:] == [
        "Sub-agent: helper-a",
        "[DONE] 39s",
        "",
        "Sub-agent: helper-b",
        "[DONE] 59s",
        "",
        "They are at work.",
        "First is back.",
        "Second is back.",
        "",
        "[DONE] 1m 00s | 400 tokens",
    ]


def test_children_of_whom_too_few_answers_tell_are_said_to_have_ended_and_nothing_more():
    t = Transcript()
    watched = after_restart(*spawning(t, A, B), t.final(60, "They are back."))
    watched.until(130)
    assert watched.states == ["DONE"]
    assert watched.text.count("ended, outcome unknown") == 2
    assert "They are back." in watched.text
    assert "INTERRUPTED" not in "".join(watched.player.seen.texts.popitem()[1])


@pytest.mark.parametrize("version", ["2.26", "3.31"])
def test_child_of_which_the_parent_was_told_before_our_restart_fared_as_it_was_told(version):
    t = Transcript(version=version)
    known = spawning(t, A)
    told = t.announced(60, label="helper-a", child_key=A, child_session="a", how="timed out")
    watched = after_restart(*known, told, t.final(61, "It took too long."))
    assert watched.states == ["DONE"]
    assert "[TIMEOUT] 59s" in watched.text


def test_answer_to_a_child_that_vanished_while_we_were_away_is_waited_for():
    t = Transcript()
    watched = after_restart(*spawning(t, A))
    watched.until(104)
    assert watched.states == ["WAITING"], "one look at the store ends nothing"
    watched.at(112, t.final(112, "It is back."))
    assert watched.history == ["WAITING", "ACTIVE", "DONE"]
    assert "It is back." in watched.text
    before = watched.text
    watched.at(150, t.final(150, "Late."))
    assert watched.text == before


def test_child_that_vanished_while_we_were_away_keeps_no_box_open_for_long():
    t = Transcript()
    watched = after_restart(*spawning(t, A))
    watched.until(114.9)
    assert watched.states == ["ACTIVE"]
    watched.until(115.1)
    assert watched.states == ["DONE"]
    assert "ended, outcome unknown" in watched.text


def test_child_that_the_second_look_at_the_store_finds_is_waited_for():
    t = Transcript()
    watched = after_restart(*spawning(t, A))
    watched.entries[A] = child_entry("a", **status("running", started_s=1))
    watched.until(300)
    assert watched.states == ["WAITING"]


def test_store_that_cannot_be_read_ends_no_child():
    t = Transcript()
    player = Player(board(ms(100)), ms(100))
    player.board.restore([open_box()], ms(100))
    player.at(ms(101), lines(*spawning(t, A), reading=Reading.FIRST))
    player.until(ms(300))
    (box,) = player.seen.final.values()
    assert box.text.startswith("[WAITING]")
    player.at(ms(301), store({KEY: entry()}))
    player.until(ms(312))
    (box,) = player.seen.final.values()
    assert box.text.startswith("[DONE]")


def test_turn_that_seemed_over_gets_its_box_when_the_store_tells_of_its_child():
    t, kid = Transcript(), Transcript("a", prefix="a")
    watched = Watched(started_s=100)
    watched.at(101, lines(*spawning(t, A), reading=Reading.FIRST))
    watched.until(103)
    assert watched.boxes == []
    watched.entries[A] = child_entry("a")
    working = [kid.header(1), kid.user(1, "[Subagent Context]"), kid.assistant(90, call("w"))]
    watched.at(104, watched.look(), lines(*working, session_id="a", reading=Reading.FIRST))
    assert watched.states == ["WAITING"]


def test_children_of_a_recorded_session_that_were_archived_while_we_were_away_are_no_failures():
    capture = captures.load("2026.7.1/subagents-two")
    (parent,) = [data for data in capture.files.values() if b"Starting two helpers." in data]
    known = parent.splitlines()
    header, first = (orjson.loads(line) for line in (known[0], known[4]))
    start_ms = first["message"]["timestamp"]
    now_ms = start_ms + 3_600_000
    player = Player(board(now_ms), now_ms)
    known_box = open_box(header["id"], first["id"], start_ms)
    player.board.restore([known_box], now_ms)
    player.at(now_ms + 100, store({"agent:main:main": entry(header["id"])}))
    player.at(now_ms + 200, lines(*known, session_id=header["id"], reading=Reading.FIRST))
    player.until(now_ms + 60_000)
    ((box_id, box),) = player.seen.final.items()
    assert box_id == known_box.box_id
    text = box.text
    assert text.startswith("[DONE]")
    assert text.count("[DONE]") == 4, "first line, two children, last line"
    assert "B finished" in text


def test_restart_of_the_gateway_ends_what_the_turn_had_started_as_well():
    f = Family("2.26", final_s=None)
    f.watched.at(3, f.t.assistant(3, call("cut")))
    f.watched.at(60, f.t.user(60, "Are you there?"), f.t.assistant(62, call("new")))
    assert f.watched.states == ["INTERRUPTED", "ACTIVE"]
    assert "exec: work a no result" in f.watched.texts[0]


def test_store_closes_an_answer_that_the_gateway_did_not_survive():
    f = Family()
    f.watched.at(10, f.t.user(10, "Else"), f.t.assistant(11, call("x")), f.t.ok(12, "x"), f.t.final(13))
    f.end(20, "a")
    f.answer(21, "a", f.t.assistant(21, call("late")))
    assert f.watched.states == ["ACTIVE", "DONE"]
    f.watched.store_at(40, **status("failed", started_s=20, ended_s=39, abortedLastRun=True))
    f.watched.until(50)
    assert f.watched.states == ["INTERRUPTED", "DONE"]


# Turns beside each other


@pytest.mark.parametrize("version", VERSIONS)
def test_new_turn_has_its_own_box_while_the_older_waits_for_its_child(version):
    f = Family(version)
    f.watched.at(10, f.t.user(10, "Something else"), f.t.assistant(11, call("x", command="else")))
    assert f.watched.states == ["WAITING", "ACTIVE"]
    f.watched.at(12, f.t.ok(12, "x"), f.t.final(13, "Else done."))
    assert f.watched.states == ["WAITING", "DONE"]
    f.end(30, "a")
    f.answer(31, "a", text="It reported back.")
    assert f.watched.states == ["DONE", "DONE"]
    assert "It reported back." in f.watched.texts[0]
    assert "It reported back." not in f.watched.texts[1]


@pytest.mark.parametrize("version", ["2.26", "3.31"])
def test_announcement_is_answered_in_the_turn_that_started_the_child(version):
    f = Family(version)
    f.watched.entries[B] = child_entry("b", label="helper-b")
    f.watched.at(10, f.t.user(10, "And another"), f.t.assistant(11, spawn("s-b", "helper-b")))
    f.watched.at(12, f.t.spawned(12, "s-b", B), f.t.final(13, "Second is at work."), f.watched.look())
    f.end(20, "a")
    f.answer(21, "a", text="First is back.")
    assert f.watched.states == ["DONE", "WAITING"]
    assert "First is back." in f.watched.texts[0]


def test_announcement_into_a_newer_running_turn_ends_the_child_of_the_older():
    f = Family("2.26")
    f.watched.at(10, f.t.user(10, "Something else"), f.t.assistant(11, call("x")))
    f.end(20, "a")
    f.watched.at(21, f.t.announced(21, label="helper-a", child_session="a"))
    f.watched.at(22, f.t.ok(22, "x"), f.t.final(23, "Else done."))
    f.watched.until(40)
    assert f.watched.states == ["DONE", "DONE"]
    assert "Else done." in f.watched.texts[1]


def test_child_that_is_put_to_work_again_after_its_parents_turn_reopens_nothing():
    f = Family()
    f.end(20, "a")
    f.answer(21, "a")
    before = f.watched.text
    kid = f.kids["a"]
    f.say(500, "a", kid.user(500, "One more thing"), kid.assistant(501, call("more")))
    f.watched.until(600)
    assert f.watched.text == before
    assert len(f.watched.boxes) == 1


def test_child_that_is_put_to_work_again_before_its_parents_turn_is_over_is_shown():
    f = Family(names=("a", "b"))
    f.end(5, "a")
    kid = f.kids["a"]
    f.say(8, "a", kid.user(8, "One more thing"), kid.assistant(9, call("more", command="more")))
    assert "exec: more" in f.watched.text


def test_ended_childs_never_get_boxes_when_their_parents_turn_is_forgotten():
    f = Family()
    f.end(5, "a")
    f.answer(6, "a")
    for n in range(3):
        at_s = 100 + n * 10
        f.watched.at(at_s, f.t.user(at_s), f.t.assistant(at_s, call(f"n{n}")), f.t.ok(at_s, f"n{n}"))
        f.watched.at(at_s + 3, f.t.final(at_s + 3))
    f.watched.store_at(140, A, updatedAt=ms(140))
    f.watched.until(200)
    assert f.watched.states == ["DONE"] * 4
    assert all(text.startswith("[DONE] main") for text in f.watched.texts)


def test_reset_of_the_parent_makes_no_box_of_its_child():
    f = Family()
    f.watched.entries[KEY] = entry("new-session")
    f.watched.at(10, gone("reset"), f.watched.look())
    f.end(20, "a")
    f.watched.until(100)
    assert f.watched.states == ["DONE"]
    f.watched.store_at(120, A, updatedAt=ms(120))
    f.watched.until(200)
    assert len(f.watched.boxes) == 1


# Depth


def test_parent_stays_open_for_a_grandchild_whose_own_parent_has_reported():
    f = Family("3.31")
    kid, leaf = f.kids["a"], Transcript("leaf", version="3.31", prefix="l")
    leaf_key = child_key("leaf")
    f.watched.entries[leaf_key] = child_entry("leaf", parent=A, label="leaf")
    f.say(
        3,
        "a",
        kid.ok(3, "k-a"),
        kid.assistant(3, spawn("s-leaf", "leaf")),
        kid.spawned(3, "s-leaf", leaf_key),
    )
    f.watched.at(3.2, f.watched.look())
    f.watched.at(
        3.5,
        lines(
            leaf.header(3.5),
            leaf.user(3.5, "[Subagent Context]"),
            leaf.assistant(4, call("w")),
            session_id="leaf",
        ),
    )
    f.say(5, "a", kid.final(5, "Handed over."))
    f.answer(6, "a", text="It handed over.")
    f.watched.until(60)
    assert f.watched.states == ["WAITING"]
    assert "exec: make test running" in f.watched.text
    f.watched.at(61, lines(leaf.ok(61, "w"), leaf.final(61, "Leaf done."), session_id="leaf"))
    f.say(62, "a", kid.announced(62, label="leaf", child_key=leaf_key), kid.final(63, "Leaf told me."))
    f.answer(64, "a", text="All of it is done.")
    assert f.watched.states == ["DONE"]
    quoted = f.watched.boxes[0].text
    assert "> > > exec: `make test` [OK]" in quoted
    assert "Leaf told me." in quoted
    assert "All of it is done." in quoted


def test_without_any_answer_the_waits_of_all_levels_run_together():
    f = Family()
    kid, leaf = f.kids["a"], Transcript("leaf", prefix="l")
    leaf_key = child_key("leaf")
    f.watched.entries[leaf_key] = child_entry("leaf", parent=A, label="leaf")
    f.watched.at(2.5, f.watched.look())
    f.say(
        3,
        "a",
        kid.ok(3, "k-a"),
        kid.assistant(3, spawn("s-leaf", "leaf")),
        kid.spawned(3, "s-leaf", leaf_key),
    )
    f.watched.at(
        3.5, lines(leaf.header(3.5), leaf.user(3.5, "x"), leaf.assistant(4, call("w")), session_id="leaf")
    )
    f.say(5, "a", kid.final(5, "Handed over."))
    f.watched.at(20, lines(leaf.ok(20, "w"), leaf.final(20, "Leaf done."), session_id="leaf"))
    f.watched.until(29.9)
    assert f.watched.states == ["WAITING"]
    f.watched.until(30.1)
    assert f.watched.states == ["DONE"]


# Yield


def test_yield_waits_for_the_children_and_their_answer_without_a_final_line():
    f = Family(names=("a", "b"), final_s=None)
    t = f.t
    f.watched.at(2, t.assistant(2, call("y", "sessions_yield", message="waiting")), t.yielded(2.1, "y"))
    f.watched.at(2.2, t.entry(2.2, "custom_message", customType="openclaw.sessions_yield", display=False))
    f.watched.until(30)
    assert f.watched.states == ["WAITING"]
    f.end(30, "a")
    f.answer(31, "a", text="One is back.")
    f.end(40, "b")
    f.answer(41, "b", text="Both are back.")
    assert f.watched.history == ["ACTIVE", "WAITING", "ACTIVE", "DONE"]
    assert "Both are back." in f.watched.text


def test_answer_after_a_yield_with_one_child_ends_the_box_at_once():
    f = Family(final_s=None)
    t = f.t
    f.watched.at(2, t.assistant(2, call("y", "sessions_yield")), t.yielded(2.1, "y"))
    f.end(30, "a")
    f.answer(31, "a", text="It is back.")
    assert f.watched.history == ["ACTIVE", "WAITING", "ACTIVE", "DONE"]
    assert "It is back." in f.watched.text


def test_message_after_a_yield_is_a_turn_of_its_own():
    f = Family(final_s=None)
    t = f.t
    f.watched.at(2, t.assistant(2, call("y", "sessions_yield")), t.yielded(2.1, "y"))
    f.watched.at(10, t.user(10, "Meanwhile"), t.assistant(11, call("m")))
    assert f.watched.states == ["WAITING", "ACTIVE"]


def test_yield_without_children_is_an_end():
    watched, t = Watched(), Transcript()
    watched.at(0, t.header(), t.user(0), t.assistant(1, call("y", "sessions_yield")), t.yielded(2, "y"))
    assert watched.states == ["DONE"]


# Graphs that cannot be


def test_child_of_an_unknown_parent_is_shown_as_an_orphan():
    watched, kid = (
        Watched(entries={A: child_entry("a", parent="agent:main:lost", label="helper")}),
        Transcript("a"),
    )
    watched.at(0, lines(kid.header(), kid.user(0), kid.assistant(1, call()), session_id="a"))
    watched.until(1.9)
    assert watched.boxes == []
    watched.until(2.1)
    assert watched.text.startswith("[ACTIVE] helper | ")
    assert isinstance(watched.boxes[0].target, ChannelTarget)


def test_orphan_that_finds_its_parent_later_is_not_deleted():
    f_entries = {KEY: entry(), A: child_entry("a")}
    watched, t, kid = Watched(entries=f_entries), Transcript(), Transcript("a", prefix="a")
    watched.at(0, lines(kid.header(), kid.user(0.5), kid.assistant(1, call("k")), session_id="a"))
    watched.until(3)
    assert watched.states == ["ACTIVE"]
    watched.at(4, t.header(), t.user(0), t.assistant(0.4, spawn("s")), t.spawned(0.5, "s", A), t.final(1))
    watched.at(9, lines(kid.ok(9, "k"), kid.final(9), session_id="a"))
    watched.until(60)
    assert watched.states == ["DONE", "DONE"]
    assert watched.player.seen.withdrawn == []


def test_child_whose_entry_names_no_parent_is_found_by_the_call_that_started_it():
    entries = {KEY: entry(), A: entry("a", label="helper-a")}
    watched, t, kid = Watched(entries=entries), Transcript(), Transcript("a", prefix="a")
    watched.at(0, t.header(), t.user(0), t.assistant(1, spawn("s")), t.spawned(1, "s", A), t.final(2))
    watched.at(
        2, lines(kid.header(), kid.user(1.2), kid.assistant(2, call("k", command="kid")), session_id="a")
    )
    watched.until(10)
    assert len(watched.boxes) == 1
    assert "exec: kid running" in watched.text


def circle(length: int) -> Watched:
    """Sessions each of which is the child of the one before, and the first that of the last."""
    keys = [child_key(f"k{n}") for n in range(length)]
    entries = {key: child_entry(f"k{n}", parent=keys[n - 1], label=f"l{n}") for n, key in enumerate(keys)}
    watched = Watched(entries=entries)
    for n in range(length):
        t = Transcript(f"k{n}", prefix=f"p{n}-")
        below = keys[(n + 1) % length]
        watched.at(
            0,
            lines(
                t.header(),
                t.user(0),
                t.assistant(1, spawn("s")),
                t.spawned(1, "s", below),
                session_id=f"k{n}",
            ),
        )
    watched.until(20)
    return watched


@pytest.mark.parametrize("length", [1, 2, 3, 30])
def test_T16_circle_of_parents_is_cut_and_shown_once(length):
    watched = circle(length)
    assert len(watched.boxes) == 1
    assert len(watched.text.splitlines()) <= 20


def test_T16_two_hundred_levels_end_in_a_bounded_tree():
    keys = [KEY, *(child_key(f"k{n}") for n in range(200))]
    entries = {KEY: entry()} | {
        key: child_entry(f"k{n}", parent=keys[n], label=f"l{n}") for n, key in enumerate(keys[1:])
    }
    watched = Watched(entries=entries)
    names = ["01105dde-d69c-4e3a-9bfd-a511adafc95a", *(f"k{n}" for n in range(200))]
    for n, name in enumerate(names[:-1]):
        t = Transcript(name, prefix=f"p{n}-")
        watched.at(
            0,
            lines(
                t.header(),
                t.user(0),
                t.assistant(1, spawn("s")),
                t.spawned(1, "s", keys[n + 1]),
                session_id=name,
            ),
        )
    watched.until(20)
    assert len(watched.boxes) == 1
    assert "Sub-agent: l7" in watched.text
    assert "Sub-agent: l8" not in watched.text


def test_T16_everybody_claiming_to_have_started_everybody_ends_in_a_bounded_tree():
    count = 30
    keys = [child_key(f"k{n}") for n in range(count)]
    watched = Watched(entries={key: child_entry(f"k{n}", parent=keys[0]) for n, key in enumerate(keys)})
    for n in range(count):
        t = Transcript(f"k{n}", prefix=f"p{n}-")
        spawns = [spawn(f"s{m}") for m in range(count)]
        made = [t.spawned(1, f"s{m}", keys[m]) for m in range(count)]
        watched.at(0, lines(t.header(), t.user(0), t.assistant(1, *spawns), *made, session_id=f"k{n}"))
    watched.until(20)
    assert watched.boxes


@pytest.mark.parametrize("blank", ["  ", "\u200b"])
def test_sub_agent_with_a_label_of_which_nothing_is_seen_goes_by_its_short_id(blank):
    key = child_key("12345678-90ab")
    watched, t = Watched(entries={KEY: entry(), key: child_entry("a", label=blank)}), Transcript()
    watched.at(0, t.header(), t.user(0), t.assistant(1, spawn("s", blank)), t.spawned(1, "s", key))
    assert "Sub-agent: 12345678\n" in watched.text
