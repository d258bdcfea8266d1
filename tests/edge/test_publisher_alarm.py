"""The alarm for what is due next, however the moment falls."""

import asyncio

import pytest
from publishing import publishing

from status_watcher.core.throttle import Pace
from status_watcher.model import BoxId
from status_watcher.sandbox.server import Sandbox


@pytest.fixture
async def sandbox():
    async with Sandbox() as running:
        yield running


class PassingTime:
    """The loop, on which the next three times asked for are these."""

    def __init__(self, *times_s: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._times_s = list(times_s)

    def __getattr__(self, name):
        return getattr(self._loop, name)

    def time(self) -> float:
        return self._times_s.pop(0) if self._times_s else self._loop.time()


async def test_edit_that_falls_due_while_the_alarm_is_set_is_sent(sandbox, tmp_path):
    """Not yet due when the workers were given what is due, and past when the alarm for it was to be set."""
    async with publishing(sandbox, tmp_path) as desk:
        desk.show("box", "first")
        await desk.shows("first")
        post = desk.publisher._posts[BoxId("box")]
        while post.in_flight:
            await asyncio.sleep(0)
        due_s = asyncio.get_running_loop().time()
        post.pace = Pace(clear_at_s=due_s)
        desk.publisher._loop = PassingTime(due_s - 1e-5, due_s - 1e-5, due_s + 1e-5)
        desk.show("box", "second")
        await desk.shows("second", within_s=2)
