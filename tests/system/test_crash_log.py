"""What the log says of bugs: which session, which error, where; never what the error says of itself."""

import signal

import pytest
from daemon import STOPS_WITHIN_S, Daemon, box_says, boxes, eventually
from gateway import Gateway
from hostile import with_faults

SHOWN_WITHIN_S = 15.0
SECRET = "the agent's own words"

RAISES_WHEN_SIGNALLED = """
import asyncio, signal
from status_watcher import relay, pulse
beat = pulse.Pulse.beat
async def beat_and_listen(self):
    loop, bad = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGUSR1, bad.set)
    loop.add_signal_handler(signal.SIGUSR2, fail, "the agent's own words")
    running = asyncio.create_task(beat(self))
    await bad.wait()
    running.cancel()
    fail("the agent's own words")
def fail(words):
    relay.BoardClock(wall_s=lambda: int(words))
pulse.Pulse.beat = beat_and_listen
"""

LOOKS_FAIL = """
from status_watcher.core import board
look_at, render = board.Board._look_at, board.Board.render
def look_or_fail(self, ref, now_ms):
    session = self._forest.session(ref)
    if session is not None and session.turns and "poison" in session.turns[-1].prompt_text:
        raise LookupError("the agent's own words")
    look_at(self, ref, now_ms)
def render_or_fail(self, box_id):
    box = render(self, box_id)
    if box is not None and "toxic" in box.text:
        raise ArithmeticError("the agent's own words")
    return box
board.Board._look_at, board.Board.render = look_or_fail, render_or_fail
"""


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGUSR2], ids=["task", "callback"])
async def test_bug_that_ends_the_daemon_is_logged_by_its_type_and_place_alone(number, tmp_path, sandbox):
    daemon = Daemon(tmp_path, sandbox, **with_faults(tmp_path, RAISES_WHEN_SIGNALLED))
    try:
        await daemon.start()
        daemon.signal(number)
        assert await daemon.ended(STOPS_WITHIN_S) == 1
    finally:
        await daemon.close()
    content = daemon.log.read_text()
    assert SECRET not in content
    told = [one for line in daemon.lines() for one in line.get("exception", ())]
    (bug,) = [one for one in told if one["exc_type"] == "ValueError"]
    assert bug["frames"][-1].endswith(" __init__")
    assert bug["frames"][-1].startswith("relay.py:")


async def test_bug_that_a_session_or_a_box_meets_is_logged_once_with_its_names(tmp_path, sandbox):
    daemon = Daemon(tmp_path, sandbox, **with_faults(tmp_path, LOOKS_FAIL))
    gateway = Gateway(daemon.openclaw)
    channel = sandbox.store.add_channel("another", members=(sandbox.bot.id,))
    poisoned, other = gateway.session(sandbox.channel.id), gateway.session(channel.id)
    try:
        await daemon.start()
        poisoned.ask("poison")
        for number in range(3):
            poisoned.call("exec", command=f"{number}")
            told = await daemon.healthy_when(
                lambda h, n=number: h.counters["sessions_not_concluded"] > n, SHOWN_WITHIN_S
            )
        assert told.status == "ok"
        call = other.begin()
        await eventually(box_says(sandbox, "ACTIVE", channel_id=channel.id), SHOWN_WITHIN_S)
        other.call("exec", command="toxic")
        await daemon.healthy_when(lambda h: h.counters["boxes_not_rendered"] > 0, SHOWN_WITHIN_S)
        other.finish(call)
        assert await daemon.stop() == 0
    finally:
        await daemon.close()
    assert SECRET not in daemon.log.read_text()
    (concluding,) = daemon.events("session_not_concluded")
    assert (concluding["agent"], concluding["session"]) == ("main", poisoned.id)
    assert concluding["error"] == "LookupError"
    (rendering,) = daemon.events("box_not_rendered")
    assert rendering["box"].startswith(f"main/{other.id}/")
    assert rendering["error"] == "ArithmeticError"
    assert len(boxes(sandbox)) == 1
