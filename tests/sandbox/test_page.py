"""The sandbox's page over real HTTP: what it serves, and what an open page is told."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from html.parser import HTMLParser
from importlib import resources
from typing import Any

import aiohttp
import pytest

from status_watcher.sandbox import page
from status_watcher.sandbox.page_stream import PageStream
from status_watcher.sandbox.records import Post, StoreEvent
from status_watcher.sandbox.server import Sandbox

DEADLINE_S = 10


class EventSource:
    """The events of one stream, as a browser would read them."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def next(self, wanted: str) -> Any:
        """The data of the next event of that name; others are passed over."""
        name = ""
        async with asyncio.timeout(DEADLINE_S):
            async for line in self._response.content:
                match line.decode().rstrip("\n").split(": ", 1):
                    case ["event", value]:
                        name = value
                    case ["data", value] if name == wanted:
                        return json.loads(value)
        raise EOFError


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(extra_routes=page.routes) as running:
        yield running


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    # Line by line, and a state may be a long line.
    async with aiohttp.ClientSession(read_bufsize=2**20) as session:
        yield session


@asynccontextmanager
async def opened(sandbox: Sandbox, client: aiohttp.ClientSession) -> AsyncIterator[EventSource]:
    async with client.get(f"{sandbox.url}/sandbox/events") as response:
        assert response.content_type == "text/event-stream"
        yield EventSource(response)


def say(sandbox: Sandbox, message: str, **more: Any) -> Post:
    return sandbox.store.create_post(sandbox.bot.id, sandbox.channel.id, message, **more)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not condition():
            await asyncio.sleep(0.01)


def listeners(sandbox: Sandbox) -> int:
    return len(sandbox.store._listeners)


class TestPage:
    async def test_the_page_needs_nothing_from_elsewhere(self, sandbox, client):
        async with client.get(sandbox.url) as response:
            html = await response.text()
            assert response.content_type == "text/html"
            assert response.headers["Content-Security-Policy"].startswith("default-src 'none'")
        addresses = re.findall(r'(?:src|href)="([^"]+)"', html)
        assert {a for a in addresses if not a.startswith("?")} == {
            "/sandbox/static/icon.svg",
            "/sandbox/static/page.css",
            "/sandbox/static/page.js",
        }
        for address in addresses:
            async with client.get(f"{sandbox.url}{address}") as response:
                assert response.status == 200

    def test_no_asset_names_another_host(self):
        for file in (resources.files("status_watcher.sandbox") / "static").iterdir():
            text = file.read_text().replace("http://www.w3.org/2000/svg", "")
            assert not re.search(
                r"(?:https?:)?//[a-z]", re.sub(r"^\s*//.*$|// .*$", "", text, flags=re.MULTILINE)
            )

    async def test_state_has_every_channel_and_its_posts_oldest_first(self, sandbox, client):
        store = sandbox.store
        other = store.add_channel("other", display_name="Other", members=[sandbox.bot.id])
        direct = store.direct_channel(sandbox.bot.id, sandbox.person.id)
        root = say(sandbox, "first")
        reply = say(sandbox, "second", root_id=root.id)
        store.delete_post(say(sandbox, "gone").id, sandbox.bot.id)
        async with client.get(f"{sandbox.url}/sandbox/state") as response:
            state = await response.json()
        assert [(c["name"], c["label"], c["type"]) for c in state["channels"]] == [
            ("town-square", "Town Square", "O"),
            ("other", "Other", "O"),
            (direct.name, "person", "D"),
        ]
        assert [(p["id"], p["root_id"]) for p in state["posts"]] == [(root.id, ""), (reply.id, root.id)]
        assert all(p["channel_id"] != other.id for p in state["posts"])

    async def test_a_post_shows_author_badge_time_and_text(self, sandbox, client):
        say(sandbox, "**[ACTIVE]** main @person")
        sandbox.store.post_as(sandbox.person.id, sandbox.channel.id, "hello")
        async with client.get(f"{sandbox.url}/sandbox/state") as response:
            of_bot, of_person = (post["html"] for post in (await response.json())["posts"])
        assert "status-bot" in of_bot
        assert 'class="badge">BOT<' in of_bot
        assert "<strong>[ACTIVE]</strong>" in of_bot
        assert 'data-mention="person"' in of_bot
        assert re.search(r'<time datetime="\d{4}-\d\d-\d\dT', of_bot)
        assert "BOT" not in of_person

    async def test_edited_is_said_once_the_text_has_changed_and_not_for_a_pin(self, sandbox, client):
        post = say(sandbox, "one")
        async with opened(sandbox, client) as events:
            await events.next("state")
            sandbox.store.edit_post(post.id, is_pinned=True)
            assert "(edited)" not in (await events.next("post"))["html"]
            sandbox.store.edit_post(post.id, message="two")
            assert "(edited)" in (await events.next("post"))["html"]

    async def test_nothing_in_a_post_gets_out_of_its_place(self, sandbox, client):
        hostile = "</article><script>alert(1)</script><img src=x>"
        attachment = {
            "title": hostile,
            "text": hostile,
            "color": "red;background:url(x)",
            "actions": [{"name": hostile}],
        }
        say(sandbox, hostile, props={"attachments": [attachment], "override_username": hostile})
        async with client.get(f"{sandbox.url}/sandbox/state") as response:
            html = (await response.json())["posts"][0]["html"]
        tags = []
        parser = HTMLParser()
        parser.handle_starttag = lambda tag, _: tags.append(tag)  # type: ignore[method-assign]  # a collector in one line
        parser.feed(html)
        assert not {"script", "img"} & set(tags)
        assert "url(x)" not in html

    async def test_the_page_is_no_request_of_the_api(self, sandbox, client):
        async with opened(sandbox, client) as events:
            await events.next("state")
        assert list(sandbox.requests) == []


class TestEvents:
    async def test_a_stream_begins_with_the_whole_state(self, sandbox, client):
        post = say(sandbox, "before")
        async with opened(sandbox, client) as events:
            assert [p["id"] for p in (await events.next("state"))["posts"]] == [post.id]

    async def test_posts_edits_and_deletions_arrive_as_they_happen(self, sandbox, client):
        async with opened(sandbox, client) as events:
            await events.next("state")
            root = say(sandbox, "> one")
            told = await events.next("post")
            assert (told["id"], told["root_id"], told["channel_id"]) == (root.id, "", sandbox.channel.id)
            assert "<blockquote>" in told["html"]
            reply = say(sandbox, "in the thread", root_id=root.id)
            assert (await events.next("post"))["root_id"] == root.id
            sandbox.store.edit_post(reply.id, message="changed")
            assert "changed" in (await events.next("post"))["html"]
            sandbox.store.delete_post(root.id, sandbox.bot.id)
            assert await events.next("gone") == {"id": root.id}

    async def test_a_new_channel_and_typing_arrive(self, sandbox, client):
        async with opened(sandbox, client) as events:
            await events.next("state")
            sandbox.store.add_channel("fresh", display_name="Fresh")
            assert "fresh" in [channel["name"] for channel in await events.next("channels")]
            sandbox.store.typing(sandbox.person.id, sandbox.channel.id)
            assert await events.next("typing") == {"channel_id": sandbox.channel.id, "username": "person"}

    async def test_a_burst_of_edits_reaches_a_page_as_its_newest_text(self, sandbox, client):
        post = say(sandbox, "0")
        async with opened(sandbox, client) as events:
            await events.next("state")
            for n in range(1, 500):
                sandbox.store.edit_post(post.id, message=f"edit {n}")
            assert "edit 499" in (await events.next("post"))["html"]

    async def test_every_open_page_is_told(self, sandbox, client):
        async with opened(sandbox, client) as one, opened(sandbox, client) as two:
            await one.next("state")
            await two.next("state")
            post = say(sandbox, "hello")
            assert (await one.next("post"))["id"] == (await two.next("post"))["id"] == post.id

    async def test_a_closed_page_leaves_no_listener(self, sandbox, client):
        before = listeners(sandbox)
        async with opened(sandbox, client) as events:
            await events.next("state")
            assert listeners(sandbox) == before + 1
        await until(lambda: listeners(sandbox) == before)

    async def test_stopping_the_server_does_not_wait_for_an_open_page(self, client):
        sandbox = Sandbox(extra_routes=page.routes)
        await sandbox.start()
        before = listeners(sandbox)
        async with opened(sandbox, client) as events:
            await events.next("state")
            async with asyncio.timeout(5):
                await sandbox.stop()
                await until(lambda: listeners(sandbox) == before)

    async def test_after_a_restart_a_new_stream_has_what_was_missed(self, sandbox, client):
        async with opened(sandbox, client) as events:
            await events.next("state")
            await sandbox.stop()
            missed = say(sandbox, "while away")
            await sandbox.start()
            with pytest.raises((aiohttp.ClientError, EOFError)):
                await events.next("post")
        async with opened(sandbox, client) as events:
            assert [p["id"] for p in (await events.next("state"))["posts"]] == [missed.id]


class TestPageStream:
    @staticmethod
    def event(n: int) -> StoreEvent:
        return StoreEvent("posted", "c", Post(str(n), "c", "u", "", "", "", {}, 1, 1))

    async def test_one_entry_a_post_however_often_it_changes(self):
        stream = PageStream()
        for _ in range(5000):
            stream.offer(self.event(1))
            stream.offer(self.event(2))
        taken = await stream.take(timeout_s=0)
        assert taken is not None
        assert [event.post.id for event in taken if event.post] == ["1", "2"]

    async def test_a_page_too_far_behind_is_let_go_and_holds_nothing(self):
        stream = PageStream()
        for n in range(5000):
            stream.offer(self.event(n))
        assert await stream.take(timeout_s=0) is None
        assert stream._pending == {}

    async def test_quiet_is_an_empty_answer_and_not_the_end(self):
        assert await PageStream().take(timeout_s=0) == []
