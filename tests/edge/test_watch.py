import itertools
import os
import shutil
import statistics
import threading
import time

import pytest

from status_watcher.edge import watch as watch_module
from status_watcher.edge.watch import DirtySet, Watch

DEADLINE_S = 10.0


@pytest.fixture
def woken():
    return threading.Semaphore(0)


@pytest.fixture
def watch(woken):
    watch = Watch(DirtySet(woken.release))
    yield watch
    watch.close()


def eventually(condition):
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.005)


class Heard:
    """All paths that were announced so far."""

    def __init__(self, watch):
        self._watch = watch
        self.paths = set()

    def has(self, path):
        self.paths |= self._watch.dirty.take().paths
        return str(path) in self.paths


def test_writing_renaming_and_deleting_are_announced(watch, tmp_path):
    heard = Heard(watch)
    assert watch.follow([str(tmp_path)]) == {str(tmp_path)}
    (tmp_path / "a").write_text("1")
    eventually(lambda: heard.has(tmp_path / "a"))
    (tmp_path / "a").rename(tmp_path / "b")
    eventually(lambda: heard.has(tmp_path / "b"))
    heard.paths.clear()
    (tmp_path / "b").unlink()
    eventually(lambda: heard.has(tmp_path / "b"))
    assert (watch.mode, watch.alive, watch.problems()) == ("inotify", True, ())


def test_a_replaced_file_is_announced_at_once(watch, tmp_path):
    """Watchdog holds back everything behind an unpaired half of a rename for half a second."""
    watch.follow([str(tmp_path)])
    heard = Heard(watch)
    took_s = []
    for number in range(40):
        (tmp_path / "tmp").write_text(str(number))
        heard.has("")
        heard.paths.clear()
        began_s = time.monotonic()
        (tmp_path / "tmp").rename(tmp_path / "sessions.json")
        eventually(lambda: heard.has(tmp_path / "sessions.json"))
        took_s.append(time.monotonic() - began_s)
    assert statistics.median(took_s) < 0.4  # a busy machine holds up some of them; that would hold up each


def test_only_the_directories_named_are_watched(watch, tmp_path):
    heard = Heard(watch)
    (tmp_path / "below").mkdir()
    watch.follow([str(tmp_path)])
    (tmp_path / "below/a").write_text("1")
    (tmp_path / "b").write_text("1")
    eventually(lambda: heard.has(tmp_path / "b"))
    assert not heard.has(tmp_path / "below/a")
    watch.follow([str(tmp_path / "below")])
    (tmp_path / "c").write_text("1")
    (tmp_path / "below/a").write_text("2")
    eventually(lambda: heard.has(tmp_path / "below/a"))
    assert not heard.has(tmp_path / "c")


def test_W9_a_burst_wakes_once_and_costs_a_path(watch, woken, tmp_path):
    watch.follow([str(tmp_path)])
    with (tmp_path / "a").open("ab", buffering=0) as file:
        for _ in range(20_000):
            file.write(b"x")
    (tmp_path / "last").write_text("1")
    eventually(lambda: len(watch.dirty._paths) == 2)
    assert watch.dirty.take().paths == {str(tmp_path / "a"), str(tmp_path / "last")}
    assert woken.acquire(blocking=False)
    assert not woken.acquire(blocking=False)


def test_W9_a_storm_of_many_files_is_read_from_the_kernel_by_the_batch(woken, tmp_path, monkeypatch):
    reads_s = []
    read_events = watch_module._Kernel.read_events

    def timed(kernel):
        events = read_events(kernel)
        reads_s.append(time.monotonic())
        return events

    monkeypatch.setattr(watch_module._Kernel, "read_events", timed)
    watch = Watch(DirtySet(woken.release))
    try:
        watch.follow([str(tmp_path)])
        heard = Heard(watch)
        ends_s, number = time.monotonic() + 0.3, 0
        while time.monotonic() < ends_s:
            (tmp_path / str(number)).touch()
            number += 1
        eventually(lambda: heard.has(tmp_path / str(number - 1)))
    finally:
        watch.close()
    assert heard.paths == {str(tmp_path / str(one)) for one in range(number)}
    assert all(later_s - earlier_s >= 0.01 for earlier_s, later_s in itertools.pairwise(reads_s))


def test_W4_a_handler_that_raises_is_counted_and_lives(tmp_path):
    woken = []

    def wake():
        woken.append(1)
        if len(woken) == 1:
            raise ValueError

    watch = Watch(DirtySet(wake))
    try:
        watch.follow([str(tmp_path)])
        heard = Heard(watch)
        (tmp_path / "a").write_text("1")
        eventually(lambda: watch.dirty.errors == 1)
        watch.dirty.take()
        (tmp_path / "b").write_text("1")
        eventually(lambda: heard.has(tmp_path / "b"))
        assert watch.alive
    finally:
        watch.close()


def test_W5_a_dead_emitter_is_replaced(watch, tmp_path):
    watch.follow([str(tmp_path)])
    (emitter,) = watch._observer.emitters
    emitter.stop()
    emitter.join()
    assert watch.follow([str(tmp_path)]) == {str(tmp_path)}
    assert watch.restarts == 1
    heard = Heard(watch)
    (tmp_path / "a").write_text("1")
    eventually(lambda: heard.has(tmp_path / "a"))


def test_W5_a_dead_observer_is_not_alive_and_is_built_again_with_backoff(woken, tmp_path):
    now_s = [1000.0]
    watch = Watch(DirtySet(woken.release), clock=lambda: now_s[0])
    try:
        for waits_s in (1.0, 2.0, 4.0):
            watch.follow([str(tmp_path)])
            assert watch.mode == "inotify"
            watch._observer.stop()
            watch._observer.join()
            assert not watch.alive
            assert watch.follow([str(tmp_path)]) == frozenset()
            assert (watch.mode, watch.alive) == ("polling", True)
            now_s[0] += waits_s
            assert watch.follow([str(tmp_path)]) == {str(tmp_path)}
        assert watch.restarts == 3
        heard = Heard(watch)
        (tmp_path / "a").write_text("1")
        eventually(lambda: heard.has(tmp_path / "a"))
    finally:
        watch.close()


def test_W6_a_directory_that_comes_and_goes_is_watched_when_it_is_there(watch, tmp_path):
    sessions = tmp_path / "sessions"
    heard = Heard(watch)
    assert watch.follow([str(sessions)]) == frozenset()
    assert watch.mode == "inotify"
    for _ in range(3):
        sessions.mkdir()
        assert watch.follow([str(sessions)]) == {str(sessions)}
        (sessions / "a").write_text("1")
        eventually(lambda: heard.has(sessions / "a"))
        shutil.rmtree(sessions)
        assert watch.follow([str(sessions)]) == frozenset()
        heard.paths.clear()


def test_W6_another_directory_in_the_old_one_s_place_is_watched_instead(watch, tmp_path):
    sessions = tmp_path / "sessions"
    sessions.mkdir()
    watch.follow([str(sessions)])
    sessions.rename(tmp_path / "old")
    sessions.mkdir()
    assert watch.follow([str(sessions)]) == {str(sessions)}
    heard = Heard(watch)
    (sessions / "a").write_text("1")
    eventually(lambda: heard.has(sessions / "a"))


def test_W10_reading_is_no_event(watch, tmp_path):
    (tmp_path / "a").write_text("1")
    heard = Heard(watch)
    watch.follow([str(tmp_path)])
    for _ in range(10):
        (tmp_path / "a").read_text()
        list(tmp_path.iterdir())
    (tmp_path / "b").write_text("1")
    eventually(lambda: heard.has(tmp_path / "b"))
    assert not heard.has(tmp_path / "a")


def test_P15_a_name_that_is_no_text_is_announced(watch, tmp_path):
    watch.follow([str(tmp_path)])
    path = tmp_path / os.fsdecode(b"\xff.jsonl")
    heard = Heard(watch)
    path.touch()
    eventually(lambda: heard.has(path))


def test_an_overflow_says_that_anything_may_have_changed(woken):
    dirty = DirtySet(woken.release)
    dirty.on_overflow()
    assert dirty.take().overflowed
    assert dirty.overflows == 1
    assert not dirty.take().overflowed
    assert woken.acquire(blocking=False)


def test_all_threads_end(tmp_path, woken):
    before = set(threading.enumerate())
    watch = Watch(DirtySet(woken.release))
    watch.follow([str(tmp_path)])
    watch.close()
    eventually(lambda: set(threading.enumerate()) <= before)
