"""The hand-written truth of every capture, asserted on the pure core: no process, no clock, no waiting."""

import captures
import pytest
import simulate
import truth

from status_watcher.model import ChannelTarget, Target

TRUTHS = truth.load()


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


@pytest.mark.parametrize("name", captures.names())
def test_a_box_that_has_ended_reads_the_same_however_long_one_looks(name):
    sooner = simulate.play(captures.load(name), after_s=30)
    later = simulate.play(captures.load(name), after_s=300)
    ended = [box.text for box in sooner.final.values() if box.ended]
    assert ended == [box.text for box in later.final.values() if box.ended]
