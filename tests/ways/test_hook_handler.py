"""The gateway hook, run by Node as a gateway would: dynamic import of the file, real-shaped event."""

import asyncio
import json
import re
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from status_watcher.config import load_state_dir
from status_watcher.edge.gateway_notice import DIRECTORY, watch_gateway
from status_watcher.edge.lock import pid_namespace
from status_watcher.environment import with_absolute_paths

REPO = Path(__file__).parents[2]
HOOK = REPO / "hooks" / "status-watcher-hook"
DRIVER = Path(__file__).with_name("drive_hook.mjs")
TOKEN = "tok" + "q7" * 12


def startup(env: object = None, workspace: str = "/nowhere/workspace") -> str:
    """A `gateway:startup` event as 2026.2.26 to 2026.9.6 send it, as a JavaScript expression."""
    entry = {"enabled": True} if env is None else {"enabled": True, "env": env}
    cfg = {"hooks": {"internal": {"enabled": True, "entries": {"status-watcher-hook": entry}}}}
    return (
        '{type: "gateway", action: "startup", sessionKey: "gateway:startup", timestamp: new Date(), '
        f"messages: [], context: {{cfg: {json.dumps(cfg)}, deps: {{}}, "
        f"workspaceDir: {json.dumps(workspace)}}}}}"
    )


@dataclass(frozen=True, slots=True)
class Driven:
    threw: int
    slowest_ms: float
    output: str

    @property
    def warnings(self) -> list[str]:
        return [line for line in self.output.splitlines() if line.startswith("status-watcher-hook:")]


@pytest.fixture
def gateway(node, tmp_path):
    """Runs the handler in a Node process with just the given environment, and nobody's home; it must end by
    itself.
    """
    home = tmp_path / "gateway"
    home.mkdir()

    def drive(
        event: str, *, handler: Path = HOOK / "handler.js", env=None, calls=1, until_ended: Path | None = None
    ):
        arguments = [node, str(DRIVER), str(handler), event, str(calls)]
        if until_ended is not None:
            arguments.append(str(until_ended))
        ran = subprocess.run(
            arguments,
            env={"HOME": str(tmp_path / "nobody")} | (env or {}),
            cwd=home,
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        report = json.loads(ran.stdout.splitlines()[-1])
        assert report["threw"] == 0, ran.stderr
        assert set(report["answers"]) == {"undefined"}
        return Driven(report["threw"], report["slowest_ms"], ran.stdout + ran.stderr)

    return drive


def state_dir_with_hook(root: Path) -> tuple[Path, Path]:
    """A state directory as a fresh gateway leaves it, the hook copied into it; and the handler's path."""
    state = root / "state"
    (state / "workspace").mkdir(parents=True)
    (state / "openclaw.json").write_text("{}")
    shutil.copytree(HOOK, state / "hooks" / "status-watcher-hook")
    return state, state / "hooks" / "status-watcher-hook" / "handler.js"


# What the gateway reads


def test_frontmatter_is_the_form_that_every_gateway_was_seen_to_load():
    front = (HOOK / "HOOK.md").read_text().split("---\n")[1]
    fields = dict(line.split(": ", 1) for line in front.strip().splitlines())
    assert fields["name"] == HOOK.name == "status-watcher-hook"
    assert json.loads(fields["description"])
    openclaw = json.loads(fields["metadata"])["openclaw"]
    assert openclaw["events"] == [
        "gateway:startup",
        "gateway:shutdown",
        "session:compact:before",
        "session:compact:after",
    ]
    # A required binary that the gateway's PATH lacks would switch the hook off, STATUS_WATCHER_BIN or not.
    assert "requires" not in openclaw


def test_handler_imports_nothing_but_node_itself():
    imported = re.findall(r'(?:from|import\(?)\s*"([^"]+)"', (HOOK / "handler.js").read_text())
    assert imported
    assert all(name.startswith("node:") for name in imported)
    assert sorted(path.name for path in HOOK.iterdir()) == ["HOOK.md", "handler.js"]


# The start


def test_daemon_is_started_detached_and_outlives_the_gateway(gateway, command):
    command.will("hang")
    driven = gateway(startup(), env={"PATH": str(command.path.parent)})
    assert driven.slowest_ms < 1000
    [start] = command.wait_for_starts(1)
    assert start.argv == ["start"]
    assert start.sid == start.pid
    assert start.stdio == ["/dev/null"] * 3
    assert start.alive()
    assert driven.warnings == []


def test_gateway_does_not_wait_for_a_command_that_hangs(gateway, command):
    command.will("hang")
    driven = gateway(startup(), env={"PATH": str(command.path.parent)}, calls=3)
    assert driven.slowest_ms < 1000
    assert all(start.alive() for start in command.wait_for_starts(3))


def test_second_startup_that_finds_a_running_daemon_says_nothing(gateway, command):
    command.will("3")
    driven = gateway(startup(), env={"PATH": str(command.path.parent)}, calls=2, until_ended=command.records)
    assert len(command.starts()) == 2
    assert driven.warnings == []


@pytest.mark.parametrize("code", [1, 2, 78])
def test_failed_start_is_one_line_with_the_exit_code(gateway, command, code):
    command.will(str(code))
    env = {"PATH": str(command.path.parent), "MM_TOKEN": TOKEN}
    driven = gateway(startup(), env=env, until_ended=command.records)
    [line] = driven.warnings
    assert f"exit code {code}" in line
    assert TOKEN not in driven.output


def test_configured_command_wins_over_the_path(gateway, command, tmp_path):
    decoy = tmp_path / "decoy" / "status-watcher"
    decoy.parent.mkdir()
    decoy.write_text("#!/bin/sh\nexit 99\n")
    decoy.chmod(0o755)
    event = startup({"STATUS_WATCHER_BIN": str(command.path)})
    driven = gateway(event, env={"PATH": str(decoy.parent)}, until_ended=command.records)
    assert len(command.starts()) == 1
    assert driven.warnings == []


def test_path_of_the_entry_wins_over_the_gateways(gateway, command):
    gateway(startup({"PATH": f"relative::{command.path.parent}"}), env={"PATH": "/nowhere"})
    command.wait_for_starts(1)


def test_recorded_command_is_run_with_its_arguments_whatever_the_path_has(gateway, command, tmp_path):
    _, handler = state_dir_with_hook(tmp_path)
    recorded = {"version": "1", "command": [str(command.path), "-P", "-m", "status_watcher"]}
    (handler.parent / "installed.json").write_text(json.dumps(recorded))
    driven = gateway(startup(), handler=handler, env={"PATH": "/nowhere"}, until_ended=command.records)
    [start] = command.starts()
    assert start.argv == ["-P", "-m", "status_watcher", "start"]
    assert driven.warnings == []


def test_configured_command_wins_over_the_recorded_one(gateway, command, tmp_path):
    _, handler = state_dir_with_hook(tmp_path)
    (handler.parent / "installed.json").write_text('{"command": ["/bin/false"]}')
    gateway(startup({"STATUS_WATCHER_BIN": str(command.path)}), handler=handler)
    [start] = command.wait_for_starts(1)
    assert start.argv == ["start"]


@pytest.mark.parametrize(
    "record",
    [
        "",
        "null",
        "[]",
        "{}",
        '{"command": "x"}',
        '{"command": []}',
        '{"command": [7]}',
        '{"command": ["/gone/python", "-m", "x"]}',
        '{"command": ["relative"]}',
    ],
)
def test_unusable_record_leaves_the_path(gateway, command, tmp_path, record):
    _, handler = state_dir_with_hook(tmp_path)
    (handler.parent / "installed.json").write_text(record)
    gateway(startup(), handler=handler, env={"PATH": str(command.path.parent)})
    [start] = command.wait_for_starts(1)
    assert start.argv == ["start"]


# The environment


def test_entry_env_reaches_the_daemon_over_the_gateways_own(gateway, command):
    inherited = {
        "PATH": str(command.path.parent),
        "MM_URL": "http://old.example",
        "MM_TOKEN": TOKEN,
        "LANG": "C",
    }
    configured = {
        "MM_URL": "http://new.example",
        "THROTTLE_MS": 700,
        "FLAG": True,
        "MM_TOKEN": "",
        "POST_TYPE": "",
    }
    gateway(startup(configured), env=inherited)
    [start] = command.wait_for_starts(1)
    assert start.env["MM_URL"] == "http://new.example"
    assert start.env["THROTTLE_MS"] == "700"
    assert start.env["FLAG"] == "true"
    assert start.env["LANG"] == "C"
    assert start.env["MM_TOKEN"] == TOKEN, "an empty string must not replace a value that is set"
    assert start.env["POST_TYPE"] == "", "an empty string is a value where none was set"


def test_entries_that_are_no_environment_are_left_out(gateway, command):
    configured = {
        "A": {"source": "env"},
        "B": ["x"],
        "C": None,
        "D=E": "x",
        "": "x",
        "F": "a\0b",
        "GOOD": "yes",
    }
    driven = gateway(startup(configured), env={"PATH": str(command.path.parent)})
    [start] = command.wait_for_starts(1)
    assert start.env["GOOD"] == "yes"
    assert not {"A", "B", "C", "D", "D=E", "", "F"} & start.env.keys()
    assert driven.warnings == []


def test_state_directory_of_the_gateways_unit_is_not_the_daemons(gateway, command):
    env = {"PATH": str(command.path.parent), "STATE_DIRECTORY": "/var/lib/openclaw"}
    gateway(startup(), env=env)
    [start] = command.wait_for_starts(1)
    assert "STATE_DIRECTORY" not in start.env


# The state directory


def test_state_directory_is_the_one_the_hook_is_installed_in(gateway, command, tmp_path):
    state, handler = state_dir_with_hook(tmp_path)
    gateway(startup(), handler=handler, env={"PATH": str(command.path.parent), "OPENCLAW_STATE_DIR": ""})
    [start] = command.wait_for_starts(1)
    assert start.env["OPENCLAW_STATE_DIR"] == str(state)
    assert start.cwd == str(state)


@pytest.mark.parametrize("inside", ["sessions", "agent"])
def test_state_directory_without_a_configuration_file_is_known_by_its_agents(
    gateway, command, tmp_path, inside
):
    state, handler = state_dir_with_hook(tmp_path)
    (state / "openclaw.json").unlink()
    (state / "agents" / "main" / inside).mkdir(parents=True)
    gateway(startup(), handler=handler, env={"PATH": str(command.path.parent)})
    [start] = command.wait_for_starts(1)
    assert start.env["OPENCLAW_STATE_DIR"] == str(state)


def test_state_directory_is_found_from_the_workspaces_hooks(gateway, command, tmp_path):
    state, _ = state_dir_with_hook(tmp_path)
    (state / "workspace" / "agents").mkdir()  # a workspace may well have a folder of that name
    copy = shutil.copytree(HOOK, state / "workspace" / "hooks" / "status-watcher-hook")
    gateway(startup(), handler=copy / "handler.js", env={"PATH": str(command.path.parent)})
    [start] = command.wait_for_starts(1)
    assert start.env["OPENCLAW_STATE_DIR"] == str(state)


def test_linked_hook_finds_the_state_directory_by_the_gateways_workspace(gateway, command, tmp_path):
    state, handler = state_dir_with_hook(tmp_path)
    shutil.rmtree(handler.parent)
    handler.parent.symlink_to(HOOK)
    event = startup(workspace=str(state / "workspace"))
    gateway(event, handler=handler, env={"PATH": str(command.path.parent)})
    [start] = command.wait_for_starts(1)
    assert start.env["OPENCLAW_STATE_DIR"] == str(state)


def test_state_directory_that_is_set_is_left_alone(gateway, command, tmp_path):
    _, handler = state_dir_with_hook(tmp_path)
    env = {"PATH": str(command.path.parent), "OPENCLAW_STATE_DIR": "/set/by/a/person"}
    gateway(startup(), handler=handler, env=env)
    [start] = command.wait_for_starts(1)
    assert start.env["OPENCLAW_STATE_DIR"] == "/set/by/a/person"
    assert start.cwd == "/"


def test_hook_outside_any_state_directory_guesses_none(gateway, command):
    gateway(startup(), env={"PATH": str(command.path.parent)})
    [start] = command.wait_for_starts(1)
    assert "OPENCLAW_STATE_DIR" not in start.env
    assert start.cwd == "/"


# The note of the gateway

SHUTDOWN = (
    '{type: "gateway", action: "shutdown", sessionKey: "gateway:shutdown", timestamp: new Date(), '
    'messages: [], context: {reason: "gateway stopping", restartExpectedMs: null}}'
)


def one_after_the_other(*events: str) -> str:
    each = ", ".join(f"() => ({event})" for event in events)
    return f"[{each}][globalThis.nth = (globalThis.nth ?? -1) + 1]()"


def compaction(phase: str, key: str = "agent:main:main") -> str:
    """As 2026.7.1 and 2026.9.6 send it."""
    return (
        f'{{type: "session", action: "compact:{phase}", sessionKey: {json.dumps(key)}, '
        'timestamp: new Date(), messages: [], context: {sessionId: "01105dde", missingSessionKey: false, '
        "messageCount: 12}}"
    )


@pytest.fixture
def daemon_dir(tmp_path):
    """A STATE_DIR that a daemon has made."""
    path = tmp_path / "home" / ".local" / "state" / "status-watcher"
    path.mkdir(parents=True)
    return path


def note_path(daemon_dir: Path) -> Path:
    """The only file that the hook has left there."""
    [directory] = [path for path in daemon_dir.iterdir() if path.name != "lock"]
    assert directory.name == DIRECTORY
    [path] = directory.iterdir()
    return path


def note_in(daemon_dir: Path) -> dict:
    return json.loads(note_path(daemon_dir).read_text())


async def word_in(daemon_dir: Path, watched: Path):
    """What the daemon hears there first."""
    heard = asyncio.Queue()
    watching = asyncio.create_task(watch_gateway(daemon_dir, [watched], pid_namespace(), heard.put_nowait))
    try:
        return await asyncio.wait_for(heard.get(), 5)
    finally:
        watching.cancel()


def test_startup_leaves_a_note_of_the_process_that_runs(gateway, tmp_path, daemon_dir):
    state, handler = state_dir_with_hook(tmp_path)
    begun_ms = time.time_ns() // 1_000_000
    driven = gateway(startup(), handler=handler, env={"HOME": str(tmp_path / "home"), "PATH": "/nowhere"})
    assert driven.slowest_ms < 1000
    path = note_path(daemon_dir)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    note = note_in(daemon_dir)
    assert note["state"] == "running"
    assert begun_ms <= note["at_ms"] <= time.time_ns() // 1_000_000
    assert note["pid"] > 1
    assert note["pid_namespace"] == pid_namespace()
    assert note["openclaw_state_dir"] == str(state)
    assert note["compacting"] == {}
    assert len(driven.warnings) == 1, "that there is no command"


def test_shutdown_tells_the_daemon_who_stops_and_when(gateway, tmp_path, daemon_dir):
    state, handler = state_dir_with_hook(tmp_path)
    events = one_after_the_other(startup(), SHUTDOWN)
    begun_ms = time.time_ns() // 1_000_000
    driven = gateway(events, handler=handler, env={"HOME": str(tmp_path / "home")}, calls=2)
    assert driven.slowest_ms < 1000
    note = note_in(daemon_dir)
    assert note["state"] == "stopping"
    assert begun_ms <= note["at_ms"] <= time.time_ns() // 1_000_000
    assert note["openclaw_state_dir"] == str(state)
    assert note["restart_expected_ms"] is None


async def test_daemon_understands_what_the_hook_writes(gateway, tmp_path, daemon_dir):
    state, handler = state_dir_with_hook(tmp_path)
    env = {"HOME": str(tmp_path / "home")}
    gateway(one_after_the_other(startup(), SHUTDOWN), handler=handler, env=env, calls=2)
    stop = (await word_in(daemon_dir, state)).stop
    assert stop.since_ms == note_in(daemon_dir)["at_ms"]
    assert stop.told
    assert stop.gone_ms is not None, "the process has ended"


async def test_daemon_misses_a_process_that_is_killed_and_no_other(process, tmp_path, daemon_dir):
    gateway = process("")
    fields = Path(f"/proc/{gateway.pid}/stat").read_text().rpartition(")")[2].split()
    assert note_in(daemon_dir)["process_start"] == int(fields[19])
    gateway.kill()
    gateway.wait()
    stop = (await word_in(daemon_dir, tmp_path / "state")).stop
    assert not stop.told
    assert stop.gone_ms is not None


def test_next_startup_takes_the_word_back(gateway, tmp_path, daemon_dir):
    _, handler = state_dir_with_hook(tmp_path)
    events = one_after_the_other(startup(), compaction("before"), SHUTDOWN, startup())
    gateway(events, handler=handler, env={"HOME": str(tmp_path / "home")}, calls=4)
    note = note_in(daemon_dir)
    assert (note["state"], note["compacting"]) == ("running", {})


@pytest.mark.parametrize("left", ["{", "", "null", "[]", "x" * 99_999])
def test_note_that_nobody_can_read_is_written_anew(gateway, tmp_path, daemon_dir, left):
    _, handler = state_dir_with_hook(tmp_path)
    env = {"HOME": str(tmp_path / "home")}
    gateway(startup(), handler=handler, env=env)
    note_path(daemon_dir).write_text(left)
    gateway(SHUTDOWN, handler=handler, env=env | {"OPENCLAW_STATE_DIR": str(tmp_path / "state")})
    assert note_in(daemon_dir)["state"] == "stopping"


def test_gateways_that_share_a_daemons_directory_have_a_note_each(gateway, tmp_path, daemon_dir):
    _, handler = state_dir_with_hook(tmp_path)
    for state_dir in ("/one", "/other", "/one"):
        gateway(
            startup(), handler=handler, env={"HOME": str(tmp_path / "home"), "OPENCLAW_STATE_DIR": state_dir}
        )
    notes = [json.loads(path.read_text()) for path in (daemon_dir / DIRECTORY).iterdir()]
    assert sorted(note["openclaw_state_dir"] for note in notes) == ["/one", "/other"]


async def test_daemon_hears_of_a_state_directory_below_the_home(gateway, tmp_path, daemon_dir):
    _, handler = state_dir_with_hook(tmp_path)
    home = tmp_path / "home"
    gateway(startup(), handler=handler, env={"HOME": str(home), "OPENCLAW_STATE_DIR": "~/.openclaw"})
    assert note_in(daemon_dir)["openclaw_state_dir"] == str(home / ".openclaw")
    assert (await word_in(daemon_dir, home / ".openclaw")).stop is not None


def test_gateway_that_still_stops_leaves_the_word_to_the_one_that_has_started_since(
    process, gateway, tmp_path, daemon_dir
):
    old = process("process.on('SIGTERM', () => console.log('draining'));")
    started = startup()
    handler = tmp_path / "state" / "hooks" / "status-watcher-hook" / "handler.js"
    gateway(started, handler=handler, env={"HOME": str(tmp_path / "home"), "PATH": "/nowhere"})
    new = note_in(daemon_dir)
    assert new["pid"] != old.pid
    old.send_signal(signal.SIGTERM)
    assert old.stdout.readline() == "draining\n"
    assert note_in(daemon_dir) == new


def test_startup_makes_the_directory_of_the_daemon_that_it_starts(gateway, command, tmp_path):
    _, handler = state_dir_with_hook(tmp_path)
    home = tmp_path / "home"
    env = {"HOME": str(home), "PATH": str(command.path.parent)}
    gateway(startup(), handler=handler, env=env)
    command.wait_for_starts(1)
    daemon_dir = home / ".local" / "state" / "status-watcher"
    assert daemon_dir.stat().st_mode & 0o777 == 0o700
    assert note_in(daemon_dir)["state"] == "running"


def test_no_directory_is_made_where_no_daemon_is_started(gateway, tmp_path):
    _, handler = state_dir_with_hook(tmp_path)
    gateway(startup(), handler=handler, env={"HOME": str(tmp_path / "home"), "PATH": "/nowhere"})
    assert not (tmp_path / "home").exists()


def test_hook_whose_files_are_gone_leaves_no_note(gateway, tmp_path, daemon_dir):
    """Uninstalled while its gateway runs on."""
    _, handler = state_dir_with_hook(tmp_path)
    (handler.parent / "HOOK.md").unlink()
    events = one_after_the_other(startup(), SHUTDOWN)
    gateway(events, handler=handler, env={"HOME": str(tmp_path / "home")}, calls=2)
    assert list(daemon_dir.iterdir()) == []


# Compactions


async def test_compaction_stands_in_the_note_from_its_beginning_to_its_end(gateway, tmp_path, daemon_dir):
    _, handler = state_dir_with_hook(tmp_path)
    env = {"HOME": str(tmp_path / "home"), "PATH": "/nowhere"}
    begun = [startup(), compaction("before", "a"), compaction("before", "b")]
    begun_ms = time.time_ns() // 1_000_000
    gateway(one_after_the_other(*begun), handler=handler, env=env, calls=3)
    note = note_in(daemon_dir)
    assert note["state"] == "running"
    assert list(note["compacting"]) == ["a", "b"]
    assert all(begun_ms <= at_ms <= time.time_ns() // 1_000_000 for at_ms in note["compacting"].values())
    gateway(one_after_the_other(*begun, compaction("after", "a")), handler=handler, env=env, calls=4)
    assert list(note_in(daemon_dir)["compacting"]) == ["b"]


def test_compactions_whose_end_nobody_tells_do_not_fill_the_note(gateway, tmp_path, daemon_dir):
    _, handler = state_dir_with_hook(tmp_path)
    events = [startup(), *(compaction("before", f"k{number}" + "x" * 390) for number in range(50))]
    env = {"HOME": str(tmp_path / "home"), "PATH": "/nowhere"}
    gateway(one_after_the_other(*events), handler=handler, env=env, calls=51)
    assert [key.rstrip("x") for key in note_in(daemon_dir)["compacting"]] == [f"k{n}" for n in range(30, 50)]
    assert note_path(daemon_dir).stat().st_size < 16_384


ODD_COMPACTIONS = {
    "no key": '{type: "session", action: "compact:before", context: {}}',
    "a number": '{type: "session", action: "compact:before", sessionKey: 7}',
    "an object": '{type: "session", action: "compact:before", sessionKey: {toString: () => "k"}}',
    "empty": '{type: "session", action: "compact:before", sessionKey: ""}',
    "very long": '{type: "session", action: "compact:before", sessionKey: "k".repeat(401)}',
    "throwing": '{type: "session", action: "compact:before", get sessionKey() { throw null; }}',
    "an end without a beginning": compaction("after"),
    "another action": '{type: "session", action: "patch", sessionKey: "k"}',
}


@pytest.mark.parametrize("event", ODD_COMPACTIONS.values(), ids=ODD_COMPACTIONS.keys())
def test_odd_word_of_a_compaction_changes_nothing(gateway, tmp_path, daemon_dir, event):
    driven = gateway(event, env={"HOME": str(tmp_path / "home")})
    assert driven.warnings == []
    assert list(daemon_dir.iterdir()) == []


STATE_DIRS = {
    "named by the entry": ({"STATE_DIR": "{root}/s"}, {}, "s"),
    "named in the environment": ({}, {"STATE_DIR": " {root}/s "}, "s"),
    "below the home": ({"STATE_DIR": "~/s"}, {}, "home/s"),
    "relative to where the daemon starts": ({"STATE_DIR": "s"}, {}, "state/s"),
    "by XDG": ({"XDG_STATE_HOME": "{root}/xdg"}, {}, "xdg/status-watcher"),
    "not by a relative XDG": ({"XDG_STATE_HOME": "xdg"}, {}, "home/.local/state/status-watcher"),
    "not the gateway's unit's": ({}, {"STATE_DIRECTORY": "{root}/unit"}, "home/.local/state/status-watcher"),
}


@pytest.mark.parametrize(("entry", "env", "expected"), STATE_DIRS.values(), ids=STATE_DIRS.keys())
def test_notice_is_where_the_daemon_of_that_environment_looks(
    gateway, command, tmp_path, entry, env, expected
):
    _, handler = state_dir_with_hook(tmp_path)
    entry = {name: text.format(root=tmp_path) for name, text in entry.items()}
    env = {name: text.format(root=tmp_path) for name, text in env.items()}
    (tmp_path / expected).mkdir(parents=True)
    env |= {"HOME": str(tmp_path / "home"), "PATH": str(command.path.parent)}
    gateway(one_after_the_other(startup(entry), SHUTDOWN), handler=handler, env=env, calls=2)
    assert note_in(tmp_path / expected)["state"] == "stopping"
    [start] = command.wait_for_starts(1)
    theirs = load_state_dir(with_absolute_paths(start.env, Path(start.cwd)))
    assert theirs == tmp_path / expected


def test_shutdown_in_a_module_that_saw_no_startup_uses_the_environment(gateway, tmp_path, daemon_dir):
    gateway(SHUTDOWN, env={"HOME": str(tmp_path / "home")})
    note = note_in(daemon_dir)
    assert (note["state"], note["openclaw_state_dir"]) == ("stopping", "")


def test_shutdown_in_a_reloaded_module_knows_what_the_startup_knew(node, tmp_path):
    state, handler = state_dir_with_hook(tmp_path)
    (tmp_path / "daemon").mkdir()
    script = f"""
      const load = async (n) => (await import("file://{handler}?t=" + n)).default;
      (await load(1))({startup({"STATE_DIR": str(tmp_path / "daemon")})});
      (await load(2))({SHUTDOWN});
    """
    ran = subprocess.run(
        [node, "--input-type=module", "-e", script],
        env={},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    note = note_in(tmp_path / "daemon")
    assert (note["state"], note["openclaw_state_dir"]) == ("stopping", str(state))


@pytest.fixture
def process(node, tmp_path, daemon_dir):
    """A Node process with the hook in it; `before` its startup and after it (`code`) it does more."""
    running = []

    def run(code: str, before: str = "") -> subprocess.Popen:
        _, handler = state_dir_with_hook(tmp_path)
        script = f"""
          {before}
          const {{ default: handler }} = await import("file://{handler}");
          handler({startup()});
          {code}
          setInterval(() => {{}}, 1000);
          console.log("up");
        """
        env = {"HOME": str(tmp_path / "home"), "PATH": "/nowhere"}
        command = [node, "--input-type=module", "-e", script]
        running.append(subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True))
        assert running[-1].stdout.readline() == "up\n"
        return running[-1]

    yield run
    for one in running:
        one.kill()
        one.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_is_told_while_the_gateway_still_waits_for_its_runs(process, daemon_dir, number):
    """2026.9.6 fires `gateway:shutdown` only after that, 2026.2.26 never."""
    gateway = process(f"process.on('{number.name}', () => console.log('draining'));")
    gateway.send_signal(number)
    assert gateway.stdout.readline() == "draining\n"
    told = note_in(daemon_dir)
    assert (told["state"], told["pid"]) == ("stopping", gateway.pid)
    assert gateway.poll() is None


def test_listener_that_listens_once_is_not_cut_short(process, daemon_dir):
    gateway = process("", before="process.once('SIGTERM', () => console.log('draining'));")
    gateway.send_signal(signal.SIGTERM)
    assert gateway.stdout.readline() == "draining\n"
    assert note_in(daemon_dir)["state"] == "stopping"
    assert gateway.poll() is None
    gateway.send_signal(signal.SIGTERM)  # nobody is left who listens
    assert gateway.wait(10) == -signal.SIGTERM


def test_signal_and_shutdown_are_one_word_until_the_next_startup(process, daemon_dir):
    gateway = process(
        f"""
        process.on("SIGTERM", () => {{ handler({SHUTDOWN}); console.log("stopped"); }});
        process.on("SIGUSR2", () => {{ handler({startup()}); console.log("started"); }});
        """
    )
    gateway.send_signal(signal.SIGTERM)
    assert gateway.stdout.readline() == "stopped\n"
    first = note_in(daemon_dir)
    assert first["state"] == "stopping"
    gateway.send_signal(signal.SIGTERM)
    assert gateway.stdout.readline() == "stopped\n"
    assert note_in(daemon_dir) == first
    gateway.send_signal(signal.SIGUSR2)
    assert gateway.stdout.readline() == "started\n"
    assert note_in(daemon_dir)["state"] == "running"
    gateway.send_signal(signal.SIGTERM)
    assert gateway.stdout.readline() == "stopped\n"
    assert note_in(daemon_dir)["state"] == "stopping"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_that_nobody_else_takes_ends_the_process_as_it_would_have(process, daemon_dir, number):
    gateway = process("")
    gateway.send_signal(number)
    assert gateway.wait(10) == -number
    assert note_in(daemon_dir)["state"] == "stopping"


def test_listening_does_not_keep_a_process_alive(gateway, tmp_path, daemon_dir):
    gateway(startup(), env={"HOME": str(tmp_path / "home")})  # fails if it does not end by itself


SHUTDOWNS = {
    "no context": '{type: "gateway", action: "shutdown"}',
    "null context": '{type: "gateway", action: "shutdown", context: null}',
    "throwing context": (
        f'{{type: "gateway", action: "shutdown", get context() {{ throw new Error("{TOKEN}"); }}}}'
    ),
    "odd restart": '{type: "gateway", action: "shutdown", context: {restartExpectedMs: 1n}}',
    "restart": '{type: "gateway", action: "shutdown", context: {restartExpectedMs: 1500}}',
}


@pytest.mark.parametrize("event", SHUTDOWNS.values(), ids=SHUTDOWNS.keys())
@pytest.mark.parametrize("place", ["missing", "read-only", "there"])
def test_no_shutdown_makes_the_hook_throw_or_talk(gateway, tmp_path, daemon_dir, event, place):
    if place == "missing":
        daemon_dir.rmdir()
    elif place == "read-only":
        (daemon_dir / DIRECTORY).touch()  # for root too, nothing can be written below it
    driven = gateway(event, env={"HOME": str(tmp_path / "home")})
    assert driven.slowest_ms < 1000
    assert driven.warnings == []
    assert TOKEN not in driven.output
    left = [path.name for path in daemon_dir.iterdir()] if place != "missing" else daemon_dir.exists()
    assert left in (False, [], [DIRECTORY])


# What goes wrong

# Nothing to find on the PATH: had the handler taken one of these for a startup, it would have said so.
NOT_A_STARTUP = {
    "null": "null",
    "undefined": "undefined",
    "a number": "7",
    "a string": '"gateway:startup"',
    "an empty object": "{}",
    "an array": '["gateway", "startup"]',
    "a step of the shutdown": '{type: "gateway", action: "pre-restart", context: {reason: "x"}}',
    "another kind": '{type: "command", action: "startup"}',
    "objects for strings": '{type: {toString: () => "gateway"}, action: {toString: () => "startup"}}',
}


@pytest.mark.parametrize("event", NOT_A_STARTUP.values(), ids=NOT_A_STARTUP.keys())
def test_what_is_no_startup_is_ignored_in_silence(gateway, event):
    driven = gateway(event, env={"PATH": "/nowhere"})
    assert driven.warnings == []


_STARTUP = 'type: "gateway", action: "startup"'
_THROWS = f'throw Object.assign(new Error("{TOKEN}"), {{code: "{TOKEN}"}})'


def _with_entry(entry: str) -> str:
    entries = f'{{"status-watcher-hook": {entry}}}'
    return f"{{{_STARTUP}, context: {{cfg: {{hooks: {{internal: {{entries: {entries}}}}}}}}}}}"


HOSTILE = {
    "no context": f"{{{_STARTUP}}}",
    "null context": f"{{{_STARTUP}, context: null}}",
    "string context": f'{{{_STARTUP}, context: "cfg"}}',
    "no cfg": f"{{{_STARTUP}, context: {{}}}}",
    "numeric cfg": f"{{{_STARTUP}, context: {{cfg: 1}}}}",
    "array of hooks": f"{{{_STARTUP}, context: {{cfg: {{hooks: []}}}}}}",
    "null entry": _with_entry("null"),
    "string env": _with_entry('{env: "MM_URL=x"}'),
    "array env": _with_entry('{env: ["MM_URL=x"]}'),
    "function env": _with_entry("{env: () => ({})}"),
    "circular env": _with_entry("(() => { const e = {}; e.env = e; return e; })()"),
    "symbol in env": _with_entry('{env: {X: Symbol("x"), Y: 1n}}'),
    "workspace of a wrong type": f"{{{_STARTUP}, context: {{workspaceDir: {{}}}}}}",
    "workspace with a NUL": f'{{{_STARTUP}, context: {{workspaceDir: "/a\\0b/c"}}}}',
    "throwing type": f"{{get type() {{ {_THROWS} }}}}",
    "throwing context": f"{{{_STARTUP}, get context() {{ {_THROWS} }}}}",
    "throwing value": _with_entry(f"{{env: {{get MM_TOKEN() {{ {_THROWS} }}}}}}"),
    "throwing null": f"{{{_STARTUP}, get context() {{ throw null; }}}}",
    "proxy": f"{{{_STARTUP}, context: new Proxy({{}}, {{get() {{ {_THROWS} }}}})}}",
    "revoked proxy": "(() => { const r = Proxy.revocable({}, {}); r.revoke(); return r.proxy; })()",
    "huge value": _with_entry('{env: {MM_TOKEN: "x".repeat(300000)}}'),
}


@pytest.mark.parametrize("event", HOSTILE.values(), ids=HOSTILE.keys())
def test_no_event_can_make_the_hook_throw_or_talk_much(gateway, command, event):
    driven = gateway(event, env={"PATH": str(command.path.parent), "MM_TOKEN": TOKEN})
    assert driven.slowest_ms < 1000
    assert len(driven.warnings) <= 1
    assert TOKEN not in driven.output


def test_console_that_throws_does_not_reach_the_gateway(gateway):
    event = f"(console.warn = () => {{ {_THROWS} }}, {startup()})"
    assert TOKEN not in gateway(event, env={"PATH": "/nowhere"}).output


@pytest.mark.parametrize(
    "env", [{}, {"PATH": ""}, {"PATH": "/nowhere:relative"}], ids=["unset", "empty", "absent"]
)
def test_missing_command_is_one_line_that_names_the_remedy(gateway, env):
    [line] = gateway(startup({"MM_TOKEN": TOKEN}), env=env).warnings
    assert "STATUS_WATCHER_BIN" in line
    assert TOKEN not in line


@pytest.mark.parametrize("kind", ["absent", "relative", "directory", "not executable"])
def test_unusable_configured_command_is_one_line_and_nothing_else_is_run(gateway, command, tmp_path, kind):
    plain = tmp_path / "plain"
    plain.write_text("#!/bin/sh\n")
    configured = {
        "absent": "/nowhere/status-watcher",
        "relative": "bin/status-watcher",
        "directory": str(tmp_path),
        "not executable": str(plain),
    }[kind]
    driven = gateway(startup({"STATUS_WATCHER_BIN": configured}), env={"PATH": str(command.path.parent)})
    [line] = driven.warnings
    assert "STATUS_WATCHER_BIN" in line
    assert configured not in driven.output
    assert command.starts() == []


def test_command_that_cannot_be_executed_is_one_line_without_values(gateway, tmp_path):
    broken = tmp_path / "status-watcher"
    broken.write_text("#!/nowhere/python\n")
    broken.chmod(0o755)
    driven = gateway(startup({"STATUS_WATCHER_BIN": str(broken), "MM_TOKEN": TOKEN}))
    [line] = driven.warnings
    assert "ENOENT" in line
    assert str(broken) not in driven.output
    assert TOKEN not in driven.output
