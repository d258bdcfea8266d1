"""Stops, kills and starts of the real daemon: a turn has one post all the same, and one that is true."""

import asyncio
import os
import random
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
from daemon import Daemon, beside, box_says, boxes, during, eventually
from gateway import Gateway

from status_watcher.sandbox.faults import Fault
from status_watcher.sandbox.server import Sandbox, ServerSettings
from status_watcher.sandbox.store import Channel

SHOWN_WITHIN_S = 15.0
FORGETFUL = ServerSettings(dedup_window_s=0)
CREATE = r"POST /api/v4/posts$"


@pytest.fixture
async def sandbox():
    """Forgets a `pending_post_id` at once: what is adopted here is found by the daemon's own looking."""
    async with Sandbox(settings=FORGETFUL) as running:
        yield running


@pytest.fixture
async def daemon(make_daemon) -> Daemon:
    return await make_daemon()


@pytest.fixture
def gateway(daemon) -> Gateway:
    return Gateway(daemon.openclaw)


@pytest.fixture
def session(gateway, sandbox):
    return gateway.session(sandbox.channel.id)


def new_channel(sandbox: Sandbox) -> Channel:
    return sandbox.store.add_channel(f"channel-{len(sandbox.store.channels)}", members=(sandbox.bot.id,))


async def leave(daemon: Daemon, how: str) -> None:
    if how == "SIGTERM":
        assert await daemon.stop() == 0
    else:
        await daemon.kill()


async def test_P5_sigterm_in_mid_turn_marks_every_open_box_and_exits_0(daemon, gateway, sandbox):
    await daemon.start()
    channels = [new_channel(sandbox) for _ in range(6)]
    for channel in channels:
        gateway.session(channel.id).begin()
    await eventually(lambda: len(boxes(sandbox)) == len(channels), SHOWN_WITHIN_S)
    assert await daemon.stop() == 0
    for box in boxes(sandbox):
        first, *_, last = box.message.splitlines()
        assert first.startswith("[INTERRUPTED] main")
        assert last.startswith("[INTERRUPTED]")
    assert len(boxes(sandbox)) == len(channels)


async def test_sigterm_sends_what_was_written_just_before(daemon, session, sandbox):
    await daemon.start()
    call = session.begin()
    await eventually(box_says(sandbox, "ACTIVE"), SHOWN_WITHIN_S)
    session.result(call)
    session.call("exec", command="just before")
    assert await daemon.stop() == 0
    assert box_says(sandbox, "INTERRUPTED", "just before", "[OK]")()


async def test_a_box_that_has_ended_is_left_alone_by_sigterm_and_restart(daemon, session, sandbox):
    await daemon.start()
    session.finish(session.begin())
    post = await eventually(box_says(sandbox, "DONE"), SHOWN_WITHIN_S)
    text, edits = post.message, len(sandbox.store.edits)
    assert await daemon.stop() == 0
    await daemon.start()
    await daemon.healthy_when(lambda h: h.document["sessions"]["tracked"] == 1, SHOWN_WITHIN_S)
    assert await daemon.stop() == 0
    assert box_says(sandbox, "DONE")().message == text
    assert len(sandbox.store.edits) == edits


def patches(sandbox: Sandbox) -> int:
    return sum(request.method != "GET" and "/posts" in request.path for request in sandbox.requests)


@pytest.mark.parametrize("how", ["SIGTERM", "SIGKILL"])
async def test_ended_boxes_whose_turns_did_not_go_on_are_not_written_to_after_a_restart(
    how, make_daemon, sandbox
):
    """One that was done, and one that was timed out; both of a turn that is the last in its file."""
    daemon = await make_daemon(MAX_SESSION_DURATION_S="2", IDLE_TIMEOUT_S="1")
    gateway = Gateway(daemon.openclaw)
    done_in, late_in = new_channel(sandbox).id, new_channel(sandbox).id
    done, late = gateway.session(done_in), gateway.session(late_in)
    await daemon.start()
    late.begin()
    done.finish(done.begin())
    await eventually(box_says(sandbox, "DONE", channel_id=done_in), SHOWN_WITHIN_S)
    await eventually(box_says(sandbox, "TIMEOUT", channel_id=late_in), SHOWN_WITHIN_S)
    if how == "SIGKILL":
        await kept_in(daemon.state_dir, 2)
    before = patches(sandbox)
    await leave(daemon, how)
    await daemon.start()
    # All that is read at the start has been read by then.
    await during(4, lambda: patches(sandbox) == before, "a box was written to")
    assert await daemon.stop() == 0
    assert patches(sandbox) == before


async def kept_in(state_dir: Path, boxes_ended: int) -> None:
    """That the boxes have ended is in the ledger, which takes up to a second."""

    def ended() -> bool:
        with closing(sqlite3.connect(f"file:{state_dir / 'ledger.sqlite'}?mode=ro", uri=True)) as db:
            (count,) = db.execute("SELECT count(*) FROM boxes WHERE ended = 1").fetchone()
        return count == boxes_ended

    await eventually(ended, SHOWN_WITHIN_S)


@pytest.mark.parametrize("how", ["SIGTERM", "SIGKILL"])
@pytest.mark.parametrize("then", ["ends", "goes on"])
async def test_a_timed_out_turn_that_goes_on_while_the_daemon_is_down_has_its_outcome_in_the_same_post(
    how, then, make_daemon, sandbox
):
    daemon = await make_daemon(MAX_SESSION_DURATION_S="2", IDLE_TIMEOUT_S="1")
    session = Gateway(daemon.openclaw).session(sandbox.channel.id)
    await daemon.start()
    call = session.begin()
    box = await eventually(box_says(sandbox, "TIMEOUT"), SHOWN_WITHIN_S)
    await kept_in(daemon.state_dir, 1)
    await leave(daemon, how)
    if then == "ends":
        session.finish(call, "Finished at last.")
        # Longer ago than what is read at every start: the box is why it is read.
        await asyncio.to_thread(os.utime, session.path, (time.time() - 600,) * 2)
        await daemon.start()
        done = await eventually(box_says(sandbox, "DONE", "Finished at last."), SHOWN_WITHIN_S)
    else:
        session.result(call)
        call = session.call("exec", command="while it was away")
        await daemon.start()
        session.finish(call, "Finished at last.")
        done = await eventually(box_says(sandbox, "DONE", "while it was away"), SHOWN_WITHIN_S)
    assert done.id == box.id
    assert len(boxes(sandbox)) == 1


@pytest.mark.parametrize("how", ["SIGTERM", "SIGKILL"])
async def test_M1_a_turn_goes_on_in_the_same_post_after_a_restart_and_ends_right(
    how, daemon, session, sandbox
):
    await daemon.start()
    call = session.begin()
    before = await eventually(box_says(sandbox, "ACTIVE"), SHOWN_WITHIN_S)
    await leave(daemon, how)
    session.result(call)
    call = session.call("exec", command="while it was away")
    await daemon.start()
    again = await eventually(box_says(sandbox, "ACTIVE", "sleep 600", "while it was away"), SHOWN_WITHIN_S)
    assert again.id == before.id
    session.finish(call)
    done = await eventually(box_says(sandbox, "DONE", "sleep 600", "while it was away"), SHOWN_WITHIN_S)
    assert done.id == before.id


async def test_M1_turns_that_have_run_for_a_while_go_on_in_their_own_posts(daemon, gateway, sandbox):
    """When the daemon comes back the store says that they run before any transcript has been read."""
    channels = [new_channel(sandbox) for _ in range(6)]
    sessions = [gateway.session(channel.id) for channel in channels]
    await daemon.start()
    calls = [session.begin(started_s_ago=20) for session in sessions]
    await eventually(lambda: len(boxes(sandbox)) == len(channels), SHOWN_WITHIN_S)
    await daemon.kill()
    await daemon.start()
    for session, call in zip(sessions, calls, strict=True):
        session.finish(call)
    for channel in channels:
        await eventually(box_says(sandbox, "DONE", channel_id=channel.id), SHOWN_WITHIN_S)


async def test_a_heartbeat_under_way_at_the_start_makes_no_post_at_all(daemon, gateway, sandbox):
    """Deleting is for turns without a transcript on disk; here it is there, and says that this is noise."""
    beating = [gateway.session(new_channel(sandbox)) for _ in range(6)]
    for session in beating:
        session.store(status="running", started_s_ago=20)
        session.ask("[OpenClaw heartbeat poll]")
        session.call("exec", command="date")
    working = gateway.session(sandbox.channel.id)
    await daemon.start()
    call = working.begin()
    await eventually(box_says(sandbox, "ACTIVE"), SHOWN_WITHIN_S)
    await during(2.5, lambda: len(boxes(sandbox)) == 1, "a box for a heartbeat")
    working.finish(call)
    await eventually(box_says(sandbox, "DONE"), SHOWN_WITHIN_S)
    made = [post for post in sandbox.store.posts.values() if post.user_id == sandbox.bot.id]
    assert len(made) == 1, [post.message for post in made]


@pytest.mark.parametrize("how", ["SIGTERM", "SIGKILL"])
async def test_a_turn_that_ended_while_the_daemon_was_down_is_closed_with_its_outcome(
    how, daemon, gateway, sandbox
):
    done_in, killed_in = new_channel(sandbox).id, new_channel(sandbox).id
    done, killed = gateway.session(done_in), gateway.session(killed_in)
    await daemon.start()
    call = done.begin()
    killed.begin()
    await eventually(lambda: len(boxes(sandbox)) == 2, SHOWN_WITHIN_S)
    ids = {post.id for post in boxes(sandbox)}
    await leave(daemon, how)
    done.finish(call)
    killed.store(status="killed")
    await daemon.start()
    await eventually(box_says(sandbox, "DONE", "[OK]", channel_id=done_in), SHOWN_WITHIN_S)
    await eventually(box_says(sandbox, "ABORTED", channel_id=killed_in), SHOWN_WITHIN_S)
    assert {post.id for post in boxes(sandbox)} == ids


async def test_the_next_turn_after_a_restart_makes_a_new_post_below_the_closed_one(daemon, session, sandbox):
    await daemon.start()
    call = session.begin()
    first = await eventually(box_says(sandbox, "ACTIVE"), SHOWN_WITHIN_S)
    await daemon.kill()
    session.finish(call)
    session.begin(command="the next turn")
    await daemon.start()
    await eventually(lambda: len(boxes(sandbox)) == 2, SHOWN_WITHIN_S)
    await eventually(lambda: first.message.startswith("[DONE]"), SHOWN_WITHIN_S)
    second = boxes(sandbox)[1]
    assert second.message.startswith("[ACTIVE]")
    assert "the next turn" in second.message
    assert "the next turn" not in first.message


async def test_M3_a_post_whose_id_was_never_saved_is_adopted(daemon, session, sandbox):
    sandbox.faults.add(Fault(CREATE, delay_after_commit_s=60))
    await daemon.start()
    call = session.begin()
    made = await eventually(box_says(sandbox, "ACTIVE"), SHOWN_WITHIN_S)
    await daemon.kill()
    sandbox.faults.clear()
    session.finish(call)
    await daemon.start()
    done = await eventually(box_says(sandbox, "DONE"), SHOWN_WITHIN_S)
    assert done.id == made.id
    answer = await daemon.health()
    assert answer is not None
    assert (answer.counters["adopted"], answer.counters["creates"]) == (1, 0)


async def test_M3_a_create_that_never_arrived_is_made_after_the_restart(daemon, session, sandbox):
    fault = sandbox.faults.add(Fault(CREATE, never_answer=True))
    await daemon.start()
    call = session.begin()
    await eventually(lambda: fault.hits, SHOWN_WITHIN_S)
    await daemon.kill()
    sandbox.faults.clear()
    await daemon.start()
    await eventually(box_says(sandbox, "ACTIVE"), SHOWN_WITHIN_S)
    session.finish(call)
    await eventually(box_says(sandbox, "DONE"), SHOWN_WITHIN_S)


async def test_P5_sigterm_in_the_middle_of_a_create_leaves_one_marked_post(daemon, session, sandbox):
    sandbox.faults.add(Fault(CREATE, delay_after_commit_s=1.0))
    await daemon.start()
    session.begin()
    await eventually(box_says(sandbox, "ACTIVE"), SHOWN_WITHIN_S)
    assert await daemon.stop() == 0
    assert box_says(sandbox, "INTERRUPTED")()


async def test_T2_a_line_that_was_torn_when_we_were_killed_counts_once(daemon, session, sandbox):
    await daemon.start()
    call = session.begin()
    await eventually(box_says(sandbox, "ACTIVE"), SHOWN_WITHIN_S)
    session.result(call)
    blocks = [{"type": "toolCall", "id": "call_torn", "name": "exec", "arguments": {"command": "torn 🙂 é"}}]
    message = {"role": "assistant", "content": blocks, "stopReason": "toolUse"}
    line = session.line({"type": "message", "message": message})
    torn_at = line.index("🙂".encode()) + 2
    session.raw(line[:torn_at])
    await eventually(box_says(sandbox, "ACTIVE", "[OK]"), SHOWN_WITHIN_S)
    await daemon.kill()
    session.raw(line[torn_at:])
    await daemon.start()
    await eventually(box_says(sandbox, "ACTIVE", "torn 🙂 é"), SHOWN_WITHIN_S)
    session.finish("call_torn")
    done = await eventually(box_says(sandbox, "DONE"), SHOWN_WITHIN_S)
    assert done.message.count("torn 🙂 é") == 1


async def test_a_session_archived_while_the_daemon_was_down_is_closed_from_its_archive(
    daemon, gateway, sandbox
):
    """Four of them: `.reset.` and `.deleted.`, each with the turn ended before it and in the middle of it."""
    cases = [(how, ended) for how in ("reset", "deleted") for ended in (True, False)]
    channels = [new_channel(sandbox) for _ in cases]
    sessions = [gateway.session(channel.id) for channel in channels]
    await daemon.start()
    calls = [session.begin() for session in sessions]
    await eventually(lambda: len(boxes(sandbox)) == len(cases), SHOWN_WITHIN_S)
    ids = [post.id for post in boxes(sandbox)]
    await daemon.kill()
    for (how, ended), session, call in zip(cases, sessions, calls, strict=True):
        if ended:
            session.finish(call, "Finished before it was put away.")
        session.archive(how)
    await daemon.start()
    for (_, ended), channel in zip(cases, channels, strict=True):
        expected = ("DONE", "[OK]") if ended else ("INTERRUPTED",)
        # An entry that is gone means something only after two looks at least 5 s apart.
        await eventually(box_says(sandbox, *expected, channel_id=channel.id), 15)
    assert [post.id for post in boxes(sandbox)] == ids


async def test_P5_a_second_signal_ends_at_once(daemon, session, sandbox):
    await daemon.start()
    session.begin()
    await eventually(box_says(sandbox, "ACTIVE"), SHOWN_WITHIN_S)
    sandbox.faults.add(Fault(never_answer=True))
    daemon.signal(signal.SIGTERM)
    await eventually(lambda: daemon.events("stopping"), SHOWN_WITHIN_S)
    assert daemon.returncode is None
    began_s = time.monotonic()
    daemon.signal(signal.SIGTERM)
    assert await daemon.ended(5) == 0
    assert time.monotonic() - began_s < 3  # and not as long as the server would be given


async def test_P5_sigterm_while_the_server_is_away_is_over_in_10_s_and_the_post_is_found_again(tmp_path):
    """With a server that refuses connections, and one that hangs; at the same time, for both take long."""
    async with asyncio.TaskGroup() as tasks:
        for how in ("refusing", "hanging"):
            tasks.create_task(stop_while_away(tmp_path / how, how))


async def stop_while_away(root: Path, how: str) -> None:
    async with Sandbox(settings=FORGETFUL) as sandbox, beside(sandbox, root) as daemon:
        session = Gateway(daemon.openclaw).session(sandbox.channel.id)
        await daemon.start()
        call = session.begin()
        before = await eventually(box_says(sandbox, "ACTIVE"), SHOWN_WITHIN_S)
        if how == "refusing":
            await sandbox.pause()
        else:
            sandbox.faults.add(Fault(never_answer=True))
        session.result(call)
        assert await daemon.stop() == 0
        assert before.message.startswith("[ACTIVE]")
        sandbox.faults.clear()
        if how == "refusing":
            await sandbox.resume()
        await daemon.start()
        after = await eventually(box_says(sandbox, "ACTIVE", "[OK]"), SHOWN_WITHIN_S)
        assert after.id == before.id


async def test_M1_killed_at_random_moments_a_turn_still_has_one_post(daemon, session, sandbox):
    """pytest-randomly seeds `random` and prints the seed."""
    rounds = 5
    await daemon.start()
    call = session.begin()
    for number in range(rounds):
        # Not a wait for something: the moment of the kill is what is tried.
        await asyncio.sleep(random.uniform(0, 0.4))
        session.result(call)
        call = session.call("exec", command=f"round {number} of the loop")
        await asyncio.sleep(random.uniform(0, 0.4))
        await daemon.kill()
        await daemon.start()
    session.finish(call)
    done = await eventually(box_says(sandbox, "DONE"), SHOWN_WITHIN_S)
    for number in range(rounds):
        assert done.message.count(f"round {number} of the loop") == 1, done.message
    assert done.message.count("[OK]") == rounds + 1
