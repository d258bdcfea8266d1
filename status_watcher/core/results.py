"""What came of a tool call, as the details of its result tell it.

The fields differ by version: seen on OpenClaw 2026.2.26, 2026.3.31, 2026.7.1 and 2026.9.6.
"""

import re
from enum import Enum, auto
from typing import Any, Final

import msgspec

from status_watcher.model import EntryId, SessionKey, ToolCallId


class Result(Enum):
    """What a tool call came to; `OK` only on positive evidence."""

    OK = auto()
    ERROR = auto()
    STILL_RUNNING = auto()
    APPROVAL_PENDING = auto()


class ResultLine(msgspec.Struct, frozen=True, gc=False):
    id: EntryId
    at_ms: int
    call_id: ToolCallId
    tool: str
    result: Result
    code: str
    """What follows ERR in the brackets: an exit code, a signal, "timeout", or nothing."""
    duration_ms: int | None
    child: SessionKey | None
    yielded: bool
    process: str
    """Name of the background process that the result is about, "" if none."""
    approval: str = ""
    """The id of the approval that the command waits for, "" if none or unknown."""
    expires_in_ms: int | None = None
    """How long after the result the approval lapses."""


class Details(msgspec.Struct, gc=False):
    """The fields that we read, as they stand in the file: `Any` where one of another type is worth no more
    than an absent one.
    """

    status: Any = None
    exit_code: Any = msgspec.field(name="exitCode", default=None)
    exit_signal: Any = msgspec.field(name="exitSignal", default=None)
    timed_out: Any = msgspec.field(name="timedOut", default=None)
    duration_ms: Any = msgspec.field(name="durationMs", default=None)
    child: Any = msgspec.field(name="childSessionKey", default=None)
    process: Any = msgspec.field(name="sessionId", default=None)
    approval: Any = msgspec.field(name="approvalId", default=None)
    expires_ms: Any = msgspec.field(name="expiresAtMs", default=None)


# Names of enum members are looked up in Python at each use, which shows at this rate.
_OK, _ERROR, _PENDING = Result.OK, Result.ERROR, Result.APPROVAL_PENDING
_REFUSED: Final = re.compile(r"Exec denied \((?:gateway|node=\S{1,100}) id=[^,\s)]{1,100}, ([^)\n]{1,100})\)")
_WHOLE_NUMBER: Final = re.compile(r"-?[0-9]{1,10}")
_NO_FAILURE: Final = (0, None, "")
"""Exit codes of what did not fail; anything else that stands there is no evidence of success."""
_FAILURES = frozenset({"error", "failed", "forbidden", "denied", "killed", "timeout", "aborted"})


def result_line(
    entry_id: EntryId,
    at_ms: int,
    call_id: ToolCallId,
    tool: object,
    failed: bool,
    details: object,
    around: object = None,
) -> ResultLine:
    """The result with its verdict; `details` and `around` tell something only if they are `Details`.

    `around` are those of the call that made this one on the model's behalf.
    """
    result, code = _ERROR if failed else _OK, ""
    duration_ms = child = None
    yielded, process = False, ""
    approval, expires_in_ms = "", None
    if type(around) is Details:
        result, code = _judge(around, result)
    if type(details) is Details:
        result, own_code = _judge(details, result)
        code = own_code or code
        took = details.duration_ms
        duration_ms = took if isinstance(took, int) and took >= 0 else None
        if details.status == "accepted" and isinstance(details.child, str) and details.child:
            child = SessionKey(details.child)
        yielded = details.status == "yielded"
        process = details.process if isinstance(details.process, str) else ""
        if result is _PENDING:
            approval = details.approval if isinstance(details.approval, str) else ""
            if isinstance(details.expires_ms, int):
                expires_in_ms = max(0, details.expires_ms - at_ms)
    return ResultLine(
        entry_id,
        at_ms,
        call_id,
        tool if isinstance(tool, str) else "",
        result,
        code,
        duration_ms,
        child,
        yielded,
        process,
        approval,
        expires_in_ms,
    )


def refusal(words: str) -> str:
    """What follows ERR where a person's word was missing: `words` is the gateway's reason."""
    return "expired" if "timeout" in words else "denied"


def refusal_of(text: str) -> str:
    """The same out of the text of a failed result, "" if it failed otherwise (2026.9.6)."""
    refused = _REFUSED.match(text)
    return refusal(refused[1]) if refused else ""


def _judge(details: Details, result: Result) -> tuple[Result, str]:
    """The verdict on `details`, whose fields differ by version.

    A command that exits non-zero is `isError: false` in 2026.2, 2026.3 and 2026.9 but true in 2026.7; a
    killed one has a signal and no exit code.
    """
    status = details.status
    if status == "completed" and not details.exit_code and not details.exit_signal and not details.timed_out:
        return result, ""
    if status == "approval-pending":
        return Result.APPROVAL_PENDING, ""
    if status == "running" and result is _OK:
        return Result.STILL_RUNNING, ""
    if details.timed_out is True:
        return _ERROR, "timeout"
    signal = details.exit_signal
    if isinstance(signal, str) and signal:
        return _ERROR, signal if signal.startswith("SIG") and len(signal) <= 11 else ""
    exit_code = details.exit_code
    if isinstance(exit_code, str) and _WHOLE_NUMBER.fullmatch(exit_code):
        exit_code = int(exit_code)
    if exit_code not in _NO_FAILURE:
        return _ERROR, str(exit_code) if isinstance(exit_code, int) else ""
    if isinstance(status, str) and status in _FAILURES:
        return _ERROR, "timeout" if status == "timeout" else ""
    return result, ""
