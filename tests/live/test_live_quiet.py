"""Our posts wake no agent: not in the mode in which a gateway answers everybody, in channel and thread."""

import asyncio

import pytest
from live.gateway import eventually
from live.world import World

pytestmark = [pytest.mark.live, pytest.mark.asyncio(loop_scope="session")]

ANSWERS_WITHIN_S = 4.0
"""By when a gateway that was woken by a post has asked its model; seen: within 2 s."""


async def test_the_gateway_answers_another_bots_plain_post(world: World):
    """The control: without it the next test would pass wherever the gateway answers no bot at all."""
    channel = world.channel("other-bot")
    store = world.sandbox.store
    other = store.add_user("otherbot", is_bot=True)
    store.add_member(channel.id, other.id)
    store.post_as(other.id, channel.id, "nobody asked, but [[plain]]")
    await eventually(lambda: world.answers(channel), 20.0, "an answer to the other bot")


async def test_no_box_makes_the_gateway_answer_or_stands_in_a_prompt(world: World):
    channel = world.channel("quiet")
    root = world.say(channel, "@clawbot please [[short]]")
    await world.box(channel, "DONE")
    world.say(channel, "in the thread too [[short]]", root=root)
    await world.box(channel, "DONE", nth=2)
    asked, answers = len(world.model.asked), len(world.answers(channel))
    await asyncio.sleep(ANSWERS_WITHIN_S)  # nothing tells that a gateway was not woken
    assert len(world.model.asked) == asked, "a box was a prompt"
    assert len(world.answers(channel)) == answers
    # What an unanswered post leaves behind would be in the next prompts of channel and thread.
    world.say(channel, "once more here [[short]]")
    await world.box(channel, "DONE", nth=3)
    world.say(channel, "and once more there [[short]]", root=root)
    await world.box(channel, "DONE", nth=4)
    assert [box.type for box in world.boxes(channel)] == ["custom_status_watcher"] * 4
    prompts = [request.text for request in world.model.asked[asked:]]
    assert prompts
    assert [prompt for prompt in prompts if "[DONE]" in prompt or "[OK]" in prompt] == []
