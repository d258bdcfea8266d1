"""Where a session's box goes, by its key and its store entry."""

import pytest

from status_watcher.core.index import StoreEntry
from status_watcher.core.routing import Kind, agent_of, parse_key, route
from status_watcher.model import ChannelTarget, DirectTarget, SessionId, SessionKey

CHANNEL = "chanpub1xxxxxxxxxxxxxxxxxx"
OTHER = "kz5mey4ot7dopqcawtegozda4r"
ROOT = "p56g4y4tjiygxxqs41b6zzjqmy"
USER = "humanuser1xxxxxxxxxxxxxxxx"
UUID = "06e9d631-ac70-4a4c-abb7-35494391b018"


def routed(key: str, channel: str = "", to: str = "", thread_id: str = "", native: str = ""):
    entry = StoreEntry(
        SessionKey(key),
        SessionId("s"),
        channel=channel,
        to=to,
        thread_id=thread_id,
        native_channel_id=native,
    )
    return route(SessionKey(key), entry)


@pytest.mark.parametrize("kind", ["channel", "group"])
def test_channel_of_the_key_wins_over_the_entry(kind):
    target = routed(f"agent:main:mattermost:{kind}:{CHANNEL}", "mattermost", f"channel:{OTHER}", ROOT)
    assert target == ChannelTarget(CHANNEL, "")


def test_channel_session_needs_no_entry():
    assert route(SessionKey(f"agent:main:mattermost:channel:{CHANNEL}"), None) == ChannelTarget(CHANNEL, "")


def test_thread_of_the_key_is_the_root():
    target = routed(
        f"agent:main:mattermost:group:{CHANNEL}:thread:{ROOT}", "mattermost", f"channel:{CHANNEL}"
    )
    assert target == ChannelTarget(CHANNEL, ROOT)


def test_thread_of_the_entry_is_the_root_where_it_speaks_of_the_same_channel():
    target = routed(f"agent:main:mattermost:channel:{CHANNEL}", "mattermost", f"channel:{CHANNEL}", ROOT)
    assert target == ChannelTarget(CHANNEL, ROOT)


@pytest.mark.parametrize(
    "key",
    [
        f"agent:main:mattermost:direct:{USER}",
        f"agent:main:mattermost:default:direct:{USER}",
        f"agent:main:direct:{USER}",
    ],
)
def test_direct_session_goes_to_its_user(key):
    assert routed(key, "mattermost", "", "") == DirectTarget(USER)


def test_direct_message_goes_to_the_channel_between_its_user_and_our_own_bot():
    assert routed("agent:main:main", "mattermost", f"user:{USER}", native=OTHER) == DirectTarget(USER)


def test_direct_message_of_a_user_who_has_no_id_goes_to_the_channel_that_the_store_names():
    assert routed("agent:main:main", "mattermost", "user:@bob", native=OTHER) == ChannelTarget(OTHER, "")
    assert routed("agent:main:main", "mattermost", "user:@bob", native="x") is None


@pytest.mark.parametrize("to", ["", "heartbeat", f"channel:{CHANNEL}"])
def test_channel_where_a_session_began_is_not_where_it_is_now(to):
    expected = ChannelTarget(CHANNEL, "") if to.startswith("channel:") else None
    assert routed("agent:main:main", "mattermost", to, native=OTHER) == expected
    assert routed("agent:main:main", "webchat", to, native=OTHER) is None


def test_main_session_goes_where_it_was_last_written_to():
    assert routed("agent:main:main", "mattermost", f"user:{USER}") == DirectTarget(USER)
    assert routed("agent:main:main", "mattermost", f"channel:{CHANNEL}", ROOT) == ChannelTarget(CHANNEL, ROOT)
    assert routed("agent:main:main", "mattermost", f"mattermost:channel:{CHANNEL}") == ChannelTarget(
        CHANNEL, ""
    )


@pytest.mark.parametrize("channel", ["", "webchat", "telegram", "slack", "heartbeat"])
def test_session_of_another_provider_has_no_place_here(channel):
    assert routed("agent:main:main", channel, f"channel:{CHANNEL}") is None


@pytest.mark.parametrize(
    "key",
    [
        f"agent:main:telegram:group:{CHANNEL}",
        f"agent:main:discord:channel:{CHANNEL}:thread:{ROOT}",
        f"agent:main:slack:direct:{USER}",
    ],
)
def test_key_of_another_provider_wins_over_a_mattermost_entry(key):
    assert routed(key, "mattermost", f"channel:{CHANNEL}") is None


@pytest.mark.parametrize(
    "key",
    [
        "agent:main:mattermost:channel:town-square",
        f"agent:main:mattermost:channel:{CHANNEL[:-1]}",
        f"agent:main:mattermost:channel:{CHANNEL.upper()}",
        "agent:main:mattermost:direct:me",
    ],
)
def test_id_that_mattermost_cannot_have_is_no_place(key):
    assert routed(key, "mattermost") is None


@pytest.mark.parametrize(
    "thread", ["42", "zzz", ROOT[:-1], f"{ROOT}x", ROOT.upper(), f"{ROOT}:thread:{ROOT}"]
)
def test_thread_that_no_post_can_have_begun_leaves_a_session_in_its_channel(thread):
    in_channel = ChannelTarget(CHANNEL, "")
    channel_key = f"agent:main:mattermost:channel:{CHANNEL}"
    to = f"channel:{CHANNEL}"
    assert routed(f"{channel_key}:thread:{thread}") == in_channel
    assert routed(channel_key, "mattermost", to, thread) == in_channel
    assert routed("agent:main:main", "mattermost", to, thread) == in_channel
    assert routed(f"agent:main:main:thread:{thread}", "mattermost", to) == in_channel


def test_thread_of_the_entry_is_the_root_where_that_of_the_key_is_no_post():
    key = f"agent:main:mattermost:channel:{CHANNEL}:thread:zzz"
    assert routed(key, "mattermost", f"channel:{CHANNEL}", ROOT) == ChannelTarget(CHANNEL, ROOT)


@pytest.mark.parametrize(
    "to", ["", "heartbeat", "user:", "channel:", f"team:{CHANNEL}", CHANNEL, "user:@bob"]
)
def test_target_that_names_nobody_is_no_place(to):
    assert routed("agent:main:main", "mattermost", to) is None


def test_cron_run_has_no_place_wherever_it_delivers():
    assert routed(f"agent:main:cron:{UUID}:run:{UUID}", "mattermost", f"channel:{CHANNEL}") is None


@pytest.mark.parametrize(
    ("key", "agent", "kind"),
    [
        ("agent:main:main", "main", Kind.MAIN),
        (f"agent:lead-{UUID}:main", f"lead-{UUID}", Kind.MAIN),
        (f"agent:mc-gateway-{UUID}:main", f"mc-gateway-{UUID}", Kind.MAIN),
        (f"agent:main:mattermost:channel:{CHANNEL}", "main", Kind.CHANNEL),
        (f"agent:main:mattermost:group:{CHANNEL}:thread:{ROOT}", "main", Kind.GROUP),
        (f"agent:main:mattermost:default:direct:{USER}", "main", Kind.DIRECT),
        (f"agent:main:subagent:{UUID}", "main", Kind.SUBAGENT),
        (f"agent:main:cron:{UUID}", "main", Kind.CRON),
        (f"agent:main:cron:{UUID}:run:{UUID}", "main", Kind.CRON),
        (f"agent:main:acp:{UUID}", "main", Kind.ACP),
        ("agent:main:explicit:nightly", "main", Kind.EXPLICIT),
        ("agent:main:main:heartbeat", "main", Kind.HEARTBEAT),
        (f"agent:main:mattermost:work:channel:{CHANNEL}", "main", Kind.CHANNEL),
        (f"agent:main:main:thread:{ROOT}", "main", Kind.MAIN),
        (f"agent:lead-{UUID}:mattermost:channel:{CHANNEL}:thread:{ROOT}", f"lead-{UUID}", Kind.CHANNEL),
        (f"agent:mc-gateway-{UUID}:subagent:{UUID}", f"mc-gateway-{UUID}", Kind.SUBAGENT),
        (f"agent:main:dashboard:{UUID}", "main", Kind.OTHER),
        ("agent:main:spawnfail", "main", Kind.OTHER),
        (f"hook:{UUID}", "", Kind.HOOK),
        ("global", "", Kind.OTHER),
        ("unknown", "", Kind.OTHER),
        ("agent:", "", Kind.OTHER),
        ("agent", "", Kind.OTHER),
        ("", "", Kind.OTHER),
        ("::::", "", Kind.OTHER),
    ],
)
def test_key_of_any_shape_is_taken_apart(key, agent, kind):
    parts = parse_key(SessionKey(key))
    assert (parts.agent, parts.kind) == (agent, kind)
    assert agent_of(SessionKey(key)) == agent


def test_base_of_a_thread_is_the_channel_session():
    parts = parse_key(SessionKey(f"agent:main:mattermost:channel:{CHANNEL}:thread:{ROOT}"))
    assert parts.base == f"agent:main:mattermost:channel:{CHANNEL}"
    assert (parts.provider, parts.peer, parts.thread_id) == ("mattermost", CHANNEL, ROOT)
