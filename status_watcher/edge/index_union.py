"""One agent's `sessions.json`, or several that are written side by side and count as one."""

import os
from collections.abc import Callable, Mapping, Sequence

from status_watcher.core.filenames import Transcript, classify
from status_watcher.core.index import Index, StoreEntry
from status_watcher.edge.index_file import Fresh, IndexFile, IndexLook, NotYet, Same, Unreadable
from status_watcher.edge.tail import Opener
from status_watcher.model import SessionId, SessionKey


class IndexUnion:
    """Looks as `IndexFile` does, at the index that counts and at those of places that were left."""

    def __init__(
        self, path: str, left: Sequence[str], open_file: Callable[[str, int], int] = os.open
    ) -> None:
        # Each root is the index's own directory, since SESSIONS_JSON may lie anywhere.
        self._files = [IndexFile(one, Opener(one.rpartition("/")[0], open_file)) for one in (path, *left)]
        self._read: list[Fresh | None] = [None] * len(self._files)
        self._untold = False

    def look(self, *, thorough: bool = True) -> IndexLook:
        """What they say now; of a key in several, the entry that was updated last.

        One that cannot be read counts as it was read last. If it never was, nothing is said: its sessions
        would seem to be gone. A left one that was deleted has no sessions any more.
        """
        looks = [file.look(thorough=thorough) for file in self._files]
        trouble: Unreadable | None = None
        for number, look in enumerate(looks):
            if isinstance(look, Fresh):
                self._read[number], self._untold = look, True
            elif isinstance(look, Unreadable):
                if number and look.reason == "missing":
                    self._untold = self._untold or self._read[number] is not None
                    self._read[number] = None
                else:
                    trouble = trouble or look
                    if self._read[number] is None:
                        return look
        if self._untold:
            self._untold = False
            return self._united()
        if trouble is not None:
            return trouble
        return NotYet() if all(isinstance(look, NotYet) for look in looks) else Same()

    def _united(self) -> Fresh:
        read = [one for one in self._read if one is not None]
        if len(read) == 1:
            return read[0]
        entries: dict[SessionKey, StoreEntry] = {}
        for one in read:
            _add(entries, one.index.entries)
        skipped = sum(one.index.skipped for one in read)
        return Fresh(Index(entries, skipped), sum(one.size_bytes for one in read))


def filed_under(name: str, entries: Mapping[SessionKey, StoreEntry]) -> SessionId | None:
    """The session that an index with these entries says a file of this name holds."""
    # The directory part may come from another mount namespace; the name is what counts.
    for entry in entries.values():
        if entry.session_file is not None and entry.session_file.rpartition("/")[2] == name:
            return entry.session_id
    return None


def is_named(name: str, entries: Mapping[SessionKey, StoreEntry]) -> bool:
    """Whether they have the session of a transcript of this name."""
    kind = classify(name)
    if isinstance(kind, Transcript) and any(kind.session_id == one.session_id for one in entries.values()):
        return True
    return filed_under(name, entries) is not None


def _add(entries: dict[SessionKey, StoreEntry], others: Mapping[SessionKey, StoreEntry]) -> None:
    for key, other in others.items():
        known = entries.get(key)
        if known is None or (other.updated_at_ms or 0) > (known.updated_at_ms or 0):
            entries[key] = other
