"""What the publisher does when a post, a channel or a text is refused."""

import time
from dataclasses import replace

import pytest
from publishing import CREATE, QUICK, THROTTLE_S, never, publishing, until
from structlog.testing import capture_logs

from status_watcher.model import ChannelId, ChannelTarget, DirectTarget, PostId, UserId
from status_watcher.publisher import PublisherSettings
from status_watcher.sandbox.faults import Fault
from status_watcher.sandbox.server import Sandbox, ServerSettings


async def test_M7_box_whose_post_a_person_deleted_goes_quiet(sandbox, tmp_path):
    async with publishing(sandbox, tmp_path) as desk:
        desk.show("box", "first")
        await desk.shows("first")
        (post,) = sandbox.store.posts_in(sandbox.channel.id)
        sandbox.store.delete_post(post.id, sandbox.person.id)
        desk.show("box", "second")
        await until(lambda: desk.asked("PUT") == 1 and desk.asked("GET", post.id) == 1)
        for number in range(5):
            desk.show("box", f"more {number}")
        await never(lambda: desk.asked("PUT") > 1 or desk.asked("POST", "/posts") > 1)
        assert desk.publisher.snapshot().problems == ()
        assert desk.publisher.snapshot().pending == 0
        assert desk.breaker.state == "closed"
    async with publishing(sandbox, tmp_path) as desk:
        assert desk.publisher.open_boxes() == ()
        desk.show("box", "after the restart")
        await never(lambda: desk.asked("PUT") > 1 or desk.asked("POST", "/posts") > 1)


async def test_M7_deleted_post_is_made_again_once_where_the_setting_says_so(sandbox, tmp_path):
    settings = replace(QUICK, repost_deleted=True)
    async with publishing(sandbox, tmp_path, settings=settings) as desk:
        desk.show("box", "first")
        await desk.shows("first")
        for text in ("second", "third"):
            (post,) = sandbox.store.posts_in(sandbox.channel.id)
            sandbox.store.delete_post(post.id, sandbox.person.id)
            desk.show("box", text)
            if text == "second":
                await desk.shows("second")
        await until(lambda: desk.publisher.snapshot().pending == 0)
        await never(lambda: desk.asked("POST", "/posts") > 2)


async def test_M10_text_that_the_server_finds_too_long_is_shortened_once(tmp_path):
    async with (
        Sandbox(settings=ServerSettings(max_post_chars=4_000)) as sandbox,
        publishing(sandbox, tmp_path) as desk,
    ):
        desk.show("new", "é" * 9_000)
        await until(lambda: [len(text) for text in desk.texts()] == [4_000])
        assert desk.asked("POST", "/posts") == 2
        desk.show("new", "ü" * 9_000)
        await until(lambda: desk.texts() == ["ü" * 4_000])
        assert desk.counter("shortened") == 1


async def test_M10_server_that_takes_nothing_is_asked_no_more_than_twice(tmp_path):
    async with (
        Sandbox(settings=ServerSettings(max_post_chars=10)) as sandbox,
        publishing(sandbox, tmp_path) as desk,
    ):
        desk.show("box", "x" * 1_000)
        await until(lambda: desk.publisher.snapshot().problems)
        await never(lambda: desk.asked("POST", "/posts") > 2)
        (problem,) = desk.publisher.snapshot().problems
        refusal = "creating a post is refused (400 model.post.is_valid.msg.app_error)"
        assert problem == f"channel {sandbox.channel.id}: {refusal}"


async def test_M11_edit_time_limit_allows_one_new_post_and_no_more(desk, sandbox):
    desk.show("box", "first")
    await desk.shows("first")
    (post,) = sandbox.store.posts_in(sandbox.channel.id)
    await until(lambda: time.time() * 1000 > post.create_at + 1)
    sandbox.configure(edit_time_limit_s=0)
    desk.show("box", "second")
    await desk.shows("first", "second")
    desk.show("box", "third")
    await until(lambda: desk.publisher.snapshot().problems)
    await never(lambda: len(desk.texts()) > 2 or desk.asked("PUT") > 2)
    assert "permissions_time_limit" in desk.publisher.snapshot().problems[0]


async def test_M11_archived_channel_stops_the_box_with_a_reason(desk, sandbox):
    desk.show("box", "first")
    await desk.shows("first")
    sandbox.store.archive_channel(sandbox.channel.id)
    desk.show("box", "second")
    await until(lambda: desk.publisher.snapshot().problems)
    for number in range(5):
        desk.show("box", f"more {number}")
    await never(lambda: desk.asked("PUT") > 1)
    assert "can_not_update_post_in_deleted" in desk.publisher.snapshot().problems[0]


async def test_M11_bot_removed_from_the_channel_stops_the_box_with_a_reason(desk, sandbox):
    desk.show("box", "first")
    await desk.shows("first")
    sandbox.store.remove_member(sandbox.channel.id, sandbox.bot.id)
    desk.show("box", "second")
    await until(lambda: desk.publisher.snapshot().problems)
    for number in range(5):
        desk.show("box", f"more {number}")
    await never(lambda: desk.asked("PUT") > 1)
    (problem,) = desk.publisher.snapshot().problems
    assert sandbox.channel.id in problem
    assert desk.publisher.snapshot().pending == 1


async def test_thread_whose_root_was_deleted_is_left_for_the_channel_once_and_for_all(sandbox, tmp_path):
    root = sandbox.store.post_as(sandbox.person.id, sandbox.channel.id, "please")
    thread = ChannelTarget(ChannelId(sandbox.channel.id), PostId(root.id))
    sandbox.store.delete_post(root.id, sandbox.person.id)
    with capture_logs() as logs:
        async with publishing(sandbox, tmp_path) as desk:
            desk.show("box", "first", target=thread)
            await desk.shows("first")
            desk.show("box", "second", target=thread)
            await desk.shows("second")
            assert desk.asked("POST", "/posts") == 2
            desk.show("next turn", "text", target=thread)
            await desk.shows("second", "text")
            assert desk.asked("POST", "/posts") == 3, "the thread is known to be gone"
            assert desk.counter("out_of_thread") == 1
            health = desk.publisher.snapshot()
            assert (health.problems, health.pending) == ((), 0)
    assert [line for line in logs if line["log_level"] == "warning"] == []
    assert [line["root"] for line in logs if line["event"] == "thread_gone"] == [root.id]
    assert all(post.root_id == "" for post in sandbox.store.posts_in(sandbox.channel.id))
    async with publishing(sandbox, tmp_path) as desk:
        desk.show("box", "third", target=thread)
        await desk.shows("third", "text")


async def test_kill_9_while_leaving_a_thread_makes_one_post(sandbox, tmp_path):
    root = sandbox.store.post_as(sandbox.person.id, sandbox.channel.id, "please")
    thread = ChannelTarget(ChannelId(sandbox.channel.id), PostId(root.id))
    sandbox.store.delete_post(root.id, sandbox.person.id)
    async with publishing(sandbox, tmp_path) as desk:
        desk.show("box", "first", target=thread)
        await until(lambda: desk.counter("out_of_thread") == 1)
        sandbox.faults.add(Fault(match=CREATE, delay_after_commit_s=1, times=1))
        await desk.shows("first")
        await desk.crash()
    await until(lambda: all(asked.ended_monotonic_s for asked in sandbox.requests))
    async with publishing(sandbox, tmp_path) as desk:
        desk.show("box", "second", target=thread)
        await desk.shows("second")


@pytest.mark.parametrize("made_before", [True, False], ids=["edit", "create"])
@pytest.mark.parametrize("how", ["archived", "removed"])
async def test_M11_channel_that_takes_us_again_gets_the_newest_text_and_the_problem_is_over(
    sandbox, tmp_path, how, made_before
):
    settings = replace(QUICK, park_s=0.3)
    channel = sandbox.store.channels[sandbox.channel.id]
    async with publishing(sandbox, tmp_path, settings=settings) as desk:
        if made_before:
            desk.show("box", "before")
            await desk.shows("before")
        if how == "archived":
            sandbox.store.archive_channel(channel.id)
        else:
            sandbox.store.remove_member(channel.id, sandbox.bot.id)
        with capture_logs() as logs:
            desk.show("box", "meanwhile")
            await until(lambda: desk.publisher.snapshot().problems)
            (problem,) = desk.publisher.snapshot().problems
            assert problem.startswith(f"channel {channel.id}: ")
            assert ("archived" in problem) == (how == "archived")
            desk.show("box", "[DONE]", ended=True)
            if how == "archived":
                channel.delete_at = 0
            else:
                sandbox.store.add_member(channel.id, sandbox.bot.id)
            await desk.shows("[DONE]")
            await until(lambda: not desk.publisher.snapshot().problems)
        told = [line["event"] for line in logs if line["event"].startswith("publishing_problem")]
        assert told == ["publishing_problem", "publishing_problem_over"]


async def test_box_that_has_ended_is_not_sent_to_an_archived_channel_for_ever(sandbox, tmp_path):
    settings = replace(QUICK, park_s=0.02)
    sandbox.store.archive_channel(sandbox.channel.id)
    async with publishing(sandbox, tmp_path, settings=settings) as desk:
        desk.show("box", "[DONE]", ended=True)
        await until(lambda: desk.publisher.snapshot().pending == 0 and desk.asked("POST", "/posts") == 5)
        await never(lambda: desk.asked("POST", "/posts") > 5, for_s=1)
        assert desk.publisher.snapshot().problems


async def test_denied_channel_is_tried_again_later(sandbox, tmp_path):
    settings = PublisherSettings(throttle_s=THROTTLE_S, park_s=0.3)
    private = sandbox.store.add_channel("private", type="P", members=(sandbox.person.id,))
    async with publishing(sandbox, tmp_path, settings=settings) as desk:
        desk.show("box", "text", target=ChannelTarget(ChannelId(private.id), PostId("")))
        await until(lambda: desk.publisher.snapshot().problems)
        sandbox.store.add_member(private.id, sandbox.bot.id)
        await until(lambda: desk.texts(private.id) == ["text"])


async def test_unknown_channel_is_one_problem_and_other_channels_go_on(desk, sandbox):
    with capture_logs() as logs:
        nowhere = ChannelTarget(ChannelId("z" * 26), PostId(""))
        for number in range(3):
            desk.show(f"lost {number}", "text", target=nowhere)
        desk.show("box", "text")
        await desk.shows("text")
        await until(lambda: desk.asked("POST", "/posts") == 4)
        desk.show("lost 0", "more", target=nowhere)
        await never(lambda: desk.asked("POST", "/posts") > 4)
    assert desk.publisher.snapshot().problems == (
        f"channel {'z' * 26}: creating a post is denied to the bot (403 api.context.permissions.app_error)",
    )
    assert [line["event"] for line in logs].count("publishing_problem") == 1
    assert desk.breaker.state == "closed"


async def test_unknown_user_of_a_direct_message_is_a_problem_and_named_in_the_log_alone(desk, sandbox):
    with capture_logs() as logs:
        desk.show("box", "text", target=DirectTarget(UserId("u" * 26)))
        await until(lambda: desk.publisher.snapshot().problems)
        await never(lambda: desk.asked("POST") > 1)
    (problem,) = desk.publisher.snapshot().problems
    assert problem.startswith("a direct channel: creating a post is refused")
    assert [line["user"] for line in logs if line["event"] == "publishing_problem"] == ["u" * 26]


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=200, html=True, times=2),
        Fault(status=302, headers={"Location": "/login"}, times=2),
        Fault(status=200, times=2),
        Fault(status=404, html=True, times=2),
    ],
    ids=["login page", "redirect", "empty", "proxy's 404"],
)
async def test_M12_answer_of_a_proxy_neither_ends_nor_doubles_a_box(desk, sandbox, fault):
    desk.show("box", "first")
    await desk.shows("first")
    sandbox.faults.add(fault)
    with capture_logs() as logs:
        desk.show("box", "second")
        await desk.shows("second")
    assert [line["event"] for line in logs].count("mattermost_unavailable") == 1
    assert len(desk.texts()) == 1
