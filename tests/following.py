"""A source under test, what it hands over, and what that adds up to."""

import asyncio
import contextlib
import json
import time

from status_watcher.source import IndexSeen, Lines, Reading, TranscriptGone

DEADLINE_S = 15.0


class Received:
    """What a source handed over."""

    def __init__(self):
        self.news = []

    def __call__(self, news):
        self.news.append(news)

    def batches(self, session_id, agent="main"):
        return [
            n for n in self.news if isinstance(n, Lines) and (n.agent, n.session_id) == (agent, session_id)
        ]

    def readings(self, session_id):
        return [batch.reading for batch in self.batches(session_id)]

    def lines(self, session_id, agent="main"):
        """The transcript as it stands: what replaces counts alone."""
        lines = []
        unfinished = False
        for batch in self.batches(session_id, agent):
            is_header = bool(batch.lines) and json.loads(batch.lines[0]).get("type") == "session"
            another = batch.reading is Reading.REPLACED and unfinished and not is_header
            anew = batch.reading in {Reading.AGAIN, Reading.REPLACED} and not another
            unfinished = batch.more_follows
            lines = [*([] if anew else lines), *batch.lines]
        return lines

    def ids(self, session_id, agent="main"):
        """The ids of its entries, "s" for the header."""
        events = [json.loads(line) for line in self.lines(session_id, agent)]
        return ["s" if event["type"] == "session" else event["id"] for event in events]

    def sessions(self):
        return {news.session_id for news in self.news if isinstance(news, Lines)}

    def indexes(self, agent="main"):
        return [news.entries for news in self.news if isinstance(news, IndexSeen) and news.agent == agent]

    def gone(self):
        return [news for news in self.news if isinstance(news, TranscriptGone)]


async def eventually(condition, deadline_s=DEADLINE_S):
    deadline = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def following(source, wanted=()):
    received = Received()
    task = asyncio.create_task(source.run(wanted, received))
    try:
        await eventually(lambda: source.health().alive or task.done())
        yield received
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
