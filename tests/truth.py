"""The hand-written truth of each capture, and what a box's text lacks of it."""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PATH = Path(__file__).parent / "data" / "openclaw" / "truth.toml"
BETWEEN = " … "


@dataclass(frozen=True, slots=True)
class PostTruth:
    """One post as it must stand in the end; the fields are explained at the head of truth.toml."""

    channel: str
    root: str
    word: str
    lines: tuple[str, ...]
    not_lines: tuple[str, ...]
    ok: int
    err: int
    agent: str
    history: tuple[str, ...]
    why: str


@dataclass(frozen=True, slots=True)
class Truth:
    """What a replay of one capture must leave in the channels, at most `settles_s` after its last step."""

    name: str
    posts: tuple[PostTruth, ...]
    settles_s: float
    why: str


def load() -> dict[str, Truth]:
    """All tables, by capture; an unknown field is an error, so that a misspelt one promises nothing."""
    return {
        name: _truth(name, table) for name, table in tomllib.loads(PATH.read_text(encoding="utf-8")).items()
    }


def _truth(name: str, table: dict[str, Any]) -> Truth:
    posts = tuple(_post(**post) for post in table.pop("posts"))
    return Truth(name=name, posts=posts, **table)


def _post(
    *,
    channel: str,
    word: str,
    why: str,
    root: str = "",
    lines=(),
    not_lines=(),
    ok=0,
    err=0,
    agent="",
    history=(),
) -> PostTruth:
    return PostTruth(channel, root, word, tuple(lines), tuple(not_lines), ok, err, agent, tuple(history), why)


def plain(message: str) -> str:
    """A post as it is read: without escapes, code ticks, quote marks and invisible characters."""
    visible = re.sub("[\u200b-\u200d\u2060\ufeff]", "", message).replace("\u00a0", " ")
    unquoted = re.sub(r"^(?:> ?)+", "", visible, flags=re.MULTILINE)
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", unquoted).replace("`", "")


def found(wanted: str, text: str) -> bool:
    """Whether one line of the text has the wanted parts in their order."""
    pattern = re.compile(".*?".join(re.escape(part) for part in wanted.split(BETWEEN)))
    return any(pattern.search(line) for line in text.splitlines())


def problems(truth: PostTruth, message: str) -> list[str]:
    """What a post's text lacks of the truth, or has too much; its place is the caller's to compare."""
    text = plain(message)
    first = text.partition("\n")[0]
    lacking = [f"lacks {wanted!r}" for wanted in truth.lines if not found(wanted, text)]
    lacking += [f"must not have {wanted!r}" for wanted in truth.not_lines if found(wanted, text)]
    if not first.startswith(f"[{truth.word}]"):
        lacking.append(f"begins {first[:40]!r}, not [{truth.word}]")
    if truth.agent not in first:
        lacking.append(f"does not name {truth.agent!r} in its first line")
    for tag, pattern, least in (("[OK]", r"\[OK\]", truth.ok), ("[ERR", r"\[ERR(?!OR\])", truth.err)):
        count = len(re.findall(pattern, text))
        if count < least:
            lacking.append(f"has {count} {tag!r}, at least {least} expected")
    return lacking
