"""What a SQLite database is made of, so that two of them can be compared."""

import sqlite3
from pathlib import Path
from typing import Any


def described(path: Path, tables: frozenset[str] | None = None) -> dict[str, Any]:
    """A database's pragmas and tables, much as `schema.json` has them, and the SQL that made them."""
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
        pragmas = ("user_version", "page_size", "journal_mode", "auto_vacuum", "application_id", "encoding")
        told: dict[str, Any] = {name: db.execute(f"PRAGMA {name}").fetchone()[0] for name in pragmas}
        listed = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        wanted = listed if tables is None else [name for name in listed if name in tables]
        told["tables"] = {name: _table(db, name) for name in sorted(wanted)}
    db.close()
    return told


def _table(db: sqlite3.Connection, name: str) -> dict[str, Any]:
    columns = [
        {"name": row[1], "type": row[2], "notnull": bool(row[3]), "default": row[4], "pk": row[5]}
        for row in db.execute(f"PRAGMA table_info({name})")
    ]
    indexes = {
        row[1]: {
            "unique": bool(row[2]),
            "columns": [c[2] for c in db.execute(f"PRAGMA index_info({row[1]})")],
        }
        for row in db.execute(f"PRAGMA index_list({name})")
    }
    keys = [
        {"table": row[2], "from": row[3], "to": row[4], "on_delete": row[6]}
        for row in db.execute(f"PRAGMA foreign_key_list({name})")
    ]
    keys.sort(key=lambda key: (key["table"], key["from"]))
    query = "SELECT type, name, sql FROM sqlite_master WHERE tbl_name = ? AND sql IS NOT NULL ORDER BY name"
    sql = {f"{kind} {what}": text for kind, what, text in db.execute(query, (name,))}
    return {"columns": columns, "indexes": indexes, "foreign_keys": keys, "sql": sql}
