"""Sessions where `session.store` of openclaw.json puts them, on a real disk, and that setting changed."""

import json
import os
import time
from dataclasses import replace

import pytest
from following import eventually, following
from store_writer import StoreWriter, chain, entry, header

from status_watcher.core.session_store import PerAgent, store_place
from status_watcher.edge import installation
from status_watcher.edge.file_source import FileSource
from status_watcher.edge.installation import Installation
from status_watcher.edge.locate import Layout
from status_watcher.edge.locate_store import locate_sessions, with_store
from status_watcher.edge.store_choice import forced_by
from status_watcher.source import Reading, TranscriptGone


class Store:
    """An index, and the transcripts beside it or elsewhere."""

    def __init__(self, index, transcripts=None):
        self.index = index
        self.transcripts = transcripts or index.parent
        for directory in (index.parent, self.transcripts):
            directory.mkdir(parents=True, exist_ok=True)

    def begin(self, key, session_id, *events, status="running"):
        entries = json.loads(self.index.read_text()) if self.index.exists() else {}
        entries[key] = {"sessionId": session_id, "updatedAt": time.time_ns() // 1_000_000, "status": status}
        temporary = self.index.with_suffix(".1.tmp")
        temporary.write_text(json.dumps(entries))
        temporary.rename(self.index)
        self.append(session_id, header(session_id, version=3), *events)
        return self

    def append(self, session_id, *events):
        with (self.transcripts / f"{session_id}.jsonl").open("a") as file:
            file.writelines(json.dumps(event) + "\n" for event in events)


class Looks:
    """Counts the looks at where sessions are to be, each of which begins by asking that."""

    def __init__(self, monkeypatch):
        self.taken = 0

        def counted(*arguments):
            self.taken += 1
            return with_store(*arguments)

        monkeypatch.setattr(installation, "with_store", counted)

    async def pass_by(self, number=2):
        """Until so many more have been begun: all but the last of them are over."""
        enough = self.taken + number
        await eventually(lambda: self.taken >= enough)


@pytest.fixture
def looks(monkeypatch):
    return Looks(monkeypatch)


class Hurried:
    """A clock that goes twenty times as fast."""

    def __init__(self):
        self.told = 0.0

    def __call__(self):
        self.told = 20 * time.monotonic()
        return self.told

    async def pass_by(self, seconds):
        """Until somebody has asked it so much later."""
        later = self() + seconds
        await eventually(lambda: self.told >= later)


@pytest.fixture
def state(tmp_path):
    return tmp_path / "state"


@pytest.fixture
def relic(state):
    """What was written before the setting: it says that something runs, for ever."""
    return Store(state / "agents/main/sessions/sessions.json").begin("agent:main:main", "relic", *chain("r"))


def moved_to(state, setting, **options):
    place = store_place(str(setting), "/root")
    return Installation(Layout(state), fresh_s=3600.0, read_store=lambda: place, **options)


def keys(received, agent="main"):
    return [sorted(entries) for entries in received.indexes(agent)]


# Each form of the setting


async def test_openclaws_own_layout_below_another_directory_is_followed_and_what_was_left_is_not(
    state, relic, tmp_path
):
    del relic
    data = tmp_path / "data/agents"
    main = Store(data / "main/sessions/sessions.json").begin("agent:main:main", "s", *chain("a"))
    source = moved_to(state, f"{tmp_path}/data/agents/{{agentId}}/sessions/sessions.json")
    async with following(source) as received:
        await eventually(lambda: received.ids("s") == ["s", "a"])
        main.append("s", entry("b", "a"))
        await eventually(lambda: received.ids("s") == ["s", "a", "b"])
        Store(data / "late/sessions/sessions.json").begin("agent:late:main", "t", *chain("c"))
        await eventually(lambda: received.lines("t", "late"))
        await source.read_now()
        assert received.sessions() == {"s", "t"}
        assert {tuple(found) for found in keys(received)} == {("agent:main:main",)}
        assert source.health().problems == ()


async def test_a_database_in_openclaws_own_layout_elsewhere_is_followed(state, tmp_path):
    writer = StoreWriter(tmp_path / "data/agents/main/agent/openclaw-agent.sqlite")
    writer.node("s")
    writer.append("s", header("s"), *chain("a"))
    source = moved_to(state, f"{tmp_path}/data/agents/{{agentId}}/sessions/sessions.json")
    async with following(source) as received:
        await eventually(lambda: received.ids("s") == ["s", "a"])
    writer.close()


@pytest.mark.parametrize("form", ["{agentId}/sessions.json", "of-{agentId}/deep/{agentId}.json"])
async def test_a_layout_of_its_own_has_one_directory_for_each_agent(state, relic, tmp_path, form):
    del relic
    (tmp_path / "data/pictures").mkdir(parents=True)
    (tmp_path / "data/pictures/family.jsonl").write_text('{"type":"session","id":"nothing"}\n')
    main = Store(tmp_path / "data" / form.replace("{agentId}", "main"))
    main.begin("agent:main:main", "s", *chain("a"))
    source = moved_to(state, tmp_path / "data" / form)
    async with following(source) as received:
        await eventually(lambda: received.ids("s") == ["s", "a"])
        await eventually(lambda: keys(received) == [["agent:main:main"]])
        late = Store(tmp_path / "data" / form.replace("{agentId}", "late"))
        late.begin("agent:late:main", "t", *chain("c"))
        await eventually(lambda: received.lines("t", "late"))
        main.append("s", entry("b", "a"))
        await eventually(lambda: received.ids("s")[-1] == "b")
        assert received.sessions() == {"s", "t"}
        assert source.health().stores == {"late": "files", "main": "files"}
        assert source.health().problems == ()


async def test_one_store_for_all_agents_is_followed_as_one(state, relic, tmp_path):
    del relic
    store = Store(tmp_path / "data/all.json")
    store.begin("agent:main:main", "s", *chain("a")).begin("agent:ops:main", "t", *chain("b"))
    async with following(moved_to(state, tmp_path / "data/all.json")) as received:
        await eventually(lambda: received.sessions() == {"s", "t"})
        await eventually(lambda: ["agent:main:main", "agent:ops:main"] in keys(received))
        store.append("t", entry("c", "b"))
        await eventually(lambda: received.ids("t") == ["s", "b", "c"])


@pytest.mark.parametrize(
    "form", ["agents/{agentId}/sessions/sessions.json", "{agentId}/sessions.json", "all.json"]
)
async def test_transcripts_that_stay_in_openclaws_own_directories_are_followed_there(state, tmp_path, form):
    """As 2026.7.1 keeps those of channels and jobs."""
    Store(state / "agents/main/sessions/sessions.json").begin("agent:main:main", "old")
    stores = {}
    for agent in ("main", "ops"):
        index = tmp_path / "data" / form.replace("{agentId}", agent)
        stores[agent] = Store(index, state / "agents" / agent / "sessions")
        stores[agent].begin(f"agent:{agent}:main", f"s-{agent}", *chain("a"))
    source = moved_to(state, tmp_path / "data" / form)
    async with following(source, [("main", "s-main")]) as received:
        await eventually(lambda: received.sessions() == {"s-main", "s-ops"})

        def seen(agent):
            return received.lines(f"s-{agent}", "main" if form == "all.json" else agent)

        for agent, store in stores.items():
            store.append(f"s-{agent}", entry("b", "a"))
        await eventually(lambda: len(seen("main")) == len(seen("ops")) == 3)
        late = Store(stores["ops"].index, stores["ops"].transcripts)
        late.begin("agent:ops:late", "t", *chain("c"))
        await eventually(lambda: "t" in received.sessions())
        assert "old" not in {entry.session_id for told in received.indexes() for entry in told.values()}
        assert received.gone() == []
        assert source.health().problems == ()


async def test_a_place_that_is_not_there_yet_is_said_and_waited_for(state, tmp_path):
    source = moved_to(state, tmp_path / "data/{agentId}/sessions.json")
    async with following(source) as received:
        await eventually(lambda: any("session.store" in line for line in source.health().problems))
        Store(tmp_path / "data/main/sessions.json").begin("agent:main:main", "s", *chain("a"))
        await eventually(lambda: received.ids("s") == ["s", "a"])
        await eventually(lambda: source.health().problems == ())


def files_at(state, setting, **options):
    layout = with_store(Layout(state), store_place(str(setting), "/root"))
    return FileSource(layout, fresh_s=3600.0, **options)


async def test_a_new_entry_is_told_at_its_event_where_two_directories_go_by_one_index(state, tmp_path):
    store = Store(tmp_path / "data/main/sessions.json", state / "agents/main/sessions")
    store.begin("agent:main:main", "s", *chain("a"))
    source = files_at(state, tmp_path / "data/{agentId}/sessions.json", sweep_s=3600.0)
    async with following(source) as received:
        await eventually(lambda: received.ids("s") == ["s", "a"])
        store.begin("agent:main:late", "t")
        await eventually(lambda: keys(received)[-1] == ["agent:main:late", "agent:main:main"])


async def test_one_directory_of_an_agent_alone_calls_no_session_missing(state, tmp_path):
    """What is in neither is missing; what is in the other is not, though no index names it."""
    store = Store(tmp_path / "data/main/sessions.json")
    store.begin("agent:main:main", "s", *chain("a"))
    store.append("unnamed", header("unnamed"), *chain("b"))
    (state / "agents/main/sessions").mkdir(parents=True)
    source = files_at(
        state,
        tmp_path / "data/{agentId}/sessions.json",
        sweep_s=0.05,
        clock=lambda: 20 * time.monotonic(),
    )
    async with following(source, [("main", "unnamed"), ("main", "nowhere")]) as received:
        await eventually(lambda: received.ids("unnamed") == ["s", "b"])
        await eventually(received.gone)
        await source.read_now()
        assert received.gone() == [TranscriptGone("main", "nowhere", "missing")]


async def test_an_index_that_was_left_is_not_told_any_more(state, tmp_path):
    old = Store(state / "agents/main/sessions/sessions.json").begin("agent:main:main", "s", *chain("a"))
    source = files_at(state, state / "agents/{agentId}/sessions/sessions.json", sweep_s=0.05)
    async with following(source) as received:
        await eventually(lambda: keys(received) == [["agent:main:main"]])
        (left,) = source._dirs.values()
        Store(tmp_path / "data/main/sessions.json").begin("agent:main:main", "t", *chain("b"))
        source.move(Layout(state, store=PerAgent(str(tmp_path / "data"), "{agentId}", "sessions.json")))
        await eventually(lambda: received.ids("t") == ["s", "b"])
        told = len(keys(received))
        old.begin("agent:main:late", "u")
        left.look_at_index()
        await source.read_now()
        assert len(keys(received)) == told


# What cannot be followed is said


async def test_a_relative_place_is_said_and_not_followed(state, relic):
    source = moved_to(state, "sessions/sessions.json")
    async with following(source) as received:
        await eventually(lambda: received.ids("relic") == ["s", "r"])
        assert any("relative" in line for line in source.health().problems)
        relic.append("relic", entry("x", "r"))
        await eventually(lambda: received.ids("relic")[-1] == "x")


@pytest.mark.parametrize("setting", ["/a\0b/sessions.json", "/\0/{agentId}/s.json"])
async def test_a_place_that_is_no_path_is_said_and_stops_nothing(state, relic, setting, looks):
    source = moved_to(state, setting)
    async with following(source) as received:
        await eventually(lambda: received.ids("relic") == ["s", "r"])
        assert any("session.store" in line for line in source.health().problems)
        source.move(None)
        assert source.health().problems == ()
        source.move(store_place(setting, "/root"))
        await looks.pass_by()
        relic.append("relic", entry("x", "r"))
        await eventually(lambda: received.ids("relic")[-1] == "x")
        assert any("session.store" in line for line in source.health().problems)


@pytest.mark.parametrize(
    "form", ["{agentId}/sessions.json", "all.json", "agents/{agentId}/sessions/sessions.json"]
)
async def test_a_place_with_a_name_that_is_too_long_stops_nothing(state, relic, tmp_path, form, looks):
    source = moved_to(state, tmp_path / ("x" * 5_000) / form)
    async with following(source) as received:
        await looks.pass_by()
        relic.append("relic", entry("x", "r"))
        await eventually(lambda: received.ids("relic")[-1:] == ["x"])


def test_several_agents_in_one_directory_are_said_and_not_followed(tmp_path):
    store = PerAgent(str(tmp_path), "{agentId}.json", "")
    Store(tmp_path / "main.json").begin("agent:main:main", "s")
    found = locate_sessions(Layout(tmp_path, store=store))
    assert [place.index_path for place in found.sessions] == [f"{tmp_path}/main.json"]
    Store(tmp_path / "ops.json").begin("agent:ops:main", "t")
    found = locate_sessions(Layout(tmp_path, store=store))
    assert found.sessions == ()
    assert "several agents" in found.problems[0]


def test_a_database_in_a_layout_of_its_own_is_said(tmp_path):
    Store(tmp_path / "main/sessions.json").begin("agent:main:main", "s")
    layout = Layout(tmp_path, store=PerAgent(str(tmp_path), "{agentId}", "sessions.json"))
    assert locate_sessions(layout).problems == ()
    (tmp_path / "main/sessions.sqlite").touch()
    assert "there is a database" in locate_sessions(layout).problems[0]


def test_a_link_that_leads_out_is_not_followed(tmp_path):
    Store(tmp_path / "outside/sessions.json").begin("agent:evil:main", "s")
    (tmp_path / "data").mkdir()
    (tmp_path / "data/evil").symlink_to(tmp_path / "outside")
    found = locate_sessions(
        Layout(tmp_path, store=PerAgent(str(tmp_path / "data"), "{agentId}", "sessions.json"))
    )
    assert found.sessions == ()
    assert "leads out" in found.problems[0]


# What we are told wins


@pytest.mark.parametrize("variable", ["TRANSCRIPT_DIR", "SESSIONS_JSON"])
async def test_what_the_operator_names_wins(state, tmp_path, variable):
    main = Store(state / "agents/main/sessions/sessions.json").begin("agent:main:main", "s", *chain("a"))
    Store(tmp_path / "data/main/sessions.json").begin("agent:main:main", "t", *chain("b"))
    named = main.index.parent if variable == "TRANSCRIPT_DIR" else None
    index = main.index if variable == "SESSIONS_JSON" else None
    place = store_place(f"{tmp_path}/data/{{agentId}}/sessions.json", "/root")
    source = Installation(
        Layout(state, named, index), fresh_s=3600.0, forced=forced_by(named, index), read_store=lambda: place
    )
    async with following(source) as received:
        await eventually(lambda: received.ids("s") == ["s", "a"])
        source.move(store_place("/nowhere/sessions.json", "/root"))
        main.append("s", entry("b", "a"))
        await eventually(lambda: received.ids("s") == ["s", "a", "b"])
        assert received.sessions() == {"s"}
        assert source.health().problems == ()


# Changed while we run


async def test_sessions_that_are_moved_with_the_setting_go_on_and_those_left_behind_end_with_their_files(
    state, tmp_path
):
    old = Store(state / "agents/main/sessions/sessions.json")
    old.begin("agent:main:main", "s", *chain("a")).begin("agent:main:cron:1", "left", *chain("b"))
    source = Installation(Layout(state), fresh_s=3600.0)
    async with following(source) as received:
        await eventually(lambda: received.sessions() == {"s", "left"})
        new = Store(tmp_path / "data/main/sessions.json")
        (old.index.parent / "s.jsonl").rename(new.index.parent / "s.jsonl")
        new.index.write_text(json.dumps({"agent:main:main": {"sessionId": "s", "updatedAt": 1}}))
        source.move(store_place(f"{tmp_path}/data/{{agentId}}/sessions.json", "/root"))
        await eventually(lambda: len(received.batches("s")) == 2)
        assert received.batches("s")[1].reading is Reading.AGAIN, "the fold knows the session"
        new.append("s", entry("c", "a"))
        await eventually(lambda: received.ids("s") == ["s", "a", "c"])
        left = old.index.parent / "left.jsonl"
        old.append("left", entry("d", "b"))
        await eventually(lambda: received.ids("left")[-1] == "d")
        assert received.gone() == []
        left.unlink()
        await eventually(received.gone)
        assert received.gone() == [TranscriptGone("main", "left", "missing")]
        assert keys(received)[-1] == ["agent:main:main"]


async def test_the_old_place_is_followed_until_openclaw_has_written_to_the_new_one(state, tmp_path, looks):
    """As 2026.7.1 goes on in the old one until it is started again, be it we or it that comes first."""
    old = Store(state / "agents/main/sessions/sessions.json").begin("agent:main:main", "s", *chain("a"))
    source = moved_to(state, tmp_path / "data/{agentId}/sessions.json")
    async with following(source) as received:
        await eventually(lambda: received.ids("s") == ["s", "a"])
        new = Store(tmp_path / "data/main/sessions.json")
        await looks.pass_by()
        old.append("s", entry("b", "a"))
        await eventually(lambda: received.ids("s") == ["s", "a", "b"])
        assert source.health().problems == ()
        new.begin("agent:main:main", "t", *chain("c"))
        await eventually(lambda: received.ids("t") == ["s", "c"])
        assert keys(received)[-1] == ["agent:main:main"]


async def test_a_database_for_memory_alone_keeps_nobody_at_the_old_place(state, tmp_path):
    """2026.7.1 keeps one for each agent, and writes to it also when sessions are elsewhere."""
    Store(tmp_path / "data/main/sessions.json").begin("agent:main:main", "s", *chain("a"))
    memory = StoreWriter(
        state / "agents/main/agent/openclaw-agent.sqlite", tables="CREATE TABLE memory_index_meta (key TEXT);"
    )
    async with following(moved_to(state, tmp_path / "data/{agentId}/sessions.json")) as received:
        await eventually(lambda: received.ids("s") == ["s", "a"])
    memory.close()


async def test_a_setting_that_is_taken_back_leads_back(state, relic, tmp_path):
    Store(tmp_path / "data/main/sessions.json").begin("agent:main:main", "s", *chain("a"))
    source = moved_to(state, tmp_path / "data/{agentId}/sessions.json")
    async with following(source) as received:
        await eventually(lambda: received.ids("s") == ["s", "a"])
        source.move(None)
        relic.begin("agent:main:main", "relic", entry("x", "r"))
        await eventually(lambda: received.ids("relic")[-1:] == ["x"])
        assert keys(received)[-1] == ["agent:main:main"]


async def test_from_a_database_to_files_elsewhere_and_back(state, tmp_path):
    writer = StoreWriter(state / "agents/main/agent/openclaw-agent.sqlite")
    writer.node("s")
    writer.append("s", header("s"), *chain("a"))
    Store(tmp_path / "data/main/sessions.json").begin("agent:main:main", "t", *chain("b"))
    source = Installation(Layout(state), fresh_s=3600.0)
    async with following(source) as received:
        await eventually(lambda: received.ids("s") == ["s", "a"])
        source.move(store_place(f"{tmp_path}/data/{{agentId}}/sessions.json", "/root"))
        await eventually(lambda: received.ids("t") == ["s", "b"])
        await eventually(lambda: source.health().stores == {"main": "files"})
        writer.append("s", entry("x", "a"))
        await source.read_now()
        assert received.ids("s") == ["s", "a"]
        source.move(None)
        writer.node("s")
        await eventually(lambda: received.ids("s") == ["s", "a", "x"])
    writer.close()


# Both places in use, as with 2026.7.1 until it is started again


SETTING = "data/{agentId}/sessions.json"
CHANNEL, LATE, CRON = (
    "agent:main:mattermost:channel:x",
    "agent:main:mattermost:channel:y",
    "agent:main:cron:1",
)


def aged(store, seconds):
    """As if its index had been written so long ago."""
    at_s = time.time() - seconds
    os.utime(store.index, (at_s, at_s))


def both_written(problems):
    return any("still written at the old place" in line for line in problems)


async def test_what_is_still_written_at_the_old_place_is_told_with_what_is_at_the_new_one(state, tmp_path):
    old = Store(state / "agents/main/sessions/sessions.json").begin(CHANNEL, "aaa", *chain("a"))
    source = Installation(Layout(state), fresh_s=3600.0)
    async with following(source) as received:
        await eventually(lambda: received.ids("aaa") == ["s", "a"])
        source.move(store_place(str(tmp_path / SETTING), "/root"))
        new = Store(tmp_path / "data/main/sessions.json", old.transcripts).begin(CRON, "ccc", *chain("c"))
        await eventually(lambda: keys(received)[-1] == [CRON])
        assert source.health().problems == ()
        old.begin(LATE, "bbb", *chain("b"))
        await eventually(lambda: keys(received)[-1] == [CRON, CHANNEL, LATE])
        await eventually(lambda: received.ids("bbb") == ["s", "b"])
        assert both_written(source.health().problems)
        # In both directions from then on.
        new.begin("agent:main:cron:2", "ddd", *chain("d"))
        await eventually(lambda: keys(received)[-1] == [CRON, "agent:main:cron:2", CHANNEL, LATE])
        await eventually(lambda: received.ids("ddd") == ["s", "d"])
        old.begin(LATE, "eee", *chain("e"))
        old.append("aaa", entry("f", "a"))
        await eventually(lambda: received.indexes()[-1][LATE].session_id == "eee")
        await eventually(lambda: received.ids("aaa") == ["s", "a", "f"])
        assert received.gone() == []


async def test_a_live_session_is_not_missing_while_its_transcript_is_followed_at_the_other_place(
    state, tmp_path
):
    """It runs for long, and nothing but its transcript says so."""
    old = Store(state / "agents/main/sessions/sessions.json").begin(CHANNEL, "aaa", *chain("a"))
    new = Store(tmp_path / "data/main/sessions.json", old.transcripts).begin(CRON, "ccc", *chain("c"))
    source = files_at(state, tmp_path / SETTING, sweep_s=0.05, clock=(clock := Hurried()))
    async with following(source, [("main", "aaa"), ("main", "nowhere")]) as received:
        await eventually(lambda: received.ids("aaa") == ["s", "a"])
        await eventually(received.gone)
        await clock.pass_by(20)
        assert received.gone() == [TranscriptGone("main", "nowhere", "missing")]
        (old.transcripts / "aaa.jsonl").rename(new.index.parent / "aaa.jsonl")
        new.transcripts = new.index.parent
        await eventually(lambda: received.batches("aaa")[-1].reading is not Reading.MORE)
        new.append("aaa", entry("b", "a"))
        await eventually(lambda: received.ids("aaa")[-1] == "b")
        await clock.pass_by(20)
        assert received.gone() == [TranscriptGone("main", "nowhere", "missing")]


async def test_a_new_entry_at_the_old_place_is_told_at_its_event(state, tmp_path):
    old = Store(state / "agents/main/sessions/sessions.json").begin(CHANNEL, "aaa", *chain("a"))
    Store(tmp_path / "data/main/sessions.json").begin(CRON, "ccc", *chain("c"))
    layout = with_store(Layout(state), store_place(str(tmp_path / SETTING), "/root"))
    source = FileSource(replace(layout, left=Layout(state)), fresh_s=3600.0, sweep_s=3600.0)
    async with following(source) as received:
        await eventually(lambda: received.sessions() == {"aaa", "ccc"})
        old.begin(LATE, "bbb", *chain("b"))
        await eventually(lambda: keys(received)[-1] == [CRON, CHANNEL, LATE])
        await eventually(lambda: received.ids("bbb") == ["s", "b"])


async def test_we_begin_where_both_places_are_in_use(state, tmp_path):
    old = Store(state / "agents/main/sessions/sessions.json").begin(CHANNEL, "aaa", *chain("a"))
    Store(tmp_path / "data/main/sessions.json", old.transcripts).begin(CRON, "ccc", *chain("c"))
    source = moved_to(state, tmp_path / SETTING)
    async with following(source) as received:
        await eventually(lambda: received.indexes() and keys(received)[-1] == [CRON])
        old.begin(LATE, "bbb", *chain("b"))
        await eventually(lambda: keys(received)[-1] == [CRON, CHANNEL, LATE])


async def test_an_agent_that_is_at_the_old_place_alone_is_followed_there(state, tmp_path):
    Store(state / "agents/main/sessions/sessions.json").begin(CHANNEL, "aaa", *chain("a"))
    Store(tmp_path / "data/main/sessions.json").begin(CRON, "ccc", *chain("c"))
    async with following(moved_to(state, tmp_path / SETTING)) as received:
        await eventually(lambda: received.ids("ccc") == ["s", "c"])
        Store(state / "agents/ops/sessions/sessions.json").begin("agent:ops:main", "o", *chain("o"))
        await eventually(lambda: received.lines("o", "ops"))
        await eventually(lambda: keys(received, "ops") == [["agent:ops:main"]])


async def test_health_says_no_more_of_the_old_place_once_nothing_was_written_there_for_long(state, tmp_path):
    old = Store(state / "agents/main/sessions/sessions.json").begin(CHANNEL, "aaa", *chain("a"))
    aged(old, 3_000)
    Store(tmp_path / "data/main/sessions.json").begin(CRON, "ccc", *chain("c"))
    source = moved_to(state, tmp_path / SETTING)
    async with following(source) as received:
        await eventually(lambda: received.indexes() and keys(received)[-1] == [CRON])
        aged(old, 1_000)
        await eventually(lambda: keys(received)[-1] == [CRON, CHANNEL])
        assert source.health().problems == ()
        aged(old, 10)
        await eventually(lambda: both_written(source.health().problems))


async def test_of_a_session_in_both_indexes_the_later_word_counts(state, tmp_path):
    """The key of a channel whose next session came after the gateway was started again."""
    old = Store(state / "agents/main/sessions/sessions.json").begin(CHANNEL, "aaa", *chain("a"))
    new = Store(tmp_path / "data/main/sessions.json", old.transcripts).begin(CRON, "ccc", *chain("c"))
    source = moved_to(state, tmp_path / SETTING)
    async with following(source) as received:
        await eventually(lambda: received.indexes() and keys(received)[-1] == [CRON])
        old.begin(LATE, "bbb")
        await eventually(lambda: keys(received)[-1] == [CRON, CHANNEL, LATE])
        new.begin(CHANNEL, "later", *chain("b"))
        await eventually(lambda: received.indexes()[-1][CHANNEL].session_id == "later")
        old.index.unlink()
        await eventually(lambda: keys(received)[-1] == [CRON, CHANNEL])
        old.index.write_text("{")
        await source.read_now()
        assert keys(received)[-1] == [CRON, CHANNEL]
