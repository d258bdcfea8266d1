"""Where `session.store` puts sessions, with the gateway that puts them there; changed while we run."""

import json
import signal

import pytest
from live.installed import DATABASE
from live.world import World

pytestmark = [pytest.mark.live, pytest.mark.asyncio(loop_scope="session")]

ENDS_WITHIN_S = 60.0


async def test_sessions_are_followed_to_where_the_gateway_keeps_them_and_back(world: World):
    """2026.7.1 takes any layout; 2026.9.6 has its database where we look for it in its own layout alone."""
    usual = "agents/{agentId}/sessions/sessions.json"
    form = usual if world.release is DATABASE else "{agentId}.d/sessions.json"
    elsewhere = world.gateway.home / "elsewhere"
    as_it_was = world.gateway.config_file.read_text()
    settings = json.loads(as_it_was)
    settings["session"]["store"] = f"{elsewhere}/{form}"
    channel = world.channel("moved")
    try:
        world.gateway.config_file.write_text(json.dumps(settings, indent=2))
        await short_turn(world, "moved-soon")
        await restart(world)
        world.say(channel, "@clawbot please [[short]]")
        await world.box(channel, "DONE", "short-work", "[OK]", within_s=60)
        kept = "**/openclaw-agent.sqlite" if world.release is DATABASE else "main.d/sessions.json"
        assert list(elsewhere.glob(kept)), "the gateway kept it somewhere else"
    finally:
        world.gateway.config_file.write_text(as_it_was)
        await restart(world)
    await short_turn(world, "moved-back")
    assert len(world.boxes(channel)) == 1


async def short_turn(world: World, name: str) -> None:
    channel = world.channel(name)
    world.say(channel, "@clawbot please [[short]]")
    await world.box(channel, "DONE", "short-work", "[OK]", within_s=60)


async def restart(world: World) -> None:
    await world.gateway.end(signal.SIGTERM, ENDS_WITHIN_S)
    await world.gateway.start()
