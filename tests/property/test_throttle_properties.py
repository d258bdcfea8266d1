"""The schedule of one post against a model: changes come, requests take time and fail, a worker obeys it."""

from dataclasses import dataclass
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from status_watcher.core.throttle import (
    LONGEST_INTERVAL_S,
    YOUNG_S,
    Pace,
    Plain,
    after_edit,
    after_failure,
    after_write,
    due_s,
    interval_s,
    plain_change,
)
from status_watcher.model import BoxId, PostId, Urgency
from status_watcher.publisher.delivery import Delivery
from status_watcher.publisher.due_queue import DueQueue

THROTTLE_S = 0.5
seconds = st.floats(0, 3, allow_nan=False)


@dataclass(frozen=True)
class Request:
    takes_s: float
    travels: float
    ok: bool


requests = st.builds(Request, takes_s=seconds, travels=st.floats(0, 1), ok=st.booleans())


def _run(changes, answers):
    """Arrival times at the server, the last text that it acknowledged, and the last that was wanted."""
    changes = sorted(changes)
    answers = iter(answers)
    now, pace, arrivals, acknowledged = 0.0, Pace(), [], None
    while True:
        wanted = max((number for number, at in enumerate(changes) if at <= now), default=None)
        if wanted == acknowledged:
            later = [at for at in changes if at > now]
            if not later:
                return arrivals, acknowledged, len(changes) - 1
            now = later[0]
            continue
        if now < due_s(pace, Urgency.LINES):
            now = due_s(pace, Urgency.LINES)
            continue
        request = next(answers, Request(0.01, 0.5, ok=True))
        started, now = now, now + request.takes_s
        arrivals.append(started + request.travels * request.takes_s)
        pace = after_write(pace, now, THROTTLE_S, 10.0)
        if request.ok:
            acknowledged, pace = wanted, after_edit(pace, now, interval_s(THROTTLE_S, now, 1))
        else:
            pace = after_failure(pace, started, 0.5)


@given(st.lists(st.floats(0, 20), min_size=1, max_size=30), st.lists(requests, max_size=10))
def test_server_never_sees_two_writes_closer_than_the_throttle(changes, answers):
    arrivals, _, _ = _run(changes, answers)
    gaps = [later - earlier for earlier, later in pairwise(arrivals)]
    assert all(gap >= THROTTLE_S - 1e-9 for gap in gaps)


@given(st.lists(st.floats(0, 20), min_size=1, max_size=30), st.lists(requests, max_size=10))
def test_newest_text_is_always_delivered_in_the_end(changes, answers):
    _, acknowledged, newest = _run(changes, answers)
    assert acknowledged == newest


ages = st.floats(0, 100_000)
boxes = st.integers(0, 1_000)
throttles = st.floats(0.05, 60)


@given(throttles, ages, boxes)
def test_interval_is_the_throttle_while_young_and_never_shorter_than_it_nor_longer_than_the_longest(
    throttle_s, age_s, open_boxes
):
    found = interval_s(throttle_s, age_s, open_boxes)
    assert throttle_s <= found <= max(throttle_s, LONGEST_INTERVAL_S)
    if age_s <= YOUNG_S:
        assert found == throttle_s


@given(throttles, ages, ages, boxes, boxes)
def test_interval_grows_with_age_and_with_open_boxes(throttle_s, one_s, other_s, few, many):
    (young_s, old_s), (few, many) = sorted((one_s, other_s)), sorted((few, many))
    assert interval_s(throttle_s, young_s, few) <= interval_s(throttle_s, old_s, few)
    assert interval_s(throttle_s, old_s, few) <= interval_s(throttle_s, old_s, many)


@given(seconds, seconds, seconds)
def test_only_what_is_worth_more_than_lines_goes_ahead_of_the_interval_and_nothing_of_the_throttle(
    ended_s, throttle_s, more_s
):
    pace = after_edit(after_write(Pace(), ended_s, throttle_s, 60.0), ended_s, throttle_s + more_s)
    dues = [due_s(pace, urgency) for urgency in Urgency]
    assert dues == sorted(dues, reverse=True)
    assert min(dues) == ended_s + throttle_s
    assert due_s(pace, Urgency.LINES) == ended_s + (throttle_s + more_s)


@given(st.lists(st.floats(0, 20), min_size=1, max_size=60))
def test_plain_throttle_is_counted_as_one_would_send(changes):
    """Against the schedule written out: at once, then whenever the throttle is over and something is new."""
    counted, sent, changes = Plain(), [], sorted(changes)
    for at in changes:
        counted = plain_change(counted, at, THROTTLE_S)
    while changes and (not sent or changes[-1] > sent[-1]):
        first = next(at for at in changes if not sent or at > sent[-1])
        sent.append(max(first, sent[-1] + THROTTLE_S) if sent else first)
    assert counted.edits == len(sent)


entries = st.tuples(
    st.integers(0, 5), st.floats(0, 10), st.sampled_from(Urgency), st.floats(0, 200), st.booleans()
)


@given(st.lists(entries, max_size=60), st.floats(0, 10))
def test_due_queue_hands_out_each_delivery_once_in_order(puts, now_s):
    deliveries = [Delivery(BoxId(str(number))) for number in range(6)]
    queue, dues = DueQueue(), {}
    for number, due, urgency, changed_at_s, posted in puts:
        delivery = deliveries[number]
        delivery.urgency, delivery.changed_at_s = urgency, changed_at_s
        delivery.post_id = PostId("made") if posted else None
        queue.put(delivery, due)
        dues[number] = due
    due_now = [number for number, due in dues.items() if due <= now_s]
    handed = []
    while (delivery := queue.head(now_s)) is not None:
        assert queue.pop(now_s) is delivery
        handed.append(delivery)
    assert sorted(deliveries.index(delivery) for delivery in handed) == sorted(due_now)
    assert [delivery.order for delivery in handed] == sorted(delivery.order for delivery in handed)
    left = [due for number, due in dues.items() if number not in due_now]
    assert queue.next_later_s() == min(left, default=None)
    assert len(queue) == len(left)


def delivery(urgency, changed_at_s, post_id="made"):
    made = Delivery(BoxId(""), urgency=urgency, changed_at_s=changed_at_s)
    made.post_id = PostId(post_id) if post_id else None
    return made


def test_order_is_ends_then_news_then_the_oldest_lines_then_ticks():
    order = [
        delivery(Urgency.END, 101),
        delivery(Urgency.LINES, 10),  # has waited longer than any head start
        delivery(Urgency.STATE, 99),
        delivery(Urgency.LINES, 100, post_id=""),  # a box without a post yet
        delivery(Urgency.EVENT, 101),
        delivery(Urgency.LINES, 95),
        delivery(Urgency.LINES, 96),
        delivery(Urgency.TICK, 1),
    ]
    assert sorted(order, key=lambda made: made.order) == order


def test_due_queue_does_not_grow_with_the_number_of_changes():
    queue, delivery = DueQueue(), Delivery(BoxId("one"))
    for number in range(10_000):
        queue.put(delivery, float(number))
    assert len(queue._later) < 200


def test_due_queue_does_not_grow_while_nothing_is_taken_out():
    """An outage: the first one waits, and every tick moves those behind it, which are due as well."""
    queue, first = DueQueue(), delivery(Urgency.LINES, 0)
    queue.put(first, 0.0)
    behind = [delivery(Urgency.TICK, 0) for _ in range(20)]
    for now_s in range(1_000):
        for one in behind:
            queue.put(one, float(now_s))
        assert queue.head(float(now_s)) is first
    assert len(queue._ready) < 200
    handed = [queue.pop(1_000.0) for _ in range(21)]
    assert set(handed) == {first, *behind}
    assert queue.pop(1_000.0) is None
