"""Secrets out of agent text: our own token, and what has the shape of somebody's.

The first day's detector: well-known token prefixes, key material, headers, `name=value`, credentials in URLs.
Every pattern runs in linear time: an unbounded part is either the last or cannot begin twice in one word.
"""

import re
from dataclasses import dataclass, field
from typing import Final, Self
from urllib.parse import quote

REDACTED: Final = "(redacted)"
"""Brackets that Markdown leaves alone, so that the mark survives neutralising."""

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
    text = _bounded(text)
    if secrets.own is not None:
        text = secrets.own.sub(REDACTED, text)
    for pattern, replacement in _SHAPES:
        text = pattern.sub(replacement, text)
    return text


def _bounded(text: str) -> str:
    if len(text) <= MAX_CHARS:
        return text
    head = text[:MAX_CHARS]
    end = max(map(head.rfind, " \t\r\n\"'`,;&|"))
    return head[: end + 1] if end >= 0 else REDACTED


# A value in quotes (also escaped ones, of JSON within JSON) or up to a delimiter. A shell variable or a word
# of a programming language is no secret, and what is redacted already is no value: it begins with a bracket.
_END: Final = r"""(?=[\s"'`&;,|<>(){}\[\]\\]|\Z)"""
_HARMLESS: Final = (
    rf"""(?!\\*["']?(?:\$\{{?\w+\}}?|(?i:none|null|true|false|nil|undefined|str|string|bytes){_END}))"""
)
_VALUE: Final = rf"""{_HARMLESS}(?:\\+["'][^"'\\]*|"(?:[^"\\]|\\.)*"?|'[^']*'?|[^\s"'`&;,|<>(){{}}\[\]\\]+)"""
_NAME: Final = (
    r"(?i:password|passwd|passphrase|pwd(?!\W{0,4}/)|secret|token|credentials?"
    r"|(?:api|access|private|secret|auth|signing|encryption|account)[_-]?key)"
)

_SHAPES: Final[tuple[tuple[re.Pattern[str], str], ...]] = tuple(
    (re.compile(pattern, re.DOTALL), replacement)
    for pattern, replacement in (
        # Key material, also if its end is missing.
        (
            (
                r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY[A-Z ]{0,10}-----"
                r".*?(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY[A-Z ]{0,10}-----|\Z)"
            ),
            REDACTED,
        ),
        # Prefixes that their providers chose to be found by.
        (
            (
                r"(?<![A-Za-z0-9])(?:"
                r"sk-[A-Za-z0-9_-]{20,}|[sr]k_(?:live|test)_[A-Za-z0-9]{10,}"  # many; Stripe
                r"|gh[opsur]_[A-Za-z0-9]{16,}|github_pat_[A-Za-z0-9_]{16,}|glpat-[A-Za-z0-9_.-]{16,}"
                r"|xox[a-z]-[A-Za-z0-9-]{10,}|xapp-[A-Za-z0-9-]{10,}"  # Slack
                r"|(?:AKIA|ASIA)[A-Z0-9]{16}|AIza[A-Za-z0-9_-]{30,}|ya29\.[A-Za-z0-9_-]{16,}"  # AWS, Google
                r"|npm_[A-Za-z0-9]{20,}|pypi-[A-Za-z0-9_-]{16,}|hf_[A-Za-z0-9]{16,}|dop_v1_[a-f0-9]{16,}"
                r"|SG\.[A-Za-z0-9_-]{16,}(?:\.[A-Za-z0-9_-]+)?|AGE-SECRET-KEY-1[A-Z0-9]{20,}"
                r"|\d{8,10}:[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])"  # Telegram
                r")"
            ),
            REDACTED,
        ),
        # JSON Web Tokens: header, body and, unless it was cut, signature.
        (r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)?", REDACTED),
        # Headers. "bearer" alone is a word of English, what follows must look made by a machine.
        (
            (
                rf"""((?i:authorization)\\*["']?[ \t]*[:=][ \t]*\\*["']?"""
                rf"""(?:(?i:bearer|basic|token|digest)[ \t]+)?+)"""
                rf"""{_HARMLESS}[^\s"'`\\,;(]+"""
            ),
            rf"\1{REDACTED}",
        ),
        (r"""((?i:\bcookie):[ \t]*)[^"'`\r\n(]+""", rf"\1{REDACTED}"),
        (
            r"((?i:\bbearer)(?:[ \t]+|%20))(?=[A-Za-z._~+/=-]{0,64}\d|\S{20})[A-Za-z0-9._~+/=-]{8,}",
            rf"\1{REDACTED}",
        ),
        # Credentials in URLs, and URLs that are credentials.
        (r"""(://[^\s/@:"'`]{0,256}:)[^\s"'`/]{1,256}@""", rf"\1{REDACTED}@"),
        (r"""(://)(?=[^\s/@\d]{0,256}\d)[^\s/@:"'`]{12,256}@""", rf"\1{REDACTED}@"),
        (
            (
                r"((?i:[?&](?:sig|signature|key|auth|code|x-amz-(?:signature|credential|security-token))=))"
                r"""[^&#\s"'`(]+"""
            ),
            rf"\1{REDACTED}",
        ),
        (r"(/hooks/)[a-z0-9]{26}", rf"\1{REDACTED}"),
        (r"(hooks\.slack\.com/services/|/api/webhooks/\d{1,30}/)[\w/-]+", rf"\1{REDACTED}"),
        # name=value, "name": "value", --name value, and the flags of well-known commands.
        (rf"""({_NAME}\d?\\*["']?[ \t]*(?:=>|[:=])[ \t]*){_VALUE}""", rf"\1{REDACTED}"),
        (rf"(--[a-z0-9-]{{0,32}}(?:{_NAME}|pass)[ \t]+)(?!-){_VALUE}", rf"\1{REDACTED}"),
        (
            r"""((?:^|(?<=[\s"']))(?:-u|--user|--proxy-user)[ \t=]*["']?(?!\d+:\d|\w+://)[^\s:"'`]+:)[^\s"'`(]+""",
            rf"\1{REDACTED}",
        ),
        (rf"(\bsshpass[ \t]+-p[ \t]*){_VALUE}", rf"\1{REDACTED}"),
        (rf"(\b(?:mysql|mysqldump|mysqladmin|mariadb)\b[^\n|;&]{{0,200}}?[ \t]-p){_VALUE}", rf"\1{REDACTED}"),
        # Mattermost's own tokens are as plain as its ids: only a word before tells them apart.
        (r"((?i:token|secret|credential)[^\n]{0,20}?)\b(?=[a-z]{0,25}\d)[a-z0-9]{26}\b", rf"\1{REDACTED}"),
    )
)
