"""The real daemon beside a gateway that stops, and one with nothing but OpenClaw's own configuration."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from daemon import Daemon, box_says, boxes, during, eventually
from gateway import Gateway

from status_watcher.edge.gateway_notice import DIRECTORY
from status_watcher.edge.lock import pid_namespace
from status_watcher.sandbox.server import Sandbox

SHOWN_WITHIN_S = 15.0


@pytest.fixture
async def daemon(make_daemon) -> Daemon:
    return await make_daemon()


@pytest.fixture
def session(daemon, sandbox):
    return Gateway(daemon.openclaw).session(sandbox.channel.id)


def hook_tells(daemon: Daemon, state: str, at_ms: int, pid: int, **more) -> Path:
    """As the hook tells it."""
    note = {"state": state, "at_ms": at_ms, "pid": pid, "process_start": None, **more}
    note |= {"pid_namespace": pid_namespace(), "openclaw_state_dir": str(daemon.openclaw)}
    path = daemon.state_dir / DIRECTORY / "gateway.json"
    path.parent.mkdir(exist_ok=True)
    path.with_suffix(".tmp").write_text(json.dumps(note))
    return path.with_suffix(".tmp").rename(path)


async def test_boxes_say_that_the_gateway_stops_until_the_run_really_ends(daemon, session, sandbox: Sandbox):
    await daemon.start()
    call = session.begin()
    post = await eventually(box_says(sandbox, "ACTIVE"), SHOWN_WITHIN_S)
    hook_tells(daemon, "stopping", post.create_at, os.getpid())
    await eventually(box_says(sandbox, "ACTIVE", "| gateway stopping\n"), SHOWN_WITHIN_S)
    await during(2, lambda: "gateway stopping" in boxes(sandbox)[0].message, "the box stays")
    session.finish(call)
    await eventually(box_says(sandbox, "DONE"), SHOWN_WITHIN_S)
    assert "gateway" not in boxes(sandbox)[0].message
    assert [event["state"] for event in daemon.events("gateway")] == ["stopping"]


async def test_a_gateway_that_starts_again_takes_the_note_away(daemon, session, sandbox: Sandbox):
    await daemon.start()
    session.begin()
    post = await eventually(box_says(sandbox, "ACTIVE"), SHOWN_WITHIN_S)
    hook_tells(daemon, "stopping", post.create_at, 2**30)
    await eventually(box_says(sandbox, "ACTIVE", "| gateway stopped\n"), SHOWN_WITHIN_S)
    hook_tells(daemon, "running", post.create_at + 1, os.getpid())
    await eventually(lambda: "gateway" not in boxes(sandbox)[0].message, SHOWN_WITHIN_S)
    assert box_says(sandbox, "ACTIVE")()


async def test_a_gateway_that_is_killed_is_missed_also_by_the_next_daemon(daemon, session, sandbox: Sandbox):
    await daemon.start()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        hook_tells(daemon, "running", time.time_ns() // 1_000_000, process.pid)
        call = session.begin()
        await eventually(box_says(sandbox, "ACTIVE"), SHOWN_WITHIN_S)
        usual = await daemon.health()
        assert "gateway: stopped" not in usual.problems
        await during(1.0, lambda: "gateway" not in boxes(sandbox)[0].message, "it runs")
        process.kill()
    await eventually(box_says(sandbox, "ACTIVE", "| gateway stopped\n"), SHOWN_WITHIN_S)
    assert (await daemon.health()).problems == ["gateway: stopped", *usual.problems]
    assert [event["state"] for event in daemon.events("gateway")] == ["gone"]

    await daemon.kill()
    await daemon.start()
    await during(1.5, box_says(sandbox, "ACTIVE", "| gateway stopped\n"), "it is still gone")
    session.finish(call)  # by a gateway without our hook
    await eventually(box_says(sandbox, "DONE"), SHOWN_WITHIN_S)
    assert (await daemon.health()).problems == usual.problems


async def test_a_compaction_is_shown_from_the_hooks_word_until_the_next_line(
    daemon, session, sandbox: Sandbox
):
    await daemon.start()
    call = session.begin()
    await eventually(box_says(sandbox, "ACTIVE"), SHOWN_WITHIN_S)
    session.result(call)
    await eventually(box_says(sandbox, "ACTIVE", "thinking"), SHOWN_WITHIN_S)
    now_ms = time.time_ns() // 1_000_000
    hook_tells(daemon, "running", 0, os.getpid(), compacting={session.key: now_ms})
    await eventually(box_says(sandbox, "ACTIVE", "| compacting"), SHOWN_WITHIN_S)
    hook_tells(daemon, "running", 0, os.getpid())
    await eventually(box_says(sandbox, "ACTIVE", "thinking"), SHOWN_WITHIN_S)


async def test_without_a_variable_of_ours_url_and_token_are_openclaws(make_daemon, sandbox: Sandbox):
    daemon = await make_daemon(MM_URL="", MM_TOKEN="")
    account = {"baseUrl": f"{sandbox.url}/", "botToken": "${CLAW_TOKEN}"}
    text = f"// by hand\n{{channels: {{mattermost: {json.dumps(account)}}},}}"
    (daemon.openclaw / "openclaw.json").write_text(text)
    (daemon.openclaw / ".env").write_text(f"CLAW_TOKEN={sandbox.bot_token}\n")
    await daemon.start()
    session = Gateway(daemon.openclaw).session(sandbox.channel.id)
    session.begin()
    await eventually(box_says(sandbox, "ACTIVE"), SHOWN_WITHIN_S)
    assert sandbox.bot_token not in daemon.log.read_text()
