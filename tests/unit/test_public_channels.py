"""Which channels count as public while the server answers, and while it does not."""

import asyncio

from status_watcher.core.outcome import Ok, Reason, Unavailable
from status_watcher.model import ChannelId
from status_watcher.public_channels import BELIEVED_FOR_S, QUIET_FOR_S, PublicChannels

TOWN, SECRET = ChannelId("town"), ChannelId("secret")


class Server:
    """Answers for two channels; `away`: with a failure, `mute`: never."""

    def __init__(self) -> None:
        self.asked: list[ChannelId] = []
        self.away = self.mute = False
        self.public = {TOWN}
        self.now_s = 0.0

    async def is_public(self, channel, _within_s):
        self.asked.append(channel)
        if self.mute:
            await asyncio.Event().wait()
        return Unavailable(Reason.REFUSED) if self.away else Ok(channel in self.public)

    def channels(self) -> PublicChannels:
        return PublicChannels(self, lambda: self.now_s, within_s=0.05)


async def test_each_channel_is_asked_for_once_and_again_when_it_may_have_changed():
    server = Server()
    channels = server.channels()
    for _ in range(3):
        assert await channels.of({TOWN, SECRET}) == {TOWN}
    assert sorted(server.asked) == [SECRET, TOWN]
    server.public = {SECRET}
    server.now_s += BELIEVED_FOR_S
    assert await channels.of({TOWN, SECRET}) == {SECRET}


async def test_while_the_server_is_away_what_is_not_known_is_private_and_it_is_left_alone():
    server = Server()
    channels = server.channels()
    server.away = True
    for _ in range(3):
        assert await channels.of({TOWN, SECRET}) == set()
    assert len(server.asked) == 1
    server.away = False
    assert await channels.of({TOWN}) == set()
    server.now_s += QUIET_FOR_S
    assert await channels.of({TOWN}) == {TOWN}


async def test_nobody_waits_for_a_server_that_does_not_answer():
    server = Server()
    channels = server.channels()
    server.mute = True
    async with asyncio.timeout(5):
        assert await channels.of({TOWN}) == set()
        assert await channels.of({TOWN}) == set()
    assert len(server.asked) == 1
