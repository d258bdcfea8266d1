"""URL and token out of OpenClaw's configuration, where no variable of ours gives them."""

import json

import pytest

from status_watcher.config import Config, ConfigErrors, load

TOKEN = "x5tqf1yz9byqwehx8jmsk4rggo"
URL = "https://chat.example.org"
HOME = {"HOME": "/home/op"}
FILE = "/home/op/.openclaw/openclaw.json"


def loaded(env, channel=None, files=None, **rest):
    contents = dict(files or {})
    if channel is not None:
        contents[FILE] = json.dumps({"channels": {"mattermost": channel}, **rest}).encode()
    return load(HOME | env, read_file=lambda path: contents.get(str(path)), is_dir=lambda _: False)


def settings(result) -> tuple[str, str]:
    assert isinstance(result, Config), result
    return result.mm_url, result.mm_token.get_secret_value()


def errors(result) -> dict[str, str]:
    assert isinstance(result, ConfigErrors), result
    return {line.partition(": ")[0]: line.partition(": ")[2] for line in result.lines}


BOTH = {"baseUrl": f"{URL}/", "botToken": TOKEN}


def test_without_any_variable_both_come_from_openclaw():
    assert settings(loaded({}, BOTH)) == (URL, TOKEN)


def test_what_is_set_is_not_looked_up():
    env = {"MM_URL": "http://ours", "MM_TOKEN": "ours-token"}
    assert settings(loaded(env, BOTH)) == ("http://ours", "ours-token")
    asked = []
    load(HOME | env, read_file=asked.append, is_dir=lambda _: False)
    assert asked == []


def test_a_token_of_ours_goes_to_openclaws_server():
    assert settings(loaded({"MM_TOKEN": "ours-token"}, BOTH)) == (URL, "ours-token")
    assert settings(loaded({"MATTERMOST_BOT_TOKEN": "ours-token"}, BOTH)) == (URL, "ours-token")


@pytest.mark.parametrize("url", [URL, f"{URL}/api/v4/", f" {URL}/ "])
def test_openclaws_token_goes_to_its_own_server_however_that_is_spelled(url):
    assert settings(loaded({"MM_URL": url}, BOTH)) == (URL, TOKEN)


@pytest.mark.parametrize("url", ["http://chat.example.org", "https://other.example", f"{URL}:8443"])
def test_openclaws_token_goes_to_no_other_server(url):
    found = errors(loaded({"MM_URL": url}, BOTH))
    assert list(found) == ["MM_TOKEN"]
    assert "another server" in found["MM_TOKEN"]
    assert TOKEN not in str(found)


def test_openclaws_token_goes_nowhere_if_openclaw_names_no_server():
    assert list(errors(loaded({"MM_URL": URL}, {"botToken": TOKEN}))) == ["MM_TOKEN"]


def test_openclaws_own_variables_are_found_in_the_env_file_beside_its_configuration():
    env_file = {
        "/home/op/.openclaw/.env": f"# x\nexport MATTERMOST_BOT_TOKEN='{TOKEN}'\nHOST=chat\n".encode()
    }
    channel = {"baseUrl": "https://${HOST}.example.org"}
    assert settings(loaded({}, channel, env_file)) == (URL, TOKEN)
    assert settings(loaded({"HOST": "other"}, channel, env_file)) == ("https://other.example.org", TOKEN)


@pytest.mark.parametrize(
    ("reference", "files"),
    [
        ({"source": "file", "provider": "json", "id": "/a~1b/0"}, {"/s.json": {"a/b": {"0": TOKEN}}}),
        ({"source": "file", "provider": "one", "id": "value"}, {"/home/op/tok": f"{TOKEN}\n"}),
    ],
)
def test_a_token_in_a_file_of_secrets_is_read(reference, files):
    contents = {
        path: (content if isinstance(content, str) else json.dumps(content)).encode()
        for path, content in files.items()
    }
    secrets = {
        "providers": {
            "json": {"source": "file", "path": "/s.json"},
            "one": {"source": "file", "path": "~/tok", "mode": "singleValue"},
        }
    }
    channel = {"baseUrl": URL, "botToken": reference}
    assert settings(loaded({}, channel, contents, secrets=secrets)) == (URL, TOKEN)
    assert list(errors(loaded({}, channel, secrets=secrets))) == ["MM_TOKEN"]


@pytest.mark.parametrize(
    ("channel", "said"),
    [
        (
            {"baseUrl": URL, "botToken": {"source": "exec", "provider": "v", "id": "x"}},
            {"MM_TOKEN": "a command"},
        ),
        ({"baseUrl": URL, "botToken": {"source": "store", "id": "X"}}, {"MM_TOKEN": "secret store"}),
        ({"baseUrl": URL, "botToken": "${NOT_HERE}"}, {"MM_TOKEN": "NOT_HERE, which is not set"}),
        ({"baseUrl": "${NOT_HERE}", "botToken": TOKEN}, {"MM_URL": "NOT_HERE, which is not set"}),
        ({"baseUrl": URL}, {"MM_TOKEN": "has no bot token"}),
        ({}, {"MM_TOKEN": "has no bot token", "MM_URL": "has no URL"}),
        ({"baseUrl": "s3cr3t", "botToken": "s3cr3t s3cr3t"}, {"MM_TOKEN": "openclaw", "MM_URL": "openclaw"}),
    ],
)
def test_each_gap_is_one_line_that_names_our_variable_and_no_value(channel, said):
    found = errors(loaded({}, channel))
    assert list(found) == list(said)
    for variable, words in said.items():
        assert words in found[variable]
    assert TOKEN not in str(found)
    assert "s3cr3t" not in str(found)
    assert URL not in str(found)


@pytest.mark.parametrize("content", [None, b"not json", b"[]"])
def test_without_a_readable_file_both_are_required_and_the_file_is_named(content):
    found = errors(loaded({"THROTTLE_MS": "x"}, files={} if content is None else {FILE: content}))
    assert list(found) == ["MM_TOKEN", "MM_URL", "THROTTLE_MS"]
    for variable in ("MM_TOKEN", "MM_URL"):
        assert found[variable].startswith("is required (openclaw.json ")


def test_an_include_that_cannot_be_read_is_said_to_be_the_likely_reason():
    found = errors(loaded({}, files={FILE: b'{"channels": {"$include": "gone.json"}}'}))
    assert "includes cannot be read" in found["MM_TOKEN"]


def test_the_file_is_the_one_that_openclaw_reads():
    files = {
        "/etc/oc.json5": f"{{channels: {{mattermost: {{baseUrl: '{URL}', botToken: '{TOKEN}'}}}}}}".encode()
    }
    assert settings(loaded({"OPENCLAW_CONFIG_PATH": "/etc/oc.json5"}, files=files)) == (URL, TOKEN)
    moved = {"/oc/openclaw.json": json.dumps({"channels": {"mattermost": BOTH}}).encode()}
    assert settings(loaded({"OPENCLAW_STATE_DIR": "/oc"}, files=moved)) == (URL, TOKEN)


@pytest.mark.parametrize("variable", ["TRANSCRIPT_DIR", "SESSIONS_JSON"])
def test_one_installations_token_does_not_serve_anothers_transcripts(variable):
    inside = loaded({variable: "/home/op/.openclaw/agents/main/sessions"}, BOTH)
    assert settings(inside) == (URL, TOKEN)
    found = errors(loaded({variable: "/elsewhere/agents"}, BOTH))
    assert list(found) == ["MM_TOKEN", "MM_URL"]
    assert "outside" in found["MM_TOKEN"]


@pytest.mark.parametrize(
    "channel",
    [
        {**BOTH, "enabled": False},
        {"accounts": {"default": {**BOTH, "enabled": False}}},
        {"enabled": False, "accounts": {"default": {**BOTH, "enabled": True}}},
    ],
    ids=["channel", "account", "channel of an enabled account"],
)
def test_what_openclaw_has_disabled_is_not_borrowed(channel):
    found = errors(loaded({}, channel))
    assert list(found) == ["MM_TOKEN", "MM_URL"]
    for line in found.values():
        assert line.startswith("is required (openclaw.json has Mattermost disabled, ")
    assert list(errors(loaded({"MM_URL": URL}, channel))) == ["MM_TOKEN"]
    assert list(errors(loaded({"MM_TOKEN": TOKEN}, channel))) == ["MM_URL"]
    assert settings(loaded({"MM_URL": URL, "MM_TOKEN": "ours-token"}, channel)) == (URL, "ours-token")


def test_an_account_that_is_not_openclaws_default_may_be_disabled():
    channel = {**BOTH, "enabled": True, "accounts": {"b": {"enabled": False}}}
    assert settings(loaded({}, channel)) == (URL, TOKEN)
