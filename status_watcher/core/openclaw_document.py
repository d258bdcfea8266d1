"""OpenClaw's configuration file as one JSON document: JSON5, with its `$include`s put in place.

Rules as documented by 2026.9.6 ("Configuration - environment, secrets, and includes"): an include replaces
its object, several are merged in order, sibling keys win, paths are relative to the including file and stay
inside the configuration's directory, at most ten levels deep.
"""

import posixpath
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import orjson
import pyjson5

MAX_BYTES = 1 << 20
"""Larger files are not read; a configuration is some kilobytes."""

_MOST_FILES = 50
_DEEPEST_INCLUDE = 10
_DEEPEST_OBJECT = 12
"""Includes below are left alone: nothing that we read is half as deep."""
_DEEPEST_JSON5 = 100

ReadFile = Callable[[str], bytes | None]
"""The content of the file at an absolute path, None where it cannot be read."""


@dataclass(frozen=True, slots=True)
class Document:
    """What the file says; `incomplete` if an include could not be read."""

    root: Mapping[str, object]
    incomplete: bool = False


@dataclass(frozen=True, slots=True)
class NoDocument:
    """The content is no configuration; `reason` holds none of it."""

    reason: str


def read_document(content: bytes, path: str, read_file: ReadFile) -> Document | NoDocument:
    """The document in `content`, the file at `path`; its includes come through `read_file`."""
    root = _decode(content)
    if not isinstance(root, dict):
        return NoDocument("is not one JSON5 object of at most 1 MiB")
    includes = _Includes(posixpath.dirname(path), read_file)
    resolved = includes.resolve(root, includes.top, _DEEPEST_INCLUDE, _DEEPEST_OBJECT)
    if not isinstance(resolved, dict):
        return NoDocument("includes something that is no object")
    return Document(resolved, includes.incomplete)


def is_plain_json(content: bytes) -> bool:
    """Whether reading and writing `content` as JSON loses neither a comment nor another liberty of JSON5."""
    try:
        orjson.loads(content)
    except orjson.JSONDecodeError:
        return False
    return True


def _decode(content: bytes) -> object:
    """The value, or None for what is no JSON5."""
    if len(content) > MAX_BYTES:
        return None
    try:
        text = content.decode("utf-8-sig")
        return pyjson5.decode(text, maxdepth=_DEEPEST_JSON5)
    except (UnicodeDecodeError, pyjson5.Json5DecoderException):
        return None


class _Includes:
    """One walk through a document; bounded in files and depth, whatever the files say."""

    def __init__(self, top: str, read_file: ReadFile) -> None:
        self.top = top
        self.incomplete = False
        self._read_file = read_file
        self._files_left = _MOST_FILES

    def resolve(self, node: object, directory: str, includes_left: int, objects_left: int) -> object:
        if not isinstance(node, dict) or not objects_left:
            return node
        own = {
            key: self.resolve(value, directory, includes_left, objects_left - 1)
            for key, value in node.items()
            if key != "$include"
        }
        if "$include" not in node:
            return own
        named = node["$include"]
        merged: object = {}
        for name in named if isinstance(named, list) else [named]:
            merged = _merged(merged, self._included(name, directory, includes_left))
        return _merged(merged, own) if own else merged

    def _included(self, name: object, directory: str, includes_left: int) -> object:
        path = posixpath.normpath(posixpath.join(directory, name)) if isinstance(name, str) else ""
        inside = path.startswith(self.top.rstrip("/") + "/") and "\0" not in path
        content = None
        if inside and includes_left and self._files_left:
            self._files_left -= 1
            content = self._read_file(path)
        value = None if content is None else _decode(content)
        if value is None:
            self.incomplete = True
            return {}
        return self.resolve(value, posixpath.dirname(path), includes_left - 1, _DEEPEST_OBJECT)


def _merged(below: object, above: object) -> object:
    # As deep as `resolve` makes objects of its own, so no deeper than the parser lets through.
    if not isinstance(below, dict) or not isinstance(above, dict):
        return above
    return below | {
        key: _merged(below[key], value) if key in below else value for key, value in above.items()
    }
