"""A restart that does not find the session of an open box: its post keeps what it says."""

import contextlib
import time
from pathlib import Path

import pytest
from daemon import Daemon, box_says, boxes, during, eventually
from databases import DatabaseWriter
from gateway import Gateway
from hostile import with_faults
from recorded_rows import EventRow, NodeRow

from status_watcher.sandbox.server import Sandbox

SHOWN_WITHIN_S = 15.0
GIVEN_UP_S = 1.5
SOON_GIVEN_UP = f"""
from status_watcher.core import lost
lost.LOST_AFTER_MS = {GIVEN_UP_S * 1000:.0f}
"""
"""Instead of 15 s."""
SAID = "exec: `make release` running"


@pytest.fixture
async def daemon(make_daemon, tmp_path) -> Daemon:
    return await make_daemon(**with_faults(tmp_path, SOON_GIVEN_UP))


async def leave(daemon: Daemon, how: str) -> None:
    if how == "SIGTERM":
        assert await daemon.stop() == 0
    else:
        await daemon.kill()


def lines_of(text: str) -> list[str]:
    """What a text says between its first and its last line."""
    return [line for line in text.split("\n")[1:] if line.startswith(">")]


@pytest.mark.parametrize("how", ["SIGTERM", "SIGKILL"])
async def test_a_session_that_is_gone_after_a_restart_leaves_its_post_as_it_was(
    how, daemon, sandbox: Sandbox
):
    gateway = Gateway(daemon.openclaw)
    session = gateway.session(sandbox.channel.id)
    await daemon.start()
    session.result(session.begin(command="make test"))
    session.call("exec", "Now the release.", command="make release")
    await eventually(box_says(sandbox, "ACTIVE", "make test` [OK]", SAID), SHOWN_WITHIN_S)
    await leave(daemon, how)
    (post,) = boxes(sandbox)
    left, edits = post.message, len(sandbox.store.edits)
    session.path.unlink()
    gateway.drop(session.key)
    await daemon.start()
    if how == "SIGTERM":
        await during(2 * GIVEN_UP_S + 1, lambda: post.message == left, "it was edited")
        assert len(sandbox.store.edits) == edits
        assert any(r.method == "GET" and r.path.endswith(post.id) for r in sandbox.requests), "it was asked"
    else:
        await eventually(box_says(sandbox, "INTERRUPTED"), SHOWN_WITHIN_S)
        await during(1, lambda: len(sandbox.store.edits) == edits + 1, "one edit is enough")
        first, *_, last = post.message.split("\n")
        assert first == left.split("\n")[0].replace("ACTIVE", "INTERRUPTED")
        assert last == first.replace(" main |", "")
    assert lines_of(post.message) == lines_of(left)
    assert len(boxes(sandbox)) == 1


@pytest.mark.parametrize("how", ["SIGTERM", "SIGKILL"])
async def test_S2_a_directory_that_is_mounted_late_costs_no_box_anything(how, daemon, sandbox: Sandbox):
    session = Gateway(daemon.openclaw).session(sandbox.channel.id)
    await daemon.start()
    call = session.begin(command="make release")
    post = await eventually(box_says(sandbox, "ACTIVE", SAID), SHOWN_WITHIN_S)
    await leave(daemon, how)
    left, edits = post.message, len(sandbox.store.edits)
    agents = daemon.openclaw / "agents"
    agents.rename(daemon.openclaw / "unmounted")
    await daemon.start()
    waiting = "1 open box waits for sessions of agent main: none could be read since the start"
    answer = await daemon.healthy_when(lambda h: waiting in h.problems, SHOWN_WITHIN_S)
    assert answer.status == "degraded"
    await during(GIVEN_UP_S, lambda: post.message == left, "it was edited")
    assert len(sandbox.store.edits) == edits
    await eventually(lambda: any(waiting in str(line) for line in daemon.events("following_problem")), 5)
    (daemon.openclaw / "unmounted").rename(agents)
    session.result(call)
    await eventually(box_says(sandbox, "ACTIVE", "make release` [OK]"), 40, "found by the slow look at least")
    await daemon.healthy_when(lambda h: h.status == "ok", SHOWN_WITHIN_S)
    session.answer("All done.")
    assert (await eventually(box_says(sandbox, "DONE", "All done."), SHOWN_WITHIN_S)).id == post.id


async def test_P5_a_box_that_waits_for_its_directory_is_marked_when_we_stop(daemon, sandbox: Sandbox):
    session = Gateway(daemon.openclaw).session(sandbox.channel.id)
    await daemon.start()
    session.begin(command="make release")
    post = await eventually(box_says(sandbox, "ACTIVE", SAID), SHOWN_WITHIN_S)
    await daemon.kill()
    said = lines_of(post.message)
    (daemon.openclaw / "agents").rename(daemon.openclaw / "unmounted")
    await daemon.start()
    assert await daemon.stop() == 0
    assert post.message.startswith("[INTERRUPTED] main | ")
    assert lines_of(post.message) == said
    (daemon.openclaw / "unmounted").rename(daemon.openclaw / "agents")
    await daemon.start()
    await eventually(box_says(sandbox, "ACTIVE", SAID), SHOWN_WITHIN_S)


class Database:
    """The database of the agent, in which one turn runs a command."""

    def __init__(self, openclaw: Path, channel_id: str) -> None:
        self.writer = DatabaseWriter(openclaw, "main")
        self._key = f"agent:main:mattermost:channel:{channel_id}"
        call = {"type": "toolCall", "id": "c1", "name": "exec", "arguments": {"command": "make release"}}
        self._rows = 0
        self.write("running", {"type": "session", "version": 4, "id": "s"})
        self.say({"role": "user", "content": "Please look after it"})
        self.say({"role": "assistant", "content": [call], "stopReason": "toolUse"})

    def say(self, message: dict[str, object], *, status: str = "running") -> None:
        now_ms = time.time_ns() // 1_000_000
        above = f"e{self._rows - 1}" if self._rows > 1 else None
        event = {"type": "message", "id": f"e{self._rows}", "parentId": above}
        self.write(status, event | {"message": message | {"timestamp": now_ms}})

    def write(self, status: str, event: dict[str, object]) -> None:
        now_ms = time.time_ns() // 1_000_000
        entry = {"sessionId": "s", "updatedAt": now_ms, "status": status}
        event = event | {"timestamp": time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(now_ms / 1000))}
        row = EventRow(0, "s", self._rows, now_ms, event)
        self.writer.commit(NodeRow(0, self._key, "s", entry, now_ms, status), row)
        self._rows += 1


@pytest.mark.parametrize("how", ["SIGTERM", "SIGKILL"])
async def test_S1_a_database_that_cannot_be_read_at_the_start_costs_no_box_anything(
    how, daemon, sandbox: Sandbox
):
    daemon.sessions_dir.rmdir()
    database = Database(daemon.openclaw, sandbox.channel.id)
    with contextlib.closing(database.writer):
        await daemon.start()
        post = await eventually(box_says(sandbox, "ACTIVE", SAID), SHOWN_WITHIN_S)
        await leave(daemon, how)
        left, edits = post.message, len(sandbox.store.edits)
        place = database.writer.path.parent
        away = place.with_name("away")
        place.rename(away)
        place.mkdir()
        (place / database.writer.path.name).write_bytes(b"garbage" * 1_000)
        await daemon.start()
        await daemon.healthy_when(lambda h: any("box waits" in p for p in h.problems), SHOWN_WITHIN_S)
        await during(GIVEN_UP_S, lambda: post.message == left, "it was edited")
        assert len(sandbox.store.edits) == edits
        (place / database.writer.path.name).unlink()
        place.rmdir()
        away.rename(place)
        await eventually(box_says(sandbox, "ACTIVE", SAID), 40)
        database.say({"role": "toolResult", "toolCallId": "c1", "toolName": "exec", "content": []})
        answer = [{"type": "text", "text": "All done."}]
        message = {"role": "assistant", "content": answer, "stopReason": "stop"}
        database.say(message, status="done")
        done = await eventually(box_says(sandbox, "DONE", "All done."), SHOWN_WITHIN_S)
        assert done.id == post.id


async def test_M11_a_box_that_its_channel_refuses_or_a_person_deleted_holds_no_place(
    make_daemon, sandbox: Sandbox
):
    daemon = await make_daemon(MAX_ACTIVE_SESSIONS="1")
    gateway = Gateway(daemon.openclaw)
    closed = sandbox.store.add_channel("closed", members=(sandbox.person.id,))
    good, later = (sandbox.store.add_channel(name, members=(sandbox.bot.id,)) for name in ("good", "later"))
    await daemon.start()
    gateway.session(closed.id).begin()
    await daemon.healthy_when(lambda h: any("denied to the bot" in p for p in h.problems), SHOWN_WITHIN_S)
    session = gateway.session(good.id)
    call = session.begin()
    post = await eventually(box_says(sandbox, "ACTIVE", channel_id=good.id), SHOWN_WITHIN_S)
    answer = await daemon.health()
    assert answer.document["sessions"] == {"active": 1, "tracked": 2, "waiting": 0}
    third = gateway.session(later.id)
    third.begin()
    await daemon.healthy_when(lambda h: h.document["sessions"]["waiting"] == 1, SHOWN_WITHIN_S)
    sandbox.store.delete_post(post.id, sandbox.person.id)
    session.result(call)
    await eventually(box_says(sandbox, "ACTIVE", channel_id=later.id), SHOWN_WITHIN_S)
    answer = await daemon.health()
    assert answer.document["sessions"] == {"active": 1, "tracked": 3, "waiting": 0}
