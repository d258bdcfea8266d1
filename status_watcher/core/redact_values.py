"""Values that a name makes a secret: `password=…`, `"apiKey": "…"`, `--token …`, "the password is …"."""

import re
from typing import Final

from status_watcher.core.redact_harmless import is_harmless
from status_watcher.core.redact_mark import REDACTED


def without_named_values(text: str, lowered: str) -> str:
    """`text` without the values of names of secrets; `lowered`: the same in small letters, as long."""
    kept: list[str] = []
    copied = 0
    for name in _NAMES.finditer(lowered):
        if name.start() < copied:
            continue
        span = _secret_after(name, text)
        if span is not None:
            kept += (text[copied : span[0]], REDACTED)
            copied = span[1]
    if not kept:
        return text
    kept.append(text[copied:])
    return "".join(kept)


def _secret_after(name: re.Match[str], text: str) -> tuple[int, int] | None:
    """Where the secret is that a name announces, if it does."""
    start, end = name.span()
    kind = name.lastgroup
    if kind == "key" and not _KEY_OF.search(text, max(0, start - 12), start):
        if text[start:end] != "KEY" or text[start - 1 : start] != "_":
            return None
        kind = "made"
    if kind == "short" and text[start - 1 : start].isalpha() and not text[start : start + 1].isupper():
        return None  # "bypass", "author"
    found = _ASSIGNED.match(text, end)
    if found is None and kind in {"plain", "key"} and _DASHES.search(text, max(0, start - 34), start):
        found = _OPTION.match(text, end)
    if found is not None:
        doubtful = kind == "made" or (kind == "short" and found["by"] != "=")
        if (doubtful and not _MADE.match(found["value"])) or is_harmless(
            found, name[0], of_words=kind == "plain" and name[0] not in _NAMES_OF_RANDOM
        ):
            return None
        return found.span("value")
    if kind in {"plain", "key"}:
        found = (_SAID if name[0] in _NAMES_OF_RANDOM or kind == "key" else _SAID_OF_PASSWORD).match(
            text, end
        )
        if found is None and name[0] in _NAMES_OF_RANDOM:
            found = _PLAIN_ID.match(text, end)
    return found.span("value") if found is not None else None


# Searched in small letters. `key` counts behind certain words, `auth`, `pass` and `pw` directly at a value.
_NAMES: Final = re.compile(
    "(?P<plain>passwor[dt]|passwd|passphrase|passcode|kennwort|パスワード|密码|密碼|secret|token|credentials?)"
    r"|(?P<key>key|schlüssel)"
    r"|(?P<short>pwd(?!\W{0,4}/)|(?:pass|pw)(?=\\*[\"']?[=:])"
    r"|auth(?=\\*[\"']?[ \t]*[:=][ \t]*\\*[\"']?[a-z0-9+/_-]{12}))"
)
_KEY_OF: Final = re.compile(
    r"(?i:api|access|private|secret|auth|signing|encryption|account|master|shared|hmac|license|deploy|service)"
    r"[ _-]?\Z"
)
_DASHES: Final = re.compile(r"(?:^|[\s\"'/])(?:--?[a-z0-9-]*|[\w./:-]*:_[a-z]*)\Z")
_NAMES_OF_RANDOM: Final = frozenset({"token", "secret", "credential", "credentials"})

_KIND: Final = (
    r"(?:[ \t]*:[ \t]*(?:str|String|string|bytes|SecretStr|Final|&str|&'static str)\b[ \t]*(?=\S?=))?"
)
_VALUE: Final = (
    r"""(?P<value>\\+["'][^"'\\]*|"(?:[^"\\]|\\.)*"?|'[^']*'?|`[^`\n]*`?"""
    r"""|[^\s"'`&;,|<>(){}\[\]\\]+|(?=[({\[]))"""
)
_ASSIGNED: Final = re.compile(
    rf"(?:_?(?i:id|value))?\d?\\*[\"'`\]]*{_KIND}(?:[ \t]+(?i:is|was|ist|war|lautet)(?=:))?[ \t]*"
    rf"(?P<by>=>|:=|={{1,3}}|!={{1,2}}|\?=|[:：])[ \t]*(?:[rbfu](?=[\"']))?{_VALUE}",
    re.DOTALL,
)
_OPTION: Final = re.compile(rf"(?P<by>[ \t]+)(?!-){_VALUE}", re.DOTALL)
# Mattermost's own tokens are as plain as its ids: only a word before tells them apart.
_PLAIN_ID: Final = re.compile(
    r"[^\n]{0,20}?(?<![A-Za-z0-9_])(?P<value>(?=[a-z]{0,25}\d)[a-z0-9]{26})(?![A-Za-z0-9_])"
)
# In prose, only what a machine or a careful person made: six characters with a digit among them, and no
# version, date, amount, call or path.
_FILLERS: Final = (
    r"(?:[ \t]+(?:is|was|to|ist|war|lautet|now|auf|of|with|für|for|\w{1,12}[ \t]+is|=|:)|:){1,3}"
    r"[ \t]*[\"'`„“]?"
)
_SAID_VALUE: Final = (
    r"(?<=[\s\"'`„“])(?P<value>(?=[^\s\"'`]{6})(?=[^\s\"'`]{0,64}(?:\d|[A-Z]{2}))"
    r"(?=[^\s\d\"'`]{0,64}\d|[^\s\"'`]{0,64}[a-z][A-Z])"
    r"(?!v?\d{1,5}(?:[.,]\d{1,6}){0,3}(?:-?[a-z%]{1,5}\d{0,2})?(?:[\s\"'`.,;:)]|\Z)|[./~$<{(#]|\w+\(|\w+://)"
    r"(?=[^\s\"'`]*[A-Za-z])[^\s\"'`,;(]*[^\s\"'`,;.(])"
)
_SAID: Final = re.compile(rf"(?:{_FILLERS}|[ \t]+[\"'`„“]){_SAID_VALUE}")
_SAID_OF_PASSWORD: Final = re.compile(rf"(?:{_FILLERS}|[ \t]+[\"'`„“]?){_SAID_VALUE}")
_MADE: Final = re.compile(r"[\"']?(?=[^\s\d]{0,64}\d)(?=[^\s]{0,64}[A-Za-z])[^\s\"'()]{6}")
