"""The PID file is for people and harms nobody."""

import os
import stat

import pytest

from status_watcher.edge import pidfile


def test_the_file_holds_the_pid_and_is_readable_for_everybody(tmp_path):
    path = tmp_path / "w.pid"
    former = os.umask(0o077)
    try:
        assert pidfile.write(path, 4711) is None
    finally:
        os.umask(former)
    assert path.read_text() == "4711\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_a_stale_file_is_overwritten(tmp_path):
    path = tmp_path / "w.pid"
    path.write_text("123456789\n")
    assert pidfile.write(path, 42) is None
    assert path.read_text() == "42\n"


def test_our_own_file_is_removed_at_the_end(tmp_path):
    path = tmp_path / "w.pid"
    pidfile.write(path, 42)
    pidfile.remove(path, 42)
    assert not path.exists()


@pytest.mark.parametrize("content", ["43\n", "", "420\n", "nonsense"])
def test_a_file_that_holds_another_pid_stays(tmp_path, content):
    path = tmp_path / "w.pid"
    path.write_text(content)
    pidfile.remove(path, 42)
    assert path.read_text() == content


def test_removing_what_is_not_there_is_fine(tmp_path):
    pidfile.remove(tmp_path / "w.pid", 42)


@pytest.mark.parametrize("kind", ["link", "hard link", "directory", "fifo", "no parent"])
def test_what_is_not_a_plain_file_of_ours_is_a_warning_and_untouched(tmp_path, kind):
    victim = tmp_path / "victim"
    victim.write_text("42")
    path = tmp_path / "w.pid"
    match kind:
        case "link":
            path.symlink_to(victim)
        case "hard link":
            path.hardlink_to(victim)
        case "directory":
            path.mkdir()
        case "fifo":
            os.mkfifo(path)
        case "no parent":
            path = tmp_path / "missing" / "w.pid"
    warning = pidfile.write(path, 42)
    assert warning is not None
    assert str(path) in warning
    assert "\n" not in warning
    pidfile.remove(path, 42)
    assert victim.read_text() == "42"
    assert path.exists() == (kind != "no parent")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_somebody_else_is_a_warning_and_untouched(tmp_path):
    path = tmp_path / "w.pid"
    path.write_text("42")
    os.chown(path, 12345, -1)
    assert pidfile.write(path, 43) is not None
    pidfile.remove(path, 42)
    assert path.read_text() == "42"
