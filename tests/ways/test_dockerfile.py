"""deploy/Dockerfile, step by step in bare directories: no container engine is needed, and none is proven."""

import http.server
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import bare_image
import pytest

from status_watcher import __version__

REPO = Path(__file__).parents[2]
DOCKERFILE = REPO / "deploy" / "Dockerfile"
STRANGER = 12345

# The first of these waits for the build, which fetches the dependencies.
pytestmark = pytest.mark.timeout(300)


def as_stranger() -> dict[str, object]:
    """How to run a process under a uid that no account has; without root our own must do."""
    if os.getuid() != 0:
        return {}
    return {"user": STRANGER, "group": STRANGER, "extra_groups": []}


def files_of_the_clone() -> list[str]:
    """What a clone of the working tree would hold: tracked files, and new ones that are not ignored."""
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPO,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode != 0:
        pytest.skip("not a git checkout: what the build would be given is not known")
    return sorted(name for name in set(listed.stdout.split("\0")) if name and (REPO / name).is_file())


def interpreter_for_a_stranger() -> str:
    """A Python ≥ 3.11 that another uid may execute: root's own often lies in root's home."""
    names = ("python3.13", "python3.12", "python3.11", "python3.14", "python3")
    candidates = [sys._base_executable, *filter(None, map(shutil.which, names)), "/usr/bin/python3"]
    for candidate in candidates:
        probe = [candidate, "-c", "import venv, sys; sys.exit(sys.version_info < (3, 11))"]
        try:
            if (
                subprocess.run(
                    probe, env={}, cwd="/", capture_output=True, check=False, **as_stranger()
                ).returncode
                == 0
            ):
                return candidate
        except PermissionError:
            continue
    pytest.skip("no Python >= 3.11 here that another user may run")


@pytest.fixture(scope="session")
def image():
    # Not tmp_path: that is closed to other users.
    with tempfile.TemporaryDirectory(prefix="status-watcher-image-") as scratch:
        root = Path(scratch)
        root.chmod(0o755)
        python = root / "python" / "bin" / "python"
        make = [interpreter_for_a_stranger(), "-m", "venv", "--without-pip", str(python.parent.parent)]
        subprocess.run(make, check=True, umask=0o022)
        give_pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "pip"]
        subprocess.run(give_pip, check=True, umask=0o022)
        built = bare_image.build(DOCKERFILE.read_text(), files_of_the_clone(), REPO, python, root)
        Path(built.below("/openclaw/agents/main/sessions")).mkdir(parents=True)
        yield built


def environment(image: bare_image.Image, **settings: str) -> dict[str, str]:
    """The image's own and the operator's: no HOME, no USER, nothing of this machine."""
    return {**image.env, **settings}


def run_in(image: bare_image.Image, command: list[str], **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        image.argv(command),
        env=environment(image, **settings),
        cwd="/",
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        **as_stranger(),
    )


@pytest.fixture
def health_server():
    """A real HTTP server on loopback; set `status` to say how it answers /health."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(self.server.status if self.path == "/health" else 404)
            self.end_headers()
            self.wfile.write(b'{"status": "x"}')

        def log_message(self, *_args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


# What the file says


def test_final_stage_is_run_by_nobody_in_particular(image):
    assert image.entrypoint == ["status-watcher"]
    assert image.command == ["run"]
    assert image.user.split(":")[0] not in ("root", "0")
    assert image.env["STATE_DIR"] in image.volumes


def test_nothing_of_the_build_stays_in_the_image(image):
    assert sorted(path.name for path in image.root.iterdir()) == ["openclaw", "opt", "var"]
    installed = run_in(
        image,
        ["python", "-c", "import importlib.util as u; print(u.find_spec('pip'), u.find_spec('pytest'))"],
    )
    assert installed.stdout.split() == ["None", "None"]


# The command


def test_image_runs_the_installed_version_as_an_arbitrary_uid(image):
    ran = run_in(image, [*image.entrypoint, "--version"])
    assert ran.returncode == 0, ran.stderr
    assert __version__ in ran.stdout


def test_labels_travel_inside_the_wheel(image):
    read = "(importlib.resources.files('status_watcher') / 'tool_labels.json').read_text()"
    shipped = run_in(image, ["python", "-c", f"import importlib.resources; print({read})"]).stdout
    assert shipped.strip() == (REPO / "tool_labels.json").read_text().strip()


def test_image_without_settings_ends_with_78_and_names_them(image):
    ran = run_in(image, [*image.entrypoint, *image.command])
    assert ran.returncode == 78, ran.stderr
    assert "MM_URL" in ran.stderr
    assert "MM_TOKEN" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_image_is_healthy_without_mattermost_and_stops_on_sigterm(image):
    """Mattermost away is degraded, which must not make a supervisor restart us."""
    settings = {
        "MM_URL": "http://127.0.0.1:9",
        "MM_TOKEN": "t" * 26,
        "HEALTH_PORT": str(free_port()),
    }
    daemon = subprocess.Popen(
        image.argv([*image.entrypoint, *image.command]),
        env=environment(image, **settings),
        cwd="/",
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        **as_stranger(),
    )
    try:
        deadline = time.monotonic() + 20
        while (seen := run_in(image, image.healthcheck, **settings)).returncode != 0:
            assert daemon.poll() is None, daemon.stderr.read()
            assert time.monotonic() < deadline, seen.stdout + seen.stderr
            time.sleep(0.1)
        daemon.send_signal(signal.SIGTERM)
        _, log = daemon.communicate(timeout=12)
        assert daemon.returncode == 0, log
    finally:
        daemon.kill()
        daemon.communicate()


# The health check


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1), (404, 1), (302, 1)])
def test_healthcheck_follows_the_status_of_the_answer(image, health_server, status, code):
    health_server.status = status
    ran = run_in(image, image.healthcheck, HEALTH_PORT=str(health_server.server_port))
    assert ran.returncode == code, ran.stderr
    assert ran.stderr == ""


@pytest.mark.parametrize("host", ["0.0.0.0", "127.0.0.1", ""])
def test_healthcheck_asks_where_the_daemon_listens(image, health_server, host):
    health_server.status = 200
    settings = {"HEALTH_PORT": str(health_server.server_port), "HEALTH_HOST": host}
    assert run_in(image, image.healthcheck, **settings).returncode == 0


def test_healthcheck_fails_when_nobody_listens(image):
    ran = run_in(image, image.healthcheck, HEALTH_PORT=str(free_port()))
    assert ran.returncode == 1
    assert ran.stderr == ""


def test_healthcheck_goes_past_any_proxy(image, health_server):
    health_server.status = 200
    settings = {"HEALTH_PORT": str(health_server.server_port), "http_proxy": "http://127.0.0.1:9"}
    assert run_in(image, image.healthcheck, **settings).returncode == 0


def test_healthcheck_of_an_endpoint_that_is_off_has_nothing_to_complain_about(image):
    assert run_in(image, image.healthcheck, HEALTH_PORT="0").returncode == 0
