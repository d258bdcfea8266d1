"""Tells others than the chat how the sessions fare: dashboards that ask, a webhook, Loki."""

import asyncio
import socket
import time
from collections.abc import Callable, Iterable
from functools import lru_cache
from os import getpid
from typing import Final, Protocol
from urllib.parse import urlsplit

import structlog
from aiohttp import web

from status_watcher import __version__
from status_watcher.config import Config
from status_watcher.core.board import Board
from status_watcher.core.event_wire import LokiBody, Told, redacted, webhook_body
from status_watcher.core.lifecycle import Event, Lifecycle
from status_watcher.core.post import BoxRecord, box_tag, sendable
from status_watcher.core.replay import Replay
from status_watcher.core.session_report import SessionReport, to_json, without_private
from status_watcher.core.snapshot import Snapshot
from status_watcher.core.text import Redactor, clip, redact, without_unseen
from status_watcher.edge.event_sender import Destination, EventSender
from status_watcher.edge.session_routes import Doorkeeper, EventStream, add_routes
from status_watcher.model import BoxId, PostId
from status_watcher.public_channels import Channels, PublicChannels

LOOK_EVERY_S: Final = 0.5
FLUSH_S: Final = 1.5
MOST_ENDED: Final = 200
"""Ended turns in an answer, the newest."""
_LABEL_CHARS: Final = 120
_KEY_CHARS: Final = 400
_MOST_LINKS: Final = 8_000
_LOKI_PATH: Final = "/loki/api/v1/push"
_LOKI_BATCH: Final = 100

log = structlog.get_logger()


class Posts(Protocol):
    """Where the boxes are; the publisher."""

    def post_of(self, box_id: BoxId) -> PostId | None: ...


class Listeners:
    """Looks at the board twice a second, on its loop, and never makes it wait."""

    def __init__(
        self,
        config: Config,
        board: Board,
        now_ms: Callable[[], int],
        posts: Posts,
        channels: Channels,
        proxy_of: Callable[[str], str | None],
    ) -> None:
        self._config = config
        self._board = board
        self._now_ms = now_ms
        self._posts = posts
        self._public = PublicChannels(channels, time.monotonic)
        self._redactor = Redactor.for_secrets(*config.secrets)
        self._everything = config.health_token is not None
        self._lifecycle = Lifecycle()
        self._links: dict[BoxId, PostId] = {}
        self._host = sendable(socket.gethostname())
        self._run = f"{time.time_ns() // 1_000_000:x}"
        self._shown = lru_cache(maxsize=2048)(self._open)
        self._told = 0
        self._broken_looks = 0
        self._stream = EventStream(Replay(self._run))
        self._senders = [EventSender(to, __version__) for to in _destinations(config, proxy_of)]

    def restore(self, records: Iterable[BoxRecord]) -> None:
        """The boxes of an earlier run, of whose beginning was told then."""
        known = list(records)
        self._lifecycle.restore(known)
        self._links = {record.box_id: record.post_id for record in known if record.post_id is not None}

    def routes(self, app: web.Application) -> None:
        """Lets the health port answer to `/sessions` and `/events`."""
        token = self._config.health_token
        given = "" if token is None else token.get_secret_value()
        add_routes(app, Doorkeeper(given), self, self._stream)

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for sender in self._senders:
                tasks.create_task(sender.run())
            while True:
                self._look()
                await asyncio.sleep(LOOK_EVERY_S)

    async def finish(self) -> None:
        """What the end of the daemon makes happen is told as well, as far as that is quick."""
        self._look()
        self._tell(self._lifecycle.release_all(self._post_of))
        self._stream.close()
        async with asyncio.TaskGroup() as tasks:
            for sender in self._senders:
                tasks.create_task(sender.flush(FLUSH_S))

    def counters(self) -> dict[str, int]:
        counters = {
            "events_told": self._told,
            "events_not_told": self._broken_looks,
        } | self._stream.counters()
        for sender in self._senders:
            counters |= sender.counters()
        return counters

    async def sessions(self) -> bytes:
        """The body of `GET /sessions`: open turns first, each kind from the newest on."""
        found = self._board.snapshots(self._now_ms(), MOST_ENDED)
        reports = [self._report(one, self._post_of(one.shown_in) if one.shown_in else None) for one in found]
        if not self._everything:
            channels = {channel for one in found if (channel := one.whose.public_in) is not None}
            public = await self._public.of(channels)
            reports = [
                report if one.whose.public_in in public else without_private(report)
                for one, report in zip(found, reports, strict=True)
            ]
        return to_json(getpid(), reports)

    async def fit_to_tell(self, told: Told) -> Told:
        """The event without what is not for everybody."""
        if self._everything:
            return told
        public = told.public_in is not None and await self._public.of({told.public_in})
        return told if public else redacted(told)

    def _look(self) -> None:
        try:
            self._look_at_board()
        except Exception as error:  # noqa: BLE001 - the border of what is not the boxes: they go on
            self._broken_looks += 1
            if self._broken_looks == 1:
                log.error("events_not_told", error=type(error).__name__)  # noqa: TRY400 - no agent's words

    def _look_at_board(self) -> None:
        now_ms = self._now_ms()
        stirred = self._board.take_stirred(now_ms)
        for box_id, snapshot in stirred:
            if snapshot is None:
                self._links.pop(box_id, None)
        self._tell(self._lifecycle.look(stirred, self._post_of, now_ms))

    def _tell(self, events: list[Event]) -> None:
        for event in events:
            self._told += 1
            told = Told(
                run=self._run,
                number=self._told,
                at_ms=time.time_ns() // 1_000_000,
                host=self._host,
                what=event.what,
                turn=box_tag(event.turn),
                report=self._report(event.snapshot, event.post),
                public_in=event.snapshot.whose.public_in,
            )
            self._stream.publish(told)
            for sender in self._senders:
                sender.offer(told)

    def _report(self, snapshot: Snapshot, post: PostId | None) -> SessionReport:
        """What the chat shows of it, and no more: names are redacted as in a box."""
        whose, standing = snapshot.whose, snapshot.standing
        return SessionReport(
            key=self._shown(whose.key or "", _KEY_CHARS),
            label=self._shown(whose.name, _LABEL_CHARS),
            agent=sendable(whose.agent),
            kind=whose.kind or "",
            state=standing.state.value,
            age_s=standing.age_ms / 1000,
            idle_s=standing.idle_ms / 1000,
            model=self._shown(standing.model, _LABEL_CHARS),
            tokens=standing.tokens,
            # Without the team, which the server's web client finds itself (5.16 and later).
            post=f"{self._config.mm_url}/_redirect/pl/{post}" if post else "",
            waits_for=standing.waits_for,
        )

    def _open(self, text: str, most_chars: int) -> str:
        """What everybody may see of a text."""
        return sendable(clip(redact(without_unseen(text), self._redactor), most_chars))

    def _post_of(self, box_id: BoxId) -> PostId | None:
        """The publisher forgets what it has long delivered."""
        post = self._posts.post_of(box_id)
        if post is None:
            return self._links.get(box_id)
        if box_id not in self._links and len(self._links) >= _MOST_LINKS:
            del self._links[next(iter(self._links))]
        self._links[box_id] = post
        return post


def _destinations(config: Config, proxy_of: Callable[[str], str | None]) -> list[Destination]:
    found: list[Destination] = []
    if config.events_webhook_url is not None:
        url = config.events_webhook_url.get_secret_value()
        found.append(Destination("webhook", url, webhook_body, 1, proxy_of(url)))
    if config.loki_push_url is not None:
        url = config.loki_push_url.get_secret_value()
        if not urlsplit(url).path.strip("/"):
            url = url.rstrip("/") + _LOKI_PATH
        found.append(Destination("loki", url, LokiBody(), _LOKI_BATCH, proxy_of(url)))
    return found
