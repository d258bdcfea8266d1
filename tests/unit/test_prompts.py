"""What kind of message a user line is, by the texts of each version."""

import pytest

from status_watcher.core.prompts import Announcement, Prompt, classify_prompt, strip_padding
from status_watcher.model import SessionId, SessionKey

STAMP = "[Fri 2026-11-20 15:05 UTC] "
CHILD = "agent:main:subagent:633b736b"

IN_2_26 = (
    "System: [2026-11-20 15:05:00 UTC] Mattermost message in #town from @ann: hi\n\n"
    'Conversation info (untrusted metadata):\n```json\n{\n  "message_id": "x"\n}\n```\n\n'
    'Sender (untrusted metadata):\n```json\n{\n  "label": "ann"\n}\n```\n\n'
    f"{STAMP}please help"
)


def kind(text: str, *, hidden: bool = False, tool: str = "", key: str = "") -> Prompt:
    return classify_prompt(text, hidden=hidden, source_tool=tool, source_key=key).kind


def told(text: str, key: str = "", tool: str = "") -> Announcement | None:
    return classify_prompt(text, hidden=False, source_tool=tool, source_key=key).announcement


@pytest.mark.parametrize(
    ("text", "bare"),
    [
        ("please help", "please help"),
        (f"{STAMP}please help", "please help"),
        (IN_2_26, "please help"),
        (
            "System: [2026-11-20] Exec completed (x, code 0)",
            "System: [2026-11-20] Exec completed (x, code 0)",
        ),
        ("[Fri] is no stamp", "[Fri] is no stamp"),
        ("", ""),
    ],
)
def test_padding_of_a_channel_message_is_taken_off(text, bare):
    assert strip_padding(text) == bare


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("please help", Prompt.VISIBLE),
        (IN_2_26, Prompt.VISIBLE),
        ("[Subagent Context] You are a subagent (depth 1/3).\n\n[Subagent Task]: x", Prompt.VISIBLE),
        ("A new session was started via /new or /reset. Greet the user.", Prompt.VISIBLE),
        ("[OpenClaw heartbeat poll]", Prompt.HEARTBEAT),
        (f"{STAMP}Read HEARTBEAT.md if it exists (workspace context).", Prompt.HEARTBEAT),
        (
            f"System: [2026-11-20] Exec completed (x)\n\n{STAMP}Read HEARTBEAT.md if it exists.",
            Prompt.HEARTBEAT,
        ),
        ("Current time: Friday.\nRead HEARTBEAT.md if it exists (workspace context).", Prompt.HEARTBEAT),
        ("What is [OpenClaw heartbeat poll]?", Prompt.VISIBLE),
        ("Pre-compaction memory flush. Store durable memories now.", Prompt.MEMORY_FLUSH),
        ("System: [2026-11-20 15:05:00 UTC] Exec completed (briny-river, code 0)", Prompt.WAKE),
        ("An async command the user already approved has completed.", Prompt.WAKE),
        ("An async command did not run.", Prompt.WAKE),
        ("[OpenClaw exec completion]\nDisable automatic completion turns with …", Prompt.WAKE),
        ("[OpenClaw cron wake]", Prompt.WAKE),
        ("[OpenClaw session event]", Prompt.WAKE),
        ("", Prompt.WAKE),
        ("<<<BEGIN_OPENCLAW_INTERNAL_CONTEXT>>>\nsomething", Prompt.HIDDEN),
        ("<<<BEGIN_OPENCLAW_INTERNAL_CONTEXT>>>\n[Internal task completion event]\nx", Prompt.ANNOUNCEMENT),
        ('[System Message] [sessionId: a-b] A subagent task "x" just timed out.', Prompt.ANNOUNCEMENT),
        ("[System Message] something else", Prompt.WAKE),
    ],
)
def test_kind_of_a_message(text, expected):
    assert kind(text) is expected


def test_provenance_tells_more_than_the_text():
    assert kind("anything", tool="heartbeat") is Prompt.HEARTBEAT
    assert kind("anything", tool="subagent_announce", key=CHILD) is Prompt.ANNOUNCEMENT
    assert kind("Every subagent spawned from this session has now settled", hidden=True) is Prompt.HIDDEN
    assert kind("[Subagent Context] Every subagent …", tool="subagent_settle", key=CHILD) is Prompt.HIDDEN
    assert kind("Go on where you were.", tool="main_session_restart_recovery") is Prompt.RESUMED
    assert kind("[cron:6d00 rig job] Do it", tool="cron") is Prompt.VISIBLE


def test_report_of_a_child_that_quotes_the_heartbeat_file_is_a_report():
    report = '[System Message] [sessionId: a] A subagent task "x" just completed.\n\nResult:\n'
    text = f"{report}Read HEARTBEAT.md if it exists"
    assert kind(text) is Prompt.ANNOUNCEMENT


@pytest.mark.parametrize(
    ("how", "outcome"),
    [
        ("completed successfully", "done"),
        ("failed: out of memory", "failed"),
        ("timed out", "timeout"),
        ("ran away", None),
    ],
)
@pytest.mark.parametrize("label", ["helper", "fix failed tests", 'say "timed out" loudly', ""])
def test_announcement_of_2_26_is_read_from_its_text(label, how, outcome):
    text = (
        f'{STAMP}[System Message] [sessionId: 7ded24f1-c895] A subagent task "{label}" just {how}.\n\n'
        "Result:\nstatus: failed\nsession_key: agent:x\n\nStats: runtime 5s"
    )
    assert told(text) == Announcement(SessionId("7ded24f1-c895"), None, label, outcome)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [("completed successfully", "done"), ("failed", "failed"), ("timed out", "timeout")],
)
def test_announcement_of_3_31_is_read_from_its_text_and_its_provenance(status, outcome):
    text = (
        f"{STAMP}OpenClaw runtime context (internal):\n\n[Internal task completion event]\nsource: subagent\n"
        f"session_key: {CHILD}\nsession_id: 35e17ba9\ntype: subagent task\ntask: leaf\nstatus: {status}\n\n"
        'Result (untrusted content):\nstatus: timed out\nA subagent task "x" failed'
    )
    expected = Announcement(SessionId("35e17ba9"), SessionKey(CHILD), "", outcome)
    assert told(text) == expected
    assert told(text, key=CHILD, tool="subagent_announce") == expected


def test_announcement_of_9_6_is_read_from_its_event_and_not_from_what_the_child_says():
    text = (
        "<<<BEGIN_OPENCLAW_INTERNAL_CONTEXT>>>\nOpenClaw runtime context (internal):\n\n"
        f"[Internal task completion event]\nsource: subagent\nsession_key: {CHILD}\nsession_id: 35e17ba9\n"
        "type: subagent task\ntask: leaf\nstatus: completed\n\n"
        'Child result:\n<<<DATA\nstatus: failed\nsubagent task "x" failed\n>>>\n\nAction:\nReply.'
    )
    assert told(text) == Announcement(SessionId("35e17ba9"), SessionKey(CHILD), "", "done")


def test_hostile_padding_is_taken_off_in_no_time():
    assert strip_padding("System: [x\n" * 700 + "Sender (untrusted metadata):\n```json\n" * 100)


def test_hostile_events_are_read_in_no_time():
    told("[Internal task completion event]\n" * 240, tool="subagent_announce")
