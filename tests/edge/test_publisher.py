"""What the server sees of the publisher when all goes well."""

import asyncio
import time
from dataclasses import replace
from itertools import pairwise

import orjson
import pytest
from publishing import QUICK, THROTTLE_S, edits, never, publishing, until

from status_watcher.model import Box, BoxId, ChannelId, ChannelTarget, DirectTarget, PostId, Urgency, UserId
from status_watcher.publisher import PublisherSettings
from status_watcher.sandbox.faults import Fault


async def test_first_change_makes_one_post_in_its_thread(desk, sandbox):
    root = sandbox.store.post_as(sandbox.person.id, sandbox.channel.id, "please")
    desk.show("box", "[ACTIVE]", target=ChannelTarget(ChannelId(sandbox.channel.id), PostId(root.id)))
    await desk.shows("[ACTIVE]")
    (post,) = sandbox.store.replies(root.id)
    assert post.type == "custom_status_watcher"
    (create,) = [r for r in sandbox.requests if r.method == "POST"]
    body = orjson.loads(create.body)
    assert body["pending_post_id"] == body["props"]["status_watcher"]["nonce"]


async def test_burst_of_changes_is_one_edit_with_the_newest_text(desk, sandbox):
    desk.show("box", "first")
    await desk.shows("first")
    for number in range(200):
        desk.show("box", f"text {number}")
    await desk.shows("text 199")
    await never(lambda: len(edits(sandbox)) > 1)
    assert edits(sandbox) == ["text 199"]
    assert desk.publisher.snapshot().counters["coalesced"] == 199


async def test_edit_after_a_quiet_time_goes_at_once_and_the_next_waits_for_the_throttle(sandbox, tmp_path):
    throttle_s = 1.0  # much longer than a busy machine takes for an edit
    async with publishing(sandbox, tmp_path, settings=replace(QUICK, throttle_s=throttle_s)) as desk:
        desk.show("box", "first")
        await desk.shows("first")
        post, loop = desk.publisher._posts[BoxId("box")], asyncio.get_running_loop()
        await until(lambda: not post.in_flight and loop.time() > post.due_s)  # the quiet time
        changed_at = loop.time()
        desk.show("box", "second")
        await desk.shows("second")
        desk.show("box", "third")
        await desk.shows("third")
    second, third = (edit.at_monotonic_s for edit in sandbox.store.edits)
    assert second - changed_at < throttle_s
    assert throttle_s <= third - second < 2 * throttle_s


async def test_first_edit_keeps_the_throttle_after_the_create(desk, sandbox):
    desk.show("box", "first")
    await desk.shows("first")
    create = next(r for r in sandbox.requests if r.method == "POST")
    desk.show("box", "second")
    await desk.shows("second")
    assert sandbox.store.edits[0].at_monotonic_s - create.at_monotonic_s >= THROTTLE_S


async def test_slow_answers_do_not_let_edits_come_closer_than_the_throttle(desk, sandbox):
    desk.show("box", "first")
    await desk.shows("first")
    sandbox.faults.add(Fault(match="PUT", delay_before_s=THROTTLE_S * 1.2))
    for number in range(5):
        asked = desk.asked("PUT")
        desk.show("box", f"text {number}")
        await until(lambda asked=asked: desk.asked("PUT") > asked)  # the next change comes while it travels
    await desk.shows("text 4")
    times = [edit.at_monotonic_s for edit in sandbox.store.edits]
    assert len(times) == 5
    assert min(b - a for a, b in pairwise(times)) >= THROTTLE_S


async def test_unchanged_text_is_never_sent(desk, sandbox):
    desk.show("box", "same")
    await desk.shows("same")
    for _ in range(3):
        desk.show("box", "same")
        await until(lambda: desk.publisher.snapshot().pending == 0)
    assert edits(sandbox) == []


async def test_box_without_a_render_makes_no_post(desk, sandbox):
    desk.publisher.touch(BoxId("nothing yet"))
    await until(lambda: desk.shelf.renders == 1)
    await never(lambda: desk.asked("POST"))
    assert desk.publisher.snapshot().pending == 0


async def test_nul_and_lone_surrogates_are_never_sent(desk, sandbox):
    desk.show("box", "a\0b\ud800c")
    await desk.shows("ab?c")
    desk.show("box", "a\0b\ud800c")
    await never(lambda: edits(sandbox))


async def test_tick_of_the_elapsed_time_waits_longer_than_a_real_change(sandbox, tmp_path):
    tick_s = 3.0  # much longer than a busy machine takes for an edit
    async with publishing(sandbox, tmp_path, settings=replace(QUICK, tick_s=tick_s)) as desk:
        desk.show("box", "10s")
        await desk.shows("10s")
        desk.show("box", "11s", urgency=Urgency.TICK)
        await never(lambda: edits(sandbox), THROTTLE_S * 2.5)
        desk.show("box", "12s and a line")
        await desk.shows("12s and a line")
        desk.show("box", "13s", urgency=Urgency.TICK)
        await desk.shows("13s")
    made_s = next(r.at_monotonic_s for r in sandbox.requests if r.method == "POST")
    line, tick = (edit.at_monotonic_s for edit in sandbox.store.edits)
    assert line - made_s < tick_s <= tick - line


async def test_ended_boxes_go_before_others_that_are_due(desk, sandbox):
    desk.show("first", "makes the pause")
    await desk.shows("makes the pause")
    sandbox.faults.add(Fault(status=429, headers={"Retry-After": "1"}, times=1))
    desk.show("first", "meets the pause")
    await until(lambda: desk.publisher.snapshot().pause_s > 0)
    sandbox.faults.add(Fault(delay_before_s=0.02))
    for number in range(20):
        desk.show(f"active {number}", f"active {number}")
    for number in range(4):
        desk.show(f"ended {number}", f"ended {number}", ended=True)
    await until(lambda: len(desk.texts()) == 25)
    assert {text.split()[0] for text in desk.texts()[1:5]} == {"ended"}


async def test_direct_channel_is_asked_for_once_and_remembered(sandbox, tmp_path):
    person = DirectTarget(UserId(sandbox.person.id))
    async with publishing(sandbox, tmp_path) as desk:
        desk.show("one", "1", target=person)
        await until(lambda: desk.asked("POST", "/posts") == 1)
        desk.show("two", "2", target=person)
        await until(lambda: desk.asked("POST", "/posts") == 2)
        direct = sandbox.store.direct_channel(sandbox.bot.id, sandbox.person.id)
        await until(lambda: desk.texts(direct.id) == ["1", "2"])
    async with publishing(sandbox, tmp_path) as desk:
        desk.show("three", "3", target=person)
        await until(lambda: desk.texts(direct.id) == ["1", "2", "3"])
        assert desk.asked("POST", "/channels/direct") == 1


async def test_withdrawn_box_has_no_post_any_more(desk, sandbox):
    desk.show("noise", "[ACTIVE]")
    await desk.shows("[ACTIVE]")
    desk.publisher.withdraw(BoxId("noise"))
    await desk.shows()
    await until(lambda: desk.publisher.snapshot().pending == 0)  # the answer comes after the deed
    assert await desk.ledger.find(BoxId("noise")) is None
    assert desk.publisher.snapshot().counters["deletes"] == 1


async def test_box_withdrawn_before_its_post_was_made_makes_none(desk, sandbox):
    desk.show("noise", "[ACTIVE]")
    desk.publisher.withdraw(BoxId("noise"))
    await until(lambda: desk.publisher.snapshot().pending == 0)
    await never(desk.texts)
    assert desk.asked("DELETE") == 0


async def test_box_withdrawn_while_its_post_is_being_made_loses_it(desk, sandbox):
    sandbox.faults.add(Fault(match="POST", delay_after_commit_s=0.2, times=1))
    desk.show("noise", "[ACTIVE]")
    await desk.shows("[ACTIVE]")
    desk.publisher.withdraw(BoxId("noise"))
    await desk.shows()
    await until(lambda: desk.publisher.snapshot().pending == 0)  # as above
    assert await desk.ledger.find(BoxId("noise")) is None


async def test_box_touched_after_it_was_withdrawn_gets_a_new_post(desk, sandbox):
    desk.show("box", "noise")
    await desk.shows("noise")
    desk.publisher.withdraw(BoxId("box"))
    desk.show("box", "not noise after all")
    await desk.shows("not noise after all")
    assert desk.asked("POST", "/posts") == 2


async def test_renamed_box_keeps_its_post(sandbox, tmp_path):
    async with publishing(sandbox, tmp_path) as desk:
        desk.show("provisional", "[ACTIVE]")
        await desk.shows("[ACTIVE]")
        desk.shelf.boxes[BoxId("real")] = Box(desk.target, "[ACTIVE] with lines", ended=False)
        desk.publisher.rename(BoxId("provisional"), BoxId("real"))
        await desk.shows("[ACTIVE] with lines")
    async with publishing(sandbox, tmp_path) as desk:
        assert [box.box_id for box in desk.publisher.open_boxes()] == ["real"]
        desk.show("real", "[DONE]", ended=True)
        await desk.shows("[DONE]")


async def test_box_renamed_while_its_post_is_being_made_keeps_it(desk, sandbox):
    sandbox.faults.add(Fault(match="POST", delay_before_s=0.2, times=1))
    desk.show("provisional", "[ACTIVE]")
    await until(lambda: desk.asked("POST"))
    desk.shelf.boxes[BoxId("real")] = Box(desk.target, "[ACTIVE] with lines", ended=False)
    desk.publisher.rename(BoxId("provisional"), BoxId("real"))
    await desk.shows("[ACTIVE] with lines")
    assert desk.asked("POST", "/posts") == 1


async def test_box_that_has_a_post_under_its_new_name_already_loses_the_other(desk, sandbox):
    desk.show("provisional", "provisional")
    await desk.shows("provisional")
    desk.show("real", "real")
    await desk.shows("provisional", "real")
    desk.publisher.rename(BoxId("provisional"), BoxId("real"))
    await desk.shows("real")


async def test_restart_after_a_good_end_goes_on_in_the_same_post_without_a_needless_request(
    sandbox, tmp_path
):
    async with publishing(sandbox, tmp_path) as desk:
        desk.show("box", "first")
        await desk.shows("first")
    asked_before = len(sandbox.requests)
    async with publishing(sandbox, tmp_path) as desk:
        (box,) = desk.publisher.open_boxes()
        assert (box.box_id, box.target, box.ended) == ("box", desk.target, False)
        assert box.post_id is not None
        desk.show("box", "first")
        await until(lambda: desk.publisher.snapshot().counters["unchanged"] == 1)
        desk.show("box", "second", ended=True)
        await desk.shows("second")
    asked = [(r.method, r.path.split("/")[-1]) for r in list(sandbox.requests)[asked_before:]]
    assert asked == [("GET", "me"), ("PUT", "patch")]
    async with publishing(sandbox, tmp_path) as desk:
        assert desk.publisher.open_boxes() == ()


async def test_ended_box_is_dropped_from_memory_and_found_again_when_it_is_reopened(sandbox, tmp_path):
    settings = PublisherSettings(throttle_s=THROTTLE_S, keep_settled_s=0.0)
    async with publishing(sandbox, tmp_path, settings=settings) as desk:
        desk.show("box", "[DONE]", ended=True)
        await desk.shows("[DONE]")
        desk.show("other", "other")
        await until(lambda: BoxId("box") not in desk.publisher._posts)
        made_s = next(r.ended_monotonic_s for r in sandbox.requests if r.method == "POST")
        # What was dropped knows no throttle any more; as a rule, minutes have passed.
        await until(lambda: time.monotonic() > made_s + THROTTLE_S)
        desk.show("box", "[ACTIVE] again")
        await desk.shows("[ACTIVE] again", "other")
        assert desk.asked("POST", "/posts") == 2


async def test_flush_sends_the_newest_text_of_every_open_box_without_waiting(desk, sandbox):
    for number in range(10):
        desk.show(f"box {number}", "working")
    await desk.shows(*["working"] * 10)
    for number in range(10):
        desk.show(f"box {number}", "more work")
    for number in range(10):  # as at shutdown: the texts change without a touch
        desk.shelf.boxes[BoxId(f"box {number}")] = Box(desk.target, "[INTERRUPTED]", ended=False)
    assert await desk.publisher.flush(5) == 0
    assert desk.texts() == ["[INTERRUPTED]"] * 10
    sandbox.store.edits.clear()  # the edits after SIGTERM are free of the throttle


async def test_flush_in_an_outage_ends_in_time_and_says_what_was_not_delivered(desk, sandbox):
    desk.show("box", "working")
    await desk.shows("working")
    await sandbox.pause()
    desk.show("box", "[INTERRUPTED]")
    started = asyncio.get_running_loop().time()
    assert await desk.publisher.flush(1.0) == 1
    assert asyncio.get_running_loop().time() - started < 4  # and not for ever, as long as nobody listens
    await sandbox.resume()


async def test_exception_in_a_worker_ends_the_run_loudly(desk, sandbox, monkeypatch):
    def broken(_):
        raise ZeroDivisionError

    monkeypatch.setattr(desk.shelf, "render", broken)
    desk.publisher.touch(BoxId("box"))
    with pytest.raises(ExceptionGroup) as caught:
        await asyncio.wait_for(asyncio.shield(desk.task), 5)
    assert caught.group_contains(ZeroDivisionError)


async def test_M14_thousand_busy_boxes_need_four_connections_and_all_end_right(desk, sandbox):
    sandbox.faults.add(Fault(delay_before_s=0.1, times=40))  # long enough to have others under way
    for round_number in range(3):
        asked = len(sandbox.requests)
        for number in range(1_000):
            desk.show(f"box {number}", f"{number}: {round_number}")
        await until(lambda asked=asked: len(sandbox.requests) >= asked + 20)
    for number in range(1_000):
        desk.show(f"box {number}", f"{number}: done", ended=True)
    await until(lambda: sorted(desk.texts()) == sorted(f"{number}: done" for number in range(1_000)), 60)
    assert sandbox.peak_busy_connections == 4
    assert desk.asked("POST", "/posts") == 1_000


async def test_health_knows_when_the_server_last_did_what_it_was_asked(desk, sandbox):
    await until(lambda: desk.publisher.snapshot().last_ok_s is not None)
    health = desk.publisher.snapshot()
    assert health.last_ok_s < 5
    assert (health.circuit.state, health.token_refused, health.problems) == ("closed", False, ())
