import os

import pytest

from status_watcher.edge.locate import Layout, SessionsDir, locate


@pytest.fixture
def state(tmp_path):
    for agent in ("main", "writer"):
        (tmp_path / "state/agents" / agent / "sessions").mkdir(parents=True)
    return tmp_path / "state"


def sessions_of(state, agent):
    path = f"{state}/agents/{agent}/sessions"
    return SessionsDir(agent, path, f"{path}/sessions.json")


def test_a_state_directory_gives_every_agent(state):
    found = locate(Layout(state))
    assert found.sessions == (sessions_of(state, "main"), sessions_of(state, "writer"))
    assert found.root == str(state)
    assert found.problems == ()


def test_new_agents_are_found_because_their_parent_is_watched(state):
    found = locate(Layout(state))
    assert set(found.watched) == {
        f"{state}/agents",
        *(f"{state}/agents/{name}/sessions" for name in ("main", "writer")),
    }
    (state / "agents/late").mkdir()
    assert f"{state}/agents/late" in locate(Layout(state)).nurseries


@pytest.mark.parametrize("below", ["", "agents"])
def test_a_transcript_directory_may_be_the_state_or_its_agents(state, below):
    found = locate(Layout(state / "elsewhere", transcript_dir=state / below))
    assert found.sessions == (sessions_of(state, "main"), sessions_of(state, "writer"))


@pytest.mark.parametrize("below", ["agents/writer/sessions", "agents/writer"])
def test_a_transcript_directory_may_be_one_agent_s(state, below):
    found = locate(Layout(state / "elsewhere", transcript_dir=state / below))
    assert found.sessions == (sessions_of(state, "writer"),)


def test_agents_are_known_by_what_is_inside_whatever_the_directory_is_called(state, tmp_path):
    (state / "agents").rename(tmp_path / "team")
    found = locate(Layout(state, transcript_dir=tmp_path / "team"))
    assert [place.agent for place in found.sessions] == ["main", "writer"]


@pytest.mark.parametrize("name", ["sessions.json", "abc.jsonl"])
def test_a_sessions_directory_is_known_by_what_is_inside_and_its_agent_is_main(tmp_path, name):
    (tmp_path / name).write_text("{}")
    (tmp_path / "skills-prompts").mkdir()
    found = locate(Layout(tmp_path / "elsewhere", transcript_dir=tmp_path))
    assert found.sessions == (SessionsDir("main", str(tmp_path), f"{tmp_path}/sessions.json"),)


def test_an_empty_directory_goes_by_its_name_until_something_is_inside(tmp_path):
    agents = tmp_path / "agents"
    agents.mkdir()
    found = locate(Layout(tmp_path / "elsewhere", transcript_dir=agents))
    assert (found.sessions, found.nurseries) == ((), (str(agents),))
    assert "yet" in found.missing


def test_W6_a_missing_root_is_a_problem_that_goes_away(tmp_path):
    layout = Layout(tmp_path / "state")
    assert locate(layout).sessions == ()
    assert locate(layout).missing == f"{tmp_path}/state is no directory yet"
    (tmp_path / "state/agents/main/sessions").mkdir(parents=True)
    assert locate(layout).problems == ()


def test_before_there_are_agents_the_state_directory_is_watched_for_them(tmp_path):
    assert locate(Layout(tmp_path)).watched == (str(tmp_path),)


def test_sessions_json_replaces_the_index_of_the_only_agent(state, tmp_path):
    elsewhere = tmp_path / "store/index.json"
    elsewhere.parent.mkdir()
    found = locate(
        Layout(state, transcript_dir=state / "agents/main/sessions", sessions_json=elsewhere),
    )
    assert [place.index_path for place in found.sessions] == [str(elsewhere)]
    assert str(elsewhere.parent) in found.watched


def test_sessions_json_alone_says_where_the_transcripts_are(state):
    found = locate(Layout(state / "elsewhere", sessions_json=state / "agents/main/sessions/sessions.json"))
    assert found.sessions == (sessions_of(state, "main"),)


def test_sessions_json_for_several_agents_is_not_used_and_said_so(state, tmp_path):
    found = locate(Layout(state, transcript_dir=state, sessions_json=tmp_path / "sessions.json"))
    assert found.sessions == (sessions_of(state, "main"), sessions_of(state, "writer"))
    assert "single agent" in found.problems[0]


def test_T13_a_sessions_directory_that_leads_out_is_not_read_and_said_so(state, tmp_path):
    (tmp_path / "other").mkdir()
    (state / "agents/evil").mkdir()
    (state / "agents/evil/sessions").symlink_to(tmp_path / "other")
    found = locate(Layout(state))
    assert [place.agent for place in found.sessions] == ["main", "writer"]
    assert "leads out" in found.problems[0]


def test_the_root_itself_may_be_a_link(state, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(state)
    assert locate(Layout(link)).sessions == (sessions_of(state, "main"), sessions_of(state, "writer"))


def test_P15_an_agent_whose_name_is_no_text_has_a_name_that_can_be_saved(state):
    (state / "agents" / os.fsdecode(b"\xff") / "sessions").mkdir(parents=True)
    assert "\\xff" in [place.agent for place in locate(Layout(state)).sessions]
