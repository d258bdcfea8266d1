"""Carries news to the board and the board's changes to the publisher, on one event loop."""

import asyncio
import time
from collections.abc import Callable, Collection, Mapping
from typing import Final, Protocol

import structlog

from status_watcher.core.board import Board, Changes
from status_watcher.core.elsewhere import ApprovalRow
from status_watcher.core.gateway import GatewayWord
from status_watcher.core.skew import Skew
from status_watcher.model import AgentId, Box, BoxId, SessionId, SessionKey, Urgency
from status_watcher.source import News

_JUMP_MS: Final = 2_000
_MOST_TOLD: Final = 1_000
"""Broken sessions, and boxes, of which the log tells; the counters tell of all."""

log = structlog.get_logger()


class Outlet(Protocol):
    """Where changes to boxes go; the publisher."""

    def touch(self, box_id: BoxId, urgency: Urgency) -> None: ...
    def withdraw(self, box_id: BoxId) -> None: ...
    def rename(self, old: BoxId, new: BoxId) -> None: ...


class BoardClock:
    """Board time: milliseconds since the epoch as they were at the start, carried on by the monotonic clock.

    Deadlines, ages and ticks go by it alone, so a wall clock that is set, or that went on while the machine
    slept, moves none of them: no age jumps or is negative, and nothing falls due at once. But lines and the
    store are stamped by the wall clock. `skew` says how far that has come apart from board time, and what is
    stamped is told in board time when it arrives: a turn that begins after a jump is as old as it is, and one
    that began before it ages on, without the jump and without the time that the machine slept.
    """

    def __init__(
        self, wall_s: Callable[[], float] = time.time, monotonic_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._wall_s = wall_s
        self._monotonic_s = monotonic_s
        self._offset_s = wall_s() - monotonic_s()
        self._skew = Skew()

    def now_ms(self) -> int:
        return round((self._monotonic_s() + self._offset_s) * 1000)

    def skew(self) -> Skew:
        """How the wall clock stands to board time; less than 2 s is no jump."""
        now_ms = self.now_ms()
        ahead_ms = round(self._wall_s() * 1000) - now_ms
        if abs(ahead_ms - self._skew.ahead_ms) > _JUMP_MS:
            self._skew = Skew(ahead_ms if abs(ahead_ms) > _JUMP_MS else 0, now_ms)
            log.warning("clock_jumped", wall_ahead_s=round(self._skew.ahead_ms / 1000, 1))
        return self._skew


class Shelf:
    """The board's boxes as the publisher asks for them.

    A box that cannot be rendered stays as it is in its channel; no other box suffers.
    """

    def __init__(self, board: Board) -> None:
        self._board = board
        self.broken_boxes = 0
        self._told: set[tuple[BoxId, str]] = set()

    def render(self, box_id: BoxId) -> Box | None:
        try:
            return self._board.render(box_id)
        except Exception as error:  # noqa: BLE001 - the border of one box: others go on, the counter shows it
            self.broken_boxes += 1
            told = (box_id, type(error).__name__)
            if told not in self._told and len(self._told) < _MOST_TOLD:
                self._told.add(told)
                log.error("box_not_rendered", box=box_id, error=told[1])  # noqa: TRY400 - see Relay.take
            return None

    def limit_chars(self, max_chars: int) -> None:
        self._board.limit_chars(max_chars)


class Relay:
    """`take` is the sink of a source; made on the running loop."""

    def __init__(self, board: Board, outlet: Outlet, clock: BoardClock) -> None:
        self._board = board
        self._outlet = outlet
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._soon = self._stopped = False
        self._timer: asyncio.TimerHandle | None = None
        self.broken_news = 0
        self.broken_turns = 0
        """Times that the board could not conclude: what was touched is looked at again with its next news."""
        self._gateway = GatewayWord()
        self._names: Mapping[AgentId, str] = {}
        self._told_broken: set[tuple[AgentId, SessionId, str]] = set()

    def take(self, news: News) -> None:
        """Take one piece of news; several of one loop turn are concluded from together."""
        try:
            self._board.take(news, self._clock.now_ms(), self._clock.skew())
        except Exception as error:  # noqa: BLE001 - the border of one session: others go on, the counter shows it
            self.broken_news += 1
            if self.broken_news == 1:
                # Without the traceback: its message may quote the agent.
                log.error(  # noqa: TRY400 - see above
                    "news_not_understood", kind=type(news).__name__, error=type(error).__name__
                )
        self._advance_soon()

    def _advance_soon(self) -> None:
        if not self._soon:
            self._soon = True
            self._loop.call_soon(self.advance)

    def advance(self) -> None:
        """Let the board conclude, pass on what changed, and come back when it wants to look again."""
        self._soon = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        try:
            self._board.advance(self._clock.now_ms())
        except Exception as error:  # noqa: BLE001 - the border of one loop turn, as in `take`
            self.broken_turns += 1
            if self.broken_turns == 1:
                log.error("board_not_advanced", error=type(error).__name__)  # noqa: TRY400 - see `take`
        self._tell_broken()
        self._pass_on(self._board.take_changes())
        wake_ms = self._board.next_wake_ms()
        if wake_ms is not None:
            delay_s = max(0.0, (wake_ms - self._clock.now_ms()) / 1000)
            self._timer = self._loop.call_later(delay_s, self.advance)

    def hear_of_gateway(self, word: GatewayWord) -> None:
        """The gateway stops, is gone, or works, and it compacts sessions: open boxes say so."""
        stop, before = word.stop, self._gateway
        now_ms, skew = self._clock.now_ms(), self._clock.skew()
        self._gateway = word
        if stop != before.stop:
            state = "started" if stop is None else "stopping" if stop.gone_ms is None else "gone"
            log.info("gateway", state=state)
            self._board.hear_of_gateway(stop.told_by(skew) if stop else None, now_ms)
        if word.compacting != before.compacting:
            log.info("compactions", running=len(word.compacting))
            self._board.hear_of_compactions(word.compacting, now_ms, skew)
        self.advance()

    def hear_of_hidden(self, box_id: BoxId, hidden: bool) -> None:
        """Nobody can see the box's post, or people can again."""
        if self._stopped:
            return  # a box that is let in now would be one more to mark
        self._board.hear_of_hidden(box_id, hidden=hidden)
        self._advance_soon()

    def hear_of_approvals(self, rows: Collection[ApprovalRow]) -> None:
        """A person is asked, or asked no more, whether calls may go on: all that wait now."""
        log.info("approvals", pending=len(rows))
        self._board.hear_of_approvals(rows, self._clock.skew())
        self.advance()

    def name_agents(self, names: Mapping[AgentId, str]) -> None:
        """The agents' configured names have become known, or have changed."""
        if names != self._names:
            self._names = names
            self._board.name_agents(names, self._clock.now_ms())
            self.advance()

    def name_sessions(self, labels: Mapping[SessionKey, str]) -> None:
        """A dispatcher's ledger has become known, or has changed."""
        self._board.name_sessions(labels)
        self.advance()

    def stop(self) -> None:
        """Every open box says that we stop; no timer fires afterwards."""
        self.advance()
        self._stopped = True
        self._board.stop(self._clock.now_ms())
        self._pass_on(self._board.take_changes())
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tell_broken(self) -> None:
        """Log each session of which nothing could be concluded, once for each kind of error."""
        for (agent, session_id), error in self._board.take_broken().items():
            told = (agent, session_id, error)
            if told not in self._told_broken and len(self._told_broken) < _MOST_TOLD:
                self._told_broken.add(told)
                log.error("session_not_concluded", agent=agent, session=session_id, error=error)

    def _pass_on(self, changes: Changes) -> None:
        for old, new in changes.renamed:
            self._outlet.rename(old, new)
        for box_id in changes.withdrawn:
            self._outlet.withdraw(box_id)
        for box_id, urgency in changes.touched:
            self._outlet.touch(box_id, urgency)
