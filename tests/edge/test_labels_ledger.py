"""A dispatcher's ledger on a real disk, read again while we run."""

import asyncio
import json
import os

import pytest
import structlog

from status_watcher.edge import labels_ledger
from status_watcher.edge.labels_ledger import MAX_BYTES, watch_labels


@pytest.fixture
async def told(tmp_path, monkeypatch):
    queue = asyncio.Queue()
    looks, look = [], labels_ledger._look

    def counted_look(*arguments):
        looks.append(arguments)
        return look(*arguments)

    monkeypatch.setattr(labels_ledger, "_look", counted_look)
    watching = asyncio.create_task(watch_labels(tmp_path / "labels.json", queue.put_nowait, look_s=0.02))

    async def next_one():
        return dict(await asyncio.wait_for(queue.get(), 5))

    async def looked_ten_times_more():
        enough = len(looks) + 11  # the last of which has only begun
        async with asyncio.timeout(10):
            while len(looks) < enough:
                await asyncio.sleep(0.01)

    next_one.queue, next_one.looked_ten_times_more = queue, looked_ten_times_more
    with structlog.testing.capture_logs() as logged:
        next_one.logged = logged
        yield next_one
        watching.cancel()
        with pytest.raises(asyncio.CancelledError):
            await watching


def ledger(**keys):
    return json.dumps({label: {"sessionKey": key, "started": 1} for label, key in keys.items()})


async def until_logged(told, event, reason=None):
    async with asyncio.timeout(5):
        while not any(one["event"] == event and one.get("reason") == reason for one in told.logged):
            await asyncio.sleep(0.01)


async def test_labels_are_told_at_first_and_when_they_change(told, tmp_path):
    path = tmp_path / "labels.json"
    path.write_text(ledger(planner="agent:a"))
    assert await told() == {"agent:a": "planner"}
    (tmp_path / "new").write_text(ledger(planner="agent:a", tester="agent:b"))
    (tmp_path / "new").replace(path)
    assert await told() == {"agent:a": "planner", "agent:b": "tester"}


async def test_ledger_that_is_torn_or_gone_leaves_the_labels_as_they_were(told, tmp_path):
    path = tmp_path / "labels.json"
    path.write_text(ledger(planner="agent:a"))
    await told()
    whole = ledger(planner="agent:a", tester="agent:b")
    path.write_text(whole[:-9])
    await until_logged(told, "labels_ledger", "is not a JSON object, or not just now")
    path.unlink()
    await until_logged(told, "labels_ledger", "is not there or cannot be read")
    assert told.queue.empty()
    path.write_text(whole)
    assert await told() == {"agent:a": "planner", "agent:b": "tester"}
    await until_logged(told, "labels_ledger_readable")


async def test_ledger_may_come_later(told, tmp_path):
    await until_logged(told, "labels_ledger", "is not there or cannot be read")
    (tmp_path / "labels.json").write_text(ledger(planner="agent:a"))
    assert await told() == {"agent:a": "planner"}


async def test_trouble_is_told_once_and_without_what_stands_there(told, tmp_path):
    (tmp_path / "labels.json").write_text('{"secret-label')
    await until_logged(told, "labels_ledger", "is not a JSON object, or not just now")
    await told.looked_ten_times_more()
    said = [one for one in told.logged if one.get("reason") == "is not a JSON object, or not just now"]
    assert len(said) == 1
    assert "secret" not in str(told.logged)


async def test_huge_ledger_is_not_read(told, tmp_path):
    path = tmp_path / "labels.json"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    await until_logged(told, "labels_ledger", "is larger than 4 MiB")
    assert told.queue.empty()


async def test_what_is_no_file_is_not_waited_for(told, tmp_path):
    os.mkfifo(tmp_path / "labels.json")
    await until_logged(told, "labels_ledger", "is no file")


async def test_a_directory_in_the_file_s_place_is_told_and_waited_for(told, tmp_path):
    """What a container makes of a bind mount whose source is missing."""
    path = tmp_path / "labels.json"
    path.mkdir()
    await until_logged(told, "labels_ledger", "is no file")
    path.rmdir()
    path.write_text(ledger(planner="agent:a"))
    assert await told() == {"agent:a": "planner"}
