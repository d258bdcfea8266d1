"""Which channels everybody may read, as the server has it: asked only when somebody wants to know."""

import asyncio
from collections.abc import Callable, Collection
from typing import Final, Protocol

from status_watcher.core.outcome import Ok, Outcome
from status_watcher.model import ChannelId

WITHIN_S: Final = 2.0
"""What an asker waits at most; what is not known by then is private."""
BELIEVED_FOR_S: Final = 600.0
"""A channel can be made private, or public."""
QUIET_FOR_S: Final = 60.0
"""After a request that failed, until the next one."""


class Channels(Protocol):
    """What the server says of its channels; the client."""

    async def is_public(self, channel: ChannelId, within_s: float) -> Outcome[bool]: ...


class PublicChannels:
    """Asks one at a time, so that the boxes keep their connections; `now_s` is monotonic."""

    def __init__(self, channels: Channels, now_s: Callable[[], float], within_s: float = WITHIN_S) -> None:
        self._channels = channels
        self._now_s = now_s
        self._within_s = within_s
        self._known: dict[ChannelId, tuple[float, bool]] = {}
        self._quiet_until_s = 0.0
        self._asking = asyncio.Lock()

    async def of(self, wanted: Collection[ChannelId]) -> set[ChannelId]:
        """Those of the channels that are known to be public."""
        if any(not self._is_known(channel) for channel in wanted):
            try:
                async with asyncio.timeout(self._within_s), self._asking:
                    for channel in wanted:
                        await self._learn(channel)
            except TimeoutError:
                self._quiet_until_s = self._now_s() + QUIET_FOR_S
        return {channel for channel in wanted if self._is_known(channel) and self._known[channel][1]}

    def _is_known(self, channel: ChannelId) -> bool:
        return channel in self._known and self._now_s() < self._known[channel][0]

    async def _learn(self, channel: ChannelId) -> None:
        if self._is_known(channel) or self._now_s() < self._quiet_until_s:
            return
        outcome = await self._channels.is_public(channel, self._within_s)
        now_s = self._now_s()
        if isinstance(outcome, Ok):
            self._known[channel] = (now_s + BELIEVED_FOR_S, outcome.value)
        else:
            self._quiet_until_s = now_s + QUIET_FOR_S
