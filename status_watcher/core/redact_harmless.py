"""Whether a value behind a name like `password` is none: a reference, an expression, a word of a sentence."""

import re
from typing import Final


def is_harmless(found: re.Match[str], name: str, *, of_words: bool) -> bool:
    """Whether what was `found` behind `name` (in small letters; groups `by` and `value`) is no secret.

    `of_words`: secrets of that name may be words, as passwords are and tokens never.
    """
    value, by = found["value"], found["by"]
    text, end = found.string, found.end("value")
    inner = value.strip("\\\"'`")
    if not inner or (_LITERAL_DOLLAR.match(value) is None and _REFERENCE.match(inner)):
        return True
    if inner.casefold() in _NOTHING or inner[0].isspace() or inner[0] in ")],":
        return True
    if value[0] in "\\\"'`":
        return by in _COMPARED and " " in inner
    after = text[end : end + 1]
    if after and after in "([" and _IDENTIFIER.fullmatch(inner):
        return True
    alike = _NAMED_LIKE_A_PASSWORD if of_words else _NAMED_LIKE_A_SECRET
    if _EXPRESSION.fullmatch(inner) or alike.fullmatch(inner):
        return True
    if by in {":", "："}:
        start = found.start("value")
        if _ARN.search(text, max(0, start - 24), start):
            return True  # a part of an ARN
        if text[start - 1] == " " and _SENTENCE.fullmatch(inner) and _GOES_ON.match(text, end):
            return not (end >= len(text) or text[end] == "\n")
    return inner.isdecimal() and len(inner) < 6 and name in {"token", "pass", "pw"}


def is_reference(value: str) -> bool:
    """Whether `value`, without quotation marks, only says where a secret is: `$PW`, `{{ pw }}`, `***`."""
    return _REFERENCE.match(value) is not None


_COMPARED: Final = frozenset({"==", "===", "!=", "!=="})
_NOTHING: Final = frozenset(
    (  # noqa: SIM905 - as a list they would fill a page
        "none null true false nil undefined str string bytes any object number int integer boolean bool"
        " required optional missing invalid expired empty unknown read write admin hidden redacted wrong"
        " incorrect await new not is async function lambda yield self this set unset yes no ok failed"
        " typeof include omit char const var let final value secretstr secretbytes pw pwd falsch gesperrt"
        " ungültig"
    ).split()
)
_REFERENCE: Final = re.compile(
    r"\$\{|\$\(|\$\w|\$$|%[A-Z][A-Z0-9_]*%\Z|%[sd]\Z|\{|<|[*x•.…-]+$|(?i:your|ihr)[-_ ]"
    r"|\(|@(?:/|\w+\.json)|file:|env:|\.\.\."
)
_LITERAL_DOLLAR: Final = re.compile(r"'\$(?!\{|\(|[A-Z_]+')|\"\$\d")
_EXPRESSION: Final = re.compile(
    r"(?:process|os|env|config|settings|self|this|req|request|ctx|args|opts|options|params|data|body|user"
    r"|event|secrets|vars?|local|module|props|import|response|res|result|json|cfg|conf|app|System|Deno|Bun"
    r"|argv)\.[A-Za-z_.]+|&?self\.[\w.]+|Secret[A-Z]\w+"
)
_IDENTIFIER: Final = re.compile(r"[A-Za-z_][\w.:]*\??")
_NAMED_LIKE_A_SECRET: Final = re.compile(
    r"(?:[A-Za-z]+[-_/.])*(?:password|passwd|secrets?|tokens?|keys?|credentials?|pass)(?:[-_/.][A-Za-z]+)*"
    r"|[a-z]+(?:Password|Secret|Token|Key)|(?:Password|Secret|Token|Key)"
)
_NAMED_LIKE_A_PASSWORD: Final = re.compile(
    r"password|[A-Za-z]+_(?:password|passwd|passphrase)|[a-z]+(?:Password|Passphrase)"
)
_SENTENCE: Final = re.compile(r"[A-Za-zÄÖÜäöü]?[a-zäöüß]*(?:[-'’][a-zäöüß]+)?[.!?]?")
_GOES_ON: Final = re.compile(r"[.!?,:]?[ \t]+\w|[ \t]*\(|[.!?,]*\s*\Z")
_ARN: Final = re.compile(r":[a-z]+:\Z")
