"""Secrets that only the manual of a command line tool shows to be some: `htpasswd -b file user PW`.

The words of a command are told apart as a shell does, in a shell's line, in one within JSON, and in a list of
arguments in code (`["sshpass", "-p", "PW"]`); `redact_tools` says which of them is the secret.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from status_watcher.core.redact_harmless import is_reference
from status_watcher.core.redact_mark import REDACTED
from status_watcher.core.redact_tools import ENGLISH, TOOLS


def without_arguments(text: str, lowered: str) -> str:
    """`text` without the secret arguments of known tools; `lowered` is the same in small letters."""
    tools = _FORMS.keys() & _TOOL_LIKE.findall(lowered)
    if not tools:
        return text
    spans = sorted({span for tool in tools for span in _secrets(text, lowered, tool)})
    kept: list[str] = []
    copied = 0
    for start, end in spans:
        if start >= copied:
            kept += (text[copied:start], REDACTED)
            copied = end
    return "".join((*kept, text[copied:]))


_MOST_WORDS: Final = 40
_TOOL_LIKE: Final = re.compile(r"[a-z0-9][a-z0-9_-]{1,23}")
_AT_THE_START: Final = re.compile(r"(?:^|[;&|(\"'`/$\n#>*-])[ \t]*(?:sudo[ \t]+)?\Z")
_START_CHARS: Final = 24

# One word behind what parts it from the one before: in a quotation of its own, which may begin behind
# `--option=`, `-p` or `user:`, or up to what ends a word.
_ARGUMENT: Final = re.compile(
    r"""(?:[ \t]+(?:\\\n[ \t]*)?|\\*["']?[ \t]*,\s*(?:[\[(](?!redacted))?\s*)"""
    r"""(?P<head>(?:-[A-Za-z]{1,2}|(?:-{1,2}|/)[\w.-]{0,64}[=:]|[^\s"'`&;|<>(){}\[\],=:%\\]{0,128}[=:%])(?=\\{0,8}["']))?"""
    r"""(?:(?P<quoted>\\{1,8}["'][^"'\\\n]*(?:\\{1,8}["'])?|"(?:[^"\\]|\\.)*"?|'[^']*'?)"""
    r"""|(?P<bare>\(redacted\)|(?:[^\s"'`&;|<>()\\]|\\(?!["'nrt]))+))""",
    re.DOTALL,
)
_OPENING: Final = re.compile(r"\\*[\"']")
_CLOSING: Final = re.compile(r"(?<=.)\\*[\"']\Z", re.DOTALL)


class _Word(NamedTuple):
    plain: str
    start: int
    end: int
    head_chars: int
    opened_chars: int
    closed_chars: int

    def span_behind(self, chars: int) -> tuple[int, int]:
        """Where the rest of the word behind `chars` of it is; a whole quotation with its marks."""
        if chars <= self.head_chars:
            return self.start + chars, self.end
        return self.start + self.opened_chars + chars, self.end - self.closed_chars


def _words(text: str, at: int) -> list[_Word]:
    words: list[_Word] = []
    while len(words) < _MOST_WORDS and (found := _ARGUMENT.match(text, at)):
        at = found.end()
        quoted = found["quoted"]
        if quoted is None:
            bare = found["bare"]
            words.append(_Word(bare, at - len(bare), at, 0, 0, 0))
            continue
        head, opening, closing = found["head"] or "", _OPENING.match(quoted), _CLOSING.search(quoted)
        opened = opening.end() if opening else 0
        closed = len(quoted) - closing.start() if closing else 0
        plain = head + quoted[opened : len(quoted) - closed] or " "
        words.append(_Word(plain, at - len(quoted) - len(head), at, len(head), opened, closed))
    return words


@dataclass(frozen=True, slots=True)
class _Value:
    """What a secret looks like at its place: what of the word stands before it and behind it."""

    before: re.Pattern[str]
    after: str
    made: bool

    def found_in(self, word: _Word, skipped: int = 0) -> tuple[int, int] | None:
        rest = word.plain[skipped:]
        before = self.before.match(rest)
        if before is None:
            return None
        value = rest[before.end() :]
        start, end = word.span_behind(skipped + before.end())
        if self.after:
            value, mark, behind = value.rpartition(self.after)
            if not mark:
                return None
            end -= len(mark) + len(behind)
        if not value.strip() or is_reference(value):
            return None
        if self.made:
            return (start, end) if _MADE.match(value) else None
        if value[0] in "-/" or (not before[0] and not skipped and _ASSIGNMENT.match(value)):
            return None
        return start, end


_ASSIGNMENT: Final = re.compile(r"[A-Za-z_]{2,}=")
_MADE: Final = re.compile(r"(?=[^\d\s]{0,64}\d)[\w.~+/=-]{12}")
_NAME: Final = (
    r"(?i:(?:\S{0,256}?[\W_])??(?:\w{0,64}?(?:password|passwd|passphrase|secret|secret_id|token"
    r"|(?:api|access|private|secret)[_-]?key)|pass|pw|psk|auth))"
)


def _value(form: str) -> _Value:
    at = max(form.find("!"), form.find("#"))
    parts = {"*": r"[^\s:=%/,]*?" if form[at - 1 : at] != "=" else r"[^\s=]*?", "~": _NAME}
    before = "".join(parts.get(char) or re.escape(char) for char in form[:at])
    return _Value(re.compile(before), form[at + 1 :], form[at] == "#")


@dataclass(frozen=True, slots=True)
class _Option:
    """A secret behind an option."""

    marks: tuple[str, ...]
    """What the text must have."""
    needs: tuple[str, ...]
    name: str
    letter: str
    value: _Value
    glued: bool

    def secrets(self, words: list[_Word]) -> Iterator[tuple[int, int] | None]:
        if self.needs and not {word.plain for word in words}.issuperset(self.needs):
            return
        name, letter = self.name, self.letter
        for at, word in enumerate(words):
            plain = word.plain
            if plain[0] not in "-/":
                continue
            if self.glued:
                if plain.startswith(name):
                    yield self.value.found_in(word, len(name))
            elif plain == name or (letter and plain[-1] == letter and _LETTERS.fullmatch(plain)):
                if at + 1 < len(words):
                    yield self.value.found_in(words[at + 1])
            elif plain.startswith(name):
                if plain[len(name)] == "=":
                    yield self.value.found_in(word, len(name) + 1)
                elif letter and self.value.before.pattern:
                    yield self.value.found_in(word, len(name))


_LETTER: Final = re.compile("-[A-Za-z]")
_LETTERS: Final = re.compile("-[A-Za-z]{1,6}")


@dataclass(frozen=True, slots=True)
class _Place:
    """A secret at a place among the words that are no options."""

    marks: tuple[str, ...]
    needs: str
    before: tuple[re.Pattern[str], ...]
    value: _Value
    anywhere: bool
    """Behind those before it."""

    def secrets(self, words: list[_Word]) -> Iterator[tuple[int, int] | None]:
        if self.needs and not any(_has(word.plain, self.needs) for word in words):
            return
        words = [word for word in words if word.plain[0] != "-"]
        size = len(self.before)
        for at in range(len(words) - size):
            if all(form.fullmatch(word.plain) for form, word in zip(self.before, words[at:], strict=False)):
                for word in words[at + size :] if self.anywhere else words[at + size : at + size + 1]:
                    yield self.value.found_in(word)


def _has(option: str, needed: str) -> bool:
    """`-b-` stands for the letter among others."""
    if needed[-1] != "-":
        return option == needed
    return needed[1] in option and _LETTERS.fullmatch(option) is not None


def _form(form: str) -> _Option | _Place:
    *words, last = form.split()
    parts = re.split(r"[ *!#~]|-[a-z]-|\.{3}", form)
    marks = tuple(part for part in parts if part and not _LETTER.fullmatch(part))
    if last[0] in "-/":
        at = last.index("!")
        return _Option(marks, tuple(words), last[:at], "", _value(last[at:]), glued=True)
    if words and words[-1][0] in "-/":
        name = words.pop()
        letter = name[1] if _LETTER.fullmatch(name) else ""
        return _Option(marks, tuple(words), name, letter, _value(last), glued=False)
    needs = words.pop(0) if words and words[0][0] == "-" else ""
    before = (
        re.compile(_NAME if word == "~" else re.escape(word).replace(r"\*", r"\S*"))
        for word in words
        if word != "..."
    )
    return _Place(marks, needs, tuple(before), _value(last), "..." in words)


def _forms() -> dict[str, tuple[_Option | _Place, ...]]:
    forms: dict[str, tuple[_Option | _Place, ...]] = {}
    for tools, row in TOOLS:
        read = tuple(map(_form, row.split(" | ")))
        for tool in tools.split():
            forms[tool] = (*forms.get(tool, ()), *read)
    return forms


_FORMS: Final = _forms()


def _secrets(text: str, lowered: str, name: str) -> Iterator[tuple[int, int]]:
    forms = [form for form in _FORMS[name] if all(mark in text for mark in form.marks)]
    if not forms:
        return
    at = lowered.find(name)
    while at >= 0:
        end = at + len(name)
        if _is_command(text, at, end, name):
            words = _words(text, end + 4 * lowered.startswith(".exe", end))
            for form in forms:
                yield from (span for span in form.secrets(words) if span is not None)
            end = words[-1].end if words else end  # a command names its tool once
        at = lowered.find(name, end)


def _is_command(text: str, at: int, end: int, name: str) -> bool:
    before, behind = text[at - 1 : at], text[end : end + 1]
    if before.isalnum() or (before and before in "_.@-") or not (behind and behind in " \t\"'\\."):
        return False
    return name not in ENGLISH or _AT_THE_START.search(text, max(0, at - _START_CHARS), at) is not None
