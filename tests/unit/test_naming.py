"""What sessions are called, and which links are made of it."""

import time

import orjson
import pytest

from status_watcher.core.naming import (
    LABEL_MAX_CHARS,
    MOST_LABELS,
    Link,
    LinkHost,
    Names,
    issue_link,
    parse_labels,
    parse_link_hosts,
    session_name,
)
from status_watcher.core.neutralise import ZWSP
from status_watcher.core.pen import Pen
from status_watcher.core.redact import Redactor
from status_watcher.model import AgentId, SessionKey

ID = "6d00cb98-4285-4337-98c2-85ac33d34d9a"
RUN = "3350b034-25d4-4f1c-8c68-3536472eda3e"
JOB = f"agent:main:cron:{ID}"
MAIN = AgentId("main")
HOSTS = (LinkHost("https", "git.example.org", "acme"), LinkHost("https", "github.com"))


def name(key: str, label: str = "", names: Names | None = None) -> str:
    return session_name(SessionKey(key), label, names or Names(), MAIN)


@pytest.mark.parametrize("blank", ["", "  ", "\u200b", " \u2060\n"])
def test_label_of_which_nothing_is_seen_is_none(blank):
    told = Names(sessions={SessionKey(JOB): "Nightly"})
    assert name(JOB, blank, told) == "Nightly"
    assert name(JOB, blank, Names(sessions={SessionKey(JOB): blank})) == "cron 6d00cb98"
    assert name("agent:main:main", blank, Names({MAIN: blank})) == "main"


def url(name: str, hosts: tuple[LinkHost, ...] = HOSTS, key: str = JOB) -> str:
    link = issue_link(SessionKey(key), name, hosts)
    return link.url if link is not None else ""


@pytest.mark.parametrize(
    ("key", "called"),
    [
        (JOB, "cron 6d00cb98"),
        (f"{JOB}:run:{RUN}", "cron 6d00cb98"),
        ("agent:main:cron:nightly", "nightly"),
        (f"hook:{ID}", "hook 6d00cb98"),
        (f"agent:main:hook:{ID}", "hook 6d00cb98"),
        (f"agent:main:hook:gitea-web-12-{ID}", "gitea-web-12-6d00cb98"),
        ("agent:main:hook:gitea:acme/web:12", "gitea acme/web 12"),
        ("agent:main:explicit:gitea-web-12", "gitea-web-12"),
        ("agent:main:gitea-web-12-fix-login", "gitea-web-12-fix-login"),
        (f"agent:main:openresponses:{ID}", "main"),
        ("agent:main:tools", "main"),
        (f"agent:main:subagent:{ID}", "sub-agent 6d00cb98"),
        ("agent:main:main", "main"),
        ("agent:ops:mattermost:channel:kz5mey4ot7dopqcawtegozda4r", "ops"),
        ("global", "main"),
        ("agent:main:hook:", "hook"),
        ("agent:main", "main"),
    ],
)
def test_session_without_a_label_is_called_by_what_its_key_says(key, called):
    assert name(key) == called


def test_label_of_the_store_comes_before_the_ledgers_and_that_before_the_key():
    names = Names({MAIN: "Ada"}, {SessionKey(JOB): "from the ledger"})
    assert name(JOB, "Cron: nightly", names) == "Cron: nightly"
    assert name(JOB, "", names) == "from the ledger"
    assert name("agent:main:main", "", names) == "Ada"


@pytest.mark.parametrize("text", ["gitea-web-12-6d00cb98", "Cron: gitea-web-12-fix-login", "gitea-my_repo-7"])
def test_names_of_jobs_stay_as_people_grep_for_them(text):
    assert Pen(Redactor()).name(text).replace(ZWSP, "") == text


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("Cron: gitea-web-12-fix-login", "https://git.example.org/acme/web/issues/12"),
        ("Automation: gitea-web-12", "https://git.example.org/acme/web/issues/12"),
        (f"gitea-web-12-{ID}", "https://git.example.org/acme/web/issues/12"),
        ("gitea-web-12-1763735999", "https://git.example.org/acme/web/issues/12"),
        ("gitea-web-12-comment-345", "https://git.example.org/acme/web/issues/12"),
        ("gitea-my-repo-12", "https://git.example.org/acme/my-repo/issues/12"),
        ("gitea:other/web#12", "https://git.example.org/other/web/issues/12"),
        ("github:acme/web#12", "https://github.com/acme/web/issues/12"),
        ("git.example.org/other/web#12", "https://git.example.org/other/web/issues/12"),
        ("https://git.example.org/other/web/pulls/12", "https://git.example.org/other/web/issues/12"),
        ("Cron: gitea-web-012 nightly", "https://git.example.org/acme/web/issues/12"),
    ],
)
def test_link_is_built_from_host_repository_and_number(name, made):
    assert url(name) == made
    assert url("", key=f"agent:main:hook:{name.partition(': ')[2] or name}".lower()) == made.lower()


@pytest.mark.parametrize(
    "name",
    [
        "nightly",
        "gitea-web",
        "gitea-12",
        "gitea-web-2-12",  # the second issue of web, or the twelfth of web-2?
        "gitea-web-12345678",
        "gitea-web-12th",
        "github-web-12",  # whose?
        "gitlab:acme/web#12",  # no such host is listed
        "evil.example/acme/web#12",
        "https://evil.example/acme/web/issues/12",
        "https://git.example.org.evil.example/acme/web/issues/12",
        "https://user@git.example.org/acme/web/issues/12",
        "https://git.example.org:8443/acme/web/issues/12",
        "git.example.org/../web#12",
        "git.example.org/acme/we](b#12",
        "gitea:acme/w(b#12",
        "see gitea-web-12",
    ],
)
def test_no_link_where_host_repository_or_number_are_unclear_or_not_listed(name):
    assert url(name) == ""


def test_no_link_without_hosts_and_none_for_conversations():
    assert url("gitea-web-12", ()) == ""
    assert url("gitea-web-12", key="agent:main:main") == ""
    assert url("gitea-web-12", key="agent:main:mattermost:channel:kz5mey4ot7dopqcawtegozda4r") == ""
    assert url("gitea-web-12", key=f"agent:main:subagent:{ID}") == "", "its label is the agent's own word"


def test_one_of_several_hosts_is_meant_only_if_its_name_says_so():
    two = (LinkHost("https", "one.example", "a"), LinkHost("https", "two.example", "b"))
    assert url("gitea-web-12", two) == ""
    named = (LinkHost("https", "one.example", "a"), LinkHost("http", "gitea.example:3000", "b"))
    assert url("gitea-web-12", named) == "http://gitea.example:3000/b/web/issues/12"
    gitlab = (LinkHost("https", "gitlab.example", "group/sub"),)
    assert url("gitlab-web-12", gitlab) == "https://gitlab.example/group/sub/web/-/issues/12"
    assert url("gitea-web-12", gitlab) == ""


def test_link_that_would_show_a_secret_is_left_out():
    link = Link("issue 12", "https://git.example.org/acme/hidden-one/issues/12")
    assert Pen(Redactor()).link(link) == f"[issue 12]({link.url})"
    assert Pen(Redactor.for_secrets("hidden-one")).link(link) == ""


def test_hosts_are_listed_by_commas():
    assert parse_link_hosts(" git.Example.org/acme , http://local:3000/a/b/ ,") == (
        LinkHost("https", "git.example.org", "acme"),
        LinkHost("http", "local:3000", "a/b"),
    )


@pytest.mark.parametrize(
    "text", ["a b", "ftp://a", "a/b(c", "user@a", "a:b", "-a", "https://", "a/../b", "a?b"]
)
def test_what_is_no_host_is_refused(text):
    assert parse_link_hosts(f"good.example, {text}") is None


def test_odd_names_take_no_time():
    started_s = time.process_time()  # a busy machine does not count
    for text in (
        "gitea-" * 10_000,
        "a/" * 10_000,
        "a-" * 10_000 + "#",
        "gitea:" + "1-" * 10_000,
        "git.example.org/" * 999,
    ):
        assert url(text) == ""
    assert time.process_time() - started_s < 1


def ledger(value: object) -> dict[str, str] | None:
    found = parse_labels(orjson.dumps(value))
    return dict(found) if found is not None else None


def test_ledger_names_sessions_by_their_keys():
    assert ledger(
        {"fix-login": {"sessionKey": "agent:main:Subagent:A", "model": "x"}, "plain": "agent:x"}
    ) == {
        "agent:main:subagent:a": "fix-login",
        "agent:x": "plain",
    }


@pytest.mark.parametrize("value", [3, None, {}, {"sessionKey": 3}, {"sessionKey": ""}, [], {"key": "x"}])
def test_what_is_no_label_is_left_out(value):
    assert ledger({"odd": value, "good": {"sessionKey": "agent:x"}, " ": {"sessionKey": "agent:y"}}) == {
        "agent:x": "good"
    }


@pytest.mark.parametrize("data", [b"", b"[]", b"3", b'{"a": {"sessionKey": "x"', b"\xff", b"null"])
def test_torn_or_foreign_ledger_is_none(data):
    assert parse_labels(data) is None


def test_ledger_is_bounded_and_its_last_labels_count():
    found = ledger({f"{n}-" + "x" * 500: {"sessionKey": f"k{n}"} for n in range(MOST_LABELS + 5)})
    assert found is not None
    assert len(found) == MOST_LABELS
    assert "k4" not in found
    assert len(found[f"k{MOST_LABELS}"]) == LABEL_MAX_CHARS
