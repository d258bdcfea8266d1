"""The demo: a sandbox server, recorded sessions, and the real daemon between them.

Three recordings play side by side in three channels. A person's question and the agent's answer stand there
as OpenClaw would post them; the box between the two is the daemon's own work.
"""

import asyncio
import os
import re
import signal
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import click

from status_watcher.core.clip import clip
from status_watcher.core.prompts import Prompt
from status_watcher.core.states import OPEN_STATES
from status_watcher.core.transcript import AssistantLine, Said, Stop, UserLine, parse_line
from status_watcher.demo.captures import load_demo
from status_watcher.demo.player import Append, Cast, PlayOptions, Route, Step, Stores, play
from status_watcher.edge import lock
from status_watcher.sandbox import page
from status_watcher.sandbox.server import Sandbox
from status_watcher.sandbox.store import Channel, Post

PAGE_PORT = 18065
"""Away from Mattermost's 8065; if it is taken the system chooses another."""
BEFORE_PLAY_S = 3.0
READY_S = 20.0
SETTLE_S = 30.0
SHOWN_CHARS = 200
"""Of a message beside the boxes: the recorded filler text would push them off the page."""

_OPEN = tuple(f"[{state}]" for state in OPEN_STATES)
_SCRIPT_TAG = re.compile(r"\s*\[\[[\w-]+\]\]")


@dataclass(frozen=True, slots=True)
class Part:
    """One recording and the channel it plays in; `key` is the recorded root session's."""

    capture: str
    key: str
    channel: str
    title: str
    after_s: float
    """So that something new happens all the time, and the sub-agents when everybody looks."""


PARTS = (
    Part("subagents-two", "agent:main:spawn", "two-helpers", "Two helpers", 12.0),
    Part("compact-command", "agent:main:compact", "long-haul", "Long haul", 0.0),
    Part("tools", "agent:main:tools", "file-chores", "File chores", 4.0),
)


def main(*, once: bool, port: int | None, speed: float | None) -> int:
    """Play and serve until Ctrl+C or SIGTERM, or with `once` until all boxes have ended; then print them."""
    return asyncio.run(_demo(once=once, port=port, speed=speed or 1.0))


async def _demo(*, once: bool, port: int | None, speed: float) -> int:
    with tempfile.TemporaryDirectory(prefix="status-watcher-demo-") as scratch:
        sandbox = await _open_sandbox(port)
        showing = asyncio.create_task(_show(sandbox, Path(scratch), once=once, speed=speed))

        def end() -> None:
            if not showing.cancelling():  # a second signal must not cut short the daemon's own end
                showing.cancel()

        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, end)
        try:
            return await showing
        except asyncio.CancelledError:  # ours: the daemon has been stopped and the page may go
            return 0
        finally:
            await sandbox.stop()


async def _open_sandbox(port: int | None) -> Sandbox:
    sandbox = Sandbox(port=PAGE_PORT if port is None else port, extra_routes=page.routes)
    try:
        await sandbox.start()
    except OSError as error:
        if port is not None:
            raise click.ClickException(f"cannot serve the page on port {port}: {error.strerror}") from error
        sandbox = Sandbox(extra_routes=page.routes)
        await sandbox.start()
    return sandbox


async def _show(sandbox: Sandbox, scratch: Path, *, once: bool, speed: float) -> int:
    openclaw = scratch / "openclaw"
    (openclaw / "agents/main/sessions").mkdir(parents=True)
    agent = sandbox.store.add_user("openclaw", is_bot=True)
    members = (sandbox.bot.id, sandbox.person.id, agent.id)
    channels = [sandbox.store.add_channel(p.channel, display_name=p.title, members=members) for p in PARTS]
    click.echo(f"The page: {sandbox.url}/?view=split")
    daemon = await _start_daemon(sandbox, scratch, openclaw)
    try:
        await _follows(daemon, scratch / "state")
        if not once:
            click.echo("Recorded OpenClaw sessions start in a moment; Ctrl+C ends the demo.")
            await asyncio.sleep(BEFORE_PLAY_S)
        stores = Stores()
        async with asyncio.TaskGroup() as tasks:
            for part, channel in zip(PARTS, channels, strict=True):
                people = _People(sandbox, channel, agent.id)
                cast = Cast(routes={part.key: Route(channel.id)})
                options = PlayOptions(speed=speed)
                tasks.create_task(_play(part, openclaw, options, cast, stores, people), name=part.capture)
        settled = await _settled(sandbox, daemon)
        if not once:
            click.echo("That was all; the page stays until Ctrl+C.")
            await daemon.wait()
    finally:
        await _stop_daemon(daemon)
    for channel in channels:
        for box in _boxes(sandbox, channel):
            click.echo(f"\n--- {channel.display_name}\n{box.message}")
    if not settled:
        click.echo("the boxes did not settle", err=True)
        return 1
    return 0


async def _start_daemon(sandbox: Sandbox, scratch: Path, openclaw: Path) -> asyncio.subprocess.Process:
    env = {name: value for name, value in os.environ.items() if name in {"PATH", "LANG", "PYTHONPATH"}} | {
        "MM_URL": sandbox.url,
        "MM_TOKEN": sandbox.bot_token,
        "OPENCLAW_STATE_DIR": str(openclaw),
        "STATE_DIR": str(scratch / "state"),
        "PID_FILE": str(scratch / "status-watcher.pid"),
        "HEALTH_PORT": "0",
        "LOG_LEVEL": "warning",
        "NO_PROXY": "127.0.0.1",
    }
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "status_watcher",
        "run",
        env=env,
        stdin=asyncio.subprocess.DEVNULL,
        start_new_session=True,  # Ctrl+C is for us, who stop the daemon before its server
    )


async def _follows(daemon: asyncio.subprocess.Process, state_dir: Path) -> None:
    """Wait until the daemon follows: a turn that is over before that gets no box."""
    deadline_s = asyncio.get_running_loop().time() + READY_S
    while daemon.returncode is None and asyncio.get_running_loop().time() < deadline_s:
        match lock.holder(state_dir):
            case lock.Holder(lock.LockRecord(ready=True)):
                return
        await asyncio.sleep(0.05)


async def _stop_daemon(daemon: asyncio.subprocess.Process) -> None:
    if daemon.returncode is None:
        daemon.send_signal(signal.SIGTERM)
    await daemon.wait()


async def _play(
    part: Part, openclaw: Path, options: PlayOptions, cast: Cast, stores: Stores, people: "_People"
) -> None:
    await asyncio.sleep(part.after_s / options.speed)
    await play(load_demo(part.capture), openclaw, options, cast=cast, stores=stores, on_step=people.see)


class _People:
    """Posts what the person asks and what the agent answers, as the transcript of the root session has it."""

    def __init__(self, sandbox: Sandbox, channel: Channel, agent_id: str) -> None:
        self._sandbox = sandbox
        self._channel = channel
        self._agent_id = agent_id
        self._seen: set[str] = set()

    def see(self, step: Step) -> None:
        if not isinstance(step, Append):
            return
        for line in step.data.splitlines():
            match parse_line(line):
                case UserLine(prompt=Prompt.VISIBLE, text=text) as said if "[Subagent Context]" not in text:
                    self._post(self._sandbox.person.id, said.id, text)
                case AssistantLine(stop=Stop.FINAL) as said if not said.injected:
                    text = "".join(block.text for block in said.blocks if isinstance(block, Said))
                    if not text.startswith("child-report"):
                        self._post(self._agent_id, said.id, text)
                case _:
                    pass

    def _post(self, user_id: str, entry_id: str, text: str) -> None:
        if entry_id not in self._seen:
            self._seen.add(entry_id)
            text = clip(_SCRIPT_TAG.sub("", text), SHOWN_CHARS)
            self._sandbox.store.post_as(user_id, self._channel.id, text)


def _boxes(sandbox: Sandbox, channel: Channel) -> list[Post]:
    return [post for post in sandbox.store.posts_in(channel.id) if post.user_id == sandbox.bot.id]


async def _settled(sandbox: Sandbox, daemon: asyncio.subprocess.Process) -> bool:
    """Wait until every channel has boxes and none of them is open any more."""
    changed = asyncio.Event()
    unsubscribe = sandbox.store.subscribe(lambda _: changed.set())
    channels = [c for c in sandbox.store.channels.values() if c.id != sandbox.channel.id]
    try:
        async with asyncio.timeout(SETTLE_S):
            while daemon.returncode is None:
                boxes = [_boxes(sandbox, channel) for channel in channels]
                if all(boxes) and not any(p.message.startswith(_OPEN) for posts in boxes for p in posts):
                    return True
                changed.clear()
                await changed.wait()
    except TimeoutError:
        pass
    finally:
        unsubscribe()
    return False
