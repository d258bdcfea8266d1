"""One line of a transcript to one typed entry: the only place that knows the transcript's field names, with
`core.results` and `core.nested`.

Formats as seen on OpenClaw 2026.2.26, 2026.3.31, 2026.7.1 and 2026.9.6; unknown types and roles become
`Other`, never an error. Entries are msgspec structs, made in C like frozen slotted dataclasses but ten times
faster: together with decoding straight into the few fields below, that is what keeps folding near the rate at
which the lines can be parsed at all (`make bench`).
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import Enum, auto
from functools import lru_cache
from typing import Any, Literal

import msgspec

from status_watcher.core.labels import WRAPPER
from status_watcher.core.nested import NestedCall, nested_call, wrapped_details
from status_watcher.core.prompts import Announcement, Prompt, classify_prompt
from status_watcher.core.results import Details, Result, ResultLine, refusal_of, result_line
from status_watcher.model import EntryId, SessionId, SessionKey, ToolCallId

__all__ = ["NestedCall", "Result", "ResultLine"]

LONGEST_TEXT_CHARS = 8_000
"""What we keep of one text: far more than a box shows, so that redaction sees what clipping removes."""


class Header(msgspec.Struct, frozen=True, gc=False):
    session_id: SessionId
    at_ms: int
    forked: bool
    """The file starts as a copy of another session's lines; those are older than this header."""


class UserLine(msgspec.Struct, frozen=True, gc=False):
    id: EntryId
    at_ms: int
    prompt: Prompt
    text: str
    announcement: Announcement | None
    thread_root: str = ""
    """Root of the Mattermost thread that it opens or stands in; only 2026.9.6 tells."""


class Stop(Enum):
    """Why the model stopped, as far as it matters to a turn."""

    TOOL_USE = auto()
    FINAL = auto()
    LENGTH = auto()
    ERROR = auto()
    ABORTED = auto()
    UNKNOWN = auto()


class ToolUse(msgspec.Struct, frozen=True, gc=False):
    id: ToolCallId
    name: str
    arguments: Mapping[str, object]


class Said(msgspec.Struct, frozen=True, gc=False):
    text: str


class AssistantLine(msgspec.Struct, frozen=True, gc=False):
    id: EntryId
    at_ms: int
    model_start_ms: int
    """When the model call began: `message.timestamp`, else the line's own time."""
    blocks: tuple[Said | ToolUse, ...]
    stop: Stop
    error: str
    tokens: int
    cost_usd: float
    injected: bool
    """Written by the gateway (a notice or a copy of what was delivered), not by a model."""
    abort_mark: bool
    answers: SessionKey | None = None
    """The sub-agent whose end this run of the model was started for (2026.9.6 names it in the run's id)."""
    model: str = ""


class Compacted(msgspec.Struct, frozen=True, gc=False):
    id: EntryId
    at_ms: int


class PromptError(msgspec.Struct, frozen=True, gc=False):
    """The gateway's note that a run failed or was aborted before or instead of an assistant line."""

    id: EntryId
    at_ms: int
    error: str
    aborted: bool


class Reset(msgspec.Struct, frozen=True, gc=False):
    """A new conversation begins in the same session (`/new` in 2026.9.6; older versions begin another)."""

    id: EntryId
    at_ms: int


class Other(msgspec.Struct, frozen=True, gc=False):
    """Bookkeeping, or a type this version does not know."""

    id: EntryId


class Skipped(msgspec.Struct, frozen=True, gc=False):
    reason: Literal["not_json", "not_an_object", "wrong_fields"]


Entry = Header | UserLine | AssistantLine | ResultLine | NestedCall | Compacted | PromptError | Reset | Other

# The fields that we read, as they stand in the file: `Any` where one of another type is worth no more than an
# absent one; a typed field of the wrong type costs the line.


class _Cost(msgspec.Struct, gc=False):
    total: Any = None


class _Usage(msgspec.Struct, gc=False):
    input: Any = None
    output: Any = None
    cost: _Cost | None = None


class _Block(msgspec.Struct, gc=False):
    type: Any = None
    text: Any = None
    id: Any = None
    name: Any = None
    arguments: Any = None


class _Meta(msgspec.Struct, gc=False):
    run_id: Any = msgspec.field(name="runId", default=None)
    transport: Any = None


class _Message(msgspec.Struct, gc=False):
    role: str
    content: list[_Block] | str | None = None
    timestamp: Any = None
    stop: Any = msgspec.field(name="stopReason", default=None)
    error: Any = msgspec.field(name="errorMessage", default=None)
    usage: _Usage | None = None
    provider: Any = None
    model: Any = None
    abort: Any = msgspec.field(name="openclawAbort", default=None)
    call_id: ToolCallId = msgspec.field(name="toolCallId", default=ToolCallId(""))
    tool: Any = msgspec.field(name="toolName", default=None)
    is_error: Any = msgspec.field(name="isError", default=None)
    details: Details | str | int | float | bool | list[Any] | None = None
    display: Any = None
    provenance: Any = None
    meta: _Meta | str | int | float | bool | list[Any] | None = msgspec.field(name="__openclaw", default=None)


class _Line(msgspec.Struct, gc=False):
    type: str = ""
    id: EntryId = EntryId("")
    timestamp: str = ""
    message: _Message | None = None
    parent_session: Any = msgspec.field(name="parentSession", default=None)
    custom_type: Any = msgspec.field(name="customType", default=None)
    data: Any = None
    display: Any = None


_decode = msgspec.json.Decoder(_Line).decode

# Names of enum members are looked up in Python at each use, which shows at this rate.
_UNKNOWN = Stop.UNKNOWN
_STOPS = {
    "toolUse": Stop.TOOL_USE,
    "stop": Stop.FINAL,
    "length": Stop.LENGTH,
    "error": Stop.ERROR,
    "aborted": Stop.ABORTED,
}


def retimed(entry: Entry | Skipped, tell: Callable[[int], int]) -> Entry | Skipped:
    """The entry with its times told by another clock."""
    match entry:
        case Other() | Skipped():
            return entry
        case AssistantLine(at_ms=at_ms, model_start_ms=start_ms):
            return msgspec.structs.replace(entry, at_ms=tell(at_ms), model_start_ms=tell(start_ms))
        case NestedCall():
            return entry.retimed(tell)
        case _:
            return msgspec.structs.replace(entry, at_ms=tell(entry.at_ms))


def parse_line(line: bytes) -> Entry | Skipped:
    """The entry that a line holds; never raises, whatever the bytes are."""
    try:
        raw = _decode(line)
    except msgspec.ValidationError:
        return Skipped("wrong_fields" if line.lstrip().startswith(b"{") else "not_an_object")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Skipped("not_json")
    try:
        kind = raw.type
        if kind == "message":
            return _message(raw, raw.message, line)
        if kind == "session":
            return Header(SessionId(raw.id), _epoch_ms(raw.timestamp), isinstance(raw.parent_session, str))
        if kind == "compaction":
            return Compacted(raw.id, _epoch_ms(raw.timestamp))
        if kind == "custom" and raw.custom_type == "openclaw:prompt-error":
            return _prompt_error(raw)
        if kind == "reset":
            return Reset(raw.id, _epoch_ms(raw.timestamp))
        return Other(raw.id)
    except (ValueError, OverflowError):
        return Skipped("wrong_fields")


def _message(raw: _Line, message: _Message | None, line: bytes) -> Entry | Skipped:
    if message is None or not raw.id:
        return Skipped("wrong_fields")
    role = message.role
    if role == "assistant":
        return _assistant(raw, message)
    if role == "toolResult":
        return _result(raw, message, line)
    if role == "user":
        return _user(raw, message)
    if role == "custom":
        return nested_call(line, raw.id, _epoch_ms(raw.timestamp)) or Other(raw.id)
    return Other(raw.id)


def _user(raw: _Line, message: _Message) -> UserLine:
    source = child = None
    if isinstance(message.provenance, dict):
        source, child = message.provenance.get("sourceTool"), message.provenance.get("sourceSessionKey")
    prompt = classify_prompt(
        _content_text(message.content),
        hidden=message.display is False or raw.display is False,
        source_tool=source if isinstance(source, str) else "",
        source_key=child if isinstance(child, str) else "",
    )
    root = _thread_root(message.meta.transport) if type(message.meta) is _Meta else ""
    return UserLine(raw.id, _epoch_ms(raw.timestamp), prompt.kind, prompt.text, prompt.announcement, root)


def _thread_root(transport: object) -> str:
    if not isinstance(transport, dict) or transport.get("channel") != "mattermost":
        return ""
    root = transport.get("threadId") or transport.get("replyToId") or transport.get("messageId")
    return root if isinstance(root, str) else ""


def _assistant(raw: _Line, message: _Message) -> AssistantLine:
    blocks: list[Said | ToolUse] = []
    content = message.content
    if isinstance(content, str):
        blocks.append(Said(content[:LONGEST_TEXT_CHARS]))
    elif content is not None:
        for block in content:
            if block.type == "toolCall":
                name, arguments = block.name, block.arguments
                blocks.append(
                    ToolUse(
                        ToolCallId(block.id if isinstance(block.id, str) else ""),
                        name if isinstance(name, str) and name else "tool",
                        arguments if isinstance(arguments, dict) else {},
                    )
                )
            elif block.type == "text" and isinstance(block.text, str) and block.text:
                blocks.append(Said(block.text[:LONGEST_TEXT_CHARS]))
    at_ms = _epoch_ms(raw.timestamp)
    began = message.timestamp
    tokens, cost_usd = 0, 0.0
    usage = message.usage
    if usage is not None:
        tokens = _count(usage.input) + _count(usage.output)
        total = usage.cost.total if usage.cost is not None else None
        cost_usd = float(total) if isinstance(total, (int, float)) else 0.0
    error, abort, model = message.error, message.abort, message.model
    return AssistantLine(
        raw.id,
        at_ms,
        began if isinstance(began, int) and 0 < began <= at_ms else at_ms,
        tuple(blocks),
        _STOPS.get(message.stop, _UNKNOWN) if isinstance(message.stop, str) else _UNKNOWN,
        error[:LONGEST_TEXT_CHARS] if isinstance(error, str) else "",
        tokens,
        cost_usd,
        message.provider == "openclaw",
        abort is not None and isinstance(abort, dict) and abort.get("aborted") is True,
        _announced(message.meta.run_id) if type(message.meta) is _Meta else None,
        model if isinstance(model, str) else "",
    )


def _announced(run_id: object) -> SessionKey | None:
    """The child in the id of a run that answers its end: `announce:v1:<key>:<its run's id>` (2026.9.6)."""
    if not isinstance(run_id, str) or not run_id.startswith("announce:v1:"):
        return None
    return SessionKey(run_id.removeprefix("announce:v1:").rpartition(":")[0]) or None


def _result(raw: _Line, message: _Message, line: bytes) -> ResultLine | Skipped:
    if not message.call_id:
        return Skipped("wrong_fields")
    details, around = message.details, None
    if message.tool == WRAPPER and (inner := wrapped_details(line)) is not None:
        details, around = inner, details
    result = result_line(
        raw.id,
        _epoch_ms(raw.timestamp),
        message.call_id,
        message.tool,
        message.is_error is True,
        details,
        around,
    )
    if message.is_error is True and not result.code and (code := refusal_of(_content_text(message.content))):
        return msgspec.structs.replace(result, code=code)
    return result


def _prompt_error(raw: _Line) -> PromptError:
    error = raw.data.get("error") if isinstance(raw.data, dict) else None
    error = error[:LONGEST_TEXT_CHARS] if isinstance(error, str) else ""
    return PromptError(raw.id, _epoch_ms(raw.timestamp), error, "abort" in error.lower())


def _content_text(content: list[_Block] | str | None) -> str:
    if isinstance(content, str):
        return content[:LONGEST_TEXT_CHARS]
    texts = [block.text for block in content or () if isinstance(block.text, str)]
    return "\n".join(texts)[:LONGEST_TEXT_CHARS]


def _count(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 0


def _epoch_ms(stamp: str) -> int:
    """Milliseconds of an ISO stamp in UTC, as OpenClaw writes it: `2026-11-20T15:06:06.917Z`.

    Raises `ValueError` for anything that is no time.
    """
    if len(stamp) == 24 and stamp[23] == "Z" and stamp[19] == ".":
        return _minute_ms(stamp[:16]) + int(stamp[17:19]) * 1000 + int(stamp[20:23])
    at = datetime.fromisoformat(stamp)
    return round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)


@lru_cache(maxsize=256)
def _minute_ms(stamp: str) -> int:
    return int(datetime.fromisoformat(stamp).replace(tzinfo=UTC).timestamp()) * 1000
