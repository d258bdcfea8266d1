"""Calls that are made by another call: OpenClaw 2026.9.6 hides most tools behind `tool_call`.

The model calls `tool_call{id, args}`; what really ran stands in a line of its own (`role: "custom"`,
`customType: "openclaw.nested-tool.v1"`, written when it has ended) and once more inside the result of the
outer call. A call that runs code (`tool_search_code`) makes any number of them. Inputs beyond 8 KiB and
results beyond 32 KiB are replaced by a word that they were left out, details of results beyond 8 KiB by a
summary.

These lines are rare, so they are decoded a second time, into the fields that only they have.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from status_watcher.core.results import Details, ResultLine, result_line
from status_watcher.model import EntryId, ToolCallId

RECORD = "openclaw.nested-tool.v1"

_NoDetails = str | int | float | bool | list[Any] | None


class _Inner(msgspec.Struct, gc=False):
    details: Details | _NoDetails = None


class _Around(msgspec.Struct, gc=False):
    result: _Inner | _NoDetails = None


class _Text(msgspec.Struct, gc=False):
    text: Any = None


class _WrapperMessage(msgspec.Struct, gc=False):
    content: list[_Text] | str | None = None
    details: _Around | _NoDetails = None


class _WrapperLine(msgspec.Struct, gc=False):
    message: _WrapperMessage


class _Record(msgspec.Struct, gc=False):
    parent: Any = msgspec.field(name="parentToolCallId", default=None)
    call_id: Any = msgspec.field(name="toolCallId", default=None)
    tool: Any = msgspec.field(name="toolName", default=None)
    input: Any = None
    result: _Inner | _NoDetails = None
    is_error: Any = msgspec.field(name="isError", default=None)
    started_ms: Any = msgspec.field(name="startedAt", default=None)
    ended_ms: Any = msgspec.field(name="timestamp", default=None)


class _RecordMessage(msgspec.Struct, gc=False):
    custom_type: Any = msgspec.field(name="customType", default=None)
    details: _Record | _NoDetails = None


class _RecordLine(msgspec.Struct, gc=False):
    message: _RecordMessage


_decode_wrapper = msgspec.json.Decoder(_WrapperLine).decode
_decode_text = msgspec.json.Decoder(_Around).decode
_decode_record = msgspec.json.Decoder(_RecordLine).decode


class NestedCall(msgspec.Struct, frozen=True, gc=False):
    """A call that another call made, with what came of it; both in one line."""

    id: EntryId
    at_ms: int
    parent: ToolCallId
    """The call that made it, "" if the line does not say."""
    start_ms: int
    arguments: dict[str, object]
    """Empty also where they were too large to be kept."""
    result: ResultLine
    """With the call's own id and the name of the tool that ran."""

    def retimed(self, tell: Callable[[int], int]) -> "NestedCall":
        """The same with its times told by another clock."""
        at_ms = tell(self.at_ms)
        result = msgspec.structs.replace(self.result, at_ms=at_ms)
        return msgspec.structs.replace(self, at_ms=at_ms, start_ms=tell(self.start_ms), result=result)


def wrapped_details(line: bytes) -> Details | None:
    """The details of what `tool_call` called, from the result of the `tool_call`; None if it has none."""
    try:
        message = _decode_wrapper(line).message
    except msgspec.MsgspecError:
        return None
    found = _inner_details(message.details)
    if found is None and isinstance(message.content, list) and message.content:
        text = message.content[0].text
        if isinstance(text, str) and text.startswith("{"):
            try:
                found = _inner_details(_decode_text(text))
            except msgspec.MsgspecError:
                return None
    return found


def nested_call(line: bytes, entry_id: EntryId, at_ms: int) -> NestedCall | None:
    """The call that a line with `role: "custom"` records; None if it records none. Times are epoch ms."""
    try:
        message = _decode_record(line).message
    except msgspec.MsgspecError:
        return None
    record = message.details
    if message.custom_type != RECORD or type(record) is not _Record:
        return None
    call_id, tool, parent = record.call_id, record.tool, record.parent
    if not (isinstance(call_id, str) and call_id and isinstance(tool, str) and tool):
        return None
    began = record.started_ms
    start_ms = int(began) if isinstance(began, int | float) and 0 < began <= at_ms else at_ms
    details = record.result.details if type(record.result) is _Inner else None
    result = result_line(
        entry_id,
        at_ms,
        ToolCallId(call_id),
        tool,
        record.is_error is True,
        details,
    )
    if result.duration_ms is None and isinstance(record.ended_ms, int | float):
        took_ms = max(0, int(record.ended_ms) - start_ms)
        result = msgspec.structs.replace(result, duration_ms=took_ms)
    return NestedCall(
        entry_id,
        at_ms,
        ToolCallId(parent if isinstance(parent, str) else ""),
        start_ms,
        record.input if isinstance(record.input, dict) else {},
        result,
    )


def _inner_details(around: object) -> Details | None:
    if type(around) is _Around and type(around.result) is _Inner:
        details = around.result.details
        return details if type(details) is Details else None
    return None
