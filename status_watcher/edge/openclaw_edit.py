"""The one change that we make to OpenClaw's configuration, when told to: enabling hooks.

Only in a file that is plain JSON and says all there is about hooks itself. A comment, another liberty of
JSON5 or an include would not survive, or would be overruled: then nothing is written.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from status_watcher.core.openclaw_document import MAX_BYTES, is_plain_json
from status_watcher.edge.whole_file import replace_whole

BACKUP_SUFFIX = ".before-status-watcher"


@dataclass(frozen=True, slots=True)
class Edited:
    """Done; `backup` is the file as it was."""

    backup: Path


@dataclass(frozen=True, slots=True)
class NotEdited:
    """Nothing was written; `reason` is one line for the operator and holds none of the content."""

    reason: str


def enable_hooks(path: Path, entries: Mapping[str, bool]) -> Edited | NotEdited:
    """Set `hooks.internal.enabled` and each entry's own flag in the file at `path`; all else stays.

    The file keeps its owner and mode; where it is a link, what it points to is replaced.
    """
    try:
        # `Path.resolve` raises something else for links in a circle, before Python 3.13.
        path = Path(os.path.realpath(path, strict=True))
        before = _read(path)
        if before is None:
            return NotEdited("it is larger than 1 MiB")
        if not is_plain_json(before):
            return NotEdited("it is not plain JSON, and a rewrite would lose its comments")
        after = _with_hooks(before, entries)
        if after is None:
            return NotEdited("its hooks are included from another file, or of a shape unknown to us")
        backup = path.with_name(path.name + BACKUP_SUFFIX)
        _write(backup, before, path)
        if _read(path) != before:
            return NotEdited("it was changed by somebody else meanwhile; try again")
        _write(path, after, path)
    except OSError as error:
        return NotEdited(f"{error.strerror or error} (as uid {os.geteuid()})")
    except (ValueError, RecursionError):  # a name twice in one object, half a character
        return NotEdited("a rewrite would lose some of it")
    return Edited(backup)


def _with_hooks(content: bytes, entries: Mapping[str, bool]) -> bytes | None:
    root = json.loads(content, object_pairs_hook=_unambiguous)
    node = root
    for name in ("hooks", "internal", "entries"):
        if not isinstance(node, dict) or "$include" in node:
            return None
        if name == "entries":
            node["enabled"] = True
        node = node.setdefault(name, {})
    if not isinstance(node, dict) or "$include" in node:
        return None
    for name, enabled in entries.items():
        entry = node.setdefault(name, {})
        if not isinstance(entry, dict) or "$include" in entry:
            return None
        entry["enabled"] = enabled
    # As OpenClaw writes it: two spaces, characters as they are.
    return (json.dumps(root, indent=2, ensure_ascii=False) + "\n").encode()


def _unambiguous(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError
    return found


def _read(path: Path) -> bytes | None:
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    return content if len(content) <= MAX_BYTES else None


def _write(path: Path, content: bytes, like: Path) -> None:
    """Replace `path` as a whole, with owner and mode of `like`."""
    pattern = like.stat()

    def as_it_was(fd: int) -> None:
        if (pattern.st_uid, pattern.st_gid) != (os.geteuid(), os.getegid()):
            os.fchown(fd, pattern.st_uid, pattern.st_gid)
        os.fchmod(fd, pattern.st_mode & 0o777)

    replace_whole(path, content, 0o600, finish=as_it_was)
