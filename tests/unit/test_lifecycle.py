"""What is told of sessions, from how their boxes stand."""

from dataclasses import replace

import pytest

from status_watcher.core.lifecycle import MOST_REMEMBERED, POST_WAIT_MS, Event, Happening, Lifecycle
from status_watcher.core.policy import SessionKind
from status_watcher.core.post import BoxRecord
from status_watcher.core.shown import FIRST_TURN, box_id_of
from status_watcher.core.snapshot import Snapshot, Standing, Whose, public_in
from status_watcher.model import (
    AgentId,
    BoxId,
    ChannelId,
    ChannelTarget,
    DirectTarget,
    EntryId,
    PostId,
    SessionId,
    SessionKey,
    State,
    UserId,
)

REF = (AgentId("main"), SessionId("01105dde"))
CHANNEL = ChannelTarget(ChannelId("kz5mey4ot7dopqcawtegozda4r"), PostId(""))
POST = PostId("p" * 26)
TURN = box_id_of(REF, EntryId("e1"))
STANDING = Standing(State.ACTIVE, ended=False, start_ms=0, age_ms=0, idle_ms=0)
SNAPSHOT = Snapshot(
    box_id=TURN,
    whose=Whose(
        AgentId("main"),
        SessionKey("agent:main:mattermost:channel:kz5mey4ot7dopqcawtegozda4r"),
        "main",
        SessionKind.CHANNEL,
        CHANNEL.channel_id,
    ),
    standing=STANDING,
    shown_in=TURN,
    boxed=True,
)


class Watched:
    """A life cycle whose boxes have a post unless it is taken away."""

    def __init__(self) -> None:
        self.lifecycle = Lifecycle()
        self.has_post = True
        self.now_ms = 0

    def look(self, *snapshots: Snapshot, gone=()) -> list[Event]:
        stirred = [(s.box_id, s) for s in snapshots] + [(box_id, None) for box_id in gone]
        return self.lifecycle.look(stirred, lambda _: POST if self.has_post else None, self.now_ms)

    def told(self, *snapshots: Snapshot, gone=()) -> list[str]:
        return [event.what.value.removeprefix("session.") for event in self.look(*snapshots, gone=gone)]


def in_state(state: State, box_id=TURN) -> Snapshot:
    ended = state in {State.DONE, State.ERROR, State.ABORTED, State.INTERRUPTED, State.TIMEOUT}
    standing = replace(STANDING, state=state, ended=ended)
    return replace(SNAPSHOT, standing=standing, box_id=box_id, shown_in=box_id)


def record(*, ended: bool, box_id=TURN) -> BoxRecord:
    return BoxRecord(box_id, CHANNEL, "nonce", 0, POST, ended=ended)


@pytest.mark.parametrize(
    ("state", "word"),
    [
        (State.DONE, "finished"),
        (State.ERROR, "failed"),
        (State.TIMEOUT, "failed"),
        (State.ABORTED, "interrupted"),
        (State.INTERRUPTED, "interrupted"),
    ],
)
def test_each_end_is_told_once_under_its_name(state, word):
    watched = Watched()
    assert watched.told(SNAPSHOT) == ["started"]
    assert watched.told(SNAPSHOT, in_state(State.WAITING), in_state(State.RETRYING)) == []
    assert watched.told(in_state(state)) == [word]
    assert watched.told(in_state(state)) == []


def test_a_turn_that_is_over_when_it_is_seen_first_has_started_and_ended():
    assert Watched().told(in_state(State.ERROR)) == ["started", "failed"]


def test_each_stall_is_told_once():
    watched = Watched()
    watched.told(SNAPSHOT)
    assert watched.told(in_state(State.STALLED)) == ["stalled"]
    assert watched.told(in_state(State.STALLED)) == []
    assert watched.told(SNAPSHOT) == []
    assert watched.told(in_state(State.STALLED)) == ["stalled"]
    assert watched.told(in_state(State.DONE)) == ["finished"]


def test_a_turn_that_goes_on_after_its_end_starts_again():
    watched = Watched()
    watched.told(in_state(State.TIMEOUT))
    assert watched.told(SNAPSHOT) == ["started"]
    assert watched.told(in_state(State.DONE)) == ["finished"]


def test_our_stop_interrupts_what_is_open_and_nothing_else():
    watched = Watched()
    watched.told(SNAPSHOT)
    stopping = replace(SNAPSHOT, standing=replace(STANDING, state=State.INTERRUPTED))
    assert watched.told(stopping) == ["interrupted"]
    assert watched.told(stopping) == []


def test_what_an_earlier_run_told_is_not_told_again():
    watched = Watched()
    other = box_id_of(REF, EntryId("e2"))
    watched.lifecycle.restore([record(ended=False), record(ended=True, box_id=other)])
    assert watched.told(SNAPSHOT, in_state(State.DONE, other)) == []
    assert watched.told(in_state(State.DONE), in_state(State.DONE, other)) == ["finished"]


def test_a_turn_of_an_earlier_run_that_ended_and_goes_on_starts_again():
    watched = Watched()
    watched.lifecycle.restore([record(ended=True)])
    assert watched.told(SNAPSHOT) == ["started"]


def test_the_box_made_before_the_transcript_is_that_of_its_first_turn():
    watched = Watched()
    first = box_id_of(REF, FIRST_TURN)
    (started,) = watched.look(in_state(State.ACTIVE, first))
    assert watched.told(SNAPSHOT, gone=[first]) == []
    (finished,) = watched.look(in_state(State.DONE))
    assert finished.turn == started.turn == first


def test_what_happened_waits_for_the_post_in_order_and_not_for_ever():
    watched = Watched()
    watched.has_post = False
    assert watched.told(SNAPSHOT) == []
    watched.now_ms = POST_WAIT_MS - 1
    assert watched.told(in_state(State.DONE)) == []
    watched.has_post = True
    assert [(event.what, event.post) for event in watched.look()] == [
        (Happening.STARTED, POST),
        (Happening.FINISHED, POST),
    ]
    watched = Watched()
    watched.has_post = False
    watched.told(SNAPSHOT)
    watched.now_ms = POST_WAIT_MS
    assert [(event.what, event.post) for event in watched.look()] == [(Happening.STARTED, None)]


def test_what_no_post_shows_is_told_at_once():
    watched = Watched()
    watched.has_post = False
    assert watched.told(replace(SNAPSHOT, boxed=False)) == ["started"]
    hidden = replace(in_state(State.DONE), boxed=False, shown_in=None)
    assert watched.told(hidden) == ["finished"]


def test_sub_agent_is_told_with_the_post_of_the_turn_that_shows_it():
    watched = Watched()
    asked = []
    kid = replace(SNAPSHOT, box_id=BoxId("agent:main:subagent:x/call"))
    events = watched.lifecycle.look([(kid.box_id, kid)], lambda box_id: asked.append(box_id) or POST, 0)
    assert [(event.turn, event.post) for event in events] == [(kid.box_id, POST)]
    assert asked == [TURN]


def test_beginning_that_an_earlier_run_may_have_told_is_not_told_and_what_follows_is():
    watched = Watched()
    assert watched.told(replace(SNAPSHOT, unremembered=True)) == []
    assert watched.told(replace(in_state(State.STALLED), unremembered=True)) == ["stalled"]
    assert watched.told(replace(in_state(State.DONE), unremembered=True)) == ["finished"]
    assert watched.told(replace(SNAPSHOT, unremembered=True)) == ["started"], "it goes on"
    assert Watched().told(replace(in_state(State.ERROR), unremembered=True)) == []


def test_what_happens_at_once_is_told_in_the_order_in_which_it_was_seen():
    watched = Watched()
    kid = replace(SNAPSHOT, box_id=BoxId("agent:main:subagent:x/call"))
    assert [event.turn for event in watched.look(SNAPSHOT, kid)] == [TURN, kid.box_id]


def test_at_the_end_nothing_waits_any_longer():
    watched = Watched()
    watched.has_post = False
    watched.told(SNAPSHOT)
    (event,) = watched.lifecycle.release_all(lambda _: None)
    assert event.what is Happening.STARTED
    assert watched.lifecycle.release_all(lambda _: None) == []


def test_a_box_that_proved_to_be_nothing_is_finished_only_if_it_was_told_of():
    watched = Watched()
    watched.told(SNAPSHOT)
    assert watched.told(gone=[TURN]) == ["finished"]
    assert watched.told(gone=[TURN]) == []
    watched = Watched()
    watched.has_post = False
    watched.told(SNAPSHOT)
    watched.now_ms = POST_WAIT_MS
    assert watched.told(gone=[TURN]) == []
    assert watched.told(gone=["main/never/seen"]) == []


def test_memory_is_bounded_and_open_turns_are_kept():
    watched = Watched()
    watched.told(SNAPSHOT)
    for number in range(2 * MOST_REMEMBERED):
        watched.told(in_state(State.DONE, box_id_of(REF, EntryId(f"x{number}"))))
    assert len(watched.lifecycle._known) <= MOST_REMEMBERED
    assert watched.told(in_state(State.DONE)) == ["finished"]


@pytest.mark.parametrize(
    ("key", "channel"),
    [
        ("agent:main:mattermost:channel:kz5mey4ot7dopqcawtegozda4r", CHANNEL.channel_id),
        ("agent:main:cron:nightly", CHANNEL.channel_id),
        ("agent:main:mattermost:group:kz5mey4ot7dopqcawtegozda4r", None),
        ("agent:main:mattermost:direct:kz5mey4ot7dopqcawtegozda4r", None),
        ("agent:main:main", None),
        (None, None),
    ],
)
def test_what_is_said_in_private_is_public_nowhere(key, channel):
    assert public_in(key, CHANNEL) == channel
    assert public_in(key, DirectTarget(UserId("u" * 26))) is None
    assert public_in(key, None) is None
