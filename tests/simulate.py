"""Plays a capture through the pure board: no process, no clock, no sleep."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import orjson
import recorded_rows
from recorded_rows import Commit, DatabaseCapture, EventRow

from status_watcher.core.board import Board, BoardSettings
from status_watcher.core.elsewhere import ApprovalRow, ApprovalStatus
from status_watcher.core.index import Index, parse_index
from status_watcher.core.labels import Labels, load_labels
from status_watcher.core.pen import Pen
from status_watcher.core.redact import Redactor
from status_watcher.core.render import Limits
from status_watcher.core.store_rows import Birth, NodeRow, copied_until_ms, entry_of
from status_watcher.core.transcript import Header, parse_line
from status_watcher.core.tree import Rules
from status_watcher.demo.captures import Capture
from status_watcher.demo.player import (
    Append,
    Delete,
    PlayOptions,
    Rename,
    Replace,
    SaveStore,
    Step,
    Truncate,
    plan,
)
from status_watcher.edge.bundled import read_tool_labels
from status_watcher.model import AgentId, Box, BoxId, ChannelId, SessionId, SessionKey, ToolCallId
from status_watcher.source import IndexSeen, Lines, News, Reading, TranscriptGone

MAIN = AgentId("main")
DEFAULT_CHANNEL = ChannelId("defaultchannelxxxxxxxxxxxx")


def labels() -> Labels:
    loaded = load_labels(read_tool_labels())
    assert isinstance(loaded, Labels)
    return loaded


def board(run_started_ms: int, **changes: object) -> Board:
    settings = {
        "rules": Rules(run_started_ms=run_started_ms),
        "limits": Limits(15, 15_000),
        "default_channel": DEFAULT_CHANNEL,
        "most_open": 20,
    } | changes
    return Board(BoardSettings(**settings), labels(), Pen(Redactor()))


@dataclass
class Played:
    """What the channel saw: per box its texts in order, the last being final; and boxes taken back."""

    texts: dict[BoxId, list[str]] = field(default_factory=dict)
    final: dict[BoxId, Box] = field(default_factory=dict)
    withdrawn: list[BoxId] = field(default_factory=list)


class Player:
    """Feeds news at given times and lets the board's own wake-ups happen in between."""

    def __init__(self, a_board: Board, start_ms: int) -> None:
        self.board = a_board
        self.now_ms = start_ms
        self.seen = Played()
        self.afterwards: Callable[[], None] = lambda: None
        """What else happens whenever the board has concluded."""

    def at(self, at_ms: int, *news: News) -> None:
        self.until(at_ms)
        for one in news:
            self.board.take(one, self.now_ms)
        self._advance()

    def until(self, at_ms: int) -> None:
        while (wake_ms := self.board.next_wake_ms()) is not None and wake_ms <= at_ms:
            self.now_ms = max(self.now_ms, wake_ms)
            self._advance()
        self.now_ms = max(self.now_ms, at_ms)

    def _advance(self) -> None:
        self.board.advance(self.now_ms)
        changes = self.board.take_changes()
        for old, new in changes.renamed:
            if old in self.seen.texts:
                self.seen.texts[new] = self.seen.texts.pop(old)
                self.seen.final[new] = self.seen.final.pop(old)
        for gone in changes.withdrawn:
            self.seen.withdrawn.append(gone)
            self.seen.texts.pop(gone, None)
            self.seen.final.pop(gone, None)
        for touched, _ in changes.touched:
            box = self.board.render(touched)
            assert box is not None
            self.seen.final[touched] = box
            texts = self.seen.texts.setdefault(touched, [])
            if not texts or texts[-1] != box.text:
                texts.append(box.text)
        self.afterwards()


class Disk:
    """What the steps of a replay leave on disk, told as a source would tell it."""

    def __init__(self) -> None:
        self._files: dict[PurePosixPath, bytes] = {}
        self._read: dict[PurePosixPath, int] = {}
        self._store: dict[str, dict] = {}

    def news(self, step: Step) -> list[News]:
        match step:
            case Append(_, path, data, _):
                self._files[path] = self._files.get(path, b"") + data
                return self._look(path)
            case Truncate(_, path, size):
                self._files[path] = self._files[path][:size]
                return self._look(path)
            case Replace(_, path, data, _):
                self._files[path] = data
                return self._look(path, again=True)
            case Rename(_, path, to, _):
                data = self._files.pop(path)
                self._read.pop(path, None)
                how = "reset" if ".reset." in to.name else "deleted"
                return [TranscriptGone(MAIN, self._session(path, data), how)]
            case Delete(_, path):
                data = self._files.pop(path)
                return [TranscriptGone(MAIN, self._session(path, data), "missing")]
            case SaveStore(_, _, entries, dropped):
                self._store |= entries
                for key in dropped:
                    self._store.pop(key, None)
                return [self.look_at_store()]

    def look_at_store(self) -> IndexSeen:
        parsed = parse_index(orjson.dumps(self._store))
        assert isinstance(parsed, Index)
        return IndexSeen(MAIN, parsed.entries)

    def _look(self, path: PurePosixPath, *, again: bool = False) -> list[News]:
        if not path.name.endswith(".jsonl"):
            return []
        data = self._files[path]
        offset = self._read.get(path)
        reading = Reading.MORE
        if offset is None:
            offset, reading = 0, Reading.FIRST
        elif again or len(data) < offset:
            offset, reading = 0, Reading.AGAIN
        end = data.rfind(b"\n") + 1
        self._read[path] = end
        lines = tuple(data[offset:end].split(b"\n")[:-1])
        return [Lines(MAIN, self._session(path, data), lines, reading)] if lines else []

    @staticmethod
    def _session(path: PurePosixPath, data: bytes) -> SessionId:
        header = parse_line(data.partition(b"\n")[0])
        return header.session_id if isinstance(header, Header) else SessionId(path.name.split(".")[0])


class Tables:
    """What the commits of a replay leave in a database, told as a source would tell it."""

    def __init__(self) -> None:
        self._nodes: dict[str, recorded_rows.NodeRow] = {}
        self._events: dict[str, list[EventRow]] = {}

    def news(self, commit: Commit) -> list[News]:
        nodes = [row for row in commit.rows if isinstance(row, recorded_rows.NodeRow)]
        self._nodes |= {row.key: row for row in nodes}
        news: list[News] = [self.look_at_store()] if nodes else []
        added: dict[str, list[EventRow]] = {}
        for row in commit.rows:
            if isinstance(row, EventRow):
                added.setdefault(row.session_id, []).append(row)
        for session_id, rows in added.items():
            reading = Reading.MORE if session_id in self._events else Reading.FIRST
            self._events.setdefault(session_id, []).extend(rows)
            lines = tuple(orjson.dumps(row.event) for row in rows)
            copied_ms = copied_until_ms(self._birth(session_id)) if reading is Reading.FIRST else 0
            news.append(Lines(MAIN, SessionId(session_id), lines, reading, copied_until_ms=copied_ms))
        return news

    def look_at_store(self) -> IndexSeen:
        entries = [
            entry_of(
                NodeRow(
                    SessionKey(row.key),
                    SessionId(row.session_id),
                    orjson.dumps(row.entry),
                    row.updated_at_ms,
                    status=row.status or "",
                    label=row.entry.get("label", ""),
                    spawned_by=row.spawned_by or "",
                    parent_key=row.parent_key or "",
                    fork_source_id=row.entry.get("forkSource", {}).get("sessionId", ""),
                )
            )
            for row in self._nodes.values()
        ]
        return IndexSeen(MAIN, {entry.key: entry for entry in entries if entry is not None})

    def _birth(self, session_id: str) -> Birth | None:
        rows = self._events[session_id]
        forks = [row.entry.get("forkSource") for row in self._nodes.values() if row.session_id == session_id]
        sources = [fork["sessionId"] for fork in forks if fork]
        known = {row.event.get("id") for source in sources for row in self._events.get(source, ())}
        if len(rows) < 2:
            return None
        return Birth(
            rows[0].created_at_ms,
            rows[1].created_at_ms,
            tuple(SessionId(source) for source in sources),
            rows[1].event["id"] in known if known else None,
        )


def play(
    capture: Capture, after_s: float = 120, options: PlayOptions | None = None, **settings: object
) -> Played:
    """The boxes of a capture replayed into a running daemon's board, with the pauses of the real replay."""
    options = options or PlayOptions()
    start_ms = 1_800_000_000_000
    player = Player(board(start_ms - 1000, **settings), start_ms - 1000)
    store: Tables | Disk
    if isinstance(capture, DatabaseCapture):
        store = _play_rows(capture, player, start_ms, options)
    else:
        store = _play_files(capture, player, start_ms, options)
    end_ms = player.now_ms
    for look_s in range(5, int(after_s) + 1, 5):
        player.at(end_ms + look_s * 1000, store.look_at_store())
    return player.seen


def _play_files(capture: Capture, player: Player, start_ms: int, options: PlayOptions) -> Disk:
    steps = plan(capture, options, start_ms=start_ms, state_dir=Path("/state"))
    disk = Disk()
    existing = [s for s in steps if s.at_s == 0 and isinstance(s, Append)]
    for step in steps:
        at_ms = start_ms - 500 if step in existing else start_ms + round(step.at_s * 1000)
        player.at(at_ms, *disk.news(step))
    return disk


def _play_rows(capture: DatabaseCapture, player: Player, start_ms: int, options: PlayOptions) -> Tables:
    tables, asked = Tables(), {}
    commits = recorded_rows.plan(capture, options, start_ms=start_ms, state_dir=Path("/state"))
    rows = recorded_rows.plan_approvals(capture, options, start_ms=start_ms, state_dir=Path("/state"))
    for at_s, step in sorted([*((c.at_s, c) for c in commits), *rows], key=lambda step: step[0]):
        at_ms = start_ms + round(at_s * 1000)
        if isinstance(step, recorded_rows.ApprovalRow):
            asked[step.columns["approval_id"]] = step.columns
            player.until(at_ms)
            player.board.hear_of_approvals([approval(columns) for columns in asked.values()])
            player.at(at_ms)
        else:
            player.at(at_ms, *tables.news(step))
    return tables


def approval(columns: dict) -> ApprovalRow:
    return ApprovalRow(
        SessionKey(columns["source_session_key"]),
        ToolCallId(columns["source_tool_call_id"]),
        ApprovalStatus(columns["status"]),
        columns["created_at_ms"],
        columns["expires_at_ms"],
    )
