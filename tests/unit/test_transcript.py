"""One line to one entry, whatever the line."""

import orjson
import pytest
from builders import Transcript, call, ms, said

from status_watcher.core.prompts import Prompt
from status_watcher.core.transcript import (
    AssistantLine,
    Compacted,
    Header,
    Other,
    PromptError,
    Result,
    ResultLine,
    Said,
    Skipped,
    Stop,
    ToolUse,
    UserLine,
    parse_line,
)

T = Transcript()


@pytest.mark.parametrize("version", ["2.26", "3.31", "7.1"])
def test_user_line_in_either_form_is_its_bare_text(version):
    line = parse_line(Transcript(version=version).user(3, "Please help"))
    assert isinstance(line, UserLine)
    assert (line.text, line.prompt, line.at_ms) == ("Please help", Prompt.VISIBLE, ms(3))


def test_assistant_line_has_its_blocks_in_order_and_when_the_model_was_asked():
    line = parse_line(
        T.assistant(5, said("Hm."), call("a", "read", path="x"), said("And."), asked_s=3, tokens=7)
    )
    assert isinstance(line, AssistantLine)
    first, second, third = line.blocks
    assert isinstance(first, Said)
    assert isinstance(second, ToolUse)
    assert (first.text, second.name, dict(second.arguments)) == ("Hm.", "read", {"path": "x"})
    assert isinstance(third, Said)
    assert (line.at_ms, line.model_start_ms, line.tokens, line.stop) == (ms(5), ms(3), 7, Stop.TOOL_USE)


@pytest.mark.parametrize(
    ("stop", "expected"),
    [
        ("toolUse", Stop.TOOL_USE),
        ("stop", Stop.FINAL),
        ("length", Stop.LENGTH),
        ("error", Stop.ERROR),
        ("aborted", Stop.ABORTED),
        ("something new", Stop.UNKNOWN),
        (None, Stop.UNKNOWN),
        (7, Stop.UNKNOWN),
    ],
)
def test_reason_why_the_model_stopped(stop, expected):
    line = parse_line(T.assistant(1, said("x"), stop=stop))
    assert isinstance(line, AssistantLine)
    assert line.stop is expected


def test_line_of_the_gateway_is_told_from_a_models():
    line = parse_line(T.injected(1, "notice", openclawAbort={"aborted": True}))
    assert isinstance(line, AssistantLine)
    assert line.injected
    assert line.abort_mark


@pytest.mark.parametrize(
    ("details", "result", "code"),
    [
        ({"status": "completed", "exitCode": 0}, Result.OK, ""),
        ({"status": "completed", "exitCode": 1}, Result.ERROR, "1"),
        ({"status": "running", "sessionId": "x"}, Result.STILL_RUNNING, ""),
        ({"status": "approval-pending"}, Result.APPROVAL_PENDING, ""),
        ({"status": "failed", "exitSignal": "SIGTERM", "exitCode": None}, Result.ERROR, "SIGTERM"),
        ({"timedOut": True, "exitSignal": "SIGKILL"}, Result.ERROR, "timeout"),
        ({"status": "error"}, Result.ERROR, ""),
        ({"status": "forbidden"}, Result.ERROR, ""),
        ({}, Result.OK, ""),
    ],
)
def test_verdict_on_a_result_by_its_details(details, result, code):
    line = parse_line(T.result(1, "c", **details))
    assert isinstance(line, ResultLine)
    assert (line.result, line.code, line.call_id) == (result, code, "c")


def test_spawn_names_the_child_and_a_refused_one_does_not():
    accepted = parse_line(T.spawned(1, "s", "agent:main:subagent:x"))
    refused = parse_line(T.result(1, "s", tool="sessions_spawn", status="forbidden", childSessionKey="k"))
    assert isinstance(accepted, ResultLine)
    assert isinstance(refused, ResultLine)
    assert (accepted.child, refused.child) == ("agent:main:subagent:x", None)


def test_other_kinds_of_lines():
    header = parse_line(T.header(2, parentSession="/x.jsonl"))
    assert isinstance(header, Header)
    assert (header.forked, header.at_ms) == (True, ms(2))
    assert isinstance(parse_line(T.entry(1, "compaction", summary="x")), Compacted)
    aborted = parse_line(T.prompt_error(1, "This operation was aborted | 20"))
    assert isinstance(aborted, PromptError)
    assert aborted.aborted
    for kind in ("model_change", "thinking_level_change", "leaf", "custom_message", "from_the_future"):
        assert isinstance(parse_line(T.entry(1, kind)), Other)
    assert isinstance(parse_line(T.message(1, {"role": "bashExecution", "content": "x"})), Other)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"\x00" * 50,
        b"\xef\xbb\xbf{}",
        b'{"type":"message"',
        b"NaN",
        b"123",
        b'"text"',
        b"[]",
        b"null",
        b"[" * 2000 + b"]" * 2000,
        b'{"type":"message","id":"a","message":{"role":"assistant","content":"\\ud83d"}}',
        b'{"type":"message"}',
        b'{"type":"message","id":7,"timestamp":"x","message":{"role":"user"}}',
        b'{"type":"message","id":"a","timestamp":"yesterday","message":{"role":"user","content":"x"}}',
        b'{"type":"session"}',
        b'{"type":"compaction","id":"a"}',
        b'{"type":"message","id":"a","timestamp":"2026-11-20T15:05:00.000Z","message":{"role":"toolResult"}}',
    ],
)
def test_T10_line_that_is_no_entry_is_skipped_with_a_reason(line):
    assert isinstance(parse_line(line), Skipped)


@pytest.mark.parametrize(
    "fields",
    [
        {"content": 7},
        {"content": [7, None, {"type": "text"}, {"type": "text", "text": 8}]},
        {"usage": "much"},
        {"usage": {"input": "x", "cost": 9}},
        {"stopReason": {"a": 1}},
        {"timestamp": "soon"},
        {"provider": 9},
        {"openclawAbort": True},
    ],
)
def test_T10_field_of_a_wrong_type_costs_at_most_its_line(fields):
    line = parse_line(T.assistant(1, said("x"), **fields))
    assert isinstance(line, AssistantLine | Skipped)


def test_text_is_kept_longer_than_a_box_shows_and_no_longer():
    line = parse_line(T.final(1, "x" * 1_000_000))
    assert isinstance(line, AssistantLine)
    (block,) = line.blocks
    assert isinstance(block, Said)
    assert 1_000 < len(block.text) < 20_000


def test_numbers_beyond_reason_are_no_reason_to_fail():
    raw = orjson.loads(T.assistant(1, said("x")))
    raw["message"]["usage"] = {"input": 2**63, "output": -5, "cost": {"total": 1e300}}
    assert isinstance(parse_line(orjson.dumps(raw)), AssistantLine | Skipped)
