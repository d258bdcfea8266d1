"""Commands that go on in the background after their call has got its result."""

from status_watcher.core.results import Result, ResultLine
from status_watcher.core.turn import Call, Turn


class Background:
    """The commands of one session that were last heard of running, by the names of their processes."""

    __slots__ = ("_calls",)

    def __init__(self) -> None:
        self._calls: dict[str, tuple[Turn, Call]] = {}

    def take(self, turn: Turn, call: Call, line: ResultLine, current: Turn | None) -> None:
        """The result of a call that names a process: it is the one that runs it, or asks about it."""
        if line.result is Result.STILL_RUNNING:
            self._calls.setdefault(line.process, (turn, call))
        else:
            self.close(line, current)

    def close(self, line: ResultLine, current: Turn | None) -> Turn | None:
        """A later word on a command closes that command's own line; returns the turn that it changes."""
        if line.result is Result.STILL_RUNNING or line.process not in self._calls:
            return None
        turn, call = self._calls.pop(line.process)
        if turn is not current:
            return None  # it still ran when its own turn ended, which is what that box tells
        call.result, call.code = line.result, line.code
        call.duration_ms = max(0, line.at_ms - call.at_ms)
        call.ended_at_ms = line.at_ms
        return turn
