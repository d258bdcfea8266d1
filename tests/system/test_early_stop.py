"""P5: a stop that comes while `run` is still being loaded, at moments that the test chooses."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from status_watcher.config import Config

COMMAND = (sys.executable, "-m", "status_watcher")
WITHIN_S = 30.0
NUMBERS = (signal.SIGTERM, signal.SIGINT)
SHADOW = """
import sys
open({gate!r}).read()
sys.path.remove({here!r})
del sys.modules[__name__]
import {name}
"""
"""In the place of a module: nothing goes on until the test has opened the gate and closed it again."""


class Place:
    """What a daemon needs, below a directory; its modules can be made to wait."""

    def __init__(self, root: Path) -> None:
        ours = {field.upper() for field in Config.model_fields}
        self.root = root
        self.state_dir = root / "state"
        self.pid_file = root / "watcher.pid"
        self.gate = root / "gate"
        os.mkfifo(self.gate)
        self.env = {name: value for name, value in os.environ.items() if name not in ours} | {
            "HOME": str(root),
            "MM_TOKEN": "x5tqf1yz9byqwehx8jmsk4rggo",
            "MM_URL": "http://127.0.0.1:9",
            "OPENCLAW_STATE_DIR": str(root / "openclaw"),
            "STATE_DIR": str(self.state_dir),
            "PID_FILE": str(self.pid_file),
            "HEALTH_PORT": "0",
        }

    def hold(self, module: str) -> None:
        """Whoever loads this module waits at the gate."""
        here = self.root / "modules"
        here.mkdir()
        text = SHADOW.format(gate=str(self.gate), here=str(here), name=module)
        (here / f"{module}.py").write_text(text)
        self.env["PYTHONPATH"] = os.pathsep.join([str(here), *filter(None, [self.env.get("PYTHONPATH")])])

    @contextlib.contextmanager
    def run(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        with subprocess.Popen(
            [*COMMAND, *arguments],
            env=self.env,
            cwd=self.root,
            stderr=subprocess.PIPE,
            text=True,
            # A shell's background job ignores SIGINT, and so does all that it starts.
            preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - no threads here
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    @contextlib.contextmanager
    def at_the_gate(self) -> Iterator[int]:
        """Begins when somebody waits there, who goes on when it ends."""
        gate = os.open(self.gate, os.O_WRONLY)
        try:
            yield gate
        finally:
            os.close(gate)


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("module", ["click", "pydantic", "structlog", "aiohttp"])
def test_P5_a_signal_while_modules_are_loaded_ends_run_with_code_0_and_leaves_nothing(place, module, number):
    place.hold(module)
    with place.run("run") as process:
        with place.at_the_gate():
            process.send_signal(number)
        _, errors = process.communicate(timeout=WITHIN_S)
    assert (process.returncode, errors) == (0, "")
    assert {path.name for path in place.root.iterdir()} == {"gate", "modules"}


@pytest.mark.parametrize("number", NUMBERS)
def test_P5_a_signal_while_a_file_of_settings_hangs_ends_run(place, number):
    place.env["POLICY_FILE"] = str(place.gate)
    with place.run("run") as process, place.at_the_gate():
        process.send_signal(number)
        assert process.wait(WITHIN_S) == 0  # the gate is still shut
    assert not place.state_dir.exists()


def test_P5_a_second_signal_while_modules_are_loaded_ends_run_at_once(place):
    place.hold("click")
    with place.run("run") as process, place.at_the_gate():
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGINT)
        assert process.wait(WITHIN_S) == 0  # the gate is still shut


def test_P5_a_signal_after_loading_and_before_the_daemon_listens_ends_it_in_order(place):
    place.env["TOOL_LABELS_FILE"] = str(place.gate)
    with place.run("run") as process:
        with place.at_the_gate() as gate:  # as a setting it is read once before
            os.write(gate, b"{}")
        wait_for(process, (place.state_dir / "lock").exists, "it has the lock")
        with place.at_the_gate() as gate:
            process.send_signal(signal.SIGTERM)
            os.write(gate, b"{}")
        _, errors = process.communicate(timeout=WITHIN_S)
    assert process.returncode == 0, errors
    assert '"event":"stopped"' in errors
    assert not place.pid_file.exists()


def test_P5_a_signal_at_any_moment_of_the_start_ends_run_with_code_0(place):
    codes = {}
    for tenths in range(12):
        with place.run("run") as process:
            wait_for(process, partial(is_heard, process), "SIGTERM is heard")
            time.sleep(tenths / 10)  # the moment, which is what is tried
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=WITHIN_S)
            codes[tenths] = process.returncode
            assert not place.pid_file.exists()
    assert codes == dict.fromkeys(range(12), 0)


@pytest.mark.parametrize("number", NUMBERS)
def test_other_commands_end_by_a_signal_as_any_command_does(place, number):
    place.hold("click")
    with place.run("status") as process, place.at_the_gate():
        process.send_signal(number)
        assert process.wait(WITHIN_S) == -number


def test_start_fails_when_its_daemon_is_stopped_before_it_is_ready(place):
    place.hold("structlog")
    with place.run("start") as process:
        with place.at_the_gate():
            (daemon,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            os.kill(int(daemon), signal.SIGTERM)
        _, errors = process.communicate(timeout=WITHIN_S)
    assert process.returncode == 1
    assert "did not start (exit code 0)" in errors


def is_heard(process: subprocess.Popen[str]) -> bool:
    """Whether SIGTERM is not fatal any more, as far as that can be seen from outside."""
    caught = re.search(r"SigCgt:\s*(\w+)", Path(f"/proc/{process.pid}/status").read_text())
    return caught is not None and bool(int(caught[1], 16) >> (signal.SIGTERM - 1) & 1)


def wait_for(process: subprocess.Popen[str], condition: Callable[[], bool], what: str) -> None:
    deadline_s = time.monotonic() + WITHIN_S
    while not condition():
        assert process.poll() is None, f"ended with {process.returncode}, before {what}"
        assert time.monotonic() < deadline_s, f"not in time: {what}"
        time.sleep(0.001)
