"""The store's parser: fields of each version, and nothing but skipping on bad ones."""

import json

import pytest

from status_watcher.core.index import Index, InvalidIndex, StoreEntry, StoreStatus, parse_index
from status_watcher.model import SessionId, SessionKey

CHANNEL = "chanpub1xxxxxxxxxxxxxxxxxx"
ROOT = "post0001xxxxxxxxxxxxxxxxxx"


def parsed(**fields) -> StoreEntry:
    """The entry of a store that holds this one alone."""
    index = parse_index(json.dumps({"agent:main:x": {"sessionId": "s1", **fields}}).encode())
    assert isinstance(index, Index)
    assert index.skipped == 0
    return index.entries[SessionKey("agent:main:x")]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b" \n\t", "empty"),
        (b'{"agent:main:main": {"sess', "not_json"),
        (b"\xff\xfe", "not_json"),
        (b"\x00" * 64, "not_json"),
        (b"[]", "not_object"),
        (b"null", "not_object"),
    ],
)
def test_unreadable_store_says_nothing_about_sessions(data, reason):
    assert parse_index(data) == InvalidIndex(reason)


def test_empty_store_is_readable_and_has_no_session():
    assert parse_index(b"{}") == Index({}, 0)


def test_entry_of_2026_2_has_a_route_and_no_status():
    entry = parsed(
        updatedAt=1795193649642,
        sessionFile="/home/node/.openclaw/agents/main/sessions/s1.jsonl",
        deliveryContext={"channel": "mattermost", "to": f"channel:{CHANNEL}", "threadId": ROOT},
        lastChannel="mattermost",
        lastTo=f"channel:{CHANNEL}",
        lastThreadId=ROOT,
        abortedLastRun=False,
        skillsSnapshot={"_omitted": 736},
    )
    assert entry == StoreEntry(
        key=SessionKey("agent:main:x"),
        session_id=SessionId("s1"),
        session_file="/home/node/.openclaw/agents/main/sessions/s1.jsonl",
        updated_at_ms=1795193649642,
        channel="mattermost",
        to=f"channel:{CHANNEL}",
        thread_id=ROOT,
    )


def test_entry_of_2026_7_has_run_state_and_lineage():
    entry = parsed(
        status="failed",
        startedAt=1795193641641,
        endedAt=1795193649615.0,
        abortedLastRun=True,
        spawnedBy="agent:main:main",
        label="helper-a",
    )
    assert entry.status is StoreStatus.FAILED
    assert (entry.started_at_ms, entry.ended_at_ms) == (1795193641641, 1795193649615)
    assert entry.aborted_last_run
    assert entry.spawned_by == "agent:main:main"
    assert entry.label == "helper-a"


NESTED = {"channel": "mattermost", "target": {"to": f"channel:{CHANNEL}"}, "thread": {"id": ROOT}}
FLAT = {"channel": "mattermost", "to": f"channel:{CHANNEL}", "threadId": ROOT}
ORIGIN = {"provider": "mattermost", "to": f"channel:{CHANNEL}", "threadId": ROOT}
LAST = {"lastChannel": "mattermost", "lastTo": f"channel:{CHANNEL}", "lastThreadId": ROOT}


@pytest.mark.parametrize(
    "fields",
    [
        {"deliveryContext": FLAT},
        LAST,
        {"route": NESTED},
        {"origin": ORIGIN},
        {"delivery": {"kind": "external", "context": FLAT}},
        {"delivery": {"kind": "external", "route": NESTED}},
        {"delivery": {"origin": ORIGIN}},
        {"deliveryContext": {"channel": "mattermost"}, **LAST},
        {
            "deliveryContext": {"channel": "mattermost", "to": f"channel:{CHANNEL}"},
            "lastTo": 3,
            "route": NESTED,
        },
    ],
)
def test_route_is_found_wherever_a_version_writes_it(fields):
    entry = parsed(**fields)
    assert (entry.channel, entry.to, entry.thread_id) == ("mattermost", f"channel:{CHANNEL}", ROOT)


def test_route_is_not_pieced_together_from_two_places():
    """Last written to from webchat; the origin is still the Mattermost channel."""
    entry = parsed(deliveryContext={"channel": "webchat"}, origin=ORIGIN, lastTo=f"channel:{CHANNEL}")
    assert (entry.channel, entry.to, entry.thread_id) == ("webchat", "", "")


def test_thread_of_another_place_is_not_taken_over():
    entry = parsed(
        deliveryContext={"channel": "mattermost", "to": "user:humanuser1xxxxxxxxxxxxxxxx"},
        origin=ORIGIN,
    )
    assert (entry.to, entry.thread_id) == ("user:humanuser1xxxxxxxxxxxxxxxx", "")


@pytest.mark.parametrize(
    "thread", [7, 1.5, True, None, "", "7", "zzz", ROOT[:-1], ROOT.upper(), [ROOT], {"id": ROOT}]
)
def test_thread_that_no_post_can_have_begun_is_none_wherever_it_stands(thread):
    to = f"channel:{CHANNEL}"
    for fields in (
        {"deliveryContext": FLAT | {"threadId": thread}},
        LAST | {"lastThreadId": thread},
        {"route": NESTED | {"thread": {"id": thread}}},
        {"delivery": {"context": FLAT | {"threadId": thread}, "route": NESTED | {"thread": {"id": thread}}}},
        {"origin": ORIGIN | {"threadId": thread}},
    ):
        entry = parsed(**fields)
        assert (entry.channel, entry.to, entry.thread_id) == ("mattermost", to, "")
    assert parsed(deliveryContext=FLAT | {"threadId": thread}, **LAST).thread_id == ROOT


def test_parent_session_key_is_the_parent_unless_it_is_the_channel_of_a_thread():
    store = {
        "agent:main:subagent:1": {"sessionId": "a", "parentSessionKey": "agent:main:main"},
        "agent:main:mattermost:channel:c:thread:t": {
            "sessionId": "b",
            "parentSessionKey": "agent:main:mattermost:channel:c",
        },
        "agent:main:self": {"sessionId": "c", "spawnedBy": "agent:main:self"},
    }
    index = parse_index(json.dumps(store).encode())
    assert isinstance(index, Index)
    assert [entry.spawned_by for entry in index.entries.values()] == ["agent:main:main", None, None]


@pytest.mark.parametrize(
    "bad",
    [
        None,
        3,
        "s1",
        [],
        {},
        {"sessionId": 7},
        {"sessionId": ""},
        {"sessionId": "../../etc/passwd"},
        {"sessionId": ".."},
    ],
)
def test_bad_entry_is_skipped_and_counted(bad):
    index = parse_index(json.dumps({"agent:main:bad": bad, "agent:main:good": {"sessionId": "s"}}).encode())
    assert isinstance(index, Index)
    assert list(index.entries) == ["agent:main:good"]
    assert index.skipped == 1


TEXTS = ("sessionFile", "status", "spawnedBy", "parentSessionKey", "label", "lastChannel", "lastTo")
OBJECTS = ("deliveryContext", "route", "origin", "delivery")
NUMBERS = ("startedAt", "endedAt", "updatedAt")


@pytest.mark.parametrize("wrong", [None, True, 1.5, [1], {"a": {}}])
def test_text_or_object_of_another_type_is_absent(wrong):
    entry = parsed(abortedLastRun=wrong is True and "yes", **dict.fromkeys((*TEXTS, *OBJECTS), wrong))
    assert entry == StoreEntry(SessionKey("agent:main:x"), SessionId("s1"))


@pytest.mark.parametrize("wrong", [None, True, "1795193641641", [1], {"a": {}}, -(2**70), 1e300])
def test_time_that_is_no_count_of_milliseconds_is_absent(wrong):
    assert parsed(**dict.fromkeys(NUMBERS, wrong)) == StoreEntry(SessionKey("agent:main:x"), SessionId("s1"))


def test_unknown_status_is_no_status():
    assert parsed(status="paused").status is None
