"""The document that `GET /health` answers with."""

import dataclasses

import orjson
import pytest

from status_watcher.core.health import (
    Circuit,
    Health,
    Sessions,
    Watch,
    from_json,
    http_status,
    judge,
    to_json,
)

HEALTH = Health(
    status="degraded",
    version="1.2.3",
    pid=42,
    uptime_s=12.34,
    sessions=Sessions(active=1, tracked=2, waiting=3),
    circuit=Circuit(state="half_open", failures=4),
    watch=Watch(mode="polling", alive=True),
    mattermost_last_ok_s=5.67,
    problems=("circuit open", "polling"),
)


def test_the_document_has_exactly_the_documented_fields():
    assert orjson.loads(to_json(HEALTH)) == {
        "status": "degraded",
        "version": "1.2.3",
        "pid": 42,
        "uptime_s": 12.3,
        "sessions": {"active": 1, "tracked": 2, "waiting": 3},
        "circuit": {"state": "half_open", "failures": 4},
        "watch": {"mode": "polling", "alive": True},
        "mattermost": {"last_ok_s": 5.7},
        "problems": ["circuit open", "polling"],
    }


def test_counters_are_added_only_when_there_are_any():
    counted = dataclasses.replace(HEALTH, counters={"log_lines_dropped": 2})
    assert orjson.loads(to_json(counted))["counters"] == {"log_lines_dropped": 2}


def test_a_server_that_never_answered_is_null():
    never = dataclasses.replace(HEALTH, mattermost_last_ok_s=None)
    assert orjson.loads(to_json(never))["mattermost"] == {"last_ok_s": None}


def test_ages_are_never_negative():
    document = orjson.loads(to_json(dataclasses.replace(HEALTH, uptime_s=-3.0, mattermost_last_ok_s=-1.0)))
    assert document["uptime_s"] == 0
    assert document["mattermost"]["last_ok_s"] == 0


@pytest.mark.parametrize(("status", "code"), [("ok", 200), ("degraded", 200), ("failed", 503)])
def test_only_failed_is_unavailable(status, code):
    assert http_status(dataclasses.replace(HEALTH, status=status)) == code


@pytest.mark.parametrize(
    ("watch_alive", "token_refused", "problems", "status"),
    [
        (True, False, (), "ok"),
        (True, False, ("mattermost is away",), "degraded"),
        (False, False, (), "failed"),
        (True, True, ("token refused",), "failed"),
    ],
)
def test_failed_means_a_dead_watcher_or_a_refused_token(watch_alive, token_refused, problems, status):
    assert judge(watch_alive=watch_alive, token_refused=token_refused, problems=problems) == status


@pytest.mark.parametrize(
    "health",
    [
        dataclasses.replace(HEALTH, uptime_s=1.5, mattermost_last_ok_s=2.5, counters={"a": 1}),
        dataclasses.replace(HEALTH, uptime_s=1.0, mattermost_last_ok_s=None, problems=()),
    ],
)
def test_a_document_reads_back_as_it_was(health):
    assert from_json(to_json(health)) == health


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        to_json(HEALTH).replace(b'"pid":42', b'"pid":"42"'),
        to_json(HEALTH).replace(b"degraded", b"splendid"),
        to_json(HEALTH).replace(b"half_open", b"ajar"),
    ],
)
def test_what_is_not_ours_is_not_read(body):
    assert from_json(body) is None
