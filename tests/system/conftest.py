"""The sandbox in the test's loop, and the daemon as a process beside it."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import pytest
from daemon import Daemon, beside

from status_watcher.sandbox.server import Sandbox


def pytest_addoption(parser):
    parser.addoption(
        "--golden",
        choices=("check", "write"),
        default="check",
        help="with tests/system/test_captures.py: compare boxes with tests/data/golden, or write them there",
    )


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox() as running:
        yield running


@pytest.fixture
async def make_daemon(tmp_path, sandbox) -> AsyncIterator[Callable[..., Daemon]]:
    """Makes the test's daemon from its settings, not started yet; see `daemon.beside`."""
    async with AsyncExitStack() as stack:

        async def make(**settings: str) -> Daemon:
            return await stack.enter_async_context(beside(sandbox, tmp_path, **settings))

        yield make
