"""Which turn the answer to a sub-agent's end belongs to, where the run of the model is named for the child
(2026.9.6).
"""

from builders import KEY, Transcript, Watched, call, child_entry, child_key, entry, lines, spawn

A, B = child_key("a"), child_key("b")


def answering(key: str) -> dict[str, str]:
    return {"runId": f"announce:v1:{key}:735d4833-92a3-432a-b1fe-cadbda8ce91c"}


def two_turns() -> tuple[Watched, Transcript, dict[str, Transcript]]:
    """Two turns that have ended but for the sub-agent that each of them has started."""
    watched, t = Watched(entries={KEY: entry(), A: child_entry("a"), B: child_entry("b")}), Transcript()
    watched.at(0, t.header(), t.user(0), t.assistant(1, spawn("s1", "one")), t.spawned(1, "s1", A))
    watched.at(2, t.final(2, "First started."))
    watched.at(10, t.user(10), t.assistant(11, spawn("s2", "two")), t.spawned(11, "s2", B))
    watched.at(12, t.final(12, "Second started."))
    kids = {name: Transcript(name, prefix=name) for name in "ab"}
    for name, at_s in (("a", 1), ("b", 11)):
        kid = kids[name]
        begun = (kid.header(at_s), kid.user(at_s), kid.assistant(at_s + 0.5, call(name)))
        watched.at(13, lines(*begun, session_id=name))
    return watched, t, kids


def test_answer_stands_in_the_box_of_the_turn_that_started_the_child():
    watched, t, kids = two_turns()
    watched.at(20, lines(kids["a"].ok(20, "a"), kids["a"].final(20, "A ends."), session_id="a"))
    watched.at(22, t.final(22, "The first is back.", asked_s=21, __openclaw=answering(A)))
    assert watched.states == ["DONE", "WAITING"]
    assert "The first is back." in watched.texts[0]
    watched.at(30, lines(kids["b"].ok(30, "b"), kids["b"].final(30, "B ends."), session_id="b"))
    watched.at(32, t.final(32, "The second is back.", asked_s=31, __openclaw=answering(B)))
    assert watched.states == ["DONE", "DONE"]
    assert "The second is back." in watched.texts[1]


def test_answer_that_calls_tools_goes_on_in_the_same_box():
    watched, t, kids = two_turns()
    watched.at(20, lines(kids["a"].ok(20, "a"), kids["a"].final(20), session_id="a"))
    meta = {"__openclaw": answering(A)}
    watched.at(22, t.assistant(22, call("c9", command="check"), asked_s=21, **meta))
    watched.at(23, t.ok(23, "c9"))
    watched.at(24, t.final(24, "Checked.", asked_s=23.5, **meta))
    assert "exec: check [OK]\nChecked." in watched.texts[0]
    assert "check" not in watched.texts[1]


def test_answer_while_a_person_is_being_answered_takes_nothing_from_that_turn():
    watched, t, kids = two_turns()
    watched.at(20, lines(kids["a"].ok(20, "a"), kids["a"].final(20), session_id="a"))
    watched.at(21, t.user(21, "A third thing"))
    watched.at(22, t.final(22, "The first is back.", asked_s=20.5, __openclaw=answering(A)))
    watched.at(24, t.assistant(24, call("c3", command="third")), t.ok(25, "c3"))
    watched.at(26, t.final(26, "Third.", __openclaw={"runId": "704f0965"}))
    assert "The first is back." in watched.texts[0]
    assert watched.texts[2].split("\n")[1:3] == ["exec: third [OK]", "Third."]


def test_answer_for_an_unknown_child_is_as_one_that_names_none():
    watched, t, kids = two_turns()
    watched.at(20, lines(kids["b"].ok(20, "b"), kids["b"].final(20), session_id="b"))
    watched.at(22, t.final(22, "Back.", asked_s=21, __openclaw=answering(child_key("nobody"))))
    assert "Back." in watched.texts[1], "the newest turn with sub-agents"
