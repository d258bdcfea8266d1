"""What of a look at the store is believed, after what it said before."""

from collections.abc import Mapping
from dataclasses import replace

from status_watcher.core.index import StoreEntry, StoreStatus
from status_watcher.model import SessionKey

Entries = Mapping[SessionKey, StoreEntry]


def believed(before: Entries, now: Entries) -> Entries:
    """The entries of `now`, but that a sub-agent which ran out of its time did so: 2026.9.6 calls the same
    run done soon after.
    """
    out_of_time = {
        key: replace(entry, status=StoreStatus.TIMEOUT)
        for key, was in before.items()
        if was.status is StoreStatus.TIMEOUT
        and (entry := now.get(key)) is not None
        and entry.status is StoreStatus.DONE
        and _same_run(was, entry)
    }
    return {**now, **out_of_time} if out_of_time else now


def _same_run(was: StoreEntry, entry: StoreEntry) -> bool:
    return (
        entry.session_id == was.session_id
        and entry.spawned_by is not None
        and (entry.started_at_ms or 0) <= (was.ended_at_ms or 0)
    )
