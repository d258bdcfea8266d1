"""OpenClaw's configuration on a real disk, read again while we run."""

import asyncio
import json

import pytest

from status_watcher.edge import openclaw_watch
from status_watcher.edge.openclaw_watch import watch_openclaw_config


@pytest.fixture
async def told(tmp_path, monkeypatch):
    queue = asyncio.Queue()
    looks, read = [], openclaw_watch.read_openclaw_config

    def counted_read(*arguments):
        looks.append(arguments)
        return read(*arguments)

    monkeypatch.setattr(openclaw_watch, "read_openclaw_config", counted_read)
    watching = asyncio.create_task(
        watch_openclaw_config(tmp_path / "openclaw.json", tmp_path, {}, queue.put_nowait, look_s=0.02)
    )

    async def next_one():
        return await asyncio.wait_for(queue.get(), 5)

    async def looked_twice_more():
        enough = len(looks) + 3  # the last of which has only begun
        async with asyncio.timeout(5):
            while len(looks) < enough:
                await asyncio.sleep(0.01)

    next_one.queue, next_one.looked_twice_more = queue, looked_twice_more
    yield next_one
    watching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await watching


def agents(**names):
    return json.dumps({"agents": {"list": [{"id": key, "name": name} for key, name in names.items()]}})


async def test_names_are_told_at_first_and_when_they_change(told, tmp_path):
    (tmp_path / "openclaw.json").write_text(agents(main="Ada"))
    assert (await told()).agent_names == {"main": "Ada"}
    (tmp_path / "openclaw.json").write_text(agents(main="Ada", ops="Grace"))
    assert (await told()).agent_names == {"main": "Ada", "ops": "Grace"}


async def test_a_change_in_an_included_file_is_told(told, tmp_path):
    (tmp_path / "agents.json").write_text('{"list": []}')
    (tmp_path / "openclaw.json").write_text('{"agents": {"$include": "agents.json"}}')
    assert (await told()).agent_names == {}
    (tmp_path / "agents.json").write_text('{"list": [{"id": "a", "name": "A"}]}')
    while (config := await told()).agent_names != {"a": "A"}:
        assert config.incomplete, "only a look at the half-written file may come in between"


async def test_a_file_that_is_gone_or_broken_changes_nothing(told, tmp_path):
    path = tmp_path / "openclaw.json"
    path.write_text(agents(main="Ada"))
    await told()
    path.write_text("{")
    await told.looked_twice_more()
    path.unlink()
    await told.looked_twice_more()
    path.write_text(agents(main="Ada"))
    await told.looked_twice_more()
    assert told.queue.empty()
    path.write_text(agents(main="Grace"))
    assert (await told()).agent_names == {"main": "Grace"}
