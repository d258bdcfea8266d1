"""What the sandbox offers beside the recorded calls: pages of posts, its process, and its calls for tests."""

import asyncio
import json
import signal
import sys
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from status_watcher.sandbox.hashtags import hashtags_of
from status_watcher.sandbox.mentions import live_names, pinged_names
from status_watcher.sandbox.server import Sandbox, ServerSettings
from status_watcher.sandbox.store import Store


async def ask(
    sandbox: Sandbox, session: aiohttp.ClientSession, method: str, path: str, body: Any = None
) -> Any:
    headers = {"Authorization": f"Bearer {sandbox.bot_token}"}
    async with session.request(method, sandbox.url + path, json=body, headers=headers) as response:
        return await response.json()


async def test_importing_the_package_starts_nothing() -> None:
    code = "import status_watcher.sandbox, sys; sys.exit('aiohttp' in sys.modules)"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code)
    assert await process.wait() == 0


async def test_runs_as_a_process_until_sigterm(session: aiohttp.ClientSession) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "status_watcher.sandbox",
        "--rate-limit",
        "10",
        "100",
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(20):
            where = json.loads(await process.stdout.readline())
        headers = {"Authorization": f"Bearer {where['bot_token']}"}
        async with session.get(f"{where['url']}/api/v4/users/me", headers=headers) as response:
            assert (await response.json())["id"] == where["bot_id"]
            assert response.headers["X-Ratelimit-Limit"] == "101"
    finally:
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(20):
            assert await process.wait() == 0


async def test_another_process_sets_faults_posts_as_a_person_and_reads_what_happened(
    sandbox: Sandbox, session: aiohttp.ClientSession
) -> None:
    given = {"match": "GET .*/users/me", "times": 1, "status": 418}
    assert await ask(sandbox, session, "POST", "/sandbox/faults", given) == {"status": "OK"}
    async with session.get(f"{sandbox.url}/api/v4/users/me") as response:
        assert response.status == 418
    async with session.post(f"{sandbox.url}/sandbox/faults", json={"macth": "typo"}) as response:
        assert response.status == 400
    channel = await ask(sandbox, session, "POST", "/sandbox/channels", {"name": "dev", "id": "c" * 26})
    body = {"channel_id": channel["id"], "message": "hello agent"}
    posted = await ask(sandbox, session, "POST", "/sandbox/posts", body)
    assert posted["user_id"] == sandbox.person.id
    assert await ask(sandbox, session, "GET", f"/sandbox/posts?channel_id={channel['id']}") == [posted]
    await ask(sandbox, session, "POST", "/api/v4/posts", {"channel_id": channel["id"], "message": "@person"})
    (violation,) = await ask(sandbox, session, "GET", "/sandbox/violations?throttle_s=2")
    assert "mentions person" in violation
    requests = await ask(sandbox, session, "GET", "/sandbox/requests")
    assert [(request["path"], request["status"]) for request in requests] == [
        ("/api/v4/users/me", 418),
        ("/api/v4/posts", 201),
    ]


async def test_extra_routes_may_be_made_from_the_store(session: aiohttp.ClientSession) -> None:
    def routes(store: Store) -> list[web.RouteDef]:
        async def page(_request: web.Request) -> web.Response:
            return web.Response(text=", ".join(user.username for user in store.users.values()))

        return [web.get("/", page)]

    async with Sandbox(extra_routes=routes) as sandbox, session.get(sandbox.url) as response:
        assert await response.text() == "status-bot, person"


async def test_a_channels_posts_come_newest_first_and_in_pages(
    sandbox: Sandbox, session: aiohttp.ClientSession
) -> None:
    ids = [sandbox.store.create_post(sandbox.bot.id, sandbox.channel.id, str(n)).id for n in range(5)]
    path = f"/api/v4/channels/{sandbox.channel.id}/posts"
    whole = await ask(sandbox, session, "GET", path)
    assert whole["order"] == ids[::-1]
    second = await ask(sandbox, session, "GET", f"{path}?page=1&per_page=2")
    assert second["order"] == [ids[2], ids[1]]
    assert (second["next_post_id"], second["prev_post_id"]) == (ids[3], ids[0])
    assert (await ask(sandbox, session, "GET", f"{path}?before={ids[2]}"))["order"] == [ids[1], ids[0]]
    assert (await ask(sandbox, session, "GET", f"{path}?after={ids[2]}"))["order"] == [ids[4], ids[3]]


async def test_long_answers_are_compressed_on_request(
    sandbox: Sandbox, session: aiohttp.ClientSession
) -> None:
    for _ in range(10):
        sandbox.store.create_post(sandbox.bot.id, sandbox.channel.id, "some text")
    headers = {"Authorization": f"Bearer {sandbox.bot_token}", "Accept-Encoding": "gzip"}
    url = f"{sandbox.url}/api/v4/channels/{sandbox.channel.id}/posts"
    async with session.get(url, headers=headers) as response:
        assert response.headers["Content-Encoding"] == "gzip"
        assert len((await response.json())["order"]) == 10
    async with session.get(f"{sandbox.url}/api/v4/users/me", headers=headers) as response:
        assert "Content-Encoding" not in response.headers


async def test_an_edit_of_a_reply_moves_its_root(sandbox: Sandbox) -> None:
    store = sandbox.store
    root = store.post_as(sandbox.person.id, sandbox.channel.id, "root")
    reply = store.create_post(sandbox.bot.id, sandbox.channel.id, "reply", root_id=root.id)
    before = store.posts[root.id].update_at
    store.edit_post(reply.id, via="patch", message="reply 2")
    assert store.posts[root.id].update_at > before
    assert store.posts[root.id].edit_at == 0


async def test_a_deleted_root_takes_its_replies_along(
    sandbox: Sandbox, session: aiohttp.ClientSession
) -> None:
    root = sandbox.store.create_post(sandbox.bot.id, sandbox.channel.id, "root")
    sandbox.store.create_post(sandbox.bot.id, sandbox.channel.id, "reply", root_id=root.id)
    await ask(sandbox, session, "DELETE", f"/api/v4/posts/{root.id}")
    assert sandbox.store.posts_in(sandbox.channel.id) == []


async def test_each_reader_is_told_of_their_own_mention_alone(
    sandbox: Sandbox, session: aiohttp.ClientSession
) -> None:
    other = sandbox.store.add_user("other")
    sandbox.store.add_member(sandbox.channel.id, other.id)
    url = f"{sandbox.url}/api/v4/websocket"
    mentions = {}
    for token, user in ((sandbox.person_token, sandbox.person), (sandbox.store.issue_token(other.id), other)):
        async with session.ws_connect(url, headers={"Authorization": f"Bearer {token}"}) as socket:
            assert (await socket.receive_json(timeout=5))["event"] == "hello"
            sandbox.store.create_post(sandbox.bot.id, sandbox.channel.id, "@other look")
            mentions[user.username] = (await socket.receive_json(timeout=5))["data"].get("mentions")
    assert mentions == {"person": None, "other": json.dumps([other.id])}


async def test_what_readers_send_is_recorded_with_whether_it_was_understood(
    sandbox: Sandbox, session: aiohttp.ClientSession
) -> None:
    async with session.ws_connect(f"{sandbox.url}/api/v4/websocket") as socket:
        challenge = {"seq": 1, "action": "authentication_challenge", "data": {"token": sandbox.bot_token}}
        await socket.send_json(challenge)
        await socket.send_json({"seq": 2, "action": "ping"})
        await socket.send_json({"seq": 3, "action": "dance"})
        await socket.send_str("no JSON")
        statuses = []
        while len(statuses) < 4:
            frame = await socket.receive_json(timeout=5)
            statuses += [frame["status"]] if "seq_reply" in frame else []
    assert statuses == ["OK", "OK", "FAIL", "FAIL"]
    assert {frame.user_id for frame in sandbox.events.received} == {sandbox.bot.id}
    assert [(frame.action, frame.ok) for frame in sandbox.events.received] == [
        ("authentication_challenge", True),
        ("ping", True),
        ("dance", False),
        ("", False),
    ]


async def test_a_direct_channel_is_the_same_one_each_time(
    sandbox: Sandbox, session: aiohttp.ClientSession
) -> None:
    pair = [sandbox.bot.id, sandbox.person.id]
    first = await ask(sandbox, session, "POST", "/api/v4/channels/direct", pair)
    second = await ask(sandbox, session, "POST", "/api/v4/channels/direct", pair[::-1])
    assert first == second
    assert sandbox.store.direct_channel(*pair).id == first["id"]


async def test_developer_mode_puts_the_token_into_the_401(session: aiohttp.ClientSession) -> None:
    async with Sandbox(settings=ServerSettings(enable_developer=True)) as sandbox:
        sandbox.store.revoke_token(sandbox.bot_token)
        refused = await ask(sandbox, session, "GET", "/api/v4/users/me")
        assert sandbox.bot_token in refused["detailed_error"]


async def test_settings_change_while_it_runs(sandbox: Sandbox, session: aiohttp.ClientSession) -> None:
    sandbox.configure(max_post_chars=3)
    body = {"channel_id": sandbox.channel.id, "message": "four"}
    refused = await ask(sandbox, session, "POST", "/api/v4/posts", body)
    assert refused["id"] == "model.post.is_valid.msg.app_error"


@pytest.mark.parametrize(
    ("body", "name"),
    [(b"[]", "post"), (b'{"message": 5}', "post"), (b'{"props": []}', "post"), (b"", "post")],
)
async def test_a_body_of_the_wrong_shape_is_refused(
    sandbox: Sandbox, session: aiohttp.ClientSession, body: bytes, name: str
) -> None:
    headers = {"Authorization": f"Bearer {sandbox.bot_token}"}
    async with session.post(f"{sandbox.url}/api/v4/posts", data=body, headers=headers) as response:
        assert response.status == 400
        refused = await response.json()
    assert refused["id"] == "api.context.invalid_body_param.app_error"
    assert name in refused["message"]


@pytest.mark.parametrize(
    ("text", "server", "client"),
    [
        ("hi @all", True, True),
        ("`@all`", False, False),
        ("```\n@all\n```", False, False),
        ("```\n@all", False, True),
        ("> ```\n> @all\n> ```", False, False),
        ("```\nx\n```\n@all\n```", True, True),
        ("````\n```\n@all\n```\n````", False, False),
        ("`a`b @all`", True, True),
        ("`` a`b @all ``", False, False),
        (r"\@all", True, True),
        ("@\u200ball", False, False),
        ("me@all.com", False, False),
        ("[x](http://h/@all)", False, False),
        ("(@all).", True, True),
    ],
)
def test_mentions_are_live_where_server_or_client_takes_them_so(
    text: str, server: bool, client: bool
) -> None:
    assert ("all" in pinged_names(text, {})) is server
    assert ("all" in live_names(text, {})) is client


@pytest.mark.parametrize(
    ("text", "hashtags"),
    [
        ("#abc", "#abc"),
        ("#ab", ""),
        ("#123", ""),
        ("`#code`", "#code"),
        (r"\#esc", "#esc"),
        ("#\u200babc", ""),
    ],
)
def test_hashtags_are_a_letter_and_two_more_characters(text: str, hashtags: str) -> None:
    assert hashtags_of(text) == hashtags
