"""What the relay does with a box that nobody can see."""

import asyncio

from builders import KEY, Transcript, call, entry, lines, ms, store
from simulate import board

from status_watcher.model import BoxId, Urgency
from status_watcher.relay import BoardClock, Relay

OTHER = KEY[:-1] + "0"


class Channel:
    """What the publisher was told."""

    def __init__(self) -> None:
        self.touched: list[BoxId] = []

    def touch(self, box_id: BoxId, urgency: Urgency) -> None:
        assert urgency is Urgency.STATE or not self.touched
        self.touched.append(box_id)

    def withdraw(self, box_id: BoxId) -> None:
        raise AssertionError(box_id)

    def rename(self, old: BoxId, new: BoxId) -> None:
        raise AssertionError((old, new))


async def two_turns_and_one_place(channel: Channel) -> Relay:
    relay = Relay(board(ms(-60), most_open=1), channel, BoardClock(lambda: ms(5) / 1000, lambda: 0.0))
    one, two = Transcript("one"), Transcript("two")
    relay.take(store({KEY: entry("one"), OTHER: entry("two")}))
    relay.take(lines(one.header(), one.user(0), one.assistant(1, call()), session_id="one"))
    await asyncio.sleep(0)  # the relay's turn
    relay.take(lines(two.header(), two.user(0), two.assistant(1, call()), session_id="two"))
    await asyncio.sleep(0)  # the relay's turn
    assert channel.touched == ["main/one/e1"]
    return relay


async def test_the_box_that_gets_a_place_is_told_at_once():
    channel = Channel()
    relay = await two_turns_and_one_place(channel)
    relay.hear_of_hidden(BoxId("main/one/e1"), True)
    await asyncio.sleep(0)  # the relay's turn
    assert channel.touched == ["main/one/e1", "main/two/e1"]
    relay.stop()


async def test_P5_nobody_gets_a_place_once_we_stop():
    channel = Channel()
    relay = await two_turns_and_one_place(channel)
    relay.stop()
    channel.touched.clear()
    relay.hear_of_hidden(BoxId("main/one/e1"), True)
    await asyncio.sleep(0)  # the relay's turn
    assert channel.touched == []
