"""Commands that go on after their call has got its result: in the background, or once they are allowed."""

import re
from dataclasses import dataclass
from typing import Final

from status_watcher.core.results import Result, ResultLine, refusal
from status_watcher.core.turn import Call, Run, Turn

_FOLLOW_UP: Final = re.compile(
    r"^Exec (?P<how>finished|denied) \((?:gateway|node=\S+) id=(?P<id>[^,\s)]+)(?:, (?P<more>[^)\n]*))?\)",
    re.MULTILINE,
)
"""The gateway's word on a command that had to be allowed first (2026.7.1; the same in 2026.9.6's code)."""

_EXIT: Final = re.compile(r"\bcode (\d+)\s*$")
_SIGNAL: Final = re.compile(r"\bsignal (\w+)\s*$")


@dataclass(frozen=True, slots=True)
class _Asked:
    turn: Turn
    run: Run
    call: Call


class Background:
    """Those of one session that were last heard of running, by the names of their processes, and those that
    wait for a person's word, by the ids of their approvals.
    """

    __slots__ = ("_asked", "_calls")

    def __init__(self) -> None:
        self._calls: dict[str, tuple[Turn, Call]] = {}
        self._asked: dict[str, _Asked] = {}

    def take(self, turn: Turn, call: Call, line: ResultLine, current: Turn | None) -> None:
        """The result of a call that names a process, which it runs or asks about, or an approval."""
        if call.approval is not None and line.approval:
            run = next(run for run in turn.runs if any(one is call for one in run.unapproved))
            self._asked[line.approval] = _Asked(turn, run, call)
        elif line.result is Result.STILL_RUNNING:
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

    def hear(self, text: str, at_ms: int) -> None:
        """What the gateway tells the model of commands that had to be allowed first.

        The turn that asked is changed, whichever the line itself belongs to. A word after the approval has
        lapsed comes too late: that box has ended.
        """
        if not self._asked:
            return
        for told in _FOLLOW_UP.finditer(text):
            asked = self._asked.pop(told["id"], None)
            approval = asked.call.approval if asked is not None else None
            if asked is None or approval is None or at_ms > approval.expires_ms:
                continue
            call = asked.call
            asked.run.unapproved.remove(call)
            call.result, call.code = _outcome(told["how"], told["more"] or "")
            # How long it ran is not told, and most of the time went by before it did.
            call.approval, call.ended_at_ms, call.duration_ms = None, at_ms, 0
            asked.run.answered_ms = max(asked.run.answered_ms, at_ms)
            asked.turn.revision += 1
            asked.turn.seen_ms = max(asked.turn.seen_ms, at_ms)


def _outcome(how: str, more: str) -> tuple[Result, str]:
    if how == "denied":
        return Result.ERROR, refusal(more)
    if exited := _EXIT.search(more):
        return (Result.OK, "") if exited[1] == "0" else (Result.ERROR, exited[1])
    if more.endswith("timeout"):
        return Result.ERROR, "timeout"
    killed = _SIGNAL.search(more)
    return Result.ERROR, killed[1] if killed else ""
