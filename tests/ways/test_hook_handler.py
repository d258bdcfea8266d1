"""The gateway hook, run by Node as a gateway would: dynamic import of the file, real-shaped event."""

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

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
    """Runs the handler in a Node process with just the given environment; it must end by itself."""
    home = tmp_path / "gateway"
    home.mkdir()

    def drive(
        event: str, *, handler: Path = HOOK / "handler.js", env=None, calls=1, until_ended: Path | None = None
    ):
        arguments = [node, str(DRIVER), str(handler), event, str(calls)]
        if until_ended is not None:
            arguments.append(str(until_ended))
        ran = subprocess.run(
            arguments, env=env or {}, cwd=home, capture_output=True, text=True, timeout=20, check=False
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
    assert openclaw["events"] == ["gateway:startup"]
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


# What goes wrong

# Nothing to find on the PATH: had the handler taken one of these for a startup, it would have said so.
NOT_A_STARTUP = {
    "null": "null",
    "undefined": "undefined",
    "a number": "7",
    "a string": '"gateway:startup"',
    "an empty object": "{}",
    "an array": '["gateway", "startup"]',
    "a shutdown": '{type: "gateway", action: "shutdown", context: {reason: "gateway stopping"}}',
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
