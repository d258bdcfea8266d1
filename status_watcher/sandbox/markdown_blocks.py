"""The block rules of Mattermost's web client (server 9.9) where they differ from CommonMark, for markdown-it.

Containers are parsed again as texts of their own, as the client does: a rule sees plain lines only.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import takewhile

from markdown_it.rules_block import StateBlock

_MAX_DEPTH = 100
"""Containers within containers; the client stops there too, and Python's stack has room for it."""

_QUOTE = re.compile(r" *>.")
_QUOTE_MARK = re.compile(r"^ *> ?")
_FENCE = re.compile(r" {0,3}(?P<ticks>`{3,}|~{3,})(?P<language>[^`~]*)$")
_UNDERLINE = re.compile(r" *[=-]{2,} *$")
_HEADING = re.compile(r" *(#{1,6}) +(.+?) *#* *$")
_HASHES = re.compile(r" *#{1,6} *[^ #]")
_RULE = re.compile(r" *(?:[-*_] *){3,}$")
_ITEM = re.compile(r"(?P<indent> *)(?P<bullet>[*+-]|\d+\.) +")
_DEFINITION = re.compile(
    r" *\[(?P<label>[^\]]+)\]: *<?(?P<href>(?:\w*?:(?://)?|/|#)[^\s>]+)>?(?: +[\"(](?P<title>.+)[\")])? *$"
)
_ALIGNMENT_ROW = re.compile(r" *(?:\|? *[-:]+ *\|[-| :]*|\| *[-:]+[-| :]*)$")
_CELL_BORDER = re.compile(r"(?<!\\)\|")


def quote(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """A quote takes every line, marked or not, up to an empty one with no quoted line after it."""
    if state.is_code_block(start) or not _QUOTE.match(_line(state, start)):
        return False
    if silent:
        return True
    line = start
    while line < end and _QUOTE.match(_line(state, line)):
        line += 1
        while line < end and _line(state, line) and not _DEFINITION.match(_line(state, line)):
            line += 1
        while line < end and not _line(state, line):
            line += 1
    inner = [_QUOTE_MARK.sub("", text, count=1) for text in _raw(state, start, line).split("\n")]
    state.push("blockquote_open", "blockquote", 1)
    _parse(state, inner, inside="quote")
    state.push("blockquote_close", "blockquote", -1)
    state.line = line
    return True


def fence(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """A fence is code only where it is closed, or where the text ends with a line break."""
    opening = _FENCE.match(_line(state, start))
    if not opening:
        return False
    closing = re.compile(rf" {{0,3}}{opening['ticks']}[~`]* *$")
    close = next((i for i in range(start + 1, end) if closing.match(_line(state, i))), None)
    if close is None and not state.src.endswith("\n"):
        return False
    if silent:
        return True
    last = end if close is None else close
    token = state.push("fence", "code", 0)
    token.info = opening["language"].strip()
    token.content = "\n".join(_lines(state, start + 1, last))
    state.line = last if close is None else close + 1
    return True


def underlined_heading(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """One line over a row of `=` or `-`, whatever that line is and whatever stands above it."""
    if start + 1 >= end or not _line(state, start) or not _UNDERLINE.match(_line(state, start + 1)):
        return False
    if silent:
        return True
    level = "h1" if "=" in _line(state, start + 1) else "h2"
    state.push("heading_open", level, 1)
    _inline(state, _line(state, start).strip())
    state.push("heading_close", level, -1)
    state.line = start + 2
    return True


def heading(state: StateBlock, start: int, _end: int, silent: bool) -> bool:
    """One to six `#`, a blank and some text."""
    if silent:
        return bool(
            _HASHES.match(_line(state, start))
        )  # without the blank it is text, but a paragraph of its own
    found = _HEADING.match(_line(state, start))
    if not found:
        return False
    state.push("heading_open", f"h{len(found[1])}", 1)
    _inline(state, found[2])
    state.push("heading_close", f"h{len(found[1])}", -1)
    state.line = start + 1
    return True


def rule(state: StateBlock, start: int, _end: int, silent: bool) -> bool:
    """Three or more of `-`, `*` and `_`, mixed or not."""
    if not _RULE.match(_line(state, start)):
        return False
    if not silent:
        state.push("hr", "hr", 0)
        state.line = start + 1
    return True


def item_list(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """A bullet or any number with a point; a line without indent after an item's first ends the list."""
    first = _ITEM.match(_line(state, start))
    if state.is_code_block(start) or not first or _raw(state, start, end).endswith(f"{first['bullet']} "):
        return False
    if silent:
        return True
    tag = "ol" if first["bullet"][0].isdigit() else "ul"
    opened = state.push("list_open", tag, 1)
    if tag == "ol" and int(first["bullet"][:-1][:9]) != 1:
        opened.attrs = {"start": int(first["bullet"][:-1][:9])}
    line, list_end = start, _list_end(state, start, end, first["indent"])
    while line < list_end and (item := _ITEM.match(_line(state, line))):
        following = takewhile(lambda i: not _same_list(state, i, item["indent"]), range(line + 1, list_end))
        body = [_line(state, i) for i in following]
        if body and body[0] and not body[0].startswith(" "):
            body, list_end = [], line + 1
        outdent = re.compile(f" {{1,{item.end()}}}")
        texts = [
            _line(state, line)[item.end() :],
            *(outdent.sub("", t, 1) if t[:1] == " " else t for t in body),
        ]
        state.push("list_item_open", "li", 1)
        _parse_item(state, texts)
        state.push("list_item_close", "li", -1)
        line += 1 + len(body)
    state.push("list_close", tag, -1)
    state.line = line
    return True


def table(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """A row with a pipe over a row of dashes, as many cells as either has; only outside of lists."""
    if silent or start + 2 >= end or _within(state, "list"):
        return False
    header, alignment = _line(state, start), _line(state, start + 1)
    if "|" not in header or not _ALIGNMENT_ROW.match(alignment):
        return False
    piped = header.lstrip().startswith("|")
    if piped != alignment.lstrip().startswith("|"):
        return False
    aligns = [_alignment(cell) for cell in _cells(alignment)]
    rows = list(
        takewhile(
            lambda text: text.lstrip().startswith("|") if piped else "|" in text,
            _lines(state, start + 2, end),
        )
    )
    state.push("table_open", "table", 1)
    state.push("thead_open", "thead", 1)
    _row(state, "th", _cells(header), aligns)
    state.push("thead_close", "thead", -1)
    state.push("tbody_open", "tbody", 1)
    for row in rows:
        _row(state, "td", _cells(row), aligns)
    state.push("tbody_close", "tbody", -1)
    state.push("table_close", "table", -1)
    state.line = start + 2 + len(rows)
    return True


def definition(state: StateBlock, start: int, _end: int, silent: bool) -> bool:
    """`[label]: address` is kept for links by label and vanishes, except within quotes and lists."""
    found = _DEFINITION.match(_line(state, start))
    if not found or (not silent and (_within(state, "list") or _within(state, "quote"))):
        return False
    if not silent:
        state.env.setdefault("definitions", {})[found["label"].lower()] = (
            found["href"],
            found["title"] or "",
        )
        state.line = start + 1
    return True


def _line(state: StateBlock, line: int) -> str:
    return state.src[state.bMarks[line] : state.eMarks[line]]


def _raw(state: StateBlock, start: int, end: int) -> str:
    """The lines as they are in the text, each with its line break."""
    return state.src[state.bMarks[start] : state.bMarks[end] if end < state.lineMax else len(state.src)]


def _lines(state: StateBlock, start: int, end: int) -> list[str]:
    return [_line(state, line) for line in range(start, end)]


def _within(state: StateBlock, container: str) -> bool:
    return container in state.env.get("containers", ())


@contextmanager
def _container(state: StateBlock, name: str) -> Iterator[int]:
    outer: tuple[str, ...] = state.env.get("containers", ())
    state.env["containers"] = (*outer, name)
    yield len(outer)
    state.env["containers"] = outer


def _parse(state: StateBlock, lines: list[str], inside: str) -> None:
    """Parses the lines as a text of their own, into the tokens of `state`."""
    text = "\n".join(f"{line[:-1]}\u00a0" if line.isspace() else line for line in lines)
    with _container(state, inside) as depth:
        if depth < _MAX_DEPTH:
            state.md.block.parse(text, state.md, state.env, state.tokens)
        else:
            _inline(state, text)


def _parse_item(state: StateBlock, lines: list[str]) -> None:
    before = len(state.tokens)
    _parse(state, lines, inside="list")
    if "" not in lines[: len("\n".join(lines).rstrip("\n").split("\n"))]:
        for token in state.tokens[before:]:
            token.hidden = token.hidden or token.type in {"paragraph_open", "paragraph_close"}


def _inline(state: StateBlock, text: str) -> None:
    token = state.push("inline", "", 0)
    token.content = text
    token.children = []


def _same_list(state: StateBlock, line: int, indent: str) -> bool:
    item = _ITEM.match(_line(state, line))
    return bool(item and item["indent"] == indent)


def _list_end(state: StateBlock, start: int, end: int, indent: str) -> int:
    """The line after the list; a rule ends it, a definition, or an empty line unless it goes on there."""
    for line in range(start + 1, end):
        text = _line(state, line)
        if _RULE.match(text) or _DEFINITION.match(text):
            return line
        after_gap = not _line(state, line - 1)
        if text and after_gap and not text.startswith(" ") and not _same_list(state, line, indent):
            return line
    return end


def _cells(row: str) -> list[str]:
    """The cells of a row; a pipe in code divides as any other, only a backslash before it keeps it."""
    inner = row.strip()
    inner = inner.removeprefix("|")
    if inner.endswith("|") and not inner.endswith("\\|"):
        inner = inner[:-1]
    return [cell.strip() for cell in _CELL_BORDER.split(inner)]


def _alignment(cell: str) -> str:
    match (cell.startswith(":"), cell.endswith(":")):
        case True, True:
            return "center"
        case _, True:
            return "right"
        case True, _:
            return "left"
        case _:
            return ""


def _row(state: StateBlock, tag: str, cells: list[str], aligns: list[str]) -> None:
    state.push("tr_open", "tr", 1)
    for column, cell in enumerate(cells):
        opened = state.push(f"{tag}_open", tag, 1)
        if column < len(aligns) and aligns[column]:
            opened.attrs = {"style": f"text-align:{aligns[column]}"}
        _inline(state, cell)
        state.push(f"{tag}_close", tag, -1)
    state.push("tr_close", "tr", -1)
