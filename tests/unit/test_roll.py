"""Which sessions are listed and told of, with a box or without one."""

import sys
from typing import Any

import pytest
from builders import (
    CHANNEL,
    KEY,
    MAIN,
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
    status,
    store,
)

from status_watcher.core.lifecycle import POST_WAIT_MS, Event, Lifecycle
from status_watcher.core.policy import Level, Policy, Rule, SessionKind
from status_watcher.core.session_report import SessionReport
from status_watcher.core.snapshot import Snapshot
from status_watcher.model import BoxId, PostId, SessionId, State
from status_watcher.source import Reading
from status_watcher.stuck_command import stuck

REF = (MAIN, SessionId(SESSION))
OFF = Policy((Rule(level=Level.OFF),))
CRON = "agent:main:cron:nightly"
KID = child_key("kid")
USER = "humanuser1xxxxxxxxxxxxxxxx"
DIRECT = f"agent:main:mattermost:direct:{USER}"
HEARTBEAT = "Read HEARTBEAT.md if it exists (workspace context). Follow it strictly."


class Listened(Watched):
    """A board that is looked at twice a second, as the listeners do."""

    def __init__(self, *args: Any, post: str | None = "p", **settings: Any) -> None:
        self.lifecycle = Lifecycle()
        self.events: list[Event] = []
        self.post = PostId(post) if post else None
        super().__init__(*args, **settings)
        self.player.afterwards = self.look_at_board

    def look_at_board(self) -> None:
        now_ms = self.player.now_ms
        self.events += self.lifecycle.look(self.board.take_stirred(now_ms), self._post_of, now_ms)

    def _post_of(self, box_id: BoxId) -> PostId | None:
        return self.post if self.board.render(box_id) is not None else None

    @property
    def told(self) -> list[str]:
        """What was told of whom."""
        return [
            f"{event.snapshot.whose.name} {event.what.value.removeprefix('session.')}"
            for event in self.events
        ]

    def rows(self, most_ended: int = 100) -> list[Snapshot]:
        return self.board.snapshots(self.player.now_ms, most_ended)

    @property
    def listed(self) -> list[str]:
        """Each row's name, state and age."""
        return [
            f"{row.whose.name} {row.standing.state} {row.standing.age_ms // 1000}s" for row in self.rows()
        ]

    def stuck(self, threshold_s: float) -> list[str]:
        """The names of the turns that the command would list."""
        return [report.label for report in stuck(map(report_of, self.rows()), threshold_s)]


def report_of(row: Snapshot) -> SessionReport:
    whose, standing = row.whose, row.standing
    return SessionReport(
        key=whose.key or "",
        label=whose.name,
        agent=whose.agent,
        kind=whose.kind or "",
        state=standing.state.value,
        age_s=standing.age_ms / 1000,
        idle_s=standing.idle_ms / 1000,
        model=standing.model,
        tokens=standing.tokens,
        post="",
        waits_for=standing.waits_for,
    )


def works(watched: Listened, t: Transcript, at_s: float = 0) -> None:
    head = [] if t.made else [t.header(at_s)]
    watched.at(at_s, lines(*head, t.user(at_s), session_id=t.session_id))
    asked = t.assistant(at_s + 1, said("Looking."), call(f"c{at_s}"))
    watched.at(at_s + 1, lines(asked, session_id=t.session_id))


def ends(watched: Listened, t: Transcript, at_s: float, begun_s: float = 0) -> None:
    watched.at(at_s, lines(t.ok(at_s, f"c{begun_s}"), t.final(at_s), session_id=t.session_id))


# Without a box


def test_turn_that_the_operator_wants_no_box_of_is_listed_and_told_of():
    watched, t = Listened(policy=OFF), Transcript()
    works(watched, t)
    watched.until(10)
    (row,) = watched.rows()
    assert watched.listed == ["main ACTIVE 10s"]
    assert (row.whose.key, row.whose.kind) == (KEY, SessionKind.CHANNEL)
    assert (row.standing.model, row.standing.tokens) == ("scripted", 100)
    assert row.standing.idle_ms == 9_000
    assert not row.boxed
    ends(watched, t, 20)
    watched.until(60)
    assert watched.listed == ["main DONE 20s"]
    assert watched.rows()[0].standing.idle_ms == 40_000
    assert watched.told == ["main started", "main finished"]
    assert watched.boxes == []


def test_turn_without_a_place_is_listed_and_told_of_and_waits_for_no_post():
    watched = Listened(entries={CRON: entry("job", channel="", lastTo="", deliveryContext={})})
    unplaced = Listened(
        entries={CRON: entry("job", channel="", lastTo="", deliveryContext={})}, default_channel=None
    )
    for one in (watched, unplaced):
        one.post = None
        works(one, Transcript("job"))
        one.until(POST_WAIT_MS / 1000)  # since its first second
    assert watched.told == [], "there will be a post"
    assert unplaced.told == ["nightly started"]
    assert unplaced.listed == watched.listed == ["nightly ACTIVE 5s"]
    assert unplaced.rows()[0].whose.kind is SessionKind.CRON


def test_turns_that_wait_for_a_place_are_listed():
    watched = Listened(
        entries={KEY: entry(), CRON: entry("job", channel="", lastTo="", deliveryContext={})}, most_open=1
    )
    works(watched, Transcript())
    works(watched, Transcript("job", prefix="j"), 2)
    watched.until(5)
    assert len(watched.boxes) == 1
    assert watched.listed == ["nightly ACTIVE 3s", "main ACTIVE 5s"]


def test_answer_that_was_too_quick_for_a_box_is_listed_and_not_told_of():
    watched, t = Listened(), Transcript()
    works(watched, t)
    ends(watched, t, 10)
    watched.at(30, t.user(30, "Thanks"), t.final(31, "You are welcome."))
    watched.until(60)
    assert watched.listed == ["main DONE 1s"], "the newest turn"
    assert watched.told == ["main started", "main finished"]
    assert len(watched.boxes) == 1


def test_noise_is_listed_while_it_goes_on_and_never_told_of():
    watched, t = Listened(), Transcript()
    works(watched, t)
    ends(watched, t, 10)
    watched.at(600, t.user(600, HEARTBEAT), t.assistant(601, said("Looking."), call("h")))
    watched.until(1_300)
    assert watched.rows()[0].standing.state is not State.DONE
    assert watched.stuck(600) == ["main"], "what hangs in a heartbeat is stuck as well"
    watched.at(1_301, t.ok(1_301, "h"), t.final(1_302, "HEARTBEAT_OK"))
    assert watched.listed == ["main DONE 10s"], "the turn before it"
    assert watched.told == ["main started", "main finished"]


def test_failing_heartbeat_is_told_of_though_nobody_wants_boxes():
    watched, t = Listened(policy=OFF), Transcript()
    watched.at(0, t.header(), t.user(0, HEARTBEAT), t.failed(3))
    watched.until(60)
    assert watched.told == ["main started", "main failed"]
    assert watched.listed == ["main ERROR 3s"]


def test_first_turn_of_which_only_the_store_tells_is_one_turn_with_what_its_transcript_tells():
    watched, t = Listened(entries={KEY: entry() | status("running", started_s=0)}, policy=OFF), Transcript()
    watched.until(20)
    assert watched.listed == ["main ACTIVE 20s"]
    watched.at(21, t.header(), t.user(0), t.assistant(21, call()))
    watched.until(25)
    assert watched.listed == ["main ACTIVE 25s"]
    watched.at(30, t.ok(30, "c1"), t.final(30))
    assert watched.told == ["main started", "main finished"]
    assert len({event.turn for event in watched.events}) == 1


def test_first_turn_that_the_store_told_of_goes_on_though_its_transcript_says_little_yet():
    watched, t = Listened(entries={KEY: entry() | status("running", started_s=0)}, policy=OFF), Transcript()
    watched.until(20)
    watched.at(21, t.header(21), t.user(21))
    watched.at(22, t.assistant(22, call()))
    watched.at(30, t.ok(30, "c1"), t.final(30))
    assert watched.told == ["main started", "main finished"]


def test_first_turn_that_proves_to_be_a_sub_agents_is_its_parents_business():
    key = "agent:main:acp:claude"
    placeless = entry("acp-id", channel="", lastTo="", deliveryContext={})
    watched = Listened(entries={key: placeless | status("running", started_s=0)}, default_channel=None)
    watched.until(20)
    assert watched.listed == ["claude ACTIVE 20s"]
    watched.store_at(21, key, spawnedBy=KEY)
    watched.until(30)
    assert watched.rows() == []


def test_heartbeat_of_which_only_the_store_tells_is_listed_while_it_runs_and_not_told_of():
    key = "agent:main:heartbeat"
    watched = Listened(entries={key: entry() | status("running", started_s=0)})
    watched.until(10)
    assert [row.standing.state for row in watched.rows()] == [State.ACTIVE]
    watched.store_at(11, key, **status("done", started_s=0, ended_s=11))
    watched.until(60)
    assert watched.rows() == []
    assert watched.told == []


def test_first_turn_that_never_has_a_transcript_is_stuck_and_comes_to_its_end():
    watched = Listened(entries={KEY: entry() | status("running", started_s=0)}, policy=OFF)
    watched.until(1_000)
    assert watched.listed == ["main STALLED 1000s"]
    assert watched.stuck(900) == ["main"]
    watched.store_at(1_001, **status("failed", started_s=0, ended_s=1_001))
    watched.until(1_100)
    assert watched.listed == ["main ERROR 1001s"]
    assert watched.told == ["main started", "main stalled", "main failed"]


def test_turn_that_finds_its_place_late_is_told_of_once():
    watched, t = Listened(entries={}, default_channel=None), Transcript()
    works(watched, t)
    watched.until(12)
    assert [row.whose.kind for row in watched.rows()] == [None]
    assert watched.rows()[0].whose.public_in is None
    watched.entries = {KEY: entry()}
    watched.until(20)
    assert REF not in watched.board._unboxed
    ends(watched, t, 30)
    assert len(watched.boxes) == 1
    assert watched.told == ["main started", "main finished"]
    (row,) = watched.rows()
    assert row.boxed
    assert row.whose.public_in == CHANNEL


def test_turn_that_was_over_before_us_is_listed_and_not_told_of():
    watched, t = Listened(started_s=100, policy=OFF), Transcript()
    watched.at(101, lines(t.header(), t.user(0), t.assistant(1, call()), t.ok(50, "c1"), t.final(50)))
    watched.until(160)
    assert watched.listed == ["main DONE 50s"]
    assert watched.rows()[0].standing.idle_ms == 110_000
    assert watched.told == []


def test_of_a_turn_that_nobody_remembers_only_what_happens_now_is_told():
    watched, t = Listened(started_s=100, policy=OFF), Transcript()
    watched.at(101, lines(t.header(), t.user(0), t.assistant(90, call())))
    watched.until(1_200)
    watched.at(1_201, t.ok(1_201, "c1"), t.final(1_201))
    assert watched.told == ["main stalled", "main finished"]


def test_our_stop_is_told_of_turns_without_a_box_as_well():
    watched, t = Listened(policy=OFF), Transcript()
    works(watched, t)
    watched.until(5)
    watched.board.stop(ms(5))
    watched.look_at_board()
    assert watched.told == ["main started", "main interrupted"]
    assert watched.listed == ["main INTERRUPTED 5s"]


def test_turn_that_waits_while_the_next_one_runs_is_followed_to_its_end_without_a_box():
    watched, t, k = family(OFF)
    watched.at(6, t.ok(5, "w"), t.final(6, "They are at work."))
    watched.at(26, t.user(20, "And now?"), t.assistant(21, call("x")), t.ok(25, "x"), t.final(26))
    watched.until(40)
    assert "helper ACTIVE 38s" in watched.listed
    assert "main DONE 6s" in watched.listed, "the newest turn"
    watched.at(50, lines(k.ok(50, "k1"), k.final(50), session_id="kid-id"))
    watched.until(80)
    assert sorted(watched.told) == sorted(
        [
            "main started",
            "helper started",
            "main started",
            "main finished",
            "helper finished",
            "main finished",
        ]
    )


def test_session_that_is_reset_is_told_of_under_its_key():
    for policy in (OFF, Policy()):
        watched, t = Listened(policy=policy), Transcript()
        works(watched, t)
        watched.until(4)
        watched.entries[KEY] = entry("another")
        watched.at(10, gone("reset"), watched.look())
        watched.until(30)
        assert watched.told == ["main started", "main interrupted"]
        assert watched.events[-1].snapshot.whose.key == KEY


# Sub-agents


def family(policy: Policy | None = None, key: str = KEY) -> tuple[Listened, Transcript, Transcript]:
    """A parent at work, and a child at work since 2 s."""
    watched = Listened(
        entries={key: entry(), KID: child_entry("kid-id", parent=key)}, policy=policy or Policy()
    )
    t, k = Transcript(), Transcript("kid-id", prefix="k")
    watched.at(0, t.header(), t.user(0))
    watched.at(2, t.assistant(1, spawn("s")), t.spawned(2, "s", KID))
    at_work = k.assistant(3, said("Kid at work."), call("k1"))
    watched.at(3, lines(k.header(2), k.user(2), at_work, session_id="kid-id"))
    watched.at(4, t.assistant(4, call("w")))
    return watched, t, k


def test_sub_agent_is_listed_with_the_box_it_stands_in_and_told_of():
    watched, t, k = family()
    kid, main = watched.rows()
    assert (kid.whose.key, kid.whose.name, kid.whose.kind) == (KID, "helper", SessionKind.SUBAGENT)
    assert kid.shown_in == main.shown_in == main.box_id != kid.box_id
    assert kid.boxed
    assert kid.whose.public_in == main.whose.public_in == CHANNEL
    watched.at(10, lines(k.ok(9, "k1"), k.final(10, tokens=40), session_id="kid-id"))
    watched.at(12, t.ok(11, "w"), t.final(12))
    watched.until(40)
    assert sorted(watched.listed) == ["helper DONE 8s", "main DONE 12s"]
    assert {row.whose.name: row.standing.tokens for row in watched.rows()} == {"helper": 140, "main": 440}
    assert watched.told == ["main started", "helper started", "helper finished", "main finished"]
    assert {event.post for event in watched.events} == {"p"}


def test_sub_agent_that_no_box_shows_has_no_link_and_its_parents_privacy():
    for policy in (OFF, Policy((Rule(kind=SessionKind.SUBAGENT, level=Level.OFF),))):
        watched, _, _ = family(policy)
        kid = next(row for row in watched.rows() if row.whose.name == "helper")
        assert not kid.boxed
        assert watched.told[-1] == "helper started"
    hidden = next(event for event in watched.events if event.snapshot.whose.name == "helper")
    assert (hidden.snapshot.shown_in, hidden.post) == (None, None)


@pytest.mark.parametrize("policy", [OFF, Policy()])
@pytest.mark.parametrize("key", [DIRECT, "agent:main:main", f"agent:main:mattermost:group:{CHANNEL}"])
def test_what_is_below_a_private_turn_is_private(key, policy):
    watched, _, _ = family(policy, key)
    assert len(watched.rows()) == 2
    assert {row.whose.public_in for row in watched.rows()} == {None}


def test_stuck_sub_agent_is_told_and_not_the_parent_that_only_waits_for_it():
    for policy in (Policy(), OFF):
        watched, t, _ = family(policy)
        watched.at(6, t.ok(5, "w"), t.final(6, "They are at work."))
        watched.until(1_000)
        assert {row.whose.name: row.standing.waits_for for row in watched.rows()} == {"main": 1, "helper": 0}
        assert watched.stuck(900) == ["helper"]
        assert watched.stuck(1_100) == []


def test_parent_that_is_stuck_itself_is_told_beside_its_sub_agent():
    watched, _, _ = family()
    watched.until(1_000)
    assert sorted(watched.stuck(900)) == ["helper", "main"]


def test_of_a_chain_of_waiting_sub_agents_the_last_one_is_stuck():
    grandchild = child_key("grand")
    entries = {
        KEY: entry(),
        KID: child_entry("kid-id"),
        grandchild: child_entry("grand-id", parent=KID, label="deepest"),
    }
    watched = Listened(entries=entries)
    t, k, g = Transcript(), Transcript("kid-id", prefix="k"), Transcript("grand-id", prefix="g")
    watched.at(
        0, t.header(), t.user(0), t.assistant(1, spawn("s")), t.spawned(2, "s", KID), t.final(3, "Waiting.")
    )
    watched.at(
        4,
        lines(
            k.header(2),
            k.user(2),
            k.assistant(3, spawn("ks")),
            k.spawned(4, "ks", grandchild),
            k.final(4, "I wait as well."),
            session_id="kid-id",
        ),
        lines(g.header(4), g.user(4), g.assistant(5, call("g1")), session_id="grand-id"),
    )
    watched.until(1_000)
    assert watched.stuck(900) == ["deepest"]
    assert len(watched.rows()) == 3


def test_approval_of_its_own_makes_the_parent_stuck_beside_its_sub_agent():
    watched, t, _ = family()
    asked = t.result(
        5, "w", status="approval-pending", approvalId="a1", approvalSlug="a1", expiresAtMs=ms(1_800)
    )
    watched.at(5, asked, t.final(6, "Somebody has to allow it."))
    watched.until(1_000)
    assert sorted(watched.stuck(900)) == ["helper", "main"]


def test_what_a_turn_leaves_behind_when_it_runs_out_of_time_is_over_with_it():
    watched, t, _ = family()
    watched.at(6, t.ok(5, "w"), t.final(6, "They are at work."))
    watched.until(2_000)
    assert {row.standing.state for row in watched.rows()} == {State.TIMEOUT}
    assert watched.stuck(0) == []
    assert watched.told[-2:] == ["main failed", "helper failed"]


def test_sub_agent_of_which_there_is_no_trace_is_not_listed():
    watched, t = Listened(started_s=100), Transcript()
    watched.at(101, lines(t.header(), t.user(0), t.assistant(1, spawn("s")), t.spawned(2, "s", KID)))
    watched.until(110)
    assert [row.whose.name for row in watched.rows()] == ["main"]


def test_sub_agent_that_was_seen_before_its_parent_is_listed_below_it():
    watched = Listened(entries={KEY: entry(), KID: child_entry("kid-id")})
    t, k = Transcript(), Transcript("kid-id", prefix="k")
    watched.at(0, lines(k.header(), k.user(0), k.assistant(0, call("k1")), session_id="kid-id"))
    assert [row.boxed for row in watched.rows()] == [False]
    watched.at(1, t.header(), t.user(0), t.assistant(0, spawn("s")), t.spawned(0, "s", KID))
    watched.until(10)
    watched.at(11, lines(k.ok(11, "k1"), k.final(11), session_id="kid-id"))
    kid = next(row for row in watched.rows() if row.whose.key == KID)
    assert (kid.boxed, kid.standing.state) == (True, State.DONE)
    assert watched.told == ["main started", "helper started", "helper finished"]


def test_sub_agent_that_has_a_box_of_its_own_is_listed_and_told_of_once():
    watched = Listened(entries={KEY: entry(), KID: child_entry("kid-id")})
    t, k = Transcript(), Transcript("kid-id", prefix="k")
    watched.at(0, lines(k.header(), k.user(0), k.assistant(0, call("k1")), session_id="kid-id"))
    watched.until(5)
    assert len(watched.boxes) == 1
    watched.at(6, t.header(), t.user(0), t.assistant(0, spawn("s")), t.spawned(0, "s", KID))
    watched.at(11, lines(k.ok(11, "k1"), k.final(11), session_id="kid-id"))
    watched.until(20)
    assert sorted(watched.told) == ["helper finished", "helper started", "main started"]
    assert sorted(row.shown_in == row.box_id for row in watched.rows()) == [True, True]


@pytest.mark.parametrize("policy", [OFF, Policy()])
def test_sub_agent_that_its_parents_transcript_never_had_is_over(policy):
    """The transcript was replaced by one in which it was not started."""
    watched, _, _ = family(policy)
    t = Transcript()
    anew = lines(t.header(), t.user(0), t.assistant(9, call("z")), reading=Reading.REPLACED)
    watched.at(9, anew)
    assert watched.told == ["main started", "helper started", "helper finished"]


def test_turn_that_its_transcript_never_had_is_over_with_all_below_it():
    watched, _, _ = family(OFF)
    t = Transcript(prefix="other")
    anew = lines(t.header(), t.user(8), t.assistant(9, call("z")), reading=Reading.REPLACED)
    watched.at(9, anew)
    assert sorted(watched.told[2:]) == ["helper finished", "main finished", "main started"]


# What it costs


def sessions(count: int, *, ended: bool) -> Listened:
    """That many sessions without a box, of which nothing more is heard."""
    keys = [f"agent:main:cron:job{number}" for number in range(count)]
    watched = Listened(entries={}, policy=OFF)
    watched.player.at(ms(0), store({key: entry(f"s{n}") for n, key in enumerate(keys)}))
    for n in range(count):
        t = Transcript(f"s{n}")
        last = [t.ok(3, "c"), t.final(3)] if ended else []
        news = lines(t.header(), t.user(0), t.assistant(1, call("c")), *last, session_id=f"s{n}")
        watched.player.at(ms(3), news)
    watched.player.until(ms(20))
    return watched


def calls_of(work) -> int:
    """How many functions it calls."""
    count = 0

    def note(_frame: object, event: str, _arg: object) -> None:
        nonlocal count
        count += event == "call"

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("ended", [True, False])
def test_a_thousand_idle_sessions_cost_no_more_than_one(ended):
    costs = []
    for count in (1, 1_000):
        watched = sessions(count, ended=ended)
        assert len(watched.rows(2_000)) == count

        def beat(watched: Listened = watched) -> None:
            watched.board.advance(ms(21))
            watched.board.take_changes()
            watched.board.take_stirred(ms(21))

        costs.append(calls_of(beat))
        wake_ms = watched.board.next_wake_ms()
        if ended:
            assert wake_ms is None, "nor is anybody ever woken"
        else:
            assert wake_ms is not None
            assert wake_ms > ms(300), "until they have stalled"
    assert costs[0] == costs[1]


def test_ended_turns_are_remembered_up_to_a_number():
    watched, t = Listened(policy=OFF), Transcript()
    kept = watched.board._unboxed
    kept._most_ended = 10
    for number in range(30):
        works(watched, t, number * 10)
        ends(watched, t, number * 10 + 5, number * 10)
    assert len(kept._ended) == 10 == sum(len(turns) for turns in kept._turns.values())
    assert len(watched.rows()) == 1
    assert len(watched.told) == 2 * 30


def test_only_so_many_ended_ones_are_listed_and_all_open_ones():
    watched = sessions(30, ended=True)
    works(watched, Transcript())
    watched.until(30)
    rows = watched.rows(10)
    assert [row.standing.ended for row in rows] == [False] + [True] * 10
    assert [row.standing.idle_ms for row in rows[1:]] == sorted(row.standing.idle_ms for row in rows[1:])
