"""Files that travel with the program: in the package when installed, at the top of a checkout."""

from importlib.resources import files
from pathlib import Path

TOOL_LABELS = "tool_labels.json"


def read_tool_labels() -> bytes:
    """The built-in `tool_labels.json`.

    The wheel carries it inside the package; an editable install has it one level above. A missing file is a
    broken installation and raises `FileNotFoundError`.
    """
    packaged = files("status_watcher") / TOOL_LABELS
    if packaged.is_file():
        return packaged.read_bytes()
    return (Path(__file__).parents[2] / TOOL_LABELS).read_bytes()
