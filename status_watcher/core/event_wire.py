"""How what happened to a session reads on the wire: a JSON document, a Server-Sent Event, a push to Loki."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from status_watcher.core.lifecycle import Happening
from status_watcher.core.session_report import SessionReport, without_private
from status_watcher.model import ChannelId

MOST_AGENTS: Final = 100
"""Values of Loki's label `agent`: each makes a stream of its own, and others' directories name the agents."""
LABEL_CHARS: Final = 64
OTHER_AGENTS: Final = "other"


@dataclass(frozen=True, slots=True)
class Told:
    """One event as listeners get it."""

    run: str
    """Names this run of the daemon; with `number` it makes the event's id."""
    number: int
    """Counts from 1."""
    at_ms: int
    """When it was told, by the wall clock."""
    host: str
    what: Happening
    turn: str
    """The same for all that happens to one turn, also the mark in its post's props."""
    report: SessionReport
    public_in: ChannelId | None
    """Whoever may read this channel may know of it; None: only who was in the conversation."""

    @property
    def id(self) -> str:
        return f"{self.run}-{self.number}"


def redacted(told: Told) -> Told:
    """The event without what only those may know who are in the conversation."""
    return replace(told, turn="", report=without_private(told.report))


def to_json(told: Told) -> bytes:
    """One object on one line, without a line break at its end."""
    report = told.report
    document: dict[str, Any] = {
        "id": told.id,
        "event": told.what.value,
        "time": _iso(told.at_ms),
        "host": told.host,
        "agent": report.agent,
        "kind": report.kind,
        "key": report.key,
        "label": report.label,
        "turn": told.turn,
        "state": report.state,
        "duration_s": round(report.age_s, 1),
        "tokens": report.tokens,
        "model": report.model,
        "post": report.post,
    }
    if report.redacted:
        document["redacted"] = True
    return orjson.dumps(document)


def webhook_body(batch: Sequence[Told]) -> bytes:
    """The document itself: there is one event in a request."""
    (told,) = batch
    return to_json(told)


def server_sent(told: Told) -> bytes:
    """One event of a stream (WHATWG HTML, section 9.2)."""
    return b"id: %b\nevent: %b\ndata: %b\n\n" % (told.id.encode(), told.what.value.encode(), to_json(told))


class LokiBody:
    """Bodies of Loki's `POST /loki/api/v1/push` (JSON form), with labels of few values.

    The labels are host, agent and event; keys and names, of which there is no end, stand in the line.
    """

    def __init__(self) -> None:
        self._agents: set[str] = set()

    def __call__(self, batch: Sequence[Told]) -> bytes:
        streams: dict[tuple[str, str, str], list[list[str]]] = {}
        for told in batch:
            labels = (told.host[:LABEL_CHARS], self._agent(told.report.agent), told.what.value)
            # Loki keeps one of two equal lines of the same time: the number makes the times differ.
            at_ns = told.at_ms * 1_000_000 + told.number % 1_000_000
            streams.setdefault(labels, []).append([str(at_ns), to_json(told).decode()])
        document = [
            {"stream": {"host": host, "agent": agent, "event": event}, "values": values}
            for (host, agent, event), values in streams.items()
        ]
        return orjson.dumps({"streams": document})

    def _agent(self, agent: str) -> str:
        label = agent[:LABEL_CHARS] or OTHER_AGENTS
        if label not in self._agents:
            if len(self._agents) >= MOST_AGENTS:
                return OTHER_AGENTS
            self._agents.add(label)
        return label


def _iso(at_ms: int) -> str:
    told = datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")
    return told.replace("+00:00", "Z")
