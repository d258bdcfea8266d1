"""How the real daemon writes to a server: when, how often, where, and through what trouble."""

import asyncio
import contextlib
import time
from itertools import pairwise
from pathlib import Path

import orjson
import pytest
from daemon import HealthAnswer, beside, box_says, boxes, during, eventually
from gateway import Gateway, Session

from status_watcher.sandbox.faults import Fault
from status_watcher.sandbox.server import Sandbox

SHOWN_WITHIN_S = 15.0
AT_ONCE_S = 0.8
"""From a line to its edit: less than the throttle of a second; without load it is some milliseconds."""
WRITES = r"^(POST /api/v4/posts|PUT /api/v4/posts/\w+/patch)$"
EDITS = r"^PUT "


def new_channel(sandbox: Sandbox) -> str:
    name = f"channel-{len(sandbox.store.channels)}"
    return sandbox.store.add_channel(name, members=(sandbox.bot.id, sandbox.person.id)).id


def writes(sandbox: Sandbox, since_s: float = 0.0) -> list[float]:
    """When each create and edit was asked for, answered or not."""
    return [
        r.at_monotonic_s
        for r in sandbox.requests
        if r.method in {"POST", "PUT"} and r.at_monotonic_s >= since_s
    ]


@contextlib.asynccontextmanager
async def busy(session: Session, call: str, every_s: float = 0.2):
    """Meanwhile the agent runs one command after the other; yields the newest, and its call's id."""
    newest = ["", call]

    async def work() -> None:
        number = 0
        while True:
            number += 1
            session.result(newest[1])
            newest[0] = f"step {number:03}"
            newest[1] = session.call("exec", command=newest[0])
            await asyncio.sleep(every_s)  # the pace of the work

    task = asyncio.create_task(work())
    try:
        yield newest
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


# When


async def test_throttle_sends_the_first_change_at_once_and_the_newest_when_it_is_over(make_daemon, sandbox):
    throttle_s = 1.0
    daemon = await make_daemon(THROTTLE_MS="1000")
    session = Gateway(daemon.openclaw).session(sandbox.channel.id)
    await daemon.start()
    call = session.begin()
    await eventually(box_says(sandbox, "ACTIVE"), SHOWN_WITHIN_S)
    # A second of quiet, so that the leading edge is free.
    await during(throttle_s + 0.1, lambda: not sandbox.store.edits, "an edit without news")

    session.result(call)
    written_s = time.monotonic()
    await eventually(lambda: sandbox.store.edits, SHOWN_WITHIN_S)
    assert sandbox.store.edits[0].at_monotonic_s - written_s < AT_ONCE_S
    assert "[OK]" in sandbox.store.edits[0].message

    async with busy(session, session.call("exec", command="burst"), every_s=0.05) as newest:
        await eventually(lambda: len(sandbox.store.edits) >= 4, SHOWN_WITHIN_S)
    ended_s = time.monotonic()
    await eventually(box_says(sandbox, "ACTIVE", newest[0]), throttle_s + AT_ONCE_S)
    trailing = sandbox.store.edits[-1]
    assert trailing.at_monotonic_s - ended_s < throttle_s + AT_ONCE_S
    assert sandbox.violations(throttle_s) == []
    gaps_s = [b.at_monotonic_s - a.at_monotonic_s for a, b in pairwise(sandbox.store.edits[1:])]
    assert max(gaps_s) < throttle_s + AT_ONCE_S  # a busy box is as fresh as the throttle allows


async def test_an_ended_turn_is_shown_within_2_s_whatever_the_throttle(make_daemon, sandbox):
    daemon = await make_daemon(THROTTLE_MS="1000")
    session = Gateway(daemon.openclaw).session(sandbox.channel.id)
    await daemon.start()
    call = session.begin()
    await eventually(box_says(sandbox, "ACTIVE"), SHOWN_WITHIN_S)
    session.finish(call)
    await eventually(box_says(sandbox, "DONE", "All done."), 2.0)
    assert sandbox.violations(1.0) == []


async def test_a_box_ticks_slowly_and_nothing_else_is_sent_without_news(make_daemon, sandbox):
    daemon = await make_daemon()
    session = Gateway(daemon.openclaw).session(sandbox.channel.id)
    await daemon.start()
    session.begin()
    await eventually(box_says(sandbox, "ACTIVE"), SHOWN_WITHIN_S)
    requests = len(sandbox.requests)
    await during(2.5, lambda: len(sandbox.requests) == requests, "a request without news")


# How


async def test_a_post_is_created_typed_and_edited_by_patch_with_the_message_alone(make_daemon, sandbox):
    daemon = await make_daemon()
    session = Gateway(daemon.openclaw).session(sandbox.channel.id)
    await daemon.start()
    session.finish(session.begin())
    post = await eventually(box_says(sandbox, "DONE"), SHOWN_WITHIN_S)
    assert post.type == "custom_status_watcher"
    edits = [r for r in sandbox.requests if r.method == "PUT"]
    assert all(r.path == f"/api/v4/posts/{post.id}/patch" for r in edits)
    assert all(set(orjson.loads(r.body)) == {"message"} for r in edits)
    creates = [
        orjson.loads(r.body) for r in sandbox.requests if (r.method, r.path) == ("POST", "/api/v4/posts")
    ]
    assert len(creates) == 1
    assert creates[0]["pending_post_id"]


async def test_an_empty_post_type_makes_plain_posts(make_daemon, sandbox):
    daemon = await make_daemon(POST_TYPE="")
    await daemon.start()
    Gateway(daemon.openclaw).session(sandbox.channel.id).begin()
    post = await eventually(box_says(sandbox, "ACTIVE"), SHOWN_WITHIN_S)
    assert post.type == ""


async def test_many_busy_boxes_share_4_connections_that_are_kept(make_daemon, sandbox):
    daemon = await make_daemon(THROTTLE_MS="100", EDITS_PER_SECOND="0")
    gateway = Gateway(daemon.openclaw)
    sandbox.faults.add(Fault(WRITES, delay_before_s=0.05))
    sessions = [gateway.session(new_channel(sandbox)) for _ in range(12)]
    await daemon.start()
    async with contextlib.AsyncExitStack() as stack:
        for session in sessions:
            await stack.enter_async_context(busy(session, session.begin(), every_s=0.1))
        await eventually(lambda: len(boxes(sandbox)) == len(sessions), SHOWN_WITHIN_S)
        await eventually(lambda: len(sandbox.store.edits) > 100, 10)
    assert sandbox.peak_busy_connections == 4
    assert sandbox.connections <= 5
    assert sandbox.violations(0.1) == []


# Where


async def test_the_direct_channel_of_a_person_is_asked_for_once(make_daemon, sandbox):
    daemon = await make_daemon()
    session = Gateway(daemon.openclaw).session(user_id=sandbox.person.id)
    await daemon.start()
    session.finish(session.begin())
    await eventually(box_says(sandbox, "DONE"), SHOWN_WITHIN_S)
    await daemon.kill()
    await daemon.start()
    session.begin()
    await eventually(lambda: len(boxes(sandbox)) == 2, SHOWN_WITHIN_S)
    direct = sandbox.store.direct_channel(sandbox.bot.id, sandbox.person.id)
    assert {post.channel_id for post in boxes(sandbox)} == {direct.id}
    assert [r.path for r in sandbox.requests].count("/api/v4/channels/direct") == 1


async def test_a_session_of_a_thread_has_its_box_in_the_thread(make_daemon, sandbox):
    daemon = await make_daemon()
    root = sandbox.store.post_as(sandbox.person.id, sandbox.channel.id, "here it begins")
    await daemon.start()
    Gateway(daemon.openclaw).session(sandbox.channel.id, root_id=root.id).begin()
    post = await eventually(box_says(sandbox, "ACTIVE"), SHOWN_WITHIN_S)
    assert (post.channel_id, post.root_id) == (sandbox.channel.id, root.id)


async def test_the_default_channel_is_for_those_without_one_and_without_it_they_have_no_box(
    make_daemon, sandbox
):
    daemon = await make_daemon()
    gateway = Gateway(daemon.openclaw)
    await daemon.start()
    homeless, at_home = gateway.session(), gateway.session(new_channel(sandbox))
    call = homeless.begin()
    at_home.begin()
    await eventually(lambda: boxes(sandbox), SHOWN_WITHIN_S)
    await during(1.0, lambda: len(boxes(sandbox)) == 1, "a box without a place")
    assert await daemon.stop() == 0

    default = new_channel(sandbox)
    daemon.settings["DEFAULT_CHANNEL"] = default
    await daemon.start()
    await eventually(box_says(sandbox, "ACTIVE", channel_id=default), SHOWN_WITHIN_S)
    homeless.finish(call)
    await eventually(box_says(sandbox, "DONE", channel_id=default), SHOWN_WITHIN_S)


async def test_boxes_beyond_the_limit_wait_and_one_that_ends_while_waiting_has_one_final_post(
    make_daemon, sandbox
):
    daemon = await make_daemon(MAX_ACTIVE_SESSIONS="2")
    gateway = Gateway(daemon.openclaw)
    await daemon.start()

    def counted(active: int, waiting: int):
        def look(answer: HealthAnswer) -> bool:
            sessions = answer.document["sessions"]
            return (sessions["active"], sessions["waiting"]) == (active, waiting)

        return look

    channels = [new_channel(sandbox) for _ in range(4)]
    sessions = [gateway.session(channel) for channel in channels]
    calls = []
    for number, session in enumerate(sessions):
        calls.append(session.begin())
        await daemon.healthy_when(
            lambda h, n=number: h.document["sessions"]["tracked"] == n + 1, SHOWN_WITHIN_S
        )
    await daemon.healthy_when(counted(2, 2), SHOWN_WITHIN_S)
    await eventually(lambda: len(boxes(sandbox)) == 2, SHOWN_WITHIN_S)
    assert [post.channel_id for post in boxes(sandbox)] == channels[:2]

    sessions[3].finish(calls[3], "Ended in the queue.")
    await eventually(box_says(sandbox, "DONE", "Ended in the queue.", channel_id=channels[3]), SHOWN_WITHIN_S)
    await daemon.healthy_when(counted(2, 1), SHOWN_WITHIN_S)

    sessions[0].finish(calls[0])
    await eventually(box_says(sandbox, "ACTIVE", channel_id=channels[2]), SHOWN_WITHIN_S)
    await daemon.healthy_when(counted(2, 0), SHOWN_WITHIN_S)
    final = boxes(sandbox, channels[3])[0]
    assert [edit for edit in sandbox.store.edits if edit.post_id == final.id] == []


# Through what


@pytest.mark.parametrize("header", ["Retry-After", "X-RateLimit-Reset"])
async def test_M5_a_429_pauses_everybody_and_the_newest_text_follows(header, make_daemon, sandbox):
    pause_s = 1.0
    daemon = await make_daemon()
    gateway = Gateway(daemon.openclaw)
    channels = [new_channel(sandbox) for _ in range(3)]
    sessions = [gateway.session(channel) for channel in channels]
    await daemon.start()
    calls = [session.begin() for session in sessions]
    await eventually(lambda: len(boxes(sandbox)) == 3, SHOWN_WITHIN_S)

    refused = sandbox.faults.add(
        Fault(EDITS, times=1, status=429, headers={header: "1"}, body="limit exceeded\n")
    )
    sessions[0].result(calls[0])
    await eventually(lambda: refused.hits, SHOWN_WITHIN_S)
    paused_s = time.monotonic()
    for session, call in zip(sessions[1:], calls[1:], strict=True):
        session.result(call)
    news = [session.call("exec", command="the newest") for session in sessions]
    assert len(news) == 3
    for channel in channels:
        await eventually(box_says(sandbox, "ACTIVE", "the newest", channel_id=channel), pause_s + 2)
    after = [at_s for at_s in writes(sandbox) if at_s > paused_s]
    assert min(after) - paused_s > pause_s - 0.2  # the answer was on its way when we saw the hit
    assert len(after) == 3  # one edit each, of the newest text
    answer = await daemon.health()
    assert answer is not None
    assert answer.document["circuit"] == {"state": "closed", "failures": 0}


async def test_M4_one_busy_box_opens_the_circuit_in_20_s_and_its_newest_text_goes_at_once_on_return(tmp_path):
    """With a server that refuses, and one that hangs; at the same time, for both take long."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(outage(tmp_path / "refusing", Fault(status=503, html=True)))
        tasks.create_task(outage(tmp_path / "hanging", Fault(never_answer=True)))


async def outage(root: Path, fault: Fault) -> None:
    cooldown_s = 2.0
    async with (
        Sandbox() as sandbox,
        beside(sandbox, root, CIRCUIT_BREAKER_COOLDOWN_S=f"{cooldown_s:.0f}") as daemon,
    ):
        session = Gateway(daemon.openclaw).session(sandbox.channel.id)
        await daemon.start()
        call = session.begin()
        await eventually(box_says(sandbox, "ACTIVE"), SHOWN_WITHIN_S)
        async with busy(session, call) as newest:
            failing = sandbox.faults.add(fault)
            await eventually(lambda: failing.hits, SHOWN_WITHIN_S)
            first_failure_s = time.monotonic()
            answer = await daemon.healthy_when(lambda h: h.document["circuit"]["state"] == "open", 22)
            opened_s = time.monotonic()
            assert opened_s - first_failure_s < 20
            assert answer.status == "degraded"
            before = writes(sandbox)
            sandbox.faults.clear()
            await daemon.healthy_when(lambda h: h.document["circuit"]["state"] == "closed", cooldown_s + 10)
            await eventually(box_says(sandbox, "ACTIVE", newest[0]), 2.0)
            probe = min(at_s for at_s in writes(sandbox) if at_s > before[-1])
            assert probe - before[-1] >= cooldown_s, "sent through an open circuit"
        await daemon.healthy_when(lambda h: h.status == "ok", SHOWN_WITHIN_S)
        states = [line["state"] for line in daemon.events("mattermost_circuit")]
        assert (states[0], states[-1]) == ("open", "closed")


async def test_M2_a_post_whose_answer_was_lost_is_adopted(make_daemon, sandbox):
    sandbox.faults.add(Fault(r"POST /api/v4/posts$", times=1, drop_after_commit=True))
    daemon = await make_daemon()
    session = Gateway(daemon.openclaw).session(sandbox.channel.id)
    await daemon.start()
    session.finish(session.begin())
    await eventually(box_says(sandbox, "DONE"), SHOWN_WITHIN_S)
    answer = await daemon.healthy_when(lambda h: h.counters["adopted"] == 1, SHOWN_WITHIN_S)
    assert answer.counters["creates"] == 0
    assert len(boxes(sandbox)) == 1


async def test_an_edit_whose_answer_was_lost_is_not_made_twice(make_daemon, sandbox):
    daemon = await make_daemon()
    session = Gateway(daemon.openclaw).session(sandbox.channel.id)
    await daemon.start()
    call = session.begin()
    await eventually(box_says(sandbox, "ACTIVE"), SHOWN_WITHIN_S)
    lost = sandbox.faults.add(Fault(EDITS, times=1, drop_after_commit=True))
    session.finish(call)
    await eventually(lambda: lost.hits, SHOWN_WITHIN_S)
    await eventually(box_says(sandbox, "DONE"), SHOWN_WITHIN_S)
    await daemon.healthy_when(lambda h: h.document["circuit"]["failures"] == 0, SHOWN_WITHIN_S)
    # That no edit changed nothing is asserted for every test by the fixture.


async def test_M7_a_post_that_a_person_deleted_stays_deleted_and_the_next_turn_has_a_new_one(
    make_daemon, sandbox
):
    daemon = await make_daemon()
    session = Gateway(daemon.openclaw).session(sandbox.channel.id)
    await daemon.start()
    call = session.begin()
    post = await eventually(box_says(sandbox, "ACTIVE"), SHOWN_WITHIN_S)
    sandbox.store.delete_post(post.id, by=sandbox.person.id)
    session.result(call)
    await eventually(lambda: any(r.status == 403 for r in sandbox.requests), SHOWN_WITHIN_S)
    call = session.call("exec", command="goes on")
    await during(1.2, lambda: not boxes(sandbox), "a new box for the turn whose box was deleted")
    session.finish(call)
    session.begin(command="the next turn")
    await eventually(box_says(sandbox, "ACTIVE", "the next turn"), SHOWN_WITHIN_S)


async def test_M6_a_flapping_server_costs_no_box_its_end(make_daemon, sandbox):
    daemon = await make_daemon(CIRCUIT_BREAKER_COOLDOWN_S="1")
    gateway = Gateway(daemon.openclaw)
    sessions = [gateway.session(new_channel(sandbox)) for _ in range(3)]
    await daemon.start()
    flapping = sandbox.faults.add(Fault(WRITES, probability=0.5, status=502, html=True))
    async with contextlib.AsyncExitStack() as stack:
        newest = [await stack.enter_async_context(busy(session, session.begin())) for session in sessions]
        await eventually(lambda: flapping.hits > 3, 20)
    for session, (_, call) in zip(sessions, newest, strict=True):
        session.finish(call)
    await eventually(lambda: [post.message[:6] for post in boxes(sandbox)] == ["[DONE]"] * 3, 30)
    assert sandbox.violations(0.5) == []
