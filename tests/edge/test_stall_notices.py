"""The reply that tells of a stall, by the real publisher, as the server sees it."""

from contextlib import asynccontextmanager

import pytest
from publishing import never, publishing, until

from status_watcher.model import Box, BoxId, ChannelId, ChannelTarget, DirectTarget, PostId, Urgency, UserId
from status_watcher.stall_notices import StallNotices, is_notice

BOX = BoxId("main/s/e1")
STALLED = "[STALLED] main | 20m 10s | exec running 16m 02s"


class Told:
    """The boxes, and a hand that changes them by way of the notices."""

    def __init__(self, desk, notify):
        self.desk = desk
        self.notices = StallNotices(_Shelf(desk.shelf.boxes), notify, desk.ledger.direct_channel)
        self.notices.deliver_to(desk.publisher)
        desk.shelf.render = self.notices.render

    def show(self, text, *, target=None, ended=False, urgency=Urgency.STATE):
        self.desk.shelf.boxes[BOX] = Box(target or self.desk.target, text, ended)
        self.notices.touch(BOX, Urgency.END if ended else urgency)

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
async def telling(sandbox, path, notify="on"):
    async with publishing(sandbox, path) as desk:
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
        await until(told.replies)
        await until(lambda: told.desk.ledger.ended_boxes or told.desk.publisher.snapshot().pending == 0)
    async with telling(sandbox, tmp_path) as told:
        publisher = told.desk.publisher
        records = (*publisher.open_boxes(), *publisher.ended_boxes())
        proper = told.notices.restore(records)
        assert [record.box_id for record in proper] == [BOX]
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
