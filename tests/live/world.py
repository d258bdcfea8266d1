"""A live run in one place: sandbox, model, gateway, and the daemon that the hook has started."""

import json
import os
import re
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp
from live.gateway import COMMAND, Gateway, eventually, free_port
from live.installed import Installed, Release
from live.model import ScriptedModel

from status_watcher.sandbox.records import Channel, ChannelType, Edit, Post
from status_watcher.sandbox.server import Sandbox
from status_watcher.sandbox.traffic import RecordedRequest

_TAIL_CHARS = 8_000
_ID = re.compile(r"\b[a-z0-9]{26}\b")


class World:
    """`person`, `claw` (the gateway's bot) and our bot in one sandbox; each test takes channels of its own.

    The daemon is never started from here: that is the hook's business.
    """

    def __init__(self, installed: Installed, root: Path, sandbox: Sandbox, model: ScriptedModel) -> None:
        self.sandbox = sandbox
        self.model = model
        self.claw = sandbox.store.add_user("clawbot", is_bot=True)
        self.turns: Counter[str] = Counter()
        """Per channel id: how many turns that deserve a box `box` has been asked for."""
        self.state_dir = root / "state"
        self._health_port = free_port()
        self.gateway = Gateway(installed, root, sandbox, model, sandbox.store.issue_token(self.claw.id))
        self.gateway.install_hook(
            MM_URL=sandbox.url,
            MM_TOKEN=sandbox.bot_token,
            STATE_DIR=str(self.state_dir),
            PID_FILE=str(root / "watcher.pid"),
            HEALTH_PORT=str(self._health_port),
        )

    @property
    def release(self) -> Release:
        return self.gateway.installed.release

    # People

    def channel(self, name: str, type_: ChannelType = "O") -> Channel:
        """A new channel with everyone in it."""
        everyone = (self.sandbox.person.id, self.claw.id, self.sandbox.bot.id)
        return self.sandbox.store.add_channel(name, type=type_, members=everyone)

    def say(self, channel: Channel, text: str, root: Post | None = None) -> Post:
        """The person posts."""
        store = self.sandbox.store
        return store.post_as(
            self.sandbox.person.id, channel.id, text, root.root_id or root.id if root else ""
        )

    # What stands in the channels

    def boxes(self, channel: Channel | None = None) -> list[Post]:
        """Our posts, oldest first; those of one channel if it is named."""
        return self._posts(self.sandbox.bot.id, channel)

    def answers(self, channel: Channel | None = None) -> list[Post]:
        """The gateway's posts, oldest first."""
        return self._posts(self.claw.id, channel)

    def _posts(self, user_id: str, channel: Channel | None) -> list[Post]:
        posts = self.sandbox.store.posts.values()
        named = channel.id if channel else ""
        return [p for p in posts if p.user_id == user_id and not p.delete_at and named in ("", p.channel_id)]

    def edits(self, post: Post) -> list[Edit]:
        return [edit for edit in self.sandbox.store.edits if edit.post_id == post.id]

    async def box(
        self, channel: Channel, word: str, *parts: str, nth: int = 1, within_s: float = 30.0
    ) -> Post:
        """The channel's newest box, its `nth`, once it begins with `[word]` and has these parts."""
        self.turns[channel.id] = nth

        def look() -> Post | None:
            found = self.boxes(channel)
            assert len(found) <= nth, "more boxes than turns:\n" + "\n\n".join(p.message for p in found)
            if len(found) < nth or not found[-1].message.startswith(f"[{word}]"):
                return None
            return found[-1] if all(part in found[-1].message for part in parts) else None

        return await eventually(
            look, within_s, f"box {nth} of #{channel.name} says [{word}] {' '.join(parts)}"
        )

    def calls(self) -> list[RecordedRequest]:
        """What anyone but our daemon has asked of the sandbox, oldest first."""
        return [request for request in self.sandbox.requests if request.user_id != self.sandbox.bot.id]

    def calls_in_brief(self) -> str:
        """Those calls as kinds with how often they came, and the frames on the websocket, in one line."""
        kinds = Counter(
            f"{call.method} {_ID.sub('{id}', call.path.partition('?')[0])}" for call in self.calls()
        )
        frames = Counter(f"frame {frame.action}" for frame in self.sandbox.events.received)
        return ", ".join(f"{kind} x{count}" for kind, count in (kinds + frames).items())

    # The daemon

    async def health(self) -> dict[str, Any] | None:
        """What `/health` says; None if nobody answers."""
        try:
            async with (
                aiohttp.ClientSession() as client,
                client.get(f"http://127.0.0.1:{self._health_port}/health") as response,
            ):
                return dict(await response.json())
        except aiohttp.ClientError:
            return None

    def status(self) -> dict[str, Any]:
        """What `status-watcher status --json` says about the daemon of this run."""
        ran = self._command("status", "--json")
        return dict(json.loads(ran.stdout))

    def stop_daemon(self) -> int:
        return self._command("stop").returncode

    def _command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *arguments],
            env=os.environ | {"STATE_DIR": str(self.state_dir)},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    async def healthy(self, within_s: float = 20.0) -> dict[str, Any]:
        """The answer of `/health` once there is one."""
        deadline_s = time.monotonic() + within_s
        while (answer := await self.health()) is None:
            assert time.monotonic() < deadline_s, "the hook started no daemon that answers"
        return answer

    # For a person who wants to know why

    def report(self, *, whole: bool = False) -> list[tuple[str, str]]:
        """Titles and texts: what to print when a test has failed, or all there is."""
        names = {user.id: user.username for user in self.sandbox.store.users.values()}
        channels = self.sandbox.store.channels
        posts = [
            f"#{channels[p.channel_id].name or 'direct'} {names[p.user_id]}"
            f"{' in thread' if p.root_id else ''}{' DELETED' if p.delete_at else ''} {p.type}\n{p.message}\n"
            for p in self.sandbox.store.posts.values()
        ]
        asked = [f"{a.at_monotonic_s:.1f} [[{a.script}]] step {a.step}" for a in self.model.asked]
        texts = [
            ("posts", "\n".join(posts)),
            ("asked of the model", "\n".join(asked)),
            ("gateway log", _text(self.gateway.log)),
            ("daemon log", _text(self.state_dir / "daemon.log")),
        ]
        return texts if whole else [(title, text[-_TAIL_CHARS:]) for title, text in texts]


def _text(path: Path) -> str:
    return path.read_text(errors="replace") if path.exists() else f"no {path.name}"
