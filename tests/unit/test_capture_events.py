"""What would be told of every recorded session, compared with the hand-written truth."""

import captures
import pytest
import simulate
import truth

from status_watcher.core.lifecycle import Event, Happening, Lifecycle
from status_watcher.core.policy import SessionKind
from status_watcher.model import PostId

TRUTHS = truth.load()
ENDS = {
    "DONE": Happening.FINISHED,
    "ERROR": Happening.FAILED,
    "TIMEOUT": Happening.FAILED,
    "ABORTED": Happening.INTERRUPTED,
    "INTERRUPTED": Happening.INTERRUPTED,
}


class Listening(simulate.Player):
    """Looks at the board as the daemon does, at each of its steps."""

    told: list[Event]

    def __init__(self, a_board, start_ms):
        super().__init__(a_board, start_ms)
        self.lifecycle = Lifecycle()
        Listening.told = []

    def _advance(self):
        super()._advance()
        stirred = self.board.take_stirred(self.now_ms)
        Listening.told += self.lifecycle.look(stirred, lambda _: PostId("p"), self.now_ms)


def told_of(name, monkeypatch) -> dict[str, list[Event]]:
    """What was told, by turn."""
    monkeypatch.setattr(simulate, "Player", Listening)
    simulate.play(captures.load(name))
    turns: dict[str, list[Event]] = {}
    for event in Listening.told:
        turns.setdefault(event.turn, []).append(event)
    return turns


def is_below(event: Event) -> bool:
    return event.snapshot.shown_in != event.snapshot.box_id


@pytest.mark.parametrize("name", captures.names())
def test_each_recorded_turn_is_told_from_its_beginning_to_its_true_end(name, monkeypatch):
    words = []
    for events in told_of(name, monkeypatch).values():
        whats = [event.what for event in events]
        # Told again from its beginning only where the turn went on after its end.
        assert whats[::2] == [Happening.STARTED] * ((len(whats) + 1) // 2)
        assert Happening.STARTED not in whats[1::2]
        last = events[-1].snapshot.standing
        word = last.state.value
        assert whats[-1] is ENDS.get(word, Happening.STARTED)
        assert last.age_ms >= 0
        assert last.model or last.tokens == 0
        if not is_below(events[-1]):
            words.append(word)
    assert words == [post.word for post in TRUTHS[name].posts]


@pytest.mark.parametrize(
    ("name", "ends"),
    [
        ("2026.2.26/subagents-two", {"helper-a": "DONE", "helper-b": "DONE"}),
        ("2026.7.1/subagents-failing", {"doomed": "ERROR"}),
        ("2026.9.6/subagents-two", {"helper-a": "DONE", "helper-b": "DONE"}),
    ],
)
def test_each_recorded_sub_agent_is_told_with_the_link_of_the_box_that_shows_it(name, ends, monkeypatch):
    found = {}
    for events in told_of(name, monkeypatch).values():
        if is_below(events[0]):
            last = events[-1].snapshot
            found[last.whose.name] = last.standing.state.value
            assert [event.what for event in events] == [Happening.STARTED, ENDS[last.standing.state.value]]
            assert last.whose.kind is SessionKind.SUBAGENT
            assert {event.post for event in events} == {"p"}
            assert last.shown_in in {e.turn for e in Listening.told if not is_below(e)}
    assert found == ends
