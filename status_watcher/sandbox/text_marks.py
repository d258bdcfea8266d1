"""What Mattermost's web client makes of plain text: mentions, channel links, hashtags, emoji, mail addresses.

This is the client's search, which draws them; what pings is the server's (`mentions.py`), and they differ.
"""

import html
import re
from collections.abc import Callable
from dataclasses import dataclass

from status_watcher.sandbox.emoji import EMOJI, EMOTICONS

_MAX_MARKS = 1000
"""With more in one run of text the client gives up and shows the run plain."""

_EVERYONE = re.compile(r"(?:\B|\b_+)@(channel|all|here)(?![.\-_]*[^\W_])", re.IGNORECASE | re.ASCII)
_NAME = re.compile(r"(?:\B|\b_+)@([a-z0-9.\-_]+)", re.IGNORECASE | re.ASCII)
_CHANNEL = re.compile(r"\B~([a-z0-9.\-_]+)", re.IGNORECASE | re.ASCII)
_EMAIL = re.compile(
    r"(?<![^\W_])[\w!#$%&'*+\-/=?^`{|}~](?:[\w!#$%&'*+\-/=?^`{|}~]|\.(?![.@]))*@[^\W_](?:[^\W_]|[.\-])*\.[^\W\d_]{2,5}(?![^\W\d_])"
)
_HASHTAG = re.compile(r"(?<![A-Za-z0-9_])#[^\W\d_][\w.\-]*[^\W_]")
_SHORTCODE = re.compile(r"(?<!\w):([\w+-]+):(?!\w)", re.ASCII)
_ENTITY_OR_SPECIAL = re.compile(r"&#?\w+;|[&<>\"'\n]", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Mark:
    """A finished piece of HTML, in which nothing further is searched."""

    html: str


_Run = str | _Mark


def mark_up(text: str, *, in_link: bool = False) -> str:
    """HTML of a run of plain text; within a link nothing becomes another one, but mentions are marked.

    Every name counts as that of a user or channel. Character references stay as they are, as with the client.
    """
    runs: list[_Run] = [text]
    runs = _marked(runs, _EVERYONE, _mention)
    while _marks(runs) <= _MAX_MARKS and (more := _marked(runs, _NAME, _mention)) != runs:
        runs = more
    if not in_link:
        runs = _marked(runs, _CHANNEL, _channel_link)
        runs = _marked(runs, _EMAIL, _email_link)
        runs = _marked(runs, _HASHTAG, _hashtag)
    runs = _marked(runs, _SHORTCODE, _shortcode)
    for pattern, name in EMOTICONS:
        runs = _marked(runs, pattern, lambda found, name=name: _emoticon(found[0], name))  # type: ignore[misc]  # mypy does not infer a lambda with a default
    if _marks(runs) > _MAX_MARKS:
        return _escaped(text)
    return "".join(run.html if isinstance(run, _Mark) else _escaped(run) for run in runs)


def _marks(runs: list[_Run]) -> int:
    return sum(isinstance(run, _Mark) for run in runs)


def _marked(
    runs: list[_Run], pattern: re.Pattern[str], mark: Callable[[re.Match[str]], str | None]
) -> list[_Run]:
    """The runs with each find in a plain one marked; a mark is like punctuation to later searches."""
    result: list[_Run] = []
    for run in runs:
        if isinstance(run, _Mark):
            result.append(run)
            continue
        end = 0
        for found in pattern.finditer(run):
            drawn = mark(found)
            if drawn is None:
                continue
            if found.start() > end:
                result.append(run[end : found.start()])
            result.append(_Mark(drawn))
            end = found.end()
        if end < len(run):
            result.append(run[end:])
    return result


def _mention(found: re.Match[str]) -> str | None:
    name = found[1].rstrip(".-_")
    if not name:
        return None
    return f'<span class="mention" data-mention="{name}">@{name}</span>{found[1][len(name) :]}'


def _channel_link(found: re.Match[str]) -> str | None:
    name = found[1].rstrip(".-_")
    return (
        f'<a class="channel-link" href="?channel={name}">~{name}</a>{found[1][len(name) :]}' if name else None
    )


def _email_link(found: re.Match[str]) -> str:
    address = html.escape(found[0])
    return f'<a href="mailto:{address}">{address}</a>'


def _hashtag(found: re.Match[str]) -> str | None:
    return f'<a class="hashtag" href="#">{found[0]}</a>' if len(found[0]) > 3 else None


def _shortcode(found: re.Match[str]) -> str | None:
    return _emoji(found[1].lower(), found[0]) if found[1].lower() in EMOJI else None


def _emoticon(written: str, name: str) -> str:
    return _escaped(written[1:]) if written.startswith("\\") else _emoji(name, written)


def _emoji(name: str, written: str) -> str:
    return f'<span class="emoji" data-emoji="{name}" title="{html.escape(written)}">{EMOJI[name]}</span>'


def _escaped(text: str) -> str:
    return _ENTITY_OR_SPECIAL.sub(lambda found: _escaped_character(found[0]), text)


def _escaped_character(found: str) -> str:
    if len(found) > 1:
        return found
    return "<br>" if found == "\n" else html.escape(found)
