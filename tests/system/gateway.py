"""A gateway that a test conducts: sessions whose transcript and store entry are written line by line.

The forms are those of OpenClaw 2026.7.1, as in the captures, with the fields alone that matter here.
"""

import itertools
import os
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from status_watcher.demo.player import Stores

_KEYS = itertools.count(1)


class Gateway:
    """The sessions of one agent below an OpenClaw state directory, and their sessions.json."""

    def __init__(self, openclaw: Path, agent: str = "main") -> None:
        self.agent = agent
        self.sessions_dir = openclaw / "agents" / agent / "sessions"
        self.sessions_dir.mkdir(parents=True, exist_ok=True)
        self.index = self.sessions_dir / "sessions.json"
        self._stores = Stores()

    def session(self, channel_id: str = "", *, root_id: str = "", user_id: str = "") -> "Session":
        """A new session that talks to a channel, a thread in it, or a person; else not to Mattermost."""
        key, told = f"agent:{self.agent}:chat-{next(_KEYS)}", {}
        if channel_id:
            key = f"agent:{self.agent}:mattermost:channel:{channel_id}"
            key += f":thread:{root_id}" if root_id else ""
        elif user_id:
            key += "-direct"
            told = {"channel": "mattermost", "to": f"user:{user_id}", "accountId": "default"}
        return Session(self, key, {"deliveryContext": told} if told else {})

    def save(self, key: str, entry: dict[str, Any]) -> None:
        """Write the entry into the store, as a rename over it."""
        self._stores.save(self.index, {key: entry}, ())

    def drop(self, key: str) -> None:
        self._stores.save(self.index, {}, (key,))


class Session:
    """One session; a method is one line of its transcript unless it says otherwise."""

    def __init__(self, gateway: Gateway, key: str, told: dict[str, Any]) -> None:
        self.gateway = gateway
        self.key = key
        self.id = str(uuid.uuid4())
        self.path = gateway.sessions_dir / f"{self.id}.jsonl"
        self._told = told
        self._entries = itertools.count(1)
        self._last_id: str | None = None
        self._started_ms = 0

    # A turn, in its usual steps

    def begin(
        self, request: str = "Please look after it", command: str = "sleep 600", *, started_s_ago: float = 0
    ) -> str:
        """The store says running, a person asks, the agent runs a command; the id of the call."""
        self.store(status="running", started_s_ago=started_s_ago)
        self.ask(request)
        return self.call("exec", command=command)

    def finish(self, call_id: str, words: str = "All done.") -> None:
        """The command succeeds, the agent answers, the store says done."""
        self.result(call_id)
        self.answer(words)
        self.store(status="done")

    def store(self, *, status: str, started_s_ago: float = 0) -> None:
        """The session's entry in sessions.json."""
        now_ms = _now_ms()
        entry: dict[str, Any] = {
            "sessionId": self.id,
            "updatedAt": now_ms,
            "sessionFile": str(self.path),
            **self._told,
        }
        if status == "running":
            self._started_ms = now_ms - round(started_s_ago * 1000)
        else:
            entry["endedAt"] = now_ms
        self.gateway.save(self.key, entry | {"status": status, "startedAt": self._started_ms})

    # Lines

    def ask(self, text: str) -> None:
        self._message({"role": "user", "content": text})

    def call(self, tool: str, words: str = "", **arguments: Any) -> str:
        """The agent calls a tool, after some words if there are any; the id of the call."""
        call_id = f"call_{next(self._entries)}"
        blocks: list[dict[str, Any]] = [{"type": "text", "text": words}] if words else []
        blocks.append({"type": "toolCall", "id": call_id, "name": tool, "arguments": arguments})
        self._assistant(blocks, "toolUse")
        return call_id

    def result(self, call_id: str, text: str = "ok", *, exit_code: int = 0, tool: str = "exec") -> None:
        self._message(
            {
                "role": "toolResult",
                "toolCallId": call_id,
                "toolName": tool,
                "content": [{"type": "text", "text": text}],
                "details": {
                    "status": "completed",
                    "exitCode": exit_code,
                    "exitSignal": None,
                    "durationMs": 12,
                },
                "isError": exit_code != 0,
            }
        )

    def answer(self, words: str) -> None:
        """The final line of a turn."""
        self._assistant([{"type": "text", "text": words}], "stop")

    def raw(self, data: bytes) -> None:
        """Bytes at the end of the transcript, whatever they are; its header comes with the first."""
        if not self.path.exists():
            header = {
                "type": "session",
                "version": 3,
                "id": self.id,
                "timestamp": _iso(_now_ms()),
                "cwd": "/",
            }
            data = _line(header) + data
        with self.path.open("ab", buffering=0) as file:
            file.write(data)

    def line(self, entry: dict[str, Any]) -> bytes:
        """An entry with id and time as the next line would have them, not written."""
        entry_id = f"{next(self._entries):08x}"
        stamped = entry | {"id": entry_id, "parentId": self._last_id, "timestamp": _iso(_now_ms())}
        self._last_id = entry_id
        return _line(stamped)

    # The end of a session

    def archive(self, how: str) -> Path:
        """The transcript becomes `.reset.` or `.deleted.`, and the entry goes or belongs to a new session."""
        moment = f"{datetime.now(UTC):%Y-%m-%dT%H-%M-%S}.000Z"
        archived = self.path.with_name(f"{self.path.name}.{how}.{moment}")
        self.path.rename(archived)
        if how == "deleted":
            self.gateway.drop(self.key)
        else:
            self.gateway.save(
                self.key, {"sessionId": str(uuid.uuid4()), "updatedAt": _now_ms(), **self._told}
            )
        return archived

    def _assistant(self, blocks: list[dict[str, Any]], stop: str) -> None:
        usage = {"input": 100, "output": 10, "totalTokens": 110}
        self._message(
            {
                "role": "assistant",
                "content": blocks,
                "provider": "mock",
                "model": "m",
                "usage": usage,
                "stopReason": stop,
            }
        )

    def _message(self, message: dict[str, Any]) -> None:
        self.raw(self.line({"type": "message", "message": message | {"timestamp": _now_ms()}}))


def tear(path: Path, content: bytes) -> None:
    """Write a file in place, as an editor or a full disk would leave it: no rename."""
    with path.open("wb", buffering=0) as file:
        file.write(content)
        os.fsync(file.fileno())


def _line(entry: dict[str, Any]) -> bytes:
    return orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _iso(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%dT%H:%M:%S}.{at_ms % 1000:03}Z"
