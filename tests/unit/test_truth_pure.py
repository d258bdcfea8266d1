"""The hand-written truth of every capture, asserted on the pure core: no process, no clock, no waiting."""

import captures
import pytest
import simulate
import truth

from status_watcher.demo.player import PlayOptions
from status_watcher.model import ChannelTarget, Target

TRUTHS = truth.load()
AS_RECORDED = PlayOptions(longest_gap_s=3600)


def place(target: Target) -> tuple[str, str]:
    """Channel and root of a box, in the words of the truth tables."""
    if not isinstance(target, ChannelTarget):
        return f"direct:{target.user_id}", ""
    if target.channel_id == simulate.DEFAULT_CHANNEL:
        return "default", target.root_id
    return target.channel_id, target.root_id


def test_every_capture_has_a_table_and_every_table_a_capture():
    assert sorted(TRUTHS) == captures.names()


@pytest.mark.parametrize("name", captures.names())
def test_a_replayed_capture_leaves_the_boxes_that_were_written_down(name):
    expected = TRUTHS[name].posts
    played = simulate.play(captures.load(name))
    boxes = list(played.final.values())
    assert [place(box.target) for box in boxes] == [(post.channel, post.root) for post in expected]
    found = [truth.problems(post, box.text) for post, box in zip(expected, boxes, strict=True)]
    assert not any(found), "\n".join(
        f"{lacking}\n{box.text}" for lacking, box in zip(found, boxes, strict=True)
    )
    assert not played.withdrawn, "a box was shown that had to be taken back"


WITH_HISTORY = [name for name, table in TRUTHS.items() if any(post.history for post in table.posts)]


def words_of(texts: list[str]) -> tuple[str, ...]:
    """The words in the brackets, one after the other."""
    words = [text[1 : text.index("]")] for text in texts]
    return tuple(word for word, before in zip(words, [None, *words], strict=False) if word != before)


@pytest.mark.parametrize("name", WITH_HISTORY)
def test_a_box_has_had_the_states_that_were_written_down_at_the_recorded_pace(name):
    played = simulate.play(captures.load(name), options=AS_RECORDED)
    for post, texts in zip(TRUTHS[name].posts, played.texts.values(), strict=True):
        if post.history:
            assert words_of(texts) == post.history


@pytest.mark.parametrize("name", captures.names())
def test_no_recorded_turn_ever_seems_stalled_and_only_failing_ones_are_retried(name):
    played = simulate.play(captures.load(name), options=AS_RECORDED)
    for texts in played.texts.values():
        assert not any("[STALLED]" in text for text in texts)
        retried = any("[RETRYING]" in text for text in texts)
        assert not retried or "error" in name or name.endswith("/subagents-failing")


@pytest.mark.parametrize("name", captures.names())
def test_a_box_that_has_ended_reads_the_same_however_long_one_looks(name):
    sooner = simulate.play(captures.load(name), after_s=30)
    later = simulate.play(captures.load(name), after_s=300)
    ended = [box.text for box in sooner.final.values() if box.ended]
    assert ended == [box.text for box in later.final.values() if box.ended]
