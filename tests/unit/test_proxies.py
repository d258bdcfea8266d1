"""Which proxy the environment asks for, and what is said of one that cannot be used."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from status_watcher.config import Config, ConfigErrors, load
from status_watcher.proxies import RULE, UnusableProxy, proxy_for

OUT = "https://chat.example.org"


@pytest.mark.parametrize(
    ("url", "env", "proxy"),
    [
        (OUT, {}, None),
        (OUT, {"HTTPS_PROXY": "proxy:3128"}, "http://proxy:3128"),
        (OUT, {"https_proxy": "http://user:pw@proxy:3128/"}, "http://user:pw@proxy:3128/"),
        (OUT, {"https_proxy": "https://proxy"}, "https://proxy"),
        (OUT, {"https_proxy": "http://[::1]:3128"}, "http://[::1]:3128"),
        (OUT, {"HTTPS_PROXY": "proxy:1", "https_proxy": "other:2"}, "http://other:2"),
        (OUT, {"HTTPS_PROXY": "proxy:1", "https_proxy": ""}, None),
        (OUT, {"HTTP_PROXY": "proxy:1", "ALL_PROXY": "proxy:1"}, None),
        ("http://chat.example.org", {"HTTP_PROXY": "proxy:1"}, "http://proxy:1"),
        ("https://inside.example.org:8443/x", {"HTTPS_PROXY": "p:1", "NO_PROXY": "inside.example.org"}, None),
        ("https://inside.example.org", {"HTTPS_PROXY": "p:1", "no_proxy": ".example.org"}, None),
        (OUT, {"HTTPS_PROXY": "socks5://p:1", "NO_PROXY": "*"}, None),
    ],
)
def test_proxy_is_that_of_the_environment(url, env, proxy):
    assert proxy_for(url, env) == proxy


GARBAGE = [
    "socks5://127.0.0.1:1080",
    "socks5h://user:s3cr3t@proxy:1080",
    "socks4://proxy",
    "ftp://proxy:21",
    "http://",
    "http://:3128",
    "http://[::1",
    "http://proxy:99999",
    "http://proxy:0",
    "http://proxy:abc",
    "http://my proxy:3128",
    "http://proxy:3128\\x",
    "://proxy",
]


@pytest.mark.parametrize("text", GARBAGE)
@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy"])
def test_proxy_that_cannot_be_used_is_one_line_that_names_the_variable_and_no_value(text, variable):
    assert proxy_for(OUT, {variable: text}) == UnusableProxy(variable)
    env = {"HOME": "/home/op", "MM_URL": OUT, "MM_TOKEN": "x5tqf1yz9byqwehx8jmsk4rggo", variable: text}
    assert load(env) == ConfigErrors((f"{variable}: {RULE}",))


def test_it_is_told_with_all_other_errors_and_once():
    env = {"HOME": "/home/op", "MM_URL": OUT, "HTTPS_PROXY": "socks5://p:1", "THROTTLE_MS": "x"}
    env |= {"EVENTS_WEBHOOK_URL": "https://hooks.example.org/x", "LOKI_PUSH_URL": "https://["}
    errors = load(env)
    assert isinstance(errors, ConfigErrors)
    named = [line.partition(":")[0] for line in errors.lines]
    assert named == ["MM_TOKEN", "THROTTLE_MS", "LOKI_PUSH_URL", "HTTPS_PROXY"]


def test_proxy_that_nothing_would_go_by_is_nobodys_business():
    env = {"HOME": "/home/op", "MM_URL": "http://127.0.0.1:8065", "MM_TOKEN": "x5tqf1yz9byqwehx8jmsk4rggo"}
    assert isinstance(load(env | {"HTTPS_PROXY": "socks5://p:1"}), Config)
    assert isinstance(load(env | {"HTTP_PROXY": "socks5://p:1", "NO_PROXY": "127.0.0.1"}), Config)
    assert isinstance(load(env | {"HTTP_PROXY": "socks5://p:1"}), ConfigErrors)


@given(st.text(max_size=40), st.sampled_from(["", "http://", "https://", "http://proxy:"]))
def test_whatever_is_taken_for_a_proxy_is_a_url_to_the_client(text, before):
    found = proxy_for(OUT, {"HTTPS_PROXY": before + text})
    assert found is None or isinstance(found, UnusableProxy) or URL(found).host
