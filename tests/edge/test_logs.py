"""Log lines: JSON whatever happens, never the token, never in the way (faults P6, P15)."""

import asyncio
import fcntl
import logging
import os
import stat
import subprocess
import sys
import time
import warnings
from pathlib import Path

import orjson
import pytest
import structlog

from status_watcher.edge import logs as logs_module
from status_watcher.edge.logs import configure, safe_dumps

TOKEN = "x5tqf1yz9byqwehx8jmsk4rggo"


@pytest.fixture(autouse=True)
def restored_logging():
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    logging.captureWarnings(capture=False)
    root.setLevel(level)
    for handler in root.handlers[:]:
        if handler not in handlers:
            root.removeHandler(handler)


@pytest.fixture
def written(tmp_path):
    """Configure a log file, run something, and get its lines parsed."""

    def run(act, level="info", secrets=(TOKEN,)):
        path = tmp_path / "daemon.log"
        logging.getLogger().handlers.clear()  # pytest's own, which let a wrong record raise
        logs = configure(level, secrets, path)
        act(structlog.get_logger())
        logs.close()
        content = path.read_bytes()
        return content, [orjson.loads(line) for line in content.splitlines()]

    return run


def test_a_line_is_one_json_object_with_event_level_and_time(written):
    _, (line,) = written(lambda log: log.info("state_changed", box="b\n1"))
    assert (line["event"], line["level"], line["box"]) == ("state_changed", "info", "b\n1")
    assert line["timestamp"].endswith("Z")


def test_levels_below_the_chosen_one_are_left_out(written):
    _, lines = written(lambda log: (log.info("quiet"), log.warning("loud")), level="warning")
    assert [line["event"] for line in lines] == ["loud"]


def test_the_token_is_redacted_wherever_it_stands(written):
    def act(log):
        event = f"event {TOKEN}"
        log.warning(event, direct=TOKEN, nested={"list": [f"a{TOKEN}b"], TOKEN: 1}, raw=TOKEN.encode())
        logging.getLogger("foreign").error("Bearer %s", TOKEN)
        try:
            int(TOKEN)
        except ValueError:
            log.exception("failed")
            logging.getLogger("foreign").exception("failed too")

    content, lines = written(act)
    assert len(lines) == 4
    assert TOKEN.encode() not in content
    assert content.count(b"(redacted)") == 6


def test_what_a_box_would_not_show_is_not_logged_either(written):
    secret = "lampe" + "kobold" + "72"

    def act(log):
        log.warning(
            "failed",
            reason=f"password={secret}",
            nested={"list": [f"https://bob:{secret}@example.com/x"], f"--token {secret}": 1},
            args=("htpasswd", f"mysql -u root -p{secret} shop"),
            thing=Path(f"/srv/api_key={secret}/x"),
            odd=float("nan"),
        )
        logging.getLogger("foreign").error("curl -u bob:%s", secret)
        try:
            int(f"password {secret}")
        except ValueError:
            log.exception("failed")

    content, lines = written(act)
    assert len(lines) == 3
    assert secret.encode() not in content
    assert content.count(b"(redacted)") == 6
    assert lines[0]["event"] == "failed"
    assert lines[0]["args"][1] == "mysql -u root -p(redacted) shop"


@pytest.mark.parametrize(
    "value",
    [
        "agent:main:mattermost:channel:w8bqo5kgn3rk7jzdcyx6s1fthe:thread:k7cpt8ah6bnsdxq4ejr1zwgfyo",
        "agent:main:subagent:3f1b8a52-7f0e-4c5d-8a6e-0b9d3c2f1e44",
        "agent:ops:cron:gitea-status-watcher-17-abc123:run:0b9d3c2f-1e44-4c5d-8a6e-3f1b8a527f0e",
        "agent:main:openresponses-user:token-test",
        "/root/.openclaw/agents/main/sessions/3f1b8a52-7f0e-4c5d-8a6e-0b9d3c2f1e44-topic-12.jsonl",
        "/var/lib/status-watcher/ledger.jsonl.tmp-1732204800-12345",
        "http://127.0.0.1:18789/api/v4/posts/k7cpt8ah6bnsdxq4ejr1zwgfyo/patch",
        "https://chat.example.com/team/pl/w8bqo5kgn3rk7jzdcyx6s1fthe",
        "[Errno 111] Connect call failed ('127.0.0.1', 8065)",
        "Cannot connect to host chat.example.com:443 ssl:default [Name or service not known]",
        "401 Invalid or expired session, please login again. (api.context.session_expired.app_error)",
        "MM_TOKEN_FILE: must be a readable file with one line",
        "anthropic/claude-sonnet-4-5-20250929",
    ],
)
def test_what_operators_look_for_stays_readable(written, value):
    _, (line,) = written(lambda log: log.info("state_changed", value=value, nested=[{value: value}]))
    assert (line["value"], line["nested"]) == (value, [{value: value}])


def test_a_line_nested_beyond_measure_is_none_of_ours(written):
    deep: list[object] = []
    for _ in range(3000):
        deep = [deep]
    _, (line,) = written(lambda log: log.info("x", value=deep))
    assert line["event"] == "unloggable_event"


def test_a_token_that_json_escapes_is_redacted_too(written):
    token = 'quo"te\\back-slash'
    content, (line,) = written(lambda log: log.info("x", value=token), secrets=(token,))
    assert line["value"] == "(redacted)"
    assert b"back-slash" not in content


def test_a_traceback_has_no_local_variables(written):
    def act(log):
        private = "kept-in-a-local"  # noqa: F841 - what must not be printed
        try:
            _ = 1 / 0
        except ZeroDivisionError:
            log.exception("failed")

    content, (line,) = written(act)
    assert line["exception"][0]["exc_type"] == "ZeroDivisionError"
    assert b"kept-in-a-local" not in content


def test_libraries_speak_through_the_same_renderer_from_warning_upwards(written):
    def act(_):
        logging.getLogger("watchdog").debug("each event")
        logging.getLogger("aiohttp.server").warning("odd %s", "request")
        logging.getLogger("asyncio").error("with wrong arguments %d", "x")
        warnings.warn("deprecated thing", DeprecationWarning, stacklevel=1)

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        _, lines = written(act, level="debug")
    assert [line.get("logger") for line in lines] == ["aiohttp.server", "asyncio", "py.warnings"]
    assert lines[0]["event"] == "odd request"
    assert lines[0]["level"] == "warning"


def test_P15_a_file_name_that_is_not_utf8_is_logged(written):
    _, (line,) = written(lambda log: log.info("seen", path=os.fsdecode(b"\xff.jsonl")))
    assert line["path"] == r"\udcff.jsonl"


class _Hostile:
    def __repr__(self):
        raise RuntimeError


@pytest.mark.parametrize(
    "value", [object(), {1: {(1, 2): b"x"}}, 2**70, "\ud83d", _Hostile(), {"deep": float("nan")}]
)
def test_anything_can_be_logged(value):
    assert orjson.loads(safe_dumps({"event": "e", "value": value}).replace(b"NaN", b"null"))["event"]


def test_a_loop_in_the_data_can_be_logged():
    endless = []
    endless.append(endless)
    assert orjson.loads(safe_dumps({"event": "e", "value": endless}))["event"] == "unloggable_event"


def test_the_file_is_private_and_rotated(tmp_path, monkeypatch):
    monkeypatch.setattr(logs_module, "_FILE_MAX_BYTES", 2000)
    path = tmp_path / "daemon.log"
    logs = configure("info", (), path)
    for number in range(200):
        structlog.get_logger().info("line", number=number)
    logs.close()
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["daemon.log", "daemon.log.1", "daemon.log.2", "daemon.log.3"]
    assert all(file.stat().st_size <= 2000 for file in files)
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in files)
    assert orjson.loads(path.read_bytes().splitlines()[-1])["number"] == 199
    assert logs.dropped == 0


def test_a_second_configuration_replaces_the_first(tmp_path):
    first = configure("info", (), tmp_path / "first.log")
    second = configure("info", (), tmp_path / "second.log")
    logging.getLogger("foreign").warning("once")
    structlog.get_logger().info("twice")
    first.close()
    second.close()
    assert (tmp_path / "first.log").read_bytes() == b""
    assert len((tmp_path / "second.log").read_bytes().splitlines()) == 2


LOG_TO_STDERR = """
import sys, time
import structlog
from status_watcher.edge.logs import configure
logs = configure("info", ())
log = structlog.get_logger()
print("ready", flush=True)
sys.stdin.readline()
slowest_s = 0.0
for number in range(int(sys.argv[1])):
    began_s = time.monotonic()
    log.info("line", number=number, filling="x" * 200)
    slowest_s = max(slowest_s, time.monotonic() - began_s)
print(f"{slowest_s:.3f}", flush=True)
sys.stdin.readline()
log.info("last")
began_s = time.monotonic()
logs.close(1.0)
print(f"{logs.dropped} {time.monotonic() - began_s:.3f}", flush=True)
"""


def logger_process(lines, stderr):
    return subprocess.Popen(
        [sys.executable, "-c", LOG_TO_STDERR, str(lines)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
    )


def tell(process, words="\n"):
    process.stdin.write(words)
    process.stdin.flush()


def test_P6_a_reader_who_left_costs_lines_and_nothing_else():
    reader, writer = os.pipe()
    process = logger_process(10, writer)
    os.close(writer)
    process.stdout.readline()
    os.close(reader)
    tell(process)
    process.stdout.readline()
    tell(process)
    dropped, _ = process.stdout.readline().split()
    process.communicate()
    assert int(dropped) >= 10
    assert process.returncode == 0


def test_P6_a_full_pipe_blocks_nobody_and_the_loss_is_counted_and_told():
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    process = logger_process(5000, writer)
    os.close(writer)
    process.stdout.readline()
    tell(process)
    assert float(process.stdout.readline()) < 1.0
    # Somebody reads again: what was kept arrives in order, then how much was lost.
    received = b""
    os.set_blocking(reader, False)
    deadline_s = time.monotonic() + 20
    told = False
    while time.monotonic() < deadline_s:
        try:
            received += os.read(reader, 1 << 16)
        except BlockingIOError:
            if not told and received.count(b"\n") >= 1500:
                told = True
                tell(process)
            time.sleep(0.01)
        if b'"last"' in received:
            break
    dropped, _ = process.stdout.readline().split()
    process.communicate()
    os.close(reader)
    lines = [orjson.loads(line) for line in received.splitlines()]
    numbers = [line["number"] for line in lines if line["event"] == "line"]
    assert numbers == sorted(set(numbers))
    lost = sum(line["count"] for line in lines if line["event"] == "log_lines_lost")
    assert lost == int(dropped) == 5000 - len(numbers) > 0
    assert lines[-1]["event"] == "last"


def test_P6_a_pipe_that_nobody_ever_empties_does_not_hold_the_end():
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    process = logger_process(5000, writer)
    os.close(writer)
    process.stdout.readline()
    tell(process)
    process.stdout.readline()
    tell(process)
    dropped, closing_s = process.stdout.readline().split()
    process.communicate(timeout=10)
    os.close(reader)
    assert int(dropped) > 0
    assert float(closing_s) < 3
    assert process.returncode == 0


def test_a_descriptor_made_non_blocking_by_its_owner_loses_nothing():
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    process = logger_process(1000, writer)
    os.close(writer)
    process.stdout.readline()
    tell(process, "\n\n")
    with os.fdopen(reader, "rb") as file:
        lines = file.read().splitlines()
    process.communicate()
    assert len(lines) == 1001
    assert all(orjson.loads(line) for line in lines)


async def test_context_bound_in_a_task_is_in_its_lines(tmp_path):
    logs = configure("info", (), tmp_path / "l.log")

    async def session(name):
        structlog.contextvars.bind_contextvars(session=name)
        structlog.get_logger().info("seen")

    async with asyncio.TaskGroup() as group:
        group.create_task(session("a"))
        group.create_task(session("b"))
    logs.close()
    lines = [orjson.loads(line) for line in (tmp_path / "l.log").read_bytes().splitlines()]
    assert {line["session"] for line in lines} == {"a", "b"}
