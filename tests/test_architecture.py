"""Who may import whom, and what the core must not do."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import status_watcher

ROOT = Path(status_watcher.__file__).parent
MODULES = {
    ".".join(("status_watcher", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(
        ".__init__"
    ): path
    for path in sorted(ROOT.rglob("*.py"))
}
VALUES = {"status_watcher.model", "status_watcher.source"}
PARSERS = {"orjson", "msgspec", "pyjson5"}
LONGEST_MODULE_LINES = 400

EDGE_FAMILIES = {
    # The reader of OpenClaw's sessions, in parts; nobody else needs to know that it has parts.
    "installation": {"installation", "store_choice"}
    | {"agent_dir", "file_source", "followed", "index_file", "index_union", "intervals", "jobs", "listing"}
    | {"locate", "locate_store", "lookout", "moved", "readers", "tail", "wanted", "watch"}
    | {name.rpartition(".")[2] for name in MODULES if name.startswith("status_watcher.edge.database_")},
    "ledger": {"ledger", "ledger_file"},
    "openclaw_file": {"openclaw_file", "openclaw_watch"},
}
EDGE_SHARED = {"readers", "whole_file"}
"""Threads that nobody waits for at the end, for everyone who reads what may hang; and files as a whole."""
EVERYBODY = {"status_watcher.app"}
"""Knows everyone; the command line alone starts it."""


def trees() -> Iterator[tuple[str, ast.Module]]:
    for name, path in MODULES.items():
        yield name, ast.parse(path.read_text(encoding="utf-8"))


def imports(tree: ast.Module, *, name: str = "") -> set[str]:
    """Every module that is imported, also inside functions; `name` is the importing module."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} imports relatively"
            module = node.module or ""
            found |= {
                full if (full := f"{module}.{alias.name}") in MODULES else module for alias in node.names
            }
    return found


IMPORTS = {name: imports(tree, name=name) for name, tree in trees()}


def package(name: str) -> str:
    """`core` of `status_watcher.core.board`; "" for the modules at the top."""
    parts = name.split(".")
    return parts[1] if len(parts) > 2 or (ROOT / parts[-1]).is_dir() else ""


def ours(names: set[str]) -> set[str]:
    return {name for name in names if name.split(".")[0] == "status_watcher"}


def members(of: str) -> list[str]:
    return [name for name in MODULES if package(name) == of and name != f"status_watcher.{of}"]


@pytest.mark.parametrize("name", members("core"))
def test_core_knows_only_values_parsers_and_itself(name):
    allowed = VALUES | {n for n in MODULES if package(n) == "core"}
    assert ours(IMPORTS[name]) <= allowed
    foreign = {module.split(".")[0] for module in IMPORTS[name] - ours(IMPORTS[name])}
    assert foreign - PARSERS <= sys.stdlib_module_names


@pytest.mark.parametrize("name", members("core"))
def test_core_has_no_clock_no_input_no_output_and_no_chance(name):
    forbidden = {
        "asyncio",
        "io",
        "logging",
        "os",
        "pathlib",
        "random",
        "secrets",
        "select",
        "shutil",
        "signal",
    }
    forbidden |= {"socket", "subprocess", "sys", "tempfile", "threading", "time", "uuid"}
    assert not {module.split(".")[0] for module in IMPORTS[name]} & forbidden
    tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
    called = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert not called & {
        "open",
        "print",
        "input",
        "exec",
        "eval",
        "datetime.now",
        "datetime.today",
        "date.today",
    }
    assert not {call for call in called if call.endswith((".now", ".utcnow", ".today"))}


@pytest.mark.parametrize("name", members("edge"))
def test_edge_knows_core_values_and_its_own_family(name):
    own = name.rpartition(".")[2]
    family = next((modules for modules in EDGE_FAMILIES.values() if own in modules), set())
    for imported in ours(IMPORTS[name]) - VALUES - {"status_watcher"}:
        assert package(imported) == "core" or imported.rpartition(".")[2] in family | EDGE_SHARED, imported


@pytest.mark.parametrize("name", members("publisher"))
def test_publisher_knows_core_values_and_its_own_ports(name):
    for imported in ours(IMPORTS[name]) - VALUES:
        assert package(imported) in {"core", "publisher"}, imported


@pytest.mark.parametrize("name", members("sandbox"))
def test_sandbox_knows_nothing_of_the_product(name):
    for imported in ours(IMPORTS[name]) - {"status_watcher"}:
        assert package(imported) == "sandbox", imported


def test_values_know_nobody_above_them():
    assert ours(IMPORTS["status_watcher.model"]) == set()
    assert ours(IMPORTS["status_watcher.source"]) <= {"status_watcher.model", "status_watcher.core.index"}


@pytest.mark.parametrize("name", MODULES)
def test_only_the_command_line_starts_the_daemon(name):
    if name not in {"status_watcher.cli", "status_watcher.__main__"}:
        assert not ours(IMPORTS[name]) & EVERYBODY


@pytest.mark.parametrize("name", MODULES)
def test_only_the_demo_knows_the_sandbox_and_only_the_command_line_the_demo(name):
    for imported in ours(IMPORTS[name]):
        if package(imported) == "sandbox":
            assert package(name) in {"sandbox", "demo"}
        if package(imported) == "demo":
            assert package(name) == "demo" or name == "status_watcher.cli"


@pytest.mark.parametrize(
    ("library", "only"),
    [
        ("pybreaker", {"edge.breaker"}),
        ("watchdog", {"edge.watch"}),
        ("msgspec", {"core.labels", "core.nested", "core.results", "core.transcript"}),
        ("pyjson5", {"core.openclaw_document"}),
        ("dotenv", {"edge.openclaw_file"}),
    ],
)
def test_library_is_known_to_one_module(library, only):
    users = {
        name for name, found in IMPORTS.items() if any(module.split(".")[0] == library for module in found)
    }
    assert users == {f"status_watcher.{name}" for name in only}


@pytest.mark.parametrize("name", MODULES)
def test_module_is_short_enough_to_read(name):
    assert len(MODULES[name].read_text(encoding="utf-8").splitlines()) <= LONGEST_MODULE_LINES


def test_there_is_something_to_check():
    assert {"core", "edge", "publisher", "sandbox", "demo"} <= {package(name) for name in MODULES}
