"""The real daemon beside a gateway that stops, and one with nothing but OpenClaw's own configuration."""

import json
import os

import pytest
from daemon import Daemon, box_says, boxes, during, eventually
from gateway import Gateway

from status_watcher.edge.gateway_notice import FILE_NAME
from status_watcher.edge.lock import pid_namespace
from status_watcher.sandbox.server import Sandbox

SHOWN_WITHIN_S = 5.0


@pytest.fixture
async def daemon(make_daemon) -> Daemon:
    return await make_daemon()


@pytest.fixture
def session(daemon, sandbox):
    return Gateway(daemon.openclaw).session(sandbox.channel.id)


def gateway_stops(daemon: Daemon, at_ms: int, pid: int) -> None:
    """As the hook tells it."""
    notice = {"pid": pid, "pid_namespace": pid_namespace(), "at_ms": at_ms}
    path = daemon.state_dir / FILE_NAME
    path.write_text(json.dumps(notice | {"openclaw_state_dir": str(daemon.openclaw)}))


async def test_boxes_say_that_the_gateway_stops_until_the_run_really_ends(daemon, session, sandbox: Sandbox):
    await daemon.start()
    call = session.begin()
    post = await eventually(box_says(sandbox, "ACTIVE"), SHOWN_WITHIN_S)
    gateway_stops(daemon, post.create_at, os.getpid())
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
    gateway_stops(daemon, post.create_at, 2**30)
    await eventually(box_says(sandbox, "ACTIVE", "| gateway stopped\n"), SHOWN_WITHIN_S)
    (daemon.state_dir / FILE_NAME).unlink()
    await eventually(lambda: "gateway" not in boxes(sandbox)[0].message, SHOWN_WITHIN_S)
    assert box_says(sandbox, "ACTIVE")()


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
