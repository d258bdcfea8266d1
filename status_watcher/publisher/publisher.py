"""Keeps every post saying what its box says: one due-queue, four workers, one line to the server."""

import asyncio
import random
import secrets
import time
from collections import deque
from collections.abc import Callable, Sequence

import structlog

from status_watcher.core.health import CircuitState
from status_watcher.core.post import BoxRecord
from status_watcher.core.throttle import Pace, after_outage, plain_change
from status_watcher.model import BoxId, ChannelTarget, PostId, Urgency
from status_watcher.publisher.courier import Courier
from status_watcher.publisher.delivery import Delivery
from status_watcher.publisher.due_queue import DueQueue
from status_watcher.publisher.health import Counts, Problems, PublisherHealth
from status_watcher.publisher.line import Errand, Line
from status_watcher.publisher.ports import Boxes, Circuit, Ledger, Poster
from status_watcher.publisher.report import report
from status_watcher.publisher.setbacks import Setbacks
from status_watcher.publisher.settings import WORKERS, PublisherSettings
from status_watcher.publisher.spending import Spending

_Job = tuple[Delivery, Errand]
_DEFAULTS = PublisherSettings()
_RECOUNT_S = 1.0

log = structlog.get_logger()


class Publisher:
    """Owes the server the newest text of every box, never each text in between.

    Made on the running loop, with a ledger that is open. `touch`, `withdraw` and `rename` are synchronous and
    cheap; `run` does the work until it is cancelled.
    """

    def __init__(
        self,
        boxes: Boxes,
        poster: Poster,
        circuit: Circuit,
        ledger: Ledger,
        settings: PublisherSettings = _DEFAULTS,
        *,
        wall_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        nonce: Callable[[], str] = lambda: secrets.token_hex(16),
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._ledger = ledger
        self._settings = settings
        self._counts = Counts()
        self._problems = Problems()
        self._line = Line(
            poster=poster,
            circuit=circuit,
            settings=settings,
            counts=self._counts,
            on_change=self._assign,
            jitter=jitter,
        )
        self._courier = Courier(
            boxes=boxes,
            poster=poster,
            ledger=ledger,
            line=self._line,
            settings=settings,
            counts=self._counts,
            setbacks=Setbacks(
                boxes=boxes,
                ledger=ledger,
                settings=settings,
                counts=self._counts,
                problems=self._problems,
                jitter=jitter,
            ),
            wall_ms=wall_ms,
            nonce=nonce,
            open_boxes=self._open_posts,
        )
        self._posts: dict[BoxId, Delivery] = {}
        self._queue = DueQueue()
        self._idle: deque[asyncio.Future[_Job]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._settled: deque[Delivery] = deque()
        self._progress = asyncio.Event()
        now_s = self._loop.time()
        self._spending = Spending(settings, self._counts, now_s)
        self._open_count, self._recount_at_s = 0, now_s
        for record in ledger.open_boxes:
            post = Delivery(record.box_id, pace=Pace(clear_at_s=now_s + settings.throttle_s))
            post.learn(record, trust_text=ledger.closed_well, ghosts_until_s=now_s + settings.ghost_s)
            self._posts[record.box_id] = post
        self._tell_hidden: Callable[[BoxId, bool], None] | None = None
        circuit.subscribe(self._circuit_changed)

    def tell_hidden(self, listener: Callable[[BoxId, bool], None]) -> None:
        """Tell whether a box is one that nobody can see: at its first delivery, and when that changes."""
        self._tell_hidden = listener

    def open_boxes(self) -> Sequence[BoxRecord]:
        """The boxes that an earlier run left open; to be touched or withdrawn by their ids."""
        return tuple(self._ledger.open_boxes)

    def ended_boxes(self) -> Sequence[BoxRecord]:
        """The boxes that ended in an earlier run, not long ago; to be touched only if their turns went on."""
        return tuple(self._ledger.ended_boxes)

    def post_of(self, box_id: BoxId) -> PostId | None:
        """The box's post, while it has one and has not long been left alone."""
        post = self._posts.get(box_id)
        return None if post is None else post.post_id

    def owes(self, box_id: BoxId) -> bool:
        """Whether the server has still to be given, or to confirm, what the box says; cheap."""
        post = self._posts.get(box_id)
        return post is not None and (post.in_flight or post.changed or bool(post.ghosts)) and not post.silent

    def thread_below(self, box_id: BoxId) -> ChannelTarget | None:
        """Where a reply to the box's post goes; None while it has none, or where a person has deleted it."""
        post = self._posts.get(box_id)
        return None if post is None else post.thread(self._ledger.direct_channel)

    def touch(self, box_id: BoxId, urgency: Urgency = Urgency.LINES) -> None:
        """The box may read differently now: rendered and sent at once, or when throttle, interval and budget
        allow; `urgency` says which of them it waits for, and who goes first.
        """
        post = self._posts.get(box_id)
        if post is None:
            post = self._posts[box_id] = Delivery(box_id)
        if post.withdrawn:
            post.wanted_again = True
            return
        if post.silent:
            return
        if post.changed and post.urgency is not Urgency.TICK:
            self._counts.add("coalesced")
        now_s = self._loop.time()
        post.plain = plain_change(post.plain, now_s, self._settings.throttle_s)
        if not post.in_flight:
            urgency = self._spending.worth(post, urgency, now_s)
        self._owe(post, urgency)

    def withdraw(self, box_id: BoxId) -> None:
        """There was nothing to show after all: deletes the box's post if it has one, and forgets the box."""
        post = self._posts.get(box_id)
        if post is None:
            post = self._posts[box_id] = Delivery(box_id)
        post.withdrawn, post.wanted_again = True, False
        post.parked_until_s = self._loop.time()
        self._owe(post, Urgency.STATE)

    def rename(self, old: BoxId, new: BoxId) -> None:
        """The box is called `new` from now on, with its post; where both have one, that of `new` stays."""
        post = self._posts.get(old)
        if post is None or old == new:
            return
        other = self._posts.get(new)
        if other is not None and (other.nonce or other.in_flight):
            self.withdraw(old)
            return
        if other is not None:
            self._queue.remove(other)
        del self._posts[old]
        self._posts[new] = post
        post.box_id = new
        if post.target is not None and post.nonce:
            self._ledger.forget(old)
            self._ledger.keep(post.record())
        self._owe(post, Urgency.LINES)

    async def run(self) -> None:
        """Delivers until cancelled; an unexpected exception in any of its tasks ends all and is raised."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._line.watch(), name="mattermost-probe")
            for number in range(WORKERS):
                tasks.create_task(self._work(), name=f"publisher-{number}")

    async def flush(self, within_s: float) -> int:
        """At shutdown, while `run` still runs: the newest text of every box now, whatever throttle, interval
        and budget say.

        Ends early where nothing can be delivered any more. Returns how many boxes the server has not
        acknowledged.
        """
        deadline_s = self._loop.time() + within_s
        self._courier.throttle_s = 0.0
        self._spending.lift()
        for post in self._posts.values():
            post.pace = Pace()
            if post.changed or not post.ended:
                self._owe(post, Urgency.END if post.over else Urgency.STATE)
        self._assign()
        try:
            async with asyncio.timeout_at(deadline_s):
                while self._owed() and self._can_send_before(deadline_s):
                    self._progress.clear()
                    await self._progress.wait()
        except TimeoutError:
            pass
        return self._owed()

    def snapshot(self) -> PublisherHealth:
        """How publishing is doing now, without I/O."""
        now_s = self._loop.time()
        return report(self._posts.values(), self._line, self._problems, self._counts, self._ledger, now_s)

    def _owe(self, post: Delivery, urgency: Urgency) -> None:
        if post.changed:
            # A tick that waited has no age: what comes now is not shown the later for it.
            if post.urgency is Urgency.TICK:
                post.changed_at_s = self._loop.time()
            urgency = max(urgency, post.urgency)
        else:
            post.changed_at_s = self._loop.time()
        post.changed, post.urgency = True, urgency
        post.over = post.over or urgency is Urgency.END
        if not post.in_flight:
            self._enqueue(post)
            self._assign()

    def _enqueue(self, post: Delivery) -> None:
        self._queue.put(post, max(post.due_s, post.changed_at_s))

    def _open_posts(self) -> int:
        """How many boxes are open, as of at most a second ago."""
        now_s = self._loop.time()
        if now_s >= self._recount_at_s:
            self._open_count = sum(
                not (post.ended or post.over or post.silent) for post in self._posts.values()
            )
            self._recount_at_s = now_s + _RECOUNT_S
        return self._open_count

    def _assign(self, now_s: float | None = None) -> None:
        """Gives what is due to idle workers, as far as gate, token and circuit allow; sets the next alarm."""
        now_s = self._loop.time() if now_s is None else now_s
        line = self._line
        if line.is_open(now_s):
            while (post := self._queue.head(now_s)) and (worker := self._idle_worker()) is not None:
                if not self._spending.affords(post, now_s):
                    break
                errand = line.errand()
                if errand is None:
                    break
                self._queue.remove(post)
                self._idle.popleft()
                post.in_flight = True
                self._spending.take(post, now_s)
                worker.set_result((post, errand))
            if line.circuit.state == "half_open" and self._queue.head(now_s) is None:
                line.probe_wanted.set()
        self._set_alarm(now_s)

    def _idle_worker(self) -> asyncio.Future[_Job] | None:
        while self._idle and self._idle[0].done():  # cancelled
            self._idle.popleft()
        return self._idle[0] if self._idle else None

    def _set_alarm(self, assigned_s: float) -> None:
        """Ring for what falls due after this time, as of which everything was assigned, be it past by now."""
        due_s = self._next_due_s(assigned_s)
        if due_s is None or not self._idle or self._line.token_refused or self._line.circuit.state == "open":
            at_s = None  # whoever changes that calls `_assign`
        else:
            at_s = max(due_s, self._line.gate.open_at_s)
        if self._timer is not None and self._timer.when() == at_s and not self._timer.cancelled():
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if at_s is not None and at_s > assigned_s:
            self._timer = self._loop.call_at(at_s, self._ring, at_s)

    def _next_due_s(self, now_s: float) -> float | None:
        """When something can be sent: what is due once the budget affords it, else what falls due next."""
        head, later_s = self._queue.head(now_s), self._queue.next_later_s()
        if head is None:
            return later_s
        paid_s = self._spending.affords_at_s(head, now_s)
        return paid_s if later_s is None else min(paid_s, later_s)

    def _ring(self, at_s: float) -> None:
        self._timer = None
        self._assign(max(at_s, self._loop.time()))  # a timer may ring a clock tick early

    async def _work(self) -> None:
        while True:
            free: asyncio.Future[_Job] = self._loop.create_future()
            self._idle.append(free)
            self._assign()
            post, errand = await free
            try:
                with errand:
                    await self._courier.bring_up_to_date(post, errand)
            finally:
                post.in_flight = False
                self._spending.settle(post, self._loop.time())
                self._progress.set()
            self._after(post)

    def _after(self, post: Delivery) -> None:
        if self._tell_hidden is not None and post.hidden is not post.hidden_told:
            post.hidden_told = post.hidden
            self._tell_hidden(post.box_id, post.hidden)
        if post.withdrawn and not post.changed:
            self._forget(post)
        elif post.changed and not post.silent:
            post.urgency = self._spending.worth(post, post.urgency, self._loop.time())
            self._enqueue(post)
        elif post.ghosts and not post.silent:
            self._queue.put(post, max(post.ghosts_until_s, post.due_s))
        elif post.ended or post.silent:
            post.settled_at_s = self._loop.time()
            self._settled.append(post)
        self._let_go()

    def _forget(self, post: Delivery) -> None:
        if self._posts.get(post.box_id) is post:
            del self._posts[post.box_id]
        if post.wanted_again:
            self.touch(post.box_id)

    def _let_go(self) -> None:
        """Drops from memory what has ended and been delivered a while ago; the ledger still has it."""
        limit_s = self._loop.time() - self._settings.keep_settled_s
        while self._settled and self._settled[0].settled_at_s <= limit_s:
            post = self._settled.popleft()
            if post.may_be_dropped and self._posts.get(post.box_id) is post:
                del self._posts[post.box_id]

    def _circuit_changed(self, state: CircuitState) -> None:
        log.info("mattermost_circuit", state=state)
        if state == "closed":
            for post in self._posts.values():
                post.pace = after_outage(post.pace)
                if post.changed and not post.in_flight and not post.silent:
                    self._enqueue(post)
            if self._line.me is None:
                self._line.probe_wanted.set()
        self._progress.set()
        self._assign()

    def _owed(self) -> int:
        now_s = self._loop.time()
        return sum(post.is_owed(now_s) for post in self._posts.values())

    def _can_send_before(self, deadline_s: float) -> bool:
        line = self._line
        if line.token_refused or line.gate.open_at_s > deadline_s:
            return False
        half_open_at_s = line.circuit.half_open_at_s
        return half_open_at_s is None or half_open_at_s <= deadline_s
