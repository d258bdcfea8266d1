"""What the log may say of a bug: where it is, and nothing of what was being handled."""

import orjson
import pytest

from status_watcher.core.index import parse_index
from status_watcher.core.traces import trace_of

SECRET = "what the agent said to nobody else"


def raised(act) -> BaseException:
    with pytest.raises(BaseException) as caught:
        act()
    return caught.value


def test_trace_names_the_type_and_our_own_frames():
    (told,) = trace_of(raised(lambda: parse_index(7)))
    assert told["exc_type"] == "AttributeError"
    (frame,) = told["frames"]
    place, _, function = frame.partition(" ")
    assert place.startswith("core/index.py:")
    assert function == "parse_index"


def test_message_notes_causes_and_groups_tell_nothing_but_their_types():
    def act():
        group = ExceptionGroup(SECRET, [ValueError(SECRET), OSError(28, SECRET)])
        group.add_note(SECRET)
        raise RuntimeError(SECRET) from group

    told = trace_of(raised(act))
    assert [one["exc_type"] for one in told] == ["RuntimeError", "ExceptionGroup", "ValueError", "OSError"]
    assert told[3]["errno"] == "ENOSPC"
    assert SECRET.encode() not in orjson.dumps(told)


def test_errors_that_are_each_others_cause_come_to_an_end():
    first, second = ValueError("a"), ValueError("b")
    first.__cause__, second.__cause__ = second, first
    assert len(trace_of(first)) == 2
