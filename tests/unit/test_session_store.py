"""What `session.store` of openclaw.json means."""

import pytest

from status_watcher.core.session_store import PerAgent, Single, Unplaced, UsualBelow, store_place


@pytest.mark.parametrize(
    ("setting", "place"),
    [
        ("~/.openclaw/agents/{agentId}/sessions/sessions.json", UsualBelow("/home/op/.openclaw")),
        ("/data/claw/agents/{agentId}/sessions/sessions.json", UsualBelow("/data/claw")),
        ("/agents/{agentId}/sessions/sessions.json", UsualBelow("/")),
        ("/data/agents/main/sessions/sessions.json", UsualBelow("/data")),
        ("/data//x/../claw/agents/{agentId}/sessions/sessions.json", UsualBelow("/data/claw")),
        ("/data/{agentId}/sessions.json", PerAgent("/data", "{agentId}", "sessions.json")),
        ("/{agentId}/s.json", PerAgent("/", "{agentId}", "s.json")),
        ("/data/of-{agentId}.d/a/s.json", PerAgent("/data", "of-{agentId}.d", "a/s.json")),
        ("/data/{agentId}/{agentId}.json", PerAgent("/data", "{agentId}", "{agentId}.json")),
        ("/data/{agentId}.json", PerAgent("/data", "{agentId}.json", "")),
        ("/data/sessions.json", Single("/data/sessions.json")),
        ("//data/sessions.json", Single("/data/sessions.json")),
        ("~/sessions.json", Single("/home/op/sessions.json")),
        ("sessions/sessions.json", Unplaced("sessions/sessions.json")),
        ("~ops/sessions.json", Unplaced("~ops/sessions.json")),
        ("", Unplaced("")),
        ("/a\0b/sessions.json", Unplaced("/a\0b/sessions.json")),
        ("~/a\0/{agentId}/sessions.json", Unplaced("/home/op/a\0/{agentId}/sessions.json")),
        ("/a/agents/\0/sessions/sessions.json", Unplaced("/a/agents/\0/sessions/sessions.json")),
        ("/a\ud800b/sessions.json", Unplaced("/a\ud800b/sessions.json")),
    ],
)
def test_a_setting_is_read_as_openclaw_reads_it(setting, place):
    assert store_place(setting, "/home/op") == place


@pytest.mark.parametrize(
    ("child", "name", "agent"),
    [
        ("{agentId}", "main", "main"),
        ("of-{agentId}.d", "of-main.d", "main"),
        ("of-{agentId}.d", "of-.d", ""),
        ("of-{agentId}.d", "main", ""),
        ("{agentId}.json", "main.json", "main"),
        ("{agentId}.json", ".json", ""),
    ],
)
def test_a_child_is_for_the_agent_whose_name_fits(child, name, agent):
    assert PerAgent("/data", child, "s.json").agent_of(name) == agent


def test_the_index_of_an_agent_has_its_id_in_every_place_of_the_mark():
    assert PerAgent("/data", "{agentId}", "x/{agentId}.json").index_of("main") == "/data/main/x/main.json"
    assert PerAgent("/data", "{agentId}.json", "").index_of("main") == "/data/main.json"
