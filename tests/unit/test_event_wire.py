"""How events and sessions read on the wire."""

from dataclasses import replace

import orjson
import pytest

from status_watcher.core import session_report
from status_watcher.core.event_wire import (
    MOST_AGENTS,
    LokiBody,
    Told,
    redacted,
    server_sent,
    to_json,
    webhook_body,
)
from status_watcher.core.lifecycle import Happening
from status_watcher.core.replay import Replay
from status_watcher.core.session_report import SessionReport, without_private
from status_watcher.core.text import Redactor, redact, without_unseen

REPORT = SessionReport(
    key="agent:main:mattermost:channel:kz5mey4ot7dopqcawtegozda4r",
    label="deploy\nhelper",
    agent="main",
    kind="channel",
    state="DONE",
    age_s=53.04,
    idle_s=0.5,
    model="scripted",
    tokens=12_400,
    post="https://chat.example.com/_redirect/pl/" + "p" * 26,
)
TOLD = Told(
    run="abc",
    number=7,
    at_ms=1_800_000_000_123,
    host="host-1",
    what=Happening.FINISHED,
    turn="0123456789abcdef",
    report=REPORT,
    public_in=None,
)


def numbered(*numbers: int) -> list[Told]:
    return [replace(TOLD, number=number) for number in numbers]


def test_an_event_has_exactly_the_documented_fields():
    assert orjson.loads(to_json(TOLD)) == {
        "id": "abc-7",
        "event": "session.finished",
        "time": "2027-01-15T08:00:00.123Z",
        "host": "host-1",
        "agent": "main",
        "kind": "channel",
        "key": REPORT.key,
        "label": "deploy\nhelper",
        "turn": "0123456789abcdef",
        "state": "DONE",
        "duration_s": 53.0,
        "tokens": 12_400,
        "model": "scripted",
        "post": REPORT.post,
    }
    assert webhook_body([TOLD]) == to_json(TOLD)


def test_a_redacted_event_names_nobody():
    document = orjson.loads(to_json(redacted(TOLD)))
    assert document["redacted"] is True
    assert {document[name] for name in ("key", "label", "post", "model", "turn")} == {""}
    assert document["tokens"] == 0
    assert (document["event"], document["agent"], document["state"]) == ("session.finished", "main", "DONE")


def test_a_server_sent_event_is_three_lines_whatever_the_label_holds():
    lines = server_sent(TOLD).split(b"\n")
    assert lines[0] == b"id: abc-7"
    assert lines[1] == b"event: session.finished"
    assert orjson.loads(lines[2].removeprefix(b"data: "))["label"] == "deploy\nhelper"
    assert lines[3:] == [b"", b""]


def test_loki_has_three_labels_and_no_two_equal_times():
    body = orjson.loads(LokiBody()(numbered(1, 2, 3)))
    (stream,) = body["streams"]
    assert stream["stream"] == {"host": "host-1", "agent": "main", "event": "session.finished"}
    times = [at for at, _ in stream["values"]]
    assert times == sorted(set(times), key=int)
    assert times[0] == "1800000000123000001"
    assert [orjson.loads(line)["id"] for _, line in stream["values"]] == ["abc-1", "abc-2", "abc-3"]


def test_loki_gets_no_more_streams_however_many_agents_there_are():
    encode = LokiBody()
    agents = set()
    for number in range(3 * MOST_AGENTS):
        body = orjson.loads(encode([replace(TOLD, report=replace(REPORT, agent=f"agent-{number}"))]))
        agents.add(body["streams"][0]["stream"]["agent"])
    assert len(agents) == MOST_AGENTS + 1
    again = orjson.loads(encode([replace(TOLD, report=replace(REPORT, agent="agent-0"))]))
    assert again["streams"][0]["stream"]["agent"] == "agent-0"


def test_nothing_is_missed_by_one_who_was_away_for_less_than_is_kept():
    replay = Replay("abc", most=3)
    for told in numbered(1, 2, 3, 4):
        replay.keep(told)
    for seen, numbers in ((1, [2, 3, 4]), (3, [4]), (4, [])):
        missed = replay.missed_since(f"abc-{seen}")
        assert [told.number for told in missed.events] == numbers
        assert not missed.gap


@pytest.mark.parametrize(
    "last", ["abc-0", "abc-5", "other-3", "abc-", "3", "abc-1_0", "abc--1", "abc-" + "9" * 99]
)
def test_one_who_was_away_for_longer_or_comes_from_elsewhere_gets_all_and_is_told(last):
    replay = Replay("abc", most=3)
    for told in numbered(1, 2, 3, 4):
        replay.keep(told)
    missed = replay.missed_since(last)
    assert [told.number for told in missed.events] == [2, 3, 4]
    assert missed.gap


def test_sessions_read_back_as_they_were():
    reports = (replace(REPORT, age_s=53.0), without_private(replace(REPORT, age_s=1.0)))
    read = session_report.from_json(session_report.to_json(42, reports))
    assert read == session_report.Sessions(42, reports)
    assert not read.sessions[0].open
    assert replace(REPORT, state="STALLED").open


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"pid":1,"sessions":[{}]}',
        b'{"pid":1,"sessions":[7]}',
        session_report.to_json(42, [REPORT]).replace(b'"tokens":12400', b'"tokens":"many"'),
    ],
)
def test_what_is_not_a_daemons_answer_is_not_read(body):
    assert session_report.from_json(body) is None


@pytest.mark.parametrize(
    "key",
    [
        REPORT.key + ":thread:ej3dnc3dbaixck17xm7f6ip16m",
        "agent:main:cron:5b1f2c3d-9c5e-4f53-8a3f-0c0a5a4b6c7d:run:01105dde-d69c-4e3a-9bfd-a511adafc95a",
        "agent:main:subagent:01105dde-d69c-4e3a-9bfd-a511adafc95a",
        "hook:gitea-acme-web-123-9f2c",
    ],
)
def test_the_redaction_that_keys_pass_leaves_ordinary_ones_alone(key):
    assert redact(without_unseen(key), Redactor()) == key
