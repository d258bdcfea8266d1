"""A name in a sessions directory to what the file is.

The forms are those of OpenClaw 2026.2.26 to 2026.7.1, as its gateways wrote them; archives are also those of
2026.9.6, which writes no other transcripts.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

from status_watcher.model import SessionId

INDEX_NAME: Final = "sessions.json"


@dataclass(frozen=True, slots=True)
class Transcript:
    """A live transcript: `<id>.jsonl`, `<id>-topic-<thread>.jsonl`, or `<time>_<uuid>.jsonl` of a forked
    session.

    `session_id` is what the name claims; a header inside the file knows better.
    """

    session_id: SessionId


@dataclass(frozen=True, slots=True)
class Archive:
    """A transcript put away by a rename: `<live name>.reset.<time>` or `<live name>.deleted.<time>`.

    So are those called that 2026.9.6 exports from its database, with a generation after the time (32 hex
    digits).
    """

    live_name: str
    session_id: SessionId
    how: Literal["reset", "deleted"]
    stamp: str
    """The time as written, which sorts by age."""

    @property
    def at_ms(self) -> int:
        """That time; 0 if it is none."""
        return _epoch_ms(self.stamp)


@dataclass(frozen=True, slots=True)
class PackedArchive:
    """An archive as 2026.9.6 exports it where its Node has zstd: the name of an `Archive`, and `.zst`."""

    session_id: SessionId
    how: Literal["reset", "deleted"]
    stamp: str

    @property
    def at_ms(self) -> int:
        """As of an `Archive`."""
        return _epoch_ms(self.stamp)


@dataclass(frozen=True, slots=True)
class StoreIndex:
    """The store, `sessions.json`."""


@dataclass(frozen=True, slots=True)
class Foreign:
    """Nothing that is read: locks, temporary files, backups, repairs, trajectories, and anything else."""


FileKind = Transcript | Archive | PackedArchive | StoreIndex | Foreign

_TRANSCRIPT: Final = ".jsonl"
# By-products in a transcript's clothes: `<id>.trajectory.jsonl` (2026.7.1), and copies kept by compaction,
# which would have the header id of the transcript itself.
_BY_PRODUCT: Final = re.compile(r"\.(trajectory|checkpoint\.[^.]+)\.jsonl$")
_ARCHIVE: Final = re.compile(
    r"(?s)(?P<live>.+\.jsonl)\.(?P<how>reset|deleted)\.(?P<stamp>\d{4}-\d\d-\d\dT[\d.\-]+Z?)"
    r"(\.[0-9a-f]+)?(?P<packed>\.zst)?"
)
_FORKED: Final = re.compile(r"(?s)\d{4}-\d\d-\d\dT[\d.\-]+Z?_(?P<id>.+)")
_TOPIC: Final = "-topic-"
_FOREIGN: Final = Foreign()


def classify(name: str) -> FileKind:
    """What a file of this name is; any string has an answer, also one with surrogates for odd bytes."""
    if name == INDEX_NAME:
        return StoreIndex()
    if name.endswith(_TRANSCRIPT):
        return Transcript(_claimed_id(name)) if _is_live(name) else _FOREIGN
    match = _ARCHIVE.fullmatch(name)
    if match is None or not _is_live(match["live"]):
        return _FOREIGN
    how: Literal["reset", "deleted"] = "reset" if match["how"] == "reset" else "deleted"
    live, stamp = match["live"], match["stamp"]
    if match["packed"] is not None:
        return PackedArchive(_claimed_id(live), how, stamp)
    return Archive(live, _claimed_id(live), how, stamp)


def _epoch_ms(stamp: str) -> int:
    try:
        when = datetime.strptime(stamp, "%Y-%m-%dT%H-%M-%S.%fZ").replace(tzinfo=UTC)
    except ValueError:
        return 0
    return round(when.timestamp() * 1000)


def _is_live(name: str) -> bool:
    return len(name) > len(_TRANSCRIPT) and not name.startswith(".") and _BY_PRODUCT.search(name) is None


def _claimed_id(name: str) -> SessionId:
    # Names are bytes; those that are no UTF-8 must not become lone surrogates in an id that is saved and
    # logged.
    stem = printable(name.removesuffix(_TRANSCRIPT))
    if forked := _FORKED.fullmatch(stem):
        return SessionId(forked["id"])
    return SessionId(stem.partition(_TOPIC)[0] or stem)


def printable(path: str) -> str:
    """A path from `os.fsdecode` in characters that can be encoded: undecodable bytes become escapes."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
