"""What can go wrong on the way to a server goes wrong on the way to the sandbox, as it was told to."""

import asyncio
import contextlib
import time
from typing import Any

import aiohttp
import pytest

from status_watcher.sandbox.faults import Fault
from status_watcher.sandbox.server import Sandbox

PATCH = "PUT .*/patch$"


def bearer(sandbox: Sandbox) -> dict[str, str]:
    return {"Authorization": f"Bearer {sandbox.bot_token}"}


async def create(sandbox: Sandbox, session: aiohttp.ClientSession, message: str, **more: Any) -> Any:
    body = {"channel_id": sandbox.channel.id, "message": message} | more
    async with session.post(f"{sandbox.url}/api/v4/posts", json=body, headers=bearer(sandbox)) as response:
        return response.status, await response.json()


async def patch(sandbox: Sandbox, session: aiohttp.ClientSession, post_id: str, message: str) -> int:
    async with session.put(
        f"{sandbox.url}/api/v4/posts/{post_id}/patch", json={"message": message}, headers=bearer(sandbox)
    ) as response:
        await response.read()
        return response.status


async def test_a_status_answers_in_the_servers_place_for_so_many_times(
    sandbox: Sandbox, session: aiohttp.ClientSession
) -> None:
    post = sandbox.store.create_post(sandbox.bot.id, sandbox.channel.id, "v0")
    active = sandbox.faults.add(Fault(PATCH, times=2, status=503, html=True, headers={"Retry-After": "7"}))
    url = f"{sandbox.url}/api/v4/posts/{post.id}/patch"
    async with session.put(url, json={"message": "v1"}, headers=bearer(sandbox)) as response:
        assert response.status == 503
        assert response.content_type == "text/html"
        assert response.headers["Retry-After"] == "7"
    assert await patch(sandbox, session, post.id, "v1") == 503
    assert sandbox.store.posts[post.id].message == "v0"
    assert await patch(sandbox, session, post.id, "v1") == 200
    assert active.spent
    assert [request.status for request in sandbox.requests] == [503, 503, 200]


async def test_a_proxys_answer_after_the_commit_leaves_the_edit_done(
    sandbox: Sandbox, session: aiohttp.ClientSession
) -> None:
    post = sandbox.store.create_post(sandbox.bot.id, sandbox.channel.id, "v0")
    sandbox.faults.add(Fault(PATCH, status=504, html=True, commit_first=True))
    assert await patch(sandbox, session, post.id, "v1") == 504
    assert sandbox.store.posts[post.id].message == "v1"


@pytest.mark.parametrize(
    ("fault", "message"),
    [(Fault(PATCH, times=2, drop_before=True), "v0"), (Fault(PATCH, times=2, drop_after_commit=True), "v1")],
)
async def test_a_dropped_connection_tells_not_whether_the_edit_was_done(
    sandbox: Sandbox, session: aiohttp.ClientSession, fault: Fault, message: str
) -> None:
    post = sandbox.store.create_post(sandbox.bot.id, sandbox.channel.id, "v0")
    sandbox.faults.add(fault)  # twice: aiohttp's client repeats a dropped PUT by itself, once
    with pytest.raises((aiohttp.ServerDisconnectedError, ConnectionResetError, aiohttp.ClientOSError)):
        await patch(sandbox, session, post.id, "v1")
    assert sandbox.store.posts[post.id].message == message
    assert await patch(sandbox, session, post.id, "v2") == 200


async def test_a_lost_create_is_found_again_by_its_pending_post_id(
    sandbox: Sandbox, session: aiohttp.ClientSession
) -> None:
    sandbox.faults.add(Fault("POST .*/posts$", times=1, drop_after_commit=True))
    with contextlib.suppress(aiohttp.ClientError, ConnectionResetError):
        await create(sandbox, session, "once", pending_post_id="unguessable")
    (made,) = sandbox.store.posts_in(sandbox.channel.id)
    status, again = await create(sandbox, session, "once", pending_post_id="unguessable")
    assert (status, again["id"]) == (201, made.id)
    assert len(sandbox.store.posts_in(sandbox.channel.id)) == 1


async def test_a_request_never_answered_is_freed_when_the_client_gives_up(
    sandbox: Sandbox, session: aiohttp.ClientSession
) -> None:
    sandbox.faults.add(Fault("GET .*/ping", never_answer=True))
    with pytest.raises(asyncio.TimeoutError):
        await session.get(f"{sandbox.url}/api/v4/system/ping", timeout=aiohttp.ClientTimeout(total=0.1))
    async with asyncio.timeout(5):
        while sandbox.requests[0].ended_monotonic_s is None:
            await asyncio.sleep(0.01)


async def test_stop_does_not_wait_for_requests_that_are_never_answered(
    session: aiohttp.ClientSession,
) -> None:
    sandbox = Sandbox()
    await sandbox.start()
    active = sandbox.faults.add(Fault(never_answer=True))
    asking = asyncio.create_task(session.get(f"{sandbox.url}/api/v4/system/ping"))
    while not active.hits:
        await asyncio.sleep(0)
    before_s = time.monotonic()
    await sandbox.stop()
    assert time.monotonic() - before_s < 1
    with pytest.raises((aiohttp.ClientError, ConnectionResetError)):
        await asking


async def test_a_trickled_answer_is_slow_and_whole(sandbox: Sandbox, session: aiohttp.ClientSession) -> None:
    sandbox.faults.add(Fault("GET .*/users/me", trickle_bytes_per_s=5_000))
    before_s = time.monotonic()
    async with session.get(f"{sandbox.url}/api/v4/users/me", headers=bearer(sandbox)) as response:
        assert (await response.json())["id"] == sandbox.bot.id
    assert time.monotonic() - before_s > 0.1


async def test_an_outage_refuses_connections_and_forgets_nothing(
    sandbox: Sandbox, session: aiohttp.ClientSession
) -> None:
    _, post = await create(sandbox, session, "before")
    url = sandbox.url
    await sandbox.pause()
    with pytest.raises(aiohttp.ClientConnectorError):
        await session.get(f"{url}/api/v4/system/ping")
    await sandbox.resume()
    assert sandbox.url == url
    assert await patch(sandbox, session, post["id"], "after") == 200


async def test_a_paused_server_cuts_the_event_stream(
    sandbox: Sandbox, session: aiohttp.ClientSession
) -> None:
    async with session.ws_connect(f"{sandbox.url}/api/v4/websocket", headers=bearer(sandbox)) as socket:
        assert (await socket.receive_json(timeout=5))["event"] == "hello"
        await sandbox.pause()
        message = await socket.receive(timeout=5)
        assert message.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
    async with asyncio.timeout(5):
        while len(sandbox.events):
            await asyncio.sleep(0.01)


async def test_violations_name_an_unchanged_edit_a_fast_one_and_a_live_mention(
    sandbox: Sandbox, session: aiohttp.ClientSession
) -> None:
    _, post = await create(sandbox, session, "quiet `@all`")
    await patch(sandbox, session, post["id"], "v1")
    assert sandbox.violations(throttle_s=2) == []
    await patch(sandbox, session, post["id"], "v1")
    await patch(sandbox, session, post["id"], "```\nnever closed @person")
    found = sandbox.violations(throttle_s=2)
    assert sum("after the one before" in text for text in found) == 2
    assert sum("changes nothing" in text for text in found) == 1
    assert sum(text.endswith("mentions person") for text in found) == 1
    assert len(found) == 4
    assert len(sandbox.violations()) == 2, "without a throttle any pace is right"


async def test_violations_name_a_fifth_busy_connection(
    sandbox: Sandbox, session: aiohttp.ClientSession
) -> None:
    sandbox.faults.add(Fault("GET .*/users/me", delay_before_s=0.2))

    async def ask() -> None:
        async with session.get(f"{sandbox.url}/api/v4/users/me", headers=bearer(sandbox)) as response:
            assert response.status == 200

    await asyncio.gather(*(ask() for _ in range(4)))
    assert sandbox.violations() == []
    await asyncio.gather(*(ask() for _ in range(5)))
    assert sandbox.violations() == ["5 connections busy at one time"]
    assert sandbox.connections == 5


async def test_a_person_may_mention_anyone(sandbox: Sandbox) -> None:
    sandbox.store.post_as(sandbox.person.id, sandbox.channel.id, "@all")
    assert sandbox.violations() == []


async def test_a_probable_fault_meets_some_requests_and_repeats_with_its_seed(
    sandbox: Sandbox, session: aiohttp.ClientSession
) -> None:
    sandbox.faults.add(Fault("ping", probability=0.5, status=500))
    statuses = []
    for _ in range(30):
        async with session.get(f"{sandbox.url}/api/v4/system/ping") as response:
            statuses.append(response.status)
    assert set(statuses) == {200, 500}
