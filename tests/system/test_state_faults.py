"""What may happen to sessions.json and to the daemon's own state: rows S1 to S10 and P13, as processes."""

import asyncio
import os
import resource
import shlex
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from daemon import Daemon, box_says, boxes, eventually
from gateway import Gateway, tear
from hostile import need_namespaces, start_in_namespaces, with_faults

from status_watcher.edge.ledger import Ledger, open_ledger
from status_watcher.edge.ledger_file import FILE_NAME, SCHEMA_VERSION

SHOWN_WITHIN_S = 15.0
SOON_SAVED_AGAIN = """
from status_watcher.edge import ledger
ledger._RETRY_AFTER_S = 0.5
"""
SAMPLES = Path(__file__).parents[1] / "data" / "ledger"


@pytest.fixture
async def daemon(make_daemon) -> Daemon:
    return await make_daemon()


@pytest.fixture
def session(daemon, sandbox):
    return Gateway(daemon.openclaw).session(sandbox.channel.id)


# The store


SOON_DEGRADED = """
from status_watcher.edge import agent_dir
agent_dir._INDEX_DEGRADED_S = 0.5
"""


@pytest.mark.parametrize("how", ["torn", "missing", "huge"])
async def test_S1_S2_S5_a_store_that_stays_unusable_is_degraded_and_recovers_and_closes_no_box(
    how, make_daemon, sandbox, tmp_path
):
    """The 30 s after which it counts are shortened here, and asserted by themselves below."""
    daemon = await make_daemon(**with_faults(tmp_path, SOON_DEGRADED))
    gateway = Gateway(daemon.openclaw)
    session = gateway.session(sandbox.channel.id)
    await daemon.start()
    call = session.begin()
    await eventually(box_says(sandbox, "ACTIVE"), SHOWN_WITHIN_S)
    good = gateway.index.read_bytes()
    match how:
        case "torn":
            tear(gateway.index, good[: len(good) // 2])
        case "missing":
            gateway.index.unlink()
        case "huge":
            os.truncate(gateway.index, 100 << 20)
    answer = await daemon.healthy_when(lambda h: h.status == "degraded", SHOWN_WITHIN_S)
    assert answer.http_status == 200
    assert "sessions.json of agent main cannot be used" in answer.problems[0]
    reason = {"torn": "(", "missing": "(missing)", "huge": "(larger than 64 MiB)"}[how]
    assert reason in answer.problems[0]
    assert answer.counters["unreadable_index_looks"] > 0
    session.result(call)
    await eventually(box_says(sandbox, "ACTIVE", "[OK]"), SHOWN_WITHIN_S)
    tear(gateway.index, good)
    await daemon.healthy_when(lambda h: h.status == "ok", SHOWN_WITHIN_S)
    session.answer("All done.")
    await eventually(box_says(sandbox, "DONE"), SHOWN_WITHIN_S)


def test_S1_S2_a_store_is_given_30_s_before_that_is_a_problem():
    from status_watcher.edge import agent_dir

    assert agent_dir._INDEX_DEGRADED_S == 30.0


# A disk that takes nothing


def inside(daemon: Daemon, path: Path) -> Path:
    """A path as the daemon's own mount namespace has it."""
    return Path(f"/proc/{daemon.pid}/root{path}")


async def test_S8_a_full_disk_degrades_and_recovers_and_new_posts_are_made_all_the_same(
    make_daemon, sandbox, tmp_path, monkeypatch
):
    daemon = await make_daemon(**with_faults(tmp_path, SOON_SAVED_AGAIN))
    session = Gateway(daemon.openclaw).session(sandbox.channel.id)
    daemon.state_dir.mkdir()
    # SQLite's -shm alone takes 32 KiB, so the disk is larger than 64 KiB and is then filled.
    mount = f"mount -t tmpfs -o size=512k none {shlex.quote(str(daemon.state_dir))}"
    start_in_namespaces(monkeypatch, tmp_path, mount)
    await daemon.start()
    call = session.begin()
    await eventually(box_says(sandbox, "ACTIVE"), SHOWN_WITHIN_S)
    disk = inside(daemon, daemon.state_dir)
    await eventually(lambda: (disk / f"{FILE_NAME}-wal").stat().st_size > 0, SHOWN_WITHIN_S)
    fill(disk / "filler")
    other = sandbox.store.add_channel("other", members=(sandbox.bot.id,))
    late = Gateway(daemon.openclaw).session(other.id)
    # Records are overwritten in place while they find room in pages that are there, so many are made.
    late_call = late.begin()
    made = await eventually(box_says(sandbox, "ACTIVE", channel_id=other.id), SHOWN_WITHIN_S)
    assert made.props["status_watcher"]["nonce"]
    for number in range(200):
        if any("state cannot be saved" in line for line in (await health(daemon)).problems):
            break
        session.result(call)
        call = session.call("exec", command=f"number {number}")
        await asyncio.sleep(0.05)  # the pace of the agent's work
    answer = await daemon.healthy_when(
        lambda h: "state cannot be saved: SQLITE_FULL" in h.problems, SHOWN_WITHIN_S
    )
    assert (answer.status, answer.http_status) == ("degraded", 200)
    assert answer.counters["state_save_errors"] > 0
    names = {path.name for path in disk.iterdir()}
    (disk / "filler").unlink()
    await daemon.healthy_when(lambda h: h.status == "ok", SHOWN_WITHIN_S)
    assert {path.name for path in disk.iterdir()} == names - {"filler"}
    session.finish(call)
    late.finish(late_call)
    await eventually(box_says(sandbox, "DONE", channel_id=other.id), SHOWN_WITHIN_S)
    await eventually(box_says(sandbox, "DONE", channel_id=sandbox.channel.id), SHOWN_WITHIN_S)
    saved = tmp_path / "saved"
    saved.mkdir()
    await daemon.healthy_when(lambda h: h.counters["pending_posts"] == 0, SHOWN_WITHIN_S)
    await eventually(lambda: saved_boxes(disk, saved) == (0, 2), SHOWN_WITHIN_S)
    assert len(boxes(sandbox)) == 2


def fill(path: Path) -> None:
    """Take all the room there is."""
    with path.open("wb", buffering=0) as file:
        for size in (1 << 14, 1 << 12, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue


async def health(daemon: Daemon):
    answer = await daemon.health()
    assert answer is not None
    return answer


def saved_boxes(disk: Path, copy: Path) -> tuple[int, int]:
    """How many boxes the saved state says are open, and how many there are, looked at in a copy."""
    for suffix in ("", "-wal"):
        (copy / (FILE_NAME + suffix)).write_bytes((disk / (FILE_NAME + suffix)).read_bytes())
    db = sqlite3.connect(copy / FILE_NAME)
    counts = db.execute("SELECT count(*) FILTER (WHERE ended = 0), count(*) FROM boxes").fetchone()
    db.close()
    return tuple(counts)


@pytest.mark.parametrize("command", ["run", "start"])
def test_S9_read_only_state_at_start_is_exit_code_78_and_one_line_with_path_and_uid(command, tmp_path):
    need_namespaces()
    state_dir = tmp_path / "state"
    state_dir.mkdir()
    script = f'mount -t tmpfs -o ro none {shlex.quote(str(state_dir))} && exec "$@"'
    ran = subprocess.run(
        ["unshare", "-Urm", "sh", "-c", script, "sh", sys.executable, "-m", "status_watcher", command],
        env=os.environ | settings(tmp_path, state_dir),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ran.returncode == 78, ran.stderr
    (line,) = ran.stderr.splitlines()
    assert str(state_dir) in line
    assert "uid 0" in line


def settings(root: Path, state_dir: Path) -> dict[str, str]:
    return {
        "MM_URL": "http://127.0.0.1:9",
        "MM_TOKEN": "x5tqf1yz9byqwehx8jmsk4rggo",
        "OPENCLAW_STATE_DIR": str(root / "openclaw"),
        "STATE_DIR": str(state_dir),
        "PID_FILE": str(root / "watcher.pid"),
        "HEALTH_PORT": "0",
        "HOME": str(root),
    }


async def test_S9_state_that_takes_no_writes_any_more_degrades_and_recovers(make_daemon, sandbox, tmp_path):
    """A limit on file sizes stands for a file system that became read-only, whose files nobody may write."""
    daemon = await make_daemon(**with_faults(tmp_path, SOON_SAVED_AGAIN))
    session = Gateway(daemon.openclaw).session(sandbox.channel.id)
    await daemon.start()
    call = session.begin()
    before = await eventually(box_says(sandbox, "ACTIVE"), SHOWN_WITHIN_S)
    limits = resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, (0, limits[1]))
    session.result(call)
    call = session.call("exec", command="with nothing to write on")
    await eventually(box_says(sandbox, "ACTIVE", "with nothing to write on"), SHOWN_WITHIN_S)
    answer = await daemon.healthy_when(lambda h: h.status == "degraded", SHOWN_WITHIN_S)
    assert answer.http_status == 200
    assert answer.problems[0].startswith("state cannot be saved")
    resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, limits)
    await daemon.healthy_when(lambda h: h.status == "ok", SHOWN_WITHIN_S)
    await daemon.kill()
    session.finish(call)
    await daemon.start()
    done = await eventually(box_says(sandbox, "DONE"), SHOWN_WITHIN_S)
    assert done.id == before.id


async def test_S10_a_read_only_transcript_directory_is_all_it_needs(
    daemon, session, sandbox, tmp_path, monkeypatch
):
    there = shlex.quote(str(daemon.openclaw))
    prepare = (
        f"mount --rbind {there} {there}\nmount -o remount,bind,ro {there}\n! touch {there}/x 2> /dev/null"
    )
    start_in_namespaces(monkeypatch, tmp_path, prepare)
    await daemon.start()
    call = session.begin()
    await eventually(box_says(sandbox, "ACTIVE"), SHOWN_WITHIN_S)
    session.finish(call)
    await eventually(box_says(sandbox, "DONE"), SHOWN_WITHIN_S)
    assert (await health(daemon)).problems == []


# Broken, older and newer state


async def test_S6_state_that_is_broken_is_moved_aside_and_the_same_posts_go_on(daemon, session, sandbox):
    content = b"\0" * 8192
    await daemon.start()
    call = session.begin()
    before = await eventually(box_says(sandbox, "ACTIVE"), SHOWN_WITHIN_S)
    await daemon.kill()
    for path in daemon.state_dir.glob(f"{FILE_NAME}*"):
        path.unlink()
    (daemon.state_dir / FILE_NAME).write_bytes(content)
    await daemon.start()
    session.finish(call)
    done = await eventually(box_says(sandbox, "DONE"), SHOWN_WITHIN_S)
    assert done.id == before.id
    (bad,) = daemon.state_dir.glob(f"{FILE_NAME}.bad-*")
    assert bad.read_bytes() == content


async def test_P13_state_of_a_newer_version_is_refused_with_78_and_one_line_and_left_alone(daemon, sandbox):
    daemon.state_dir.mkdir()
    db = sqlite3.connect(daemon.state_dir / FILE_NAME)
    db.execute("CREATE TABLE of_the_future (x)")
    db.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    db.commit()
    db.close()
    before = (daemon.state_dir / FILE_NAME).read_bytes()
    with pytest.raises(AssertionError, match="ended while starting"):
        await daemon.start()
    assert daemon.returncode == 78
    (line,) = daemon.lines()
    assert str(daemon.state_dir / FILE_NAME) in line["reason"]
    assert (daemon.state_dir / FILE_NAME).read_bytes() == before
    assert list(daemon.state_dir.glob("*.bad-*")) == []


@pytest.mark.parametrize("version", range(1, SCHEMA_VERSION + 1))
async def test_P13_state_of_every_earlier_version_is_read(version, tmp_path):
    """Each schema that was ever released keeps its sample; `make_sample.py` there writes the present one."""
    sample = (SAMPLES / f"v{version}.sqlite").read_bytes()
    (tmp_path / FILE_NAME).write_bytes(sample)
    ledger = await open_ledger(tmp_path)
    assert isinstance(ledger, Ledger), ledger
    try:
        assert not ledger.lost
        found = {box.box_id: box for box in ledger.open_boxes}
        assert found.keys() == {"main/s1/e1", "main/s2/e2", "main/s3/e3"}
        assert (found["main/s1/e1"].post_id, found["main/s1/e1"].nonce) == ("p" * 26, "n" * 32)
        assert found["main/s2/e2"].post_id is None
        assert ledger.direct_channel("u" * 26) == "d" * 26
        ended = await ledger.find("main/s4/e4")
        assert ended is not None
        assert ended.ended
    finally:
        await ledger.close()
