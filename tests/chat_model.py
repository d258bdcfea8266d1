"""What would act in a Mattermost post: a model of the server's and the web client's parsers, for tests alone.

Written from what was measured of 9.9 (the table "Markdown and agent output" of the project's notes on
Mattermost: its rows are this model's own tests) and from nothing of ours: it shares no code and no pattern
with the renderer or the sandbox. Where the parsers differ or were not measured it takes the wider reading:
what it does not find does not act.
"""

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass

CODE = "\ue000"
"""Stands for a code span: no letter, no blank."""
ESCAPED = "\ue001"
"""Stands for a character that a backslash before it makes plain."""

_PUNCTUATION = re.escape("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
_ESCAPE = re.compile(rf"\\([{_PUNCTUATION}])")


@dataclass(frozen=True)
class Act:
    kind: str
    text: str


@dataclass(frozen=True)
class Line:
    depth: int
    text: str


def acts(message: str) -> list[Act]:
    """Everything in a post that is more than text and code spans and block quotes."""
    return list(_acts(message))


def code_spans(message: str) -> list[str]:
    """The content of each code span, as it is shown."""
    return [content for _, paragraph in _paragraphs(message) for content in _split(paragraph)[1]]


def depths(message: str) -> list[int]:
    """How deep each line that is not empty stands in quotes, lazy continuation included."""
    return [depth for depth, paragraph in _paragraphs(message) for _ in paragraph.split("\n")]


def _acts(message: str) -> Iterator[Act]:
    if message.startswith("/"):
        yield Act("command", message.split(maxsplit=1)[0])
    if found := re.search(
        "[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\u2028\u2029]", message
    ):
        yield Act("control", repr(found[0]))
    yield from _blocks([_line(raw) for raw in message.split("\n")])
    for _, paragraph in _paragraphs(message):
        yield from _inline(paragraph)


def _line(raw: str) -> Line:
    prefix = re.match(r"(?: {0,3}>[ \t]?)*", raw)
    assert prefix is not None
    return Line(prefix[0].count(">"), raw[prefix.end() :])


def _blocks(lines: list[Line]) -> Iterator[Act]:
    """Blocks other than paragraphs and quotes: one line is enough for each."""
    patterns = {
        "fence": r"[ \t]{0,3}(?:`{3,}[^`]*|~{3,}.*)$",
        "heading": r"\s{0,3}#{1,6}(?:\s|$)",
        "rule": r"\s{0,3}(?:[-*_]\s*){3,}$",
        "underline": r"\s{0,3}(?:=+|-+)\s*$",
        "list": r"\s{0,3}(?:[-*+]|\d+[.)])(?:\s|$)",
        "table": r"\s*\|?\s*:?-+:?\s*(?:\|\s*:?-*:?\s*)*$",
        "definition": r"\s{0,3}\[[^\]]+\]:",
        "code block": r"(?:\t|[ \u00a0]{4})",
    }
    for line in lines:
        for kind, pattern in patterns.items():
            if line.text.strip() and re.match(pattern, line.text):
                yield Act(kind, line.text)


def _paragraphs(message: str) -> Iterator[tuple[int, str]]:
    """Lines that belong together, with their depth: a shallower one goes on with a deeper one."""
    depth, held = 0, []
    for line in map(_line, message.split("\n")):
        if line.text.strip() and held and line.depth <= depth:
            held.append(line.text)
            continue
        if held:
            yield depth, "\n".join(held)
        depth, held = line.depth, [line.text] if line.text.strip() else []
    if held:
        yield depth, "\n".join(held)


def _split(paragraph: str) -> tuple[str, list[str], set[int]]:
    """The paragraph with `CODE` for each code span, escapes left as they are; what is in the spans; and where
    in the paragraph a character is neither code nor escaped.
    """
    outside: list[str] = []
    codes: list[str] = []
    live: set[int] = set()
    at = 0
    while at < len(paragraph):
        if escape := _ESCAPE.match(paragraph, at):
            outside.append(escape[0])
            at = escape.end()
            continue
        ticks = re.compile("`+").match(paragraph, at)
        if ticks is None:
            outside.append(paragraph[at])
            live.add(at)
            at += 1
            continue
        closing = re.compile(rf"(?<!`){ticks[0]}(?!`)").search(paragraph, ticks.end())
        if closing is None:
            outside.append(ticks[0])
            at = ticks.end()
            continue
        codes.append(paragraph[ticks.end() : closing.start()].strip())
        outside.append(CODE)
        at = closing.end()
    return "".join(outside), codes, live


# As the client decides: `]` may stand within the brackets if another follows before the next `[`, also behind
# a backslash, in code and on later lines.
_LINK = re.compile(r"!?\[((?:\[[^\]]*\]|[^\[\]]|\](?=[^\[]*\]))*)\]\(\s*[^)\s]*[^)]*\)")
_PAIRED = {
    "bold or italic": re.compile(r"\*+(?=\S)[\s\S]*?(?<=\S)\*"),
    "italic": re.compile(r"(?<![A-Za-z0-9_])_+(?=\S)[\s\S]*?(?<=\S)_+(?![A-Za-z0-9])"),
    "strike": re.compile(r"~~(?=\S)[\s\S]*?(?<=\S)~~"),
    "formula": re.compile(r"(?<![A-Za-z0-9])\$(?=\S)[^\n]*?(?<=\S)\$(?![A-Za-z0-9])"),
    "code": re.compile("`"),
    "autolink": re.compile(r"<[A-Za-z][^\s<>]*[:@][^\s<>]*>"),
}
# Backslashes do not stop these: each is looked for in the text as it is, without its backslashes, and with
# its entities decoded, which servers before 9.9 did.
_FOUND = {
    "mention": re.compile(r"@[A-Za-z0-9._-]"),
    "channel": re.compile(r"~[A-Za-z0-9]"),
    "hashtag": re.compile(r"#[^\W\d_][\w.-]+"),
    "link": re.compile(
        r"\b[A-Za-z][A-Za-z0-9+.-]*://|\bwww\d{0,3}\.[^\s\u200b]|\b(?:mailto|tel|javascript|data|ftp|xmpp|sip|mattermost):[^\s\u200b]"
        r"|[A-Za-z0-9-]\.[a-z]{2,4}/",
        re.IGNORECASE,
    ),
    "emoji": re.compile(r":(?!\d{1,2}:)[A-Za-z0-9_+-]+:"),
    "emoticon": re.compile(
        r"(?:^|[^\w:])(?::-?\)|;-?\)|:o\b|:-o\b|:-?\]|:-?d\b|x-d\b|:-?p\b|:-?[\[@]|:-?\(|:['`’]-?\(|:-?/|:-?s\b|:-?\||:-?\$|:-x\b)"
        r"|<3|</3",
        re.IGNORECASE,
    ),
}


def _inline(paragraph: str) -> Iterator[Act]:
    outside, _, live = _split(paragraph)
    masked = _ESCAPE.sub(ESCAPED, outside)
    for opening in (at for at in sorted(live) if paragraph[at] == "["):
        if link := _LINK.match(paragraph, opening):
            yield Act("markdown link", link[0])
    for kind, pattern in _PAIRED.items():
        if found := pattern.search(masked):
            yield Act(kind, found[0])
    plain = _ESCAPE.sub(r"\1", outside)
    for text in (outside, plain, html.unescape(outside), html.unescape(plain)):
        for kind, pattern in _FOUND.items():
            if found := pattern.search(text):
                yield Act(kind, text[max(0, found.start() - 10) : found.end() + 10])
