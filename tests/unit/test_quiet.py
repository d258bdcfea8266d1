"""What a policy makes of boxes, where they stand, and what makes none."""

from collections.abc import Mapping
from typing import Any

import captures
import pytest
from builders import (
    CHANNEL,
    KEY,
    SESSION,
    T0,
    Transcript,
    Watched,
    call,
    child_entry,
    child_key,
    entry,
    lines,
    ms,
    said,
    spawn,
    status,
)
from simulate import DEFAULT_CHANNEL, play

from status_watcher.core.board import box_id_of
from status_watcher.core.naming import LinkHost
from status_watcher.core.policy import Fixed, Level, Placing, Policy, Rule, SessionKind
from status_watcher.core.post import BoxRecord
from status_watcher.model import (
    AgentId,
    ChannelId,
    ChannelTarget,
    DirectTarget,
    EntryId,
    PostId,
    SessionId,
    SessionKey,
    Target,
    Urgency,
    UserId,
)
from status_watcher.sandbox.markdown import render_markdown
from status_watcher.source import Reading

REF = (AgentId("main"), SessionId(SESSION))
ROOT = "oayhotzuufya3focd48sqgiqhy"
USER = "humanuser1xxxxxxxxxxxxxxxx"
JOBS = ChannelId("jobschannelxxxxxxxxxxxxxxx")
THREAD_KEY = f"{KEY}:thread:{ROOT}"


def watching(*rules: Rule, entries: Mapping[str, dict[str, Any]] | None = None, **settings: Any) -> Watched:
    return Watched(entries=entries, policy=Policy(rules), **settings)


def works(watched: Watched, t: Transcript, **user: Any) -> None:
    watched.at(0, t.header(), t.user(0, **user), t.assistant(1, said("Looking."), call()))
    watched.until(4)


def place(watched: Watched, **user: Any) -> Target:
    """Where the box of a working turn stands."""
    works(watched, Transcript(), **user)
    (box,) = watched.boxes
    return box.target


# How much


def test_compact_box_is_one_line_from_beginning_to_end():
    watched, t = watching(Rule(level=Level.COMPACT)), Transcript()
    works(watched, t)
    watched.at(30, t.ok(30, "c1"), t.assistant(30, said("More."), call("c2")))
    watched.at(53, t.ok(53, "c2"), t.final(53, tokens=12_200))
    (texts,) = watched.player.seen.texts.values()
    assert [text for text in texts if "\n" in text] == []
    assert texts[0].startswith("[ACTIVE] main | 1s")
    assert watched.text == "[DONE] main | 53s | 12.4k tokens"


def test_compact_box_that_fails_is_one_line():
    watched, t = watching(Rule(level=Level.COMPACT)), Transcript()
    watched.at(0, t.header(), t.user(0), t.failed(3))
    watched.until(60)
    assert watched.text.startswith("[ERROR] main | 3s")
    assert "\n" not in watched.text


def test_lines_that_one_line_does_not_show_are_worth_no_edit():
    watched, t = watching(Rule(level=Level.COMPACT)), Transcript()
    works(watched, t)
    told = []
    for at_s in range(5, 60, 2):
        watched.board.take(lines(t.ok(at_s, f"c{at_s}"), t.assistant(at_s, call(f"c{at_s + 2}"))), ms(at_s))
        watched.board.advance(ms(at_s))
        told += [urgency for _, urgency in watched.board.take_changes().touched]
        (snapshot,) = watched.board.snapshots(ms(at_s), 10)
        assert snapshot.standing.idle_ms == 0, "nor is it quiet for that"
    assert told == [Urgency.TICK] * 3, "as many as for a turn in which nothing happens"
    watched.board.take(lines(t.final(60)), ms(60))
    watched.board.advance(ms(60))
    assert [urgency for _, urgency in watched.board.take_changes().touched] == [Urgency.END]


def test_one_line_says_at_once_what_is_waited_for():
    watched, t, k = family(Rule(kind=SessionKind.CHANNEL, level=Level.COMPACT))
    assert watched.text == "[ACTIVE] main | 2s"
    watched.at(5, t.ok(5, "w"), t.final(6, "They are at work."))
    assert watched.text == "[WAITING] main | 6s | for 1 sub-agent"
    watched.at(9, lines(k.ok(9, "k1"), k.final(10), session_id="kid-id"))
    watched.until(40)
    assert watched.text.startswith("[DONE] main | 10s | ")


def test_first_turn_that_only_the_store_knows_is_one_line_as_well():
    running = {KEY: entry() | status("running", started_s=0)}
    watched = watching(Rule(level=Level.COMPACT), entries=running)
    watched.until(3)
    assert watched.text.startswith("[ACTIVE] main | 2s")
    watched.store_at(8, **status("failed", started_s=0, ended_s=7))
    watched.until(60)
    assert watched.text.startswith("[ERROR] main | 7s")
    assert "\n" not in watched.text


def long_turn(*rules: Rule) -> str:
    watched, t = watching(*rules), Transcript()
    command = "make " + "a-target " * 30
    watched.at(0, t.header(), t.user(0))
    for n in range(40):
        watched.at(n + 1, t.assistant(n + 1, call(f"n{n}", command=command)), t.ok(n + 1, f"n{n}"))
    return watched.text


def test_detailed_box_has_twice_the_lines_and_twice_as_much_of_each():
    normal, detailed = long_turn(), long_turn(Rule(level=Level.DETAILED))
    assert len(normal.splitlines()) == 1 + 15
    assert len(detailed.splitlines()) == 1 + 30
    shown = [max(len(line) for line in text.splitlines()) for text in (normal, detailed)]
    assert shown[0] < 160
    assert 240 < shown[1] < 300


def test_detailed_box_keeps_to_the_size_of_a_post():
    watched, t = watching(Rule(level=Level.DETAILED)), Transcript()
    watched.board.limit_chars(400)
    watched.at(0, t.header(), t.user(0))
    for n in range(40):
        watched.at(n + 1, t.assistant(n + 1, said("word " * 50), call(f"n{n}")))
    assert all(len(text) <= 400 for texts in watched.player.seen.texts.values() for text in texts)


@pytest.mark.parametrize("ending", ["final", "failed"])
def test_no_box_where_they_are_switched_off_whatever_happens(ending):
    watched, t = watching(Rule(level=Level.OFF)), Transcript()
    works(watched, t)
    watched.at(5, t.ok(5, "c1"), getattr(t, ending)(6))
    watched.until(60)
    assert watched.boxes == []
    assert watched.board.counts().waiting == 0


def test_first_turn_has_no_box_where_they_are_switched_off():
    running = {KEY: entry() | status("running", started_s=0)}
    watched = watching(Rule(level=Level.OFF), entries=running)
    watched.until(30)
    assert watched.boxes == []


def test_open_box_of_before_is_brought_to_its_end_where_they_are_switched_off_now():
    box_id = box_id_of(REF, EntryId("e1"))
    target = ChannelTarget(ChannelId(CHANNEL), PostId(""))
    watched, t = watching(Rule(level=Level.OFF)), Transcript()
    watched.board.restore([BoxRecord(box_id, target, "n", T0, PostId("p"))], ms(-60))
    watched.at(0, lines(t.header(), t.user(-90), t.assistant(-89, call()), reading=Reading.FIRST))
    watched.at(5, t.ok(5, "c1"), t.final(6))
    assert watched.text.startswith("[DONE] main | 1m 36s")
    assert "\n" not in watched.text


# Sub-agents


def family(*rules: Rule) -> tuple[Watched, Transcript, Transcript]:
    kid = child_key("kid")
    watched = watching(*rules, entries={KEY: entry(), kid: child_entry("kid-id")})
    t, k = Transcript(), Transcript("kid-id", prefix="k")
    watched.at(0, t.header(), t.user(0), t.assistant(1, spawn("s")), t.spawned(2, "s", kid))
    watched.at(
        3,
        lines(k.header(2), k.user(2), k.assistant(3, said("Kid at work."), call("k1")), session_id="kid-id"),
    )
    watched.at(4, t.assistant(4, call("w")))
    return watched, t, k


def test_sub_agents_take_one_line_in_the_box_if_a_rule_says_so():
    watched, t, k = family(Rule(kind=SessionKind.SUBAGENT, level=Level.COMPACT))
    assert "Sub-agent: helper running 2s" in watched.text
    assert "Kid at work" not in watched.text
    watched.at(9, lines(k.ok(9, "k1"), k.final(10), session_id="kid-id"))
    watched.at(11, t.ok(11, "w"))
    assert "Sub-agent: helper [DONE] 8s" in watched.text


def test_sub_agents_are_left_out_of_the_box_if_a_rule_says_so():
    watched, _, _ = family(Rule(kind=SessionKind.SUBAGENT, level=Level.OFF))
    assert "helper" not in watched.text
    assert "exec" in watched.text


def test_rules_that_do_not_name_sub_agents_leave_them_as_they_are_in_the_box():
    watched, _, _ = family(Rule(level=Level.COMPACT), Rule(kind=SessionKind.CHANNEL, level=Level.NORMAL))
    assert "Kid at work" in watched.text


def test_sub_agent_is_called_by_the_ledger_as_soon_as_that_tells():
    kid = child_key("6d00cb98-4285-4337-98c2-85ac33d34d9a")
    watched = watching(entries={KEY: entry(), kid: child_entry("kid-id", label="")})
    t = Transcript()
    watched.at(
        0,
        t.header(),
        t.user(0),
        t.assistant(1, call("s", "sessions_spawn", task="x")),
        t.spawned(2, "s", kid),
    )
    watched.until(5)
    assert "Sub-agent: 6d00cb98" in watched.text
    watched.board.name_sessions({SessionKey(kid): "proj-planner"})
    watched.at(5)
    assert "Sub-agent: proj-planner" in watched.text


def test_ledger_that_says_nothing_about_a_box_costs_it_no_edit():
    watched, t = watching(), Transcript()
    works(watched, t)
    watched.board.name_sessions({SessionKey("agent:other:x"): "other"})
    watched.board.advance(ms(4))
    assert watched.board.take_changes().touched == ()


def test_sub_agent_with_a_box_of_its_own_is_called_by_the_ledger_else_by_a_short_id():
    kid = child_key("6d00cb98-4285-4337-98c2-85ac33d34d9a")
    watched = watching(entries={kid: entry(spawnedBy="agent:gone:main")})
    works(watched, Transcript())
    assert watched.text.startswith("[ACTIVE] sub-agent 6d00cb98 | ")
    watched.board.name_sessions({SessionKey(kid): "proj-planner"})
    watched.at(5)
    assert watched.text.startswith("[ACTIVE] proj-planner | ")


# Where


def transport(**more: str) -> dict[str, Any]:
    """Of a prompt's message, as 2026.9.6 writes it."""
    return {"__openclaw": {"transport": {"channel": "mattermost", "messageId": ROOT, **more}}}


OTHER_ROOT = "67jicozxnf8ctrwtcthrc6fyzo"
HERE, IN_THREAD = (
    ChannelTarget(ChannelId(CHANNEL), PostId("")),
    ChannelTarget(ChannelId(CHANNEL), PostId(ROOT)),
)


@pytest.mark.parametrize(
    ("placing", "key", "user", "target"),
    [
        (None, KEY, transport(), HERE),
        (None, THREAD_KEY, {}, IN_THREAD),
        (Placing.CONVERSATION, THREAD_KEY, {}, IN_THREAD),
        (Placing.CHANNEL, THREAD_KEY, {}, HERE),
        (Placing.CHANNEL, KEY, {}, HERE),
        (Placing.THREAD, THREAD_KEY, transport(messageId=OTHER_ROOT), IN_THREAD),
        (Placing.THREAD, KEY, transport(), IN_THREAD),
        (Placing.THREAD, KEY, transport(messageId=OTHER_ROOT, replyToId=ROOT), IN_THREAD),
        (Placing.THREAD, KEY, transport(messageId=OTHER_ROOT, threadId=ROOT), IN_THREAD),
        (Placing.THREAD, KEY, {}, HERE),
        (Placing.THREAD, KEY, transport(messageId="no id"), HERE),
        (Placing.THREAD, KEY, transport(channel="telegram"), HERE),
        (Fixed(JOBS), THREAD_KEY, {}, ChannelTarget(JOBS, PostId(""))),
    ],
)
def test_box_stands_where_the_placement_says(placing, key, user, target):
    rules = () if placing is None else (Rule(placement=placing),)
    assert place(watching(*rules, entries={key: entry()}), **user) == target


@pytest.mark.parametrize(
    ("capture", "prompt_id"),
    [
        ("2026.9.6/mm-channel", "post0001xxxxxxxxxxxxxxxxxx"),
        ("2026.9.6/approval-wait", "oq3yp9pi1pbczgakwm7tjyjhqa"),
    ],
)
def test_prompt_of_a_real_channel_has_its_box_in_the_thread_that_it_opens(capture, prompt_id):
    def roots(*rules: Rule) -> list[str]:
        played = play(captures.load(capture), policy=Policy(rules))
        return [box.target.root_id for box in played.final.values() if isinstance(box.target, ChannelTarget)]

    assert roots() == [""]
    assert roots(Rule(placement=Placing.THREAD)) == [prompt_id]


def test_thread_of_a_message_elsewhere_is_no_place_for_a_session_that_moves():
    watched = watching(Rule(placement=Placing.THREAD), entries={"agent:main:main": entry()})
    assert place(watched, **transport()) == HERE


DM = entry(lastTo=f"user:{USER}", deliveryContext={"channel": "mattermost", "to": f"user:{USER}"})


def test_direct_message_stays_there_unless_a_rule_names_its_kind():
    entries = {"agent:main:main": DM}
    everything = Rule(placement=Fixed(JOBS))
    assert place(watching(everything, entries=entries)) == DirectTarget(UserId(USER))
    named = Rule(kind=SessionKind.DM, placement=Fixed(JOBS))
    assert place(watching(everything, named, entries=entries)) == ChannelTarget(JOBS, PostId(""))


KINDS = {
    SessionKind.CHANNEL: [KEY, THREAD_KEY, f"agent:main:mattermost:group:{CHANNEL}", "agent:main:main"],
    SessionKind.CRON: ["agent:main:cron:job", f"agent:main:cron:job:run:{SESSION}"],
    SessionKind.HOOK: ["hook:6d00cb98", "agent:main:hook:6d00cb98"],
    SessionKind.EXPLICIT: ["agent:main:explicit:x"],
    SessionKind.SUBAGENT: ["agent:main:subagent:x"],
    SessionKind.DM: [f"agent:main:mattermost:direct:{USER}"],
}


@pytest.mark.parametrize(("kind", "key"), [(kind, key) for kind, keys in KINDS.items() for key in keys])
def test_session_is_of_the_kind_that_its_key_says(kind, key):
    for other in SessionKind:
        watched = watching(Rule(kind=other, level=Level.OFF), entries={key: entry()})
        works(watched, Transcript())
        assert (watched.boxes == []) is (other is kind), other


def test_session_that_talks_to_nobody_here_is_explicit_whatever_it_is_called():
    for key in ("agent:main:main", "agent:main:webchat", "global", "agent:main:telegram:group:1"):
        watched = watching(
            Rule(kind=SessionKind.EXPLICIT, level=Level.OFF), entries={key: {"sessionId": SESSION}}
        )
        works(watched, Transcript())
        assert watched.boxes == []


@pytest.mark.parametrize("key", ["agent:main:cron:job-1", "hook:6d00cb98", "agent:main:hook:6d00cb98"])
def test_jobs_go_to_the_default_channel_at_normal_detail_though_they_deliver_elsewhere(key):
    watched = watching(entries={key: entry(label="Cron: nightly")})
    assert place(watched) == ChannelTarget(DEFAULT_CHANNEL, PostId(""))
    assert watched.text.startswith("[ACTIVE] Cron: nightly | ")
    assert "Looking." in watched.text


@pytest.mark.parametrize("peer", ["town-square", "7", CHANNEL[:-1], CHANNEL.upper()])
def test_session_of_a_channel_that_cannot_exist_has_none_and_goes_to_the_default_one(peer):
    """The API takes any key and any route; a server answers 403 to every post for such a channel."""
    watched = watching(entries={f"agent:main:mattermost:channel:{peer}": entry()})
    assert place(watched) == ChannelTarget(DEFAULT_CHANNEL, PostId(""))


def test_rules_about_the_default_channel_are_about_sessions_without_one():
    rule = Rule(channel=DEFAULT_CHANNEL, level=Level.COMPACT)
    watched = watching(rule, entries={"agent:main:cron:job-1": entry()})
    works(watched, Transcript())
    assert watched.text.count("\n") == 0


def test_fixed_channel_needs_no_default_one():
    rule = Rule(kind=SessionKind.CRON, placement=Fixed(JOBS))
    watched = watching(rule, entries={"agent:main:cron:job-1": entry()}, default_channel=None)
    assert place(watched) == ChannelTarget(JOBS, PostId(""))


# Links


def linked(label: str, hosts: tuple[LinkHost, ...]) -> str:
    watched = watching(entries={"agent:main:cron:job-1": entry(label=label)}, link_hosts=hosts)
    works(watched, Transcript())
    return watched.boxes[0].text


def test_job_about_an_issue_links_to_it_once_its_host_is_listed():
    hosts = (LinkHost("https", "git.example.org", "acme"),)
    first = linked("Cron: gitea-web-12-fix", hosts).splitlines()[0]
    assert first.endswith(" | [issue 12](https://git.example.org/acme/web/issues/12)")
    html = render_markdown(linked("Cron: gitea-web-12-fix", hosts))
    assert html.count("<a ") == 1
    assert 'href="https://git.example.org/acme/web/issues/12"' in html
    assert ">issue 12</a>" in html
    assert "](" not in linked("Cron: gitea-web-12-fix", ())


def test_link_comes_with_the_name_that_the_ledger_tells_later():
    key, hosts = "agent:main:hook:6d00cb98", (LinkHost("https", "git.example.org", "acme"),)
    watched = watching(entries={key: entry()}, link_hosts=hosts)
    works(watched, Transcript())
    assert "](" not in watched.boxes[0].text
    watched.board.name_sessions({SessionKey(key): "gitea-web-12"})
    watched.at(5)
    assert "[issue 12](https://git.example.org/acme/web/issues/12)" in watched.boxes[0].text


def test_address_in_the_name_of_a_job_is_no_link_and_fetches_no_preview():
    text = linked("https://evil.example/acme/web/issues/12", (LinkHost("https", "git.example.org"),))
    assert "<a " not in render_markdown(text)
    assert "https://" not in text


# Nothing


def test_later_messages_and_turns_make_no_new_post_of_a_running_turn():
    watched, t = watching(), Transcript()
    works(watched, t)
    for n in range(20):
        watched.at(5 + n, t.user(5 + n, f"And another thing {n}"))
    watched.at(40, t.ok(40, "c1"), t.final(41))
    assert len(watched.boxes) == 1
    assert watched.player.seen.withdrawn == []
    assert len({box.target for box in watched.boxes}) == 1


def test_no_box_is_made_in_a_thread_that_the_conversation_is_not_in():
    watched, t = watching(), Transcript()
    for n in range(3):
        at = 10 * n
        watched.at(at, *([t.header()] if not n else []), t.user(at), t.assistant(at + 1, call(f"c{n}")))
        watched.at(at + 3, t.ok(at + 3, f"c{n}"), t.final(at + 4))
    assert [box.target for box in watched.boxes] == [HERE] * 3


@pytest.mark.parametrize("version", ["2.26", "3.31"])
@pytest.mark.parametrize("answer", ["ANNOUNCE_SKIP", "NO_REPLY", "The helper is done."])
@pytest.mark.parametrize("took_s", [1, 9])
def test_announcement_without_work_makes_no_box(version, answer, took_s):
    watched, t = watching(), Transcript(version=version)
    old = [t.header(-900), t.user(-900), t.final(-890)]
    watched.at(0, lines(*old, reading=Reading.FIRST))
    watched.at(1, t.announced(1, child_key=child_key("x")))
    watched.at(took_s, t.final(1 + took_s, answer))
    watched.until(100)
    assert watched.boxes == []


def test_announcement_in_7_1_which_is_an_answer_alone_makes_no_box():
    watched, t = watching(), Transcript()
    watched.at(0, lines(t.header(-900), t.user(-900), t.final(-890), reading=Reading.FIRST))
    watched.at(9, t.final(9, "The helper is done.", asked_s=2))
    watched.until(100)
    assert watched.boxes == []


def test_memory_flush_that_fails_gets_a_box():
    watched, t = watching(), Transcript(version="2.26")
    watched.at(
        0, t.header(), t.user(0, "Pre-compaction memory flush. Store durable memories now."), t.failed(1)
    )
    watched.until(60)
    assert watched.states == ["ERROR"]


def test_quick_turn_that_fails_gets_a_box():
    watched, t = watching(), Transcript()
    watched.at(0, t.header(), t.user(0), t.failed(1))
    watched.until(60)
    assert watched.states == ["ERROR"]


def test_quick_turn_with_a_tool_gets_a_box():
    watched, t = watching(), Transcript()
    watched.at(0, t.header(), t.user(0), t.assistant(0.5, call()), t.ok(0.8, "c1"), t.final(1))
    watched.until(60)
    assert watched.states == ["DONE"]


def test_heartbeat_of_2026_9_6_gets_no_box():
    watched, t = watching(), Transcript()
    told = {"provenance": {"kind": "internal_system", "sourceTool": "heartbeat"}}
    watched.at(
        0, t.header(), t.user(0, "[OpenClaw heartbeat poll]", **told), t.assistant(1, call()), t.ok(4, "c1")
    )
    watched.at(9, t.final(9, "NO_REPLY"))
    watched.until(100)
    assert watched.boxes == []
