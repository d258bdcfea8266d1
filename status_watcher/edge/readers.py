"""A few threads for file I/O, which may hang for ever on a network file system that has gone away."""

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Final, Self, TypeVar

T = TypeVar("T")

THREADS: Final = 4
_MOST_FINISHING: Final = 32


class Readers:
    """Runs blocking calls off the event loop.

    Unlike those of `concurrent.futures`, its threads are daemons: a read that never returns must not keep the
    process from ending. The way there and back costs about 30 µs, against 50 µs there.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, *, threads: int = THREADS) -> None:
        self._loop = loop
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._since: dict[int, float] = {}
        self._threads = [
            threading.Thread(target=self._work, args=(number,), name=f"reader-{number}", daemon=True)
            for number in range(threads)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Let the threads end after the call they are in, without waiting for them."""
        for _ in self._threads:
            self._calls.put(None)

    async def run(self, call: Callable[[], T]) -> T:
        """The result of `call`, made in one of the threads, which a cancelled wait for it does not undo."""
        return await self.start(call)

    def start(self, call: Callable[[], T]) -> asyncio.Future[T]:
        """Have `call` made; the future gets what comes of it."""
        future: asyncio.Future[T] = self._loop.create_future()

        def make() -> None:
            try:
                result = call()
            except BaseException as error:  # noqa: BLE001 - handed to whoever awaits it
                self._post(_fail, future, error)
            else:
                self._post(_succeed, future, result)

        self._calls.put(make)
        return future

    def longest_s(self) -> float:
        """How long the oldest call of those being made has taken so far."""
        return max((time.monotonic() - since for since in self._since.copy().values()), default=0.0)

    def _work(self, number: int) -> None:
        while (call := self._calls.get()) is not None:
            self._since[number] = time.monotonic()
            call()
            del self._since[number]

    def _post(self, settle: Callable[..., None], *arguments: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(settle, *arguments)


async def finish_together(calls: Sequence[Callable[[], None]], within_s: float) -> None:
    """Make all these calls at once, and go on when they are done or the time is over, whichever hang."""
    with Readers(asyncio.get_running_loop(), threads=min(len(calls), _MOST_FINISHING)) as readers:
        futures = [readers.start(call) for call in calls]
        if futures:
            finished, _ = await asyncio.wait(futures, timeout=within_s)
            for future in finished:
                future.result()


def _succeed(future: asyncio.Future[T], result: T) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: asyncio.Future[T], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)
