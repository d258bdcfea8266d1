"""Finds the recorded captures: the demo's three in the package, all others beside the tests."""

import re
import uuid
from pathlib import Path

import recorded_rows

from status_watcher.demo import captures

DATA = Path(__file__).parent / "data" / "openclaw"
DEMO_VERSION = "2026.7.1"


def names() -> list[str]:
    """Every capture as `<version>/<scenario>`, in a fixed order."""
    kept = {timeline.parent.relative_to(DATA).as_posix() for timeline in DATA.glob("*/*/timeline.json")}
    return sorted(kept | {f"{DEMO_VERSION}/{name}" for name in captures.DEMO})


def names_of_files() -> list[str]:
    """Those that were recorded from a file-backed gateway."""
    return [name for name in names() if not recorded_rows.is_capture(DATA / name)]


def load(name: str) -> captures.Capture:
    """Load the capture `<version>/<scenario>`; of a database-backed gateway it is a `DatabaseCapture`."""
    version, _, scenario = name.partition("/")
    if version == DEMO_VERSION and scenario in captures.DEMO:
        return captures.load_demo(scenario)
    if recorded_rows.is_capture(DATA / name):
        return recorded_rows.load(DATA / name)
    return captures.load(DATA / name)


def fresh_ids(capture: captures.Capture, salt: str) -> dict[str, str]:
    """Other session ids and keys for a second replay of the same capture in one state directory."""
    told = " ".join(f"{key} {entry}" for change in capture.store for key, entry in change.entries.items())
    ids = set(re.findall(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", told))
    return {recorded: str(uuid.uuid5(uuid.NAMESPACE_URL, salt + recorded)) for recorded in sorted(ids)}
