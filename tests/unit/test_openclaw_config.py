"""OpenClaw's configuration as we read it: JSON5, includes, references, and every shape that is none."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from status_watcher.core.openclaw_config import (
    Absent,
    Given,
    HeldElsewhere,
    HookSettings,
    InFile,
    OpenclawConfig,
    Unset,
    parse_openclaw_config,
)
from status_watcher.core.openclaw_document import Document, NoDocument, is_plain_json, read_document
from status_watcher.core.session_store import Single, UsualBelow

PATH = "/home/op/.openclaw/openclaw.json"


def parsed(text: str | dict, env=None, files=None) -> OpenclawConfig:
    content = json.dumps(text) if isinstance(text, dict) else text
    document = read_document(content.encode(), PATH, (files or {}).get)
    assert isinstance(document, Document), document
    return parse_openclaw_config(document, env or {})


def mattermost(channel: dict, env=None, **rest):
    return parsed({"channels": {"mattermost": channel}, **rest}, env).mattermost


# JSON5


def test_json5_is_read_with_its_liberties():
    config = parsed(
        """// written by hand
        {
          agents: { list: [ { id: 'main', name: "Ada", }, ], }, /* trailing commas */
          session: { store: '~/.openclaw/agents/{agentId}/sessions/sessions.json' },
          port: 0x1F, ratio: .5,
        }"""
    )
    assert config.agent_names == {"main": "Ada"}
    assert config.sessions_store == UsualBelow("/.openclaw")


@pytest.mark.parametrize(
    ("env", "place"),
    [
        ({}, None),
        ({"HOME": "/home/op"}, None),
        ({"STORE": "/data"}, Single("/data/all.json")),
        ({"STORE": "~", "HOME": "/home/op"}, Single("/home/op/all.json")),
        ({"STORE": "~", "HOME": "/home/op", "OPENCLAW_HOME": "/srv/claw"}, Single("/srv/claw/all.json")),
    ],
)
def test_the_place_of_sessions_is_that_for_openclaws_environment(env, place):
    assert parsed({"session": {"store": "${STORE}/all.json"}}, env).sessions_store == place


def test_byte_order_mark_is_no_content():
    assert isinstance(read_document(b"\xef\xbb\xbf{}", PATH, lambda _: None), Document)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"null",
        b'"text"',
        b"{",
        b"{} {}",
        b"\xff\xfe{\x00}\x00",
        b'{"a": "\xff"}',
        b"{a:" * 5000,
        b"[" * 500_000,
        b"{a:" + b"9" * 100_000 + b"}",
        b"/*" + b"*" * 500_000,
        b'{"a":"' + b"x" * (1 << 20) + b'"}',
    ],
    ids=lambda content: repr(content[:12]),
)
def test_what_is_no_configuration_is_one_reason_without_its_content_and_soon(content):
    begun = time.process_time()  # a busy machine does not count
    document = read_document(content, PATH, lambda _: None)
    assert isinstance(document, NoDocument)
    assert time.process_time() - begun < 1
    assert "xxx" not in document.reason


@given(st.binary(max_size=200) | st.text(alphabet="{}[]:,'\"/*\\$ax0.", max_size=60).map(str.encode))
def test_no_content_raises(content):
    document = read_document(content, PATH, lambda _: content)
    if isinstance(document, Document):
        parse_openclaw_config(document, {})


KEYS = ["channels", "mattermost", "accounts", "default", "botToken", "baseUrl", "source", "id", "provider"]
KEYS += ["agents", "list", "entries", "name", "identity", "hooks", "internal", "enabled", "env", "load"]
KEYS += ["extraDirs", "installs", "session", "store", "secrets", "providers", "path", "$include"]
JSONISH = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["", "x", "${A}", "$A", "env", "file"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(KEYS),
            inner,
            max_size=4,
        )
    ),
    max_leaves=25,
)


@given(
    st.dictionaries(st.sampled_from(["channels", "agents", "hooks", "session", "secrets", "env"]), JSONISH)
)
def test_no_shape_raises(root):
    parsed(root, {"A": "b"})


@pytest.mark.parametrize(
    ("text", "plain"), [('{"a": 1}', True), ("{a: 1}", False), ('{"a": 1,}', False), ('{"a": 1} // x', False)]
)
def test_plain_json_is_told_from_json5(text, plain):
    assert is_plain_json(text.encode()) is plain


# Includes


def test_an_include_replaces_its_object_and_siblings_win():
    files = {
        "/home/op/.openclaw/agents.json5": b"{list: [{id: 'a', name: 'Inc'}], defaults: {workspace: '/w'}}",
    }
    config = parsed('{agents: {$include: "./agents.json5", defaults: {workspace: "/own"}}}', files=files)
    assert config.agent_names == {"a": "Inc"}
    assert config.workspaces == ("/own",)
    assert not config.incomplete


def test_several_includes_are_merged_in_order_and_nested_ones_are_relative_to_their_file():
    files = {
        "/home/op/.openclaw/a.json": b'{"mattermost": {"baseUrl": "http://a", "botToken": "token-of-a"}}',
        "/home/op/.openclaw/sub/b.json": b'{"$include": "c.json"}',
        "/home/op/.openclaw/sub/c.json": b'{"mattermost": {"baseUrl": "http://c"}}',
    }
    account = parsed('{channels: {$include: ["a.json", "sub/b.json"]}}', files=files).mattermost
    assert account.base_url == Given("http://c")
    assert account.bot_token == Given("token-of-a")


@pytest.mark.parametrize("name", ["/etc/passwd", "../other/x.json", "missing.json", 7, "a\0b", ["x"], None])
def test_an_include_outside_or_missing_leaves_the_rest_and_says_so(name):
    asked = []
    document = read_document(
        json.dumps({"agents": {"$include": name, "list": [{"id": "a", "name": "A"}]}}).encode(),
        PATH,
        asked.append,
    )
    assert isinstance(document, Document)
    config = parse_openclaw_config(document, {})
    assert config.agent_names == {"a": "A"}
    assert config.incomplete
    assert all(path.startswith("/home/op/.openclaw/") for path in asked)


def test_a_file_that_includes_itself_ends():
    files = {PATH: b'{"$include": ["openclaw.json", "openclaw.json"]}'}
    assert parsed('{"$include": ["openclaw.json", "openclaw.json"]}', files=files).incomplete


# Agents


@pytest.mark.parametrize(
    "agents",
    [
        {
            "list": [
                {"id": "main", "name": "Ada"},
                {"id": "Ops", "identity": {"name": "Grace"}},
                {"id": "plain"},
            ]
        },
        {"entries": {"main": {"name": "Ada"}, "Ops": {"identity": {"name": "Grace"}}, "plain": {}}},
    ],
    ids=["list until 2026.7", "entries in 2026.9"],
)
def test_agents_have_the_name_they_are_configured_with(agents):
    assert parsed({"agents": agents}).agent_names == {"main": "Ada", "ops": "Grace"}


def test_an_agents_own_name_wins_over_its_identitys():
    agents = {"list": [{"id": "a", "name": "Own", "identity": {"name": "Persona"}}]}
    assert parsed({"agents": agents}).agent_names == {"a": "Own"}


# The Mattermost account


def test_url_and_token_as_they_are_written():
    account = mattermost({"enabled": True, "baseUrl": "https://chat.example.org/", "botToken": " token-1 "})
    assert (account.base_url, account.bot_token) == (Given("https://chat.example.org/"), Given("token-1"))


def test_no_secret_in_a_repr():
    config = parsed(
        {
            "channels": {"mattermost": {"baseUrl": "http://h", "botToken": "s3cr3t-token"}},
            "hooks": {"internal": {"entries": {"x": {"env": {"MM_TOKEN": "s3cr3t-token"}}}}},
        }
    )
    assert "s3cr3t" not in repr(config)


@pytest.mark.parametrize(
    ("channel", "token"),
    [
        ({"accounts": {"default": {"botToken": "d"}, "a": {"botToken": "a"}}}, "d"),
        ({"accounts": {"b": {"botToken": "b"}, "a": {"botToken": "a"}}}, "a"),
        ({"defaultAccount": "B", "accounts": {"b": {"botToken": "b"}, "a": {"botToken": "a"}}}, "b"),
        ({"defaultAccount": "gone", "accounts": {"b": {"botToken": "b"}}}, "b"),
        ({"botToken": "top", "accounts": {"b": {"botToken": "b"}}}, "top"),
        ({"botToken": "top", "accounts": {"default": {"botToken": "d"}, "b": {}}}, "d"),
        ({"botToken": "top", "accounts": {"Default": {}}}, "top"),
    ],
)
def test_the_account_is_the_plugins_default_over_the_channels_own_settings(channel, token):
    account = mattermost({"baseUrl": "http://h", **channel})
    assert account.bot_token == Given(token)
    assert account.base_url == Given("http://h")


def test_the_plugins_variables_stand_in_for_the_default_account_alone():
    env = {"MATTERMOST_BOT_TOKEN": "from-env", "MATTERMOST_URL": "http://env"}
    account = mattermost({"enabled": True}, env)
    assert (account.base_url, account.bot_token) == (Given("http://env"), Given("from-env"))
    other = mattermost({"accounts": {"b": {"enabled": True}}}, env)
    assert (other.base_url, other.bot_token) == (Absent(), Absent())


REFERENCES = {
    "template": "${MM_BOT}",
    "shorthand": "$MM_BOT",
    "old mark": "secretref-env:MM_BOT",
    "object": {"source": "env", "provider": "default", "id": "MM_BOT"},
    "object without provider": {"source": "env", "id": "MM_BOT"},
}


@pytest.mark.parametrize("reference", REFERENCES.values(), ids=REFERENCES.keys())
def test_a_token_in_the_environment_is_found_there_or_named(reference):
    assert mattermost({"botToken": reference}, {"MM_BOT": "token-1"}).bot_token == Given("token-1")
    assert mattermost({"botToken": reference}).bot_token == Unset("MM_BOT")


def test_the_files_own_env_block_comes_after_the_environment():
    rest = {"channels": {"mattermost": {"baseUrl": "https://${HOST}/x", "botToken": "${TOK}"}}}
    block = {"env": {"HOST": "top.example", "vars": {"TOK": "inline-token"}}}
    account = parsed({**rest, **block}).mattermost
    assert (account.base_url, account.bot_token) == (Given("https://top.example/x"), Given("inline-token"))
    account = parsed({**rest, **block}, {"TOK": "real", "HOST": " "}).mattermost
    assert (account.base_url, account.bot_token) == (Given("https://top.example/x"), Given("real"))


def test_an_escaped_reference_is_text():
    assert mattermost({"botToken": "a$${B}c"}).bot_token == Given("a${B}c")


@pytest.mark.parametrize(
    ("secret", "expected"),
    [
        ({"source": "exec", "provider": "vault", "id": "mm/token"}, HeldElsewhere("a command")),
        ({"source": "store", "provider": "default", "id": "MM"}, HeldElsewhere("OpenClaw's secret store")),
        ({"source": "moon", "id": "MM"}, HeldElsewhere("a source unknown to us")),
        ({"source": 7}, HeldElsewhere("a reference of an unknown shape")),
        ({"source": "env", "id": "s3cr3t value"}, HeldElsewhere("a reference of an unknown shape")),
        ({"source": "file", "provider": "f", "id": "/mm/token"}, InFile("~/secrets.json", "/mm/token")),
        ({"source": "file", "id": "/mm/token"}, InFile("~/secrets.json", "/mm/token")),
        ({"source": "file", "provider": "one", "id": "value"}, InFile("/run/secrets/mm", None)),
        (
            {"source": "file", "provider": "gone", "id": "/x"},
            HeldElsewhere("a file of a provider that it does not describe"),
        ),
        ({}, Absent()),
        (7, Absent()),
        (None, Absent()),
        ("  ", Absent()),
    ],
)
def test_a_token_elsewhere_is_named_by_its_kind(secret, expected):
    secrets = {
        "providers": {
            "f": {"source": "file", "path": "~/secrets.json", "mode": "json"},
            "one": {"source": "file", "path": "/run/secrets/mm", "mode": "singleValue"},
        },
        "defaults": {"file": "f"},
    }
    assert mattermost({"botToken": secret}, secrets=secrets).bot_token == expected


# Hooks


def test_hook_settings_as_written():
    config = parsed(
        {
            "hooks": {
                "internal": {
                    "enabled": True,
                    "entries": {
                        "a": {"enabled": True},
                        "b": {"enabled": False},
                        "c": {"env": {"N": 7, "F": True, "S": "${X}", "L": [], "bad name": "x"}},
                    },
                    "load": {"extraDirs": [" ", "/opt/hooks"]},
                    "installs": {"pack": {"hooks": ["p"]}},
                }
            }
        },
        {"X": "resolved"},
    )
    assert config.hooks == HookSettings(
        enabled=True,
        entries={"a": True, "b": False, "c": None},
        env={"a": {}, "b": {}, "c": {"N": "7", "F": "true", "S": "resolved"}},
        extra_dirs=True,
        open_installs=False,
    )


def test_without_anything_everything_is_absent():
    assert parsed({}) == OpenclawConfig()
