"""How tool calls read, with the built-in labels and with an operator's."""

import json

import pytest

from status_watcher.core.labels import LabelErrors, Labels, ToolText, describe, load_labels
from status_watcher.edge.bundled import read_tool_labels


@pytest.fixture(scope="module")
def labels() -> Labels:
    loaded = load_labels(read_tool_labels())
    assert isinstance(loaded, Labels)
    return loaded


@pytest.mark.parametrize(
    ("tool", "arguments", "label", "argument"),
    [
        ("exec", {"command": "ls /agents/sessions", "background": True}, "exec", "ls /agents/sessions"),
        ("process", {"action": "poll", "sessionId": "tidy-cove"}, "process", "poll tidy-cove"),
        ("process", {"action": "list"}, "process", "list"),
        ("read", {"path": "notes.md", "offset": 3}, "read", "notes.md"),
        ("write", {"file_path": "a.py", "content": "x" * 9999}, "write", "a.py"),
        ("edit", {"filePath": "a.py", "oldText": "a", "newText": "b"}, "edit", "a.py"),
        ("web_search", {"query": "inotify", "count": 5}, "web search", "inotify"),
        ("web_fetch", {"url": "https://x.y", "maxChars": 100}, "web fetch", "https://x.y"),
        ("browser", {"action": "open", "targetUrl": "https://x.y"}, "browser", "open https://x.y"),
        ("browser", {"action": "act", "request": {"kind": "click", "ref": 12}}, "browser", "act click"),
        ("message", {"action": "send", "to": "channel:x", "message": "long"}, "message", "send channel:x"),
        ("sessions_spawn", {"label": "helper-a", "task": "do\nit"}, "Sub-agent", "helper-a"),
        ("sessions_spawn", {"task": "\n Count files.\nThen stop."}, "Sub-agent", "Count files."),
        ("cron", {"action": "add", "job": {"name": "nightly"}}, "cron", "add nightly"),
        ("nodes", {"action": "run", "command": ["echo", "Hello"]}, "nodes", "run echo Hello"),
        ("update_plan", {"plan": [{"step": "Read"}, {"step": "Write"}]}, "plan", "Read"),
        ("agents_list", {}, "agents", ""),
        ("session_status", {}, "session status", ""),
        ("sessions_yield", {"message": "waiting"}, "yield", "waiting"),
        ("Exec", {"command": "ls"}, "exec", "ls"),
    ],
)
def test_known_tool_shows_its_telling_argument(labels, tool, arguments, label, argument):
    assert describe(tool, arguments, labels) == ToolText(label, argument)


def test_patch_shows_the_files_it_touches(labels):
    one = "*** Begin Patch\n*** Update File: src/a.py\n@@\n-x\n+y\n*** End Patch"
    two = one + "\n*** Add File: b.py\n"
    assert describe("apply_patch", {"input": one}, labels).argument == "src/a.py"
    assert describe("apply_patch", {"input": two}, labels).argument == "src/a.py and 1 more"


@pytest.mark.parametrize("name", ["exec", "openclaw:core:exec"])
def test_wrapped_call_reads_as_the_inner_one(labels, name):
    call = {"id": name, "args": {"command": "ls"}}
    assert describe("tool_call", call, labels) == ToolText("exec", "ls")


@pytest.mark.parametrize(
    ("tool", "arguments", "label", "argument"),
    [
        ("frobnicate", {"depth": 3, "query": "x"}, "frobnicate", "x"),
        ("frobnicate", {"action": "start", "name": "job"}, "frobnicate", "start job"),
        ("frobnicate", {"blob": "y" * 500, "mode": "fast"}, "frobnicate", "fast"),
        ("frobnicate", {"blob": "y" * 500, "deep": {"a": 1}, "on": True, "none": None}, "frobnicate", ""),
        ("mcp__github__create_issue", {"title": "Bug"}, "github.create_issue", "Bug"),
        ("github__create_issue", {"title": "Bug"}, "github.create_issue", "Bug"),
        ("github.create_issue", {"title": "Bug"}, "github.create_issue", "Bug"),
        ("", {}, "tool", ""),
        ("x" * 500, {}, "x" * 500, ""),
        ("two\nlines", {}, "two lines", ""),
    ],
)
def test_unknown_tool_reads_sensibly(labels, tool, arguments, label, argument):
    assert describe(tool, arguments, labels) == ToolText(label, argument)


@pytest.mark.parametrize("wrong", [None, True, {}, [], [None], {"a": "b"}, ""])
def test_ill_typed_argument_is_no_argument(labels, wrong):
    assert describe("exec", {"command": wrong}, labels) == ToolText("exec", "")


def test_tools_that_openclaw_ships_are_covered(labels):
    """Those of 2026.2 to 2026.9, from its tool inventory and from the captures."""
    shipped = (
        *("read", "write", "edit", "apply_patch", "exec", "bash", "process", "code_execution", "web_search"),
        *("web_fetch", "x_search", "memory_search", "memory_get", "sessions_list", "sessions_history"),
        *("sessions_send", "sessions_spawn", "sessions_yield", "session_status", "subagents", "agents_list"),
        *(
            "browser",
            "canvas",
            "nodes",
            "message",
            "cron",
            "gateway",
            "image",
            "image_generate",
            "pdf",
            "tts",
        ),
        *("image_generate", "music_generate", "video_generate"),
        *("update_plan", "tool_call", "tool_search", "tool_describe"),
    )
    assert set(shipped) <= labels.rules.keys()


def merged(override: object) -> Labels | LabelErrors:
    return load_labels(read_tool_labels(), json.dumps(override).encode())


def test_operators_label_replaces_the_label_alone():
    loaded = merged({"exec": "shell", "my_tool": "mine"})
    assert isinstance(loaded, Labels)
    assert describe("exec", {"command": "ls", "cwd": "/"}, loaded) == ToolText("shell", "ls")
    assert describe("my_tool", {"path": "x"}, loaded) == ToolText("mine", "x")
    assert describe("read", {"path": "x"}, loaded) == ToolText("read", "x")


def test_operators_argument_replaces_the_argument_alone():
    loaded = merged({"exec": {"argument": ["cwd"]}, "process": {"verb": "verb"}})
    assert isinstance(loaded, Labels)
    assert describe("exec", {"command": "ls", "cwd": "/"}, loaded) == ToolText("exec", "/")
    assert describe("process", {"action": "x", "verb": "y"}, loaded) == ToolText("process", "y")


def test_every_fault_is_told_at_once_without_its_value():
    loaded = merged(
        {"a": 3, "b": {"label": ""}, "c": {"verb": 1, "argument": "x"}, "d": {"hunter2": 1}, "e": "ok"}
    )
    assert isinstance(loaded, LabelErrors)
    assert loaded.errors == (
        "labels file: entry 1: must be a label or an object",
        "labels file: entry 2: label must be text of 1 to 60 characters",
        "labels file: entry 3: verb must be a key",
        "labels file: entry 3: argument must be a list of keys",
        "labels file: entry 4: may hold label, verb and argument only",
    )


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"3", b'"x"', b"\xff"])
def test_file_that_is_no_object_is_refused(data):
    assert isinstance(load_labels(read_tool_labels(), data), LabelErrors)
