"""Real input to begin with: lines, transcripts and stores of every recorded session."""

import captures
import orjson


def transcripts() -> list[bytes]:
    """Every recorded transcript, earlier states of rewritten ones included."""
    found = {data for name in captures.names() for data in captures.load(name).files.values()}
    return sorted(found, key=lambda data: (len(data), data))


def lines() -> list[bytes]:
    """Every line of them, the shortest first."""
    found = {line for data in transcripts() for line in data.splitlines()}
    return sorted(found, key=lambda line: (len(line), line))


def stores() -> list[bytes]:
    """What sessions.json said in the end of each recording that wrote it."""
    found = set()
    for name in captures.names():
        entries: dict[str, object] = {}
        for change in captures.load(name).store:
            entries |= change.entries
        found.add(orjson.dumps(entries))
    return sorted(found, key=lambda data: (len(data), data))
