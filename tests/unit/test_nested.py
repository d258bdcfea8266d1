"""Tools behind `tool_call` (2026.9.6): the line tells of the tool that really ran and what came of it."""

from typing import Any

import orjson
import pytest
from builders import (
    KEY,
    MAIN,
    SESSION,
    Transcript,
    Watched,
    call,
    child_entry,
    child_key,
    entry,
    lines,
    ms,
    said,
)
from simulate import labels

from status_watcher.core.session import Session
from status_watcher.core.transcript import NestedCall, Other, Result, ResultLine, Skipped, parse_line
from status_watcher.model import SessionId

CHILD = child_key("a")


def wrapped(call_id: str, tool: str, **arguments: Any) -> dict[str, Any]:
    return call(call_id, "tool_call", id=tool, args=arguments)


def record(t: Transcript, at_s: float, parent: str, tool: str, number: int = 1, **more: Any) -> bytes:
    """The gateway's record of a call that another one made; `details` are those of its result."""
    details, fields = more.pop("details", {}), more
    return t.message(
        at_s,
        {
            "role": "custom",
            "customType": "openclaw.nested-tool.v1",
            "display": True,
            "excludeFromContext": True,
            "content": "",
            "details": {
                "runId": "r1",
                "startOrder": number - 1,
                "parentToolCallId": parent,
                "toolCallId": f"tool_search_code:{parent}:{tool}:{number}",
                "toolName": tool,
                "input": {},
                "result": {"content": [{"type": "text", "text": "x"}], "details": details},
                "isError": False,
                "startedAt": ms(at_s) - 500,
                "timestamp": ms(at_s),
            }
            | fields,
        },
    )


def outer(t: Transcript, at_s: float, call_id: str, tool: str, *, error: bool = False, **inner: Any) -> bytes:
    """The result of the `tool_call` itself, which holds that of the tool once more."""
    return t.result(
        at_s,
        call_id,
        tool="tool_call",
        error=error,
        tool_told={"id": f"openclaw:core:{tool}", "name": tool},
        result={"content": [{"type": "text", "text": "x"}], "details": inner},
    )


def begun(*blocks: dict[str, Any]) -> tuple[Watched, Transcript]:
    watched, t = Watched(), Transcript()
    watched.at(0, t.header(version=4), t.user(0))
    watched.at(1, t.assistant(1, *blocks))
    return watched, t


def body(watched: Watched) -> list[str]:
    return watched.text.split("\n")[1:]


def test_wrapped_command_is_shown_with_its_exit_code():
    watched, t = begun(wrapped("c1", "openclaw:core:exec", command="make test"))
    assert body(watched) == ["exec: make test running"]
    ran = {"status": "completed", "exitCode": 7, "durationMs": 2_500}
    watched.at(4, record(t, 4, "c1", "exec", input={"command": "make test"}, details=ran))
    assert body(watched) == ["exec: make test [ERR 7] 2s"], "what ran has ended, whatever wraps it"
    watched.at(4.1, outer(t, 4.1, "c1", "exec", **ran))
    assert body(watched) == ["exec: make test [ERR 7] 2s"]
    watched.at(5, t.final(5))
    assert watched.states == ["DONE"]


@pytest.mark.parametrize("told", ["record", "details", "text"])
def test_sub_agent_started_behind_a_tool_call_stands_below_it(told):
    watched, t = begun(wrapped("c1", "sessions_spawn", task="do it", label="helper-a"))
    accepted = {"status": "accepted", "childSessionKey": CHILD, "runId": "r2"}
    if told == "record":
        watched.at(1.5, record(t, 1.5, "c1", "sessions_spawn", details=accepted))
        watched.at(1.6, t.result(1.6, "c1", tool="tool_call"))
    elif told == "details":
        watched.at(1.6, outer(t, 1.6, "c1", "sessions_spawn", **accepted))
    else:
        text = orjson.dumps({"tool": {"name": "x"}, "result": {"content": [], "details": accepted}}).decode()
        watched.at(1.6, t.result(1.6, "c1", tool="tool_call", text=text, persistedDetailsTruncated=True))
    watched.entries[CHILD] = child_entry("kid", label="helper-a")
    kid = Transcript("kid", prefix="k")
    watched.at(2, watched.look(), lines(kid.header(1.7), kid.user(1.7), session_id="kid"))
    watched.at(3, lines(kid.assistant(3, call("k1")), session_id="kid"))
    watched.at(4, t.final(4, "Started."))
    assert body(watched) == ["Sub-agent: helper-a", "exec: make test running 1s", "", "Started."]


def test_child_told_twice_stands_there_once():
    watched, t = begun(wrapped("c1", "sessions_spawn", label="helper-a"))
    accepted = {"status": "accepted", "childSessionKey": CHILD}
    watched.at(1.5, record(t, 1.5, "c1", "sessions_spawn", details=accepted))
    watched.at(1.6, outer(t, 1.6, "c1", "sessions_spawn", **accepted))
    assert body(watched) == ["Sub-agent: helper-a", "starting..."]
    session = Session(MAIN, SessionId(SESSION), labels())
    for line in (
        t.assistant(1, wrapped("c1", "sessions_spawn")),
        record(t, 1.5, "c1", "sessions_spawn", details=accepted),
        outer(t, 1.6, "c1", "sessions_spawn", **accepted),
    ):
        session.fold_line(line, None)
    assert [made.child for made in session.turns[0].spawned] == [CHILD]


def test_failed_tool_behind_a_good_wrapper_is_an_error():
    watched, t = begun(wrapped("c1", "message", action="send", to="bob"))
    watched.at(2, outer(t, 2, "c1", "message", status="error", error="nobody there"))
    assert body(watched) == ["message: send bob [ERR] 1s"]


def test_wrapper_that_failed_is_an_error_whatever_ran():
    watched, t = begun(wrapped("c1", "nosuchtool"))
    watched.at(2, t.result(2, "c1", tool="tool_call", error=True, status="error", tool_told="tool_call"))
    assert body(watched) == ["nosuchtool [ERR] 1s"]


def test_what_ran_is_told_by_its_record_and_not_by_what_was_asked_for():
    watched, t = begun(wrapped("c1", "some-id-of-a-search"))
    watched.at(2, record(t, 2, "c1", "web_fetch", input={"url": "https://example.org"}))
    assert body(watched) == ["web fetch: https://example.org [OK]"]


def test_input_too_large_to_be_kept_leaves_what_was_asked_for():
    watched, t = begun(wrapped("c1", "write", path="big.txt"))
    omitted = "[Nested tool input omitted: exceeds display limit]"
    watched.at(2, record(t, 2, "c1", "write", input=omitted, result={"content": []}))
    assert body(watched) == ["write: big.txt [OK]"]


def test_each_tool_that_a_call_of_code_has_run_has_a_line():
    watched, t = begun(call("c1", "tool_search_code", code="await run()"))
    watched.at(2, record(t, 2, "c1", "exec", 1, input={"command": "ls"}, details={"exitCode": 0}))
    watched.at(3, record(t, 3, "c1", "exec", 2, input={"command": "false"}, details={"exitCode": 1}))
    assert body(watched) == [
        "tool code: await run() running 2s",
        "exec: ls [OK]",
        "exec: false [ERR 1]",
    ]
    watched.at(4, t.result(4, "c1", tool="tool_search_code"))
    assert body(watched)[0] == "tool code: await run() [OK] 3s"


def test_record_after_the_result_of_its_call_still_has_a_line():
    watched, t = begun(call("c1", "tool_search_code", code="run()"))
    watched.at(2, t.result(2, "c1", tool="tool_search_code"))
    watched.at(2.1, record(t, 2.1, "c1", "exec", input={"command": "ls"}))
    assert body(watched) == ["tool code: run() [OK] 1s", "exec: ls [OK]"]


def test_parallel_wrapped_calls_end_each_at_its_own_time():
    watched, t = begun(wrapped("a", "exec", command="sleep 9"), wrapped("b", "write", path="x"))
    watched.at(2, record(t, 2, "b", "write", input={"path": "x"}))
    assert body(watched) == ["exec: sleep 9 running 1s", "write: x [OK]"]


def test_wrapped_command_that_goes_on_in_the_background_is_closed_by_a_later_word():
    watched, t = begun(wrapped("a", "exec", command="sleep 99"))
    running = {"status": "running", "sessionId": "river"}
    watched.at(2, record(t, 2, "a", "exec", input={"command": "sleep 99"}, details=running))
    watched.at(2.1, outer(t, 2.1, "a", "exec", **running))
    assert body(watched) == ["exec: sleep 99 still running"]
    watched.at(3, t.assistant(3, wrapped("b", "process", action="poll", sessionId="river")))
    watched.at(4, outer(t, 4, "b", "process", status="completed", exitCode=3, sessionId="river"))
    assert body(watched) == ["exec: sleep 99 [ERR 3] 3s", "process: poll river [ERR 3] 1s"]


def test_wrapped_call_cut_off_by_an_abort_has_no_result():
    watched, t = begun(said("Long one."), wrapped("a", "exec", command="sleep 99"))
    watched.at(5, t.injected(5, "Long one.", openclawAbort={"aborted": True, "runId": "r1"}))
    assert watched.text.startswith("[ABORTED] main | 5s\nLong one.\nexec: sleep 99 no result")


def test_record_of_a_call_that_nobody_made_changes_nothing():
    watched, t = begun(call("c1"))
    before = watched.text
    watched.at(1, record(t, 1, "other", "exec", input={"command": "ls"}))
    assert watched.text == before


# One line


def test_record_is_read_with_all_it_tells():
    t = Transcript()
    ran = {"status": "completed", "exitCode": 0, "durationMs": 20}
    line = parse_line(record(t, 2, "c1", "exec", input={"command": "ls"}, details=ran))
    assert isinstance(line, NestedCall)
    assert (line.parent, line.at_ms, line.start_ms) == ("c1", ms(2), ms(1.5))
    assert line.arguments == {"command": "ls"}
    assert (line.result.tool, line.result.result, line.result.duration_ms) == ("exec", Result.OK, 20)


@pytest.mark.parametrize(
    "message",
    [
        {"role": "custom", "customType": "something.else", "content": "x"},
        {"role": "custom", "customType": "openclaw.nested-tool.v1"},
        {"role": "custom", "customType": "openclaw.nested-tool.v1", "details": "x"},
        {"role": "custom", "customType": "openclaw.nested-tool.v1", "details": {"toolName": "exec"}},
        {"role": "custom", "customType": "openclaw.nested-tool.v1", "details": {"toolCallId": 7}},
    ],
)
def test_other_custom_messages_tell_nothing(message):
    assert isinstance(parse_line(Transcript().message(1, message)), Other)


@pytest.mark.parametrize("details", [None, "x", 7, True, [], {"result": "x"}, {"result": {"details": "x"}}])
def test_result_of_a_wrapper_without_what_it_wraps_is_its_own(details):
    message = {"role": "toolResult", "toolCallId": "c", "toolName": "tool_call", "details": details}
    line = parse_line(Transcript().message(1, message))
    assert not isinstance(line, Skipped)
    assert isinstance(line, ResultLine)
    assert line.result is Result.OK


def test_children_of_a_session_are_known_by_records_alone():
    watched = Watched(entries={KEY: entry(SESSION)})
    t = Transcript()
    accepted = {"status": "accepted", "childSessionKey": CHILD}
    watched.at(
        0,
        t.header(),
        t.user(0),
        t.assistant(1, wrapped("c1", "sessions_spawn", label="x")),
        record(t, 1.5, "c1", "sessions_spawn", details=accepted),
    )
    watched.entries[CHILD] = entry("kid")
    kid = Transcript("kid", prefix="k")
    watched.at(2, watched.look(), lines(kid.header(1.7), kid.user(1.7), session_id="kid"))
    watched.at(5, lines(kid.assistant(3, call("k1")), session_id="kid"))
    assert len(watched.boxes) == 1, "the store names no parent, the record does"
