"""What an agent's database holds, in one look: whether it is the one that tells the agent's sessions."""

import sqlite3

from status_watcher.core.stores import DatabaseLook, NoDatabase, NoSessionsInIt, SessionsInIt, Unusable
from status_watcher.edge.database_connection import (
    Connection,
    Outrun,
    Unavailable,
    changed_ms,
    reason_of,
)
from status_watcher.edge.database_schema import NoSessions, NotUnderstood, read_schema

_TRIES = 3


def look_at_database(path: str) -> DatabaseLook:
    """Blocking, reads only, and lets go of the file at once; never raises for what the database is like."""
    connection = Connection(path)
    try:
        for _ in range(_TRIES):
            ready = connection.prepare()
            if isinstance(ready, Unavailable):
                return NoDatabase() if ready.absent else Unusable(ready.reason, changed_ms(path))
            try:
                with connection.snapshot() as rows:
                    return _look(rows, path)
            except Outrun:
                continue
            except (sqlite3.Error, OSError) as error:
                return Unusable(reason_of(error, path), changed_ms(path))
        return Unusable("its writer comes and goes", changed_ms(path))
    finally:
        connection.close()


def _look(rows: sqlite3.Connection, path: str) -> DatabaseLook:
    schema = read_schema(rows)
    match schema:
        case NoSessions():
            return NoSessionsInIt()
        case NotUnderstood(reason):
            return Unusable(reason, changed_ms(path))
        case _:
            # Not in one query: each of them is answered by an index alone.
            newest = rows.execute(f"SELECT max(updated_at) FROM {schema.nodes}").fetchone()[0]  # noqa: S608 - names of ours
            count = rows.execute(f"SELECT count(*) FROM {schema.nodes}").fetchone()[0]  # noqa: S608 - ours
            return SessionsInIt(schema.version, schema.app_version, _millis(newest), int(count))


def _millis(value: object) -> int:
    return int(value) if isinstance(value, int | float) else 0
