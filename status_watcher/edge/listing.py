"""What lies in a sessions directory: which transcripts changed since it was last listed, and archives."""

import os
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field

from status_watcher.core.cursor import Stamp
from status_watcher.core.filenames import Archive, Transcript, classify
from status_watcher.core.lines import header_session_id
from status_watcher.edge.tail import SLICE_BYTES, Absent, Opener, Refused, stamp_of
from status_watcher.model import SessionId

_MOST_HEADERS = 500
"""How many files are opened in search of the session of an open box."""


@dataclass(frozen=True, slots=True)
class Listing:
    """One pass over the names, with a `stat` for each transcript; nothing is opened."""

    transcripts: Mapping[str, Stamp]
    changed: Mapping[str, Stamp]
    """Those that are new or not as they were."""
    archives: Mapping[str, Archive]
    inodes: Mapping[str, int] = field(default_factory=dict)
    """Of the archives."""


def list_sessions(path: str, known: Mapping[str, Stamp]) -> Listing | None:
    """The directory as it is now, against how it was; None if it cannot be read. Blocking."""
    transcripts: dict[str, Stamp] = {}
    changed: dict[str, Stamp] = {}
    archives: dict[str, Archive] = {}
    inodes: dict[str, int] = {}
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                name = entry.name
                kind = None if name in known else classify(name)
                if kind is None or isinstance(kind, Transcript):
                    stamp = _stamp(entry)
                    if stamp is not None:
                        transcripts[name] = stamp
                        if known.get(name) != stamp:
                            changed[name] = stamp
                elif isinstance(kind, Archive):
                    archives[name] = kind
                    inodes[name] = entry.inode()
    except OSError:
        return None
    return Listing(transcripts, changed, archives, inodes)


def archive_of(listing: Listing, live_name: str, inode: int | None) -> tuple[str, Archive] | None:
    """Where a transcript that is no longer under its name has been put: the same inode, else the newest."""
    candidates = [
        (name, archive) for name, archive in listing.archives.items() if archive.live_name == live_name
    ]
    same = [candidate for candidate in candidates if listing.inodes[candidate[0]] == inode]
    return max(same or candidates, key=lambda candidate: candidate[1].stamp, default=None)


def find_sessions(
    path: str,
    wanted: Collection[SessionId],
    files: Mapping[SessionId, str],
    listing: Listing,
    opener: Opener | None,
) -> Mapping[SessionId, str]:
    """The file that holds each wanted session, live ones before archives, by index, then name, then header.

    `files` is what the index says; without an opener no headers are read. A session in no file is left out.
    Blocking.
    """
    found: dict[SessionId, str] = {}
    archives = sorted(listing.archives, key=lambda name: listing.archives[name].stamp, reverse=True)

    def claim(names: Collection[str], session_id_of: Callable[[str], SessionId | None]) -> None:
        if any(session_id not in found for session_id in wanted):
            for name in names:
                session_id = session_id_of(name)
                if session_id in wanted and session_id is not None:
                    found.setdefault(session_id, name)

    for session_id in wanted:
        if files.get(session_id) in listing.transcripts:
            found[session_id] = files[session_id]
    claim(listing.transcripts.keys(), _claimed_id)
    claim(archives, _claimed_id)
    if opener is None:
        return found
    newest = sorted(listing.transcripts, key=lambda name: listing.transcripts[name].mtime_ns, reverse=True)
    claim((*newest, *archives)[:_MOST_HEADERS], lambda name: _header_id(f"{path}/{name}", opener))
    return found


def stamps(paths: Collection[str]) -> Iterator[Stamp | None]:
    """How each file is now, None where there is none or it cannot be told. Blocking."""
    for path in paths:
        try:
            yield stamp_of(os.stat(path))  # noqa: PTH116 - paths are strings here
        except OSError:
            yield None


def _stamp(entry: os.DirEntry[str]) -> Stamp | None:
    """A link's target has to be a regular file too; whether it may be read is seen when it is opened."""
    try:
        return stamp_of(entry.stat()) if entry.is_file() else None
    except OSError:
        return None


def _claimed_id(name: str) -> SessionId | None:
    kind = classify(name)
    return kind.session_id if isinstance(kind, Transcript | Archive) else None


def _header_id(path: str, opener: Opener) -> SessionId | None:
    opened = opener.open(path)
    if isinstance(opened, Absent | Refused):
        return None
    descriptor, status = opened
    try:
        head = os.pread(descriptor, min(SLICE_BYTES, status.st_size), 0)
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return header_session_id(head.partition(b"\n")[0])
