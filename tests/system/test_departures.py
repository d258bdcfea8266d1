"""Sessions that are put away or replaced while they work, as processes: their boxes end, at the right age."""

import re
import uuid

import pytest
from daemon import Daemon, boxes, eventually
from gateway import Gateway

SHOWN_WITHIN_S = 15.0


@pytest.fixture
async def daemon(make_daemon) -> Daemon:
    return await make_daemon()


@pytest.fixture
def gateway(daemon) -> Gateway:
    return Gateway(daemon.openclaw)


@pytest.fixture
def session(gateway, sandbox):
    return gateway.session(sandbox.channel.id)


def box_says(sandbox, word: str, part: str):
    """Of several boxes in the channel, the one that says so."""
    return lambda: next(
        (b for b in boxes(sandbox) if b.message.startswith(f"[{word}]") and part in b.message), None
    )


def ended_after_s(text: str) -> int:
    found = re.match(r"\[INTERRUPTED\] \S+ \| (\d+)s\n", text)
    assert found is not None, text
    return int(found[1])


async def at_work(daemon, session, sandbox, command: str) -> None:
    """Until the daemon has seen it for the age that must not be lost."""
    session.begin(command=command)
    await eventually(box_says(sandbox, "ACTIVE", command), SHOWN_WITHIN_S)
    await daemon.sessions_when(lambda rows: any(row["age_s"] >= 3 for row in rows), SHOWN_WITHIN_S)


@pytest.mark.long  # 10 s of waiting; the board's tests of it are in every run
@pytest.mark.parametrize("how", ["reset", "deleted", "missing"])
async def test_transcript_that_goes_ends_its_turn_though_its_entry_stays(daemon, session, sandbox, how):
    await daemon.start()
    await at_work(daemon, session, sandbox, "put away")
    if how == "missing":
        session.path.unlink()
    else:
        session.path.rename(session.path.with_name(f"{session.path.name}.{how}.2026-11-20T15-13-31.330Z"))
    ended = await eventually(box_says(sandbox, "INTERRUPTED", "put away"), 20)
    assert 2 <= ended_after_s(ended.message) <= 12


async def test_key_that_is_given_to_another_session_ends_the_turn_of_the_one_before(
    daemon, gateway, session, sandbox
):
    await daemon.start()
    await at_work(daemon, session, sandbox, "the first one's")
    gateway.session(sandbox.channel.id).begin(command="the second one's")
    ended = await eventually(box_says(sandbox, "INTERRUPTED", "the first one's"), SHOWN_WITHIN_S)
    assert 2 <= ended_after_s(ended.message) <= 12
    await eventually(box_says(sandbox, "ACTIVE", "the second one's"), SHOWN_WITHIN_S)


async def test_session_that_takes_the_file_of_another_in_place_has_its_box_where_that_one_had(
    daemon, session, sandbox
):
    await daemon.start()
    await at_work(daemon, session, sandbox, "the first one's")
    session.id = str(uuid.uuid4())
    session.path.unlink()
    session.ask("Something else")
    session.call("exec", command="the second one's")
    await eventually(box_says(sandbox, "ACTIVE", "the second one's"), SHOWN_WITHIN_S)
    ended = await eventually(box_says(sandbox, "INTERRUPTED", "the first one's"), SHOWN_WITHIN_S)
    assert 2 <= ended_after_s(ended.message) <= 12
    assert len(boxes(sandbox, sandbox.channel.id)) == 2
