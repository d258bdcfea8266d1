import asyncio
import gzip
import socket
import ssl
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

import orjson
import pytest
from publishing import until

from status_watcher.core.outcome import (
    Denied,
    Gone,
    Ok,
    Reason,
    Rejected,
    RetryAfter,
    TokenRefused,
    Unavailable,
)
from status_watcher.core.post import Marks
from status_watcher.edge.mattermost import CONNECTIONS, MattermostClient
from status_watcher.model import ChannelId, ChannelTarget, PostId, UserId
from status_watcher.proxies import environment_proxy
from status_watcher.sandbox.faults import Fault
from status_watcher.sandbox.server import Sandbox

TOKEN = "sekrit-token-0123456789"
MARKS = Marks("nonce-1", "box-1")
QUICK_S = 0.3


@pytest.fixture
async def sandbox():
    async with Sandbox() as running:
        yield running


@asynccontextmanager
async def client_of(sandbox, **changes):
    options = {"version": "1.2.3", "post_type": "custom_status_watcher"} | changes
    token = options.pop("token", sandbox.bot_token)
    async with MattermostClient(sandbox.url, token, **options) as client:
        yield client


@pytest.fixture
async def client(sandbox):
    async with client_of(sandbox) as made:
        yield made


def in_channel(sandbox, root=""):
    return ChannelTarget(ChannelId(sandbox.channel.id), PostId(root))


async def created(client, sandbox, text="hello"):
    outcome = await client.create(in_channel(sandbox), text, MARKS, 5)
    assert isinstance(outcome, Ok), outcome
    return outcome.value


async def test_create_carries_type_thread_and_marks(client, sandbox):
    root = sandbox.store.post_as(sandbox.person.id, sandbox.channel.id, "please work")
    outcome = await client.create(in_channel(sandbox, root.id), "[ACTIVE] é 🦊", MARKS, 5)
    assert isinstance(outcome, Ok)
    post = sandbox.store.posts[outcome.value.post_id]
    assert (post.message, post.root_id, post.type) == ("[ACTIVE] é 🦊", root.id, "custom_status_watcher")
    assert post.props["status_watcher"] == {"nonce": "nonce-1", "box": "box-1", "v": 1}
    assert outcome.value.marks == MARKS
    (request,) = [r for r in sandbox.requests if r.method == "POST"]
    assert orjson.loads(request.body)["pending_post_id"] == "nonce-1"
    assert "🦊".encode() in request.body


async def test_empty_post_type_makes_a_plain_post(sandbox):
    async with client_of(sandbox, post_type="") as client:
        post = await created(client, sandbox)
    assert sandbox.store.posts[post.post_id].type == ""
    assert b'"type"' not in sandbox.requests[-1].body


async def test_patch_sends_the_message_alone(client, sandbox):
    post = await created(client, sandbox)
    assert await client.patch(post.post_id, "newer", 5) == Ok(None)
    assert orjson.loads(sandbox.requests[-1].body) == {"message": "newer"}
    assert sandbox.store.posts[post.post_id].props["status_watcher"]["nonce"] == "nonce-1"


async def test_me_direct_channel_get_delete_and_page(client, sandbox):
    me = await client.me(5)
    assert me == Ok(sandbox.bot.id)
    direct = await client.direct_channel(UserId(sandbox.bot.id), UserId(sandbox.person.id), 5)
    assert isinstance(direct, Ok)
    assert sandbox.store.channels[direct.value].type == "D"
    post = await created(client, sandbox)
    await client.patch(post.post_id, "second version", 5)
    shown = await client.get(post.post_id, 5)
    assert isinstance(shown, Ok)
    assert (shown.value.text, shown.value.marks) == ("second version", MARKS)
    page = await client.page(ChannelId(sandbox.channel.id), 0, 5)
    assert isinstance(page, Ok)
    assert [(each.post_id, each.text) for each in page.value] == [(post.post_id, "second version")]
    assert await client.page(ChannelId(sandbox.channel.id), 1, 5) == Ok(())
    assert await client.delete(post.post_id, 5) == Ok(None)
    assert await client.get(post.post_id, 5) == Gone()


async def test_refusals_of_the_server_are_told_apart(client, sandbox):
    denied = Denied("api.context.permissions.app_error")
    nowhere = ChannelTarget(ChannelId("z" * 26), PostId(""))
    assert await client.create(nowhere, "x", MARKS, 5) == denied
    assert await client.patch(PostId("z" * 26), "x", 5) == denied
    too_long = await client.create(in_channel(sandbox), "x" * 16_384, MARKS, 5)
    assert too_long == Rejected(400, "model.post.is_valid.msg.app_error")
    assert too_long.too_long
    sandbox.store.revoke_token(sandbox.bot_token)
    assert await client.me(5) == TokenRefused()


async def test_no_outcome_or_error_holds_the_token(sandbox, capfd):
    sandbox.configure(enable_developer=True)  # then the server itself puts the token into the error
    async with client_of(sandbox, token=TOKEN) as client:
        outcome = await client.me(5)
    await sandbox.pause()
    async with client_of(sandbox, token=TOKEN) as client:
        refused = await client.me(5)
        assert TOKEN not in f"{outcome!r} {refused!r} {client!r}"
    assert TOKEN not in "".join(capfd.readouterr())


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=200, html=True),
        Fault(status=200),
        Fault(status=204),
        Fault(status=302, html=True, headers={"Location": "http://127.0.0.1:1/login"}),
        Fault(status=404, html=True),
        Fault(status=403, html=True),
        Fault(status=200, body="[]"),
        Fault(status=200, body='"text"'),
        Fault(status=200, body="{}"),
        Fault(status=200, body='{"id": 5}'),
    ],
)
async def test_M12_answers_that_are_not_mattermosts_are_misrouted(client, sandbox, fault):
    sandbox.faults.add(fault)
    for outcome in (await client.me(5), await client.get(PostId("p" * 26), 5)):
        assert isinstance(outcome, Unavailable)
        assert outcome.reason is Reason.MISROUTED


async def test_M12_body_is_read_no_further_than_64_kilobytes(client, sandbox):
    sandbox.faults.add(Fault(status=502, body=b"x" * 50_000_000, trickle_bytes_per_s=4_000_000.0))
    async with asyncio.timeout(3):
        outcome = await client.me(10)
    assert outcome == Unavailable(Reason.SERVER_ERROR, 502)


async def test_M12_decompressed_bomb_is_read_no_further_than_its_limit(client, sandbox):
    bomb = gzip.compress(b"[" * 200_000_000)
    sandbox.faults.add(Fault(status=503, body=bomb, headers={"Content-Encoding": "gzip"}))
    async with asyncio.timeout(3):
        assert isinstance(await client.me(10), Unavailable)


async def test_M5_pause_of_a_429_is_read(client, sandbox):
    sandbox.faults.add(Fault(status=429, headers={"Retry-After": "7"}, body="limit exceeded\n"))
    assert await client.me(5) == RetryAfter(7.0)


async def test_M9_server_that_never_answers_is_a_timeout(client, sandbox):
    sandbox.faults.add(Fault(never_answer=True))
    assert await client.me(QUICK_S) == Unavailable(Reason.TIMEOUT)


async def test_M9_body_that_trickles_is_a_timeout(client, sandbox):
    sandbox.faults.add(Fault(status=200, body=b'{"id": "' + b"x" * 900, trickle_bytes_per_s=10.0))
    assert await client.me(QUICK_S) == Unavailable(Reason.TIMEOUT)


async def test_M13_connection_refused(sandbox):
    await sandbox.pause()
    async with client_of(sandbox) as client:
        assert await client.me(5) == Unavailable(Reason.REFUSED)


async def test_M13_unknown_host():
    async with MattermostClient("http://host.invalid", TOKEN, version="0", post_type="") as client:
        assert await client.me(5) == Unavailable(Reason.DNS)


async def test_M13_tls_error(sandbox):
    https = sandbox.url.replace("http://", "https://")
    async with MattermostClient(https, TOKEN, version="0", post_type="") as client:
        assert await client.me(5) == Unavailable(Reason.TLS)


async def test_M13_no_connection_in_time(monkeypatch):
    monkeypatch.setattr("status_watcher.edge.mattermost._CONNECT_S", 0.2)
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        port = deaf.getsockname()[1]
        fillers = []
        for _ in range(3):  # fills the backlog, so that no further handshake is answered
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
            fillers.append(filler)
        async with MattermostClient(f"http://127.0.0.1:{port}", TOKEN, version="0", post_type="") as client:
            assert await client.me(2) == Unavailable(Reason.CONNECT_TIMEOUT)
        for filler in fillers:
            filler.close()


async def test_M13_reset_in_the_middle_of_the_body():
    async def cut(_, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{")
        await writer.drain()
        writer.transport.abort()

    server = await asyncio.start_server(cut, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with MattermostClient(url, TOKEN, version="0", post_type="") as client:
            assert await client.me(5) == Unavailable(Reason.DISCONNECTED)


async def test_edit_whose_answer_was_lost_is_not_sent_a_second_time(client, sandbox):
    post = await created(client, sandbox)
    sandbox.faults.add(Fault(match="PUT", drop_after_commit=True, times=1))
    assert await client.patch(post.post_id, "newer", 5) == Unavailable(Reason.DISCONNECTED)
    assert [edit.message for edit in sandbox.store.edits] == ["newer"]


async def test_M15_cancelled_requests_leak_no_connection(client, sandbox):
    hung = sandbox.faults.add(Fault(never_answer=True))
    for number in range(CONNECTIONS * 2):
        asking = asyncio.ensure_future(client.me(30))
        await until(lambda number=number: len(sandbox.requests) > number)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
    sandbox.faults.remove(hung)
    answers = await asyncio.gather(*(client.me(5) for _ in range(CONNECTIONS)))
    assert answers == [Ok(sandbox.bot.id)] * CONNECTIONS


async def test_one_connection_is_kept_alive_over_errors_and_edits(client, sandbox):
    post = await created(client, sandbox)
    for number in range(5):
        await client.patch(post.post_id, f"text {number}", 5)
        await client.patch(PostId("z" * 26), "x", 5)
        await client.page(ChannelId(sandbox.channel.id), 0, 5)
    assert sandbox.connections == 1


async def test_netrc_does_not_displace_the_token(sandbox, tmp_path, monkeypatch):
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    async with client_of(sandbox) as client:
        assert await client.me(5) == Ok(sandbox.bot.id)


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_proxy_is_given_its_login_and_never_the_token(sandbox, scheme):
    seen = []

    async def proxy(reader, writer):
        seen.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(proxy, "127.0.0.1", 0)
    async with server:
        address = f"http://user:pass@127.0.0.1:{server.sockets[0].getsockname()[1]}"
        url = sandbox.url.replace("http:", f"{scheme}:")
        async with MattermostClient(url, TOKEN, version="0", post_type="", proxy=address) as client:
            outcome = await client.me(5)
    expected = Unavailable(Reason.PROXY) if scheme == "https" else Unavailable(Reason.SERVER_ERROR, 502)
    assert outcome == expected
    assert outcome.counts
    (request,) = seen
    assert "Proxy-Authorization: Basic dXNlcjpwYXNz\r\n" in request
    if scheme == "https":
        assert request.startswith("CONNECT ")
        assert TOKEN not in request
    else:
        assert request.startswith(f"GET {url}/api/v4/users/me ")
        assert request.count(TOKEN) == 1


async def _forwarded(reader, writer):
    """One connection by way of a proxy that does its work: the request goes on, the answer comes back."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    method, url, _ = head.split(" ", 2)
    there = urlsplit(url)
    asked_reader, asked_writer = await asyncio.open_connection(there.hostname, there.port)
    head = head.replace(f"{method} {url}", f"{method} {there.path}", 1)
    asked_writer.write(head.encode())

    async def pass_on(source, sink):
        while chunk := await source.read(65_536):
            sink.write(chunk)
            await sink.drain()

    passing = asyncio.create_task(pass_on(reader, asked_writer))
    with suppress(ConnectionError):
        await pass_on(asked_reader, writer)
    passing.cancel()
    for one in (asked_writer, writer):
        one.close()


async def test_posts_are_made_and_edited_by_way_of_the_environments_proxy(sandbox, monkeypatch):
    seen = []

    async def proxy(reader, writer):
        seen.append(1)
        await _forwarded(reader, writer)

    server = await asyncio.start_server(proxy, "127.0.0.1", 0)
    async with server:
        for name in ("http_proxy", "no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("HTTP_PROXY", f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
        by = environment_proxy(sandbox.url)
        async with MattermostClient(
            sandbox.url, sandbox.bot_token, version="0", post_type="", proxy=by
        ) as client:
            post = await created(client, sandbox)
            assert await client.patch(post.post_id, "newer", 5) == Ok(None)
    assert seen
    assert sandbox.store.posts[post.post_id].message == "newer"


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_proxy_that_is_away_is_called_so(sandbox, scheme):
    url = sandbox.url.replace("http:", f"{scheme}:")
    with socket.socket() as bound:  # and nobody listens
        bound.bind(("127.0.0.1", 0))
        away = f"http://127.0.0.1:{bound.getsockname()[1]}"
        async with MattermostClient(url, TOKEN, version="0", post_type="", proxy=away) as client:
            outcome = await client.me(5)
    assert outcome == Unavailable(Reason.PROXY)
    assert outcome.counts
    assert not outcome.may_have_happened


def test_ssl_cert_file_is_what_the_default_context_reads():
    assert ssl.get_default_verify_paths().openssl_cafile_env == "SSL_CERT_FILE"
