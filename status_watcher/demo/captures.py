"""Recorded OpenClaw sessions as they stand on disk: what a capture holds, and the three that the demo plays.

A capture is a folder: `timeline.json` (what happened to the transcripts and when), `store.jsonl` (what each
rename of sessions.json changed), the transcripts as they were at the end under `agents/`, and under
`earlier/` the former content of a transcript that was rewritten with other lines.
tests/data/openclaw/README.md tells how they were made.
"""

from dataclasses import dataclass
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import Any, Final, Literal, cast

import orjson

Event = Literal["create", "modify", "moved_from", "moved_to", "delete"]
Entry = dict[str, Any]
"""An entry of sessions.json, opaque to the player but for its routing fields."""

DEMO: Final = ("subagents-two", "compact-command", "tools")
STATE_DIR: Final = "/home/node/.openclaw"
"""The state directory that absolute paths in captures name."""


@dataclass(frozen=True, slots=True)
class FileEvent:
    """One inotify event of a transcript, `t_ms` after the start; `size_bytes` is None for lost bytes."""

    t_ms: int
    event: Event
    path: PurePosixPath
    size_bytes: int | None
    content: str | None
    """The recorded file that holds the bytes, where it is not the transcript itself."""


@dataclass(frozen=True, slots=True)
class StoreChange:
    """One rename of sessions.json: entries set and keys dropped since the one before, often none."""

    t_ms: int
    entries: dict[str, Entry]
    dropped: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Capture:
    """A recorded scenario; paths are relative to the state directory, times in ms since `start_epoch_ms`."""

    name: str
    version: str
    start_epoch_ms: int
    duration_ms: int
    initial_bytes: dict[PurePosixPath, int]
    """Transcripts that existed when the recording began, and their size then."""
    events: tuple[FileEvent, ...]
    store: tuple[StoreChange, ...]
    files: dict[str, bytes]
    """Recorded content by relative path: transcripts under the name they had at the end, and `earlier/…`."""

    @property
    def agent(self) -> str:
        """The agent whose sessions these are; a recording holds one agent's."""
        path = next(iter(self.initial_bytes), None) or self.events[0].path
        return path.parts[1]


def load(folder: Path) -> Capture:
    """Read a capture from its folder; a missing or malformed file is a bug of the package and raises."""
    timeline = orjson.loads((folder / "timeline.json").read_bytes())
    changes = [orjson.loads(line) for line in (folder / "store.jsonl").read_bytes().splitlines()]
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*.jsonl*"))
        if path.parent != folder
    }
    return Capture(
        name=timeline["scenario"],
        version=timeline["version"],
        start_epoch_ms=timeline["start_epoch_ms"],
        duration_ms=timeline["duration_ms"],
        initial_bytes={PurePosixPath(path): size for path, size in timeline["initial"].items()},
        events=tuple(_event(row) for row in timeline["events"]),
        store=tuple(StoreChange(row["t"], row.get("set", {}), tuple(row.get("drop", ()))) for row in changes),
        files=files,
    )


def load_demo(name: str) -> Capture:
    """Read one of the `DEMO` captures, which travel inside the package."""
    with resources.as_file(resources.files("status_watcher.demo") / "captures" / name) as folder:
        return load(folder)


def _event(row: dict[str, Any]) -> FileEvent:
    return FileEvent(
        row["t"], cast("Event", row["ev"]), PurePosixPath(row["path"]), row.get("size"), row.get("content")
    )
