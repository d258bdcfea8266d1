"""A gateway that dies without a word, and one that compacts: what its hook's note lets the boxes say."""

import signal

import pytest
from live.gateway import eventually
from live.installed import DATABASE
from live.world import World

pytestmark = [pytest.mark.live, pytest.mark.asyncio(loop_scope="session")]

SAID_WITHIN_S = 5.0


async def test_a_gateway_killed_by_sigkill_is_said_to_be_gone_until_it_works_again(world: World):
    """2026.9.6 lets the agent go on after the restart: a turn of its own. 2026.7.1 leaves it at that."""
    channel = world.channel("died")
    world.say(channel, "@clawbot take your time [[cut]]")
    await world.box(channel, "ACTIVE", "sleep 300")
    before = await world.healthy()
    assert "gateway: stopped" not in before["problems"]
    await world.gateway.end(signal.SIGKILL)
    box = await world.box(channel, "ACTIVE", "| gateway stopped\n", within_s=SAID_WITHIN_S)
    died = await world.healthy()
    assert (died["status"], died["pid"]) == ("degraded", before["pid"])
    assert "gateway: stopped" in died["problems"]
    await world.gateway.start()
    ended = await eventually(
        lambda: box.message if box.message.startswith("[INTERRUPTED]") else "", 60, "the box has ended"
    )
    assert "gateway" not in ended
    again = await world.healthy()
    assert "gateway: stopped" not in again["problems"]
    if world.release is DATABASE:
        await world.box(channel, "DONE", "resumed-work", "[OK]", nth=2, within_s=60)
    world.say(channel, "@clawbot go on [[short]]")
    await world.box(channel, "DONE", "short-work", "[OK]", nth=3 if world.release is DATABASE else 2)


async def test_a_prompt_that_became_too_long_is_no_error_while_the_gateway_compacts_the_session(world: World):
    """2026.9.6 tells hooks of it. 2026.7.1 does not where a run itself compacts: there the error is shown
    until the answer comes.
    """
    channel = world.channel("compacting")
    world.say(channel, "@clawbot please [[overflow]]")
    if world.release is DATABASE:
        await world.box(channel, "ACTIVE", "| compacting")
    box = await world.box(channel, "DONE", "[session compacted - continuing]", within_s=60)
    states = [edit.message.partition("]")[0][1:] for edit in world.edits(box)]
    assert "compacting" not in box.message
    assert ("ERROR" in states) == (world.release is not DATABASE)
