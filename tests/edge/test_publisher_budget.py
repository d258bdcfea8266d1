"""What the server sees of a publisher that saves edits: the interval of old turns, and the common budget."""

import asyncio
from dataclasses import replace
from itertools import pairwise

from publishing import QUICK, THROTTLE_S, edits, never, publishing, until

from status_watcher.core.throttle import LONGEST_INTERVAL_S
from status_watcher.model import Box, BoxId, Urgency
from status_watcher.sandbox.faults import Fault

OLD_S = 600.0
SPARING = replace(QUICK, edits_per_s=2, edits_burst=4)
"""Four at once, then one each half a second."""
SOON_S = 2 / 3 * LONGEST_INTERVAL_S
"""Surely before the interval is over, on a busy machine as well."""


async def shown_old(desk, name="box"):
    """A box of a turn that is ten minutes old, just shown; returns when."""
    desk.show(name, f"{name}: first", age_s=OLD_S)
    await until(lambda: f"{name}: first" in desk.texts())
    await until(lambda: not desk.publisher._posts[BoxId(name)].in_flight)
    return asyncio.get_running_loop().time()


async def test_further_lines_of_an_old_turn_wait_for_its_interval(desk, sandbox):
    shown_s = await shown_old(desk)
    desk.show("box", "more lines", age_s=OLD_S)
    await never(lambda: edits(sandbox), for_s=THROTTLE_S * 5)
    post = desk.publisher._posts[BoxId("box")]
    assert abs(post.due_s - shown_s - LONGEST_INTERVAL_S) < 1


async def test_what_somebody_may_be_waiting_for_goes_ahead_of_the_interval_and_never_of_the_throttle(
    desk, sandbox
):
    await shown_old(desk)
    desk.show("box", "lines", age_s=OLD_S)
    for number, urgency in enumerate((Urgency.EVENT, Urgency.STATE, Urgency.EVENT, Urgency.END)):
        desk.show("box", f"text {number}", age_s=OLD_S, urgency=urgency, ended=urgency is Urgency.END)
        began_s = asyncio.get_running_loop().time()
        await until(lambda text=f"text {number}": desk.texts() == [text])
        assert asyncio.get_running_loop().time() - began_s < SOON_S
    times = [edit.at_monotonic_s for edit in sandbox.store.edits]
    assert edits(sandbox) == ["text 0", "text 1", "text 2", "text 3"], "the lines went with the first"
    assert min(later - earlier for earlier, later in pairwise(times)) >= THROTTLE_S


async def test_lines_that_come_while_news_waits_for_the_throttle_do_not_delay_it(desk, sandbox):
    await shown_old(desk)
    desk.show("box", "failed", age_s=OLD_S, urgency=Urgency.EVENT)
    desk.show("box", "failed, and more", age_s=OLD_S)
    await desk.shows("failed, and more", within_s=SOON_S)


async def test_news_that_the_server_did_not_take_is_still_ahead_of_the_interval(desk, sandbox):
    await shown_old(desk)
    sandbox.faults.add(Fault(match="PUT", status=500, delay_before_s=0.2, times=1))
    desk.show("box", "failed", age_s=OLD_S, urgency=Urgency.STATE)
    await until(lambda: desk.publisher._posts[BoxId("box")].in_flight)
    desk.show("box", "failed, and more", age_s=OLD_S)
    await desk.shows("failed, and more", within_s=SOON_S)


async def test_failure_upon_failure_is_shown_at_once_for_a_few_times_only(desk, sandbox):
    await shown_old(desk)
    for number in range(10):
        desk.show("box", f"failure {number}", age_s=OLD_S, urgency=Urgency.EVENT)
        await desk.shows(f"failure {number}")
    desk.show("box", "failure 10", age_s=OLD_S, urgency=Urgency.EVENT)
    await never(lambda: len(edits(sandbox)) > 10, for_s=THROTTLE_S * 3)
    desk.show("box", "done", ended=True)
    await desk.shows("done", within_s=SOON_S)


async def test_newest_text_goes_at_once_after_an_outage_whatever_the_interval(sandbox, tmp_path):
    async with publishing(sandbox, tmp_path, threshold=1) as desk:
        await shown_old(desk)
        outage = sandbox.faults.add(Fault(match="POST", status=503))
        desk.show("box", "newest", age_s=OLD_S)
        desk.show("other", "opens the circuit")
        await until(lambda: desk.breaker.state == "open")
        sandbox.faults.remove(outage)
        await desk.shows("newest", "opens the circuit", within_s=SOON_S)


async def test_budget_spaces_the_writes_of_all_posts_and_loses_no_text(sandbox, tmp_path):
    async with publishing(sandbox, tmp_path, settings=SPARING) as desk:
        began_s = asyncio.get_running_loop().time()
        for number in range(9):
            desk.show(f"box {number}", "text")
        await desk.shows(*["text"] * 9)
        times = sorted(r.at_monotonic_s for r in sandbox.requests if r.method == "POST")
        assert times[3] - began_s < 3 / 2, "nothing waits while tokens are left"
        assert times[8] - began_s >= 5 / 2
        assert desk.counter("edits_held_back") == 5


async def test_ended_box_is_next_however_many_wait_for_the_budget(sandbox, tmp_path):
    async with publishing(sandbox, tmp_path, settings=SPARING) as desk:
        for number in range(12):
            desk.show(f"box {number}", "text")
        await until(lambda: len(desk.texts()) == 5)
        desk.show("ended", "[DONE]", ended=True)
        await until(lambda: "[DONE]" in desk.texts())
        assert len(desk.texts()) < 9


async def test_what_cost_the_server_no_row_costs_no_token(sandbox, tmp_path):
    async with publishing(sandbox, tmp_path, settings=SPARING) as desk:
        desk.show("box", "text")
        await desk.shows("text")
        for _ in range(8):
            desk.show("box", "text")  # renders alike
            await until(lambda: desk.publisher.snapshot().pending == 0)
        for number in range(3):
            desk.show(f"more {number}", "text")
        await desk.shows(*["text"] * 4)
        assert desk.counter("unchanged") == 8
        assert desk.counter("edits_held_back") == 0


async def test_withdrawn_post_goes_though_the_budget_is_spent(sandbox, tmp_path):
    async with publishing(sandbox, tmp_path, settings=replace(SPARING, edits_per_s=0.1)) as desk:
        for number in range(4):
            desk.show(f"box {number}", f"{number}")
        await until(lambda: sorted(desk.texts()) == ["0", "1", "2", "3"])
        desk.show("box 4", "4")
        desk.publisher.withdraw(BoxId("box 0"))
        await until(lambda: sorted(desk.texts()) == ["1", "2", "3"], within_s=5)  # a token takes 10 s


async def test_flush_asks_neither_interval_nor_budget(sandbox, tmp_path):
    async with publishing(sandbox, tmp_path, settings=replace(SPARING, edits_per_s=0.1)) as desk:
        for number in range(4):
            await shown_old(desk, f"box {number}")
        for number in range(4):
            box_id = BoxId(f"box {number}")
            desk.shelf.boxes[box_id] = Box(desk.target, "[INTERRUPTED]", ended=False, age_ms=600_000)
        assert await desk.publisher.flush(3) == 0
        assert desk.texts() == ["[INTERRUPTED]"] * 4
        sandbox.store.edits.clear()  # the edits after SIGTERM are free of the throttle


async def test_health_counts_what_was_written_and_what_a_plain_throttle_would_have_written(desk, sandbox):
    await shown_old(desk)
    for number in range(8):
        desk.show("box", f"text {number}", age_s=OLD_S)
        await asyncio.sleep(THROTTLE_S * 1.1)  # the pace of the changes
    desk.show("box", "[DONE] – all", ended=True)
    await desk.shows("[DONE] – all")
    size = len("[DONE] – all".encode())
    # The last change came a throttle after the one before it, too.
    assert desk.counter("edits") == 1
    assert desk.counter("edits_saved") == 8
    assert desk.counter("bytes_written") == len("box: first") + size
    assert desk.counter("bytes_saved") == 8 * size
