"""Agent text cut to what a line holds, never inside what the eye sees as one character.

Lengths are Unicode code points, as Mattermost counts them.
"""

import re
import unicodedata
from typing import Final

ELLIPSIS: Final = "…"


def clip(text: str, max_chars: int) -> str:
    """`text` on one line of at most `max_chars` code points, ended by "…" if it was longer."""
    text = " ".join(text.split())
    if len(text) <= max_chars:
        return text
    if max_chars < 1:
        return ""
    end = max_chars - 1
    while end and not _may_cut(text, end):
        end -= 1
    return text[:end].rstrip() + ELLIPSIS


def first_sentence(text: str, max_chars: int) -> str:
    """What an agent said, in one sentence of at most `max_chars`; "" if it said nothing but decoration.

    It is taken from the first line that has words, without Markdown's decoration, and ends at a full stop,
    question or exclamation mark of any script that the next word does not belong to ("e.g. this", "v2.0").
    """
    for line in text[:_READ_CHARS].splitlines():
        plain = _plain(line[:_LINE_CHARS])
        if _WORD.search(plain):
            return clip(plain[: _sentence_end(plain)], max_chars)
    return ""


_READ_CHARS: Final = 16_384
_LINE_CHARS: Final = 2_048
_WORD: Final = re.compile("[^\\W_]|[\u2600-\u27bf\U0001f000-\U0001faff]")  # a lone emoji says something

# What stands before the words of a line: quote marks, headings, list markers, check boxes.
_LEADERS: Final = re.compile(r"^(?:\s*(?:>|#{1,6}(?=\s)|[-*+•](?=\s)|\d{1,3}[.)](?=\s)|\[[ xX]\](?=\s)))*\s*")
_FENCE: Final = re.compile(r"\s*(?:`{3,}|~{3,})[^`]*$|\s*</?[a-z]+>\s*$")
_DECORATION: Final = (
    (re.compile(r"!?\[([^\[\]]{1,500})\]\([^()\s]{1,500}\)"), r"\1"),
    (re.compile(r"(`{1,2})([^`]{1,500})\1"), r"\2"),
    (re.compile(r"(\*{1,3})(?=\S)([^*]{1,500})(?<=\S)\1"), r"\2"),
    (re.compile(r"~~(?=\S)([^~]{1,500})(?<=\S)~~"), r"\1"),
    (re.compile(r"\s+#+\s*$"), ""),
)


def _plain(line: str) -> str:
    if _FENCE.match(line):
        return ""
    line = _LEADERS.sub("", line)
    for pattern, replacement in _DECORATION:
        line = pattern.sub(replacement, line)
    return line.strip()


_STOP: Final = re.compile(
    r"(?P<full>[。！？｡]+[」』”’）)\]]*)"
    r"|(?P<mark>[.!?…؟।]+)[\"'”’»)\]]*(?=\s|$)"
)
_ABBREVIATIONS: Final = frozenset(
    {
        *("e.g", "i.e", "etc", "vs", "cf", "approx", "ca", "no", "nr", "st", "mr", "mrs", "ms", "dr", "prof"),
        *("inc", "ltd", "fig", "eq", "vol", "pp", "z.b", "d.h", "bzw", "usw", "p.ej"),
    }
)


def _sentence_end(line: str) -> int:
    for stop in _STOP.finditer(line):
        if stop["full"] or stop["mark"] != "." * len(stop["mark"]):
            if stop["mark"] != ELLIPSIS or not _goes_on(line, stop.end()):
                return stop.end()
        elif not _goes_on(line, stop.end()) and not _abbreviates(line, stop.start()):
            return stop.end()
    return len(line)


def _goes_on(line: str, end: int) -> bool:
    """A sentence does not begin with a small letter."""
    return line[end:].lstrip()[:1].islower()


def _abbreviates(line: str, end: int) -> bool:
    words = line[:end].rsplit(None, 1)
    word = words[-1].strip("\"'(").lower() if words else ""
    return (
        word in _ABBREVIATIONS
        or (len(words) == 1 and word.isdecimal())
        or (len(word) == 1 and word.isalpha())
    )


def _may_cut(text: str, at: int) -> bool:
    """Whether a cut before `text[at]` leaves every grapheme cluster whole.

    Conservative: rather than Unicode's full table of breaks it keeps together whatever *may* combine.
    """
    before, after = text[at - 1], text[at]
    if after.isascii():
        return before != _JOINER
    if before == _JOINER or after in _EXTENDING or unicodedata.category(after) in {"Mn", "Mc", "Me", "Cf"}:
        return False
    if unicodedata.combining(before) == _VIRAMA:
        return False
    if _is_flag_half(after) and _is_flag_half(before):
        return _flag_halves_before(text, at) % 2 == 0
    return not _HANGUL_PART.match(after)


_JOINER: Final = "\u200d"
_VIRAMA: Final = 9  # Unicode's combining class of the marks that join the consonants of Indic scripts
_HANGUL_PART: Final = re.compile("[\u1160-\u11ff\ud7b0-\ud7fb]")  # vowels and finals written apart
_EXTENDING: Final = frozenset(map(chr, range(0x1F3FB, 0x1F400)))  # skin tones


def _is_flag_half(char: str) -> bool:
    return "\U0001f1e6" <= char <= "\U0001f1ff"


def _flag_halves_before(text: str, at: int) -> int:
    count = 0
    while count < at and _is_flag_half(text[at - 1 - count]):
        count += 1
    return count
