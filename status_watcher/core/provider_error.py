"""What a provider says of a failed call of its model, in its own words.

Gateways write what the provider answered behind its status (`529 {"type": "error", "error": {…}}`), as
Anthropic's, OpenAI's and Google's interfaces word it; most of it is no sentence.
"""

import re
from typing import Any, Final

import orjson

_DEEPEST: Final = 3
"""An error may hold the text of another one as its message."""
_TYPE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,60}")


def shortened(text: str) -> str:
    """Code or type, and message, of an error that is told as JSON; `text` itself if nothing in it is."""
    return _shortened(text, _DEEPEST)


def _shortened(text: str, deepest: int) -> str:
    start, end = text.find("{"), text.rfind("}") + 1
    if start < 0 or end <= start or not deepest:
        return text
    try:
        body: Any = orjson.loads(text[start:end].encode(errors="replace"))
    except orjson.JSONDecodeError:
        return text
    error = body.get("error", body)
    message = error.get("message") if isinstance(error, dict) else error
    if not isinstance(message, str) or not message.strip():
        return text
    before, after = text[:start].rstrip("[ \t\r\n:"), text[end:].strip("] \t\r\n")
    what = before or _what(error)
    told = _shortened(message.strip(), deepest - 1)
    return " ".join(part for part in (what, told, after) if part)


def _what(error: Any) -> str:
    """The code of an error, else its type; "" if it has neither."""
    for field in ("code", "status", "type"):
        value = error.get(field) if isinstance(error, dict) else None
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if isinstance(value, str) and _TYPE.fullmatch(value):
            return f"{value}:"
    return ""
