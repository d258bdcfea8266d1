from collections.abc import AsyncIterator

import aiohttp
import pytest
from sandbox.replay import Replay

from status_watcher.sandbox.server import Sandbox


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(skip_auto_headers=("Content-Type",)) as session:
        yield session


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
async def replay(sandbox: Sandbox, session: aiohttp.ClientSession) -> Replay:
    return Replay(sandbox, session)
