"""Retell a recorded session: at another time, under other ids, in another channel and directory.

Pure: everything that is replaced comes in as an argument. Timestamps and renamed ids keep their length in
bytes, so that the sizes of the recording hold.
"""

import re
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import accumulate, pairwise
from pathlib import PurePosixPath
from typing import Final

import orjson

from status_watcher.demo.captures import STATE_DIR, Capture, Entry

_ISO: Final = re.compile(rb'(?<=")\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z(?=")')
_EPOCH_MS: Final = re.compile(rb"(?<=[:\[,])\d{13}(?=[,}\]])")


@dataclass(frozen=True, slots=True)
class PlayOptions:
    """`speed` 2 is twice as fast as it was; gaps over `longest_gap_s` are shortened to it before that."""

    speed: float = 1.0
    longest_gap_s: float = 2.0
    shift_to_now: bool = True
    """False leaves every timestamp as recorded."""


@dataclass(frozen=True, slots=True)
class Route:
    """The Mattermost channel, and thread root ("" for none), that a recorded session is said to belong to."""

    channel_id: str
    root_id: str = ""


@dataclass(frozen=True, slots=True)
class Cast:
    """Who plays the recorded parts.

    `rename` replaces one text by another of the same length wherever it stands: file names, lines, store
    (ids of sessions, channels, posts, users). `routes` moves root sessions, by their recorded key, and the
    sub-agents below them into a channel.
    """

    rename: Mapping[str, str] = field(default_factory=dict)
    routes: Mapping[str, Route] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for recorded, played in self.rename.items():
            if len(recorded.encode()) != len(played.encode()):
                raise ValueError(
                    f"{recorded!r} and {played!r} differ in length: recorded sizes would not hold"
                )


@dataclass(frozen=True, slots=True)
class TimeMap:
    """Recorded ms since the start to seconds of the replay: linear between knots, unshortened outside."""

    knots_ms: tuple[int, ...]
    at_s: tuple[float, ...]
    speed: float

    def seconds(self, t_ms: float) -> float:
        index = bisect_right(self.knots_ms, t_ms) - 1
        if index < 0:
            return (t_ms - self.knots_ms[0]) / 1000 / self.speed
        start_ms, start_s = self.knots_ms[index], self.at_s[index]
        if index + 1 == len(self.knots_ms):
            return start_s + (t_ms - start_ms) / 1000 / self.speed
        share = (t_ms - start_ms) / (self.knots_ms[index + 1] - start_ms)
        return start_s + share * (self.at_s[index + 1] - start_s)


def time_map(capture: Capture, options: PlayOptions) -> TimeMap:
    """Shorten the recording's pauses; its start is second 0."""
    moments = [event.t_ms for event in capture.events] + [change.t_ms for change in capture.store]
    knots_ms = sorted({0, *moments})
    gaps_s = [min((after - before) / 1000, options.longest_gap_s) for before, after in pairwise(knots_ms)]
    return TimeMap(
        tuple(knots_ms),
        tuple(accumulate((gap_s / options.speed for gap_s in gaps_s), initial=0.0)),
        options.speed,
    )


class Recast:
    """Recorded texts in the words of one replay that starts at `start_ms` (epoch ms; None: times stay)."""

    def __init__(
        self, capture: Capture, clock: TimeMap, cast: Cast, start_ms: int | None, state_dir: str
    ) -> None:
        self._recorded_start_ms = capture.start_epoch_ms
        self._start_ms = start_ms
        self._clock = clock
        self._cast = cast
        self._state_dir = state_dir
        self._parents = {
            key: str(entry["spawnedBy"])
            for change in capture.store
            for key, entry in change.entries.items()
            if "spawnedBy" in entry
        }

    def content(self, recorded: bytes) -> bytes:
        """Lines of a transcript, or an entry as JSON, of the same length."""
        played = recorded
        for was, now in self._cast.rename.items():
            played = played.replace(was.encode(), now.encode())
        if self._start_ms is None:
            return played
        return _EPOCH_MS.sub(self._epoch, _ISO.sub(self._iso, played))

    def path(self, recorded: PurePosixPath) -> PurePosixPath:
        """A file's path relative to the state directory; the time in an archive's name stays."""
        return PurePosixPath(self._renamed(str(recorded)))

    def key(self, recorded: str) -> str:
        """A session key; only a routed root session changes its kind."""
        if route := self._cast.routes.get(recorded):
            agent = recorded.split(":")[1]
            base = f"agent:{agent}:mattermost:channel:{route.channel_id}"
            return f"{base}:thread:{route.root_id}" if route.root_id else base
        return self._renamed(recorded)

    def entry(self, key: str, recorded: Entry) -> Entry:
        """The store's entry of a session recorded under `key`."""
        entry: Entry = orjson.loads(self.content(orjson.dumps(recorded)))
        if "sessionFile" in entry:
            entry["sessionFile"] = entry["sessionFile"].replace(STATE_DIR, self._state_dir, 1)
        if "spawnedBy" in recorded:
            entry["spawnedBy"] = self.key(recorded["spawnedBy"])
        if route := self._cast.routes.get(self._root(key)):
            entry = _routed(entry, route)
            if self._root(key) == key:
                entry |= {"chatType": "channel", "groupId": route.channel_id}
        return entry

    def _root(self, key: str) -> str:
        seen = {key}
        while (parent := self._parents.get(key)) is not None and parent not in seen:
            key = parent
            seen.add(key)
        return key

    def _renamed(self, text: str) -> str:
        for was, now in self._cast.rename.items():
            text = text.replace(was, now)
        return text

    def _moved_ms(self, recorded_ms: int) -> int:
        seconds = self._clock.seconds(recorded_ms - self._recorded_start_ms)
        return (self._start_ms or 0) + round(seconds * 1000)

    def _epoch(self, match: re.Match[bytes]) -> bytes:
        return str(self._moved_ms(int(match[0]))).encode()

    def _iso(self, match: re.Match[bytes]) -> bytes:
        recorded = datetime.fromisoformat(match[0].decode())
        moved_ms = self._moved_ms(round(recorded.timestamp() * 1000))
        moved = datetime.fromtimestamp(moved_ms // 1000, UTC)
        return f"{moved:%Y-%m-%dT%H:%M:%S}.{moved_ms % 1000:03}Z".encode()


def _routed(entry: Entry, route: Route) -> Entry:
    """Delivery fields as a session of that channel, and its sub-agents, have them (2026.2.26 to 2026.7.1)."""
    target = f"channel:{route.channel_id}"
    thread = {"threadId": route.root_id} if route.root_id else {}
    kept = {name: value for name, value in entry.items() if name not in {"origin", "route", "lastThreadId"}}
    return kept | {
        "channel": "mattermost",
        "lastChannel": "mattermost",
        "lastTo": target,
        "lastAccountId": "default",
        "deliveryContext": {"channel": "mattermost", "to": target, "accountId": "default", **thread},
        **({"lastThreadId": route.root_id} if route.root_id else {}),
    }
