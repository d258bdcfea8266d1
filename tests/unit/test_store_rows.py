import json

from status_watcher.core.index import StoreStatus
from status_watcher.core.store_branch import Kind, Node, abandoned, extends, parse_node
from status_watcher.core.store_rows import Birth, NodeRow, RouteRow, copied_until_ms, entry_of, fits

KEY = "agent:main:main"
CHANNEL = "abcdefghijklmnopqrstuvwxyz"


def node_row(entry=None, *, key=KEY, session_id="s1", body=None, **columns):
    fields = {"sessionId": session_id, "updatedAt": 5, **(entry or {})}
    return NodeRow(key, session_id, json.dumps(fields).encode() if body is None else body, 7, **columns)


def test_an_entry_is_read_as_the_file_store_wrote_it_and_its_columns_win():
    delivery = {
        "kind": "external",
        "route": {"channel": "mattermost", "target": {"to": "user:u1"}},
        "context": {"channel": "mattermost", "to": "user:u1"},
        "origin": {"provider": "mattermost", "to": "user:u1", "nativeChannelId": CHANNEL},
    }
    row = node_row(
        {"status": "running", "label": "old", "delivery": delivery},
        status="done",
        label="new",
        spawned_by="agent:main:parent",
    )
    entry = entry_of(row)
    assert (entry.status, entry.label, entry.spawned_by) == (StoreStatus.DONE, "new", "agent:main:parent")
    assert (entry.channel, entry.to, entry.native_channel_id) == ("mattermost", "user:u1", CHANNEL)
    assert entry.updated_at_ms == 7


def test_the_current_session_is_that_of_the_column():
    assert entry_of(node_row(session_id="now", body=b'{"sessionId":"before"}')).session_id == "now"


def test_a_node_whose_entry_is_not_written_yet_is_a_session_all_the_same():
    assert entry_of(node_row(body=b"{}")).session_id == "s1"
    assert entry_of(node_row(body=b"\xff{", status="running")).status is StoreStatus.RUNNING


def test_a_node_without_a_session_is_none():
    assert entry_of(node_row(session_id="", body=b"{}")) is None


def test_the_conversation_gives_the_route_only_where_the_entry_has_none():
    route = RouteRow("mattermost", f"channel:{CHANNEL}", "root1", CHANNEL)
    assert entry_of(node_row(), route).thread_id == "root1"
    own = node_row({"delivery": {"context": {"channel": "webchat"}}})
    assert entry_of(own, route).channel == "webchat"


def test_a_fork_is_no_child_of_what_it_was_forked_from():
    forked = {"parentSessionKey": "agent:main:source", "forkSource": {"sessionKey": "agent:main:source"}}
    row = node_row(forked, parent_key="agent:main:source", fork_source_id="s0")
    assert entry_of(row).spawned_by is None
    child = node_row({"parentSessionKey": "agent:main:source"}, parent_key="agent:main:source")
    assert entry_of(child).spawned_by == "agent:main:source"


def test_a_thread_is_no_child_of_its_channel():
    row = node_row(
        key="agent:main:mattermost:channel:c:thread:r", parent_key="agent:main:mattermost:channel:c"
    )
    assert entry_of(row).spawned_by is None


def test_copies_are_told_by_the_session_that_they_were_copied_from():
    assert copied_until_ms(Birth(1000, 900, ("s0",), first_in_source=True)) == 1000


def test_an_ordinary_first_line_older_than_its_header_is_no_copy():
    assert copied_until_ms(Birth(1000, 998, (), None)) == 0
    assert copied_until_ms(Birth(9000, 998, (), None)) == 0
    assert copied_until_ms(Birth(1000, 998, ("s0",), first_in_source=False)) == 0
    assert copied_until_ms(None) == 0


def test_where_the_source_is_gone_only_what_is_clearly_older_is_a_copy():
    assert copied_until_ms(Birth(5000, 4998, ("s0",), None)) == 0
    assert copied_until_ms(Birth(5000, 3000, ("s0",), None)) == 5000


def test_a_transcript_beyond_the_limit_is_read_from_near_its_end():
    assert fits(30, 30, [10, 10, 10], 15) == 3
    assert fits(40, 30, [10, 10, 10, 10], 25) == 2
    assert fits(40, 30, [100], 25) == 1


def entry(seq, entry_id, parent, *, kind=Kind.ENTRY, linked=True):
    return Node(seq, kind, entry_id, parent, linked)


def leaf(seq, target, entry_id="leaf"):
    return Node(seq, Kind.LEAF, entry_id, None, linked=True, target=target)


LINE = (Node(0, Kind.OTHER, "s"), entry(1, "a", None), entry(2, "b", "a"), entry(3, "c", "b"))


def test_nothing_of_a_straight_line_is_abandoned():
    assert abandoned(LINE) == frozenset()


def test_what_a_leaf_leaves_behind_is_abandoned():
    assert abandoned((*LINE, leaf(4, "a"))) == {2, 3}
    assert abandoned((*LINE, leaf(4, "a"), entry(5, "d", "a"))) == {2, 3}
    assert abandoned((*LINE, leaf(4, None))) == {1, 2, 3}


def test_an_entry_under_the_leaf_itself_goes_on_where_it_points():
    assert abandoned((*LINE, leaf(4, "a", "l1"), entry(5, "d", "l1"))) == {2, 3}


def test_a_branch_may_be_switched_back():
    assert abandoned((*LINE, leaf(4, "a"), entry(5, "d", "a"), leaf(6, "c"))) == {5}


def test_an_entry_with_an_older_parent_branches_off():
    assert abandoned((*LINE, entry(4, "d", "a"))) == {2, 3}


def test_an_entry_with_an_unknown_parent_or_none_named_goes_on():
    assert abandoned((*LINE, entry(4, "d", "not kept here"))) == frozenset()
    assert abandoned((*LINE, entry(4, "d", None, linked=False))) == frozenset()


def test_what_is_appended_aside_neither_moves_the_branch_nor_is_abandoned():
    aside = entry(4, "m", "c", kind=Kind.ASIDE)
    assert abandoned((*LINE, aside, entry(5, "d", "c"))) == frozenset()
    assert abandoned((*LINE, aside, entry(5, "d", "m"))) == frozenset()


def test_a_leaf_to_nowhere_changes_nothing():
    assert abandoned((*LINE, leaf(4, "unknown"))) == frozenset()


def test_nothing_branches_off_before_a_reset():
    reset = entry(4, "r", None, kind=Kind.RESET)
    assert abandoned((*LINE, reset, entry(5, "d", "r"))) == frozenset()
    assert abandoned((*LINE, reset, entry(5, "d", "a"))) == frozenset()
    assert abandoned((*LINE, reset, leaf(5, "a"), entry(6, "d", "a"))) == frozenset()


def test_entries_in_a_circle_do_not_hang():
    assert abandoned((entry(1, "a", None), entry(2, "b", "a"), leaf(3, "b"), entry(4, "a", "b"))) is not None


def test_an_event_tells_its_place_in_the_tree():
    told = parse_node(3, b'{"type":"message","id":"b","parentId":"a"}')
    assert told == Node(3, Kind.ENTRY, "b", "a")
    assert parse_node(3, b'{"type":"message","id":"b","parentId":"a","appendMode":"side"}').kind is Kind.ASIDE
    assert parse_node(3, b'{"type":"leaf","id":"l","parentId":"b","targetId":null}').target is None
    assert parse_node(0, b'{"type":"session","id":"s"}').kind is Kind.OTHER
    assert parse_node(0, b'{"type":"message","id":"b"}').linked is False
    assert parse_node(0, b"[]") is None
    assert parse_node(0, b"{") is None


def test_only_what_may_leave_entries_behind_asks_for_a_second_look():
    assert extends(entry(4, "d", "c"), "c")
    assert extends(entry(4, "d", None, kind=Kind.ASIDE), "c")
    assert not extends(entry(4, "d", "b"), "c")
    assert not extends(leaf(4, "a"), "c")
