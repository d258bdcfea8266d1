"""Things to look at, by a few workers, fairly: each thing by one worker at a time, one slice at a time."""

import asyncio
from collections.abc import Awaitable, Callable


class Job:
    """One thing that has to be looked at now and then."""

    __slots__ = ("asked", "pending", "step")

    def __init__(self, step: Callable[[], Awaitable[bool]]) -> None:
        """`step` does one slice of the work and tells whether more is left."""
        self.step = step
        self.pending = False
        self.asked = False


class Jobs:
    """A queue in which a job stands once; what is asked for while it is being done is done once more."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Job] = asyncio.Queue()

    def ask(self, job: Job) -> None:
        """Have it done soon; for any number of askers once."""
        job.asked = True
        if not job.pending:
            job.pending = True
            self._queue.put_nowait(job)

    async def work(self) -> None:
        """Do jobs for ever; several of these may run. A job with more left goes to the end of the queue."""
        while True:
            job = await self._queue.get()
            job.asked = False
            more = await job.step()
            if more or job.asked:
                self._queue.put_nowait(job)
            else:
                job.pending = False
            self._queue.task_done()

    async def idle(self) -> None:
        """Wait until nothing is left to do."""
        await self._queue.join()
