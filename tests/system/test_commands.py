"""The commands as they are typed: real processes, real signals (faults P1, P2, P5, P6, P8, P9)."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import orjson
import pytest

from status_watcher.config import Config
from status_watcher.edge import background
from status_watcher.edge.lock import Holder, LockRecord, holder

TOKEN = "x5tqf1yz9byqwehx8jmsk4rggo"
COMMAND = [sys.executable, "-m", "status_watcher"]
TIMEOUT_S = 30


def eventually(condition: Callable[[], object], timeout_s: float = TIMEOUT_S):
    deadline_s = time.monotonic() + timeout_s
    while not (found := condition()):
        assert time.monotonic() < deadline_s, "condition did not come true"
        time.sleep(0.02)
    return found


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class Place:
    """A directory with everything a daemon needs, and the commands run in it."""

    def __init__(self, root: Path, env: Mapping[str, str]) -> None:
        self.root = root
        self.state_dir = root / "state"
        self.env = dict(env)

    def command(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *arguments],
            env=self.env | env,
            cwd=self.root,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )

    def shell(self, script: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", "-c", script, "sh", *COMMAND],
            env=self.env,
            cwd=self.root,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )

    def foreground(self, **kwargs) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*COMMAND, "run"],
            env=self.env,
            cwd=self.root,
            text=True,
            **({"stderr": subprocess.PIPE} | kwargs),
        )

    def record(self) -> LockRecord | None:
        found = holder(self.state_dir)
        return found.record if isinstance(found, Holder) else None

    def ready_record(self) -> LockRecord | None:
        record = self.record()
        return record if record and record.ready else None

    def started(self, **env: str) -> int:
        result = self.command("start", **env)
        assert result.returncode == 0, result
        return int(result.stdout)

    def log(self) -> list[dict]:
        return [orjson.loads(line) for line in (self.state_dir / "daemon.log").read_bytes().splitlines()]


@pytest.fixture
def place(tmp_path):
    ours = {field.upper() for field in Config.model_fields}
    env = {name: value for name, value in os.environ.items() if name not in ours}
    place = Place(
        tmp_path,
        env
        | {
            "HOME": str(tmp_path),
            "MM_TOKEN": TOKEN,
            "MM_URL": f"http://127.0.0.1:{free_port()}",  # nobody there: the commands must not need a server
            "OPENCLAW_STATE_DIR": str(tmp_path / "openclaw"),
            "STATE_DIR": str(tmp_path / "state"),
            "PID_FILE": str(tmp_path / "watcher.pid"),
            "HEALTH_PORT": str(free_port()),
        },
    )
    (tmp_path / "openclaw" / "agents" / "main" / "sessions").mkdir(parents=True)
    yield place
    if record := place.record():
        os.kill(record.pid, signal.SIGKILL)
        eventually(lambda: place.record() is None)


def test_start_status_stop(place):
    started = place.command("start")
    assert started.returncode == 0, started
    pid = int(started.stdout)
    # Ready means ready: nothing is waited for here.
    health = background.ask_health("127.0.0.1", int(place.env["HEALTH_PORT"]))
    assert health is not None
    assert health.pid == pid
    assert (place.root / "watcher.pid").read_text() == f"{pid}\n"

    words = place.command("status")
    assert words.returncode == 0
    assert f"running (PID {pid})" in words.stdout
    assert "\n0 posts and 0 edits written (0.0 kB), 0 edits saved (0.0 kB)\n" in words.stdout
    document = json.loads(place.command("status", "--json").stdout)
    assert list(document) == ["running", "pid", "uptime_s", "sessions", "circuit"]
    assert (document["running"], document["pid"]) == (True, pid)
    assert document["sessions"] == {"active": 0, "tracked": 0, "waiting": 0}
    assert set(document["circuit"]) == {"state", "failures"}
    assert 0 <= document["uptime_s"] < TIMEOUT_S

    stopped = place.command("stop")
    assert (stopped.returncode, stopped.stdout) == (0, f"stopped (PID {pid})\n")
    assert not alive(pid)
    assert not (place.root / "watcher.pid").exists()


def test_what_does_not_run_is_exit_code_3(place):
    words = place.command("status")
    assert (words.returncode, words.stdout) == (3, "not running\n")
    document = place.command("status", "--json")
    assert document.returncode == 3
    assert json.loads(document.stdout) == {
        "running": False,
        "pid": None,
        "uptime_s": None,
        "sessions": None,
        "circuit": None,
    }
    stopped = place.command("stop")
    assert stopped.returncode == 3
    assert "not running" in stopped.stderr
    assert not place.state_dir.exists()


def test_status_and_stop_need_no_other_setting_than_the_state_directory(place):
    pid = place.started()
    bare = {"MM_TOKEN": "", "MM_URL": "", "HEALTH_PORT": "nonsense"}
    assert place.command("status", **bare).returncode == 0
    assert place.command("stop", **bare).returncode == 0
    assert not alive(pid)


def test_what_runs_already_is_exit_code_3_and_stays(place):
    pid = place.started()
    for command in ("start", "run"):
        second = place.command(command)
        assert second.returncode == 3, second
        assert f"already running (PID {pid})" in second.stderr
    assert alive(pid)
    assert place.record() is not None


def test_without_health_a_daemon_starts_and_its_age_is_still_known(place):
    pid = place.started(HEALTH_PORT="0")
    document = json.loads(place.command("status", "--json").stdout)
    assert (document["running"], document["pid"], document["sessions"]) == (True, pid, None)
    assert document["uptime_s"] >= 0
    assert f"running (PID {pid})" in place.command("status").stdout
    assert place.command("stop").returncode == 0


def test_a_daemon_that_does_not_answer_is_running_all_the_same(place):
    pid = place.started()
    os.kill(pid, signal.SIGSTOP)
    try:
        document = place.command("status", "--json")
        assert document.returncode == 0
        assert json.loads(document.stdout)["sessions"] is None
        assert "does not answer" in place.command("status").stdout
    finally:
        os.kill(pid, signal.SIGCONT)


def test_the_daemon_keeps_nothing_of_its_caller(place):
    reader, writer = os.pipe()
    started = subprocess.run(
        [*COMMAND, "start"],
        env=place.env,
        cwd=place.root,
        stdin=subprocess.PIPE,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=True,
        pass_fds=(writer,),
    )
    os.close(writer)
    pid = int(started.stdout)
    assert os.read(reader, 1) == b""  # nobody holds the other end any more
    os.close(reader)
    assert os.getsid(pid) == pid
    process = Path(f"/proc/{pid}")
    assert (process / "cwd").readlink() == Path("/")
    assert (process / "fd" / "0").readlink() == Path("/dev/null")
    for fd in ("1", "2"):
        assert (process / "fd" / fd).readlink() == place.state_dir / "daemon.log"


def test_the_daemon_logs_json_lines_into_a_private_file(place):
    place.started()
    place.command("stop")
    assert stat.S_IMODE((place.state_dir / "daemon.log").stat().st_mode) == 0o600
    lines = place.log()
    assert lines
    assert all({"event", "level", "timestamp"} <= set(line) for line in lines)
    assert TOKEN not in (place.state_dir / "daemon.log").read_text()


def test_relative_paths_mean_the_callers_directory(place):
    place.started(STATE_DIR="./state", PID_FILE="relative.pid")
    assert place.record() is not None
    assert (place.root / "relative.pid").exists()
    assert place.command("status", STATE_DIR="state").returncode == 0
    assert place.command("stop", STATE_DIR="state/../state").returncode == 0


def test_start_works_without_standard_descriptors_and_under_any_umask(place):
    assert place.shell('umask 777; exec "$@" start <&- >&- 2>&-').returncode == 0
    record = eventually(place.ready_record)
    assert stat.S_IMODE(place.state_dir.stat().st_mode) == 0o700
    assert stat.S_IMODE((place.state_dir / "lock").stat().st_mode) == 0o600
    assert place.shell('"$@" stop <&- >&- 2>&-').returncode == 0
    assert not alive(record.pid)


@pytest.mark.parametrize("command", ["status", "status --json", "sessions", "sessions --json"])
def test_output_that_could_not_be_written_is_a_failure_in_one_line(place, command):
    place.started()
    full = place.shell(f'"$@" {command} > /dev/full')
    assert full.returncode == 1
    assert full.stderr == "status-watcher: cannot write to standard output: No space left on device\n"
    reader, writer = os.pipe()
    os.close(reader)
    gone = subprocess.run(
        [*COMMAND, *command.split()],
        env=place.env,
        stdout=writer,
        stderr=subprocess.PIPE,
        timeout=TIMEOUT_S,
        check=False,
    )
    os.close(writer)
    assert (gone.returncode, gone.stderr) == (0, b""), "who has gone is told nothing, as by other tools"


def test_output_that_nobody_reads_is_no_failure(place):
    reader, writer = os.pipe()
    os.close(reader)
    result = subprocess.run(
        [*COMMAND, "start"], env=place.env, stdout=writer, stderr=writer, timeout=TIMEOUT_S, check=False
    )
    os.close(writer)
    assert result.returncode == 0
    assert place.ready_record() is not None


def test_P1_a_stale_pid_file_stops_nobody_and_nobody_is_stopped_by_it(place):
    bystander = subprocess.Popen(["sleep", "300"])
    try:
        (place.root / "watcher.pid").write_text(f"{bystander.pid}\n")
        assert place.command("stop").returncode == 3
        pid = place.started()
        (place.root / "watcher.pid").write_text(f"{bystander.pid}\n")
        assert place.command("stop").returncode == 0
        assert not alive(pid)
        assert (place.root / "watcher.pid").read_text() == f"{bystander.pid}\n"
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_P2_of_twenty_at_once_exactly_one_runs(place):
    processes = [place.foreground(stderr=subprocess.DEVNULL) for _ in range(20)]
    try:
        record = eventually(place.ready_record)
        others = [process for process in processes if process.pid != record.pid]
        assert len(others) == 19
        assert {process.wait(TIMEOUT_S) for process in others} == {3}
        (running,) = [process for process in processes if process.pid == record.pid]
        assert running.poll() is None
        running.send_signal(signal.SIGTERM)
        assert running.wait(TIMEOUT_S) == 0
    finally:
        for process in processes:
            process.kill()
            process.wait()


def test_of_two_starts_at_once_one_says_it_runs_already(place):
    starts = [
        subprocess.Popen(
            [*COMMAND, "start"], env=place.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    outputs = [start.communicate(timeout=TIMEOUT_S) for start in starts]
    assert sorted(start.returncode for start in starts) == [0, 3], outputs
    (pid,) = [int(out) for (out, _), start in zip(outputs, starts, strict=True) if start.returncode == 0]
    record = place.ready_record()
    assert record is not None
    assert record.pid == pid


def test_after_kill_9_it_simply_starts_again(place):
    first = place.started()
    os.kill(first, signal.SIGKILL)
    eventually(lambda: not alive(first))
    assert place.command("status").returncode == 3
    second = place.started()
    assert second != first


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_P5_a_signal_ends_the_foreground_daemon_with_code_0(place, number):
    process = place.foreground()
    eventually(place.ready_record)
    began_s = time.monotonic()
    process.send_signal(number)
    _, errors = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0, errors
    assert time.monotonic() - began_s < 10
    assert place.record() is None
    assert not (place.root / "watcher.pid").exists()
    assert all(orjson.loads(line) for line in errors.splitlines())


def test_P6_the_daemon_survives_the_end_of_its_reader(place):
    process = place.foreground()
    process.stderr.close()
    record = eventually(place.ready_record)
    assert background.ask_health("127.0.0.1", record.port) is not None
    process.send_signal(signal.SIGTERM)
    assert process.wait(TIMEOUT_S) == 0


def test_P6_without_standard_descriptors_no_log_line_goes_astray(place):
    process = subprocess.Popen(
        ["sh", "-c", 'exec "$@" run <&- >&- 2>&-', "sh", *COMMAND], env=place.env, cwd=place.root
    )
    record = eventually(place.ready_record)
    assert record.pid == process.pid
    for fd in ("0", "1", "2"):
        assert Path(f"/proc/{record.pid}/fd/{fd}").readlink() == Path("/dev/null")
    process.send_signal(signal.SIGTERM)
    assert process.wait(TIMEOUT_S) == 0
    assert b'"event"' not in (place.state_dir / "lock").read_bytes()


@pytest.mark.parametrize("command", ["start", "run"])
def test_P8_a_taken_health_port_is_exit_code_1_and_named(place, command):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        result = place.command(command, HEALTH_PORT=str(port))
    assert result.returncode == 1, result
    assert str(port) in result.stderr
    assert "in use" in result.stderr
    assert "Traceback" not in result.stderr
    assert place.record() is None
    assert not (place.root / "watcher.pid").exists()


@pytest.mark.parametrize("command", ["start", "run"])
def test_P9_all_configuration_errors_at_once_without_a_value(place, command):
    secret = "not-to-be-seen"
    result = place.command(
        command,
        MM_TOKEN=f"{secret} {secret}",
        MM_URL=f"http://u:{secret}@h",
        THROTTLE_MS=secret,
        LOG_LEVEL=secret,
    )
    assert (result.returncode, result.stdout) == (78, "")
    lines = result.stderr.splitlines()
    for line, variable in zip(lines, ("MM_TOKEN", "MM_URL", "THROTTLE_MS", "LOG_LEVEL"), strict=True):
        assert f"{variable}: " in line
    assert secret not in result.stderr
    assert not place.state_dir.exists()


@pytest.mark.parametrize("command", ["start", "run"])
def test_an_unusable_state_directory_is_exit_code_78_and_named(place, command):
    (place.root / "file").write_text("")
    result = place.command(command, STATE_DIR=str(place.root / "file" / "state"))
    assert result.returncode == 78, result
    assert str(place.root / "file") in result.stderr
    assert "Traceback" not in result.stderr


def test_a_pid_file_that_cannot_be_written_is_a_warning(place):
    place.started(PID_FILE="/proc/nowhere/x.pid")
    assert any(line["level"] == "warning" and "/proc/nowhere/x.pid" in str(line) for line in place.log())


@pytest.mark.parametrize(
    "arguments", [("bogus",), ("start", "--bogus"), ("status", "extra"), ("demo", "--port", "x")]
)
def test_a_usage_error_is_exit_code_2(place, arguments):
    assert place.command(*arguments).returncode == 2


@pytest.mark.parametrize("option", ["-h", "--help", "--version"])
def test_help_and_version_need_no_settings(place, option):
    result = place.command(option, MM_TOKEN="", MM_URL="")
    assert result.returncode == 0
    assert "status-watcher" in result.stdout


def run_in_background(tmp_path: Path, program: str, timeout_s: float = TIMEOUT_S):
    ready = tmp_path / "ready"
    return background.start(
        [sys.executable, "-c", program, str(ready)],
        dict(os.environ),
        tmp_path / "output",
        lambda pid: ready.exists() and ready.read_text() == str(pid),
        timeout_s,
    )


def test_a_process_that_ends_before_it_is_ready_has_its_errors_told(tmp_path):
    (tmp_path / "output").write_text('{"event":"of_another_run","level":"error"}\n')
    program = """if True:
        import sys
        print('{"event":"state_unusable","level":"error","reason":"full","timestamp":"t"}', file=sys.stderr)
        print('{"event":"harmless","level":"info"}', file=sys.stderr)
        print("Traceback of something", file=sys.stderr)
        sys.exit(78)
    """
    outcome = run_in_background(tmp_path, program)
    assert outcome == background.Exited(78, ("state_unusable: reason=full", "Traceback of something"))


def test_a_process_killed_by_a_signal_has_the_shells_exit_code(tmp_path):
    outcome = run_in_background(tmp_path, "import os; os.kill(os.getpid(), 9)")
    assert outcome == background.Exited(137, ())


def test_a_process_that_is_not_ready_in_time_is_ended(tmp_path):
    program = """if True:
        import os, pathlib, signal, sys
        pathlib.Path(sys.argv[1] + ".pid").write_text(str(os.getpid()))
        signal.pause()
    """
    assert run_in_background(tmp_path, program, timeout_s=1) == background.TooSlow(())
    assert not alive(int((tmp_path / "ready.pid").read_text()))


def test_a_command_that_is_not_there_is_a_returned_reason(tmp_path):
    outcome = background.start(["/no/such/python"], {}, tmp_path / "output", lambda _: False, 1)
    assert isinstance(outcome, background.CannotSpawn)


def test_a_process_that_is_not_the_daemon_any_more_gets_no_signal():
    bystander = subprocess.Popen(["sleep", "300"])
    try:
        assert background.end(bystander.pid, lambda: False, TIMEOUT_S) is None
        assert bystander.poll() is None
        assert background.end(bystander.pid, lambda: True, TIMEOUT_S) is None
        assert bystander.wait(TIMEOUT_S) == -signal.SIGTERM
    finally:
        bystander.kill()
        bystander.wait()
