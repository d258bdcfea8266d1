"""The board as its owner sees it: what has changed, when it wants to be called, and what it forgets."""

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
)

from status_watcher.core import boxes as boxes_module
from status_watcher.core.board import box_id_of
from status_watcher.model import AgentId, BoxId, EntryId, SessionId, Urgency

BOX = box_id_of((AgentId("main"), SessionId(SESSION)), EntryId("e1"))


def running() -> tuple[Watched, Transcript]:
    watched, t = Watched(), Transcript()
    watched.at(0, t.header(), t.user(0), t.assistant(0, call()))
    return watched, t


def test_change_is_told_once():
    watched, t = running()
    watched.board.take(lines(t.ok(1, "c1")), ms(1))
    watched.board.advance(ms(1))
    assert watched.board.take_changes().touched == ((BOX, Urgency.LINES),)
    assert watched.board.take_changes().touched == ()


def test_lines_that_show_nothing_change_nothing():
    watched, t = running()
    watched.board.take(lines(t.entry(1, "custom", customType="openclaw.cache-ttl")), ms(1))
    watched.board.take(lines(b"not a line"), ms(1))
    watched.board.advance(ms(1))
    assert watched.board.take_changes().touched == ()


def test_looks_at_the_store_that_say_nothing_new_change_nothing():
    watched, _ = running()
    for at_ms in range(100, 5_000, 100):
        watched.entries[KEY] = watched.entries[KEY] | {"updatedAt": T0 + at_ms}
        watched.board.take(watched.look(), T0 + at_ms)
        watched.board.advance(T0 + at_ms)
        assert watched.board.take_changes().touched == ()


def test_end_is_marked_so_that_it_goes_first():
    watched, t = running()
    watched.board.take(lines(t.ok(1, "c1"), t.final(2)), ms(2))
    watched.board.advance(ms(2))
    assert watched.board.take_changes().touched == ((BOX, Urgency.END),)


def test_elapsed_time_alone_is_told_coarsely_and_as_a_tick():
    watched, _ = running()
    told = []
    for at_s in range(1, 900):
        watched.board.advance(ms(at_s))
        touched = watched.board.take_changes().touched
        if touched:
            assert touched == ((BOX, Urgency.TICK),)
            told.append(at_s)
    assert told[:6] == [15, 30, 45, 60, 90, 120]
    assert told[-1] - told[-2] == 60


def worth(watched: Watched, at_s: float, *news: bytes) -> list[Urgency]:
    """What the board takes these lines for."""
    watched.board.take(lines(*news), ms(at_s))
    watched.board.advance(ms(at_s))
    return [urgency for _, urgency in watched.board.take_changes().touched]


def test_change_is_worth_what_somebody_may_be_waiting_for():
    watched, t = Watched(), Transcript()
    assert worth(watched, 0, t.header(), t.user(0), t.assistant(0, call("one"))) == [Urgency.STATE]
    assert worth(watched, 1, t.ok(1, "one")) == [Urgency.LINES]
    assert worth(watched, 2, t.assistant(2, call("two"))) == [Urgency.LINES]
    assert worth(watched, 3, t.result(3, "two", error=True)) == [Urgency.EVENT]
    assert worth(watched, 4, t.assistant(4, call("three"))) == [Urgency.LINES], "no more of the failure"
    assert worth(watched, 5, t.ok(5, "three"), t.final(5)) == [Urgency.END]


def test_board_says_when_it_wants_to_be_called():
    watched, t = running()
    assert watched.board.next_wake_ms() == ms(15)
    watched.at(2, t.ok(2, "c1"), t.final(3))
    watched.until(100)
    assert watched.board.next_wake_ms() is None, "nothing is open"


def test_ended_box_reads_the_same_for_ever():
    watched, t = running()
    watched.at(2, t.ok(2, "c1"), t.final(3))
    before = watched.board.render(BOX)
    watched.until(10_000)
    assert watched.board.render(BOX) == before


def test_text_keeps_to_the_length_that_the_server_turned_out_to_take():
    watched, t = running()
    for n in range(12):
        watched.at(n + 1, t.assistant(n + 1, said("word " * 30), call(f"n{n}")))
    watched.board.limit_chars(300)
    box = watched.board.render(BOX)
    assert box is not None
    assert len(box.text) <= 300
    watched.board.limit_chars(15_000)
    assert watched.board.render(BOX) == box, "it does not grow again"


def test_there_is_nothing_to_render_of_a_box_that_is_not_there():
    watched, _ = running()
    assert watched.board.render(BoxId("main/x/y")) is None


def test_old_ended_boxes_are_forgotten_and_never_made_again(monkeypatch):
    monkeypatch.setattr(boxes_module, "MOST_BOXES", 10)
    entries = {f"agent:main:mattermost:channel:{CHANNEL[:-2]}{n:02}": entry(f"s{n}") for n in range(30)}
    watched = Watched(entries=entries)
    watched.board._boxes._most = 10
    for n in range(30):
        t = Transcript(f"s{n}")
        turn = [t.header(n), t.user(n), t.assistant(n, call()), t.ok(n, "c1"), t.final(n)]
        watched.at(n, lines(*turn, session_id=f"s{n}"))
    assert len(watched.boxes) == 30
    assert len(watched.board._boxes._boxes) <= 12
    seen = {box: list(texts) for box, texts in watched.player.seen.texts.items()}
    watched.entries = {key: fields | {"updatedAt": T0 + 1} for key, fields in entries.items()}
    watched.at(40, watched.look())
    watched.until(100)
    assert watched.player.seen.texts == seen


def test_ended_boxes_that_the_server_was_not_given_yet_are_not_forgotten(monkeypatch):
    """M4: an outage in which more turns end than are remembered."""
    monkeypatch.setattr(boxes_module, "MOST_BOXES", 10)
    entries = {f"agent:main:mattermost:channel:{CHANNEL[:-2]}{n:02}": entry(f"s{n}") for n in range(40)}
    watched = Watched(entries=entries)
    watched.board._boxes._most = 10

    def run(n: int) -> None:
        t = Transcript(f"s{n}")
        turn = [t.header(n), t.user(n), t.assistant(n, call()), t.ok(n, "c1"), t.final(n)]
        watched.at(n, lines(*turn, session_id=f"s{n}"))

    away = True
    watched.board.keep_while(lambda _: away)
    for n in range(30):
        run(n)
    assert len(watched.board._boxes._boxes) == 30
    assert all(watched.board.render(box_id) is not None for box_id in watched.board._boxes._boxes)
    away = False
    for n in range(30, 40):
        run(n)
    assert len(watched.board._boxes._boxes) <= 12


def test_forgotten_session_takes_its_sub_agents_along():
    kid_key = child_key("kid")
    watched, t, kid = (
        Watched(entries={KEY: entry(), kid_key: child_entry("kid")}),
        Transcript(),
        Transcript("kid"),
    )
    watched.at(
        0,
        t.header(),
        t.user(0),
        t.assistant(1, call("s", "sessions_spawn")),
        t.spawned(1, "s", kid_key),
        t.final(2),
    )
    watched.at(3, lines(kid.header(2), kid.user(2), kid.final(3), session_id="kid"))
    watched.until(30)
    watched.entries = {kid_key: watched.entries[kid_key]}
    watched.at(31, gone("deleted"), watched.look())
    watched.until(50)
    assert watched.board.counts().tracked == 2, "the sub-agent is still there"
    watched.entries = {}
    watched.at(51, gone("deleted", "kid"), watched.look())
    watched.until(70)
    assert watched.board.counts().tracked == 0
    assert watched.states == ["DONE"]


def test_sub_agents_of_a_session_that_lives_on_are_forgotten_one_by_one():
    watched, t = Watched(), Transcript()
    watched.at(0, t.header())
    for n in range(60):
        at_s, name, key = 20 * n, f"kid{n}", child_key(f"kid{n}")
        kid = Transcript(name, prefix=name)
        watched.entries = {KEY: entry(), key: child_entry(name)}
        started = (t.user(at_s), t.assistant(at_s, call(f"s{n}", "sessions_spawn")))
        watched.at(at_s, *started, t.spawned(at_s, f"s{n}", key), watched.look())
        watched.at(at_s, lines(kid.header(at_s), kid.user(at_s), kid.final(at_s + 1), session_id=name))
        watched.at(at_s + 3, t.final(at_s + 2))
        watched.entries = {KEY: entry()}
        watched.at(at_s + 4, gone("deleted", name), watched.look())
    watched.until(1300)
    forest = watched.board._forest
    assert watched.board.counts().tracked == 2, "the last turn still holds its own"
    assert len(forest._spawners) == len(forest._entries._absent_long) == 1
    assert watched.states == ["DONE"] * 60
    watched.at(1310, t.user(1310), t.final(1311))
    assert watched.board.counts().tracked == 1
    assert (forest._spawners, forest._doubted, forest._entries._absent_long) == ({}, {}, {})


def test_sub_agent_of_an_older_turn_is_forgotten_as_soon_as_it_is_nowhere():
    watched, t, kid, key = Watched(), Transcript(), Transcript("kid", prefix="k"), child_key("kid")
    watched.entries[key] = child_entry("kid")
    watched.at(0, t.header(), t.user(0), t.assistant(1, call("s", "sessions_spawn")), t.spawned(1, "s", key))
    watched.at(3, lines(kid.header(2), kid.user(2), kid.final(3), session_id="kid"), t.final(3))
    watched.at(30, t.user(30), t.final(31))
    del watched.entries[key]
    watched.at(40, gone("deleted", "kid"), watched.look())
    watched.until(50)
    assert watched.board.counts().tracked == 1
    assert watched.states == ["DONE"]


def test_skipped_lines_are_counted_by_reason_also_of_forgotten_sessions():
    watched, t = running()
    watched.at(1, b"\xff", b"[]", t.ok(1, "c1"), t.final(2))
    watched.entries = {}
    watched.at(3, gone("deleted"), watched.look())
    watched.until(60)
    assert watched.board.counts().tracked == 0
    assert watched.board.skipped_lines() == {"not_json": 1, "not_an_object": 1}


@pytest.mark.parametrize("order", [1, -1])
def test_news_of_one_moment_is_concluded_from_together(order):
    watched, t = Watched(entries={}), Transcript()
    watched.entries = {KEY: entry(**status("running", started_s=0))}
    news = [lines(t.header(), t.user(0), t.assistant(1, call())), watched.look()][::order]
    watched.at(5, *news)
    assert watched.states == ["ACTIVE"]
    assert watched.player.seen.withdrawn == []
