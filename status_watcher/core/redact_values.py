"""Values that a name makes a secret: `password=…`, `"apiKey": "…"`, `--token …`, "the password is …"."""

import re
from typing import Final

from status_watcher.core.redact_harmless import is_harmless
from status_watcher.core.redact_mark import REDACTED


def without_named_values(text: str, lowered: str) -> str:
    """`text` without the values of names of secrets; `lowered`: the same in small letters, as long."""
    kept: list[str] = []
    copied = 0
    for name in NAMES.finditer(lowered):
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


def names_a_secret(name: str) -> bool:
    """Whether a field that is called or described by `name` holds a secret: `db_password`, `api_key`."""
    for found in NAMES.finditer(name.lower()):
        if found[0] in _KEYS and not _KEY_OF.search(name, max(0, found.start() - 16), found.start()):
            continue
        if found[0] == "token" and name[found.end() : found.end() + 1] in {"s", "S"}:
            continue
        return True
    return False


def _secret_after(name: re.Match[str], text: str) -> tuple[int, int] | None:
    """Where the secret is that a name announces, if it does."""
    start, end = name.span()
    word = name[0]
    kind = "key" if word in _KEYS else "short" if word in _SHORT_NAMES else "plain"
    if kind == "key" and not _KEY_OF.search(text, max(0, start - 16), start):
        if text[start:end] != "KEY" or text[start - 1 : start] != "_":
            return None
        kind = "made"
    option = kind != "made" and _DASHES.search(text, max(0, start - 34), start) is not None
    if kind == "short" and text[start - 1 : start].isalpha() and not text[start].isupper():
        glued = text[end : end + 1] == "=" and word == "pass"
        if not (option or glued) or word == "auth" or text[:start].endswith(_WORDS_IN_PASS):
            return None  # "surpass", "oauth"
    found = _ASSIGNED.match(text, end)
    if found is None and option:
        found = _OPTION.match(text, end)
    if found is not None:
        doubtful = kind == "made" or (kind == "short" and not option and _is_doubtful(name[0], found))
        if (doubtful and not _MADE.match(found["value"])) or is_harmless(
            found, name[0], of_words=kind == "plain" and name[0] not in _NAMES_OF_RANDOM
        ):
            return None
        return found.span("value")
    if kind in {"plain", "key"} or word in {"pw", "pwd"}:
        found = (_SAID if name[0] in _NAMES_OF_RANDOM or kind == "key" else _SAID_OF_PASSWORD).match(
            text, end
        )
        if found is None and (name[0] in _NAMES_OF_RANDOM or kind == "key"):
            found = _PLAIN_ID.match(text, end) or _MADE_ID.match(text, end)
        elif found is None and kind == "plain":
            found = _QUOTED.match(text, end)
            if found is not None and is_harmless(found, word, of_words=True):
                return None
    return found.span("value") if found is not None else None


def _is_doubtful(name: str, found: re.Match[str]) -> bool:
    """Whether `pass`, `pw` and the like are followed by more than a password: "3 pass: all of them"."""
    if found["value"][:1] in "\\\"'`":
        return False
    if found.string[found.start() : found.start() + 1].isspace():  # "pw = other"; `smtp_pass = …` is a field
        return not _LONGER_FIELD.search(found.string, max(0, found.start() - 40), found.start())
    if found["by"] == "=":
        return False
    return name not in {"pw", "pwd"} and not _FIELD.search(
        found.string, max(0, found.start() - 40), found.start()
    )


_LONGER_FIELD: Final = re.compile(r"(?:^|\n)[ \t]*\w{1,32}_\w{2,4}\Z")
_FIELD: Final = re.compile(r"(?:^|\n)[ \t-]*[\w.-]{0,32}\Z")

# Searched in small letters; every branch begins with one, so that `re` skips all other places. `key` counts
# behind certain words, `auth`, `pass` and `pw` directly at a value.
NAMES: Final = re.compile(
    "passwor[dt]|passwd|passw(?![a-z])|passphrase|passcode|kennwort|zugangsdaten|mot de passe|contrase[nñ]a"
    "|wachtwoord|пароль|hasło|lösenord|heslo|비밀번호|パスワード|密码|密碼|secret|token|credentials?|rediscli_auth|key|schlüssel"
    r"|pwd(?!\W{0,4}/)|pass(?![a-z0-9])|pw(?![a-z0-9])|psk(?![a-z0-9])"
    r"|auth(?=\\*[\"']?[ \t]*[:=][ \t]*\\*[\"']?[a-z0-9+/_-]{12})"
)
_SHORT_NAMES: Final = frozenset({"pwd", "pass", "pw", "psk", "auth"})
_WORDS_IN_PASS: Final = ("by", "com", "sur", "tres")
_KEYS: Final = frozenset({"key", "schlüssel"})
_KEY_OF: Final = re.compile(
    r"(?i:api|access|private|secret|auth|signing|encryption|account|master|shared|hmac|license|deploy|service"
    r"|subscription|pragma|decryption|cipher)"
    r"[ _-]?\Z"
)
_DASHES: Final = re.compile(r"(?:^|[\s\"'/])(?:--?[A-Za-z0-9_-]*|[\w./:-]*:_[a-z]*)\Z")
_NAMES_OF_RANDOM: Final = frozenset({"token", "secret", "credential", "credentials"})

_KIND: Final = (
    r"(?:[ \t]*:[ \t]*(?:str|String|string|bytes|SecretStr|Final|&str|&'static str)\b[ \t]*(?=\S?=))?"
)
_VALUE: Final = (
    r"""(?P<value>\\+["'][^"'\\]*|"(?:[^"\\]|\\.)*"?|'[^']*'?|`[^`\n]*`?"""
    r"""|[^\s"'`&;,|<>(){}\[\]\\]+|(?=[({\[]))"""
)
_FOR_WHOM: Final = (
    r"(?:(?:[ \t]+(?:(?i:for|of|für|von|de|pour)[ \t]+[^\s:=(]{1,40}|\([^()\n]{1,30}\)))?"
    r"(?:[ \t]+(?i:is|was|ist|war|lautet))?(?=:)|[ \t]*\{[a-z; \t]{1,24}\}(?=[ \t]*=))?"
)
_ASSIGNED: Final = re.compile(
    rf"(?:_?(?i:id|value|base))?\d?\\*[\"'`\]*]*{_KIND}{_FOR_WHOM}[ \t]*"
    rf"(?P<by>=>|:=|={{1,3}}|!={{1,2}}|\?=|[:：]|%3[dD])(?:\*{{1,2}}(?=[ \t]))?[ \t]*"
    rf"(?:[>|][+-]?[ \t]*\n[ \t]*)?(?:[rbfuN](?=[\"']))?{_VALUE}",
    re.DOTALL,
)
_OPTION: Final = re.compile(rf"(?P<by>[ \t]+|\\*[\"'],\s*(?=\\*[\"']))(?!-){_VALUE}", re.DOTALL)
# Mattermost's own tokens are as plain as its ids: only a word before tells them apart.
_PLAIN_ID: Final = re.compile(
    r"[^\n]{0,20}?(?<![A-Za-z0-9_])(?P<value>(?=[a-z]{0,25}\d)[a-z0-9]{26})(?![A-Za-z0-9_])"
)
_MADE_ID: Final = re.compile(
    r"[ \t]+(?P<value>(?=[A-Za-z]{0,63}\d)(?=\d{0,63}[A-Za-z])[A-Za-z0-9]{20,})(?![\w-])"
)
# `the password is "…"`
_QUOTED: Final = re.compile(
    r"[ \t]+(?P<by>is|to|ist|auf|lautet|es|est)[ \t]+[\"'`„“](?P<value>[^\s\"'`„“”]{4,64})(?=[\"'`“”])"
)
# In prose, only what a machine or a careful person made: six characters with a digit among them, and no
# version, date, amount, call or path.
_FILLERS: Final = (
    r"(?:[ \t]+(?:is|was|to|ist|war|lautet|es|est|è|é|jest|now|auf|of|with|für|for"
    r"|\w{1,12}[ \t]+is|\w{1,12}(?=:)|=|:)|:){1,3}[ \t]*[\"'`„“]?"
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
