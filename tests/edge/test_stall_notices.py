"""The reply that tells of a stall, by the real publisher, as the server sees it."""

import asyncio
import re
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from publishing import CREATE, QUICK, THROTTLE_S, never, publishing, until

from status_watcher.model import Box, BoxId, ChannelId, ChannelTarget, DirectTarget, PostId, Urgency, UserId
from status_watcher.sandbox.faults import Fault
from status_watcher.stall_notices import StallNotices, is_notice

BOX = BoxId("main/s/e1")
STALLED = "[STALLED] main | 20m 10s | exec running 16m 02s"
SURE_S = 0.3


class Told:
    """The boxes, and a hand that changes them by way of the notices."""

    def __init__(self, desk, notify):
        self.desk = desk
        self.notices = StallNotices(_Shelf(desk.shelf.boxes), notify, sure_s=SURE_S)
        self.notices.deliver_to(desk.publisher)
        desk.shelf.render = self.notices.render
        publisher = desk.publisher
        self.records = self.notices.restore((*publisher.open_boxes(), *publisher.ended_boxes()))

    def show(self, text, *, target=None, ended=False, urgency=Urgency.STATE):
        self.desk.shelf.boxes[BOX] = Box(target or self.desk.target, text, ended)
        self.notices.touch(BOX, Urgency.END if ended else urgency)

    @property
    def is_kept(self):
        """The reply is there, and we have it on the disk."""
        made = self.desk.publisher.post_of(BoxId(f"{BOX}~stalled"))
        return made is not None and not self.desk.ledger._unsaved

    def of_reply(self, post_id):
        """How often the reply was edited."""
        return sum(edit.post_id == post_id for edit in self.desk.sandbox.store.edits)

    def replies(self):
        sandbox = self.desk.sandbox
        return [p for p in sandbox.store.posts.values() if p.user_id == sandbox.bot.id and p.root_id]


class _Shelf:
    def __init__(self, boxes):
        self._boxes = boxes

    def render(self, box_id):
        return self._boxes.get(box_id)

    def limit_chars(self, max_chars):
        raise AssertionError(max_chars)


@asynccontextmanager
async def telling(sandbox, path, notify="on", settings=QUICK):
    async with publishing(sandbox, path, settings=settings) as desk:
        yield Told(desk, notify)


async def test_a_stall_is_told_once_below_its_box(sandbox, tmp_path):
    async with telling(sandbox, tmp_path) as told:
        told.show("[ACTIVE] main | 1s")
        told.show(f"{STALLED}\n> exec running")
        await until(told.replies)
        (reply,) = told.replies()
        (box,) = [p for p in sandbox.store.posts.values() if not p.root_id]
        assert (reply.root_id, reply.channel_id, reply.message) == (box.id, box.channel_id, STALLED)
        assert reply.type == "custom_status_watcher"
        told.show("[ACTIVE] main | 21m 00s")
        told.show(STALLED)
        await never(lambda: len(told.replies()) > 1)


async def test_a_person_may_be_named(sandbox, tmp_path):
    async with telling(sandbox, tmp_path, "anna") as told:
        told.show(STALLED)
        await until(told.replies)
        assert told.replies()[0].message == f"@anna {STALLED}"


async def test_without_a_word_of_the_operator_nothing_is_told(sandbox, tmp_path):
    async with telling(sandbox, tmp_path, "") as told:
        told.show(STALLED)
        await never(told.replies)


@pytest.mark.parametrize("text", ["[ACTIVE] main | [STALLED]", "[WAITING] main | 5m | for approval 1m"])
async def test_other_states_are_not_told(sandbox, tmp_path, text):
    async with telling(sandbox, tmp_path) as told:
        told.show(text)
        await never(told.replies)


async def test_in_a_thread_it_is_told_in_that_thread(sandbox, tmp_path):
    root = sandbox.store.post_as(sandbox.person.id, sandbox.channel.id, "please")
    target = ChannelTarget(ChannelId(sandbox.channel.id), PostId(root.id))
    async with telling(sandbox, tmp_path) as told:
        told.show(STALLED, target=target)
        await until(lambda: len(told.replies()) == 2)
        assert {post.root_id for post in told.replies()} == {root.id}


async def test_in_a_direct_channel_it_is_told_there(sandbox, tmp_path):
    async with telling(sandbox, tmp_path) as told:
        told.show(STALLED, target=DirectTarget(UserId(sandbox.person.id)))
        await until(told.replies)
        (reply,) = told.replies()
        assert sandbox.store.channels[reply.channel_id].type == "D"


async def test_after_a_restart_it_is_not_told_again(sandbox, tmp_path):
    async with telling(sandbox, tmp_path) as told:
        told.show(STALLED)
        await until(lambda: told.is_kept)
    async with telling(sandbox, tmp_path) as told:
        assert [record.box_id for record in told.records] == [BOX]
        told.show("[STALLED] main | 25m 00s | exec running 21m 00s")
        await never(lambda: len(told.replies()) > 1)
        assert [reply.message for reply in told.replies()] == [STALLED]


async def test_a_box_that_has_gone_on_before_it_had_a_post_is_not_told_of(sandbox, tmp_path):
    async with telling(sandbox, tmp_path) as told:
        told.show(STALLED)
        told.show("[DONE] main | 20m 11s", ended=True)
        await never(told.replies, for_s=1.5)


def test_no_id_of_a_box_is_that_of_a_notice():
    assert not is_notice(BOX)


# When the stall is over


@pytest.mark.parametrize(
    ("text", "ended", "how"),
    [
        ("[ACTIVE] main | 32m 10s | exec: make", False, "Working again"),
        ("[WAITING] main | 32m 10s | for approval", False, "Waiting"),
        ("[RETRYING] main | 32m 10s | try 2", False, "Retrying"),
        ("[DONE] main | 32m 10s\n> exec: make [OK]", True, "Ended [DONE]"),
        ("[TIMEOUT] main | 32m 10s", True, "Ended [TIMEOUT]"),
    ],
)
async def test_end_of_a_stall_is_said_once_in_the_reply_itself_and_names_nobody(
    sandbox, tmp_path, text, ended, how
):
    async with telling(sandbox, tmp_path, "anna") as told:
        told.show(STALLED)
        await until(told.replies)
        (before,) = told.replies()
        assert before.message.startswith("@anna ")
        told.show(text, ended=ended)
        await until(lambda: told.replies()[0].message != f"@anna {STALLED}")
        (reply,) = told.replies()
        assert reply.id == before.id
        assert re.fullmatch(re.escape(how) + r" after a stall of \d+s: main", reply.message)
        told.show(STALLED)
        told.show("[ACTIVE] main | 40m 00s")
        told.show("[DONE] main | 40m 10s", ended=True)
        await until(lambda: "[DONE] main | 40m 10s" in told.desk.texts())
        await never(lambda: told.of_reply(reply.id) != 1, for_s=2 * SURE_S)


async def test_a_box_that_only_seems_to_go_on_leaves_the_reply_as_it_is(sandbox, tmp_path):
    async with telling(sandbox, tmp_path) as told:
        told.show(STALLED)
        await until(told.replies)
        told.show("[ACTIVE] main | 20m 11s")
        told.show(STALLED)
        await never(lambda: told.replies()[0].message != STALLED, for_s=2 * SURE_S)


async def test_our_own_stop_ends_no_stall(sandbox, tmp_path):
    async with telling(sandbox, tmp_path) as told:
        told.show(STALLED)
        await until(lambda: told.is_kept)
        told.show("[INTERRUPTED] main | 20m 12s")
        assert await told.desk.publisher.flush(5) == 0
        await never(lambda: told.replies()[0].message != STALLED, for_s=2 * SURE_S)
    async with telling(sandbox, tmp_path) as told:
        told.show("[ACTIVE] main | 20m 30s")
        await until(lambda: told.replies()[0].message.startswith("Working again after a stall of "))


@pytest.mark.parametrize("notify", ["on", ""], ids=["still on", "switched off meanwhile"])
async def test_after_kill_9_the_same_reply_says_that_the_stall_is_over(sandbox, tmp_path, notify):
    async with telling(sandbox, tmp_path) as told:
        told.show(STALLED)
        await until(lambda: told.is_kept)
        await told.desk.crash()
    async with telling(sandbox, tmp_path, notify) as told:
        told.show("[ACTIVE] main | 25m 00s")
        await until(lambda: told.replies()[0].message.startswith("Working again after a stall of "))
        assert len(told.replies()) == 1
    async with telling(sandbox, tmp_path) as told:
        told.show("[DONE] main | 26m 00s", ended=True)
        await until(lambda: "[DONE] main | 26m 00s" in told.desk.texts())
        (reply,) = told.replies()
        assert reply.message.startswith("Working again")


@pytest.mark.parametrize("text", [STALLED, "[ACTIVE] main | 25m 00s"], ids=["still stalled", "over"])
async def test_kill_9_before_the_replys_id_was_kept_leaves_one_reply_that_is_true(sandbox, tmp_path, text):
    async with telling(sandbox, tmp_path) as told:
        told.show("[ACTIVE] main | 1s")
        await until(lambda: told.desk.publisher.thread_below(BOX))
        sandbox.faults.add(Fault(match=CREATE, delay_after_commit_s=1, times=1))
        told.show(STALLED)
        await until(told.replies)
        await told.desk.crash()
    await until(lambda: all(asked.ended_monotonic_s for asked in sandbox.requests))
    async with telling(sandbox, tmp_path) as told:
        told.show(text)
        over = "Working again after a stall of "
        await until(lambda: told.desk.counter("adopted") == 1)
        await until(lambda: told.replies()[0].message.startswith("[STALLED]" if text is STALLED else over))
        assert len(told.replies()) == 1
        assert told.desk.counter("creates") == 0


async def test_kill_9_before_the_reply_left_makes_none_when_the_stall_is_over(sandbox, tmp_path):
    async with telling(sandbox, tmp_path) as told:
        told.show("[ACTIVE] main | 1s")
        await until(lambda: told.desk.publisher.thread_below(BOX))
        hung = sandbox.faults.add(Fault(match=CREATE, never_answer=True))
        told.show(STALLED)
        await until(lambda: told.desk.asked("POST", "/posts") == 2)
        await told.desk.crash()
        sandbox.faults.remove(hung)
    for _ in range(2):
        async with telling(sandbox, tmp_path) as told:
            told.show("[ACTIVE] main | 25m 00s")
            await until(lambda: told.desk.texts() == ["[ACTIVE] main | 25m 00s"])
            await never(told.replies, for_s=2 * SURE_S)
            assert told.desk.asked("POST", "/posts") == 2
    assert told.desk.counter("adopted") == 0


async def test_reply_that_could_not_be_edited_at_the_end_is_edited_after_the_restart(sandbox, tmp_path):
    async with telling(sandbox, tmp_path) as told:
        told.show(STALLED)
        await until(lambda: told.is_kept)
        hung = sandbox.faults.add(Fault(match=f"PUT .*/{told.replies()[0].id}/patch", never_answer=True))
        told.show("[DONE] main | 21m 00s", ended=True)
        await until(lambda: "[DONE] main | 21m 00s" in told.desk.texts())
        await until(lambda: told.desk.ledger._unsaved == {})
        await told.desk.crash()
        sandbox.faults.remove(hung)
    async with telling(sandbox, tmp_path) as told:
        await until(lambda: told.replies()[0].message == "Ended after a stall")
    async with telling(sandbox, tmp_path) as told:
        await never(lambda: told.of_reply(told.replies()[0].id) > 1)


async def test_stall_that_could_not_be_told_in_time_is_not_told_at_all(sandbox, tmp_path):
    async with telling(sandbox, tmp_path) as told:
        told.show("[ACTIVE] main | 1s")
        await until(lambda: told.desk.publisher.thread_below(BOX))
        refusing = sandbox.faults.add(Fault(match=CREATE, status=503))
        told.show(STALLED)
        await until(lambda: refusing.hits)
        told.show("[DONE] main | 21m 00s", ended=True)
        await until(lambda: told.desk.texts() == ["[DONE] main | 21m 00s"])
        sandbox.faults.remove(refusing)
        await until(lambda: told.desk.publisher.snapshot().pending == 0)
        await never(told.replies)


async def test_no_stall_is_told_of_a_box_that_a_person_has_removed(sandbox, tmp_path):
    async with telling(sandbox, tmp_path) as told:
        told.show("[ACTIVE] main | 1s")
        await until(lambda: told.desk.publisher.thread_below(BOX))
        (box,) = sandbox.store.posts_in(sandbox.channel.id)
        sandbox.store.delete_post(box.id, sandbox.person.id)
        told.show(STALLED)
        await until(lambda: told.desk.publisher.snapshot().pending == 0)
        await never(told.desk.texts)
        assert told.desk.publisher.snapshot().problems == ()


async def test_reply_goes_with_a_box_that_is_taken_back(sandbox, tmp_path):
    root = sandbox.store.post_as(sandbox.person.id, sandbox.channel.id, "please")
    async with telling(sandbox, tmp_path) as told:
        told.show(STALLED, target=ChannelTarget(ChannelId(sandbox.channel.id), PostId(root.id)))
        await until(lambda: len(told.desk.texts()) == 2)
        told.notices.withdraw(BOX)
        await until(lambda: told.desk.texts() == [])


async def test_renamed_box_takes_its_reply_along(sandbox, tmp_path):
    named = BoxId("main/s/e9")
    async with telling(sandbox, tmp_path) as told:
        told.show(STALLED)
        await until(told.replies)
        told.desk.shelf.boxes[named] = Box(told.desk.target, "[ACTIVE] main | 21m", ended=False)
        told.notices.rename(BOX, named)
        told.notices.touch(named, Urgency.STATE)
        await until(lambda: told.replies()[0].message.startswith("Working again"))
        assert len(told.replies()) == 1


async def test_reply_and_its_edit_are_paid_for_and_counted_like_all_others(sandbox, tmp_path):
    settings = replace(QUICK, edits_per_s=1.0, edits_burst=2.0)
    async with telling(sandbox, tmp_path, settings=settings) as told:
        told.show(STALLED)
        await until(told.replies)
        assert told.desk.counter("creates") == 2
        began_s = asyncio.get_running_loop().time()
        told.show("[DONE] main | 21m 00s", ended=True)
        await until(lambda: told.desk.counter("edits") == 2)
        took_s = asyncio.get_running_loop().time() - began_s
        assert told.desk.counter("edits_held_back") >= 1
        assert took_s > 0.9, "of two edits the second had to wait for a token"
    assert sandbox.violations(THROTTLE_S) == []
