"""Secrets out of agent text: our own token, and what has the shape or the place of somebody's.

Own rules rather than a detector library: detect-secrets 1.5.0 finds 58 of the corpus's 265 without its
entropy plugins, which call `git` and `commit` secrets, and takes twice as long for a line; scrubadub
and Presidio look for people's data, with scikit-learn and spaCy; trufflehog3 rests since 2024; gitleaks and
trufflehog are programs in Go. The formats of tokens were checked against gitleaks' rules.

`tests/data/secrets/` is the measure. Every pattern runs in linear time: an unbounded part is either the last
or cannot begin twice in one word.
"""

import re
from dataclasses import dataclass, field
from typing import Final, Self
from urllib.parse import quote

from status_watcher.core.redact_code import CALLS, without_inserted
from status_watcher.core.redact_code import ROWS as CODE
from status_watcher.core.redact_commands import without_arguments
from status_watcher.core.redact_mark import REDACTED, without_rows
from status_watcher.core.redact_places import without_placed_secrets
from status_watcher.core.redact_said import ROWS as SAID
from status_watcher.core.redact_shapes import without_shaped_secrets
from status_watcher.core.redact_values import NAMES, without_named_values

__all__ = ["MAX_CHARS", "REDACTED", "Redactor", "redact", "without_cut_word"]

MAX_CHARS: Final = 64 * 1024
"""Text beyond is dropped unread, and with it the word it would cut in half."""


@dataclass(frozen=True, slots=True)
class Redactor:
    """What counts as a secret. Compares and prints without its secrets."""

    own: re.Pattern[str] | None = field(default=None, repr=False, compare=False)

    @classmethod
    def for_secrets(cls, *secrets: str) -> Self:
        """Knows `secrets` (our token) besides all shapes; too short ones would shred every text."""
        forms = {form for secret in secrets if len(secret) >= 4 for form in (secret, quote(secret, safe=""))}
        longest_first = sorted(forms, key=len, reverse=True)
        return cls(re.compile("|".join(map(re.escape, longest_first))) if forms else None)


def redact(text: str, secrets: Redactor) -> str:
    """`text`, at most `MAX_CHARS` of it, with `(redacted)` for every secret and nothing else changed."""
    if len(text) > MAX_CHARS:
        text = without_cut_word(text[:MAX_CHARS])
    if secrets.own is not None:
        text = secrets.own.sub(REDACTED, text)
    if len(text) < _SHORTEST_CHARS:
        return text
    lowered = _lowered(text)
    text = without_arguments(text, lowered)
    text = without_placed_secrets(text, lowered)
    text = without_rows(CALLS, without_rows(SAID, text, lowered), lowered)
    if NAMES.search(lowered):
        text = without_inserted(without_rows(CODE, text, lowered), lowered)
        text = without_named_values(text, _lowered(text))
    return without_shaped_secrets(text)


def _lowered(text: str) -> str:
    """`text` in small letters, as long as it is: some capitals have two small letters."""
    lowered = text.lower()
    if len(lowered) != len(text):
        lowered = "".join(small if len(small := char.lower()) == 1 else char for char in text)
    return lowered


_SHORTEST_CHARS: Final = 7
"""`-p x`, `pwd=x`: nothing shorter says that it is a secret."""


def without_cut_word(text: str) -> str:
    """The beginning of a longer text, without its last word: half a secret is not known for one."""
    end = max(map(text.rfind, " \t\r\n\"'`,;&|"))
    return text[: end + 1] if end >= 0 else REDACTED
