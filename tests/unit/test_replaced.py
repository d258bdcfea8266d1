"""A session that its store rewrites, or that is a copy of another: boxes follow the branch that is active."""

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
    ms,
    said,
    spawn,
)
from simulate import labels

from status_watcher.core.replaced import carry_over
from status_watcher.core.session import Session
from status_watcher.model import AgentId, SessionId
from status_watcher.source import Lines, Reading

CHILD = child_key("a")


def replaced(*some: bytes, more_follows: bool = False, session_id: str = SESSION) -> Lines:
    return lines(*some, reading=Reading.REPLACED, more_follows=more_follows, session_id=session_id)


def two_turns() -> tuple[Watched, Transcript, list[bytes], list[bytes]]:
    """A turn that has ended, and one that waits for its command, at 11 s."""
    watched, t = Watched(), Transcript()
    first = [t.header(), t.user(0), t.assistant(1, call("a")), t.ok(2, "a"), t.final(3, "First.")]
    second = [t.user(10, "And now?"), t.assistant(11, said("Look."), call("b"))]
    watched.at(3, *first)
    watched.at(11, *second)
    return watched, t, first, second


def test_turn_at_work_that_is_still_there_goes_on_in_its_box():
    watched, t, first, second = two_turns()
    watched.at(12, replaced(*first, *second))
    watched.at(13, t.ok(13, "b"))
    watched.at(14, t.final(14, "Second."))
    assert watched.states == ["DONE", "DONE"]
    assert watched.texts[1].split("\n")[1:4] == ["Look.", "exec: make test [OK]", "Second."]


def test_turn_at_work_that_is_gone_ends_as_interrupted_when_that_was_seen():
    watched, t, first, _ = two_turns()
    watched.at(15, replaced(*first))
    assert watched.states == ["DONE", "INTERRUPTED"]
    assert watched.texts[1].startswith("[INTERRUPTED] main | 5s\nLook.\nexec: make test no result")
    watched.at(16, t.ok(16, "b"))
    watched.at(20, t.user(20, "Otherwise"), t.assistant(21, call("c")))
    assert watched.states == ["DONE", "INTERRUPTED", "ACTIVE"], "and no later line is about it"
    assert "no result" in watched.texts[1]


def test_ended_turn_that_is_gone_keeps_its_box_as_it_is():
    watched, t, first, _ = two_turns()
    watched.at(14, t.ok(13, "b"), t.final(14, "Second."))
    before = watched.texts
    watched.at(20, replaced(*first))
    watched.at(30, t.user(30, "Otherwise"), t.assistant(31, call("c")))
    assert watched.texts[:2] == before
    assert watched.states == ["DONE", "DONE", "ACTIVE"]


def test_turns_that_ended_before_get_no_box_by_a_rewrite():
    watched, t = Watched(started_s=-60), Transcript()
    old = [t.header(-900), t.user(-900), t.assistant(-890, call("x")), t.ok(-880, "x"), t.final(-870)]
    quick = [t.user(0), t.final(0.5)]
    watched.at(1, lines(*old, *quick, reading=Reading.FIRST))
    watched.at(20, t.user(20, "Work"), t.assistant(21, call("a")))
    watched.at(22, t.ok(22, "a"), t.final(23))
    watched.at(30, replaced(*old, *quick))
    watched.at(31, replaced(*old))
    assert watched.states == ["DONE"]


def test_turn_that_comes_with_the_rewrite_gets_its_box():
    watched, t, first, _ = two_turns()
    watched.at(20, replaced(*first, t.user(19, "Otherwise"), t.assistant(20, call("c"))))
    assert watched.states == ["DONE", "INTERRUPTED", "ACTIVE"]


def test_turn_that_is_back_on_the_branch_goes_on_in_its_box():
    watched, t, first, second = two_turns()
    watched.at(15, replaced(*first))
    watched.at(16, replaced(*first, *second))
    assert watched.states == ["DONE", "ACTIVE"]
    watched.at(17, t.ok(17, "b"), t.final(18, "Second."))
    assert watched.states == ["DONE", "DONE"]


def test_turn_that_is_gone_and_back_before_anybody_looked_goes_on():
    watched, _, first, second = two_turns()
    watched.at(15, replaced(*first), replaced(*first, *second))
    assert watched.states == ["DONE", "ACTIVE"]


def test_result_for_a_turn_that_is_gone_is_nobodys():
    watched, t, first, _ = two_turns()
    watched.at(15, replaced(*first), lines(t.ok(15, "b")))
    assert "exec: make test no result" in watched.texts[1]


def test_message_that_was_a_turn_and_became_part_of_another_may_be_a_turn_again():
    watched, t = Watched(), Transcript()
    first = [t.header(), t.user(0), t.assistant(1, call("a"))]
    message = t.user(10, "Are you there?")
    watched.at(11, *first, message, t.assistant(11, call("b")))
    assert watched.states == ["INTERRUPTED", "ACTIVE"]
    watched.at(12, replaced(*first, message))
    assert watched.states == ["ACTIVE", "INTERRUPTED"]
    watched.at(13, t.assistant(13, call("c", command="again")))
    assert watched.states == ["INTERRUPTED", "ACTIVE"]
    assert "exec: again running" in watched.texts[1]
    watched.at(14, t.ok(14, "c"), t.final(14))
    assert watched.states == ["INTERRUPTED", "DONE"]


def test_old_turn_that_is_at_work_again_gets_a_box():
    watched, t = Watched(), Transcript()
    first = [t.header(), t.user(0), t.assistant(1, call("a")), t.ok(2, "a"), t.final(3)]
    second = [t.user(10), t.assistant(11, call("b"))]
    watched.at(11, lines(*first, *second, reading=Reading.FIRST))
    assert watched.states == ["ACTIVE"], "of what was there before only the last turn counts"
    watched.at(12, replaced(*first[:4]))
    assert watched.states == ["INTERRUPTED", "ACTIVE"]


def test_turns_that_were_forgotten_are_no_news():
    t = Transcript()
    first = [t.header(), t.user(0), t.assistant(1, call("a")), t.ok(2, "a"), t.final(3)]
    second = [t.user(10), t.assistant(11, call("b")), t.ok(12, "b"), t.final(13)]
    third = [t.user(20), t.final(21)]
    old, new = folded(*first, *second), folded(*first, *third)
    old.forget_turns_except(set())
    forgotten = new.turns[0].id
    assert carry_over(old, new, ms(30), keep_departed=True) == {forgotten}
    assert [turn.departed for turn in new.turns] == [True, False, False]


def folded(*some: bytes) -> Session:
    session = Session(AgentId("main"), SessionId(SESSION), labels())
    for line in some:
        session.fold_line(line, None)
    return session


def test_prompt_of_a_turn_that_begins_anew_reopens_its_box():
    watched, t, first, second = two_turns()
    watched.at(13, t.ok(13, "b"), t.final(14, "Second."))
    watched.at(20, replaced(*first, second[0]))
    watched.at(21, t.assistant(21, call("c")))
    assert watched.states == ["DONE", "ACTIVE"]
    assert watched.texts[1].split("\n")[1:] == ["exec: make test running"]


def test_nothing_is_concluded_before_the_last_slice():
    watched, _, first, second = two_turns()
    watched.at(12, replaced(*first, more_follows=True))
    watched.until(13)
    assert watched.states == ["DONE", "ACTIVE"]
    watched.at(14, replaced(*second))
    assert watched.states == ["DONE", "ACTIVE"]


def test_reading_that_begins_anew_forgets_the_slices_before():
    watched, _, first, second = two_turns()
    watched.at(12, replaced(*first, *second, more_follows=True))
    watched.at(13, replaced(*first))
    assert watched.states == ["DONE", "INTERRUPTED"]


def test_end_that_the_store_told_is_not_taken_back():
    watched, _, first, second = two_turns()
    watched.store_at(15, status="killed", startedAt=ms(10), endedAt=ms(14))
    watched.until(18)
    assert watched.states == ["DONE", "ABORTED"]
    watched.store_at(19, status=None)
    watched.at(20, replaced(*first, *second))
    watched.until(25)
    assert watched.states == ["DONE", "ABORTED"]


def test_turn_that_is_gone_waits_for_its_sub_agents():
    watched, t = Watched(), Transcript()
    first = [t.header(), t.user(0), t.assistant(1, spawn("s"))]
    watched.at(2, *first, t.spawned(2, "s", CHILD), t.final(3, "Started."))
    watched.entries[CHILD] = child_entry("kid")
    kid = Transcript("kid", prefix="k")
    watched.at(3, watched.look(), lines(kid.header(2), kid.user(2), session_id="kid"))
    watched.at(4, lines(kid.assistant(4, call("k")), session_id="kid"))
    watched.at(5, replaced(first[0]))
    assert watched.states == ["WAITING"]
    watched.at(6, lines(kid.ok(6, "k"), kid.final(7, "Report."), session_id="kid"))
    assert "Report." in watched.text
    watched.at(8, t.announced(8, child_key=CHILD), t.assistant(9, call("z")))
    watched.until(30)
    assert watched.states == ["DONE", "ACTIVE"]
    assert "exec" not in watched.texts[0].partition("Report.")[2], "no further line is about it"


def test_rewritten_sub_agent_is_shown_as_it_is_now():
    watched, t = Watched(), Transcript()
    watched.at(2, t.header(), t.user(0), t.assistant(1, spawn("s")), t.spawned(2, "s", CHILD))
    watched.entries[CHILD] = child_entry("kid")
    kid = Transcript("kid", prefix="k")
    begun = [kid.header(2), kid.user(2)]
    watched.at(3, watched.look(), lines(*begun, kid.assistant(3, call("k")), session_id="kid"))
    assert "exec: make test running" in watched.text
    watched.at(4, replaced(*begun, kid.assistant(4, call("l", "read", path="x")), session_id="kid"))
    assert "exec: make test" not in watched.text
    assert "read: x running" in watched.text
    assert len(watched.boxes) == 1


def test_session_of_which_nothing_was_known_is_seen_for_the_first_time():
    watched, t = Watched(), Transcript()
    first = [t.header(), t.user(0), t.assistant(1, call("a")), t.ok(2, "a"), t.final(3)]
    watched.at(11, replaced(*first, t.user(10), t.assistant(11, call("b"))))
    assert watched.states == ["ACTIVE"], "of what was there before only the last turn counts"


def test_turn_that_was_over_before_us_stays_so_when_its_answer_is_taken_back():
    watched, t = Watched(started_s=100), Transcript()
    begun = [t.header(), t.user(0), t.assistant(1, spawn("s")), t.spawned(1, "s", CHILD), t.final(2)]
    answer = [t.announced(20, child_key=CHILD), t.assistant(21, call("a")), t.ok(22, "a"), t.final(23)]
    watched.at(101, lines(*begun, *answer, reading=Reading.FIRST))
    watched.at(110, replaced(*begun))
    watched.until(150)
    assert watched.boxes == []
    assert watched.board.broken_looks == 0


# Copies


def copy(*some: bytes, until_s: float, reading: Reading = Reading.FIRST) -> Lines:
    return Lines(AgentId("main"), SessionId("copy"), some, reading, copied_until_ms=ms(until_s))


def test_turns_copied_from_another_session_get_no_box():
    watched, t, first, second = two_turns()
    watched.at(13, t.ok(13, "b"), t.final(14, "Second."))
    header = Transcript("copy").header(40)
    watched.entries = {KEY: entry("copy")}
    watched.at(40, copy(header, *first[1:], *second, until_s=40), gone("reset"), watched.look())
    watched.until(60)
    assert watched.states == ["DONE", "DONE"]
    watched.at(61, lines(t.user(61, "Otherwise"), session_id="copy"))
    watched.at(62, lines(t.assistant(62, call("c")), session_id="copy"))
    assert watched.states == ["DONE", "DONE", "ACTIVE"]


def test_copied_turn_at_work_is_no_turn_of_the_copy():
    watched, t = Watched(entries={KEY: entry("copy")}), Transcript("copy")
    watched.at(40, copy(t.header(40), t.user(0), t.assistant(1, call("a")), until_s=40))
    watched.until(50)
    assert watched.boxes == []
    watched.at(51, lines(t.user(51, "Go on"), t.assistant(52, call("c")), session_id="copy"))
    assert watched.texts == ["[ACTIVE] main | 1s\nexec: make test running"]


def test_copies_that_are_told_again_are_copies_still():
    watched, t = Watched(entries={KEY: entry("copy")}), Transcript("copy")
    old = [t.header(40), t.user(0), t.assistant(1, call("a"))]
    watched.at(40, copy(*old, until_s=40))
    watched.at(45, lines(*old, reading=Reading.REPLACED, session_id="copy"))
    watched.at(46, lines(*old, reading=Reading.AGAIN, session_id="copy"))
    watched.until(60)
    assert watched.boxes == []
