"""The sandbox answers as the recorded Mattermost 9.9 did: each case of tests/data/mattermost, step by step.

Exceptions are the `skip` and `ignore` of the cases below, each with its reason.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from sandbox.replay import Replay, recorded

from status_watcher.sandbox.faults import Fault
from status_watcher.sandbox.server import RateLimit, Sandbox, ServerSettings

# The actors and channels of the recordings made in the main run of the recorded server.
BOT = "rhocgusbdpditkh6nc7k977pme"
USER = "53ikh17t9ifjz86h43yj15cc1a"
ADMIN = "5guzrx7bxtn5iptxy3mucmrpco"
TEAM = "dekx1xedtfnbtp6jmadzrfx3ey"
OPEN = "x99swhjbii8biynyepxwns5kmw"
PRIVATE = "bngecwkbsfffzrp8dir8e89q8o"
DIRECT = "hrs9nd4mjido7yy53qmb6emrgr"

NO_BUTTONS = "the sandbox does not call integrations: buttons cannot be clicked in it"


@pytest.fixture
def main_run(replay: Replay) -> Replay:
    """Everyone and everything that the main run had from the start."""
    replay.actor("bot", BOT, username="bot-f69dae01")
    replay.actor("user", USER, username="user-a32747b4")
    store = replay.store
    store.add_team("team-ba06eb8e", id=TEAM)
    store.add_channel("ch-8b985002", id=OPEN, team_id=TEAM, members=(BOT, USER))
    store.add_channel("priv-8e449c8b", id=PRIVATE, team_id=TEAM, type="P", members=(BOT, USER))
    store.add_channel(f"{USER}__{BOT}", id=DIRECT, type="D", members=(BOT, USER))
    return replay


@dataclass
class Clock:
    now_s: float = 1000.0

    def __call__(self) -> float:
        return self.now_s


async def test_create_post_as_recorded(main_run: Replay) -> None:
    await main_run.run("create_post")


async def test_create_post_idempotent_as_recorded(main_run: Replay) -> None:
    await main_run.run("create_post_idempotent")


async def test_create_pending_in_flight_as_recorded(session: aiohttp.ClientSession) -> None:
    clock = Clock()
    async with Sandbox(clock=clock) as sandbox:
        replay = Replay(sandbox, session)
        bot = replay.actor("bot", "ygj1yczznigf7f3thubkqcgkch")
        sandbox.store.add_channel("town", id="e4eztzwiqjdabr1e78nsthfx4w", members=(bot,))
        ignore = {
            "metadata": "the first create was slow over a link preview, which the sandbox does not make"
        }
        second, first, *later, after_31_s = recorded("create_pending_in_flight")
        slow = sandbox.faults.add(Fault("POST .*/posts$", times=1, delay_after_commit_s=1.0))
        first_outcome = asyncio.create_task(replay.differences(first, ignore))
        while not slow.hits:
            await asyncio.sleep(0)
        assert await replay.differences(second, ignore) == []
        assert await first_outcome == []
        for step in later:
            assert await replay.differences(step, ignore) == [], step["note"]
        clock.now_s += 31
        assert await replay.differences(after_31_s, ignore) == []


async def test_create_refused_as_recorded(main_run: Replay) -> None:
    store = main_run.store
    admin = main_run.actor("admin", ADMIN)
    store.add_channel("secret", id="u4atp4i573bzix6sapb43pomze", type="P", members=(admin,))
    store.add_channel("elsewhere", id="9hyfgkjp3j8wfnkc6mh78krohe", team_id=TEAM, members=(admin,))
    main_run.post("5hwrub5ub7fyupqc1gcx4ch5eh", USER, OPEN)

    def grant(role: str) -> None:
        store.users[BOT].roles = f"system_user {role}"

    await main_run.run(
        "create_refused", before={4: lambda: grant("system_post_all_public"), 5: lambda: grant("")}
    )


async def test_edit_refused_as_recorded(main_run: Replay) -> None:
    store = main_run.store
    store.delete_post(main_run.post("3iyc4wiyspfx9fxk3eu44gngxc", BOT, OPEN), BOT)
    main_run.post("jm41trj8b3ne7k7kqatf1ozp3r", USER, OPEN)
    for channel_id, kind in (
        ("uugj5x6aotfampj9fc6zkyjmdr", "O"),
        ("openoneofwhichweremembers1", "O"),
        ("privateonewhereweremember1", "P"),
    ):
        store.add_channel(channel_id, id=channel_id, type=kind, members=(BOT, USER))
    main_run.post("ce64wsb54jbjtjrdhzni4oxxco", BOT, "uugj5x6aotfampj9fc6zkyjmdr")
    main_run.post("dnkbqmyybfgqjjcnhdisfwhb1e", BOT, "openoneofwhichweremembers1")
    main_run.post("744pf6zkhf8r8p4cgcf38rzpjc", BOT, "privateonewhereweremember1")

    def take_everything_away() -> None:
        store.users[BOT].roles = "system_user"
        store.archive_channel("uugj5x6aotfampj9fc6zkyjmdr")
        store.remove_member("openoneofwhichweremembers1", BOT)
        store.remove_member("privateonewhereweremember1", BOT)

    def make_admin() -> None:
        store.users[BOT].roles = "system_user system_admin"

    await main_run.run("edit_refused", before={8: make_admin, 9: take_everything_away})


async def test_edit_history_as_recorded(main_run: Replay) -> None:
    main_run.actor("admin", ADMIN, roles="system_user system_admin")
    post = main_run.post("xtmu9zqk77y3i8ooogcp5s9p1w", BOT, OPEN)

    def edit() -> None:
        for message in ("v1", "v2", "v3", "v3"):
            main_run.store.edit_post(post, via="patch", message=message)
        main_run.store.edit_post(post, is_pinned=True)

    await main_run.run("edit_history", before={1: edit, 4: lambda: main_run.store.delete_post(post, BOT)})


async def second_run(sandbox: Sandbox, session: aiohttp.ClientSession) -> Replay:
    """The actors of the recordings made in a second run of the recorded server."""
    replay = Replay(sandbox, session)
    bot = replay.actor("bot", "gx9fu6cpifyaijwpn3bw5of98h")
    sandbox.store.add_channel("town", id="cebwo4akibn7u8tdh7ri6s1sxa", members=(bot,))
    return replay


async def test_edit_nul_as_recorded(sandbox: Sandbox, session: aiohttp.ClientSession) -> None:
    replay = await second_run(sandbox, session)
    post = replay.post(
        "yy6tit3mo7b3mf9kfihf4rhxuc", "gx9fu6cpifyaijwpn3bw5of98h", "cebwo4akibn7u8tdh7ri6s1sxa"
    )
    sandbox.store.edit_post(post, message="see http://127.0.0.1:44347/slow")
    await replay.run("edit_nul")


async def test_edit_time_limit_as_recorded(session: aiohttp.ClientSession) -> None:
    async with Sandbox(settings=ServerSettings(edit_time_limit_s=1)) as sandbox:
        replay = await second_run(sandbox, session)
        post = replay.post(
            "7bkhp54pqfbgic4u98bffa175h", "gx9fu6cpifyaijwpn3bw5of98h", "cebwo4akibn7u8tdh7ri6s1sxa", "tl"
        )
        sandbox.store.posts[post].create_at -= 1_500
        await replay.run("edit_time_limit")


async def test_update_patch_as_recorded(main_run: Replay) -> None:
    props = {"attachments": [{"text": "a", "color": "#00ff00"}], "k": "v"}
    post = main_run.post("1y5t9qg4z3fb9ehgp4h9gqef6e", BOT, OPEN, "v1", props=props)
    main_run.store.edit_post(post, is_pinned=True)
    await main_run.run("update_patch")


async def test_update_put_as_recorded(main_run: Replay) -> None:
    props = {"attachments": [{"text": "a"}]}
    post = main_run.post("ej1ihqm3xbn3uj5r4uqgou47ao", BOT, OPEN, "v1", props=props)
    main_run.store.edit_post(post, is_pinned=True)
    await main_run.run("update_put")


async def test_auth_as_recorded(main_run: Replay) -> None:
    store = main_run.store
    main_run.post("jafsii47j38uugaud7uq5y3tuw", BOT, OPEN)
    bot2 = main_run.actor("bot2", "bot2id00000000000000000000")
    bot3 = main_run.actor("bot3", "55n8t9cn6frsfjufpx9f6bbfre")
    main_run.actor("bot4", "b3xwfsu1didq7eq3gj5tcab4nc", username="tokoff-41fc5085")
    for bot, post in ((bot2, "xx5rhadwdtr4ibnjuriugjzbnh"), (bot3, "swjq5dit3j8fxf38mox5wydnmo")):
        store.add_member(OPEN, bot)
        main_run.post(post, bot, OPEN)
    store.revoke_token(main_run.tokens["bot2"])
    store.set_active(bot3, active=False)
    store.revoke_token(main_run.tokens["bot4"])
    await main_run.run(
        "auth",
        before={
            6: lambda: store.set_active(bot3, active=True),
            8: lambda: store.restore_token(main_run.tokens["bot4"]),
        },
    )


async def test_limits_as_recorded(main_run: Replay) -> None:
    await main_run.run("limits")


async def test_rate_limited_as_recorded(session: aiohttp.ClientSession) -> None:
    clock = Clock()
    settings = ServerSettings(rate_limit=RateLimit(per_s=10, burst=5, vary_by_user=True))
    async with Sandbox(settings=settings, clock=clock) as sandbox:
        replay = await second_run(sandbox, session)
        post = replay.post(
            "yy6tit3mo7b3mf9kfihf4rhxuc", "gx9fu6cpifyaijwpn3bw5of98h", "cebwo4akibn7u8tdh7ri6s1sxa"
        )
        first, seventh, *rest = recorded("rate_limited")
        assert await replay.differences(first, {}) == []
        for _ in range(5):
            async with session.get(
                f"{sandbox.url}/api/v4/posts/{post}",
                headers={"Authorization": f"Bearer {replay.tokens['bot']}"},
            ) as response:
                assert response.status == 200
        assert await replay.differences(seventh, {}) == []
        clock.now_s += 1
        for step in rest:
            assert await replay.differences(step, {}) == [], step["note"]


async def test_ping_me_channels_as_recorded(main_run: Replay) -> None:
    store = main_run.store
    admin = main_run.actor("admin", ADMIN)
    store.add_channel(f"{ADMIN}__{BOT}", id="jioecoyb6ffw3ctw9jmq31h46o", type="D", members=(admin, BOT))
    for name, display_name, channel_id in (
        ("off-topic", "Off-Topic", "ryrjym47sibrinwtc9ks9w9wmh"),
        ("town-square", "Town Square", "jfoaxhc9yf8sfnaeiia4j1xpeo"),
    ):
        store.add_channel(name, display_name=display_name, id=channel_id, team_id=TEAM, members=(BOT,))
    store.channels[DIRECT].create_at += 1_000  # the newest, which the ETag of a list of channels names
    await main_run.run("ping_me_channels")


async def test_other_post_calls_as_recorded(main_run: Replay) -> None:
    for post in ("ex3smpgbft8atnie4f6r3ddbpw", "3367cpew8bb99bgniw6b6m337h", "8bgzgndt97df9gpuc68kgnzaie"):
        main_run.post(post, BOT, OPEN, "one" if post.startswith("ex3") else "two")
    main_run.post("oegk8ja33788xpqeo5cm7ux7ua", USER, PRIVATE)
    store, live = main_run.store, main_run.live_ids
    store.delete_post(live["8bgzgndt97df9gpuc68kgnzaie"], BOT)
    # The recorded posts were made some milliseconds apart; `since` is the time of the second.
    for number, post in enumerate(("ex3smpgbft8atnie4f6r3ddbpw", "3367cpew8bb99bgniw6b6m337h")):
        made = store.posts[live[post]]
        made.create_at = made.update_at = 1795188608333 + 5 * number
    deleted = store.posts[live["8bgzgndt97df9gpuc68kgnzaie"]]
    deleted.create_at, deleted.update_at = 1795188608341, 1795188608346
    await main_run.run("other_post_calls")


async def test_empty_and_odd_text_as_recorded(main_run: Replay) -> None:
    await main_run.run("empty_and_odd_text")


async def test_attachments_as_recorded(main_run: Replay) -> None:
    await main_run.run("attachments")


async def test_props_written_back_as_recorded(replay: Replay) -> None:
    bot = replay.actor("bot", "mafsachwmpfoicwwtc3wrrngqh")
    replay.store.add_channel("town", id="ppquf7gaxpgwpghgnhtmheftdc", members=(bot,))
    action = {"id": "stop", "name": "Stop", "integration": {"url": "http://127.0.0.1:9/"}}
    props = {"attachments": [{"text": "t", "actions": [action]}]}
    replay.post("earapcrxcpga3jtwzhm6w9hugc", bot, "ppquf7gaxpgwpghgnhtmheftdc", "box", props=props)
    await replay.run("props_written_back", skip={0: NO_BUTTONS, 3: NO_BUTTONS})


async def test_transport_as_recorded(main_run: Replay) -> None:
    for post in ("7fpq1zhkq7rcpbjs3gtkhsjq8y", "fsfgipfri3rrtgnfqbnufhq4uh"):
        main_run.post(post, BOT, OPEN)
    await main_run.run(
        "transport",
        skip={1: "its path and body are not recorded; test_long_answers_are_compressed_on_request"},
    )


# The WebSocket, whose recording has frames instead of exchanges.

WS_BOT = "hy4e4y3mpbfdtrsmpwemk5ps5y"
READER = "yjjhuhfnkj8y9czu9q3je85edw"
WS_CHANNEL = "o6sqgqynff8kfkfj387mu6oy4o"
WS_TEAM = "469yqiwnatn17fsfsrsy31ik8e"


@dataclass
class Reader:
    """A person with the page open: their socket, and the recording it is held against."""

    replay: Replay
    socket: aiohttp.ClientWebSocketResponse
    next_seq: int = 0

    async def frame(self) -> dict[str, Any]:
        frame: dict[str, Any] = await self.socket.receive_json(timeout=5)
        if "event" in frame:
            assert frame["seq"] == self.next_seq, "a gap in seq means lost events"
            self.next_seq += 1
        return frame

    async def expect(self, note: str) -> list[dict[str, Any]]:
        """The next frames are those recorded under this note."""
        step = next(step for step in recorded("websocket") if step["note"] == note)
        seen = []
        for wanted in step["received"]:
            if wanted.get("event") == "thread_updated":
                continue  # followed threads are the web client's; the sandbox keeps none
            frame = await self.frame()
            ignore = {"seq": "counts the frames of this connection alone; checked by `frame`"}
            assert list(self.replay.tree_differences(wanted, frame, ignore)) == [], note
            seen.append(frame)
        return seen


@pytest.fixture
async def reader(replay: Replay) -> AsyncIterator[Reader]:
    replay.actor("bot", WS_BOT, username="bot-ec8e065b")
    replay.actor("user", READER, username="user-5e704110")
    replay.store.add_team("t", id=WS_TEAM)
    replay.store.add_channel("ch-e973f427", id=WS_CHANNEL, team_id=WS_TEAM, members=(WS_BOT, READER))
    async with replay.session.ws_connect(f"{replay.sandbox.url}/api/v4/websocket") as socket:
        await socket.send_json(
            {"seq": 1, "action": "authentication_challenge", "data": {"token": replay.tokens["user"]}}
        )
        yield Reader(replay, socket)


async def call(replay: Replay, method: str, path: str, body: Any = None) -> Any:
    async with replay.session.request(
        method,
        f"{replay.sandbox.url}/api/v4/{path}",
        json=body,
        headers={"Authorization": f"Bearer {replay.tokens['bot']}"},
    ) as response:
        assert response.status in (200, 201), await response.text()
        return await response.json()


async def test_websocket_frames_as_recorded(reader: Reader) -> None:
    replay = reader.replay
    member = replay.store.channels[WS_CHANNEL].members[READER]
    await reader.expect("authentication_challenge as the first frame")

    post = (await call(replay, "POST", "posts", {"channel_id": WS_CHANNEL, "message": "status 1"}))["id"]
    await reader.expect("bot creates a post")
    counts = (member.unread, member.mention_count)
    await call(replay, "PUT", f"posts/{post}/patch", {"message": "status 2"})
    await reader.expect("bot edits it (patch): what a browser sees")
    await call(replay, "PUT", f"posts/{post}", {"id": post, "message": "status 3"})
    await reader.expect("bot edits it (PUT)")
    await call(replay, "PUT", f"posts/{post}/patch", {"message": "status 3"})
    await reader.expect("patch with unchanged content")
    text = "@all @channel @here @user-5e704110 status "
    await call(replay, "PUT", f"posts/{post}/patch", {"message": text + "4"})
    await reader.expect("edit adds @all @channel @here and a mention of the reader")
    assert (member.unread, member.mention_count) == counts, "an edit disturbs no one"
    await call(replay, "POST", "posts", {"channel_id": WS_CHANNEL, "message": text + "5"})
    await reader.expect("the same text as a new post, for comparison")
    assert (member.unread, member.mention_count) == (counts[0] + 1, counts[1] + 1)

    reaction = {"user_id": WS_BOT, "post_id": post, "emoji_name": "eyes"}
    await call(replay, "POST", "reactions", reaction)
    await reader.expect("reaction")
    await call(replay, "POST", f"posts/{post}/pin")
    await reader.expect("pin")
    await call(replay, "POST", "posts", {"channel_id": WS_CHANNEL, "message": "reply", "root_id": post})
    await reader.expect("a reply by the bot")
    await call(replay, "POST", "users/me/typing", {"channel_id": WS_CHANNEL})
    await reader.expect("typing by the bot")
    await call(replay, "DELETE", f"posts/{post}")
    await reader.expect("delete")

    direct = await call(replay, "POST", "channels/direct", [WS_BOT, READER])
    assert (await reader.frame())["event"] == "direct_added"
    message = {"channel_id": direct["id"], "message": "in the DM"}
    post = (await call(replay, "POST", "posts", message))["id"]
    await reader.expect("first DM of the bot")
    await call(replay, "PUT", f"posts/{post}/patch", {"message": "in the DM 2"})
    await reader.expect("edit in the DM")


async def test_websocket_mentions_are_found_where_recorded(reader: Reader) -> None:
    replay = reader.replay
    member = replay.store.channels[WS_CHANNEL].members[READER]
    await reader.expect("authentication_challenge as the first frame")
    steps = [step for step in recorded("websocket") if "mentions_added" in step]
    assert len(steps) > 20
    for step in steps:
        # The text of the one with neither recorded is in its note.
        highlight_off = "mentionHighlightDisabled" in step.get("props", {})
        message = step.get("message", "@all" if highlight_off else "")
        body = {"channel_id": WS_CHANNEL, "message": message, "props": step.get("props", {})}
        before = member.mention_count
        await call(replay, "POST", "posts", body)
        frame = await reader.frame()
        assert [frame["data"].get("mentions")] == step["event_mentions"], step["note"]
        assert member.mention_count - before == step["mentions_added"], step["note"]


async def test_websocket_without_authentication_is_closed(session: aiohttp.ClientSession) -> None:
    async with (
        Sandbox(settings=ServerSettings(websocket_auth_timeout_s=0.1)) as sandbox,
        session.ws_connect(f"{sandbox.url}/api/v4/websocket") as socket,
    ):
        message = await socket.receive(timeout=5)
        assert message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)


async def test_websocket_with_a_bad_token_is_closed_at_once(
    sandbox: Sandbox, session: aiohttp.ClientSession
) -> None:
    async with session.ws_connect(f"{sandbox.url}/api/v4/websocket") as socket:
        await socket.send_json({"seq": 1, "action": "authentication_challenge", "data": {"token": "wrong"}})
        message = await socket.receive(timeout=2)
        assert message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)


async def test_websocket_takes_the_token_from_the_handshake(replay: Replay) -> None:
    replay.actor("bot", WS_BOT)
    headers = {"Authorization": f"Bearer {replay.tokens['bot']}"}
    async with replay.session.ws_connect(f"{replay.sandbox.url}/api/v4/websocket", headers=headers) as socket:
        note = "websocket: Authorization header instead of a frame"
        step = next(step for step in recorded("websocket") if step["note"] == note)
        hello = await socket.receive_json(timeout=5)
        assert list(replay.tree_differences(step["received"][0], hello)) == []
        await socket.send_json({"seq": 1, "action": "ping"})
        pong = await socket.receive_json(timeout=5)
        assert (pong["status"], pong["seq_reply"], pong["data"]["text"]) == ("OK", 1, "pong")


async def test_websocket_refuses_a_foreign_origin(sandbox: Sandbox, session: aiohttp.ClientSession) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await session.ws_connect(f"{sandbox.url}/api/v4/websocket", origin="http://evil.example")
    assert refused.value.status == 403
    socket = await session.ws_connect(f"{sandbox.url}/api/v4/websocket", origin=sandbox.url)
    await socket.close()
