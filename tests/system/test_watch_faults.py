"""What may keep the daemon from hearing of changes: rows W1 to W11 of the fault matrix, as processes."""

import os
import shutil
import signal
from pathlib import Path

import pytest
from daemon import Daemon, box_says, eventually
from gateway import Gateway
from hostile import cpu_s, descriptors, start_in_namespaces, with_faults

SHOWN_WITHIN_S = 15.0
LONG_AGO = 1_000_000_000


@pytest.fixture
async def daemon(make_daemon) -> Daemon:
    return await make_daemon()


@pytest.fixture
def session(daemon, sandbox):
    return Gateway(daemon.openclaw).session(sandbox.channel.id)


async def test_W1_after_an_overflow_the_box_is_right_within_a_sweep_and_the_overflow_is_counted(
    daemon, session, sandbox
):
    most = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    if most > 20_000:
        pytest.skip(f"the kernel's queue is too long to fill: {most} events")
    await daemon.start()
    call = session.begin()
    await eventually(box_says(sandbox, "ACTIVE"), SHOWN_WITHIN_S)
    daemon.signal(signal.SIGSTOP)
    stat = Path(f"/proc/{daemon.pid}/stat")
    await eventually(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T", SHOWN_WITHIN_S)
    for number in range(most + 100):
        os.close(os.open(f"{daemon.sessions_dir}/x{number}", os.O_CREAT | os.O_WRONLY))
    session.finish(call)
    daemon.signal(signal.SIGCONT)
    await eventually(box_says(sandbox, "DONE", "[OK]"), SHOWN_WITHIN_S)
    await daemon.healthy_when(lambda h: h.counters["watch_overflows"] >= 1, SHOWN_WITHIN_S)


async def follows_twenty_agents_by_polling(daemon, sandbox, problem):
    """At a limit of inotify it starts, says so once, and finds by sweeping what it is not told."""
    agents = [Gateway(daemon.openclaw, f"agent{number}") for number in range(20)]
    await daemon.start()
    answer = await daemon.healthy_when(lambda h: h.document["watch"]["mode"] == "polling", SHOWN_WITHIN_S)
    assert (answer.status, answer.http_status) == ("degraded", 200)
    assert any(problem in line for line in answer.problems)
    talk = agents[-1].session(sandbox.channel.id)
    call = talk.begin()
    await eventually(box_says(sandbox, "ACTIVE"), SHOWN_WITHIN_S)
    talk.finish(call)
    await eventually(box_says(sandbox, "DONE"), SHOWN_WITHIN_S)
    assert [line["level"] for line in daemon.events("following_problem")] == ["warning"]


async def test_W2_at_the_watch_limit_it_starts_warns_once_and_sweeps(daemon, sandbox, tmp_path, monkeypatch):
    start_in_namespaces(monkeypatch, tmp_path, "echo 8 > /proc/sys/user/max_inotify_watches")
    await follows_twenty_agents_by_polling(daemon, sandbox, "watch limit")


async def test_W3_at_the_instance_limit_it_starts_in_polling_mode(daemon, sandbox, tmp_path, monkeypatch):
    start_in_namespaces(monkeypatch, tmp_path, "echo 0 > /proc/sys/user/max_inotify_instances")
    await follows_twenty_agents_by_polling(daemon, sandbox, "instance or descriptor limit")


DEAF_ON_SIGUSR1 = """
import signal
from status_watcher.edge import watch
observers = []
build = watch._Observer.__init__
def remember(self, *arguments):
    build(self, *arguments)
    observers.append(self)
watch._Observer.__init__ = remember
signal.signal(signal.SIGUSR1, lambda *_: [one.stop() for one in observers[:]])
"""


async def test_W5_dead_watcher_is_noticed_in_10_s_degraded_meanwhile_and_built_again(
    make_daemon, sandbox, tmp_path
):
    daemon = await make_daemon(**with_faults(tmp_path, DEAF_ON_SIGUSR1))
    session = Gateway(daemon.openclaw).session(sandbox.channel.id)
    await daemon.start()
    call = session.begin()
    await eventually(box_says(sandbox, "ACTIVE"), SHOWN_WITHIN_S)
    daemon.signal(signal.SIGUSR1)
    answer = await daemon.healthy_when(lambda h: h.status != "ok", 10, "nobody noticed that the watcher died")
    session.result(call)
    await eventually(box_says(sandbox, "ACTIVE", "[OK]"), SHOWN_WITHIN_S)
    answer = await daemon.healthy_when(lambda h: h.status == "ok", 10, "the watcher was not built again")
    assert answer.document["watch"] == {"mode": "inotify", "alive": True}
    restarts = [answer.counters[name] for name in ("watcher_restarts", "database_watcher_restarts")]
    assert restarts == [1, 1], "one for files, one for databases"
    session.answer("Still listening.")
    await eventually(box_says(sandbox, "DONE", "Still listening."), SHOWN_WITHIN_S)


async def test_W7_what_is_written_the_moment_its_directory_is_made_is_found_in_all_of_1000_rounds(daemon):
    """Forty agents at a time: their directories, watched only once they are there, and a line at once."""
    await daemon.start()
    rounds, at_once = 1_000, 40
    for first in range(0, rounds, at_once):
        agents = [daemon.openclaw / f"agents/late{number}" for number in range(first, first + at_once)]
        for agent in agents:
            sessions = agent / "sessions"
            sessions.mkdir(parents=True)
            (sessions / "s.jsonl").write_bytes(b'{"type":"custom","customType":"x","id":"1"}\n')
        await daemon.healthy_when(
            lambda h, written=first + at_once: h.counters["lines"] == written,
            SHOWN_WITHIN_S,
            "a line is missing",
        )
        for agent in agents:
            shutil.rmtree(agent)


async def test_W11_of_ten_thousand_transcripts_only_the_active_cost_anything(daemon, sandbox):
    gateway = Gateway(daemon.openclaw)
    for number in range(10_000):
        descriptor = os.open(f"{daemon.sessions_dir}/{number:05d}.jsonl", os.O_CREAT | os.O_WRONLY)
        os.write(descriptor, b'{"type":"session","version":3,"id":"%05d"}\n' % number)
        os.utime(descriptor, (LONG_AGO, LONG_AGO))
        os.close(descriptor)
    channels = [sandbox.store.add_channel(f"c{n}", members=(sandbox.bot.id,)) for n in range(20)]
    talks = [gateway.session(channel.id) for channel in channels]
    calls = [talk.begin() for talk in talks]
    await daemon.start()
    assert cpu_s(daemon.pid) < 3.0  # so long with nobody else at work
    for channel in channels:
        await eventually(box_says(sandbox, "ACTIVE", channel_id=channel.id), SHOWN_WITHIN_S)
    assert descriptors(daemon.pid) < 100
    for talk, call, channel in zip(talks, calls, channels, strict=True):
        talk.finish(call)
        await eventually(box_says(sandbox, "DONE", channel_id=channel.id), SHOWN_WITHIN_S)
    answer = await daemon.health()
    assert answer is not None
    assert answer.document["sessions"]["tracked"] == len(talks)
    assert answer.counters["lines"] < 20 * len(talks)
