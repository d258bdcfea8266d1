"""A gateway that goes away in mid-turn: what its boxes say then, and after it has come back."""

import signal

import pytest
from live.gateway import eventually
from live.installed import DATABASE
from live.world import World

pytestmark = [pytest.mark.live, pytest.mark.asyncio(loop_scope="session")]

DRAINED_WITHIN_S = 60.0


async def test_a_gateway_killed_in_mid_turn_leaves_an_interrupted_box(world: World):
    """2026.9.6 then lets the agent go on by itself: a turn of its own. 2026.7.1 leaves it at that."""
    channel = world.channel("killed")
    world.say(channel, "@clawbot take your time [[cut]]")
    await world.box(channel, "ACTIVE", "sleep 300")
    before = (await world.healthy())["pid"]
    await world.gateway.end(signal.SIGKILL)
    await world.gateway.start()
    if world.release is DATABASE:
        await world.box(channel, "DONE", "resumed-work", "[OK]", nth=2, within_s=60)
    else:
        await world.box(channel, "INTERRUPTED", within_s=60)
        world.say(channel, "@clawbot go on [[short]]")
        await world.box(channel, "DONE", "short-work", "[OK]", nth=2)
    first = world.boxes(channel)[0].message
    assert first.startswith("[INTERRUPTED]")
    assert "[OK]" not in first
    assert (await world.healthy())["pid"] == before, "the hook started a second daemon, or ended the first"


async def test_a_gateway_stopped_in_mid_turn_is_shown_stopping_until_the_turn_has_ended(world: World):
    """2026.9.6 lets the turn end first; 2026.7.1 cuts it."""
    channel = world.channel("drained")
    world.say(channel, "@clawbot please [[medium]]")
    box = await world.box(channel, "ACTIVE", "sleep 8")
    await world.gateway.end(signal.SIGTERM, DRAINED_WITHIN_S)
    await eventually(
        lambda: any("gateway stopping" in edit.message for edit in world.edits(box)),
        5.0,
        "the box told of the stop",
    )
    await world.gateway.start()
    ends = ("DONE", "medium-work", "[OK]") if world.release is DATABASE else ("INTERRUPTED",)
    ended = await world.box(channel, *ends, within_s=60)
    assert "gateway stop" not in ended.message
