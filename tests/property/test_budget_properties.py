"""The budget of edits: the bucket by itself, and the publisher that spends from it, in simulated time."""

import asyncio
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from simulated import Channel, Seen, simulate

from status_watcher.core.budget import (
    Budget,
    affords,
    affords_at_s,
    full,
    give_back,
    spend,
    tokens_left,
)
from status_watcher.core.throttle import EVENTS, LONGEST_INTERVAL_S
from status_watcher.model import Box, BoxId, ChannelId, ChannelTarget, PostId, Urgency
from status_watcher.publisher import PublisherSettings

THROTTLE_S = 0.5
TARGET = ChannelTarget(ChannelId("c" * 26), PostId(""))
budgets = st.builds(Budget, per_s=st.floats(0.1, 20), burst=st.floats(2, 30))
waits = st.lists(st.floats(0, 3), min_size=1, max_size=40)


@settings(deadline=None)
@given(budgets, waits)
def test_bucket_never_gives_more_than_burst_and_rate(budget, gaps_s):
    bucket, now_s, taken = full(budget, 0.0), 0.0, []
    for gap_s in gaps_s:
        now_s += gap_s
        while affords(bucket, now_s, 1.0):
            bucket = spend(bucket, now_s)
            taken.append(now_s)
    for first, began_s in enumerate(taken):
        for last in range(first, len(taken)):
            assert last - first + 1 <= budget.burst + (taken[last] - began_s) * budget.per_s + 1e-3


@given(budgets, waits, st.floats(0, 1))
def test_bucket_affords_what_it_holds_and_says_when_it_will(budget, gaps_s, share):
    bucket, now_s, wanted = full(budget, 0.0), 0.0, share * budget.burst
    for gap_s in gaps_s:
        now_s += gap_s
        assert -1e-6 <= tokens_left(bucket, now_s) <= budget.burst
        at_s = affords_at_s(bucket, now_s, wanted)
        assert affords(bucket, at_s, wanted)
        assert at_s == now_s or not affords(bucket, now_s, wanted)
        if affords(bucket, now_s, 1.0):
            bucket = spend(bucket, now_s)


@given(budgets)
def test_what_is_given_back_can_be_spent_again_and_is_no_more_than_the_burst(budget):
    bucket = full(budget, 0.0)
    assert give_back(bucket, 0.0) == bucket
    assert tokens_left(give_back(spend(bucket, 0.0), 0.0), 0.0) == budget.burst


class Boxes:
    """Each box says how often it was changed; all turns began at the start."""

    def __init__(self) -> None:
        self.changes: dict[BoxId, int] = {}
        self.ended: set[BoxId] = set()

    def render(self, box_id):
        age_ms = round(asyncio.get_running_loop().time() * 1000)
        return Box(TARGET, f"{box_id}: {self.changes[box_id]}", box_id in self.ended, age_ms)

    def limit_chars(self, max_chars): ...


async def played(changes, publishing: PublisherSettings, request_s: float, settle_s: float) -> Seen:
    """`changes`: when, which box, and what the change is worth."""
    loop, boxes = asyncio.get_running_loop(), Boxes()
    channel = Channel(boxes, publishing, request_s)
    running = asyncio.create_task(channel.publisher.run())
    for at_s, number, urgency in sorted(changes):
        await asyncio.sleep(at_s - loop.time())  # of the simulated loop: takes no time
        box_id = BoxId(f"box {number}")
        boxes.changes[box_id] = boxes.changes.get(box_id, 0) + 1
        (boxes.ended.add if urgency is Urgency.END else boxes.ended.discard)(box_id)
        channel.touch(box_id, urgency)
    await asyncio.sleep(settle_s)
    running.cancel()
    return channel.finished()


changes = st.lists(
    st.tuples(st.floats(0, 120), st.integers(0, 30), st.sampled_from(Urgency)), min_size=1, max_size=400
)


@settings(deadline=None, max_examples=60)
@given(changes, st.sampled_from([0, 1, 5, 50]), st.floats(0.001, 1.5))
def test_publisher_keeps_throttle_and_budget_and_delivers_everything(some, per_s, request_s):
    publishing = PublisherSettings(throttle_s=THROTTLE_S, edits_per_s=per_s)
    seen = simulate(played(some, publishing, request_s, settle_s=60 + 31 * 2))
    assert seen.left_behind == 0
    by_box: dict[BoxId, list[float]] = {}
    for write in seen.writes:
        by_box.setdefault(write.box_id, []).append(write.at_s)
    for times in by_box.values():
        # The server has it at the end of a request here, which is when the throttle begins.
        assert all(later - earlier >= THROTTLE_S + request_s - 1e-6 for earlier, later in pairwise(times))
    if publishing.budget is not None:
        times = sorted(write.at_s for write in seen.writes)
        for first in range(0, len(times), 7):
            for last in range(first, len(times)):
                most = publishing.budget.burst + (times[last] - times[first]) * publishing.budget.per_s
                assert last - first + 1 <= most + 1e-3


@settings(deadline=None, max_examples=60)
@given(changes, st.floats(0.001, 0.5))
def test_nothing_waits_for_tokens_that_are_there_and_nothing_is_older_than_10_s(some, request_s):
    """With a budget that never ends: what delays a change is its post's own pace, and four connections."""
    some = [change for change in some if change[2] is not Urgency.TICK]
    publishing = PublisherSettings(throttle_s=THROTTLE_S, edits_per_s=1_000, edits_burst=10_000)
    seen = simulate(played(some, publishing, request_s, settle_s=30))
    assert seen.counters["edits_held_back"] == 0
    queued_s = 31 / 4 * request_s  # all others may be under way or before it
    assert max(seen.staleness_s, default=0) <= LONGEST_INTERVAL_S + request_s + queued_s + 1e-6
    assert max(seen.first_lines_s, default=0) <= request_s + queued_s + 1e-6
    # An edit may be under way, after which the throttle is kept.
    assert max(seen.endings_s, default=0) <= 2 * request_s + THROTTLE_S + queued_s + 1e-6


@settings(deadline=None, max_examples=20)
@given(st.integers(2, 60), st.sampled_from([1, 5, 20]))
def test_posts_that_all_want_more_than_there_is_share_it_and_none_starves(boxes, per_s):
    """Each changes twice a second for two minutes, and only the budget is in the way."""
    some = [(step / 2, number, Urgency.LINES) for step in range(240) for number in range(boxes)]
    publishing = PublisherSettings(throttle_s=THROTTLE_S, edits_per_s=per_s)
    seen = simulate(played(some, publishing, 0.01, settle_s=boxes / per_s + 30))
    assert seen.left_behind == 0
    counts = [sum(write.box_id == f"box {number}" for write in seen.writes) for number in range(boxes)]
    assert min(counts) >= max(counts) / 2 - 1
    # A round of all others, and its own interval.
    assert max(seen.staleness_s) <= (boxes + 1) / per_s + LONGEST_INTERVAL_S + 1


def test_end_is_shown_within_a_second_though_fifty_boxes_have_spent_everything():
    busy = [(step / 2, number, Urgency.LINES) for step in range(120) for number in range(50)]
    ends = [(30.1 + 3 * n, 100 + n, Urgency.STATE) for n in range(8)]
    ends += [(31.3 + 3 * n, 100 + n, Urgency.END) for n in range(8)]
    seen = simulate(played(busy + ends, PublisherSettings(), 0.02, settle_s=60))
    assert seen.counters["edits_held_back"] > 100
    assert len(seen.endings_s) == 8
    assert max(seen.endings_s) <= 1.0
    assert max(seen.first_lines_s[50:]) <= 1.0, "those made when everything was spent"


def test_ticks_leave_half_of_the_budget():
    ticks = [(60.0 + n / 100, n, Urgency.TICK) for n in range(30)]
    made = [(0.0, n, Urgency.STATE) for n in range(30)]
    seen = simulate(played(made + ticks, PublisherSettings(edits_per_s=1), 0.001, settle_s=1.0))
    assert seen.edits == 12, "from twenty tokens down to nine, and one for the second since"


def shown_after_s(seen: Seen, box_id: str, at_s: float, request_s: float) -> float:
    """From the change until a post says so: by a request that was sent afterwards."""
    ends = [w.at_s for w in seen.writes if w.box_id == box_id and w.at_s - request_s >= at_s - 1e-9]
    return min(ends, default=float("inf")) - at_s


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.tuples(st.floats(160, 220), st.sampled_from([Urgency.STATE, Urgency.END])), min_size=1),
    st.sampled_from([0.7, 1.5, 2.0]),
    st.floats(0.001, 0.5),
)
def test_changes_of_state_and_ends_never_wait_for_the_interval_whatever_failed_before(
    some, every_s, request_s
):
    """The box is old, and has long spent its allowance on what fails in it."""
    failures = [(120 + step * every_s, 0, Urgency.EVENT) for step in range(int(110 / every_s))]
    changes = [(at_s, 0, urgency) for at_s, urgency in some]
    publishing = PublisherSettings(throttle_s=THROTTLE_S)
    seen = simulate(
        played([(0.0, 0, Urgency.STATE), *failures, *changes], publishing, request_s, settle_s=30)
    )
    for at_s, _ in some:
        assert shown_after_s(seen, "box 0", at_s, request_s) <= 2 * request_s + THROTTLE_S + 1e-6


@settings(deadline=None, max_examples=20)
@given(
    st.lists(st.floats(30, 50), min_size=1, max_size=5),
    st.sampled_from([1, 5]),
    st.sampled_from([Urgency.EVENT, Urgency.STATE, Urgency.END]),
)
def test_changes_of_state_failures_and_ends_go_before_all_lines_when_the_budget_is_spent(
    times_s, per_s, urgency
):
    """Thirty boxes want two edits a second; each of the others changes only this once."""
    busy = [(step / 2, number, Urgency.LINES) for step in range(120) for number in range(30)]
    ahead = [(at_s, 100 + number, urgency) for number, at_s in enumerate(times_s)]
    made = [(0.0, 100 + number, Urgency.STATE) for number in range(len(times_s))]
    publishing = PublisherSettings(throttle_s=THROTTLE_S, edits_per_s=per_s)
    seen = simulate(played(made + busy + ahead, publishing, 0.02, settle_s=120))
    for at_s, number, _ in ahead:
        waited_s = shown_after_s(seen, f"box {number}", at_s, 0.02)
        assert waited_s <= len(times_s) / per_s + THROTTLE_S + 0.05, "a token for each of them"


failures = st.lists(
    st.tuples(st.floats(0.05, 12), st.sampled_from([Urgency.LINES, Urgency.EVENT])), min_size=1, max_size=300
)


@settings(deadline=None, max_examples=60)
@given(failures, st.floats(0.001, 3))
def test_what_fails_costs_no_more_edits_than_the_interval_and_its_allowance(gaps, request_s):
    """Also where the server is slow, and things fail while a request is under way."""
    at_s, some = 150.0, [(0.0, 0, Urgency.STATE)]
    for gap_s, urgency in gaps:
        at_s += gap_s
        some.append((at_s, 0, urgency))
    seen = simulate(played(some, PublisherSettings(), request_s, settle_s=30))
    took_s = at_s + 30 - 150
    most = took_s / LONGEST_INTERVAL_S + 1 + EVENTS.burst + took_s * EVENTS.per_s
    assert sum(write.at_s > 150 for write in seen.writes) <= most + 1
    assert max(seen.staleness_s, default=0) <= LONGEST_INTERVAL_S + 2 * request_s + 1e-6


def test_what_fails_while_a_request_is_under_way_needs_allowance_too():
    some = [(0.0, 0, Urgency.STATE), *((150.0 + step, 0, Urgency.EVENT) for step in range(120))]
    seen = simulate(played(some, PublisherSettings(), 1.5, settle_s=30))
    most = 120 / LONGEST_INTERVAL_S + EVENTS.burst + 120 * EVENTS.per_s + 2
    assert sum(150 < write.at_s < 270 for write in seen.writes) <= most


def test_failures_after_a_calm_time_are_shown_at_once_ten_in_a_row_and_more():
    failed_s = [200.0 + 2.0 * step for step in range(60)]
    some = [(0.0, 0, Urgency.STATE), *((at_s, 0, Urgency.EVENT) for at_s in failed_s)]
    seen = simulate(played(some, PublisherSettings(), 0.02, settle_s=20))
    at_once = [at_s for at_s in failed_s if shown_after_s(seen, "box 0", at_s, 0.02) < 0.1]
    assert at_once[:12] == failed_s[:12], "of each interval two seconds were over"
    assert max(seen.staleness_s) < 10
    later = [write.at_s for write in seen.writes if write.at_s >= 240]
    assert len(later) <= 100 / LONGEST_INTERVAL_S + 3, "then as for anybody"


@settings(deadline=None, max_examples=15)
@given(st.sampled_from([3.0, 1.5, 1.0, 0.7]), st.integers(1, 40), st.floats(0, 3))
def test_half_an_hour_costs_no_more_than_250_edits_whatever_fails_in_it(step_s, fails_every, begins_s):
    steps = range(int(1_790 / step_s))
    worth = [Urgency.EVENT if step % fails_every == 0 else Urgency.LINES for step in steps]
    some = [(begins_s + step * step_s, 0, urgency) for step, urgency in zip(steps, worth, strict=True)]
    seen = simulate(played(some, PublisherSettings(), 0.03, settle_s=10))
    assert seen.edits <= 250 if step_s >= 1.5 else seen.edits <= 275, "of which the first half minute has 60"
