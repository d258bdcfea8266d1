"""What the forest makes of the store: keys, parents, absence, and words that may be believed."""

import pytest
from builders import (
    KEY,
    MAIN,
    SESSION,
    T0,
    Transcript,
    call,
    child_entry,
    child_key,
    entry,
    gone,
    lines,
    ms,
    spawn,
    status,
    store,
)
from simulate import labels

from status_watcher.core.forest import Forest
from status_watcher.core.index import StoreStatus
from status_watcher.core.naming import Names
from status_watcher.core.tree import Rules
from status_watcher.core.whereabouts import name_of
from status_watcher.model import AgentId, SessionId, SessionKey
from status_watcher.source import IndexSeen, Reading

REF = (MAIN, SessionId(SESSION))
A = child_key("a")


def forest() -> Forest:
    return Forest(Rules(), labels())


def take(a_forest: Forest, at_s: float, *news) -> set:
    touched: set = set()
    for one in news:
        touched |= a_forest.take(one, ms(at_s), known_turns={})
    return touched


def ref(name: str):
    return (MAIN, SessionId(name))


def test_cron_run_with_two_keys_is_one_session_under_the_jobs_own():
    f, job = forest(), "agent:main:cron:job"
    take(f, 0, store({f"{job}:run:{SESSION}": entry(), job: entry()}))
    assert f.key(REF) == job
    take(f, 1, store({f"{job}:run:{SESSION}": entry()}))
    assert f.key(REF) == f"{job}:run:{SESSION}", "the job's key has gone on to another run"
    assert f.own_entry(REF) is not None


def test_only_sessions_that_a_look_says_something_new_about_are_looked_at():
    f = forest()
    both = {KEY: entry(), "agent:main:main": entry("other")}
    assert take(f, 0, store(both)) == {REF, ref("other")}
    assert take(f, 1, store(both)) == set()
    assert take(f, 2, store(both | {KEY: entry(updatedAt=T0 + 5)})) == {REF}


def test_key_that_goes_to_another_session_is_a_reset_of_the_first():
    f = forest()
    take(f, 0, store({KEY: entry()}))
    assert not f.is_out_of_store(REF)
    assert take(f, 1, store({KEY: entry("next")})) == {REF, ref("next")}
    assert f.is_out_of_store(REF)
    assert f.own_entry(REF) is None


def test_absence_counts_after_two_looks_five_seconds_apart():
    f, t = forest(), Transcript()
    take(f, 0, store({KEY: entry()}), lines(t.header(), t.user(0)))
    for at_s, absent in ((1, False), (3, False), (5.9, False), (6, True), (60, True)):
        take(f, at_s, store({}))
        assert f.is_out_of_store(REF) is absent, at_s
    take(f, 61, store({KEY: entry()}))
    assert not f.is_out_of_store(REF)


def test_absence_is_only_ever_seen_at_a_look():
    f = forest()
    take(f, 0, store({KEY: entry()}))
    take(f, 1, store({}))
    f.close_by_store(REF, ms(100))
    assert not f.is_out_of_store(REF)


def test_same_store_looked_at_again_counts_as_a_look():
    f, t, empty = forest(), Transcript(), store({})
    take(f, 0, lines(t.header(), t.user(0)))
    take(f, 1, empty)
    take(f, 7, empty)
    assert f.is_out_of_store(REF)


def test_removed_session_is_closed_only_when_its_transcript_is_gone_as_well():
    f, t = forest(), Transcript()
    take(f, 0, store({KEY: entry()}), lines(t.header(), t.user(0), t.assistant(1, call())))
    take(f, 1, store({}))
    take(f, 10, store({}))
    f.close_by_store(REF, ms(10))
    session = f.session(REF)
    assert session is not None
    assert session.turns[0].run.ending is None
    take(f, 11, gone("deleted"))
    f.close_by_store(REF, ms(11))
    assert session.turns[0].run.ending is not None


def test_agents_do_not_hide_each_others_sessions():
    f = forest()
    other = AgentId("other")
    take(f, 0, store({KEY: entry()}))
    take(f, 1, IndexSeen(other, {}))
    take(f, 10, IndexSeen(other, {}))
    assert not f.is_out_of_store(REF)
    assert f.has_index(other)
    assert not f.has_index(AgentId("third"))


def test_sub_agent_of_another_agent_is_found_by_the_agent_in_its_key():
    f = forest()
    other, key = AgentId("other"), SessionKey("agent:other:subagent:x")
    entries = store({key: child_entry("x", parent=KEY)}).entries
    take(f, 0, store({KEY: entry()}), IndexSeen(other, entries))
    found = f.entry(MAIN, key)
    assert found is not None
    assert found.session_id == "x"


def test_root_is_the_top_of_the_chain():
    f, parent, kid = forest(), Transcript(), Transcript("a")
    leaf_key = child_key("leaf")
    take(
        f,
        0,
        store({KEY: entry(), A: child_entry("a"), leaf_key: child_entry("leaf", parent=A)}),
        lines(parent.header(), parent.user(0), parent.assistant(0, spawn("s")), parent.spawned(0, "s", A)),
        lines(
            kid.header(),
            kid.user(0),
            kid.assistant(0, spawn("s")),
            kid.spawned(0, "s", leaf_key),
            session_id="a",
        ),
    )
    assert f.root_of(ref("leaf")) == REF
    assert f.is_shown_below(ref("leaf"))
    assert f.is_shown_below(ref("a"))
    assert not f.is_shown_below(REF)


def test_nobody_becomes_a_sub_agent_because_somebody_claims_to_have_started_it():
    f, t = forest(), Transcript("evil")
    take(
        f,
        0,
        store({KEY: entry(), "agent:main:evil": entry("evil")}),
        lines(t.header(), t.user(0), t.assistant(0, spawn("s")), t.spawned(0, "s", KEY), session_id="evil"),
    )
    assert f.root_of(REF) == REF
    assert not f.is_shown_below(REF)


def test_word_of_the_store_must_stand_for_two_seconds():
    f, t = forest(), Transcript()
    take(f, 0, store({KEY: entry()}), lines(t.header(), t.user(0), t.assistant(1, call()), t.ok(2, "c1")))
    take(f, 10, store({KEY: entry(**status("done", started_s=0, ended_s=9))}))
    assert f.close_by_store(REF, ms(10)) == ms(12)
    session = f.session(REF)
    assert session is not None
    assert session.turns[0].run.ending is None
    assert f.close_by_store(REF, ms(12)) is None
    assert session.turns[0].run.ending is not None


def test_end_that_was_believed_is_not_taken_back_by_another_word():
    f, t = forest(), Transcript()
    take(f, 0, store({KEY: entry()}), lines(t.header(), t.user(0), t.assistant(1, call())))
    take(f, 10, store({KEY: entry(**status("timeout", started_s=0, ended_s=9))}))
    f.close_by_store(REF, ms(12))
    take(f, 13, store({KEY: entry(**status("done", started_s=0, ended_s=9))}))
    f.close_by_store(REF, ms(20))
    session = f.session(REF)
    assert session is not None
    assert session.turns[0].run.ending is not None
    assert session.turns[0].run.ending.name == "TIMEOUT"


def test_slices_of_one_read_are_one_first_sight():
    f, t = forest(), Transcript()
    one, two = [t.header(), t.user(0), t.final(1)], [t.user(10), t.final(11)]
    assert f.take(lines(*one, reading=Reading.FIRST, more_follows=True), ms(50), known_turns={}) == set()
    assert f.is_being_read(REF)
    assert f.take(lines(*two), ms(50), known_turns={}) == {REF}
    assert not f.is_being_read(REF)
    session = f.session(REF)
    assert session is not None
    assert [f.is_past(REF, turn.id) for turn in session.turns] == [True, False]


@pytest.mark.parametrize(
    "key",
    [
        "agent:lead-06e9d631:main",
        "agent:mc-gateway-06e9d631:main",
        "agent:main:explicit:nightly",
        "agent:main:dashboard:06e9d631",
        "hook:06e9d631",
        "global",
        "unknown",
        f"{KEY}:thread:p56g4y4tjiygxxqs41b6zzjqmy",
        "agent:main:mattermost:work:direct:b14e51z4zbfbp86yuu9hxxe9zc",
    ],
)
def test_session_with_a_key_of_any_shape_is_a_root_that_is_found(key):
    f, t = forest(), Transcript()
    take(f, 0, store({key: entry()}), lines(t.header(), t.user(0), t.assistant(1, call())))
    assert f.key(REF) == key
    assert f.root_of(REF) == REF
    assert not f.has_parent(REF)
    assert not f.is_shown_below(REF)
    own = f.own_entry(REF)
    assert own is not None
    assert own.session_id == SESSION


@pytest.mark.parametrize("key", [A, "agent:main:acp:06e9d631", "agent:lead-06e9d631:subagent:x"])
def test_session_that_a_followed_one_has_started_is_its_child(key):
    f, t = forest(), Transcript()
    take(f, 0, store({KEY: entry(), key: entry("kid")}), lines(t.header(), t.user(0)))
    take(f, 1, lines(t.assistant(1, spawn("s")), t.spawned(1, "s", key)))
    assert f.root_of(ref("kid")) == REF
    assert f.is_shown_below(ref("kid"))


def test_configured_name_of_an_agent_is_its_name_where_the_session_has_no_label():
    f = forest()
    take(f, 0, store({KEY: entry(), A: entry("kid", label="helper")}))
    sessions = (REF, ref("kid"), ref("unknown"))
    assert [name_of(f, one, Names()) for one in sessions] == ["main", "helper", "main"]
    assert [name_of(f, one, Names({MAIN: "Ada"})) for one in sessions] == ["Ada", "helper", "Ada"]


def test_sub_agent_that_ran_out_of_time_is_not_done_because_the_store_changes_its_mind():
    f = forest()
    out = status("timeout", started_s=1, ended_s=9)
    take(f, 9, store({A: child_entry("kid", **out)}))
    take(f, 10, store({A: child_entry("kid", **status("done", started_s=0, ended_s=9))}))
    take(f, 11, store({A: child_entry("kid", **status("done", started_s=0, ended_s=9), updatedAt=T0)}))
    own = f.own_entry(ref("kid"))
    assert own is not None
    assert own.status is StoreStatus.TIMEOUT
    take(f, 20, store({A: child_entry("kid", **status("done", started_s=15, ended_s=19))}))
    own = f.own_entry(ref("kid"))
    assert own is not None
    assert own.status is StoreStatus.DONE, "another run"


def test_forgotten_session_leaves_nothing_behind():
    f, t, kid = forest(), Transcript(), Transcript("kid", prefix="k")
    says_done = entry(**status("done", started_s=0, ended_s=9))
    take(f, 1, store({KEY: entry(), A: child_entry("kid")}), lines(t.header(), t.user(0)))
    take(f, 2, lines(t.assistant(2, spawn("s")), t.spawned(2, "s", A)))
    take(f, 3, lines(kid.header(), kid.user(2), session_id="kid", reading=Reading.FIRST, more_follows=True))
    take(f, 9, store({KEY: says_done, A: child_entry("kid")}))
    assert f.close_by_store(REF, ms(9)) is not None
    assert (set(f._doubted), f._batches) == ({REF}, {ref("kid")})
    take(f, 10, store({}), gone("deleted"), gone("deleted", "kid"))
    take(f, 20, store({}))
    assert f.forget(REF) == {REF, ref("kid")}
    left = {name: kept for name, kept in vars(f).items() if isinstance(kept, dict | set) and kept}
    assert left == {}
