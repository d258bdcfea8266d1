"""What a reader sees when answers are lost and daemons die: one post a box, saying what it should."""

import asyncio
import random
from contextlib import suppress
from dataclasses import replace

import pytest
from publishing import CREATE, QUICK, THROTTLE_S, edits, never, publishing, until

from status_watcher.core.throttle import Patience
from status_watcher.model import BoxId, ChannelId, ChannelTarget, PostId
from status_watcher.publisher import PublisherSettings
from status_watcher.sandbox.faults import Fault
from status_watcher.sandbox.server import Sandbox, ServerSettings


@pytest.mark.parametrize("window_s", [30.0, 0.0], ids=["server remembers", "server has forgotten"])
@pytest.mark.parametrize(
    "fault",
    [
        Fault(match=CREATE, drop_after_commit=True, times=1),
        Fault(match=CREATE, delay_after_commit_s=5, times=1),
        Fault(match=CREATE, status=503, commit_first=True, times=1),
        Fault(match=CREATE, status=200, html=True, commit_first=True, times=1),
    ],
    ids=["dropped", "timeout", "503", "html"],
)
async def test_M2_post_whose_answer_was_lost_is_adopted(tmp_path, fault, window_s):
    async with Sandbox(settings=ServerSettings(dedup_window_s=window_s)) as sandbox:
        sandbox.store.post_as(sandbox.person.id, sandbox.channel.id, "a person's post")
        sandbox.faults.add(fault)
        async with publishing(sandbox, tmp_path) as desk:
            desk.show("box", "first")
            await until(lambda: desk.texts() == ["first"])
            desk.show("box", "second")
            await desk.shows("second")
            assert desk.counter("adopted") == 1
            assert desk.asked("POST", "/posts") == 1
        assert sandbox.violations(THROTTLE_S) == []


async def test_M2_post_that_was_never_made_is_made_with_the_same_nonce(desk, sandbox):
    sandbox.faults.add(Fault(match=CREATE, drop_before=True, times=2))
    desk.show("box", "text")
    await desk.shows("text")
    creates = [r for r in sandbox.requests if r.method == "POST"]
    assert len(creates) == 3
    assert len({create.body for create in creates}) == 1
    assert desk.asked("GET", "/posts?") == 2


async def test_M2_reply_in_a_thread_is_found_too(desk, sandbox):
    root = sandbox.store.post_as(sandbox.person.id, sandbox.channel.id, "please")
    for number in range(130):  # more than two pages came after it
        sandbox.store.post_as(sandbox.person.id, sandbox.channel.id, f"noise {number}")
    sandbox.faults.add(Fault(match=CREATE, drop_after_commit=True, times=1))
    desk.show("box", "text", target=ChannelTarget(ChannelId(sandbox.channel.id), PostId(root.id)))
    await until(lambda: desk.texts() == ["text"])
    for number in range(130):
        sandbox.store.post_as(sandbox.person.id, sandbox.channel.id, f"more {number}")
    await until(lambda: desk.counter("adopted") == 1)
    assert desk.texts() == ["text"]


@pytest.mark.parametrize("window_s", [30.0, 0.0], ids=["soon", "ten minutes later"])
async def test_M3_kill_9_between_commit_and_saving_the_id_adopts_after_the_restart(tmp_path, window_s):
    async with Sandbox(settings=ServerSettings(dedup_window_s=window_s)) as sandbox:
        sandbox.faults.add(Fault(match=CREATE, delay_after_commit_s=1, times=1))
        async with publishing(sandbox, tmp_path, settings=PublisherSettings()) as desk:
            desk.show("box", "[ACTIVE]")
            await desk.shows("[ACTIVE]")
            await desk.crash()
        # While its first create runs, a server knows the nonce however short its memory is.
        await until(lambda: all(asked.ended_monotonic_s for asked in sandbox.requests))
        async with publishing(sandbox, tmp_path) as desk:
            (box,) = desk.publisher.open_boxes()
            assert box.post_id is None
            desk.show("box", "[DONE]", ended=True)
            await desk.shows("[DONE]")
            assert desk.asked("POST", "/posts") == 1
        assert sandbox.violations(THROTTLE_S) == []


async def test_M3_kill_9_before_the_request_left_makes_the_post_after_the_restart(sandbox, tmp_path):
    hung = sandbox.faults.add(Fault(match=CREATE, never_answer=True))
    async with publishing(sandbox, tmp_path, settings=PublisherSettings()) as desk:
        desk.show("box", "[ACTIVE]")
        await until(lambda: desk.asked("POST", "/posts"))
        await desk.crash()
    sandbox.faults.remove(hung)
    async with publishing(sandbox, tmp_path) as desk:
        desk.show("box", "[DONE]", ended=True)
        await desk.shows("[DONE]")


@pytest.mark.parametrize("late", ["first", "second"])
async def test_M1_restart_after_a_crash_never_sends_the_text_that_is_there(sandbox, tmp_path, late):
    """The hash on the disk may be older than the post, so the post is read once."""
    async with publishing(sandbox, tmp_path) as desk:
        desk.show("box", "first")
        await desk.shows("first")
        await until(lambda: not desk.ledger._unsaved)
        desk.show("box", "second")
        await desk.shows("second")
        await desk.crash()
    async with publishing(sandbox, tmp_path) as desk:
        desk.show("box", late)
        await desk.shows(late)
        await until(lambda: desk.publisher.snapshot().pending == 0)
        desk.show("box", "third")
        await desk.shows("third")
        assert desk.asked("GET", "/posts/") == 1


async def test_M1_text_that_was_read_after_a_crash_is_remembered_over_the_next_restart(sandbox, tmp_path):
    async with publishing(sandbox, tmp_path) as desk:
        desk.show("box", "first")
        await desk.shows("first")
        await until(lambda: not desk.ledger._unsaved)
        desk.show("box", "second")
        await desk.shows("second")
        await desk.crash()
    for _ in range(2):
        async with publishing(sandbox, tmp_path, settings=replace(QUICK, ghost_s=0.0)) as desk:
            desk.show("box", "second")
            await until(lambda: desk.counter("unchanged") >= 1)
            await until(lambda: desk.publisher.snapshot().pending == 0)
    assert edits(sandbox) == ["second"]


async def test_S6_posts_are_found_again_when_the_state_was_lost(sandbox, tmp_path):
    async with publishing(sandbox, tmp_path) as desk:
        desk.show("box", "[ACTIVE]")
        await desk.shows("[ACTIVE]")
        await desk.crash()
    (tmp_path / "ledger.sqlite").write_bytes(b"\0" * 4096)
    async with publishing(sandbox, tmp_path) as desk:
        desk.show("other", "other")
        desk.show("box", "[DONE]", ended=True)
        await until(lambda: sorted(desk.texts()) == ["[DONE]", "other"])


async def test_S8_full_disk_does_not_keep_posts_from_being_made(desk, sandbox):
    await asyncio.wrap_future(
        desk.ledger._thread.submit(lambda: desk.ledger._file._db.execute("PRAGMA query_only = 1"))
    )
    desk.show("box", "first")
    await desk.shows("first")
    desk.show("box", "second")
    await desk.shows("second")
    assert desk.publisher.snapshot().problems == ("state cannot be saved: SQLITE_READONLY",)


async def test_edit_whose_answer_was_lost_is_not_repeated_with_the_same_text(desk, sandbox):
    desk.show("box", "first")
    await desk.shows("first")
    sandbox.faults.add(Fault(match="PUT", drop_after_commit=True, times=1))
    desk.show("box", "second")
    await until(lambda: desk.publisher.snapshot().pending == 0 and edits(sandbox) == ["second"])
    desk.show("box", "third")
    await desk.shows("third")
    assert edits(sandbox) == ["second", "third"]


async def test_M9_edit_that_the_server_writes_long_after_we_gave_up_does_not_stay(sandbox, tmp_path):
    settings = replace(QUICK, ghost_s=1.5)
    async with publishing(sandbox, tmp_path, settings=settings) as desk:
        desk.show("box", "first")
        await desk.shows("first")
        sandbox.faults.add(Fault(match="PUT", delay_before_s=1.2, times=1))
        desk.show("box", "old")
        await until(lambda: desk.breaker.failures == 1)
        desk.show("box", "newest", ended=True)
        await desk.shows("newest")
        await desk.shows("old")
        await desk.shows("newest")
        await never(lambda: desk.texts() != ["newest"])
        assert edits(sandbox) == ["newest", "old", "newest"]


async def test_edit_whose_answer_was_lost_is_undone_when_the_box_reads_as_before(desk, sandbox):
    desk.show("box", "first")
    await desk.shows("first")
    sandbox.faults.add(Fault(match="PUT", drop_after_commit=True, times=1))
    desk.show("box", "second")
    await until(lambda: edits(sandbox) == ["second"])
    desk.show("box", "first")
    await desk.shows("first")


async def test_create_that_still_runs_on_the_server_is_waited_for_and_adopted(desk, sandbox):
    """The first create takes longer than we wait; meanwhile the same nonce is answered with 500 "pending"."""
    sandbox.faults.add(Fault(match=CREATE, drop_before=True, times=1))
    pending = '{"id": "api.post.deduplicate_create_post.pending", "status_code": 500}'
    sandbox.faults.add(Fault(match=CREATE, status=500, body=pending, times=2))
    desk.show("box", "text")
    await desk.shows("text")
    await until(lambda: desk.breaker.failures == 0)
    assert desk.breaker.state == "closed"


async def test_M15_cancelled_request_is_no_failure_and_keeps_the_intent(sandbox, tmp_path):
    settings = PublisherSettings(throttle_s=THROTTLE_S, patience=Patience(30, 30))
    hung = sandbox.faults.add(Fault(match=CREATE, never_answer=True))
    async with publishing(sandbox, tmp_path, settings=settings) as desk:
        desk.show("box", "text")
        await until(lambda: desk.asked("POST", "/posts"))
        desk.task.cancel()
        with suppress(asyncio.CancelledError):
            await desk.task
        assert (desk.breaker.state, desk.breaker.failures) == ("closed", 0)
    sandbox.faults.remove(hung)
    async with publishing(sandbox, tmp_path) as desk:
        assert [(box.post_id, bool(box.nonce)) for box in desk.publisher.open_boxes()] == [(None, True)]
        desk.show("box", "text")
        await desk.shows("text")
        assert desk.asked("GET", "/posts?") == 1


async def test_M15_edit_cancelled_in_flight_is_read_before_the_next_one(sandbox, tmp_path):
    settings = PublisherSettings(throttle_s=THROTTLE_S, patience=Patience(30, 30))
    async with publishing(sandbox, tmp_path, settings=settings) as desk:
        desk.show("box", "first")
        await desk.shows("first")
        sandbox.faults.add(Fault(match="PUT", delay_after_commit_s=30, times=1))
        desk.show("box", "second")
        await desk.shows("second")
    async with publishing(sandbox, tmp_path) as desk:
        desk.show("box", "second")
        await until(lambda: desk.counter("unchanged") == 1)
        assert edits(sandbox) == ["second"]


async def test_withdrawn_box_whose_create_was_never_answered_is_looked_for_and_deleted(desk, sandbox):
    sandbox.faults.add(Fault(match=CREATE, drop_after_commit=True, times=1))
    desk.show("noise", "[ACTIVE]")
    await until(lambda: desk.breaker.failures == 1)
    desk.publisher.withdraw(BoxId("noise"))
    await desk.shows()
    await until(lambda: desk.publisher.snapshot().pending == 0)
    assert await desk.ledger.find(BoxId("noise")) is None


async def test_withdrawn_box_that_cannot_be_looked_for_is_forgotten(desk, sandbox):
    sandbox.faults.add(Fault(match=CREATE, drop_after_commit=True, times=1))
    desk.show("noise", "[ACTIVE]")
    await until(lambda: desk.breaker.failures == 1)
    sandbox.store.remove_member(sandbox.channel.id, sandbox.bot.id)
    desk.publisher.withdraw(BoxId("noise"))
    await until(lambda: desk.publisher.snapshot().pending == 0)
    await never(lambda: desk.asked("GET", "/posts?") > 1)


TROUBLE = (
    {"status": 503},
    {"status": 503, "commit_first": True},
    {"drop_before": True},
    {"drop_after_commit": True},
    {"status": 200, "html": True, "commit_first": True},
    {"delay_after_commit_s": 1.0},
    {"never_answer": True},
    {"status": 429, "headers": {"Retry-After": "1"}},
)


@pytest.mark.parametrize("seed", [random.randrange(1 << 32) for _ in range(3)], ids=["a", "b", "c"])
async def test_M1_random_trouble_and_crashes_leave_one_right_post_a_box(sandbox, tmp_path, seed):
    print("seed", seed)
    dice = random.Random(seed)
    for kind in dice.sample(TROUBLE, 4):
        sandbox.faults.add(Fault(match=dice.choice(["POST", "PUT", "."]), probability=0.12, **kind))
    wanted = {}
    for life in ("crash", "crash", "end"):
        async with publishing(sandbox, tmp_path, cooldown_s=0.3) as desk:
            for _ in range(25):
                name = f"box {dice.randrange(6)}"
                if name not in wanted or dice.random() < 0.8:
                    wanted[name] = f"{name}: {dice.random()}"
                desk.show(name, wanted[name], ended=dice.random() < 0.2)
                await asyncio.sleep(dice.random() * 0.05)  # so that the crash comes at any moment
            if life == "crash":
                await desk.crash()
                continue
            sandbox.faults.clear()
            for name, text in wanted.items():
                desk.show(name, text)
            await until(lambda: sorted(desk.texts()) == sorted(wanted.values()), 10)
            await until(lambda: desk.publisher.snapshot().pending == 0)
