"""Whether OpenClaw keeps its sessions where its configuration says now, or still where it did before.

A changed `session.store` takes effect part by part: what comes through 2026.7.1's Mattermost plugin goes to
the old place until the gateway is started again, though the gateway says that it has taken the change (seen
live), while what the command line runs goes to the new one. So what counts is which index was written last;
and the one that was left counts as well once it is written again.
"""

from pathlib import Path

from status_watcher.core.stores import SessionsInIt, Unusable
from status_watcher.edge.database_look import look_at_database
from status_watcher.edge.database_places import find_databases
from status_watcher.edge.locate import Layout
from status_watcher.edge.locate_store import locate_sessions


def has_moved(before: Layout, now: Layout) -> bool:
    """Also where nothing was written before. Blocking."""
    before_ms = _written_ms(before)
    return before_ms == 0 or _written_ms(now) >= before_ms


def index_written_ms(layout: Layout) -> int:
    """When a sessions.json in this layout was written last, in epoch ms; 0 if there is none. Blocking."""
    found_ms = [0]
    for place in locate_sessions(layout).sessions:
        try:
            found_ms.append(Path(place.index_path).stat().st_mtime_ns // 1_000_000)
        except OSError:
            continue
    return max(found_ms)


def _written_ms(layout: Layout) -> int:
    """When an index or a database in this layout was written last, 0 if there is none."""
    found_ms = [index_written_ms(layout)]
    for database in find_databases(layout).databases:
        match look_at_database(database.path):
            case SessionsInIt(newest_ms=newest_ms):
                found_ms.append(newest_ms)
            case Unusable(changed_ms=changed_ms):
                found_ms.append(changed_ms)
            case _:  # none, or one without sessions, as 2026.7.1 has for an agent's memory
                pass
    return max(found_ms)
