"""Closes the text of a post of ours whose turn is not known any more: all but its state stays as it is."""

import re
from typing import Final

from status_watcher.core.states import OPEN_STATES
from status_watcher.model import Closing

_SEPARATOR: Final = re.compile(r"(?<= )\|(?= )")
"""What stands between the parts of a first line; a name may end with one, so its blanks are nobody's own."""
_HEAD: Final = re.compile(r"\[([A-Z]+)\](?: .*)?")
_SPAN: Final = re.compile(r"\d+s|\d+m \d\ds|\d+h \d\dm")
"""As `render.span` writes it."""
_LINK: Final = re.compile(r"\[[^\]]*\]\(\S+\)")
"""As `Pen.link` writes it; an agent's name has its brackets escaped."""
_CUT: Final = re.compile(r"> \((\d+) earlier lines?\)")
_OPEN: Final = frozenset(str(state) for state in OPEN_STATES)


def closed(said: str, closing: Closing) -> str:
    """The text of an ended box, out of one that `render` or `bare_box` made for a box that was open.

    The name, the elapsed time and the link of the first line stay, and all lines below it; the last line is
    added. The oldest lines go where it is too long otherwise. A text that says how its turn ended is returned
    as it is, and so is one that is not a box's.
    """
    first, *below = said.split("\n")
    head = _HEAD.fullmatch(first)
    if head is None or head[1] not in _OPEN:
        return said
    first, took = _first_line(first, head[1], closing)
    last = [] if closing.one_line and not below else ["", f"[{closing.state}] {took}".rstrip()]
    return _fitting(first, below, last, closing)


def _first_line(first: str, was: str, closing: Closing) -> tuple[str, str]:
    """With the new state, without what stands after the elapsed time; and that time, "" if there is none."""
    parts = _SEPARATOR.split(first)
    # A name may hold the separator, and look like a time behind it; what stands after the time never does.
    spans = [index for index, part in enumerate(parts) if index and _SPAN.fullmatch(part.strip())]
    took = parts[spans[-1]].strip() if spans else ""
    kept = parts[: spans[-1] + 1] if spans else parts[:1]
    if len(parts) > len(kept) and _LINK.fullmatch(parts[-1].strip()):
        kept.append(parts[-1])
    return f"[{closing.state}]{'|'.join(kept)[len(was) + 2 :]}".rstrip(), took


def _fitting(first: str, below: list[str], last: list[str], closing: Closing) -> str:
    """All of it; or without the oldest lines, and how many these were."""
    body, cut = below, 0
    if body and (told := _CUT.fullmatch(body[0])):
        body, cut = body[1:], int(told[1])
    text = "\n".join((first, *below, *last))
    while len(text) > closing.max_chars and body:
        cut += 1
        body = body[1:]
        while body and _only_marks(body[0]):
            body = body[1:]
        text = "\n".join((first, f"> ({cut} earlier {'line' if cut == 1 else 'lines'})", *body, *last))
    shorter = (text, "\n".join((first, *last)), first)
    return next((one for one in shorter if len(one) <= closing.max_chars), f"[{closing.state}]")


def _only_marks(line: str) -> bool:
    """A line that ends a nested level, and says nothing."""
    return not line.strip("> ")
