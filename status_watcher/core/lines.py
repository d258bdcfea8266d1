"""Bytes read at the start of a line to complete lines; what is torn stays in the file to be read again."""

from dataclasses import dataclass
from typing import Any, Final

import orjson

from status_watcher.model import SessionId

MAX_LINE_BYTES: Final = 8 << 20


@dataclass(frozen=True, slots=True)
class Cut:
    """What a stretch of bytes held."""

    lines: tuple[bytes, ...]
    """Complete lines, in order, without their newline; blank ones are left out."""
    consumed_bytes: int
    """How far the stretch is done with; the rest is a line that is not complete yet."""
    nul_bytes: int = 0
    """NULs left out before lines: the hole that a writer with a stale offset leaves after a truncation."""
    overlong_lines: int = 0
    """Lines left out for their length."""


def cut(data: bytes, *, max_line_bytes: int = MAX_LINE_BYTES) -> Cut:
    """Complete lines of `data`, which begins at the start of a line.

    Only a newline byte ends a line: U+2028, carriage returns and the like are content.
    """
    end = data.rfind(b"\n") + 1
    lines: list[bytes] = []
    nul_bytes = overlong_lines = 0
    for raw in data[:end].split(b"\n")[:-1] if end else ():
        line = raw.lstrip(b"\0")
        nul_bytes += len(raw) - len(line)
        if len(line) > max_line_bytes:
            overlong_lines += 1
        elif line:
            lines.append(line)
    return Cut(tuple(lines), end, nul_bytes, overlong_lines)


def header_session_id(line: bytes) -> SessionId | None:
    """The session's id if the line is a header: `{"type":"session","id":…}`, first line in all versions."""
    fields = _object(line)
    if fields is None or fields.get("type") != "session":
        return None
    session_id = fields.get("id")
    return SessionId(session_id) if isinstance(session_id, str) and session_id else None


def is_whole(tail: bytes) -> bool:
    """Whether an unterminated last line is a complete object; the beginning of one never is."""
    return tail.endswith(b"}") and _object(tail) is not None


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        fields = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return fields if isinstance(fields, dict) else None
