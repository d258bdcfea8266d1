"""What went over the wire in the whole run: of the gateway's plugin, a second real client, and of our daemon.

Last, when there is something to look at.
"""

import pytest
from live.world import World

from status_watcher.sandbox.traffic import WEBSOCKET

pytestmark = [pytest.mark.live, pytest.mark.asyncio(loop_scope="session")]

UNKNOWN = frozenset({404, 405, 501})
TAGS = ("[ACTIVE]", "[DONE]", "[ABORTED]", "[INTERRUPTED]", "[OK]")


async def test_the_sandbox_knows_every_call_of_the_gateways_plugin(world: World):
    calls = world.calls()
    assert {call.method for call in calls} >= {"GET", "POST", "PUT"}
    assert [call for call in calls if call.status in UNKNOWN] == []
    # Without a valid token: the sandbox has misled its client. On the websocket it comes in a frame.
    assert [call for call in calls if not call.user_id and call.path != WEBSOCKET] == []


async def test_the_sandbox_understands_every_frame_of_the_gateways_plugin(world: World):
    frames = world.sandbox.events.received
    assert "authentication_challenge" in {frame.action for frame in frames}
    assert [frame for frame in frames if not frame.ok] == []


async def test_our_daemon_broke_none_of_its_rules(world: World):
    """No edit without a change or faster than the throttle, at most 4 connections, no live mention."""
    assert world.sandbox.violations(throttle_s=0.5) == []


async def test_no_channel_has_more_boxes_than_it_had_turns_worth_one(world: World):
    channels = world.sandbox.store.channels.values()
    assert {c.name: len(world.boxes(c)) for c in channels} == {c.name: world.turns[c.id] for c in channels}


async def test_no_text_of_ours_was_ever_shown_to_the_model(world: World):
    assert world.model.asked
    shown = [asked.text for asked in world.model.asked if any(tag in asked.text for tag in TAGS)]
    assert shown == []
