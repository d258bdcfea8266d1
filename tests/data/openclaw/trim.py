"""Turn recorded OpenClaw scenarios into captures: only the fields that are read, sizes recomputed.

    python tests/data/openclaw/trim.py RECORDINGS OUT VERSION/SCENARIO...

A recording holds `timeline.json` (inotify events of a real gateway: `t` ms since the start, `size` in real
bytes, `scrubbed_size` = the same point of the file given beside it), the transcripts at the end of the
scenario, the entries of `sessions.json` that belong to them, and in some runs `sessions.snapshots.jsonl`,
the store after each rename. What it becomes is described in the README beside this file.
"""

import json
import re
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

from store_history import SESSIONS, Json, deltas, epoch_ms, synthesised_store, without

MESSAGE_FIELDS_UNREAD = {"api", "responseId", "errorBody", "errorCode", "errorType"}
BLOCK_FIELDS_UNREAD = {"partialArgs", "thinkingSignature"}
DETAILS_FIELDS_UNREAD = {
    "aggregated",
    "note",
    "diff",
    "patch",
    "originalDetailKeys",
    "originalDetailsBytesAtLeast",
}
ENTRY_FIELDS_UNREAD = {"skillsSnapshot", "systemPromptReport", "inheritedToolAllow", "compactionCheckpoints"}


def loads(raw: bytes) -> Json:
    """Numbers with a fraction stay as they were written: Node prints 0.000014 where Python prints 1.4e-05."""
    loaded: Json = json.loads(raw, parse_float=lambda text: f"\0{text}")
    return loaded


def dumps(value: object) -> bytes:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return re.sub(r'"\\u0000([^"]*)"', r"\1", text).encode()


def trim_line(raw: bytes) -> bytes:
    line = loads(raw)
    if dumps(line) + b"\n" != raw:
        raise SystemExit(f"cannot be written back as it was: {raw[:120]!r}")
    message = line.get("message")
    if message is not None:
        message = without(message, MESSAGE_FIELDS_UNREAD)
        if isinstance(message.get("content"), list):
            message["content"] = [without(block, BLOCK_FIELDS_UNREAD) for block in message["content"]]
        if isinstance(message.get("details"), dict):
            message["details"] = without(message["details"], DETAILS_FIELDS_UNREAD)
        line["message"] = message
    return dumps(line) + b"\n"


def trim_entry(entry: Json) -> Json:
    return {
        name: value
        for name, value in entry.items()
        if name not in ENTRY_FIELDS_UNREAD and not (isinstance(value, dict) and "_omitted" in value)
    }


class Sizes:
    """Where a byte of the recorded file is in the trimmed one."""

    def __init__(self, recorded: bytes) -> None:
        self.lines = recorded.splitlines(keepends=True)
        self.trimmed = [trim_line(line) for line in self.lines]
        self.content = b"".join(self.trimmed)

    def of(self, recorded_size: int) -> int:
        """At the end of a line exact; within one, as far along in proportion (only an interrupted rewrite
        is).
        """
        before = after = 0
        for line, trimmed in zip(self.lines, self.trimmed, strict=True):
            if before + len(line) > recorded_size:
                return after + (recorded_size - before) * len(trimmed) // len(line)
            before, after = before + len(line), after + len(trimmed)
        return after


def earlier_error(content: bytes) -> bytes:
    """2026.7.1 error-500: before the repair the failed line had no text; the sizes differ by exactly that
    text (73 B).
    """
    text = b'[{"type":"text","text":"[assistant turn failed before producing content]"}]'
    head, failed = content.split(text)[0], content.split(text)[1].split(b"\n")[0]
    return head + b"[]" + failed + b"\n"


def earlier_header(content: bytes) -> bytes:
    """2026.7.1 new-command: the header that `/new` wrote named another folder; 25 B shorter, as the folder
    is.
    """
    header, user, notice = content.splitlines(keepends=True)[:3]
    return header.replace(b"/home/node/.openclaw/workspace", b"/home/node/run", 1) + user + notice


EARLIER: dict[str, tuple[str, Callable[[bytes], bytes], dict[int, int]]] = {
    # scenario: (file, how its lost version follows from the last one, recorded size -> complete lines of it)
    "2026.7.1/error-500": ("cc5405df-557c-49f2-a7c7-b5350a9bd0b4.jsonl", earlier_error, {1496: 6}),
    "2026.7.1/new-command": (
        "f3eca3fd-c25e-454d-be51-83229e63fad7.jsonl",
        earlier_header,
        {136: 1, 412: 2, 970: 3},
    ),
}


def transcript_events(timeline: Json) -> list[Json]:
    """The events of transcripts; the store has its own file, locks and temporary files are the player's
    own.
    """
    kept = []
    for event in timeline["events"]:
        name = event["path"].rpartition("/")[2]
        transcript = event["path"].startswith(SESSIONS + "/") and ".jsonl" in name
        noise = name.endswith((".lock", ".tmp")) or ".trajectory" in name
        if transcript and not noise and event["ev"] != "close_write":
            kept.append(event)
    return kept


def final_names(events: list[Json]) -> dict[str, str]:
    """What a transcript is called at the end, where it was renamed on the way."""
    names = {}
    for left, arrived in pairwise(events):
        if (left["ev"], arrived["ev"]) == ("moved_from", "moved_to"):
            names[left["path"]] = arrived["path"]
    return names


def convert_events(
    scenario: str, events: list[Json], sizes: dict[str, Sizes]
) -> tuple[list[Json], dict[str, bytes]]:
    final = final_names(events)
    earlier_of, rebuild, lines_at = EARLIER.get(scenario, ("", bytes, {}))
    earlier = {}
    if earlier_of:
        earlier["earlier/" + earlier_of] = rebuild(sizes[f"{SESSIONS}/{earlier_of}"].content)
    converted = []
    for event in events:
        row = {"t": event["t"], "ev": event["ev"], "path": event["path"]}
        path = str(final.get(event["path"], event["path"]))
        if event["ev"] in {"moved_from", "delete"}:
            pass
        elif event.get("size") in lines_at and earlier_of in path:
            lines = earlier["earlier/" + earlier_of].splitlines(keepends=True)
            row |= {
                "size": sum(map(len, lines[: lines_at[event["size"]]])),
                "content": "earlier/" + earlier_of,
            }
        elif event["size"] == 0:
            row["size"] = 0
        elif "scrubbed_size" in event:
            row["size"] = sizes[path].of(event["scrubbed_size"])
        elif shorter := rewritten_to(event, events):
            row["size"] = sizes[path].of(shorter)
        elif event["ev"] == "moved_to" and path in sizes:
            row["size"] = len(sizes[path].content)
        else:
            row["size"] = None  # what was written here was later cut off again: nobody recorded it
        converted.append(row)
    return converted, earlier


def rewritten_to(event: Json, events: list[Json]) -> int | None:
    """An in-place rewrite seen halfway: its size in recorded bytes, by proportion of the file it rewrites."""
    known = [other for other in events if other["path"] == event["path"] and "scrubbed_size" in other]
    whole = next(
        (other for other in known if other["t"] >= event["t"] and other["size"] > event["size"]), None
    )
    was = next((other for other in reversed(known) if other["t"] <= event["t"] and other is not whole), None)
    if whole is None or was is None or was["size"] <= event["size"]:
        return None
    return int(event["size"] * whole["scrubbed_size"] / whole["size"])


def initial_sizes(events: list[Json], sizes: dict[str, Sizes], start_ms: int) -> dict[str, int]:
    """Transcripts that were there before: the lines that are older than the scenario."""
    initial = {}
    back = {new: old for old, new in final_names(events).items()}
    created = {event["path"] for event in events if event["ev"] == "create"}
    for path, size in sizes.items():
        if back.get(path, path) not in created:
            old = [line for line in size.trimmed if epoch_ms(json.loads(line)) < start_ms]
            initial[back.get(path, path)] = sum(map(len, old))
    return initial


def trim(source: Path, out: Path, name: str) -> None:
    scenario = source / name
    timeline = json.loads((scenario / "timeline.json").read_bytes())
    events = transcript_events(timeline)
    final = final_names(events)
    sizes = {}
    for path in sorted((scenario / SESSIONS).glob("*.jsonl*")):
        relative = f"{SESSIONS}/{path.name}"
        sizes[final.get(relative, relative)] = Sizes(path.read_bytes())
    rows, earlier = convert_events(name, events, sizes)
    store = {
        key: trim_entry(e)
        for key, e in json.loads((scenario / SESSIONS / "sessions.json").read_bytes()).items()
    }
    snapshots = scenario / "sessions.snapshots.jsonl"
    if snapshots.exists():
        states = []
        for raw in snapshots.read_bytes().splitlines():
            snapshot = json.loads(raw)
            states.append((snapshot["t"], {key: trim_entry(e) for key, e in snapshot["entries"].items()}))
        if states[-1][1] != store:
            states.append((max(timeline["duration_ms"], states[-1][0]), store))
        history = deltas(states)
    else:
        transcripts = {
            path.rpartition("/")[2]: [json.loads(line) for line in size.trimmed]
            for path, size in sizes.items()
        }
        history = synthesised_store(scenario, timeline, transcripts, store)
    head = {key: timeline[key] for key in ("scenario", "version", "start_epoch_ms", "duration_ms")}
    head["store"] = "recorded" if snapshots.exists() else "synthesised"
    head["initial"] = initial_sizes(events, sizes, timeline["start_epoch_ms"])
    text = json.dumps(head, indent=1)[:-2] + ',\n "events": [\n  '
    text += ",\n  ".join(json.dumps(row) for row in rows) + "\n ]\n}\n"
    files = {path: size.content for path, size in sizes.items()} | earlier
    files["timeline.json"] = text.encode()
    files["store.jsonl"] = b"".join(dumps(row) + b"\n" for row in history)
    files[f"{SESSIONS}/sessions.json"] = json.dumps(store, indent=2, ensure_ascii=False).encode()
    for relative, content in files.items():
        target = out / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)


def main(source: str, out: str, *names: str) -> None:
    for name in names:
        trim(Path(source), Path(out) / name, name)


if __name__ == "__main__":
    main(*sys.argv[1:])
