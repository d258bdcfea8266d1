"""P7: wall clocks that are set and machines that sleep, under a board whose time goes on evenly."""

import itertools
import re
from datetime import UTC, datetime

import orjson
import pytest
from simulate import MAIN, board

from status_watcher.core.index import Index, parse_index
from status_watcher.core.skew import Skew
from status_watcher.core.tree import Rules
from status_watcher.model import SessionId
from status_watcher.relay import BoardClock, Relay
from status_watcher.source import IndexSeen, Lines, Reading

HOUR_S = 3_600.0
TICK_S = 10
"""How far the age in a box may lie behind in the first minute."""
START_S = 1_800_000_000.0


class Clocks:
    """A wall clock that may be set, and a monotonic one that may not."""

    def __init__(self) -> None:
        self.wall_s = START_S
        self.monotonic_s = 100.0

    def pass_s(self, seconds: float) -> None:
        self.wall_s += seconds
        self.monotonic_s += seconds

    def jump_s(self, seconds: float) -> None:
        """The wall clock is set; or the machine has slept, when CLOCK_MONOTONIC stands still."""
        self.wall_s += seconds


class Channel:
    """The last text of each box, and how often boxes were touched."""

    def __init__(self, a_board) -> None:
        self._board = a_board
        self.texts: dict[str, str] = {}
        self.touches = 0

    def touch(self, box_id, urgency):  # noqa: ARG002 - all the publisher is asked
        self.touches += 1
        box = self._board.render(box_id)
        assert box is not None
        self.texts[box_id] = box.text

    def withdraw(self, box_id):
        del self.texts[box_id]

    def rename(self, old, new):
        self.texts[new] = self.texts.pop(old)


class Host:
    """A machine on which a gateway writes and a daemon reads, both by its clocks."""

    def __init__(self) -> None:
        self.clocks = Clocks()
        clock = BoardClock(lambda: self.clocks.wall_s, lambda: self.clocks.monotonic_s)
        self.board = board(clock.now_ms(), rules=Rules(run_started_ms=clock.now_ms()))
        self.channel = Channel(self.board)
        self.relay = Relay(self.board, self.channel, clock)
        self.clock = clock
        self._ids = itertools.count(1)
        self._begun: set[str] = set()
        self.index()

    def index(self):
        found = parse_index(b"{}")
        assert isinstance(found, Index)
        self.relay.take(IndexSeen(MAIN, found.entries))

    def write(self, session: str, **message):
        line = {
            "type": "message",
            "id": f"{next(self._ids):08x}",
            "timestamp": self._iso(),
            "message": message,
        }
        reading = Reading.MORE if session in self._begun else Reading.FIRST
        self._begun.add(session)
        self.relay.take(Lines(MAIN, SessionId(session), (orjson.dumps(line),), reading))

    def begin(self, session: str):
        self.write(session, role="user", content="Please look after it")
        call = {
            "type": "toolCall",
            "id": f"call-{session}",
            "name": "exec",
            "arguments": {"command": session},
        }
        self.write(session, role="assistant", content=[call], stopReason="toolUse")

    def finish(self, session: str):
        self.write(session, role="toolResult", toolCallId=f"call-{session}", toolName="exec", content=[])
        self.write(session, role="assistant", content=[{"type": "text", "text": "Done."}], stopReason="stop")

    def pass_s(self, seconds: float) -> None:
        """Time passes for all, and timers ring."""
        end_s = self.clocks.monotonic_s + seconds
        while (left_s := end_s - self.clocks.monotonic_s) > 0:
            self.clocks.pass_s(min(1.0, left_s))
            self.index()
            self.relay.advance()

    def box(self, session: str) -> str:
        (text,) = [text for box_id, text in self.channel.texts.items() if f"/{session}/" in box_id]
        return text

    def age_s(self, session: str) -> int:
        """What the box says of the turn's age."""
        found = re.search(r"\| (?:(\d+)m )?(\d+)s$", self.box(session).splitlines()[0])
        assert found is not None, self.box(session)
        return 60 * int(found[1] or 0) + int(found[2])

    def _iso(self) -> str:
        return datetime.fromtimestamp(self.clocks.wall_s, UTC).isoformat(timespec="milliseconds")


@pytest.fixture
async def host():
    return Host()


JUMPS = pytest.mark.parametrize(
    "jump_s", [HOUR_S, -HOUR_S, 30 * 24 * HOUR_S, 2.5, -2.5], ids=["+1h", "-1h", "+30d", "+2.5s", "-2.5s"]
)


@JUMPS
async def test_P7_a_jump_moves_no_age_and_no_deadline_and_makes_no_burst(host, jump_s):
    sessions = [f"s{number}" for number in range(20)]
    for session in sessions:
        host.begin(session)
    host.pass_s(35)
    before = host.channel.touches
    host.clocks.jump_s(jump_s)
    host.pass_s(1)
    assert host.channel.touches - before <= len(sessions)
    host.pass_s(19)
    for session in sessions:
        assert host.box(session).startswith("[ACTIVE]")
        assert 55 - TICK_S <= host.age_s(session) <= 55
        host.finish(session)
    host.pass_s(3)
    for session in sessions:
        assert host.box(session).startswith("[DONE]")
        assert host.age_s(session) == 55


@JUMPS
async def test_P7_a_turn_begun_after_a_jump_is_as_old_as_it_is(host, jump_s):
    host.pass_s(3)
    host.clocks.jump_s(jump_s)
    host.pass_s(100)
    host.begin("new")
    host.pass_s(40)
    assert 40 - TICK_S <= host.age_s("new") <= 40
    host.finish("new")
    host.pass_s(3)
    assert host.box("new").startswith("[DONE]")
    assert host.age_s("new") == 40


@JUMPS
async def test_P7_a_turn_left_without_a_word_is_closed_after_the_same_quiet_time(host, jump_s):
    host.write("quiet", role="user", content="Please look after it")
    host.write("quiet", role="assistant", content=[{"type": "text", "text": "Hm."}], stopReason="toolUse")
    host.pass_s(30)
    host.clocks.jump_s(jump_s)
    host.pass_s(25)
    assert host.box("quiet").startswith("[ACTIVE]")
    host.pass_s(10)
    assert host.box("quiet").startswith("[DONE]")


async def test_P7_what_was_stamped_before_a_jump_keeps_its_time():
    forwards = Skew(ahead_ms=3_600_000, since_ms=10_000_000)
    assert forwards.board_ms(9_999_000) == 9_999_000
    assert forwards.board_ms(13_600_500) == 10_000_500
    backwards = Skew(ahead_ms=-3_600_000, since_ms=10_000_000)
    assert backwards.board_ms(6_400_500) == 10_000_500
    assert backwards.board_ms(6_000_000) == 6_000_000


async def test_P7_clocks_that_drift_apart_a_little_are_no_jump(host):
    for _ in range(10):
        host.clocks.jump_s(0.1)
        host.pass_s(1)
    assert host.clock.skew() == Skew()
