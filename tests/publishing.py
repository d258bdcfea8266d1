"""The publisher as the application runs it, against a sandbox: for tests that watch what the server sees."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from status_watcher.core.throttle import Patience
from status_watcher.edge.breaker import Breaker
from status_watcher.edge.ledger import Ledger, open_ledger
from status_watcher.edge.mattermost import MattermostClient
from status_watcher.model import Box, BoxId, ChannelId, ChannelTarget, PostId, Target, Urgency
from status_watcher.publisher import Publisher, PublisherSettings
from status_watcher.sandbox.server import Sandbox

QUICK = PublisherSettings(
    throttle_s=0.1,
    edits_per_s=0,
    tick_s=0.5,
    token_probe_s=0.3,
    patience=Patience(at_first_s=0.6, after_failure_s=0.3),
)
"""Without a budget, which tests of it set."""
THROTTLE_S = QUICK.throttle_s
COOLDOWN_S = 0.5
CREATE = "POST .*/posts$"
"""What a fault must match to meet the making of a post alone."""


async def until(condition: Callable[[], object], within_s: float = 15.0) -> None:
    """Returns once the condition holds; fails when it does not in time."""
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.005)


async def never(condition: Callable[[], object], for_s: float = 0.4) -> None:
    """Fails as soon as the condition holds.

    A negative window: nothing tells that something was not done, so it is as long as some throttles, in which
    a publisher that does it would have. A busy machine makes the look less sharp, and never fails it.
    """
    with suppress(TimeoutError):
        async with asyncio.timeout(for_s):
            while not condition():
                await asyncio.sleep(0.005)
    assert not condition()


def edits(sandbox: Sandbox) -> list[str]:
    """The texts of all edits that the server took, in order."""
    return [edit.message for edit in sandbox.store.edits]


class Shelf:
    """Boxes as a dict; knows how often each was rendered."""

    def __init__(self) -> None:
        self.boxes: dict[BoxId, Box] = {}
        self.renders = 0
        self.max_chars = 100_000

    def render(self, box_id: BoxId) -> Box | None:
        self.renders += 1
        box = self.boxes.get(box_id)
        if box is None:
            return None
        return replace(box, text=box.text[: self.max_chars])

    def limit_chars(self, max_chars: int) -> None:
        self.max_chars = min(self.max_chars, max_chars)


@dataclass
class Desk:
    """One run of the publisher, and a hand that changes boxes."""

    sandbox: Sandbox
    publisher: Publisher
    ledger: Ledger
    breaker: Breaker
    shelf: Shelf
    task: asyncio.Task[None]
    target: Target
    crashed: bool = field(default=False)

    def show(
        self,
        name: str,
        text: str,
        *,
        ended: bool = False,
        urgency: Urgency = Urgency.LINES,
        age_s: float = 0.0,
        target: Target | None = None,
    ) -> None:
        """The box now says this."""
        box_id = BoxId(name)
        self.shelf.boxes[box_id] = Box(target or self.target, text, ended, round(age_s * 1000))
        self.publisher.touch(box_id, Urgency.END if ended else urgency)

    def texts(self, channel_id: str | None = None) -> list[str]:
        """What a reader of the channel sees of our posts, oldest first."""
        posts = self.sandbox.store.posts_in(channel_id or self.sandbox.channel.id)
        return [post.message for post in posts if post.user_id == self.sandbox.bot.id]

    def counter(self, name: str) -> int:
        return self.publisher.snapshot().counters.get(name, 0)

    async def shows(self, *texts: str, within_s: float = 15.0) -> None:
        """Waits until the channel holds exactly these posts of ours."""
        await until(lambda: self.texts() == list(texts), within_s)

    async def stop(self) -> None:
        """Ends well: the ledger is closed."""
        await self._end_tasks()
        await self.ledger.close()

    async def crash(self) -> None:
        """Ends as a kill -9 does: what is not on the disk is lost."""
        self.crashed = True
        await self._end_tasks()
        if self.ledger._timer is not None:
            self.ledger._timer.cancel()
        self.ledger._closed = True
        await asyncio.wrap_future(self.ledger._thread.submit(self.ledger._file._abandon))
        self.ledger._thread.shutdown()

    async def _end_tasks(self) -> None:
        if not self.task.done():  # a run that failed is the test's own business
            self.task.cancel()
            with suppress(asyncio.CancelledError):
                await self.task
        self.breaker.close()

    def asked(self, method: str, part: str = "") -> int:
        """How many requests of this kind the server has seen."""
        return sum(r.method == method and part in r.path for r in self.sandbox.requests)


@asynccontextmanager
async def publishing(
    sandbox: Sandbox,
    directory: Path,
    *,
    settings: PublisherSettings = QUICK,
    threshold: int = 5,
    cooldown_s: float = COOLDOWN_S,
    token: str | None = None,
    post_type: str = "custom_status_watcher",
) -> AsyncIterator[Desk]:
    ledger = await open_ledger(directory)
    assert isinstance(ledger, Ledger)
    shelf = Shelf()
    breaker = Breaker(threshold, cooldown_s)
    async with MattermostClient(
        sandbox.url, token or sandbox.bot_token, version="0", post_type=post_type
    ) as client:
        publisher = Publisher(shelf, client, breaker, ledger, settings, jitter=lambda: 1.0)
        task = asyncio.create_task(publisher.run())
        target = ChannelTarget(ChannelId(sandbox.channel.id), PostId(""))
        desk = Desk(sandbox, publisher, ledger, breaker, shelf, task, target)
        try:
            yield desk
        finally:
            if not desk.crashed:
                await desk.stop()
