"""One daemon per state directory (faults P1 to P3)."""

import fcntl
import os
import signal
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import orjson
import pytest

from status_watcher.edge import lock as lock_module
from status_watcher.edge.lock import (
    AlreadyRunning,
    Holder,
    Lock,
    Unusable,
    acquire,
    holder,
    prepare_state_dir,
)

HOLD_UNTIL_KILLED = """
import signal, sys
from pathlib import Path
from status_watcher.edge.lock import Lock, acquire
outcome = acquire(Path(sys.argv[1]))
print("held" if isinstance(outcome, Lock) else outcome, flush=True)
signal.pause()
"""


@pytest.fixture
def state_dir(tmp_path):
    return tmp_path / "state"


def acquired(state_dir: Path) -> Lock:
    lock = acquire(state_dir)
    assert isinstance(lock, Lock), lock
    return lock


def test_the_second_is_told_who_is_the_first(state_dir):
    first = acquired(state_dir)
    assert acquire(state_dir) == AlreadyRunning(os.getpid())
    first.release()
    acquired(state_dir).release()


def test_the_holder_is_known_only_while_it_holds(state_dir):
    assert holder(state_dir) is None
    lock = acquired(state_dir)
    found = holder(state_dir)
    assert isinstance(found, Holder)
    assert found.record is not None
    assert found.record.pid == os.getpid()
    assert not found.record.ready
    lock.release()
    assert holder(state_dir) is None


def test_looking_takes_nothing_from_the_holder(state_dir):
    lock = acquired(state_dir)
    for _ in range(3):
        assert isinstance(holder(state_dir), Holder)
    assert acquire(state_dir) == AlreadyRunning(os.getpid())
    assert lock.still_ours()
    lock.release()


def test_ready_is_recorded_with_the_address_of_health(state_dir):
    lock = acquired(state_dir)
    assert lock.mark_ready("127.0.0.1", 9090) is None
    found = holder(state_dir)
    assert isinstance(found, Holder)
    assert found.record is not None
    assert (found.record.ready, found.record.host, found.record.port) == (True, "127.0.0.1", 9090)
    lines = (state_dir / "lock").read_bytes().splitlines()
    assert len(lines) == 1
    assert orjson.loads(lines[0])["pid"] == os.getpid()
    lock.release()


def test_P1_a_record_left_by_a_killed_daemon_means_nothing(state_dir):
    daemon = subprocess.Popen(
        [sys.executable, "-c", HOLD_UNTIL_KILLED, str(state_dir)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert daemon.stdout.readline() == "held\n"
        assert acquire(state_dir) == AlreadyRunning(daemon.pid)
    finally:
        daemon.send_signal(signal.SIGKILL)
        daemon.communicate()
    assert (state_dir / "lock").read_bytes()  # the record of the dead is still there
    assert holder(state_dir) is None
    lock = acquired(state_dir)
    found = holder(state_dir)
    assert isinstance(found, Holder)
    assert found.record is not None
    assert found.record.pid == os.getpid()
    lock.release()


def test_P3_a_deleted_lock_file_is_noticed_by_its_holder(state_dir):
    first = acquired(state_dir)
    assert first.still_ours()
    (state_dir / "lock").unlink()
    assert not first.still_ours()
    second = acquired(state_dir)
    assert second.still_ours()
    assert not first.still_ours()
    first.release()
    second.release()


def test_P3_a_file_that_is_replaced_between_open_and_lock_is_locked_anew(state_dir, monkeypatch):
    replaced = []

    def flock_after_replacing(fd, operation):
        if not replaced:
            replaced.append(fd)
            (state_dir / "lock").unlink()
            (state_dir / "lock").touch()
        real(fd, operation)

    real = fcntl.flock
    monkeypatch.setattr(lock_module.fcntl, "flock", flock_after_replacing)
    lock = acquired(state_dir)
    assert replaced
    assert lock.still_ours()
    assert isinstance(holder(state_dir), Holder)
    lock.release()


def test_a_daemon_starts_while_others_keep_looking(state_dir):
    acquired(state_dir).release()
    stop = threading.Event()

    def look_all_the_time():
        while not stop.is_set():
            holder(state_dir)

    with ThreadPoolExecutor(4) as pool:
        for _ in range(4):
            pool.submit(look_all_the_time)
        try:
            for _ in range(50):
                acquired(state_dir).release()
        finally:
            stop.set()


def test_of_many_at_once_exactly_one_gets_it(state_dir):
    barrier = threading.Barrier(20)

    def try_once(_):
        barrier.wait()
        return acquire(state_dir)

    for _ in range(10):
        with ThreadPoolExecutor(20) as pool:
            outcomes = list(pool.map(try_once, range(20)))
        locks = [outcome for outcome in outcomes if isinstance(outcome, Lock)]
        assert len(locks) == 1, outcomes
        assert all(isinstance(outcome, Lock | AlreadyRunning) for outcome in outcomes)
        locks[0].release()


def test_the_directory_and_the_file_are_private_whatever_the_umask(state_dir):
    former = os.umask(0o777)
    try:
        lock = acquired(state_dir / "sub")
    finally:
        os.umask(former)
    assert stat.S_IMODE((state_dir / "sub").stat().st_mode) == 0o700
    assert stat.S_IMODE((state_dir / "sub" / "lock").stat().st_mode) == 0o600
    lock.release()


def test_an_existing_directory_keeps_its_mode(state_dir):
    state_dir.mkdir()
    state_dir.chmod(0o750)
    acquired(state_dir).release()
    assert stat.S_IMODE(state_dir.stat().st_mode) == 0o750


def test_a_lock_is_not_inherited_by_a_child(state_dir):
    lock = acquired(state_dir)
    child = subprocess.Popen(["sleep", "60"], close_fds=False)
    try:
        lock.release()
        assert holder(state_dir) is None
    finally:
        child.kill()
        child.wait()


@pytest.mark.parametrize("kind", ["link", "directory", "fifo"])
def test_what_is_no_plain_file_is_unusable_and_untouched(state_dir, tmp_path, kind):
    state_dir.mkdir()
    victim = tmp_path / "victim"
    victim.write_text("precious")
    path = state_dir / "lock"
    match kind:
        case "link":
            path.symlink_to(victim)
        case "directory":
            path.mkdir()
        case "fifo":
            os.mkfifo(path)
    outcome = acquire(state_dir)
    assert isinstance(outcome, Unusable)
    assert str(path) in outcome.reason
    assert victim.read_text() == "precious"


def test_a_state_directory_that_cannot_be_made_is_unusable_and_named_with_the_uid(tmp_path):
    (tmp_path / "file").write_text("")
    for outcome in (acquire(tmp_path / "file" / "state"), prepare_state_dir(tmp_path / "file")):
        assert isinstance(outcome, Unusable)
        assert str(tmp_path / "file") in outcome.reason
        assert f"uid {os.geteuid()}" in outcome.reason


@pytest.mark.parametrize("content", [b"", b"{", b"[]\n", b'{"pid":0}\n', b"\0" * 100, b'{"pid":"1"}\n'])
def test_a_holder_with_an_unreadable_record_is_still_a_holder(state_dir, content):
    lock = acquired(state_dir)
    (state_dir / "lock").write_bytes(content)
    assert holder(state_dir) == Holder(None)
    assert acquire(state_dir) == AlreadyRunning(None)
    lock.release()
