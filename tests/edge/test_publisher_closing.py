"""Boxes whose turns are not found after a restart: what their posts say stays, but for the state."""

from dataclasses import replace

import pytest
from publishing import CREATE, QUICK, never, publishing, until

from status_watcher.model import Box, BoxId, Closing, Making, State, Urgency
from status_watcher.sandbox.faults import Fault

SAID = "[ACTIVE] main | 38s\n> Plan first.\n> exec: `make` running 4s"
CLOSED = "[INTERRUPTED] main | 38s\n> Plan first.\n> exec: `make` running 4s\n\n[INTERRUPTED] 38s"
DONE = "[DONE] main | 53s\n> exec: `make` [OK]\n\n[DONE] 53s | 12.4k tokens"
CLOSING = Closing(State.INTERRUPTED, 15_000, one_line=False)
GET = r"GET /api/v4/posts/[a-z0-9]+$"


def give_up(desk, name: str = "box", *, ended: bool = True) -> None:
    """As the board does: it knows no more of the turn."""
    box = Box(desk.target, "[INTERRUPTED] main", ended, making=Making.NEVER, closing=CLOSING)
    desk.shelf.boxes[BoxId(name)] = box
    desk.publisher.touch(BoxId(name), Urgency.END)


async def left(sandbox, tmp_path, text: str = SAID, *, well: bool = False) -> None:
    """A run of the publisher that leaves an open box with this text."""
    async with publishing(sandbox, tmp_path) as desk:
        desk.show("box", text)
        await desk.shows(text)
        await until(lambda: not desk.publisher.owes(BoxId("box")))
        if not well:
            await desk.crash()


async def test_a_box_without_its_turn_keeps_what_its_post_says(sandbox, tmp_path):
    await left(sandbox, tmp_path)
    async with publishing(sandbox, tmp_path) as desk:
        give_up(desk)
        await desk.shows(CLOSED)
        assert (desk.asked("PUT"), desk.counter("edits")) == (1, 1)
    async with publishing(sandbox, tmp_path) as desk:
        assert desk.publisher.open_boxes() == ()
        assert [record.box_id for record in desk.publisher.ended_boxes()] == ["box"]


@pytest.mark.parametrize("text", [CLOSED, DONE])
async def test_a_post_that_says_already_how_its_turn_ended_is_not_edited(sandbox, tmp_path, text):
    await left(sandbox, tmp_path)
    (post,) = sandbox.store.posts_in(sandbox.channel.id)
    post.message = text  # the crash came before the ledger heard of it
    async with publishing(sandbox, tmp_path) as desk:
        give_up(desk)
        await until(lambda: desk.counter("unchanged"))
        assert (desk.asked("PUT"), desk.texts()) == (0, [text])
    async with publishing(sandbox, tmp_path) as desk:
        assert desk.publisher.open_boxes() == ()


async def test_a_post_that_cannot_be_read_is_left_alone_and_tried_again(sandbox, tmp_path):
    await left(sandbox, tmp_path)
    refused = sandbox.faults.add(Fault(GET, status=500))
    async with publishing(sandbox, tmp_path) as desk:
        give_up(desk)
        await until(lambda: refused.hits >= 2)
        assert desk.texts() == [SAID]
        assert desk.publisher.snapshot().pending == 1
        assert desk.counter("sent_unavailable") >= 2
        sandbox.faults.clear()
        await desk.shows(CLOSED)


async def test_M11_a_post_that_may_not_be_read_is_left_alone_and_an_operator_is_told(sandbox, tmp_path):
    await left(sandbox, tmp_path)
    sandbox.faults.add(Fault(GET, status=403))
    async with publishing(sandbox, tmp_path) as desk:
        give_up(desk)
        await until(lambda: desk.publisher.snapshot().problems)
        await never(lambda: desk.asked("PUT") or desk.texts() != [SAID])
        (problem,) = desk.publisher.snapshot().problems
        assert "editing a post is denied to the bot" in problem


async def test_M7_a_deleted_post_is_not_made_again_to_say_that_nothing_is_known(sandbox, tmp_path):
    await left(sandbox, tmp_path)
    (post,) = sandbox.store.posts_in(sandbox.channel.id)
    sandbox.store.delete_post(post.id, sandbox.person.id)
    async with publishing(sandbox, tmp_path, settings=replace(QUICK, repost_deleted=True)) as desk:
        give_up(desk)
        await until(lambda: desk.asked("GET", post.id) and not desk.publisher.owes(BoxId("box")))
        await never(lambda: desk.asked("POST", "/posts") > 1 or desk.texts())


@pytest.mark.parametrize("arrived", [True, False])
async def test_M3_a_create_in_doubt_is_looked_for_and_closed_or_never_made(sandbox, tmp_path, arrived):
    fault = sandbox.faults.add(Fault(CREATE, drop_after_commit=arrived, never_answer=not arrived))
    async with publishing(sandbox, tmp_path) as desk:
        desk.show("box", SAID)
        await until(lambda: fault.hits)
        await until(lambda: len(desk.texts()) == arrived)
        await desk.crash()
    sandbox.faults.clear()
    async with publishing(sandbox, tmp_path) as desk:
        give_up(desk)
        await until(lambda: not desk.publisher.owes(BoxId("box")))
        assert desk.texts() == [CLOSED] * arrived
    async with publishing(sandbox, tmp_path) as desk:
        assert desk.publisher.open_boxes() == ()


async def test_P5_a_box_that_was_not_found_by_the_stop_is_marked_and_stays_open(sandbox, tmp_path):
    await left(sandbox, tmp_path)
    async with publishing(sandbox, tmp_path) as desk:
        box = Box(desk.target, "[INTERRUPTED]", False, making=Making.NEVER, closing=CLOSING)
        desk.shelf.boxes[BoxId("box")] = box
        assert await desk.publisher.flush(5) == 0
        assert desk.texts() == [CLOSED]
    async with publishing(sandbox, tmp_path) as desk:
        assert [record.box_id for record in desk.publisher.open_boxes()] == ["box"]


async def test_a_text_that_was_still_on_its_way_is_closed_as_well(sandbox, tmp_path):
    """After a crash an edit of the last run may arrive over ours; then the post is read once more."""
    await left(sandbox, tmp_path)
    async with publishing(sandbox, tmp_path, settings=replace(QUICK, ghost_s=0.6)) as desk:
        give_up(desk)
        await desk.shows(CLOSED)
        (post,) = sandbox.store.posts_in(sandbox.channel.id)
        post.message = SAID.replace("38s", "40s")
        await desk.shows(CLOSED.replace("38s", "40s"))


# What is told of boxes that nobody can see


async def test_what_nobody_can_see_is_told_and_so_is_that_it_can_be_seen_again(sandbox, tmp_path):
    told = []
    settings = replace(QUICK, park_s=0.3)
    async with publishing(sandbox, tmp_path, settings=settings) as desk:
        desk.publisher.tell_hidden(lambda box_id, hidden: told.append((box_id, hidden)))
        fault = sandbox.faults.add(Fault(CREATE, status=403))
        desk.show("denied", "first")
        await until(lambda: fault.hits == 2)
        assert told == [("denied", True)], "once, and not again at each try"
        sandbox.faults.clear()
        await desk.shows("first")
        await until(lambda: told == [("denied", True), ("denied", False)])
        (post,) = sandbox.store.posts_in(sandbox.channel.id)
        sandbox.store.delete_post(post.id, sandbox.person.id)
        desk.show("denied", "second")
        await until(lambda: told[2:] == [("denied", True)])


async def test_what_was_hidden_before_it_was_forgotten_is_told_when_it_can_be_seen(sandbox, tmp_path):
    told = []
    settings = replace(QUICK, park_s=0.01, keep_settled_s=0)
    async with publishing(sandbox, tmp_path, settings=settings) as desk:
        desk.publisher.tell_hidden(lambda box_id, hidden: told.append((box_id, hidden)))
        sandbox.faults.add(Fault(CREATE, status=403))
        desk.show("denied", "ended", ended=True)
        await until(lambda: desk.publisher.post_of(BoxId("denied")) is None and not desk.publisher._posts)
        assert told == [("denied", True)]
        sandbox.faults.clear()
        desk.show("denied", "goes on")
        await desk.shows("goes on")
        await until(lambda: told[1:] == [("denied", False)])


async def test_an_outage_and_an_edit_that_is_refused_hide_no_box(sandbox, tmp_path):
    told = []
    async with publishing(sandbox, tmp_path) as desk:
        desk.publisher.tell_hidden(lambda box_id, hidden: told.append((box_id, hidden)))
        fault = sandbox.faults.add(Fault(CREATE, status=503))
        desk.show("box", "first")
        await until(lambda: fault.hits >= 1)
        sandbox.faults.clear()
        await desk.shows("first")
        fault = sandbox.faults.add(Fault("PUT .*", status=403))
        desk.show("box", "second")
        await until(lambda: desk.publisher.snapshot().problems)
        assert told == [("box", False)], "its post is there"
