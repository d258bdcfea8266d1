"""What the server sees of the publisher while it is away, slow, busy, or refuses the token."""

import asyncio
import time
from dataclasses import replace
from itertools import pairwise

import pytest
from publishing import COOLDOWN_S, CREATE, QUICK, edits, publishing, until
from structlog.testing import capture_logs

from status_watcher.model import BoxId
from status_watcher.publisher import PublisherSettings
from status_watcher.publisher.settings import WORKERS
from status_watcher.sandbox.faults import Fault
from status_watcher.sandbox.server import RateLimit, Sandbox, ServerSettings


async def test_M4_outage_costs_one_probe_a_cooldown_and_on_return_one_edit_a_box_ended_first(desk, sandbox):
    for number in range(30):
        desk.show(f"box {number}", "before")
    await desk.shows(*["before"] * 30)
    sandbox.store.edits.clear()
    outage = sandbox.faults.add(Fault(status=503))
    for number in range(30):
        desk.show(f"box {number}", "lost")
    await until(lambda: desk.breaker.state == "open" and not under_way(desk))
    asked, cooldowns = len(sandbox.requests), []
    desk.breaker.subscribe(lambda state: cooldowns.append(state) if state == "open" else None)
    while len(cooldowns) < 3:
        for number in range(30):
            desk.show(f"box {number}", f"after {number}", ended=number >= 25)
        await asyncio.sleep(0.05)  # the pace of the changes
    probes = list(sandbox.requests)[asked:]
    assert len(probes) == len(cooldowns)
    assert all(b.at_monotonic_s - a.at_monotonic_s >= COOLDOWN_S for a, b in pairwise(probes))
    assert desk.publisher.snapshot().problems == ("mattermost: server error (503)",)
    sandbox.faults.remove(outage)
    await until(lambda: sorted(desk.texts()) == sorted(f"after {number}" for number in range(30)))
    assert len(sandbox.store.edits) == 30
    # The probe is the edit of whichever box was due when the circuit half-opened; the ended ones come next,
    # but for what travels beside them and may overtake.
    assert {edit.message for edit in sandbox.store.edits[: 6 + WORKERS - 1]} >= {
        f"after {number}" for number in range(25, 30)
    }
    await until(lambda: desk.publisher.snapshot().pending == 0)
    health = desk.publisher.snapshot()
    assert (health.circuit.state, health.problems) == ("closed", ())


def under_way(desk):
    """Requests that have not been answered yet."""
    return any(post.in_flight for post in desk.publisher._posts.values())


def when_closed(desk):
    """When the circuit has closed: how long what is owed has to wait, in s, and how many boxes are sent."""
    waits_s, at_work = [], []

    def look(state):
        if state == "closed":
            now_s, posts = asyncio.get_running_loop().time(), desk.publisher._posts.values()
            waits_s.extend(post.due_s - now_s for post in posts if post.changed)
            at_work.append(sum(post.in_flight for post in posts))

    desk.breaker.subscribe(look)  # after the publisher, which heeds it first
    return waits_s, at_work


async def test_M4_newest_texts_go_at_once_when_the_circuit_closes(desk, sandbox):
    for number in range(8):
        desk.show(f"box {number}", "before")
    await desk.shows(*["before"] * 8)
    await sandbox.pause()
    for number in range(8):
        desk.show(f"box {number}", "after")
    await until(lambda: desk.breaker.state == "open")
    waits_s, at_work = when_closed(desk)
    await sandbox.resume()
    await desk.shows(*["after"] * 8)
    assert at_work == [WORKERS]
    assert max(waits_s) <= 0


async def test_M4_what_an_outage_holds_up_is_owed_until_the_server_has_it(sandbox, tmp_path):
    # Where an edit was cut off by the outage, it is confirmed after so long.
    async with publishing(sandbox, tmp_path, settings=replace(QUICK, ghost_s=0.2)) as desk:
        desk.show("box", "before")
        await desk.shows("before")
        await until(lambda: not desk.publisher.owes(BoxId("box")))
        await sandbox.pause()
        desk.show("box", "[DONE]", ended=True)
        assert desk.publisher.owes(BoxId("box"))
        await until(lambda: desk.breaker.state == "open")
        assert desk.publisher.owes(BoxId("box"))
        await sandbox.resume()
        await desk.shows("[DONE]")
        await until(lambda: not desk.publisher.owes(BoxId("box")))
        assert not desk.publisher.owes(BoxId("never heard of"))


async def test_M4_idle_daemon_notices_that_the_server_is_back(sandbox, tmp_path):
    async with publishing(sandbox, tmp_path, threshold=1) as desk:
        desk.show("box", "first")
        await desk.shows("first")
        outage = sandbox.faults.add(Fault(status=502, html=True))
        desk.show("box", "second")
        await until(lambda: desk.breaker.state == "open")
        desk.shelf.boxes.clear()  # nothing to say any more
        sandbox.faults.remove(outage)
        await until(lambda: desk.breaker.state == "closed")


async def test_unreachable_server_at_start_is_one_problem_and_one_log_line(sandbox, tmp_path):
    await sandbox.pause()
    with capture_logs() as logs:
        async with publishing(sandbox, tmp_path) as desk:
            await until(lambda: desk.publisher.snapshot().problems)
            assert desk.publisher.snapshot().problems == ("mattermost: connection refused",)
            assert desk.publisher.snapshot().last_ok_s is None
            await sandbox.resume()
            await until(lambda: not desk.publisher.snapshot().problems)
    assert [line["event"] for line in logs].count("mattermost_unavailable") == 1


async def test_M4_one_busy_box_opens_the_circuit_though_reads_work_and_is_not_held_back_when_it_closes(
    desk, sandbox
):
    """Its back-off has grown longer than the cooldown by then."""
    failing = sandbox.faults.add(Fault(match=CREATE, status=500))
    desk.show("box", "text")
    await until(lambda: desk.breaker.state == "open", 12)
    waits_s, _ = when_closed(desk)
    sandbox.faults.remove(failing)
    await desk.shows("text")
    assert max(waits_s, default=0.0) <= 0


@pytest.mark.parametrize(
    "headers",
    [{"Retry-After": "1"}, {"Retry-After": "-1"}, {"Retry-After": "soon"}, {"X-RateLimit-Reset": "1"}, {}],
)
async def test_M5_429_pauses_everybody_and_the_newest_text_follows(sandbox, tmp_path, headers):
    async with publishing(sandbox, tmp_path, threshold=1) as desk:
        circuit = []
        desk.breaker.subscribe(circuit.append)
        for number in range(6):
            desk.show(f"box {number}", "before")
        await desk.shows(*["before"] * 6)
        limit = sandbox.faults.add(Fault(status=429, headers=headers, body="limit exceeded\n", times=1))
        desk.show("box 0", "refused")
        await until(lambda: desk.counter("sent_rate_limited") == 1)
        for number in range(6):
            desk.show(f"box {number}", f"after {number}")
        await until(lambda: sorted(desk.texts()) == [f"after {number}" for number in range(6)])
        assert limit.hits == 1
        (refused,) = [at for at, request in enumerate(sandbox.requests) if request.status == 429]
        before, after = list(sandbox.requests)[refused : refused + 2]
        assert after.at_monotonic_s - before.at_monotonic_s >= 1.0
        assert circuit == []
        assert len(edits(sandbox)) == 6


async def test_M16_rate_limit_of_the_server_is_kept_to(tmp_path):
    limits = ServerSettings(rate_limit=RateLimit(per_s=20, burst=10))
    async with Sandbox(settings=limits) as sandbox, publishing(sandbox, tmp_path) as desk:
        for number in range(25):
            desk.show(f"box {number}", "text")
        await desk.shows(*["text"] * 25, within_s=15)
        refused = sum(r.status == 429 for r in sandbox.requests)
        assert 1 <= refused <= 4 * 4
        assert desk.breaker.state == "closed"


async def test_M6_flapping_server_gets_every_newest_text_and_logs_little(desk, sandbox):
    flaky = sandbox.faults.add(Fault(match="PUT", status=500, probability=0.5))
    with capture_logs() as logs:
        for number in range(10):
            asked = desk.asked("PUT")
            for box in range(4):
                desk.show(f"box {box}", f"text {number}")
            if number:
                await until(lambda asked=asked: desk.asked("PUT") > asked)
            else:
                await desk.shows(*["text 0"] * 4)
        await until(lambda: desk.texts() == ["text 9"] * 4, 15)
    assert flaky.hits > 1
    events = [line["event"] for line in logs]
    assert events.count("mattermost_unavailable") == 1
    assert len(logs) < 12


async def test_M8_refused_token_stops_everything_and_heals_by_itself(sandbox, tmp_path):
    with capture_logs() as logs:
        async with publishing(sandbox, tmp_path) as desk:
            desk.show("box", "first")
            await desk.shows("first")
            sandbox.store.revoke_token(sandbox.bot_token)
            desk.show("box", "second")
            await until(lambda: desk.publisher.snapshot().token_refused)
            assert desk.publisher.snapshot().problems == ("mattermost: token refused (401)",)
            asked = len(sandbox.requests)
            for number in range(10):
                desk.show(f"box {number}", "more")
            await until(lambda: len(sandbox.requests) >= asked + 2)
            refused, *probes = list(sandbox.requests)[asked - 1 :]
            assert {(r.method, r.path.split("/")[-1]) for r in probes} == {("GET", "me")}
            for earlier, later in pairwise((refused, *probes)):
                assert later.at_monotonic_s - earlier.at_monotonic_s >= QUICK.token_probe_s
            assert desk.breaker.state == "closed"
            sandbox.store.restore_token(sandbox.bot_token)
            await until(lambda: "second" in desk.texts())
            await until(lambda: len(desk.texts()) == 11)
            assert desk.publisher.snapshot().problems == ()
    assert sandbox.bot_token not in str(logs)
    assert [line["event"] for line in logs].count("mattermost_token_refused") == 1


def test_M8_token_is_probed_every_30_to_60_s():
    settings = PublisherSettings()
    assert settings.token_probe_s >= 30
    assert settings.token_probe_s * 5 / 3 + settings.patience.at_first_s <= 60


async def test_M9_server_that_hangs_is_given_up_and_asked_again_edit_by_edit_and_post_by_look(desk, sandbox):
    sandbox.faults.add(Fault(match=CREATE, never_answer=True, times=1))
    desk.show("box", "first")
    await desk.shows("first")
    assert desk.asked("GET", "/posts?") == 1
    sandbox.faults.add(Fault(match="PUT", never_answer=True, times=1))
    desk.show("box", "second")
    await desk.shows("second")
    assert desk.asked("PUT") == 2


async def test_M9_shutdown_keeps_its_time_while_the_server_hangs(desk, sandbox):
    for number in range(10):
        desk.show(f"box {number}", "text")
    await desk.shows(*["text"] * 10)
    sandbox.faults.add(Fault(never_answer=True))
    for number in range(10):
        desk.show(f"box {number}", "[INTERRUPTED]")
    started = time.monotonic()
    assert await desk.publisher.flush(0.5) == 10
    assert time.monotonic() - started < 3  # and not for ever, as long as the server is silent
    assert sandbox.peak_busy_connections <= 4
