"""A box whose first word changes is worth more than its lines, whatever made it change."""

import captures
import pytest
import simulate
from builders import Transcript, Watched, call

from status_watcher.core.board import Board
from status_watcher.demo.player import PlayOptions
from status_watcher.model import State, Urgency

ENDED = {State.DONE, State.ERROR, State.ABORTED, State.INTERRUPTED, State.TIMEOUT}


@pytest.fixture
def told(monkeypatch):
    """Each change that a board passes on: the word before, if there was one, the word now, and its worth."""
    words, changes = {}, []
    take = Board.take_changes

    def taking(board):
        found = take(board)
        for old, new in found.renamed:
            if old in words:
                words[new] = words.pop(old)
        for box_id, urgency in found.touched:
            word = State(board.render(box_id).text.partition("]")[0][1:])
            changes.append((words.get(box_id), word, urgency))
            words[box_id] = word
        return found

    monkeypatch.setattr(Board, "take_changes", taking)
    return changes


def assert_urgent(changes):
    for before, word, urgency in changes:
        if word is not before:
            assert urgency >= Urgency.STATE, (before, word)
        assert (urgency is Urgency.END) == (word in ENDED)


@pytest.mark.parametrize("name", captures.names())
def test_every_change_of_state_that_was_recorded_goes_ahead(name, told):
    simulate.play(captures.load(name), options=PlayOptions(longest_gap_s=3600))
    assert_urgent(told)


def test_so_do_a_stall_and_its_end_and_a_time_out(told):
    watched, t = Watched(), Transcript()
    watched.at(0, t.header(), t.user(0), t.assistant(1, call("c1")))
    watched.until(1_000)
    watched.at(1_001, t.ok(1_001, "c1"), t.assistant(1_002, call("c2")))
    watched.until(3_000)
    assert_urgent(told)
    seen = [word for before, word, _ in told if word is not before]
    assert seen == [State.ACTIVE, State.STALLED, State.ACTIVE, State.TIMEOUT]
