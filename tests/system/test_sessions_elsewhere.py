"""The real daemon where openclaw.json says where sessions are, or where the disk they are on hangs."""

import contextlib
import json
import os
import time
from pathlib import Path

import pytest
from daemon import STOPS_WITHIN_S, Daemon, box_says, boxes, eventually
from databases import DatabaseWriter
from gateway import Gateway
from recorded_rows import EventRow, NodeRow

from status_watcher.sandbox.faults import Fault
from status_watcher.sandbox.server import Sandbox

SHOWN_WITHIN_S = 15.0
CONFIG_READ_WITHIN_S = 20.0
HUNG_WITHIN_S = 20.0


@pytest.fixture
async def daemon(make_daemon) -> Daemon:
    return await make_daemon()


def put_store(daemon: Daemon, setting: str):
    (daemon.openclaw / "openclaw.json").write_text(json.dumps({"session": {"store": setting}}))


async def test_sessions_that_openclaw_keeps_elsewhere_have_boxes_and_what_it_left_has_none(
    daemon, sandbox: Sandbox, tmp_path
):
    Gateway(daemon.openclaw).session(sandbox.channel.id).begin(command="left behind")
    put_store(daemon, f"{tmp_path}/data/agents/{{agentId}}/sessions/sessions.json")
    session = Gateway(tmp_path / "data").session(sandbox.channel.id)
    call = session.begin(command="make release")
    await daemon.start()
    await eventually(box_says(sandbox, "ACTIVE", "make release"), SHOWN_WITHIN_S)
    session.finish(call)
    await eventually(box_says(sandbox, "DONE", "make release"), SHOWN_WITHIN_S)
    assert len(boxes(sandbox)) == 1
    assert (await daemon.health()).problems == []


async def test_a_turn_whose_store_is_moved_while_it_runs_goes_on_in_the_same_post(
    daemon, sandbox: Sandbox, tmp_path
):
    await daemon.start()
    gateway = Gateway(daemon.openclaw)
    session = gateway.session(sandbox.channel.id)
    call = session.begin(command="make release")
    post = await eventually(box_says(sandbox, "ACTIVE", "make release"), SHOWN_WITHIN_S)
    new = tmp_path / "data/main"
    new.mkdir(parents=True)
    put_store(daemon, f"{tmp_path}/data/{{agentId}}/sessions.json")
    for path in (session.path, gateway.index):
        path.rename(new / path.name)
    session.path, gateway.index = new / session.path.name, new / "sessions.json"
    session.finish(call)
    done = await eventually(box_says(sandbox, "DONE", "make release", "[OK]"), CONFIG_READ_WITHIN_S)
    assert done.id == post.id


# A disk that hangs


class Store:
    """The database of one agent, which runs a command."""

    def __init__(self, openclaw: Path, agent: str, channel_id: str = "") -> None:
        self.writer = DatabaseWriter(openclaw, agent)
        key = f"agent:{agent}:mattermost:channel:{channel_id}" if channel_id else f"agent:{agent}:main"
        now_ms = time.time_ns() // 1_000_000
        entry = {"sessionId": f"s-{agent}", "updatedAt": now_ms, "status": "running"}
        ask = {"role": "user", "content": "Please look after it", "timestamp": now_ms}
        call = {"type": "toolCall", "id": "c1", "name": "exec", "arguments": {"command": "make release"}}
        answer = {"role": "assistant", "content": [call], "stopReason": "toolUse", "timestamp": now_ms}
        events = [
            {"type": "session", "version": 4, "id": f"s-{agent}"},
            {"type": "message", "id": "a", "parentId": None, "message": ask},
            {"type": "message", "id": "b", "parentId": "a", "message": answer},
        ]
        for event in events[1:]:
            event["timestamp"] = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
        rows = [EventRow(0, f"s-{agent}", seq, now_ms, event) for seq, event in enumerate(events)]
        self.writer.commit(NodeRow(0, key, f"s-{agent}", entry, now_ms, "running"), *rows)

    def hang(self) -> None:
        """Another file under its name, whose journal is a pipe without a writer: opening never returns."""
        os.mkfifo(f"{self.writer.path}-journal")
        copy = self.writer.path.with_suffix(".copy")
        copy.write_bytes(self.writer.path.read_bytes())
        copy.rename(self.writer.path)

    def release(self) -> None:
        with contextlib.suppress(OSError):  # nobody waits
            os.close(os.open(f"{self.writer.path}-journal", os.O_WRONLY | os.O_NONBLOCK))
        self.writer.close()


async def test_P5_sigterm_while_five_databases_and_mattermost_hang_is_over_in_10_s(daemon, sandbox: Sandbox):
    main = Store(daemon.openclaw, "main", sandbox.channel.id)
    stores = [main, *(Store(daemon.openclaw, f"agent-{number}") for number in range(4))]
    try:
        await daemon.start()
        await eventually(box_says(sandbox, "ACTIVE", "make release"), SHOWN_WITHIN_S)
        for store in stores:
            store.hang()
        await daemon.healthy_when(lambda h: any("come back" in line for line in h.problems), HUNG_WITHIN_S)
        hanging = sandbox.faults.add(Fault("PUT", never_answer=True))
        began_s = time.monotonic()
        assert await daemon.stop() == 0
        assert time.monotonic() - began_s < STOPS_WITHIN_S
        assert hanging.hits, "the last word was under way"
    finally:
        for store in stores:
            store.release()
