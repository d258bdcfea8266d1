"""An OpenClaw state directory made for a benchmark: transcripts that are written to live, and their index.

Lines and entries have the fields, and about the lengths, of those that 2026.7.1 wrote in the capture `tools`.
"""

import os
import sys
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from store_writer import StoreWriter


@dataclass(slots=True)
class LiveSession:
    """One agent session at work: each line is written at once, as the gateway does."""

    number: int
    directory: Path
    id: str = ""
    _parent: str | None = None
    _entries: int = 0
    _calls: int = 0
    _started_ms: int = 0
    _file: int = field(default=-1)

    def __post_init__(self) -> None:
        self.id = str(uuid.UUID(int=self.number + 1, version=4))

    @property
    def path(self) -> Path:
        return self.directory / f"{self.id}.jsonl"

    def begin(self) -> None:
        """The header and a person's message."""
        self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._started_ms = _now_ms()
        header = {"type": "session", "version": 3, "id": self.id, "timestamp": _iso(self._started_ms)}
        os.write(self._file, orjson.dumps(header) + b"\n")
        self.ask()

    def ask(self) -> None:
        """A person's message, which begins a turn."""
        self.write(self._message({"role": "user", "content": "Do the file chores", "timestamp": _now_ms()}))

    def end_turn(self) -> None:
        """The model's last words."""
        said = [{"type": "text", "text": "The chores are done."}]
        self.write(
            self._message(
                {"role": "assistant", "content": said, "stopReason": "stop", "timestamp": _now_ms()}
            )
        )

    def call_line(self, command: str) -> bytes:
        """The model's line with a tool call, which the next `result_line` answers."""
        self._calls += 1
        call = {"type": "toolCall", "id": self._call_id(), "name": "exec", "arguments": {"command": command}}
        usage = {
            "input": 12753,
            "output": 40,
            "cacheRead": 0,
            "cacheWrite": 0,
            "totalTokens": 12793,
            "cost": {"input": 0.012753, "output": 8e-05, "cacheRead": 0, "cacheWrite": 0, "total": 0.012833},
        }
        return self._message(
            {
                "role": "assistant",
                "content": [{"type": "text", "text": "I will look around."}, call],
                "provider": "mock",
                "model": "scripted",
                "usage": usage,
                "stopReason": "toolUse",
                "timestamp": _now_ms(),
            }
        )

    def result_line(self) -> bytes:
        """The outcome of the last call."""
        details = {"status": "completed", "exitCode": 0, "exitSignal": None, "durationMs": 98}
        return self._message(
            {
                "role": "toolResult",
                "toolCallId": self._call_id(),
                "toolName": "exec",
                "content": [{"type": "text", "text": "one\ntwo"}],
                "details": details | {"exitReason": "exit", "cwd": "/home/node/.openclaw/workspace"},
                "isError": False,
                "timestamp": _now_ms(),
            }
        )

    def write(self, line: bytes) -> None:
        os.write(self._file, line)

    def close(self) -> None:
        os.close(self._file)

    def entry(self, channel_id: str, *, running: bool = True) -> dict[str, Any]:
        """What sessions.json says of it; it talks to a Mattermost channel."""
        now_ms = self._started_ms or _now_ms()
        place = {"channel": "mattermost", "to": f"channel:{channel_id}", "accountId": "default"}
        entry = {
            "sessionId": self.id,
            "updatedAt": now_ms,
            "sessionStartedAt": now_ms,
            "lastInteractionAt": now_ms,
            "systemSent": True,
            "abortedLastRun": False,
            "chatType": "channel",
            "deliveryContext": place,
            "lastChannel": "mattermost",
            "lastTo": place["to"],
            "compactionCount": 0,
            "sessionFile": str(self.path),
            "status": "running" if running else "done",
            "startedAt": now_ms,
        }
        return entry if running else entry | {"endedAt": now_ms, "runtimeMs": 2874}

    def _call_id(self) -> str:
        return f"call_{self.number}_{self._calls}"

    def _message(self, message: dict[str, Any]) -> bytes:
        entry_id = f"{self._entries:08x}"
        line = {"type": "message", "id": entry_id, "parentId": self._parent, "timestamp": _iso(_now_ms())}
        self._parent, self._entries = entry_id, self._entries + 1
        return orjson.dumps(line | {"message": message}) + b"\n"


class LiveRows(LiveSession):
    """The same in an agent's database: each line is one commit, with what a gateway writes beside it."""

    def __init__(self, number: int, writer: StoreWriter) -> None:
        super().__init__(number, writer.path.parent)
        self._writer = writer

    def begin(self) -> None:
        self._started_ms = _now_ms()
        header = {"type": "session", "version": 4, "id": self.id, "timestamp": _iso(self._started_ms)}
        self._writer.append(self.id, header)
        self.ask()

    def write(self, line: bytes) -> None:
        self._writer.append(self.id, orjson.loads(line))

    def close(self) -> None:
        """The writer is not ours."""

    def save(self, channel_id: str) -> None:
        """Its row among the agent's sessions."""
        key, entry = f"agent:rows:bench-{self.number}", self.entry(channel_id)
        self._writer.node(self.id, key, entry=entry, status="running")


def rows_writer(state_dir: Path) -> StoreWriter:
    """A writer of agent `rows`, whose sessions are in a database as of 2026.9.6."""
    return StoreWriter(state_dir / "agents/rows/agent/openclaw-agent.sqlite")


def sessions_directory(state_dir: Path) -> Path:
    """The sessions directory of agent `main`, made if it is not there."""
    directory = state_dir / "agents/main/sessions"
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def save_index(directory: Path, entries: Sequence[dict[str, Any]]) -> None:
    """Replace sessions.json, as the gateway does."""
    index = {f"agent:main:bench-{number}": entry for number, entry in enumerate(entries)}
    beside = directory / "sessions.json.tmp"
    beside.write_bytes(orjson.dumps(index, option=orjson.OPT_INDENT_2))
    beside.replace(directory / "sessions.json")


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _iso(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms // 1000, UTC):%Y-%m-%dT%H:%M:%S}.{at_ms % 1000:03}Z"
