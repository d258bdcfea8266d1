"""The sandbox against a second real client, the gateway's plugin; last, when that has asked a lot."""

import pytest
from live.world import World

pytestmark = [pytest.mark.live, pytest.mark.asyncio(loop_scope="session")]

UNKNOWN = frozenset({404, 405, 501})


async def test_the_sandbox_knows_every_call_of_the_gateways_plugin(world: World):
    calls = world.calls()
    assert {call.method for call in calls} >= {"GET", "POST", "PUT"}
    assert [call for call in calls if call.status in UNKNOWN] == []
    # A request without a valid token is one of a client that the sandbox has misled.
    assert [call for call in calls if not call.user_id] == []


async def test_the_sandbox_understands_every_frame_of_the_gateways_plugin(world: World):
    frames = world.sandbox.events.received
    assert "authentication_challenge" in {frame.action for frame in frames}
    assert [frame for frame in frames if not frame.ok] == []
