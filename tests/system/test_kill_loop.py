"""M1, M3: kill -9 again and again while recorded sessions replay; each turn has one post, and it is right."""

import asyncio
import contextlib
import random
import re
import time
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime

import captures
import orjson
import pytest
from daemon import Daemon, eventually
from oracle import Expected, differences, expected_posts, own_posts, tag_of

from status_watcher.demo.captures import Capture
from status_watcher.demo.player import Cast, PlayOptions, Stores, play
from status_watcher.model import BoxId, SessionId
from status_watcher.sandbox.faults import Fault
from status_watcher.sandbox.server import Sandbox, ServerSettings
from status_watcher.sandbox.store import StoreEvent

CREATE = r"^POST /api/v4/posts$"
PACE = PlayOptions(speed=2, longest_gap_s=0.6)
"""A replay takes a second or so."""
SETTLES_WITHIN_S = 20.0

REPLAYED = (
    "2026.7.1/subagents-two",
    "2026.2.26/tools",
    "2026.3.31/tools",
    "2026.7.1/tools",
    "2026.7.1/mm-thread-tools",
)
WAITS_FOR_AN_ANSWER = frozenset({"2026.7.1/subagents-two"})
"""Its box stays open for 10 s after the last line, as the gateway told of two ends at once: seen last."""


@dataclass
class Loop:
    """One daemon that does not live long, and what is known of its rounds."""

    sandbox: Sandbox
    daemon: Daemon
    dice: random.Random
    default_channel: str
    expected: dict[BoxId, Expected] = field(default_factory=dict)
    over_unseen: set[BoxId] = field(default_factory=set)
    """Turns that were over before the last start: without a post by then they get none (first sight)."""
    kills: Counter[str] = field(default_factory=Counter)
    stores: Stores = field(default_factory=Stores)
    stored: asyncio.Event = field(default_factory=asyncio.Event)
    began_s: float = 0.0
    moments: list[tuple[str, float]] = field(default_factory=list)

    async def rounds(self, count: int) -> None:
        self.sandbox.store.subscribe(self._see)
        await self.start()
        # Eight of twenty are aimed at the create window, so that a quarter of all kills is sure to hit it.
        aimed = [number % 5 in {1, 3} for number in range(count)]
        early = [number % 5 == 0 for number in range(count)]
        self.dice.shuffle(aimed)
        self.dice.shuffle(early)
        for number in range(count):
            name = REPLAYED[number % len(REPLAYED)]
            try:
                await self._round(number, name, aimed=aimed[number], early=early[number])
            except BaseException as error:
                error.add_note(f"in round {number}: {name}, {'aimed' if aimed[number] else 'not aimed'}")
                error.add_note(f"its moments, in s of the monotonic clock: {self.moments}")
                error.add_note(f"the daemon says: {await self.daemon.health()}")
                error.add_note("\n".join(map(str, self.daemon.lines()[-30:])))
                raise
        await self._all_right(self.owed(), "after the last round")

    def owed(self) -> list[Expected]:
        """What must stand there; of a turn that nobody saw running only if it has a post at all."""
        posted = {tag_of(post) for post in own_posts(self.sandbox)}
        return [e for e in self.expected.values() if e.box_id not in self.over_unseen or e.tags & posted]

    async def _round(self, number: int, name: str, *, aimed: bool, early: bool) -> None:
        self.moments = []
        capture = captures.load(name)
        cast = self._cast(number, capture)
        self._note("replay begins")
        replay = asyncio.create_task(play(capture, self.daemon.openclaw, PACE, cast=cast, stores=self.stores))
        try:
            if aimed:
                fault = self.sandbox.faults.add(Fault(CREATE, times=1, delay_after_commit_s=SETTLES_WITHIN_S))
                self.stored.clear()
                async with asyncio.timeout(SETTLES_WITHIN_S):
                    await self.stored.wait()
                await asyncio.sleep(self.dice.uniform(0, 0.3))  # any moment of it
                await self.kill()
                self.sandbox.faults.remove(fault)
                # The server's request ends too, and with it all that kept it from making a second post.
                await self.sandbox.pause()
                await self.sandbox.resume()
            else:
                await asyncio.sleep(self.dice.uniform(0, 1.2))  # any moment of the replay
                await self.kill()
            if early:
                await self._killed_early()
            await self.start()
            await replay
            self._note("replay is over")
        finally:
            replay.cancel()
        expected = expected_posts(
            self.daemon.sessions_dir,
            default_channel=self.default_channel,
            only={SessionId(session) for session in cast.rename.values()},
        )
        assert expected
        self.expected |= expected
        started_ms = datetime.fromisoformat(self.daemon.events("started")[-1]["timestamp"]).timestamp() * 1000
        unseen = {e.box_id for e in expected.values() if e.last_line_ms <= started_ms}
        self.over_unseen |= unseen
        if unseen:
            return
        if name not in WAITS_FOR_AN_ANSWER:
            await self._all_right(expected.values(), name)

    async def start(self) -> None:
        self.began_s = time.monotonic()
        self._note("start")
        await self.daemon.start()
        self._note("ready")

    async def kill(self) -> None:
        """SIGKILL, noting whether a create of this process is stored and not answered."""
        self.kills["all"] += 1
        self.kills["in the create window"] += self._has_unanswered_create()
        self._note("kill")
        await self.daemon.kill()

    async def _killed_early(self) -> None:
        """A start that is cut short: while it reads, while it looks for its posts, or soon after."""
        self._note("start that is cut short")
        self.began_s, before = time.monotonic(), self.daemon.pid
        starting = asyncio.create_task(self.daemon.start())
        await eventually(lambda: self.daemon.pid != before, SETTLES_WITHIN_S, "a process")
        await asyncio.sleep(self.dice.uniform(0.1, 1.1))  # any moment of the start
        starting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await starting
        self.kills["soon after a start"] += 1
        await self.kill()

    async def _all_right(self, expected: Collection[Expected], what: str) -> None:
        tags = frozenset[str]().union(*(wanted.tags for wanted in expected))

        def wrong() -> list[str]:
            return differences(expected, [p for p in own_posts(self.sandbox) if tag_of(p) in tags])

        with contextlib.suppress(AssertionError):
            await eventually(lambda: not wrong(), SETTLES_WITHIN_S, what)
        assert not wrong(), "\n\n".join(wrong())

    def _cast(self, number: int, capture: Capture) -> Cast:
        """Sessions, keys and threads of its own for each round."""
        rename = captures.fresh_ids(capture, f"round {number}")
        for key in {key for change in capture.store for key in change.entries}:
            if re.fullmatch(r"agent:main:[a-z]{5}", key):
                rename[key] = f"agent:main:{number:05}"
            elif thread := re.search(r":channel:(\w{26}):thread:(\w{26})$", key):
                root = self.sandbox.store.post_as(
                    self.sandbox.person.id, self.sandbox.channel.id, f"where thread {number} begins"
                )
                rename |= {thread[1]: self.sandbox.channel.id, thread[2]: root.id}
        return Cast(rename)

    def _note(self, what: str) -> None:
        self.moments.append((what, round(time.monotonic(), 3)))

    def _see(self, event: StoreEvent) -> None:
        if event.kind == "posted" and event.post is not None and event.post.user_id == self.sandbox.bot.id:
            self.stored.set()

    def _has_unanswered_create(self) -> bool:
        made = {post.props["status_watcher"]["nonce"] for post in own_posts(self.sandbox)}
        return any(
            (request.method, request.path) == ("POST", "/api/v4/posts")
            and request.ended_monotonic_s is None
            and request.at_monotonic_s > self.began_s
            and orjson.loads(request.body)["pending_post_id"] in made
            for request in self.sandbox.requests
        )


@pytest.fixture
async def sandbox():
    """Forgets a `pending_post_id` at once: what is adopted here is found by the daemon's own looking."""
    async with Sandbox(settings=ServerSettings(dedup_window_s=0)) as running:
        yield running


@pytest.fixture
async def loop(make_daemon, sandbox) -> Loop:
    seed = random.getrandbits(32)  # of `random`, which pytest-randomly seeds: `-p randomly_seed=…` repeats it
    print(f"kill loop: seed {seed}")
    default = sandbox.store.add_channel("default", members=(sandbox.bot.id, sandbox.person.id))
    daemon = await make_daemon(
        DEFAULT_CHANNEL=default.id, THROTTLE_MS="100", EDITS_PER_SECOND="0", MAX_ACTIVE_SESSIONS="200"
    )
    return Loop(sandbox, daemon, random.Random(seed), default.id)


async def killed(loop: Loop, rounds: int) -> None:
    await loop.rounds(rounds)
    posts = own_posts(loop.sandbox)
    turns, kills = len(loop.expected), dict(loop.kills)
    print(f"kill loop: {rounds} rounds, {turns} turns, {len(posts)} posts, kills: {kills}")
    print(f"kill loop: {len(loop.over_unseen)} turns were over before a start, {turns - len(posts)} unseen")
    wrong = differences(loop.owed(), posts)
    assert not wrong, "\n\n".join(wrong)
    assert 4 * loop.kills["in the create window"] >= loop.kills["all"]


@pytest.mark.timeout(300)
async def test_M1_M3_20_kills_leave_each_turn_one_post_that_says_the_truth(loop):
    await killed(loop, 20)


@pytest.mark.long
@pytest.mark.timeout(3600)
async def test_M1_M3_200_kills_leave_each_turn_one_post_that_says_the_truth(loop):
    await killed(loop, 200)
