"""The schedule of one post against a model: changes come, requests take time and fail, a worker obeys it."""

from dataclasses import dataclass
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from status_watcher.core.throttle import Pace, after_failure, after_success, after_write, due_s
from status_watcher.model import BoxId
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
        if now < due_s(pace):
            now = due_s(pace)
            continue
        request = next(answers, Request(0.01, 0.5, ok=True))
        started, now = now, now + request.takes_s
        arrivals.append(started + request.travels * request.takes_s)
        pace = after_write(pace, now, THROTTLE_S, 10.0)
        if request.ok:
            acknowledged, pace = wanted, after_success(pace)
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


entries = st.tuples(st.integers(0, 5), st.floats(0, 10), st.booleans())


@given(st.lists(entries, max_size=60), st.floats(0, 10))
def test_due_queue_hands_out_each_delivery_once_ended_first_then_oldest(puts, now_s):
    deliveries = [Delivery(BoxId(str(number))) for number in range(6)]
    queue, places = DueQueue(), {}
    for number, due, urgent in puts:
        queue.put(deliveries[number], due, urgent=urgent)
        places[number] = (due, urgent)
    handed = []
    while (delivery := queue.pop(now_s)) is not None:
        handed.append(deliveries.index(delivery))
    due_now = [number for number, (due, _) in places.items() if due <= now_s]
    assert sorted(handed) == sorted(due_now)
    order = [(not places[number][1], places[number][0]) for number in handed]
    assert order == sorted(order)
    left = [due for number, (due, _) in places.items() if number not in handed]
    assert queue.next_due_s() == (min(left) if left else None)
    assert len(queue) == len(left)


def test_due_queue_does_not_grow_with_the_number_of_changes():
    queue, delivery = DueQueue(), Delivery(BoxId("one"))
    for number in range(10_000):
        queue.put(delivery, float(number), urgent=False)
    assert len(queue._later) < 200
