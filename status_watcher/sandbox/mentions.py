"""Which names a text mentions: to the server, which notifies, and to a client, which only renders.

The two differ (9.9): a fence that is never closed is code to the server and plain text to the web client.
"""

import re
from collections.abc import Iterator
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token

# CommonMark plus tables; `&#64;` stays text, as 9.9 takes it.
_MARKDOWN = MarkdownIt("commonmark").enable("table").disable("entity")
_NAME = re.compile(r"(?<![\w@.\-])@([A-Za-z0-9][\w.\-]*)", re.ASCII)


def pinged_names(message: str, props: dict[str, Any]) -> frozenset[str]:
    """The lower-case names, without `@`, that a new post of this text would notify if someone bears them."""
    return frozenset(name for text in _texts(message, props) for name in _names(text, unclosed_is_code=True))


def live_names(message: str, props: dict[str, Any]) -> frozenset[str]:
    """The names that the server would notify or a client would render as a mention."""
    return pinged_names(message, props) | frozenset(
        name for text in _texts(message, props) for name in _names(text, unclosed_is_code=False)
    )


def _texts(message: str, props: dict[str, Any]) -> Iterator[str]:
    yield message
    for attachment in props.get("attachments") or ():
        yield attachment["pretext"]
        yield attachment["text"]


def _names(text: str, *, unclosed_is_code: bool) -> Iterator[str]:
    if "@" not in text:
        return
    lines = text.splitlines()
    for token in _MARKDOWN.parse(text):
        if token.type == "inline":
            yield from _names_in_plain("".join(_plain(token.children or ())))
        elif token.type == "html_block" or (
            token.type == "fence" and not unclosed_is_code and not _closed(token, lines)
        ):
            yield from _names_in_plain(token.content)


def _plain(tokens: Any) -> Iterator[str]:
    for token in tokens:
        match token.type:
            case "text" | "text_special" | "html_inline":
                yield token.content
            case "softbreak" | "hardbreak":
                yield "\n"
            case "code_inline" | "image":
                yield " "
            case _:
                pass


def _names_in_plain(text: str) -> Iterator[str]:
    for match in _NAME.finditer(text):
        name = match.group(1).lower()
        yield name
        yield name.rstrip("._-")


def _closed(fence: Token, lines: list[str]) -> bool:
    if fence.map is None:
        return False
    first, end = fence.map
    return end - first > 1 and lines[end - 1].strip(" >\t").startswith(fence.markup)
