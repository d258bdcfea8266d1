"""`status-watcher hook`, as an operator runs it: real processes, real state directories."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from status_watcher import __version__
from status_watcher.edge.gateway_notice import DIRECTORY
from status_watcher.edge.lock import Lock, acquire

REPO = Path(__file__).parents[2]
NAME = "status-watcher-hook"
HOOK = REPO / "hooks" / NAME
BUNDLED = ["boot-md", "bootstrap-extra-files", "command-logger", "compaction-notifier", "session-memory"]
TOKEN = "tok" + "q7" * 12


@pytest.fixture
def state(tmp_path):
    """OpenClaw's state directory, as a gateway that talks to Mattermost leaves it."""
    state = tmp_path / ".openclaw"
    state.mkdir()
    configure(state, channels={"mattermost": {"baseUrl": "http://chat.example", "botToken": TOKEN}})
    return state


def configure(state: Path, **settings):
    path = state / "openclaw.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(known | settings, indent=2))


def entries(state: Path) -> dict:
    return json.loads((state / "openclaw.json").read_text())["hooks"]["internal"]["entries"]


def add_hook(place: Path, name: str) -> None:
    (place / name).mkdir(parents=True)
    (place / name / "HOOK.md").write_text(f"---\nname: {name}\n---\n")


@pytest.fixture
def run(tmp_path):
    """Runs `status-watcher hook …` with just a home; returns what it printed, both streams."""

    def run(*arguments: str, code: int = 0, **env: str) -> str:
        ran = subprocess.run(
            [sys.executable, "-m", "status_watcher", "hook", *arguments],
            env={"HOME": str(tmp_path), "PATH": "/nowhere", **env},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        said = ran.stdout + ran.stderr
        assert ran.returncode == code, said
        assert "Traceback" not in said
        assert TOKEN not in said
        return said

    return run


@pytest.mark.parametrize("command", ["install", "uninstall", "status"])
@pytest.mark.parametrize("empty", ["", " "])
def test_an_empty_state_dir_is_refused_and_is_not_the_working_directory(run, tmp_path, command, empty):
    before = sorted(tmp_path.rglob("*"))
    said = run(command, "--state-dir", empty, code=2)
    assert said == "status-watcher: --state-dir: must not be empty\n"
    assert sorted(tmp_path.rglob("*")) == before


# What is put in place


def test_installed_files_are_the_shipped_ones_and_the_command_is_this_python(run, state):
    said = run("install")
    place = state / "hooks" / NAME
    assert str(place) in said
    for name in ("HOOK.md", "handler.js"):
        assert (place / name).read_bytes() == (HOOK / name).read_bytes()
    record = json.loads((place / "installed.json").read_text())
    assert record == {"version": __version__, "command": [sys.executable, "-P", "-m", "status_watcher"]}
    ran = subprocess.run(
        [*record["command"], "--version"], capture_output=True, text=True, cwd="/", check=True, timeout=30
    )
    assert __version__ in ran.stdout
    assert "up to date" in run("install")


def test_wheel_takes_the_hook_along():
    build = tomllib.loads((REPO / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert build["force-include"][f"hooks/{NAME}"] == f"status_watcher/hooks/{NAME}"
    assert "COPY hooks/ hooks/" in (REPO / "deploy" / "Dockerfile").read_text()


def test_handler_starts_what_installed_it_whatever_the_path_has(run, state, node, tmp_path):
    run("install")
    # The daemon that is found refuses its settings, which the handler tells: proof enough that it was ours.
    configure(state, channels={})
    script = f"""
      const {{ default: handler }} = await import("file://{state}/hooks/{NAME}/handler.js");
      const keepAlive = setTimeout(() => process.exit(1), 20000);
      console.warn = (line) => {{ console.log(line); clearTimeout(keepAlive); process.exit(0); }};
      handler({{ type: "gateway", action: "startup", context: {{ cfg: {{}} }} }});
    """
    ran = subprocess.run(
        [node, "--input-type=module", "-e", script],
        env={"HOME": str(tmp_path), "PATH": "/nowhere"},
        capture_output=True,
        text=True,
        timeout=40,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert "exit code 78" in ran.stdout


# Enabling


def test_plain_installation_leaves_the_configuration_alone_and_says_what_to_add(run, state):
    before = (state / "openclaw.json").read_bytes()
    said = run("install")
    assert (state / "openclaw.json").read_bytes() == before
    assert f"openclaw hooks enable {NAME}" in said
    assert "would let other hooks load: boot-md" in said
    wanted = json.loads(said[said.index("\n{\n") : said.rindex("\n}\n") + 3])
    configure(state, **wanted)
    assert "\nenabled in openclaw.json" in run("status")


def test_enabling_keeps_off_the_hooks_that_were_off(run, state):
    said = run("install", "--enable")
    assert entries(state) == {NAME: {"enabled": True}} | {name: {"enabled": False} for name in BUNDLED}
    assert "stay off: boot-md" in said
    assert "restart the gateway" in said
    backup = state / "openclaw.json.before-status-watcher"
    assert "hooks" not in json.loads(backup.read_text())
    kept = (state / "openclaw.json").read_bytes()
    run("install", "--enable")
    assert (state / "openclaw.json").read_bytes() == kept


def test_enabling_changes_nothing_for_a_named_selection(run, state):
    named = {"session-memory": {"enabled": True}, "mine": {"enabled": False}}
    configure(state, hooks={"internal": {"enabled": True, "entries": named}})
    add_hook(state / "hooks", "mine")
    run("install", "--enable")
    assert entries(state) == named | {NAME: {"enabled": True}}


def test_an_open_selection_has_the_hook_enabled_already(run, state):
    configure(state, hooks={"internal": {"enabled": True}})
    before = (state / "openclaw.json").read_bytes()
    assert "lets every hook load" in run("install", "--enable")
    assert (state / "openclaw.json").read_bytes() == before


def test_a_hook_that_was_told_off_keeps_the_others_loading_when_it_is_told_on(run, state):
    """Named with `false`, it narrows the newest gateways' selection to nothing; the older ones load all."""
    configure(state, hooks={"internal": {"enabled": True, "entries": {NAME: {"enabled": False}}}})
    assert "its entry" in run("status", code=3)
    add_hook(state / "hooks", "mine")
    add_hook(state / "workspace" / "hooks", "of-the-workspace")
    run("install", "--enable")
    assert entries(state) == {NAME: {"enabled": True}}


def test_status_tells_which_hooks_ours_keeps_out(run, state):
    run("install")
    add_hook(state / "hooks", "mine")
    configure(state, hooks={"internal": {"enabled": True, "entries": {NAME: {"enabled": True}}}})
    document = json.loads(run("status", "--json"))
    assert document["enabled"]
    assert document["not_loaded"] == {name: ["2026.9.6"] for name in [*BUNDLED[:4], "mine", BUNDLED[4]]}
    assert "mine, session-memory (as in 2026.9.6)" in run("status")


def test_an_entry_without_the_switch_is_for_newer_gateways_alone(run, state):
    """Seen: 2026.7.1 and 2026.9.6 load it, and nothing else; 2026.2.26 loads nothing."""
    run("install")
    configure(state, hooks={"internal": {"entries": {NAME: {"enabled": True}}}})
    document = json.loads(run("status", "--json"))
    assert not document["enabled"]
    assert document["loaded_as_in"] == ["2026.7.1", "2026.9.6"]
    assert "only gateways like 2026.7.1, 2026.9.6 load it" in run("status")


def test_a_configuration_with_comments_is_not_rewritten(run, state):
    text = (state / "openclaw.json").read_text().replace("{", "{ // mine\n", 1)
    (state / "openclaw.json").write_text(text)
    said = run("install", "--enable", code=1)
    assert (state / "openclaw.json").read_text() == text
    assert f'"{NAME}"' in said
    assert "comments" in said
    assert json.loads(run("status", "--json"))["installed"]


# How it stands


def test_status_from_nothing_to_installed_and_back(run, state):
    assert json.loads(run("status", "--json", code=3)) == {
        "installed": False,
        "path": str(state / "hooks" / NAME),
        "version": None,
        "up_to_date": False,
        "enabled": False,
        "loaded_as_in": [],
        "not_loaded": {},
        "daemon": {"running": False, "pid": None},
        "problems": [],
    }
    run("install", "--enable")
    document = json.loads(run("status", "--json"))
    assert (document["installed"], document["up_to_date"], document["enabled"]) == (True, True, True)
    assert document["version"] == __version__
    (state / "hooks" / NAME / "handler.js").write_text("old")
    assert not json.loads(run("status", "--json"))["up_to_date"]
    assert "out of date" in run("status")
    assert "openclaw.json still names it" in run("uninstall")
    assert not (state / "hooks" / NAME).exists()
    assert "not installed" in run("uninstall", code=3)


def test_status_knows_the_daemon_of_the_entrys_state_dir(run, state, tmp_path):
    entry = {"enabled": True, "env": {"STATE_DIR": str(tmp_path / "daemon"), "HEALTH_PORT": 0}}
    configure(state, hooks={"internal": {"enabled": True, "entries": {NAME: entry}}})
    run("install")
    held = acquire(tmp_path / "daemon")
    assert isinstance(held, Lock)
    try:
        daemon = json.loads(run("status", "--json"))["daemon"]
        assert daemon["running"]
        assert f"daemon running (PID {daemon['pid']})" in run("status")
        assert "still runs" in run("uninstall")
    finally:
        held.release()


def test_settings_that_the_daemon_would_refuse_are_told_at_once(run, state):
    configure(state, channels={"mattermost": {"baseUrl": "http://chat.example", "botToken": "${NOT_HERE}"}})
    said = run("install", THROTTLE_MS="soon")
    assert "MM_TOKEN: is required (openclaw.json takes it from NOT_HERE, which is not set here)" in said
    assert "THROTTLE_MS: " in said
    assert len(json.loads(run("status", "--json"))["problems"]) == 1


def test_without_a_configuration_nobody_knows_whether_it_is_enabled(run, state):
    (state / "openclaw.json").unlink()
    run("install")
    assert "not known" in run("status")
    assert json.loads(run("status", "--json"))["enabled"] is None
    run("install", "--enable", code=1)
    assert not (state / "openclaw.json").exists()


# Where


def test_state_directory_is_openclaws_own_or_the_one_that_is_named(run, state, tmp_path):
    for name in ("named", "variable", "old-variable"):
        (tmp_path / name).mkdir()
    run("install", "--state-dir", "named", OPENCLAW_STATE_DIR=str(tmp_path / "variable"))
    assert (tmp_path / "named" / "hooks" / NAME).is_dir()
    run("install", OPENCLAW_STATE_DIR="variable", CLAWDBOT_STATE_DIR=str(tmp_path / "old-variable"))
    assert (tmp_path / "variable" / "hooks" / NAME).is_dir()
    run("install", CLAWDBOT_STATE_DIR=str(tmp_path / "old-variable"))
    assert (tmp_path / "old-variable" / "hooks" / NAME).is_dir()
    assert not (state / "hooks").exists()
    assert json.loads(run("status", "--json", "--state-dir", "named"))["installed"]


def test_uninstalling_removes_the_note_of_that_gateway_and_no_others(state, run, tmp_path):
    run("install")
    notes = tmp_path / "daemon" / DIRECTORY
    notes.mkdir(parents=True)
    for name, openclaw in (("a.json", str(state)), ("b.json", "/another/gateway")):
        (notes / name).write_text(json.dumps({"openclaw_state_dir": openclaw}))
    entry = {"env": {"STATE_DIR": str(tmp_path / "daemon")}}
    configure(state, hooks={"internal": {"entries": {NAME: entry}}})
    run("uninstall")
    assert [path.name for path in notes.iterdir()] == ["b.json"]


@pytest.mark.parametrize("command", ["install", "uninstall", "status"])
def test_without_a_home_the_state_directory_has_to_be_named(command):
    # A home that the system knows is taken; this uid has none.
    code = f"""
import os, sys
os.getuid = lambda: 3999999999
sys.argv = ["status-watcher", "hook", "{command}"]
from status_watcher.__main__ import main
main()
"""
    ran = subprocess.run(
        [sys.executable, "-c", code], env={}, capture_output=True, text=True, timeout=30, check=False
    )
    assert ran.returncode == 78, ran.stderr
    assert ran.stderr.startswith("status-watcher: OPENCLAW_STATE_DIR: ")


def test_where_openclaw_is_not_set_up_nothing_is_made(run, tmp_path):
    assert ".openclaw is no directory" in run("install", code=1)
    assert "not installed" in run("status", code=3)
    assert "not installed" in run("uninstall", code=3)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("command", "code"), [("install", 1), ("uninstall", 1), ("status", 3)])
def test_what_is_not_ours_is_refused_in_one_line(run, state, command, code):
    place = state / "hooks" / NAME
    place.mkdir(parents=True)
    (place / "precious").write_text("x")
    assert str(place) in run(command, code=code)
    assert [entry.name for entry in place.iterdir()] == ["precious"]


@pytest.mark.parametrize(
    "arguments", [["instal"], ["install", "--state-dir"], ["status", "--jsn"], ["install", "x"]]
)
def test_what_is_no_command_is_a_usage_error(run, arguments):
    assert "Error: " in run(*arguments, code=2)
