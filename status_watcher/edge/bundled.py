"""Files that travel with the program: in the package when installed, at the top of a checkout."""

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

TOOL_LABELS = "tool_labels.json"
HOOK_NAME = "status-watcher-hook"
HOOK_FILES = ("HOOK.md", "handler.js")


def read_tool_labels() -> bytes:
    """The built-in `tool_labels.json`.

    The wheel carries it inside the package; an editable install has it one level above. A missing file is a
    broken installation and raises `FileNotFoundError`.
    """
    return _read(TOOL_LABELS)


def read_hook() -> Mapping[str, bytes]:
    """The gateway hook's files by name; one that is missing raises `FileNotFoundError`, as above."""
    return {name: _read(f"hooks/{HOOK_NAME}/{name}") for name in HOOK_FILES}


def _read(name: str) -> bytes:
    packaged = files("status_watcher") / name
    if packaged.is_file():
        return packaged.read_bytes()
    return (Path(__file__).parents[2] / name).read_bytes()
