"""Errors of providers: their own words, wherever the gateway passes on the whole answer."""

import pytest
from builders import Transcript, Watched, call

from status_watcher.core.provider_error import shortened

OVERLOADED = (
    '{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"req_011C"}'
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"529 {OVERLOADED}", "529 Overloaded"),
        (f"HTTP 529: {OVERLOADED}", "HTTP 529 Overloaded"),
        (OVERLOADED, "overloaded_error: Overloaded"),
        (f"529 {OVERLOADED} (after 4 tries)", "529 Overloaded (after 4 tries)"),
        (
            '{"error":{"message":"Rate limit reached","type":"requests","code":"rate_limit_exceeded"}}',
            "rate_limit_exceeded: Rate limit reached",
        ),
        (
            '[{"error":{"code":429,"message":"Quota exceeded.","status":"RESOURCE_EXHAUSTED"}}]',
            "429 Quota exceeded.",
        ),
        ('{"error":{"code":400,"message":"{\\"error\\":{\\"message\\":\\"Bad\\"}}"}}', "400 Bad"),
        ('500 {"error":"upstream died"}', "500 upstream died"),
        ('404 {"message":"no such model"}', "404 no such model"),
    ],
)
def test_code_or_type_and_message_are_what_is_said(text, words):
    assert shortened(text) == words


@pytest.mark.parametrize(
    "text",
    [
        "529 Overloaded",
        "This operation was aborted | 20",
        'Unexpected token } in {"a": 1',
        "500 {}",
        '500 {"error":{"message":""}}',
        '500 {"error":{"message":7}}',
        '500 {"error":null}',
        "{" * 5000 + "}" * 5000,
        '529 {"type":"error","error":{"type":"overloaded_error","mess',
        '{"a":1} and {"b":2}',
        '{"message":"\ud800"',
    ],
)
def test_what_is_not_understood_stays_as_it_is(text):
    assert shortened(text) == text


def test_box_says_it_and_still_shows_no_secret():
    watched, t = Watched(), Transcript()
    secret = "sk-ant-api03-" + "a1B2c3D4" * 8
    told = OVERLOADED.replace("Overloaded", f"Overloaded for {secret}")
    watched.at(0, t.header(), t.user(0), t.assistant(1, call()), t.ok(2, "c1"), t.failed(3, f"529 {told}"))
    watched.until(30)
    assert "Error: 529 Overloaded for" in watched.text
    assert "a1B2c3D4" not in watched.text
    assert "request" not in watched.text
