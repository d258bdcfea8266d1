"""Turn recorded rows of OpenClaw's database (2026.9) into captures: only the fields that are read.

    python tests/data/openclaw/trim_database.py RECORDINGS OUT

A recording holds `db.jsonl`, the rows of `transcript_events` and `session_nodes` as a read-only poller saw
them, and `timeline.json`. What it becomes is described in the README beside this file.
"""

import json
import sys
from pathlib import Path

from trim import BLOCK_FIELDS_UNREAD, DETAILS_FIELDS_UNREAD, MESSAGE_FIELDS_UNREAD, dumps, loads, without

VERSION = "2026.9.6"
SCHEMA = "schema.json"
MORE_MESSAGE_FIELDS_UNREAD = {"openclawDelivery", "openclawDisplayContent"}
MORE_DETAILS_FIELDS_UNREAD = {"content"}
TOOL_FIELDS_UNREAD = {"description", "parameters", "inputSchema", "schema", "outputSchema"}
ENTRY_FIELDS_READ = {
    "sessionId", "updatedAt", "sessionStartedAt", "createdAt", "createdVia", "createdActor",
    "status", "startedAt", "endedAt", "runtimeMs", "abortedLastRun", "spawnedBy",
    "parentSessionKey", "spawnDepth", "label", "displayName", "chatType", "channel", "groupId",
    "groupChannel", "space", "delivery", "forkSource", "forkedFromParent", "compactionCount",
    "inputTokens", "outputTokens", "totalTokens", "activeWriterRunId", "lifecycleRunId",
    "lastRunId", "lastRunError", "lastInteractionAt", "lastActivityAt", "modelProvider", "model",
    "completionOwnerSessionKey",
}  # fmt: skip
TABLES = {
    "agent_database": {
        "schema_meta",
        "session_nodes",
        "session_windows",
        "transcript_events",
        "session_transcript_active_events",
        "transcript_rewrite_watermarks",
        "conversations",
        "session_conversations",
    },
    "state_database": {"subagent_runs"},
}
DECIDED_COLUMNS = ("decision", "terminal_reason", "resolved_at_ms", "resolver_kind")
APPROVAL_COLUMNS = (
    "approval_id", "kind", "status", "presentation_json", "source_agent_id", "source_session_key",
    "source_run_id", "source_tool_call_id", "created_at_ms", "expires_at_ms", "updated_at_ms",
    *DECIDED_COLUMNS,
)  # fmt: skip
CONTINUED = {"error-529": ("compact-command", "mm-private-spawn")}
"""The gateway still tried while the next scenarios were recorded: they have the rest of the rows."""


def trim_event(event):
    message = event.get("message")
    if message is None:
        return event
    message = without(message, MESSAGE_FIELDS_UNREAD | MORE_MESSAGE_FIELDS_UNREAD)
    if isinstance(message.get("content"), list):
        message["content"] = [without(block, BLOCK_FIELDS_UNREAD) for block in message["content"]]
    details = message.get("details")
    if isinstance(details, dict):
        details = without(details, DETAILS_FIELDS_UNREAD | MORE_DETAILS_FIELDS_UNREAD)
        if isinstance(details.get("tool"), dict):
            details["tool"] = without(details["tool"], TOOL_FIELDS_UNREAD)
        message["details"] = details
    return event | {"message": message}


def trim_row(row):
    if row["kind"] == "event":
        return row | {"event": trim_event(row["event"])}
    entry = {name: value for name, value in row["entry"].items() if name in ENTRY_FIELDS_READ}
    return row | {"entry": entry}


def read(scenario: Path, into_start_ms: int | None = None):
    """Rows, their `t` counted from another start if one is given, and the head of the timeline."""
    head = json.loads((scenario / "timeline.json").read_bytes())
    later_ms = 0 if into_start_ms is None else head["start_epoch_ms"] - into_start_ms
    rows = [loads(line) for line in (scenario / "db.jsonl").read_bytes().splitlines()]
    return [row | {"t": row["t"] + later_ms} for row in rows], head


def session_of(row):
    return row["session_id"] if row["kind"] == "event" else row["current_session_id"]


def trim(source: Path, out: Path, scenario: str) -> None:
    rows, head = read(source / scenario)
    begun = {row["session_id"] for row in rows if row["kind"] == "event" and row["seq"] == 0}
    for later in CONTINUED.get(scenario, ()):
        rows += [row for row in read(source / later, head["start_epoch_ms"])[0] if session_of(row) in begun]
    kept = [trim_row(row) for row in rows if session_of(row) in begun]
    out.mkdir(parents=True, exist_ok=True)
    (out / "db.jsonl").write_bytes(b"".join(dumps(row) + b"\n" for row in kept))
    timeline = {key: head[key] for key in ("scenario", "version", "start_epoch_ms", "duration_ms")}
    timeline["duration_ms"] = max(timeline["duration_ms"], kept[-1]["t"])
    (out / "timeline.json").write_bytes(json.dumps(timeline, indent=1).encode() + b"\n")


def trim_approvals(source: Path, out: Path) -> None:
    """Each approval twice: pending from when it was, and as it was decided."""
    recorded = json.loads(source.read_bytes())["rows"]
    rows = []
    for row in recorded:
        kept = {name: row[name] for name in APPROVAL_COLUMNS}
        pending = kept | dict.fromkeys(DECIDED_COLUMNS) | {"updated_at_ms": row["created_at_ms"]}
        rows.append({"t": row["_pending_from_ms"]} | pending | {"status": "pending"})
        rows.append({"t": row["_resolved_after_ms"]} | kept)
    rows.sort(key=lambda row: row["t"])
    out.write_bytes(b"".join(dumps(row) + b"\n" for row in rows))


def trim_schema(source: Path, out: Path) -> None:
    schema = json.loads(source.read_bytes())
    for database, tables in TABLES.items():
        schema[database].pop("other_tables", None)
        schema[database]["tables"] = {
            name: table for name, table in schema[database]["tables"].items() if name in tables
        }
    schema.pop("about", None)
    text = json.dumps(schema, indent=1)
    out.write_text(text + "\n", encoding="utf-8")


def main(source: str, out: str) -> None:
    version = Path(source) / VERSION
    for recorded in sorted(version.glob("*/db.jsonl")):
        trim(version, Path(out) / VERSION / recorded.parent.name, recorded.parent.name)
    for approvals in sorted(version.glob("*/operator_approvals.json")):
        trim_approvals(approvals, Path(out) / VERSION / approvals.parent.name / "approvals.jsonl")
    trim_schema(version / SCHEMA, Path(out) / VERSION / SCHEMA)


if __name__ == "__main__":
    main(*sys.argv[1:])
