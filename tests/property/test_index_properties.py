"""Whatever stands in the store's file, reading it never raises."""

import json

from hypothesis import given
from hypothesis import strategies as st

from status_watcher.core.index import Index, InvalidIndex, StoreEntry, parse_index
from status_watcher.core.routing import parse_key, route
from status_watcher.model import ChannelTarget, DirectTarget, SessionKey

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
FIELDS = st.sampled_from(
    [
        *("sessionId", "sessionFile", "status", "startedAt", "endedAt", "updatedAt", "abortedLastRun"),
        *(
            "spawnedBy",
            "parentSessionKey",
            "label",
            "deliveryContext",
            "lastChannel",
            "lastTo",
            "lastThreadId",
        ),
        *("route", "origin", "delivery", "channel", "to", "threadId", "target", "thread", "id"),
    ]
)
ENTRIES = st.dictionaries(FIELDS, JSON | st.dictionaries(FIELDS, JSON, max_size=5), max_size=8)
WORDS = ["agent", "main", "mattermost", "channel", "group", "direct", "thread", "subagent", "cron"]
PARTS = st.sampled_from([*WORDS, "chanpub1xxxxxxxxxxxxxxxxxx"]) | st.text(max_size=5)
KEYS = st.text(max_size=40) | st.lists(PARTS, max_size=8).map(":".join)


@given(st.binary())
def test_any_bytes_are_an_answer(data):
    assert isinstance(parse_index(data), Index | InvalidIndex)


@given(JSON)
def test_any_json_is_an_answer(document):
    assert isinstance(parse_index(json.dumps(document).encode()), Index | InvalidIndex)


@given(st.dictionaries(KEYS, ENTRIES | JSON, max_size=5))
def test_every_entry_is_read_or_counted(store):
    index = parse_index(json.dumps(store).encode())
    if isinstance(index, InvalidIndex):  # json writes lone surrogates and huge numbers that orjson refuses
        assert index.reason == "not_json"
        return
    assert len(index.entries) + index.skipped == len(store)
    for key, entry in index.entries.items():
        assert entry.key == key
        assert entry.session_id
        assert isinstance(route(key, entry), ChannelTarget | DirectTarget | None)


@given(KEYS)
def test_any_key_has_parts(key):
    parts = parse_key(SessionKey(key))
    assert key.startswith(parts.base)
    assert isinstance(route(SessionKey(key), None), ChannelTarget | DirectTarget | None)


@given(KEYS, st.text(), st.text(), st.text())
def test_any_place_is_well_formed_or_none(key, channel, to, thread_id):
    entry = StoreEntry(SessionKey(key), "s", channel=channel, to=to, thread_id=thread_id)
    match route(SessionKey(key), entry):
        case ChannelTarget(channel_id, root_id):
            assert len(channel_id) == 26
            assert len(root_id) in {0, 26}
        case DirectTarget(user_id):
            assert len(user_id) == 26
        case None:
            pass
