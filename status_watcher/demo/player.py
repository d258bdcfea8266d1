"""Play a recorded OpenClaw session into a state directory, as the gateway wrote it, at the pace it had.

Growth, rewrites in place, renames and the store's temp-and-rename are reproduced; long pauses are shortened
and every timestamp is moved so that the session happens now. `plan` decides, without a clock or a disk;
`play` performs.

Not reproduced: lock files, trajectory files, the sub-agent registry, and bytes that nobody recorded because
the gateway cut them off again (heartbeats of 2026.2.26 and 2026.3.31). Minutes written out in a prompt's
text stay.
"""

import asyncio
import os
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Final, assert_never

import orjson

from status_watcher.demo.captures import Capture, Entry, FileEvent
from status_watcher.demo.recast import Cast, PlayOptions, Recast, Route, time_map

__all__ = ["Cast", "PlayOptions", "Played", "ReplayMismatchError", "Route", "Step", "Stores", "plan", "play"]

_WHOLE_FILE_WRITERS: Final = "2026.7"
"""From this version on the gateway flushes several lines in one write and rewrites files with O_TRUNC; older
ones append line by line and cut files off with ftruncate (seen in recordings of 2026.2.26, 2026.3.31 and
2026.7.1)."""


@dataclass(frozen=True, slots=True)
class Append:
    """One write at the end of a transcript, which the first creates; it is `size_bytes` long afterwards."""

    at_s: float
    path: PurePosixPath
    data: bytes
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Truncate:
    """A transcript is cut to `size_bytes` in place: the same inode, as O_TRUNC or ftruncate leave it."""

    at_s: float
    path: PurePosixPath
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Replace:
    """A transcript is replaced by rename, hence a new inode (repair, 2026.7.1)."""

    at_s: float
    path: PurePosixPath
    data: bytes
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Rename:
    """A transcript becomes an archive (`.reset.`, `.deleted.`) of the same size and inode."""

    at_s: float
    path: PurePosixPath
    to: PurePosixPath
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Delete:
    """A file goes."""

    at_s: float
    path: PurePosixPath


@dataclass(frozen=True, slots=True)
class SaveStore:
    """sessions.json is written beside and renamed over: the given entries set, the given keys dropped."""

    at_s: float
    path: PurePosixPath
    entries: dict[str, Entry]
    dropped: tuple[str, ...]


Step = Append | Truncate | Replace | Rename | Delete | SaveStore


@dataclass(frozen=True, slots=True)
class Played:
    """What was performed: `started_ms` is the moment (epoch ms) that the recording's start became."""

    started_ms: int
    steps: int
    files: tuple[Path, ...]
    """Every file that the recording left behind, the store included."""


class ReplayMismatchError(Exception):
    """A file has not the size that the recording says: something else writes here, or a capture is broken."""


def plan(
    capture: Capture, options: PlayOptions, *, start_ms: int, state_dir: Path, cast: Cast | None = None
) -> tuple[Step, ...]:
    """What to do when, in order, if the recording's start is at `start_ms` (epoch ms).

    Transcripts that were there before come first, at second 0. A timestamp keeps its length, so that sizes
    hold.
    """
    clock = time_map(capture, options)
    shifted_ms = start_ms if options.shift_to_now else None
    recast = Recast(capture, clock, cast or Cast(), shifted_ms, str(state_dir))
    transcripts = _Transcripts(capture, recast)
    timed: list[tuple[int, Step]] = [(0, step) for step in transcripts.initial()]
    left: FileEvent | None = None
    for event in capture.events:
        timed += [(event.t_ms, step) for step in transcripts.steps(event, left, clock.seconds(event.t_ms))]
        left = event if event.event == "moved_from" else None
    store = PurePosixPath("agents", capture.agent, "sessions", "sessions.json")
    for change in capture.store:
        entries = {recast.key(key): recast.entry(key, entry) for key, entry in change.entries.items()}
        dropped = tuple(recast.key(key) for key in change.dropped)
        timed.append((change.t_ms, SaveStore(clock.seconds(change.t_ms), store, entries, dropped)))
    return tuple(step for _, step in sorted(timed, key=lambda pair: pair[0]))


class _Transcripts:
    """Turns events of transcripts into steps by following what stands on disk."""

    def __init__(self, capture: Capture, recast: Recast) -> None:
        self._capture = capture
        self._recast = recast
        self._whole_file = capture.version >= _WHOLE_FILE_WRITERS
        self._played = {name: recast.content(data) for name, data in capture.files.items()}
        self._disk: dict[PurePosixPath, bytes] = {}
        self._created: PurePosixPath | None = None
        self._renamed_to = {
            left.path: arrived.path
            for left, arrived in pairwise(capture.events)
            if (left.event, arrived.event) == ("moved_from", "moved_to")
        }

    def initial(self) -> list[Step]:
        steps: list[Step] = []
        for path, size_bytes in self._capture.initial_bytes.items():
            self._disk[path] = self._content(path, None)[:size_bytes]
            steps.append(Append(0.0, self._recast.path(path), self._disk[path], size_bytes))
        return steps

    def steps(self, event: FileEvent, left: FileEvent | None, at_s: float) -> list[Step]:
        just_created, self._created = self._created, None
        match event.event:
            case "moved_from":
                return []
            case "moved_to" if left is not None:
                data = self._disk.pop(left.path)
                self._disk[event.path] = data
                return [Rename(at_s, self._recast.path(left.path), self._recast.path(event.path), len(data))]
            case "moved_to":
                data = self._target(event)
                self._disk[event.path] = data
                return [Replace(at_s, self._recast.path(event.path), data, len(data))]
            case "delete":
                del self._disk[event.path]
                return [Delete(at_s, self._recast.path(event.path))]
            case "create" | "modify":
                if event.size_bytes is None:
                    return []
                if event.event == "create":
                    self._created = event.path
                return self._written(event, self._target(event), at_s, create_seen=just_created == event.path)
            case _:
                assert_never(event.event)

    def _written(self, event: FileEvent, target: bytes, at_s: float, *, create_seen: bool) -> list[Step]:
        path = self._recast.path(event.path)
        held = self._disk.get(event.path)
        self._disk[event.path] = target
        if held is None or (target != held and target.startswith(held)):
            return self._appends(path, held or b"", target, at_s)
        if target == held and (create_seen or not self._whole_file):
            return []  # the event of a write whose size an earlier event already showed
        if held.startswith(target) and not self._whole_file:
            return [Truncate(at_s, path, len(target))]
        rewrite: list[Step] = [Truncate(at_s, path, 0)]
        return rewrite + (self._appends(path, b"", target, at_s) if target else [])

    def _appends(self, path: PurePosixPath, held: bytes, target: bytes, at_s: float) -> list[Step]:
        added = target[len(held) :]
        writes = [added] if self._whole_file or not added else added.splitlines(keepends=True)
        steps: list[Step] = []
        size_bytes = len(held)
        for data in writes:
            size_bytes += len(data)
            steps.append(Append(at_s, path, data, size_bytes))
        return steps

    def _target(self, event: FileEvent) -> bytes:
        if event.size_bytes == 0:
            return b""
        return self._content(event.path, event.content)[: event.size_bytes]

    def _content(self, path: PurePosixPath, content: str | None) -> bytes:
        return self._played[content or str(self._renamed_to.get(path, path))]


class Stores:
    """The sessions.json of each agent, shared by recordings that play at once in one directory."""

    def __init__(self) -> None:
        self._entries: dict[Path, dict[str, Entry]] = {}

    def save(self, path: Path, entries: Mapping[str, Entry], dropped: tuple[str, ...]) -> None:
        """Change the store and write it as the gateway does: a file of mode 0600, renamed over it."""
        held = self._entries.setdefault(path, {})
        held.update(entries)
        for key in dropped:
            held.pop(key, None)
        content = orjson.dumps(held, option=orjson.OPT_INDENT_2)
        _write_beside(path, content, kind="")
        _expect(path, len(content))


async def play(
    capture: Capture,
    state_dir: Path,
    options: PlayOptions,
    *,
    cast: Cast | None = None,
    stores: Stores | None = None,
    on_step: Callable[[Step], None] | None = None,
) -> Played:
    """Perform the recording in `state_dir`; recordings that play at once in one directory share one `stores`.

    Raises `ReplayMismatchError` if after a step a file has not the recorded size.
    """
    stores = stores or Stores()
    started_ms = time.time_ns() // 1_000_000
    steps = plan(capture, options, start_ms=started_ms, state_dir=state_dir, cast=cast)
    loop = asyncio.get_running_loop()
    started_s = loop.time()
    paths: set[Path] = set()
    for step in steps:
        delay_s = started_s + step.at_s - loop.time()
        if delay_s > 0:
            await asyncio.sleep(delay_s)
        _perform(step, state_dir, stores)
        paths.add(state_dir / (step.to if isinstance(step, Rename) else step.path))
        if on_step is not None:
            on_step(step)
    return Played(started_ms, len(steps), tuple(sorted(path for path in paths if path.exists())))


def _perform(step: Step, state_dir: Path, stores: Stores) -> None:
    path = state_dir / step.path
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    match step:
        case Append(data=data):
            with path.open("ab", buffering=0) as file:
                file.write(data)
            _expect(path, step.size_bytes)
        case Truncate():
            os.truncate(path, step.size_bytes)
            _expect(path, step.size_bytes)
        case Replace(data=data):
            _write_beside(path, data, kind=".repair")
            _expect(path, step.size_bytes)
        case Rename(to=to):
            path.rename(state_dir / to)
            _expect(state_dir / to, step.size_bytes)
        case Delete():
            path.unlink()
        case SaveStore(entries=entries, dropped=dropped):
            stores.save(path, entries, dropped)
        case _:
            assert_never(step)


def _write_beside(path: Path, content: bytes, *, kind: str) -> None:
    beside = path.with_name(f"{path.name}{kind}.{os.getpid()}.{uuid.uuid4()}.tmp")
    beside.touch(mode=0o600)
    beside.write_bytes(content)
    beside.replace(path)


def _expect(path: Path, size_bytes: int) -> None:
    found = path.stat().st_size
    if found != size_bytes:
        raise ReplayMismatchError(f"{path.name}: {found} bytes where the recording has {size_bytes}")
