"""Which paths below a set of directories may have changed; a hint, never the truth.

What watchdog 7.1 does, and what is done about it here: an exception in a handler ends its thread and leaves
the process deaf; a watch that could not be added below a recursive one is skipped in silence, so each
directory has a watch of its own; an unpaired `IN_MOVED_FROM` holds back all events behind it for half a
second, so it is not asked for; a queue overflow is told to nobody; the watch on a deleted directory ends and
that on a moved one goes with it.
"""

import contextlib
import errno
import os
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, cast

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers.api import BaseObserver, EventEmitter, ObservedWatch
from watchdog.observers.inotify import InotifyEmitter
from watchdog.observers.inotify_c import InotifyConstants, InotifyEvent, InotifyFD, Mask

# Without a filter, opening and closing for our own reads would be events too.
_EVENTS: Final[list[type[FileSystemEvent]]] = [
    FileCreatedEvent,  # also made of a rename's second half
    FileModifiedEvent,
    FileDeletedEvent,
    DirCreatedEvent,
    DirDeletedEvent,
]
_MASK: Final = Mask(
    InotifyConstants.IN_CREATE
    | InotifyConstants.IN_MODIFY
    | InotifyConstants.IN_MOVED_TO
    | InotifyConstants.IN_DELETE
    | InotifyConstants.IN_DELETE_SELF
)
_REST_S: Final = 0.01
"""Between two reads of the kernel's queue: what a line waits at most while other files are written too."""
_LEAST_BACKOFF_S: Final = 1.0
_MOST_BACKOFF_S: Final = 60.0
_JOIN_S: Final = 2.0
_DIED: Final = -1


@dataclass(frozen=True, slots=True)
class Dirty:
    """What was announced since the last time somebody asked."""

    paths: frozenset[str] = frozenset()
    overflowed: bool = False
    """The kernel dropped events: anything may have changed."""


class DirtySet(FileSystemEventHandler):
    """Collects paths on watchdog's thread and wakes their reader once per batch, however long the burst."""

    def __init__(self, wake: Callable[[], None]) -> None:
        """`wake` is called on a foreign thread."""
        self._wake = wake
        self._lock = threading.Lock()
        self._paths: set[str] = set()
        self._overflowed = False
        self.events = 0
        self.errors = 0
        self.overflows = 0

    def on_any_event(self, event: FileSystemEvent) -> None:
        try:
            self._add({os.fsdecode(path) for path in (event.src_path, event.dest_path) if path})
        except Exception:  # noqa: BLE001 - whatever it is, this thread must live
            self.errors += 1

    def on_overflow(self) -> None:
        """Like an event of every file there is."""
        self.overflows += 1
        try:
            self._add(set(), overflowed=True)
        except Exception:  # noqa: BLE001 - as above
            self.errors += 1

    def take(self) -> Dirty:
        with self._lock:
            dirty = Dirty(frozenset(self._paths), self._overflowed)
            self._paths, self._overflowed = set(), False
        return dirty

    def _add(self, paths: set[str], *, overflowed: bool = False) -> None:
        with self._lock:
            wake = not self._paths and not self._overflowed
            self._paths |= paths
            self._overflowed |= overflowed
            self.events += 1
        if wake:
            self._wake()


class _PromptEmitter(InotifyEmitter):
    def get_event_mask_from_filter(self) -> Mask:
        return _MASK


class _Kernel(InotifyFD):
    """The inotify instance, with an ear for overflows and a rest after each read.

    The first event after a pause is handed on at once; those of a burst go by the batch, since each way from
    here to the event loop wakes five threads.
    """

    def __init__(self, on_overflow: Callable[[], None]) -> None:
        super().__init__()
        self._on_overflow = on_overflow

    def run(self) -> None:
        while self.should_keep_running():
            for event in self.read_events():
                self.handle_event(event)
            time.sleep(_REST_S)

    def handle_event(self, event: InotifyEvent) -> None:
        super().handle_event(event)
        if event.is_queue_overflow:
            self._on_overflow()


class _Observer(BaseObserver):
    def __init__(self, on_overflow: Callable[[], None]) -> None:
        self._kernel = _Kernel(on_overflow)
        self._kernel.start()
        # BaseObserver is annotated for emitters in general; its keyword arguments are those of the emitter
        # class.
        super().__init__(cast(type[EventEmitter], _PromptEmitter), inotify_fd=self._kernel)

    @property
    def is_hearing(self) -> bool:
        """Whether both threads that every event passes through live."""
        return self.is_alive() and self._kernel.is_alive()

    def watches(self, watch: ObservedWatch) -> bool:
        """Whether the thread of this watch lives."""
        emitter = self._emitter_for_watch.get(watch)
        return emitter is not None and emitter.is_alive()

    def on_thread_stop(self) -> None:
        super().on_thread_stop()
        self._kernel.stop()
        self._kernel.join(_JOIN_S)


@dataclass(frozen=True, slots=True)
class _Watched:
    watch: ObservedWatch
    device: int
    inode: int


@dataclass(slots=True)
class _Backoff:
    """When an observer may be built again."""

    delay_s: float = 0.0
    due_s: float = 0.0

    def failed(self, now_s: float) -> None:
        self.delay_s = min(_MOST_BACKOFF_S, max(_LEAST_BACKOFF_S, 2 * self.delay_s))
        self.due_s = now_s + self.delay_s


@dataclass(slots=True)
class Watch:
    """Keeps one watch per directory while the directory is there; what it cannot watch must be polled."""

    dirty: DirtySet
    clock: Callable[[], float] = time.monotonic
    restarts: int = 0
    """Observers built again, and watches put back, after they had died."""
    _closed: bool = False
    _observer: _Observer | None = None
    _watched: dict[str, _Watched] = field(default_factory=dict)
    _unwatched: dict[str, int] = field(default_factory=dict)
    """Directories that are there and cannot be watched, with the error's number."""
    _limit: int = 0
    """Why there is no observer, as an error's number."""
    _backoff: _Backoff = field(default_factory=_Backoff)

    def follow(self, directories: Iterable[str]) -> frozenset[str]:
        """Watch these and no others, repair what has died; the answer is the directories to list afresh.

        Blocking; called by one thread at a time. Directories that are not there are left out until the next
        call.
        """
        wanted = dict.fromkeys(directories)
        observer = self._living_observer()
        if observer is None:
            self._unwatched = {path: self._limit for path in wanted if Path(path).is_dir()}
            return frozenset()
        for path in [path for path in self._watched if path not in wanted or not self._holds(observer, path)]:
            self._drop(observer, path)
        unwatched: dict[str, int] = {}
        added = set()
        for path in wanted:
            if path not in self._watched:
                number = self._add(observer, path)
                if number is None:
                    added.add(path)
                elif number != errno.ENOENT:
                    unwatched[path] = number
        self._unwatched = unwatched
        return frozenset(added)

    @property
    def mode(self) -> Literal["inotify", "polling"]:
        return "polling" if self._limit or self._unwatched else "inotify"

    @property
    def alive(self) -> bool:
        """False while an observer is dead and not yet built again; polling needs none."""
        return self._observer is None or self._observer.is_hearing

    def problems(self) -> tuple[str, ...]:
        """Why it polls, in a line without paths."""
        numbers = sorted(set(self._unwatched.values()) | ({self._limit} if self._limit else set()))
        return tuple(f"{_reason(number)}: polling instead of watching" for number in numbers)

    def close(self) -> None:
        """End all threads, and have no new ones."""
        self._closed = True
        self._discard()

    def _discard(self) -> None:
        observer, self._observer = self._observer, None
        self._watched.clear()
        if observer is not None:
            # Its locks may be held by somebody who is stuck in a file system: not for us to wait for.
            stopping = threading.Thread(target=observer.stop, name="stop-watching", daemon=True)
            stopping.start()
            stopping.join(_JOIN_S)
            observer.join(_JOIN_S)

    def _living_observer(self) -> _Observer | None:
        if self._observer is not None and self._observer.is_hearing:
            return self._observer
        if self._observer is not None:
            self.restarts += 1
            self._limit = _DIED
            self._discard()
        if self._closed:
            return None
        now_s = self.clock()
        if now_s < self._backoff.due_s:
            return None
        # One that is built and dies at once must wait too; one that has lived for long is built again at
        # once.
        if now_s - self._backoff.due_s > _MOST_BACKOFF_S:
            self._backoff = _Backoff()
        self._backoff.failed(now_s)
        try:
            observer = _Observer(self.dirty.on_overflow)
            observer.start()
        except OSError as error:
            self._limit = error.errno or errno.EIO
            return None
        except RuntimeError:  # no thread to be had
            self._limit = errno.EAGAIN
            return None
        self._limit = 0
        self._observer = observer
        return observer

    def _holds(self, observer: _Observer, path: str) -> bool:
        watched = self._watched[path]
        try:
            status = Path(path).stat()
        except OSError:
            return False
        if (status.st_dev, status.st_ino) != (watched.device, watched.inode):
            return False
        if observer.watches(watched.watch):
            return True
        self.restarts += 1
        return False

    def _drop(self, observer: _Observer, path: str) -> None:
        with contextlib.suppress(KeyError):
            observer.unschedule(self._watched.pop(path).watch)

    def _add(self, observer: _Observer, path: str) -> int | None:
        """None, or the number of the error that kept it from being watched."""
        try:
            # watchdog takes a directory that may not be read for watched, so try that first.
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                status = os.fstat(descriptor)
            finally:
                os.close(descriptor)
            watch = observer.schedule(self.dirty, path, event_filter=_EVENTS)
        except NotADirectoryError:
            return errno.ENOENT
        except OSError as error:
            return error.errno or errno.EIO
        except RuntimeError:  # no thread to be had
            return errno.EAGAIN
        self._watched[path] = _Watched(watch, status.st_dev, status.st_ino)
        return None


def _reason(number: int) -> str:
    match number:
        case errno.ENOSPC:
            return "inotify watch limit reached (fs.inotify.max_user_watches)"
        case errno.EMFILE | errno.ENFILE:
            return "inotify instance or descriptor limit reached (fs.inotify.max_user_instances, ulimit -n)"
        case errno.EACCES:
            return "a sessions directory is not readable"
        case _:
            return f"file watching failed ({errno.errorcode.get(number, 'thread died')})"
