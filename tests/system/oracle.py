"""The oracle of R7: what every box must say in the end, by the pure core alone, from what lies on disk.

Eventually, acknowledged text = render(fold(all lines)). The board is fed as one that has just been restarted
would be: each transcript from its first byte, at once.
"""

import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from simulate import MAIN, Player, board

from status_watcher.core.board import FIRST_TURN, box_id_of, parts_of
from status_watcher.core.index import Index, parse_index
from status_watcher.core.post import BoxRecord, box_tag, sendable
from status_watcher.core.transcript import Header, parse_line
from status_watcher.core.tree import Rules
from status_watcher.model import Box, BoxId, ChannelId, ChannelTarget, SessionId, Target
from status_watcher.sandbox.server import Sandbox
from status_watcher.sandbox.store import Post
from status_watcher.source import IndexSeen, Lines, News, Reading

SETTLED_AFTER_MS = 120_000
"""Longer than any verdict waits for: an error's next try, an answer to a sub-agent's end."""
RULES = Rules()


@dataclass(frozen=True, slots=True)
class Expected:
    """A post as it must stand in the end."""

    box_id: BoxId
    channel_id: str
    root_id: str
    text: str
    last_line_ms: int
    """Of its session."""
    tags: frozenset[str]
    """What its props may say: the box's own tag, or that of a turn which only the store had told of."""


def expected_posts(
    sessions_dir: Path,
    *,
    default_channel: str,
    only: Collection[SessionId] | None = None,
    known: Mapping[BoxId, Target] | None = None,
    rules: Rules = RULES,
) -> dict[BoxId, Expected]:
    """The posts that the sessions in this directory (or some of them) must have in the end.

    Without `known` that is one for the last turn of each root session; the turns named there have theirs too.
    """
    now_ms = time.time_ns() // 1_000_000
    player = Player(
        board(0, rules=rules, default_channel=ChannelId(default_channel), most_open=10_000), now_ms
    )
    records = [BoxRecord(box_id, target, "nonce", now_ms) for box_id, target in (known or {}).items()]
    player.board.restore(records, now_ms)
    index = parse_index((sessions_dir / "sessions.json").read_bytes())
    assert isinstance(index, Index)
    news: list[News] = [IndexSeen(MAIN, index.entries)]
    last_ms: dict[SessionId, int] = {}
    for path in sorted(sessions_dir.glob("*.jsonl")):
        lines = tuple(path.read_bytes().split(b"\n")[:-1])
        header = parse_line(lines[0])
        assert isinstance(header, Header), path
        last_ms[header.session_id] = max(_time_ms(line) for line in lines)
        if only is None or header.session_id in only:
            news.append(Lines(MAIN, header.session_id, lines, Reading.FIRST))
    player.at(now_ms, *news)
    player.until(now_ms + SETTLED_AFTER_MS)
    boxes = {box_id: box for box_id, box in player.seen.final.items() if _is_of(box_id, only)}
    assert all(box.ended for box in boxes.values()), "the oracle speaks of turns that have ended"
    return _expected(boxes, last_ms)


def tag_of(post: Post) -> str:
    """Which box a post says that it is of."""
    tag = post.props["status_watcher"]["box"]
    assert isinstance(tag, str)
    return tag


def own_posts(sandbox: Sandbox) -> list[Post]:
    """Our bot's posts that nobody has deleted."""
    return [
        post for post in sandbox.store.posts.values() if post.user_id == sandbox.bot.id and not post.delete_at
    ]


def differences(expected: Collection[Expected], posts: Iterable[Post]) -> list[str]:
    """What stands otherwise than expected, or twice, or not at all, or unexpected; empty in the end."""
    owners = {tag: wanted.box_id for wanted in expected for tag in wanted.tags}
    found: dict[BoxId | None, list[Post]] = {}
    for post in posts:
        found.setdefault(owners.get(tag_of(post)), []).append(post)
    told = [f"an unexpected post:\n{post.message}" for post in found.get(None, [])]
    for wanted in expected:
        match found.get(wanted.box_id, []):
            case []:
                told.append(f"no post of {wanted.box_id}, which should say\n{wanted.text}")
            case [post]:
                if (post.channel_id, post.root_id) != (wanted.channel_id, wanted.root_id):
                    told.append(f"the post of {wanted.box_id} stands elsewhere")
                if post.message != wanted.text:
                    told.append(f"{wanted.box_id} says\n{post.message}\nand should say\n{wanted.text}")
            case several:
                texts = "\n\n".join(post.message for post in several)
                told.append(f"{len(several)} posts of {wanted.box_id}:\n{texts}")
    return told


def _is_of(box_id: BoxId, only: Collection[SessionId] | None) -> bool:
    parts = parts_of(box_id)
    assert parts is not None
    return only is None or parts[0][1] in only


def _time_ms(line: bytes) -> int:
    at_ms = getattr(parse_line(line), "at_ms", 0)
    assert isinstance(at_ms, int)
    return at_ms


def _expected(boxes: Mapping[BoxId, Box], last_ms: Mapping[SessionId, int]) -> dict[BoxId, Expected]:
    expected: dict[BoxId, Expected] = {}
    first_tags: set[str] = set()
    for box_id, box in boxes.items():
        parts = parts_of(box_id)
        assert parts is not None
        assert isinstance(box.target, ChannelTarget)
        first = box_tag(box_id_of(parts[0], FIRST_TURN))
        tags = {box_tag(box_id)} | ({first} - first_tags)
        first_tags.add(first)
        expected[box_id] = Expected(
            box_id,
            box.target.channel_id,
            box.target.root_id,
            sendable(box.text),
            last_ms[parts[0][1]],
            frozenset(tags),
        )
    return expected
