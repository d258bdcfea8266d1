"""What people see in the channel while a real gateway's agent works."""

import asyncio

import pytest
from live.gateway import eventually
from live.installed import DATABASE
from live.world import World

from status_watcher.sandbox.records import Channel, Post

pytestmark = [pytest.mark.live, pytest.mark.asyncio(loop_scope="session")]

ENDED_WITHIN_S = 5.0
"""How long after the gateway's own last word a box may still call the turn active."""


async def test_the_hook_has_started_the_daemon(world: World):
    health = await world.healthy()
    status = await asyncio.to_thread(world.status)
    assert status["running"]
    assert status["pid"] == health["pid"]


async def test_a_turn_with_two_helpers_is_one_box_with_each_call_and_its_outcome(world: World):
    channel = world.channel("chores")
    world.say(channel, "@clawbot do the chores [[chores]]")
    shown = await world.box(channel, "ACTIVE", "echo one; sleep 1; echo two")
    assert not shown.root_id
    box = await world.box(channel, "DONE", within_s=60)
    assert box.id == shown.id
    ended_ms = next(edit.at_ms for edit in world.edits(box) if edit.message.startswith("[DONE]"))
    answered_ms = max(max(post.create_at, post.edit_at) for post in world.answers(channel))
    assert ended_ms - answered_ms < ENDED_WITHIN_S * 1000
    seen = [line for edit in world.edits(box) for line in edit.message.splitlines()]
    assert_line(seen, "> exec: `echo one; sleep 1; echo two` [OK]")
    assert_line(seen, "> exec: `echo no; exit 3` [ERR 3]")
    lines = box.message.splitlines()
    first, second = lines.index("> Sub-agent: helper-a"), lines.index("> Sub-agent: helper-b")
    of_a, of_b = lines[first:second], lines[second:]
    assert_line(of_a, "> > exec: `ls; sleep 2; echo counted` [OK]")
    assert_line(of_a, "> > exec: `sleep 1; exit 4` [ERR 4]")
    assert_line(of_a, "> > [DONE]")
    assert_line(of_b, "> > exec: `sleep 6; date -u +%Y` [OK]")
    assert_line(of_b, "> > [DONE]")
    assert "tokens" in lines[-1]
    health = await world.healthy()
    assert (health["status"], health["problems"]) == ("ok", [])


async def test_the_box_of_a_thread_stands_in_the_thread_with_the_helper_started_from_there(world: World):
    channel = world.channel("threads")
    root = world.say(channel, "@clawbot first in the channel [[short]]")
    above = await world.box(channel, "DONE", "short-work", "[OK]")
    assert not above.root_id
    world.say(channel, "and now here [[delegate]]", root=root)
    below = await world.box(channel, "DONE", nth=2)
    assert below.root_id == root.id
    lines = below.message.splitlines()
    assert_line(lines, "> Sub-agent: helper-c")
    assert_line(lines, "> > exec: `sleep 1; echo delegated` [OK]")
    await answered(world, channel, answers=2)
    assert {post.root_id for post in world.answers(channel)} == {"", root.id}


async def test_the_box_of_a_private_channel_stands_there(world: World):
    channel = world.channel("private", "P")
    world.say(channel, "@clawbot quietly please [[short]]")
    await world.box(channel, "DONE", "short-work", "[OK]")


async def test_the_box_of_a_direct_message_stands_in_our_own_direct_channel(world: World):
    """Our bot is another account than the gateway's: it may not post between that one and the person."""
    store = world.sandbox.store
    theirs = store.direct_channel(world.sandbox.person.id, world.claw.id)
    ours = store.direct_channel(world.sandbox.person.id, world.sandbox.bot.id)
    world.say(theirs, "between us [[short]]")
    await world.box(ours, "DONE", "short-work", "[OK]")
    assert not world.boxes(theirs)


async def test_a_new_conversation_leaves_the_old_box_and_makes_none_of_its_own(world: World):
    channel = world.channel("renewed")
    world.say(channel, "@clawbot before [[short]]")
    before = await world.box(channel, "DONE", "short-work")
    said_before = before.message
    answers = len(world.answers(channel))
    world.say(channel, "/new")
    await answered(world, channel, answers=answers + 1)
    world.say(channel, "@clawbot after [[short]]")
    await world.box(channel, "DONE", "short-work", nth=2)
    assert world.boxes(channel)[0].message == said_before


async def test_a_new_conversation_asked_for_in_mid_turn_is_shown_as_what_became_of_the_turn(world: World):
    """2026.9.6 cuts the turn; 2026.7.1 lets it end first."""
    channel = world.channel("cut-short")
    world.say(channel, "@clawbot please [[medium]]")
    await world.box(channel, "ACTIVE", "sleep 8")
    world.say(channel, "/new")
    box = await world.box(channel, "INTERRUPTED" if world.release is DATABASE else "DONE")
    assert ("[OK]" in box.message) is (world.release is not DATABASE)
    said = box.message
    await eventually(
        lambda: any("New session" in post.message for post in world.answers(channel)),
        30.0,
        "the answer to /new",
    )
    world.say(channel, "@clawbot after [[short]]")
    await world.box(channel, "DONE", "short-work", nth=2)
    assert world.boxes(channel)[0].message == said


async def test_a_person_stops_the_agent_and_the_box_says_aborted(world: World):
    channel = world.channel("stopped")
    world.say(channel, "@clawbot take your time [[endless]]")
    await world.box(channel, "ACTIVE", "sleep 300")
    world.say(channel, "/stop")
    box = await world.box(channel, "ABORTED")
    assert "[OK]" not in box.message


async def test_an_abort_by_an_administrators_client_is_shown_as_one(world: World):
    """Of a run that such a client has started: 2026.7.1 answers that there is none where a person has."""
    channel = world.channel("aborted")
    world.say(channel, "@clawbot get to know this channel [[short]]")
    await world.box(channel, "DONE")
    key = f"agent:main:mattermost:channel:{channel.id}"
    await world.gateway.ask("chat.send", sessionKey=key, message="now [[endless]]", idempotencyKey="endless")
    await world.box(channel, "ACTIVE", "sleep 300", nth=2)
    answer = await world.gateway.ask("chat.abort", sessionKey=key)
    assert answer["aborted"], answer
    box = await world.box(channel, "ABORTED", nth=2)
    assert "[OK]" not in box.message.partition("sleep 300")[2]


async def answered(world: World, channel: Channel, answers: int) -> list[Post]:
    """The gateway's posts there once there are so many."""

    def enough() -> list[Post] | None:
        found = world.answers(channel)
        return found if len(found) >= answers else None

    return await eventually(enough, 30.0, f"{answers} posts of the gateway in #{channel.name}")


def assert_line(lines: list[str], beginning: str) -> None:
    assert any(line.startswith(beginning) for line in lines), "\n".join(
        [f"none begins {beginning!r}:", *lines]
    )
