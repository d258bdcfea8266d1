"""What the store's word says of a run: an end without a time, and whose end it is."""

import captures
import pytest
from builders import KEY, Transcript, Watched, call, child_entry, child_key, entry, lines, ms, spawn, status

from status_watcher.core.index import StoreStatus

WORDS = [
    ("done", {}, "DONE"),
    ("failed", {}, "ERROR"),
    ("failed", {"abortedLastRun": True}, "INTERRUPTED"),
    ("killed", {}, "ABORTED"),
    ("timeout", {}, "TIMEOUT"),
]


def working(**more) -> tuple[Watched, Transcript]:
    """Asked at 0 s, a command from 1 s to 2 s, and nothing since."""
    watched = Watched(entries={KEY: entry(**more)})
    t = Transcript()
    watched.at(0, t.header(), t.user(0), t.assistant(1, call()))
    watched.at(2, t.ok(2, "c1"))
    return watched, t


@pytest.mark.parametrize(("word", "fields", "state"), WORDS)
def test_status_without_the_time_of_the_end_ends_the_turn_that_it_began_with(word, fields, state):
    watched, _ = working(**status("running", started_s=-0.5))
    watched.store_at(10, **status(word, started_s=-0.5), updatedAt=ms(10), **fields)
    watched.until(30)
    assert watched.states == [state]


def test_status_without_the_time_of_the_end_is_taken_back_by_a_further_line():
    watched, t = working(**status("running", started_s=0))
    watched.store_at(10, **status("failed", started_s=0), updatedAt=ms(10))
    watched.until(30)
    watched.at(31, t.assistant(31, call("c2")))
    assert watched.history == ["ACTIVE", "ERROR", "ACTIVE"]


@pytest.mark.parametrize("started", [{"started_s": -30}, {}], ids=["earlier run", "unknown run"])
def test_status_without_the_time_of_the_end_and_of_another_run_ends_nothing(started):
    watched, _ = working()
    watched.store_at(10, **status("failed", **started), updatedAt=ms(10))
    watched.until(100)
    assert watched.states == ["ACTIVE"]


def test_status_that_was_last_heard_of_before_the_last_line_ends_nothing():
    watched, _ = working()
    watched.store_at(10, **status("failed", started_s=0), updatedAt=ms(1))
    watched.until(100)
    assert watched.states == ["ACTIVE"]


def test_child_without_a_line_ends_by_a_status_without_the_time_of_the_end():
    key = child_key("a")
    running = child_entry("a", **status("running", started_s=1))
    watched, t = Watched(entries={KEY: entry(), key: running}), Transcript()
    watched.at(0, t.header(), t.user(0), t.assistant(1, spawn("s")), t.spawned(1, "s", key), t.final(2))
    watched.store_at(60, key, **status("failed", started_s=1), updatedAt=ms(59))
    watched.until(75)
    assert watched.states == ["DONE"]
    assert "[ERROR] 58s" in watched.text


@pytest.mark.parametrize("name", [n for n in captures.names() if n < "2026.8"])
def test_every_recorded_end_has_its_time(name):
    """So that the rule for those without one decides nothing in what real gateways were seen to write."""
    for change in captures.load(name).store:
        for key, fields in change.entries.items():
            ended = fields.get("status") in set(StoreStatus) - {StoreStatus.RUNNING}
            assert not ended or fields.get("endedAt"), key


SHORT = {"idle_timeout_ms": 4_000, "max_duration_ms": 12_000}


def test_finished_parent_is_done_though_it_is_past_its_age_when_its_child_ends():
    key = child_key("a")
    watched = Watched(entries={KEY: entry(), key: child_entry("a")}, rules=SHORT)
    t, kid = Transcript(), Transcript("a", prefix="k")
    watched.at(0, t.header(), t.user(0), t.assistant(1, spawn("s")), t.spawned(1, "s", key), t.final(2))
    watched.at(2, lines(kid.header(2), kid.user(2), kid.assistant(2, call("k1")), session_id="a"))
    watched.until(13)
    assert watched.states == ["TIMEOUT"]
    watched.at(14, lines(kid.ok(14, "k1"), session_id="a"))
    watched.at(16, lines(kid.final(16), session_id="a"))
    watched.until(25)
    assert watched.states == ["ACTIVE"], "the answer to the child's end may still come"
    watched.until(40)
    assert watched.history == ["WAITING", "TIMEOUT", "WAITING", "ACTIVE", "DONE"]


def test_error_of_a_turn_past_its_age_is_an_error():
    watched, t = Watched(rules=SHORT), Transcript()
    watched.at(0, t.header(), t.user(0), t.assistant(1, call()))
    watched.at(4, t.ok(4, "c1"))
    watched.at(7, t.failed(7))
    watched.until(30)
    assert watched.history[-1] == "ERROR"
    assert "TIMEOUT" not in watched.history
