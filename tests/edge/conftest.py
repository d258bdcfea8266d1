"""A sandbox that holds the publisher to its promises, and a publisher at work against it."""

import pytest
from publishing import THROTTLE_S, publishing

from status_watcher.sandbox.server import Sandbox


@pytest.fixture
async def sandbox():
    async with Sandbox() as running:
        yield running
        assert running.violations(THROTTLE_S) == []


@pytest.fixture
async def desk(sandbox, tmp_path):
    async with publishing(sandbox, tmp_path) as made:
        yield made
