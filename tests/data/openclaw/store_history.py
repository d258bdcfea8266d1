"""The history of sessions.json where only its last state and the times of its renames were recorded.

The rules are those of the README beside this file.
"""

import copy
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

Json = dict[str, Any]

SESSIONS = "agents/main/sessions"
RUN_FIELDS = {"status", "startedAt", "endedAt", "runtimeMs"}
COUNTERS = {
    "inputTokens", "outputTokens", "cacheRead", "cacheWrite", "totalTokens", "totalTokensFresh",
    "estimatedCostUsd", "modelProvider", "model", "contextTokens",
}  # fmt: skip
FIRST_TURN_LEAD_MS = 1000  # 2.26 renames the store up to this long before a session's first line
RENAME_SLACK_MS = 10  # the store is renamed up to this long before the transcript it drops


def without(fields: Json, unread: set[str]) -> Json:
    return {name: value for name, value in fields.items() if name not in unread}


def epoch_ms(line: Json) -> int:
    return round(datetime.fromisoformat(line["timestamp"]).timestamp() * 1000)


def deltas(states: Iterable[tuple[int, dict[str, Json]]]) -> list[Json]:
    rows: list[Json] = []
    before: dict[str, Json] = {}
    for t, now in states:
        row: Json = {"t": t}
        changed = {key: entry for key, entry in now.items() if before.get(key) != entry}
        dropped = [key for key in before if key not in now]
        rows.append(row | ({"set": changed} if changed else {}) | ({"drop": dropped} if dropped else {}))
        before = copy.deepcopy(now)
    return rows


Run = tuple[int, int | None, str]  # started, ended (ms since the epoch), status


def runs_of(lines: list[Json]) -> list[Run]:
    """The runs that a transcript shows, by its own timestamps, and how each ended."""
    runs: list[Run] = []
    started: int | None = None
    for line in lines:
        at = epoch_ms(line)
        message = line.get("message", {})
        stop = message.get("stopReason")
        ended = None
        if line.get("customType") == "openclaw:prompt-error" or stop == "aborted":
            ended = "killed"
        elif line.get("customType") == "openclaw.sessions_yield":
            ended = "done"
        elif message.get("provider") == "openclaw":
            ended = "killed" if message.get("openclawAbort") else None
        elif message.get("role") == "user" and not str(message["content"]).startswith("/"):
            started = started if started is not None else at
        elif message.get("role") == "assistant":
            started = started if started is not None else int(message["timestamp"])
            ended = {"toolUse": None, "error": "failed"}.get(stop, "done")
        if ended and started is not None:
            runs.append((started, at, ended))
            started = None
    return [*runs, (started, None, "running")] if started is not None else runs


def synthesised_entry(final: Json, lines: list[Json], at_ms: int, before: Json | None) -> Json:
    """What the store said at a rename, from its last state and the transcript."""
    last_ms = final.get("endedAt") or final["updatedAt"]
    if before == final or at_ms >= last_ms:
        return final
    entry = without(final, COUNTERS | RUN_FIELDS) | {"updatedAt": (before or final)["updatedAt"]}
    for name in entry.keys() & {"lastInteractionAt", "lastActivityAt"}:
        if entry[name] > at_ms:
            entry[name] = (before or {}).get(name, final.get("sessionStartedAt", at_ms))
    if "abortedLastRun" in entry:
        entry["abortedLastRun"] = False
    if "compactionCount" in entry:
        entry["compactionCount"] = sum(
            line["type"] == "compaction" and epoch_ms(line) <= at_ms for line in lines
        )
    if "status" in final:
        entry |= run_fields(final, lines, at_ms)
    if before is None or without(entry, {"updatedAt"}) != without(before, {"updatedAt"}):
        entry["updatedAt"] = at_ms
    return entry


def run_fields(final: Json, lines: list[Json], at_ms: int) -> Json:
    """The run that the transcript shows at a moment; the last one begins and ends as the store has it."""
    begun = [run for run in runs_of(lines) if run[0] <= at_ms]
    if final["startedAt"] <= at_ms and (not begun or begun[-1][0] < final["startedAt"]):
        begun.append((final["startedAt"], None, "running"))
    if not begun:
        return {}
    started, ended, status = begun[-1]
    if ended is None or at_ms < ended or final["startedAt"] <= at_ms:
        return {"status": "running", "startedAt": started}
    return {"status": status, "startedAt": started, "endedAt": ended, "runtimeMs": ended - started}


@dataclass(frozen=True)
class Tenure:
    """One session under one key: its last entry, its lines, and when it came and went (ms)."""

    key: str
    last: Json
    lines: list[Json]
    comes: float
    goes: float


def gone_entries(scenario: Path, archive: str, lines: list[Json], version: str) -> dict[str, Json]:
    """Entries that the store had lost by the end: key and id from the gateway's own events, the rest as its
    siblings have.
    """
    session_id = archive[:36]
    started, ended, _ = runs_of(lines)[-1]
    entry: Json = {"sessionId": session_id, "updatedAt": ended, "systemSent": True, "abortedLastRun": False}
    entry["sessionFile"] = f"/home/node/.openclaw/{SESSIONS}/{session_id}.jsonl"
    if version != "2026.2.26":
        entry |= {"status": "done", "startedAt": started, "endedAt": ended}
    payloads = [
        json.loads(raw)["payload"] for raw in (scenario / "gateway_events.jsonl").read_bytes().splitlines()
    ]
    key = next(payload["sessionKey"] for payload in payloads if "sessionKey" in payload)
    if ":run:" in key:
        return dict.fromkeys((key.partition(":run:")[0], key), entry | {"label": "Cron: rig job"})
    return {
        key: entry
        | {"chatType": "direct", "deliveryContext": {"channel": "webchat"}, "lastChannel": "webchat"}
    }


def asked_for_at(key: str, transcripts: Iterable[list[Json]]) -> int | None:
    """When the model called for the sub-agent of this key."""
    for lines in transcripts:
        messages = [line["message"] | {"at": epoch_ms(line)} for line in lines if "message" in line]
        results = [
            m
            for m in messages
            if isinstance(m.get("details"), dict) and m["details"].get("childSessionKey") == key
        ]
        for result in results:
            for message in messages:
                if any(
                    b.get("id") == result["toolCallId"] for b in message["content"] if isinstance(b, dict)
                ):
                    return int(message["at"])
    return None


def tenures(
    scenario: Path, timeline: Json, transcripts: dict[str, list[Json]], final: dict[str, Json]
) -> list[Tenure]:
    start_ms = timeline["start_epoch_ms"]
    moves = [e for e in timeline["events"] if e["ev"] == "moved_to"]
    archived = {
        e["path"].rpartition("/")[2]: e["t"] - RENAME_SLACK_MS
        for e in moves
        if re.search(r"\.(reset|deleted)\.", e["path"])
    }
    renames = store_renames(timeline)

    def comes(key: str, entry: Json, lines: list[Json]) -> float:
        asked = entry.get("sessionStartedAt") or asked_for_at(key, transcripts.values())
        if asked is not None:
            return float(asked - start_ms)
        first = epoch_ms(lines[0]) - start_ms
        return float(min([t for t in renames if 0 <= first - t < FIRST_TURN_LEAD_MS], default=first))

    found = []
    for key, entry in final.items():
        name = entry.get("sessionFile", entry["sessionId"] + ".jsonl").rpartition("/")[2]
        name = next(known for known in transcripts if known.startswith(name))
        lines = own_lines(transcripts[name])
        found.append(Tenure(key, entry, lines, comes(key, entry, lines), float("inf")))
        for old in archived.keys() & transcripts.keys() - {name}:
            if len(final) == 1:  # the session that the key had before its reset
                was = without(entry, {"sessionStartedAt", "lastInteractionAt"}) | {"sessionId": old[:36]}
                was["sessionFile"] = entry["sessionFile"].rpartition("/")[0] + f"/{old[:36]}.jsonl"
                lines = transcripts[old]
                if "status" in was:
                    started, ended, _ = runs_of(lines)[-1]
                    was |= {"startedAt": started, "endedAt": ended, "updatedAt": ended}
                found.append(Tenure(key, was, lines, comes(key, was, lines), archived[old]))
    if not final:
        name, goes = next(iter(archived.items()))
        for key, entry in gone_entries(scenario, name, transcripts[name], timeline["version"]).items():
            found.append(Tenure(key, entry, transcripts[name], comes(key, entry, transcripts[name]), goes))
    return found


def store_renames(timeline: Json) -> list[int]:
    return [
        e["t"] for e in timeline["events"] if e["ev"] == "moved_to" and e["path"].endswith("/sessions.json")
    ]


def synthesised_store(
    scenario: Path, timeline: Json, transcripts: dict[str, list[Json]], final: dict[str, Json]
) -> list[Json]:
    states: list[tuple[int, dict[str, Json]]] = []
    now: dict[str, Json] = {}
    for t in [0, *store_renames(timeline)]:
        was, now = now, {}
        for tenure in tenures(scenario, timeline, transcripts, final):
            there = tenure.comes < 0 if t == 0 else tenure.comes <= t < tenure.goes
            if there:
                before = was.get(tenure.key)
                same = before if before and before["sessionId"] == tenure.last["sessionId"] else None
                now[tenure.key] = synthesised_entry(
                    tenure.last, tenure.lines, timeline["start_epoch_ms"] + t, same
                )
        states.append((t, now))
    rows = deltas(states)
    return rows if "set" in rows[0] else rows[1:]


def own_lines(lines: list[Json]) -> list[Json]:
    """A forked thread session starts with a copy of its parent's lines: those are older than its header."""
    header_ms = epoch_ms(lines[0])
    return [line for line in lines if epoch_ms(line) >= header_ms or "parentSession" not in lines[0]]
