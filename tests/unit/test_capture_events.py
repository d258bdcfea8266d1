"""What would be told of every recorded session, compared with the hand-written truth."""

import captures
import pytest
import simulate
import truth

from status_watcher.core.lifecycle import Event, Happening, Lifecycle
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


@pytest.mark.parametrize("name", captures.names())
def test_each_recorded_turn_is_told_from_its_beginning_to_its_true_end(name, monkeypatch):
    monkeypatch.setattr(simulate, "Player", Listening)
    simulate.play(captures.load(name))
    turns: dict[str, list[Event]] = {}
    for event in Listening.told:
        turns.setdefault(event.turn, []).append(event)
    words = []
    for events in turns.values():
        whats = [event.what for event in events]
        # Told again from its beginning only where the turn went on after its end.
        assert whats[::2] == [Happening.STARTED] * ((len(whats) + 1) // 2)
        assert Happening.STARTED not in whats[1::2]
        word = events[-1].snapshot.state.value
        assert whats[-1] is ENDS.get(word, Happening.STARTED)
        words.append(word)
        last = events[-1].snapshot
        assert last.age_ms >= 0
        assert last.model or last.tokens == 0
    assert words == [post.word for post in TRUTHS[name].posts]
