"""What a fuzzer throws bytes at: each target takes any bytes, and must neither raise nor run on."""

from status_watcher.core.board import Board, BoardSettings
from status_watcher.core.index import Index, InvalidIndex, StoreEntry, StoreStatus, parse_index
from status_watcher.core.labels import Labels, load_labels
from status_watcher.core.pen import Pen
from status_watcher.core.redact import Redactor
from status_watcher.core.render import Limits
from status_watcher.core.session import Session
from status_watcher.core.transcript import Skipped, parse_line
from status_watcher.core.tree import Rules
from status_watcher.edge.bundled import read_tool_labels
from status_watcher.model import AgentId, Box, ChannelId, SessionId, SessionKey
from status_watcher.source import IndexSeen, Lines, News, Reading, TranscriptGone

AGENT = AgentId("main")
SESSION = SessionId("00000000-0000-0000-0000-000000000000")
CHANNEL = "chanpub1xxxxxxxxxxxxxxxxxx"
KEY = SessionKey(f"agent:main:mattermost:channel:{CHANNEL}")
NOW_MS = 1_795_200_000_000
"""Some hours after the recorded sessions."""
WAIT_MS = 60_000
MOST_WAKES = 200
"""In that time; beyond it the board would keep the loop busy."""

_loaded = load_labels(read_tool_labels())
assert isinstance(_loaded, Labels)
LABELS = _loaded


def board() -> Board:
    settings = BoardSettings(Rules(), Limits(15, 15_000), ChannelId("defaultchannelxxxxxxxxxxxx"), 20)
    return Board(settings, LABELS, Pen(Redactor()))


def read_line(data: bytes) -> None:
    """The bytes are one line."""
    entry = parse_line(data)
    if isinstance(entry, Skipped):
        assert entry.reason in {"not_json", "not_an_object", "wrong_fields"}


def fold_transcript(data: bytes) -> None:
    """The bytes are a transcript: folded as a backlog and as it grows, shown while it is there and later."""
    lines = tuple(data.split(b"\n"))
    session = Session(AGENT, SESSION, LABELS)
    for line in lines:
        session.fold_line(line, None)
    entry = StoreEntry(KEY, SESSION, status=StoreStatus.RUNNING, started_at_ms=NOW_MS)
    half = len(lines) // 2
    index = IndexSeen(AGENT, {KEY: entry})
    show(
        index,
        Lines(AGENT, SESSION, lines[:half], Reading.FIRST),
        Lines(AGENT, SESSION, lines[half:], Reading.MORE),
        Lines(AGENT, SESSION, lines, Reading.AGAIN),
        IndexSeen(AGENT, {}),
        TranscriptGone(AGENT, SESSION, "deleted"),
        IndexSeen(AGENT, {}),
    )


def read_index(data: bytes) -> None:
    """The bytes are a sessions.json, which names sessions that have transcripts, and some that have none."""
    index = parse_index(data)
    if isinstance(index, InvalidIndex):
        return
    assert isinstance(index, Index)
    assert index.skipped >= 0
    news: list[News] = [IndexSeen(AGENT, index.entries)]
    for number, entry in enumerate(index.entries.values()):
        if number % 2:
            news.append(Lines(AGENT, entry.session_id, (_A_CALL,), Reading.FIRST))
    show(*news, IndexSeen(AGENT, {}), IndexSeen(AGENT, index.entries))


def show(*news: News) -> None:
    """What the relay and the publisher do with news: conclude, wait, ask for every text."""
    shown = board()
    now_ms = NOW_MS
    for one in news:
        shown.take(one, now_ms)
        shown.advance(now_ms)
        _render(shown)
        until_ms, wakes = now_ms + WAIT_MS, 0
        while (wake_ms := shown.next_wake_ms()) is not None and wake_ms <= until_ms:
            wakes += 1
            assert wakes <= MOST_WAKES
            now_ms = max(now_ms, wake_ms)
            shown.advance(now_ms)
            _render(shown)
        now_ms = until_ms
    shown.stop(now_ms)
    _render(shown)


def _render(shown: Board) -> None:
    for box_id, _ in shown.take_changes().touched:
        box = shown.render(box_id)
        assert isinstance(box, Box)
        assert len(box.text) <= 15_000


_A_CALL = (
    b'{"type":"message","id":"1","timestamp":"2026-09-21T14:13:20.000Z","message":{"role":"assistant",'
    b'"content":[{"type":"toolCall","id":"c","name":"exec","arguments":{"command":"ls"}}],"stopReason":"toolUse"}}'
)
