"""The floor of the latency: a process in which a watchdog event becomes one PUT on a kept-alive connection.

Nothing is read, folded or rendered, and nothing is remembered. Arguments: the directory, the URL.
"""

import asyncio
import sys

import aiohttp
from watchdog.events import FileModifiedEvent, FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

BODY = b'{"message":"' + b"x" * 400 + b'"}'
"""About as long as the daemon's edits."""


class _HandOver(FileSystemEventHandler):
    def __init__(self, written: asyncio.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._written = written

    def on_any_event(self, _event: FileSystemEvent) -> None:
        self._loop.call_soon_threadsafe(self._written.set)


async def _run(directory: str, url: str) -> None:
    written = asyncio.Event()
    observer = Observer()
    observer.schedule(_HandOver(written), directory, event_filter=[FileModifiedEvent])
    observer.start()
    async with aiohttp.ClientSession(headers={"Content-Type": "application/json"}) as session:
        print("ready", flush=True)
        while True:
            await written.wait()
            written.clear()
            async with session.put(url, data=BODY) as response:
                await response.read()


if __name__ == "__main__":
    asyncio.run(_run(*sys.argv[1:3]))
