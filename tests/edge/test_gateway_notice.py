"""The notice of a stopping gateway, as the hook writes it, on a real disk."""

import asyncio
import json
import os
import subprocess
import sys

import pytest

from status_watcher.core.gateway import GatewayStop, gateway_note
from status_watcher.edge.gateway_notice import FILE_NAME, watch_gateway
from status_watcher.edge.lock import pid_namespace

NOTICE = {"pid": os.getpid(), "pid_namespace": pid_namespace(), "at_ms": 1000, "openclaw_state_dir": ""}


@pytest.fixture
async def heard(tmp_path):
    queue = asyncio.Queue()
    watched = [tmp_path / "openclaw"]
    task = asyncio.create_task(watch_gateway(tmp_path, watched, pid_namespace(), queue.put_nowait))

    async def next_one(within_s=5.0):
        return await asyncio.wait_for(queue.get(), within_s)

    next_one.queue = queue
    yield next_one
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def write(tmp_path, **changes):
    beside = tmp_path / "beside"
    beside.write_text(json.dumps(NOTICE | changes))
    beside.replace(tmp_path / FILE_NAME)


async def test_a_notice_is_heard_and_its_withdrawal_too(heard, tmp_path):
    write(tmp_path)
    assert await heard() == GatewayStop(1000, gone=False)
    write(tmp_path, at_ms=2000)
    assert await heard() == GatewayStop(2000, gone=False)
    (tmp_path / FILE_NAME).unlink()
    assert await heard() is None


async def test_the_end_of_the_gateways_process_is_noticed(heard, tmp_path):
    gateway = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    write(tmp_path, pid=gateway.pid)
    assert await heard() == GatewayStop(1000, gone=False)
    gateway.communicate(b"\n")
    assert await heard() == GatewayStop(1000, gone=True)


async def test_a_number_of_another_namespace_says_nothing_about_a_process(heard, tmp_path):
    write(tmp_path, pid=2**30, pid_namespace="pid:[1]")
    assert await heard() == GatewayStop(1000, gone=False)
    write(tmp_path, pid=2**30, pid_namespace="", at_ms=7)
    assert await heard() == GatewayStop(7, gone=False)


@pytest.mark.parametrize("state_dir", ["openclaw", "openclaw/agents/..", ".", "openclaw/agents/main"])
async def test_the_gateway_of_what_is_watched_is_heard(heard, tmp_path, state_dir):
    write(tmp_path, openclaw_state_dir=str(tmp_path / state_dir))
    assert await heard() == GatewayStop(1000, gone=False)


async def test_what_is_no_notice_of_ours_is_not_heard(heard, tmp_path):
    write(tmp_path)
    assert await heard() is not None
    for content in (
        json.dumps(NOTICE | {"openclaw_state_dir": "/another/gateway"}),
        json.dumps(NOTICE | {"pid": "1"}),
        json.dumps(NOTICE | {"openclaw_state_dir": "a\0b"}),
        "{",
        "",
        "[]",
    ):
        (tmp_path / FILE_NAME).write_text(content)
        assert await heard() is None
        write(tmp_path)
        assert await heard() is not None
    (tmp_path / FILE_NAME).unlink()
    (tmp_path / FILE_NAME).symlink_to(tmp_path / "beside")
    assert await heard() is None


@pytest.mark.parametrize(
    ("stop", "start_ms", "note"),
    [
        (None, 5, ""),
        (GatewayStop(10, gone=False), 5, "gateway stopping"),
        (GatewayStop(10, gone=True), 5, "gateway stopped"),
        (GatewayStop(10, gone=True), 11, ""),
    ],
)
def test_a_box_says_it_of_turns_that_began_before(stop, start_ms, note):
    assert gateway_note(stop, start_ms) == note
