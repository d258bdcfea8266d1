"""What stands where a secret stood, and how rows of rules put it there."""

import re
from collections.abc import Iterable
from typing import Final

REDACTED: Final = "(redacted)"
"""In brackets that Markdown leaves alone, so that it survives neutralising; no rule takes it for a value."""

Row = tuple[tuple[str, ...], re.Pattern[str]]
"""Marks in small letters, one of which a text must have; what is looked for then: its first group stays."""

_KEPT: Final = rf"\1{REDACTED}"


def without_rows(rows: Iterable[Row], text: str, lowered: str) -> str:
    """`text` without what the rows find; `lowered` is the same in small letters."""
    for marks, pattern in rows:
        for mark in marks:
            if mark in lowered:
                text = pattern.sub(_KEPT, text)
                break
    return text
