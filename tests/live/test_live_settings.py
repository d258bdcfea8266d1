"""A daemon that was told nothing, on a real gateway's host."""

import asyncio
import os
import signal

import pytest
from live.gateway import COMMAND, eventually
from live.world import World

from status_watcher.sandbox.records import Post

pytestmark = [pytest.mark.live, pytest.mark.asyncio(loop_scope="session")]


async def test_without_settings_the_daemon_speaks_as_the_gateways_own_bot(world: World, tmp_path):
    """URL, token and state directory are OpenClaw's; so the box of a direct message stands beside it."""
    store, person = world.sandbox.store, world.sandbox.person
    channel = store.direct_channel(person.id, world.claw.id)
    ours = store.direct_channel(person.id, world.sandbox.bot.id)
    boxes = len(world.boxes(ours))
    before = {post.id for post in world.answers(channel)}
    env = world.gateway.env | {
        "STATE_DIR": str(tmp_path / "state"),
        "PID_FILE": str(tmp_path / "pid"),
        "HEALTH_PORT": "0",
    }
    log = tmp_path / "log"
    with log.open("wb") as stderr:
        daemon = await asyncio.create_subprocess_exec(*COMMAND, "run", env=env, stderr=stderr)
    try:
        await eventually(lambda: b'"started"' in log.read_bytes(), 20.0, "the daemon has started")
        world.say(channel, "on your own account [[short]]")

        def shown() -> list[Post]:
            posts = [post for post in world.answers(channel) if post.id not in before]
            return [post for post in posts if post.type and post.message.startswith("[DONE]")]

        assert len(await eventually(shown, 30.0, "a box of the gateway's bot")) == 1
        await world.box(ours, "DONE", nth=boxes + 1)
        assert world.gateway.runs
    finally:
        daemon.send_signal(signal.SIGTERM)
        assert await daemon.wait() == os.EX_OK
