"""Whatever a job is called, a box links to nothing but issues on listed hosts."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from status_watcher.core.naming import LinkHost, Names, issue_link, session_name
from status_watcher.core.pen import Pen
from status_watcher.core.redact import Redactor
from status_watcher.core.render import Limits, bare_box
from status_watcher.model import AgentId, SessionKey, State
from status_watcher.sandbox.markdown import render_markdown

HOSTS = (LinkHost("https", "git.example.org", "acme"), LinkHost("https", "github.com"))
PEN = Pen(Redactor())
LISTED = re.compile(r"https://(?:git\.example\.org|github\.com)/(?:[\w.-]+/)+issues/\d{1,7}", re.ASCII)
# What the grammar of names is made of, and what Markdown is made of.
WORDS = (
    "gitea",
    "github",
    "git.example.org",
    "evil.example",
    "12",
    "7",
    "web",
    "acme",
    "issues",
    "@all",
    "www.",
)
SIGNS = (
    "https://",
    "http:",
    "javascript:",
    "-",
    "/",
    ":",
    "#",
    "..",
    ".",
    "](",
    "[",
    ")",
    "(",
    "<",
    ">",
    "|",
    "\n",
)
MARKS = (
    "\\",
    "`",
    "!",
    "?",
    "&",
    "_",
    "%2e",
    "é",
    "\u202e",
    "\u200b",
    " ",
    "6d00cb98-4285-4337-98c2-85ac33d34d9a",
)
PIECES = st.sampled_from((*WORDS, *SIGNS, *MARKS))
NAMES = st.lists(PIECES, max_size=14).map("".join)


@pytest.mark.parametrize("where", ["label", "key"])
@given(
    text=NAMES, head=st.sampled_from(["", "gitea-web-12", "gitea:acme/web#12", "git.example.org/acme/web#12"])
)
def test_links_lead_to_issues_on_listed_hosts_alone(where, head, text):
    told = head + text
    key = SessionKey("agent:main:cron:job-1" if where == "label" else f"agent:main:hook:{told}")
    name = session_name(key, told if where == "label" else "", Names(), AgentId("main"))
    link = issue_link(key, name, HOSTS)
    box = bare_box(name, State.DONE, 1_000, Limits(15, 15_000), PEN, link=PEN.link(link) if link else "")
    html = render_markdown(box)
    found = re.findall(r'<a href="([^"]*)"', html)
    assert len(found) == (link is not None)
    assert all(LISTED.fullmatch(url) and "/../" not in url for url in found)
    assert "mention" not in html
