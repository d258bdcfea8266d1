"""The sender of events against a real server."""

import asyncio
import contextlib
import time
from dataclasses import replace

import orjson
from aiohttp import web

from status_watcher.core.event_wire import LokiBody, Told, webhook_body
from status_watcher.core.lifecycle import Happening
from status_watcher.core.session_report import SessionReport
from status_watcher.edge.event_sender import Destination, EventSender

REPORT = SessionReport("key", "label", "main", "channel", "DONE", 1.0, 0.0, "", 0, "")
TOLD = Told("run", 1, 1_800_000_000_000, "host", Happening.FINISHED, "turn", REPORT, None)
WITHIN_S = 5.0


def numbered(first: int, last: int) -> list[Told]:
    return [replace(TOLD, number=number) for number in range(first, last + 1)]


class Receiver:
    def __init__(self, *answers: int) -> None:
        self.answers = list(answers)
        self.headers: dict[str, str] = {}
        self.bodies: list[bytes] = []
        self.at_s: list[float] = []
        self.logins: list[str] = []
        self.open = asyncio.Event()
        self.open.set()
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        await self.open.wait()
        self.at_s.append(time.monotonic())
        self.logins.append(request.headers.get("Authorization", ""))
        status = self.answers.pop(0) if self.answers else 204
        if status < 300:
            self.bodies.append(body)
        return web.Response(status=status, headers=self.headers)

    @property
    def ids(self) -> list[str]:
        return [orjson.loads(body)["id"] for body in self.bodies]


@contextlib.asynccontextmanager
async def sending(receiver: Receiver, *, login: str = "", encode=webhook_body, most_at_once=1, **settings):
    app = web.Application()
    app.router.add_post("/in", receiver.take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://{login}127.0.0.1:{runner.addresses[0][1]}/in"
    to = Destination("webhook", url, encode, most_at_once)
    sender = EventSender(to, "1", **({"first_retry_s": 0.02, "jitter": lambda: 0.5} | settings))
    task = asyncio.create_task(sender.run())
    try:
        yield sender
    finally:
        receiver.open.set()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await runner.cleanup()


async def until(condition) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not condition():
            await asyncio.sleep(0.005)


async def test_events_arrive_in_order_also_after_refusals_for_now():
    receiver = Receiver(500, 429, 204, 503)
    async with sending(receiver) as sender:
        for told in numbered(1, 4):
            sender.offer(told)
        await until(lambda: len(receiver.bodies) == 4)
        await until(lambda: sender.counters()["webhook_sent"] == 4)
        assert receiver.ids == ["run-1", "run-2", "run-3", "run-4"]
        assert sender.counters()["webhook_retries"] == 3
        assert sender.counters()["webhook_queued"] == 0


async def test_what_the_receiver_will_never_take_does_not_hold_up_the_rest():
    receiver = Receiver(400, 302)
    async with sending(receiver) as sender:
        for told in numbered(1, 3):
            sender.offer(told)
        await until(lambda: receiver.bodies)
        assert receiver.ids == ["run-3"]
        await until(lambda: sender.counters()["webhook_refused"] == 2)


async def test_the_oldest_are_dropped_and_counted_where_nobody_takes_them():
    receiver = Receiver()
    receiver.open.clear()
    async with sending(receiver, most_queued=3) as sender:
        for told in numbered(1, 10):
            sender.offer(told)
        assert sender.counters()["webhook_dropped"] == 7
        assert sender.counters()["webhook_queued"] == 3
        receiver.open.set()
        await until(lambda: len(receiver.bodies) == 3)
        assert receiver.ids == ["run-8", "run-9", "run-10"]


async def test_pauses_grow_and_heed_retry_after():
    receiver = Receiver(500, 500, 500)
    async with sending(receiver, first_retry_s=0.1) as sender:
        sender.offer(TOLD)
        await until(lambda: receiver.bodies)
    pauses = [later - earlier for earlier, later in zip(receiver.at_s, receiver.at_s[1:], strict=False)]
    assert [pause >= least for pause, least in zip(pauses, (0.1, 0.2, 0.4), strict=True)] == [True] * 3
    receiver = Receiver(429)
    receiver.headers["Retry-After"] = "1"
    async with sending(receiver) as sender:
        sender.offer(TOLD)
        await until(lambda: receiver.bodies)
    assert receiver.at_s[1] - receiver.at_s[0] >= 0.99


async def test_a_receiver_that_does_not_answer_is_asked_again():
    receiver = Receiver()
    receiver.open.clear()
    async with sending(receiver, timeout_s=0.1) as sender:
        sender.offer(TOLD)
        await until(lambda: sender.counters()["webhook_retries"] >= 1)
        receiver.open.set()
        await until(lambda: sender.counters()["webhook_sent"] == 1)


async def test_the_end_waits_for_what_is_left_and_not_for_ever():
    receiver = Receiver(503)
    async with sending(receiver, first_retry_s=60.0) as sender:
        sender.offer(TOLD)
        await until(lambda: sender.counters()["webhook_retries"] == 1)
        assert await sender.flush(WITHIN_S) == 0
        assert receiver.ids == ["run-1"]
    receiver = Receiver()
    receiver.open.clear()
    async with sending(receiver) as sender:
        sender.offer(TOLD)
        started_s = time.monotonic()
        assert await sender.flush(0.2) == 1
        assert time.monotonic() - started_s < 2


async def test_the_urls_login_is_sent_and_never_logged(capfd):
    receiver = Receiver(401)
    async with sending(receiver, login="user:passphrase@") as sender:
        sender.offer(TOLD)
        await until(lambda: sender.counters()["webhook_refused"] == 1)
    assert receiver.logins == ["Basic dXNlcjpwYXNzcGhyYXNl"]
    said = "".join(capfd.readouterr())
    assert "events_not_sent" in said
    assert "passphrase" not in said
    assert "127.0.0.1" not in said


async def test_loki_gets_many_at_once():
    receiver = Receiver()
    receiver.open.clear()
    async with sending(receiver, encode=LokiBody(), most_at_once=100) as sender:
        sender.offer(TOLD)
        await asyncio.sleep(0)  # its turn: it may take the first one alone
        for told in numbered(2, 50):
            sender.offer(told)
        receiver.open.set()
        await until(lambda: sender.counters()["webhook_sent"] == 50)
    assert len(receiver.bodies) <= 2
