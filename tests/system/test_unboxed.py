"""What the real daemon lists and tells of sessions that have no box of their own."""

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import orjson
from daemon import Daemon, box_says, boxes, eventually
from gateway import Gateway, Session

WITHIN_S = 15.0


async def command(daemon: Daemon, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = {"PATH": os.environ.get("PATH", ""), "HOME": daemon.settings["HOME"]}
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "status_watcher", *arguments],
        env=env | {"STATE_DIR": str(daemon.state_dir)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def spawn(parent: Session, label: str) -> Session:
    """The parent starts a sub-agent, whose store entry and first lines are there."""
    kid = Session(
        parent.gateway,
        f"agent:{parent.gateway.agent}:subagent:{parent.id}",
        {"spawnedBy": parent.key, "label": label},
    )
    call_id = parent.call("sessions_spawn", task="do it", label=label)
    result = {
        "role": "toolResult",
        "toolCallId": call_id,
        "toolName": "sessions_spawn",
        "content": [{"type": "text", "text": "accepted"}],
        "details": {"status": "accepted", "childSessionKey": kid.key, "mode": "run"},
        "isError": False,
        "timestamp": time.time_ns() // 1_000_000,
    }
    parent.raw(parent.line({"type": "message", "message": result}))
    kid.begin("Do it")
    return kid


async def test_sessions_and_stuck_know_of_turns_that_have_no_box_and_keep_to_who_may_know(
    make_daemon, sandbox, tmp_path: Path
):
    policy = tmp_path / "policy.toml"
    policy.write_text('[[rule]]\nlevel = "off"\n')
    daemon = await make_daemon(POLICY_FILE=str(policy))
    secret = sandbox.store.add_channel("secret", members=(sandbox.bot.id, sandbox.person.id))
    secret.type = "P"
    await daemon.start()
    where = {
        "public": {"channel_id": sandbox.channel.id},
        "private": {"channel_id": secret.id},
        "direct": {"user_id": sandbox.person.id},
        "nowhere": {},
    }
    sessions = {name: Gateway(daemon.openclaw, name).session(**place) for name, place in where.items()}
    for session in sessions.values():
        session.begin()

    def told(rows: list[dict[str, Any]]) -> bool:
        return len(rows) == len(where) and any(row["model"] for row in rows)

    listed = {row["agent"]: row for row in await daemon.sessions_when(told, WITHIN_S)}
    assert listed.keys() == where.keys()
    public = listed.pop("public")
    assert (public["key"], public["label"], public["kind"]) == (sessions["public"].key, "public", "channel")
    assert (public["state"], public["post"], public["redacted"]) == ("ACTIVE", "", False)
    assert public["model"] == "m"
    assert {agent: row["kind"] for agent, row in listed.items()} == {
        "private": "channel",
        "direct": "dm",
        "nowhere": "explicit",
    }
    for row in listed.values():
        assert (row["key"], row["label"], row["model"], row["tokens"], row["post"]) == ("", "", "", 0, "")
        assert row["redacted"]

    stuck = await command(daemon, "stuck", "--threshold-min", "0", "--json")
    assert stuck.returncode == 1
    assert {row["agent"] for row in orjson.loads(stuck.stdout)} == where.keys()
    words = await command(daemon, "sessions")
    assert words.stdout.count("(dm, private)") == 1
    assert sessions["direct"].key not in words.stdout
    assert boxes(sandbox) == []


async def test_stuck_sub_agent_is_listed_with_its_parents_box_and_its_parent_is_not(make_daemon, sandbox):
    daemon = await make_daemon()
    parent = Gateway(daemon.openclaw).session(sandbox.channel.id)
    await daemon.start()
    parent.store(status="running")
    parent.ask("Look after it")
    spawn(parent, "helper")
    parent.answer("It is at work.")
    box = await eventually(box_says(sandbox, "WAITING"), WITHIN_S)
    listed = await command(daemon, "sessions", "--json")
    found = {row["label"]: row for row in orjson.loads(listed.stdout)["sessions"]}
    assert {label: row["waits_for"] for label, row in found.items()} == {"main": 1, "helper": 0}
    assert {row["post"] for row in found.values()} == {f"{sandbox.url}/_redirect/pl/{box.id}"}
    assert found["helper"]["kind"] == "subagent"
    stuck = await command(daemon, "stuck", "--threshold-min", "0")
    assert (stuck.returncode, stuck.stdout.count("\n")) == (1, 1)
    assert stuck.stdout.startswith("[ACTIVE] helper | ")
    assert stuck.stdout.endswith(f"/{box.id}\n")
