"""What we read of OpenClaw's session store: `sessions.json` bytes to typed entries.

The store is one JSON object, session key to entry. Each version names the route of a session in fields of its
own: read in files of 2026.2.26, 2026.3.31 and 2026.7.1, and in entries of 2026.9.6 (`delivery`).
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Literal, NamedTuple

import orjson

from status_watcher.model import SessionId, SessionKey

MATTERMOST_ID: Final = re.compile(r"[a-z0-9]{26}")
"""What ids of channels, posts and users look like; nothing else is one."""


class StoreStatus(StrEnum):
    """`status` of an entry; absent in 2026.2, and never to be trusted alone."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    KILLED = "killed"
    TIMEOUT = "timeout"


@dataclass(frozen=True, slots=True)
class StoreEntry:
    """One session as the store has it; absent or ill-typed fields are None (or "")."""

    key: SessionKey
    session_id: SessionId
    session_file: str | None = None
    status: StoreStatus | None = None
    started_at_ms: int | None = None
    ended_at_ms: int | None = None
    updated_at_ms: int | None = None
    aborted_last_run: bool = False
    spawned_by: SessionKey | None = None
    """Parent session: `spawnedBy`, else `parentSessionKey`."""
    label: str = ""
    channel: str = ""
    """Provider of the route, e.g. "mattermost" or "webchat"."""
    to: str = ""
    """Route target as stored: "channel:<id>", "user:<id>"."""
    thread_id: str = ""
    """Of the thread's root; only one that a post can have."""
    native_channel_id: str = ""
    """The channel as Mattermost names it, also that of a direct message, which `to` does not (2026.9.6)."""


@dataclass(frozen=True, slots=True)
class Index:
    """One readable look at the store."""

    entries: Mapping[SessionKey, StoreEntry]
    skipped: int
    """Entries that are no session: not an object, or without a usable `sessionId`."""


@dataclass(frozen=True, slots=True)
class InvalidIndex:
    """The store could not be read: it says nothing about any session, and least of all that one is gone."""

    reason: Literal["empty", "not_json", "not_object"]


def parse_index(data: bytes) -> Index | InvalidIndex:
    """Every session that `sessions.json` names, whatever else is wrong with it; never raises.

    `data` is the whole file. A bad entry is skipped and counted, a bad field is absent.
    """
    if not data or data.isspace():
        return InvalidIndex("empty")
    try:
        raw = orjson.loads(data)
    except orjson.JSONDecodeError:
        return InvalidIndex("not_json")
    if not isinstance(raw, dict):
        return InvalidIndex("not_object")
    entries: dict[SessionKey, StoreEntry] = {}
    for key, fields in raw.items():
        if (entry := _entry(SessionKey(key), fields)) is not None:
            entries[entry.key] = entry
    return Index(entries, len(raw) - len(entries))


def parse_entry(key: SessionKey, data: bytes) -> StoreEntry | None:
    """One entry, as a database row holds it in `entry_json`; None if it is no session. Never raises."""
    try:
        return _entry(key, orjson.loads(data))
    except orjson.JSONDecodeError:
        return None


def _entry(key: SessionKey, raw: Any) -> StoreEntry | None:
    fields = _mapping(raw)
    session_id = _text(fields.get("sessionId"))
    if not _names_a_file(session_id):
        return None
    route = _route(fields)
    return StoreEntry(
        key=key,
        session_id=SessionId(session_id),
        session_file=_text(fields.get("sessionFile")) or None,
        status=_STATUSES.get(_text(fields.get("status"))),
        started_at_ms=_millis(fields.get("startedAt")),
        ended_at_ms=_millis(fields.get("endedAt")),
        updated_at_ms=_millis(fields.get("updatedAt")),
        aborted_last_run=fields.get("abortedLastRun") is True,
        spawned_by=_parent(key, fields),
        # `displayName` is no label: it is made of the route ("mattermost:<team id>#town").
        label=_text(fields.get("label")),
        channel=route.channel,
        to=route.to,
        thread_id=route.thread_id,
        native_channel_id=_text(
            _mapping(_mapping(fields.get("delivery")).get("origin")).get("nativeChannelId")
        ),
    )


_STATUSES: Final[Mapping[str, StoreStatus]] = {status.value: status for status in StoreStatus}
_NOTHING: Final[Mapping[str, Any]] = {}


def _names_a_file(session_id: str) -> bool:
    """The id is joined to the sessions directory, so it must not lead out of it."""
    return session_id not in {"", ".", ".."} and "/" not in session_id and "\0" not in session_id


def _parent(key: SessionKey, fields: Mapping[str, Any]) -> SessionKey | None:
    parent = _text(fields.get("spawnedBy"))
    # A thread session continues its channel's conversation: that is where it was forked, not who spawned it.
    # So does a fork at a message (2026.9.6, `forkSource`), whose key says nothing.
    if not parent and ":thread:" not in key and "forkSource" not in fields:
        parent = _text(fields.get("parentSessionKey"))
    return SessionKey(parent) if parent and parent != key else None


class _Route(NamedTuple):
    channel: str
    to: str
    thread_id: str


def _route(fields: Mapping[str, Any]) -> _Route:
    """The route of the first source that names a provider.

    Other sources only complete it, and only where they speak of the same place: a session that was last
    written to from webchat keeps traces of the Mattermost channel it was in before.
    """
    sources = tuple(source for source in _routes(fields) if source.channel)
    if not sources:
        return _Route("", "", "")
    channel = sources[0].channel
    to = next((source.to for source in sources if source.channel == channel and source.to), "")
    thread_id = next(
        (
            source.thread_id
            for source in sources
            if (source.channel, source.to) == (channel, to) and source.thread_id
        ),
        "",
    )
    return _Route(channel, to, thread_id)


def _routes(fields: Mapping[str, Any]) -> Iterator[_Route]:
    """Where each version writes the route, the most trusted first.

    `origin` is who began the session; it comes last because its fields outlive a change of place.
    """
    delivery = _mapping(fields.get("delivery"))
    yield _flat(fields.get("deliveryContext"))
    yield _Route(
        _text(fields.get("lastChannel")), _text(fields.get("lastTo")), _post_id(fields.get("lastThreadId"))
    )
    yield _nested(fields.get("route"))
    yield _flat(delivery.get("context"))
    yield _nested(delivery.get("route"))
    yield _origin(fields.get("origin"))
    yield _origin(delivery.get("origin"))


def _flat(raw: Any) -> _Route:
    fields = _mapping(raw)
    return _Route(_text(fields.get("channel")), _text(fields.get("to")), _post_id(fields.get("threadId")))


def _nested(raw: Any) -> _Route:
    fields = _mapping(raw)
    target, thread = _mapping(fields.get("target")), _mapping(fields.get("thread"))
    return _Route(_text(fields.get("channel")), _text(target.get("to")), _post_id(thread.get("id")))


def _origin(raw: Any) -> _Route:
    fields = _mapping(raw)
    return _Route(_text(fields.get("provider")), _text(fields.get("to")), _post_id(fields.get("threadId")))


def _mapping(raw: Any) -> Mapping[str, Any]:
    return raw if isinstance(raw, dict) else _NOTHING


def _text(raw: Any) -> str:
    return raw if isinstance(raw, str) else ""


def _post_id(raw: Any) -> str:
    """Threads of other providers have other ids, and the API takes any: the next source may know better."""
    return raw if isinstance(raw, str) and MATTERMOST_ID.fullmatch(raw) else ""


def _millis(raw: Any) -> int | None:
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        return None
    return int(raw) if abs(raw) < _MILLIS_END else None


_MILLIS_END: Final = 1 << 53  # what JavaScript, which writes these, counts exactly
