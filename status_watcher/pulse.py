"""How late the event loop is: whoever blocks it, this shows it."""

import asyncio
from collections import deque
from typing import Final

BEAT_S: Final = 0.25
_REMEMBERED_BEATS: Final = 240


class Pulse:
    """Sleeps and compares; the overshoot is what every other task waited too."""

    def __init__(self) -> None:
        self._lags_s: deque[float] = deque(maxlen=_REMEMBERED_BEATS)
        self._worst_s = 0.0

    @property
    def lag_ms(self) -> int:
        """The largest of the last minute."""
        return round(max(self._lags_s, default=0.0) * 1000)

    @property
    def worst_lag_ms(self) -> int:
        """The largest since the start."""
        return round(self._worst_s * 1000)

    async def beat(self) -> None:
        """Measure until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due_s = loop.time() + BEAT_S
            await asyncio.sleep(BEAT_S)
            lag_s = max(0.0, loop.time() - due_s)
            self._lags_s.append(lag_s)
            self._worst_s = max(self._worst_s, lag_s)
