"""What the real daemon says of a turn that waits or has stalled, in its box, in the thread and to `stuck`."""

import asyncio
import json
import os
import re
import subprocess
import sys
import time

import orjson
from daemon import Daemon, boxes, during, eventually
from databases import DATA, ApprovalsWriter
from gateway import Gateway
from recorded_rows import ApprovalRow, load

from status_watcher.edge.gateway_notice import DIRECTORY
from status_watcher.edge.lock import pid_namespace
from status_watcher.sandbox.server import Sandbox
from status_watcher.sandbox.store import Post

SHOWN_WITHIN_S = 15.0


def command(daemon: Daemon, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = {"PATH": os.environ.get("PATH", ""), "HOME": daemon.settings["HOME"]}
    return subprocess.run(
        [sys.executable, "-m", "status_watcher", *arguments],
        env=env | {"STATE_DIR": str(daemon.state_dir)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def the_box(sandbox: Sandbox) -> Post | None:
    return next((post for post in boxes(sandbox) if not post.root_id), None)


def says(sandbox: Sandbox, word: str, *parts: str):
    def look() -> Post | None:
        box = the_box(sandbox)
        said = box is not None and box.message.startswith(f"[{word}]")
        return box if said and all(part in box.message for part in parts) else None

    return look


async def test_a_stall_is_in_the_box_once_in_the_thread_and_a_matter_for_stuck(make_daemon, sandbox: Sandbox):
    daemon = await make_daemon(STALL_TOOLS="exec=2", STALL_NOTIFY="anna")
    session = Gateway(daemon.openclaw).session(sandbox.channel.id)
    assert command(daemon, "stuck").returncode == 3
    await daemon.start()
    silent = await asyncio.to_thread(command, daemon, "stuck", "--threshold-min", "0")
    assert (silent.returncode, silent.stdout, silent.stderr) == (0, "", "")

    call = session.begin(command="sleep 600")
    box = await eventually(says(sandbox, "STALLED", "exec running"), SHOWN_WITHIN_S)
    reply = await eventually(lambda: next((p for p in boxes(sandbox) if p.root_id), None), SHOWN_WITHIN_S)
    assert reply.root_id == box.id
    assert reply.message.startswith("@anna [STALLED] main | ")
    listed = await asyncio.to_thread(command, daemon, "stuck", "--threshold-min", "0")
    assert (listed.returncode, listed.stderr) == (1, "")
    assert listed.stdout.startswith("[STALLED] ")
    assert listed.stdout.count("\n") == 1
    in_json = await asyncio.to_thread(command, daemon, "stuck", "--threshold-min", "0", "--json")
    assert in_json.returncode == 1
    assert [row["state"] for row in orjson.loads(in_json.stdout)] == ["STALLED"]
    by_default = await asyncio.to_thread(command, daemon, "stuck")
    assert (by_default.returncode, by_default.stdout) == (0, ""), "not for a quarter of an hour yet"

    await daemon.kill()
    await daemon.start()
    session.result(call)
    await eventually(says(sandbox, "ACTIVE", "thinking"), SHOWN_WITHIN_S)
    over = re.compile(r"Working again after a stall of \d+s: main")
    await eventually(lambda: over.fullmatch(sandbox.store.posts[reply.id].message), SHOWN_WITHIN_S)
    call = session.call("exec", command="sleep 601")
    await eventually(says(sandbox, "STALLED"), SHOWN_WITHIN_S)
    await during(2, lambda: len(boxes(sandbox)) == 2, "it is told once, also across a restart")
    session.finish(call)
    await eventually(says(sandbox, "DONE"), SHOWN_WITHIN_S)


async def test_a_call_waits_for_a_person_while_the_gateways_database_says_so(make_daemon, sandbox: Sandbox):
    daemon = await make_daemon()
    session = Gateway(daemon.openclaw).session(sandbox.channel.id)
    gateway = ApprovalsWriter(daemon.openclaw)
    await daemon.start()
    call = session.begin(command="touch it")
    await eventually(says(sandbox, "ACTIVE", "running"), SHOWN_WITHIN_S)
    now_ms = time.time_ns() // 1_000_000
    pending, allowed = (row.columns for row in load(DATA / "approval-wait").approvals[:2])
    ours = {
        "source_session_key": session.key,
        "source_tool_call_id": call,
        "created_at_ms": now_ms,
        "updated_at_ms": now_ms + 3000,
        "expires_at_ms": now_ms + 1_800_000,
    }
    gateway.put(ApprovalRow(0, pending | ours))
    waiting = await eventually(says(sandbox, "WAITING", "| for approval"), SHOWN_WITHIN_S)
    assert "waiting for approval" in waiting.message.partition("\n")[2]
    assert "[OK]" not in waiting.message

    await daemon.kill()
    await daemon.start()
    await during(1.5, says(sandbox, "WAITING"), "who starts anew finds the evidence anew")
    gateway.put(ApprovalRow(0, allowed | ours | {"resolved_at_ms": now_ms + 3000}))
    await eventually(says(sandbox, "ACTIVE", "running"), SHOWN_WITHIN_S)
    session.finish(call)
    await eventually(says(sandbox, "DONE", "[OK]"), SHOWN_WITHIN_S)
    assert len(boxes(sandbox)) == 1
    gateway.close()


async def test_health_says_that_the_gateway_is_gone(make_daemon, sandbox: Sandbox):
    daemon = await make_daemon()
    await daemon.start()
    note = {"state": "running", "pid_namespace": pid_namespace(), "openclaw_state_dir": str(daemon.openclaw)}
    path = daemon.state_dir / DIRECTORY / "gateway.json"
    path.parent.mkdir()

    async def problems_become(expected: list[str]) -> str:
        async with asyncio.timeout(SHOWN_WITHIN_S):
            while (health := await daemon.health()).problems != expected:
                await asyncio.sleep(0.05)
        return health.status

    usual = (await daemon.health()).problems
    path.write_text(json.dumps(note | {"at_ms": 0, "pid": 2**30, "process_start": 1}))
    assert await problems_become([*usual, "gateway: stopped"]) == "degraded"
    path.unlink()
    await problems_become(usual)
