"""One gateway of each release, one after the other; all tests of a release share it."""

import fcntl
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from live.installed import DATABASE, FILES, RegistryUnreachableError, cache, install
from live.model import ScriptedModel
from live.world import World

from status_watcher.sandbox.server import Sandbox

_skipped: list[str] = []
_calls: dict[str, str] = {}


@pytest.fixture(scope="session")
def alone():
    """Holds the cache for this run: its gateways run in it."""
    cache().mkdir(parents=True, exist_ok=True)
    with (cache() / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pytest.fail(f"another live run uses {cache()}", pytrace=False)
        yield


@pytest_asyncio.fixture(
    scope="session", loop_scope="session", params=[FILES, DATABASE], ids=lambda r: r.openclaw
)
async def world(request, alone, tmp_path_factory) -> AsyncIterator[World]:
    """A gateway that runs, with our hook in it."""
    try:
        installed = install(request.param)
    except RegistryUnreachableError as unreachable:
        _skipped.append(f"OpenClaw {request.param.openclaw}: {unreachable}")
        pytest.skip(f"no package registry: {unreachable}")
    root = tmp_path_factory.mktemp(request.param.openclaw)
    async with Sandbox() as sandbox, ScriptedModel() as model:
        world = World(installed, root, sandbox, model)
        try:
            await world.gateway.start()
            await world.healthy()
        except BaseException:
            print(*(f"--- {title}\n{text}" for title, text in world.report()), sep="\n")
            await world.gateway.close()
            raise
        try:
            yield world
        finally:
            _calls[request.param.openclaw] = world.calls_in_brief()
            kept = "\n\n".join(f"== {title}\n{text}" for title, text in world.report(whole=True))
            (root / "report.txt").write_text(kept)
            world.stop_daemon()
            await world.gateway.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    world = getattr(item, "funcargs", {}).get("world")
    if report.failed and isinstance(world, World):
        report.sections += world.report()
    return report


def pytest_terminal_summary(terminalreporter):
    for release, calls in _calls.items():
        terminalreporter.section(f"asked of the sandbox by OpenClaw {release}")
        terminalreporter.line(calls)
    if _skipped:
        terminalreporter.section("LIVE RUN SKIPPED", bold=True, red=True)
        terminalreporter.line(
            "Nothing was proven against these gateways: their packages could not be fetched."
        )
        for reason in dict.fromkeys(_skipped):
            terminalreporter.line(reason)
