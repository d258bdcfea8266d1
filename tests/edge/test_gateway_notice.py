"""The notes that the hook leaves of gateways, on a real disk and about real processes."""

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from status_watcher.core.gateway import GatewayStop, GatewayWord
from status_watcher.edge.gateway_notice import DIRECTORY, remove_notes, watch_gateway
from status_watcher.edge.lock import pid_namespace
from status_watcher.model import SessionKey


def started(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])


RUNNING = {
    "state": "running",
    "at_ms": 1000,
    "pid": os.getpid(),
    "pid_namespace": pid_namespace(),
    "process_start": started(os.getpid()),
    "openclaw_state_dir": "",
    "restart_expected_ms": None,
    "compacting": {},
}
STOPPING = RUNNING | {"state": "stopping"}
KEY = SessionKey("agent:main:main")


def write(tmp_path: Path, note: dict, name: str = "a.json", **changes) -> Path:
    directory = tmp_path / DIRECTORY
    directory.mkdir(exist_ok=True)
    beside = directory / f"{name}.tmp"
    beside.write_text(json.dumps(note | changes))
    return beside.replace(directory / name)


@pytest.fixture
def process():
    """Something that runs until it is killed, and who waits for it."""
    child = subprocess.Popen([sys.executable, "-c", "print(flush=True); input()"], stdin=-1, stdout=-1)
    assert child.stdout is not None
    child.stdout.readline()
    yield child
    child.kill()
    child.communicate()


def names(process) -> dict:
    return {"pid": process.pid, "process_start": started(process.pid)}


@pytest.fixture
async def heard(tmp_path):
    queue: asyncio.Queue[GatewayWord] = asyncio.Queue()
    watched = [tmp_path / "openclaw"]
    task = asyncio.create_task(watch_gateway(tmp_path, watched, pid_namespace(), queue.put_nowait))

    async def next_one(within_s=5.0):
        return await asyncio.wait_for(queue.get(), within_s)

    next_one.queue = queue
    yield next_one
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def now_ms() -> int:
    return time.time_ns() // 1_000_000


async def test_a_stop_is_heard_and_the_next_start_too(heard, tmp_path):
    write(tmp_path, STOPPING)
    assert await heard() == GatewayWord(GatewayStop(1000))
    write(tmp_path, STOPPING, at_ms=2000)
    assert await heard() == GatewayWord(GatewayStop(2000))
    write(tmp_path, RUNNING, at_ms=3000)
    assert await heard() == GatewayWord()


async def test_a_gateway_that_was_killed_is_missed_though_it_said_nothing(heard, tmp_path, process):
    write(tmp_path, RUNNING, **names(process))
    await asyncio.sleep(0)  # nothing is to be told of a gateway that runs
    write(tmp_path, RUNNING | {"compacting": {KEY: 5}}, **names(process))
    assert await heard() == GatewayWord(None, {KEY: 5})
    before_ms = now_ms()
    process.kill()
    process.wait()
    word = await heard()
    assert word.compacting == {}
    assert word.stop is not None
    assert word.stop.gone_ms is not None
    assert not word.stop.told
    assert before_ms <= word.stop.since_ms == word.stop.gone_ms <= now_ms()
    assert heard.queue.empty()


async def test_nobody_has_to_wait_for_a_gateway_that_was_killed(heard, tmp_path, process):
    """In a container whose first process waits for nobody it stays as a zombie."""
    write(tmp_path, STOPPING, **names(process))
    assert (await heard()).stop == GatewayStop(1000)
    process.kill()
    stop = (await heard()).stop
    assert process.returncode is None
    assert stop.since_ms == 1000
    assert stop.gone_ms is not None
    assert stop.told


async def test_a_process_that_got_the_same_number_is_another_one(heard, tmp_path, process):
    write(tmp_path, STOPPING, pid=process.pid, process_start=started(process.pid) - 1)
    assert (await heard()).stop.gone_ms is not None
    write(tmp_path, STOPPING, **names(process))
    assert (await heard()).stop.gone_ms is None
    write(tmp_path, STOPPING, pid=process.pid, process_start=None, at_ms=7)
    assert (await heard()).stop == GatewayStop(7), "where the hook could not tell, the number counts"


async def test_a_number_of_another_namespace_says_nothing_about_a_process(heard, tmp_path):
    for namespace in ("pid:[1]", ""):
        write(tmp_path, RUNNING, pid=2**30, pid_namespace=namespace)
        write(tmp_path, STOPPING, "b.json", pid=2**30, pid_namespace=namespace, at_ms=2000)
        assert (await heard()).stop == GatewayStop(2000)
        (tmp_path / DIRECTORY / "b.json").unlink()
        assert await heard() == GatewayWord()


async def hear_one(tmp_path) -> GatewayWord:
    queue: asyncio.Queue[GatewayWord] = asyncio.Queue()
    watching = asyncio.create_task(watch_gateway(tmp_path, [], pid_namespace(), queue.put_nowait))
    try:
        return await asyncio.wait_for(queue.get(), 5)
    finally:
        watching.cancel()


async def test_a_later_run_knows_when_the_gateway_was_seen_last(heard, tmp_path, process):
    note = write(tmp_path, RUNNING, **names(process))
    os.utime(note, (5, 5))
    write(tmp_path, RUNNING, "b.json", at_ms=1)
    async with asyncio.timeout(5):
        while note.stat().st_mtime < 6:  # seen alive
            await asyncio.sleep(0.01)
    process.kill()
    first = (await heard()).stop
    later = (await hear_one(tmp_path)).stop
    assert abs(later.since_ms - first.since_ms) < 1000
    assert later.gone_ms >= first.gone_ms


async def test_a_gateway_that_died_unseen_was_seen_last_when_its_note_was_written(tmp_path):
    note = write(tmp_path, RUNNING, pid=2**30)
    os.utime(note, (5, 5))
    begun_ms = now_ms()
    stop = (await hear_one(tmp_path)).stop
    assert stop.since_ms == 5000
    assert stop.gone_ms >= begun_ms
    assert note.stat().st_mtime == 5


@pytest.mark.parametrize("state_dir", ["openclaw", "openclaw/agents/..", ".", "openclaw/agents/main"])
async def test_the_gateway_of_what_is_watched_is_heard(heard, tmp_path, state_dir):
    write(tmp_path, STOPPING, openclaw_state_dir=str(tmp_path / state_dir))
    assert (await heard()).stop == GatewayStop(1000)


async def test_what_is_no_note_of_our_gateway_is_not_heard(heard, tmp_path):
    def one_that_counts():
        write(tmp_path, STOPPING)

    one_that_counts()
    assert (await heard()).stop is not None
    (tmp_path / "circle").symlink_to(tmp_path / "circle2")
    (tmp_path / "circle2").symlink_to(tmp_path / "circle")
    for content in (
        json.dumps(STOPPING | {"openclaw_state_dir": "/another/gateway"}),
        json.dumps(STOPPING | {"pid": "1"}),
        json.dumps(STOPPING | {"pid": 0}),
        json.dumps(STOPPING | {"pid": -1}),
        json.dumps(STOPPING | {"state": "asleep"}),
        json.dumps(STOPPING | {"openclaw_state_dir": "a\0b"}),
        json.dumps(STOPPING | {"openclaw_state_dir": str(tmp_path / "circle")}),
        "{",
        "",
        "[]",
    ):
        (tmp_path / DIRECTORY / "a.json").write_text(content)
        assert await heard() == GatewayWord(), content
        one_that_counts()
        assert (await heard()).stop is not None
    path = tmp_path / DIRECTORY / "a.json"
    path.rename(tmp_path / "elsewhere.json")
    path.symlink_to(tmp_path / "elsewhere.json")
    assert await heard() == GatewayWord()
    path.unlink()
    one_that_counts()
    assert (await heard()).stop is not None
    path.unlink()
    os.mkfifo(path)
    assert await heard() == GatewayWord()


async def test_odd_numbers_of_processes_do_not_end_the_watch(heard, tmp_path):
    for pid in (2**31 - 1, 2**40):
        write(tmp_path, STOPPING, pid=pid)
        assert (await heard()).stop.gone_ms is not None
        (tmp_path / DIRECTORY / "a.json").unlink()
        assert await heard() == GatewayWord()


async def test_only_well_formed_compactions_are_heard(heard, tmp_path):
    write(tmp_path, RUNNING, compacting={KEY: 1, "x": "y"})
    assert (await heard()).compacting == {KEY: 1}
    write(tmp_path, RUNNING, compacting=[KEY])
    assert (await heard()).compacting == {}


def test_removing_the_notes_leaves_those_of_other_gateways(tmp_path):
    ours = tmp_path / "openclaw"
    for name, where in (("a.json", str(ours)), ("b.json", f"{ours}/."), ("c.json", "/other"), ("d.json", "")):
        write(tmp_path, RUNNING, name, openclaw_state_dir=where)
    (tmp_path / DIRECTORY / "e.json").write_text("{")
    remove_notes(tmp_path, ours)
    assert sorted(path.name for path in (tmp_path / DIRECTORY).iterdir()) == ["c.json", "d.json", "e.json"]
    remove_notes(tmp_path / "nowhere", ours)
