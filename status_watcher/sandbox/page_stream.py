"""What one open page has not been told yet.

One entry per post, the newest, however often it was edited: a slow page skips versions as a slow reader does.
"""

import asyncio
from dataclasses import replace

from status_watcher.sandbox.store import StoreEvent

_MAX_PENDING = 1_000
"""A page so far behind is let go; it reconnects and starts from the state."""


class PageStream:
    """The events for one listener, coalesced by post; never holds more than `_MAX_PENDING`."""

    def __init__(self) -> None:
        self._pending: dict[str, StoreEvent] = {}
        self._wake = asyncio.Event()
        self._closed = False

    def offer(self, event: StoreEvent) -> None:
        """Takes in an event, in place of an earlier one about the same post; closes where too many wait."""
        if self._closed:
            return
        if event.kind == "typing":
            key = f"typing {event.channel_id}"
        elif event.post is None:
            key = "channels"
        else:
            key = event.post.id
        self._pending[key] = replace(event)
        self._wake.set()
        if len(self._pending) > _MAX_PENDING:
            self.close()

    async def take(self, timeout_s: float) -> list[StoreEvent] | None:
        """All that waits, an empty list where nothing came in time, None once closed."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._wake.wait()
        except TimeoutError:
            return []
        if self._closed:
            return None
        self._wake.clear()
        events, self._pending = list(self._pending.values()), {}
        return events

    def close(self) -> None:
        self._closed = True
        self._pending.clear()
        self._wake.set()
