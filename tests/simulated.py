"""Board, relay, publisher and breaker as the daemon wires them, on a clock that skips all waiting.

Simulated are the time (of the event loop and of the wall), the server, which takes as long for each request,
and the ledger, which is in memory. Half an hour passes in a second or two, the same way each time. For what
only time shows: what goes over the wire is tested against the sandbox. The benchmark of edits uses it too.
"""

import asyncio
import selectors
from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any, Final, TypeVar

from status_watcher.core.board import Board, BoardSettings
from status_watcher.core.labels import Labels, load_labels
from status_watcher.core.outcome import Gone, Ok, Outcome
from status_watcher.core.pen import Pen
from status_watcher.core.post import BoxRecord, Marks, RemotePost, box_tag
from status_watcher.core.redact import Redactor
from status_watcher.core.render import Limits
from status_watcher.core.verdict import Rules
from status_watcher.edge.breaker import Breaker
from status_watcher.edge.bundled import read_tool_labels
from status_watcher.model import BoxId, ChannelId, ChannelTarget, PostId, Urgency, UserId
from status_watcher.publisher import Boxes, Publisher, PublisherSettings
from status_watcher.relay import BoardClock, Relay, Shelf
from status_watcher.source import News

T = TypeVar("T")

REQUEST_S: Final = 0.03
"""What Mattermost took for an edit of 10 KB on four connections, about (p50; 16 ms for 1 KB)."""
ME: Final = UserId("u" * 26)
CHANNEL: Final = ChannelId("c" * 26)
PAGE_POSTS: Final = 60


class SimulatedLoop(asyncio.SelectorEventLoop):
    """An event loop on which time passes at once, and only while nobody has anything to do."""

    def __init__(self) -> None:
        self.now_s = 0.0
        super().__init__(_Skipping(self))

    def time(self) -> float:
        return self.now_s


class _Skipping(selectors.SelectSelector):
    def __init__(self, loop: SimulatedLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            raise RuntimeError("everybody waits for something that cannot happen")
        self._loop.now_s += max(0.0, timeout)
        return super().select(0)


def simulate(work: Coroutine[Any, Any, T]) -> T:
    """What the coroutine returns, run to its end in simulated time."""
    with asyncio.Runner(loop_factory=SimulatedLoop) as runner:
        return runner.run(work)


@dataclass(frozen=True, slots=True)
class Write:
    """A create or an edit that the server acknowledged."""

    at_s: float
    box_id: BoxId
    size_bytes: int
    created: bool


@dataclass(slots=True)
class Seen:
    """What readers of the channel saw, and when."""

    writes: list[Write] = field(default_factory=list)
    staleness_s: list[float] = field(default_factory=list)
    """Of each text that was replaced by a newer one: from the first change that it lacked until then."""
    first_lines_s: list[float] = field(default_factory=list)
    """From a box's first change to its post."""
    endings_s: list[float] = field(default_factory=list)
    """From the end of a turn to a post that says so."""
    left_behind: int = 0
    """Posts that in the end did not say what their box says."""
    counters: dict[str, int] = field(default_factory=dict)

    @property
    def edits(self) -> int:
        return sum(not write.created for write in self.writes)


@dataclass(slots=True)
class _Shown:
    """One box in the channel, and what it does not show yet."""

    text: str | None = None
    ended_at_s: float | None = None
    changed_s: list[float] = field(default_factory=list)


class Channel:
    """The server, and in front of the publisher the observer of what is owed."""

    def __init__(self, boxes: Boxes, settings: PublisherSettings, request_s: float = REQUEST_S) -> None:
        self.seen = Seen()
        self._shelf = boxes
        self._request_s = request_s
        self._loop = asyncio.get_running_loop()
        self._posts: dict[BoxId, _Shown] = {}
        self._boxes: dict[PostId, BoxId] = {}
        self._remote: dict[PostId, RemotePost] = {}
        self._numbers = count()
        self.publisher = Publisher(boxes, self, Breaker(5, 30.0), _Memory(), settings, jitter=lambda: 0.5)

    # What the relay says

    def touch(self, box_id: BoxId, urgency: Urgency) -> None:
        box, post, now_s = (
            self._shelf.render(box_id),
            self._posts.setdefault(box_id, _Shown()),
            self._loop.time(),
        )
        if box is not None and box.text != post.text:
            post.changed_s.append(now_s)
            if box.ended and post.ended_at_s is None:
                post.ended_at_s = now_s
        self.publisher.touch(box_id, urgency)

    def withdraw(self, box_id: BoxId) -> None:
        self._posts.pop(box_id, None)
        self.publisher.withdraw(box_id)

    def rename(self, old: BoxId, new: BoxId) -> None:
        self._posts[new] = self._posts.pop(old, _Shown())
        self._boxes = {post_id: new if box == old else box for post_id, box in self._boxes.items()}
        self.publisher.rename(old, new)

    # What the publisher asks

    async def me(self, within_s: float) -> Outcome[UserId]:
        del within_s
        return Ok(ME)

    async def direct_channel(self, me: UserId, user: UserId, within_s: float) -> Outcome[ChannelId]:
        del me, within_s
        return Ok(ChannelId(user))

    async def create(
        self,
        target: ChannelTarget,
        text: str,
        marks: Marks,
        within_s: float,
    ) -> Outcome[RemotePost]:
        del target, within_s
        box_id = next(box_id for box_id in self._posts if box_tag(box_id) == marks.box)
        post_id = PostId(f"{next(self._numbers):026d}")
        self._boxes[post_id] = box_id
        await self._write(post_id, text, created=True)
        made = self._remote[post_id] = RemotePost(post_id, ME, 0, text, marks)
        return Ok(made)

    async def patch(self, post_id: PostId, text: str, within_s: float) -> Outcome[None]:
        del within_s
        await self._write(post_id, text, created=False)
        self._remote[post_id] = replace(self._remote[post_id], text=text)
        return Ok(None)

    async def get(self, post_id: PostId, within_s: float) -> Outcome[RemotePost]:
        del within_s
        await asyncio.sleep(self._request_s)
        shown = self._remote.get(post_id)
        return Ok(shown) if shown is not None else Gone()

    async def delete(self, post_id: PostId, within_s: float) -> Outcome[None]:
        del within_s
        await asyncio.sleep(self._request_s)
        del self._boxes[post_id], self._remote[post_id]
        return Ok(None)

    async def page(
        self, channel_id: ChannelId, page: int, within_s: float
    ) -> Outcome[tuple[RemotePost, ...]]:
        del channel_id, within_s
        await asyncio.sleep(self._request_s)
        newest_first = tuple(reversed(self._remote.values()))
        return Ok(newest_first[page * PAGE_POSTS :][:PAGE_POSTS])

    async def _write(self, post_id: PostId, text: str, *, created: bool) -> None:
        began_s = self._loop.time()
        await asyncio.sleep(self._request_s)
        now_s, box_id = self._loop.time(), self._boxes[post_id]
        self.seen.writes.append(Write(now_s, box_id, len(text.encode()), created))
        post = self._posts.get(box_id)
        if post is None:
            return
        post.text = text
        shown = [at_s for at_s in post.changed_s if at_s <= began_s]
        post.changed_s = post.changed_s[len(shown) :]
        if shown:
            (self.seen.first_lines_s if created else self.seen.staleness_s).append(now_s - shown[0])
        if post.ended_at_s is not None and post.ended_at_s <= began_s:
            self.seen.endings_s.append(now_s - post.ended_at_s)
            post.ended_at_s = None

    def finished(self) -> Seen:
        """All that was seen."""
        boxes = {box_id: self._shelf.render(box_id) for box_id in self._posts}
        self.seen.left_behind = sum(
            box is not None and box.text != self._posts[box_id].text for box_id, box in boxes.items()
        )
        self.seen.counters = dict(self.publisher.snapshot().counters)
        return self.seen


class _Memory:
    """A ledger that forgets at the end."""

    def __init__(self) -> None:
        self._records: dict[BoxId, BoxRecord] = {}
        self.open_boxes: Sequence[BoxRecord] = ()
        self.ended_boxes: Sequence[BoxRecord] = ()
        self.closed_well = True
        self.lost = False
        self.problems: tuple[str, ...] = ()

    async def find(self, box_id: BoxId) -> BoxRecord | None:
        return self._records.get(box_id)

    def direct_channel(self, user_id: UserId) -> ChannelId | None:
        return ChannelId(user_id)

    def keep_direct_channel(self, user_id: UserId, channel_id: ChannelId) -> None: ...

    def keep(self, record: BoxRecord) -> None:
        self._records[record.box_id] = record

    async def keep_now(self, record: BoxRecord) -> bool:
        self.keep(record)
        return True

    def forget(self, box_id: BoxId) -> None:
        self._records.pop(box_id, None)


async def watch(
    news: Iterable[tuple[float, Sequence[News]]], epoch_ms: int, settings: PublisherSettings, settle_s: float
) -> Seen:
    """What readers see of this news, which comes at these times (seconds since `epoch_ms`, ascending)."""
    loop = asyncio.get_running_loop()
    labels = load_labels(read_tool_labels())
    assert isinstance(labels, Labels)
    rules = Rules(run_started_ms=epoch_ms - 1)
    board = Board(BoardSettings(rules, Limits(15, 15_000), CHANNEL, 1_000), labels, Pen(Redactor()))
    channel = Channel(Shelf(board), settings)
    relay = Relay(board, channel, BoardClock(lambda: epoch_ms / 1000 + loop.time(), loop.time))
    publishing = asyncio.create_task(channel.publisher.run())
    for at_s, some in news:
        await asyncio.sleep(at_s - loop.time())  # of the simulated loop, as above and below: takes no time
        for one in some:
            relay.take(one)
    await asyncio.sleep(settle_s)
    publishing.cancel()
    return channel.finished()
