"""P12: half an hour of fifty sessions and every fault there is, compressed: nothing lost, nothing leaked.

Eight simulated seconds pass in one: throttle, idle timeout, longest turn and cool-down are set to an eighth.
What cannot be set keeps its real time (the probe of a refused token comes after 30 to 50 s).
"""

import asyncio
import contextlib
import itertools
import os
import random
import signal
import statistics
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import orjson
import pytest
from daemon import Daemon, eventually
from gateway import Gateway, Session, tear
from oracle import differences, expected_posts, own_posts, tag_of

from status_watcher.core.board import box_id_of
from status_watcher.core.tree import Rules
from status_watcher.model import AgentId, BoxId, ChannelId, ChannelTarget, EntryId, PostId, SessionId, Target
from status_watcher.sandbox.faults import Fault
from status_watcher.sandbox.server import Sandbox

pytestmark = [pytest.mark.long, pytest.mark.timeout(1200)]

COMPRESSION = 8
SIMULATED_S = 1800.0
LASTS_S = SIMULATED_S / COMPRESSION
SESSIONS = 50
IDLE_TIMEOUT_S = 60 // COMPRESSION
LONGEST_TURN_S = 1800 // COMPRESSION
SETTLES_WITHIN_S = 120.0
"""A refused token is probed after up to 50 s, an edit whose answer was lost is read again after 30 s."""
SAMPLED_EVERY_S = 0.5
CONNECTIONS = 4
READERS = 8
"""Threads that read files are started when there is something to read."""
REMEMBERED = 150
"""Ended turns that the daemon remembers, instead of its thousands: reached in the first quarter, so that what
still grows afterwards grows for ever. A turn costs about 11 kB.
"""
WRITES = r"^(POST /api/v4/posts|PUT /api/v4/posts/\w+/patch)$"

IN_THE_DAEMON = f'''
"""Little is remembered; and on SIGUSR1: how many asyncio tasks there are, into a file."""
import asyncio, os, signal
from status_watcher.core import boxes, lifecycle, replay, unboxed
from status_watcher import listeners
boxes.MOST_BOXES = lifecycle.MOST_REMEMBERED = listeners._MOST_LINKS = {REMEMBERED}
for made in (replay.Replay, unboxed.UnboxedTurns):
    made.__init__.__defaults__ = ({REMEMBERED},)
def _tell(*_):
    with open(os.environ["TASKS_FILE"], "w") as file:
        file.write(str(len(asyncio.all_tasks())))
signal.signal(signal.SIGUSR1, _tell)
'''


@dataclass(frozen=True, slots=True)
class Sample:
    """What the daemon's process used at one moment."""

    at_s: float
    resident_kb: int
    descriptors: int
    threads: int


def sample(pid: int, began_s: float) -> Sample:
    told = dict(
        line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line
    )
    descriptors = len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208 - names are all that is wanted
    return Sample(
        time.monotonic() - began_s, int(told["VmRSS"].split()[0]), descriptors, int(told["Threads"])
    )


@dataclass
class Agent:
    """One session whose agent works on one thing after the other."""

    session: Session
    channel_id: str
    turns: list[BoxId] = field(default_factory=list)

    @property
    def target(self) -> Target:
        return ChannelTarget(ChannelId(self.channel_id), PostId(""))


class Soak:
    """Agents that work, faults that happen, and what the daemon's process used meanwhile."""

    def __init__(self, sandbox: Sandbox, daemon: Daemon, dice: random.Random) -> None:
        self.sandbox = sandbox
        self.daemon = daemon
        self.dice = dice
        self.gateway = Gateway(daemon.openclaw)
        self.agents = [self._agent(number) for number in range(SESSIONS)]
        self.samples: list[Sample] = []
        self.happened: Counter[str] = Counter()
        self.deleted: set[str] = set()
        """Tags of the boxes whose post a person has deleted."""
        self._disk = asyncio.Lock()
        """Held while what lies on disk is not as the agents left it."""
        self._server = asyncio.Lock()
        self._began_s = 0.0
        self._ends_s = 0.0

    def _agent(self, number: int) -> Agent:
        members = (self.sandbox.bot.id, self.sandbox.person.id)
        channel = self.sandbox.store.add_channel(f"channel-{number}", members=members)
        return Agent(self.gateway.session(channel.id), channel.id)

    async def run(self) -> None:
        self._began_s = time.monotonic()
        self._ends_s = self._began_s + LASTS_S
        async with asyncio.TaskGroup() as tasks:
            for agent in self.agents:
                tasks.create_task(self._work(agent))
            tasks.create_task(self._sample())
            tasks.create_task(self._trouble())

    async def _pause(self, at_least_s: float, at_most_s: float) -> None:
        """How long something lasts, or the pace of it: nothing is waited for."""
        await asyncio.sleep(self.dice.uniform(at_least_s, at_most_s))

    # What the agents do

    async def _work(self, agent: Agent) -> None:
        session = agent.session
        await self._pause(0, 5)
        while time.monotonic() < self._ends_s:
            async with self._disk:
                before = session.path.read_bytes() if session.path.exists() else b""
                call = session.begin(f"Job {len(agent.turns)}, please", "make first")
                agent.turns.append(_turn_begun(session, before))
            for step in range(self.dice.randrange(1, 14)):
                await asyncio.sleep(self.dice.expovariate(1 / 2))  # the pace of the work
                async with self._disk:
                    session.result(
                        call, "x" * self.dice.randrange(1000), exit_code=self.dice.choice([0, 0, 0, 2])
                    )
                    call = session.call(
                        "exec", f"Now for step {step}.", command=f"make step-{step} # {'é' * step}"
                    )
            await asyncio.sleep(self.dice.expovariate(1))  # the pace of the work
            async with self._disk:
                session.finish(call, f"Job {len(agent.turns)} is done.")
            await self._pause(0.5, 12)

    async def calm_until_healthy(self) -> None:
        """Nothing is wrong any more, and one agent works after the other: the daemon must notice both.

        Each has few turns: of more than twenty of one session, the oracle's board finds the last twenty.
        """
        deadline_s = time.monotonic() + SETTLES_WITHIN_S
        agents = itertools.cycle(self.agents)
        while (health := await self.daemon.health()) is None or health.status != "ok":
            assert time.monotonic() < deadline_s, health
            agent = next(agents)
            before = agent.session.path.read_bytes()
            call = agent.session.begin("One more", "make last")
            agent.turns.append(_turn_begun(agent.session, before))
            await asyncio.sleep(1)  # the pace of the work
            agent.session.finish(call)
            await asyncio.sleep(1)  # the pace of the work

    # What the process uses

    async def _sample(self) -> None:
        while time.monotonic() < self._ends_s:
            self.samples.append(sample(self.daemon.pid, self._began_s))
            await asyncio.sleep(SAMPLED_EVERY_S)  # the pace of the samples

    # What goes wrong

    async def _trouble(self) -> None:
        """Every kind of trouble in ever new order, with some overlap, until near the end."""
        kinds: list[Callable[[], Awaitable[None]]] = [
            self.bursts_of_5xx,
            self.every_other_request_fails,
            self.rate_limit,
            self.answers_are_lost,
            self.requests_are_lost,
            self.slow_server,
            self.no_answer_at_all,
            self.slow_bytes,
            self.login_page_of_a_proxy,
            self.outage,
            self.a_post_is_deleted,
            self.rewrite_in_place,
            self.replacement_by_rename,
            self.torn_index,
            self.index_missing,
            self.directory_vanishes,
            self.daemon_suspended,
        ]
        token_at_s = [self._began_s + share * LASTS_S for share in (0.3, 0.65)]
        async with asyncio.TaskGroup() as tasks:
            while True:
                self.dice.shuffle(kinds)
                for kind in kinds:
                    await self._pause(0.3, 3)
                    if time.monotonic() > self._ends_s - 15:
                        return
                    if token_at_s and time.monotonic() > token_at_s[0]:
                        token_at_s.pop(0)
                        tasks.create_task(self._happens(self.token_revoked))
                    tasks.create_task(self._happens(kind))

    async def _happens(self, kind: Callable[[], Awaitable[None]]) -> None:
        self.happened[kind.__name__] += 1
        await kind()

    async def bursts_of_5xx(self) -> None:
        times = self.dice.randrange(1, 15)
        await self._faulty(Fault(WRITES, status=self.dice.choice([500, 502, 503, 504]), times=times), 4)

    async def every_other_request_fails(self) -> None:
        await self._faulty(Fault(".", status=503, html=True, probability=0.5), 3)

    async def rate_limit(self) -> None:
        hint = self.dice.choice([{"Retry-After": "1"}, {"X-RateLimit-Reset": "1"}, {}, {"Retry-After": "-1"}])
        await self._faulty(Fault(".", status=429, headers=hint, times=3), 3)

    async def answers_are_lost(self) -> None:
        await self._faulty(Fault(WRITES, drop_after_commit=True, probability=0.5), 3)

    async def requests_are_lost(self) -> None:
        await self._faulty(Fault(".", drop_before=True, probability=0.5), 3)

    async def slow_server(self) -> None:
        await self._faulty(Fault(".", delay_before_s=0.4, delay_after_commit_s=0.4), 4)

    async def no_answer_at_all(self) -> None:
        await self._faulty(Fault(WRITES, never_answer=True), 3)

    async def slow_bytes(self) -> None:
        await self._faulty(Fault(WRITES, trickle_bytes_per_s=500, times=8), 4)

    async def login_page_of_a_proxy(self) -> None:
        await self._faulty(Fault(".", status=200, html=True, times=6), 3)

    async def _faulty(self, fault: Fault, seconds: float) -> None:
        active = self.sandbox.faults.add(fault)
        await self._pause(seconds / 2, seconds)
        self.sandbox.faults.remove(active)

    async def outage(self) -> None:
        async with self._server:
            await self.sandbox.pause()
            await self._pause(1, 8)
            await self.sandbox.resume()

    async def token_revoked(self) -> None:
        self.sandbox.store.revoke_token(self.sandbox.bot_token)
        await self._pause(2, 2)
        self.sandbox.store.restore_token(self.sandbox.bot_token)

    async def a_post_is_deleted(self) -> None:
        """One that the daemon knows: it has edited it."""
        known = [post for post in own_posts(self.sandbox) if post.edit_at and "[ACTIVE]" in post.message]
        if known:
            post = self.dice.choice(known)
            self.deleted.add(tag_of(post))
            self.sandbox.store.delete_post(post.id, self.sandbox.person.id)

    async def rewrite_in_place(self) -> None:
        """As 2026.7.1 does it: O_TRUNC, and then the lines in more than one write."""
        async with self._disk:
            path = self._some_transcript()
            if path is not None:
                content = path.read_bytes()
                cut = self.dice.randrange(len(content))
                with path.open("wb", buffering=0) as file:
                    await asyncio.sleep(self.dice.choice([0, 0.001, 0.02]))  # how long it lasts
                    file.write(content[:cut])
                    await asyncio.sleep(self.dice.choice([0, 0.001, 0.02, 0.5]))  # how long it lasts
                    file.write(content[cut:])

    async def replacement_by_rename(self) -> None:
        async with self._disk:
            path = self._some_transcript()
            if path is not None:
                beside = path.with_name(f"{path.name}.repair.tmp")
                beside.write_bytes(path.read_bytes())
                beside.replace(path)

    def _some_transcript(self) -> Path | None:
        written = [agent.session.path for agent in self.agents if agent.session.path.exists()]
        return self.dice.choice(written) if written else None

    async def torn_index(self) -> None:
        async with self._disk:
            index = self.gateway.index
            if index.exists():
                content = index.read_bytes()
                tear(index, content[: self.dice.randrange(len(content))])
                await self._pause(0, 1)
                tear(index, content)

    async def index_missing(self) -> None:
        async with self._disk:
            away = self.gateway.index.with_name("elsewhere")
            if self.gateway.index.exists():
                self.gateway.index.rename(away)
                await self._pause(0.5, 2)
                away.rename(self.gateway.index)

    async def directory_vanishes(self) -> None:
        async with self._disk:
            here = self.gateway.sessions_dir
            what = self.dice.choice([here, here.parent, here.parent.parent])
            away = self.daemon.openclaw.with_name("away")  # an agent's directory beside it would be an agent
            what.rename(away)
            await self._pause(0.5, 7)
            away.rename(what)

    async def daemon_suspended(self) -> None:
        self.daemon.signal(signal.SIGSTOP)
        await self._pause(0.5, 4)
        self.daemon.signal(signal.SIGCONT)


def _turn_begun(session: Session, before: bytes) -> BoxId:
    """The box of the turn whose first line has just been written after these bytes."""
    for line in session.path.read_bytes()[len(before) :].splitlines():
        entry = orjson.loads(line)
        if entry["type"] == "message":
            return box_id_of((AgentId("main"), SessionId(session.id)), EntryId(entry["id"]))
    raise AssertionError("no line was written")


@pytest.fixture
async def soak(make_daemon, sandbox, tmp_path) -> AsyncIterator[Soak]:
    seed = random.getrandbits(32)  # of `random`, which pytest-randomly seeds: `-p randomly_seed=…` repeats it
    print(f"soak: seed {seed}")
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(IN_THE_DAEMON)
    daemon = await make_daemon(
        THROTTLE_MS=str(500 // COMPRESSION),
        EDITS_PER_SECOND=str(5 * COMPRESSION),
        IDLE_TIMEOUT_S=str(IDLE_TIMEOUT_S),
        MAX_SESSION_DURATION_S=str(LONGEST_TURN_S),
        MAX_ACTIVE_SESSIONS=str(SESSIONS),
        CIRCUIT_BREAKER_COOLDOWN_S=str(30 // COMPRESSION),
        PYTHONPATH=str(tmp_path / "site"),
        TASKS_FILE=str(tmp_path / "tasks"),
    )
    yield Soak(sandbox, daemon, random.Random(seed))
    print(f"soak: the daemon's log is {daemon.log}")


async def tasks_of(daemon: Daemon, told_in: Path) -> int:
    """How many asyncio tasks the daemon has now."""
    told_in.unlink(missing_ok=True)
    daemon.signal(signal.SIGUSR1)
    return int(await eventually(lambda: told_in.exists() and told_in.read_text(), 5, "a number of tasks"))


def in_quarter(samples: list[Sample], number: int) -> list[Sample]:
    quarter_s = LASTS_S / 4
    return [one for one in samples if (number - 1) * quarter_s <= one.at_s < number * quarter_s]


async def test_P12_half_an_hour_of_every_fault_loses_nothing_and_leaks_nothing(soak, tmp_path):
    sandbox, daemon = soak.sandbox, soak.daemon
    await daemon.start()
    await daemon.healthy_when(lambda h: h.status == "ok", 5, "a good start")
    tasks_before, at_rest = await tasks_of(daemon, tmp_path / "tasks"), sample(daemon.pid, 0)

    await soak.run()
    await soak.calm_until_healthy()

    known = {box_id: agent.target for agent in soak.agents for box_id in agent.turns}
    rules = Rules(idle_timeout_ms=IDLE_TIMEOUT_S * 1000, max_duration_ms=LONGEST_TURN_S * 1000)
    expected = expected_posts(
        daemon.sessions_dir, default_channel=sandbox.channel.id, known=known, rules=rules
    )
    assert expected.keys() == known.keys()
    expected_now = [wanted for wanted in expected.values() if not wanted.tags & soak.deleted]
    with contextlib.suppress(AssertionError):
        await eventually(lambda: not differences(expected_now, own_posts(sandbox)), SETTLES_WITHIN_S, "R7")
    print(f"soak: {len(known)} turns, {len(sandbox.store.edits)} edits, {len(soak.deleted)} posts deleted")
    print(f"soak: {dict(soak.happened)}")
    health = await daemon.health()
    print(f"soak: {health and health.document}")
    wrong = differences(expected_now, own_posts(sandbox))
    assert not wrong, "\n\n".join(wrong)

    second, last = in_quarter(soak.samples, 2), in_quarter(soak.samples, 4)
    for name in ("resident_kb", "descriptors", "threads"):
        quarters = [[getattr(one, name) for one in in_quarter(soak.samples, n)] for n in (1, 2, 3, 4)]
        print(f"soak: {name}: {[(min(q), statistics.median(q), max(q)) for q in quarters]}")
    tasks_after, after = await tasks_of(daemon, tmp_path / "tasks"), sample(daemon.pid, 0)
    print(f"soak: at rest {at_rest}, {tasks_before} tasks; afterwards {after}, {tasks_after} tasks")
    grown_kb = statistics.median(s.resident_kb for s in last) - statistics.median(
        s.resident_kb for s in second
    )
    assert grown_kb < 5 * 1024
    assert after.descriptors <= at_rest.descriptors + CONNECTIONS
    assert after.threads <= at_rest.threads + READERS
    assert tasks_after <= tasks_before + 1
    assert max(s.descriptors for s in last) <= max(s.descriptors for s in second) + CONNECTIONS
