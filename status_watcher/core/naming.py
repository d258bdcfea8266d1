"""What a session is called, and which issue its name speaks of.

A name is, in this order: the store's label, the label that a dispatcher's ledger has for its key, what the
key itself says of a job, and for everything else the agent's name. Labels and keys are others' words: they
are written by `Pen` like all such text. An address is never taken from them. It is built here, and only on a
host that the operator lists.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

import orjson

from status_watcher.core.routing import Kind, parse_key
from status_watcher.core.text import seen
from status_watcher.model import AgentId, SessionKey

LABEL_MAX_CHARS: Final = 200
MOST_LABELS: Final = 10_000
"""Of a ledger: the last ones of the file count, where dispatchers add the newest."""

FORGES: Final = ("gitea", "forgejo", "github", "gitlab")


@dataclass(slots=True)
class Names:
    """What configuration and ledger call agents and sessions, as of now."""

    agents: Mapping[AgentId, str] = field(default_factory=dict)
    sessions: Mapping[SessionKey, str] = field(default_factory=dict)

    def label(self, key: SessionKey) -> str:
        """The ledger's label of a session; "" if it has none."""
        return self.sessions.get(key, "")

    def change_sessions(self, labels: Mapping[SessionKey, str]) -> frozenset[SessionKey]:
        """Take over a ledger; returns the sessions that are called otherwise now."""
        before, self.sessions = self.sessions, labels
        return frozenset(key for key, _ in before.items() ^ labels.items())


@dataclass(frozen=True, slots=True)
class LinkHost:
    """A host that links may lead to; `owner` is whose repositories are meant where a name has none."""

    scheme: str
    host: str
    """Lower-case, with the port if there is one."""
    owner: str = ""


@dataclass(frozen=True, slots=True)
class Link:
    """A link of our own making, in characters that mean nothing to Markdown."""

    text: str
    url: str


def session_name(key: SessionKey, label: str, names: Names, agent: AgentId) -> str:
    """The name of a session with that key and that label in the store; "" stands for none of either."""
    if label := seen(label) or seen(names.label(key)):
        return label
    parts = parse_key(key)
    told = _told(key)
    match parts.kind:
        case Kind.CRON | Kind.HOOK | Kind.SUBAGENT | Kind.ACP | Kind.EXPLICIT:
            # An id tells nothing without the word for what it is the id of.
            word = _WORDS[parts.kind] if not told or _UUID.fullmatch(told) else ""
            return f"{word} {short_id(told)}".strip()
        case Kind.OTHER if _JOB.match(told):
            return short_id(told)
        case _:
            agent = parts.agent or agent
            return seen(names.agents.get(agent, "")) or agent


def short_id(text: str) -> str:
    """Each UUID by its first eight characters, and the parts of a key set apart by blanks."""
    return _UUID.sub(lambda found: found[0][:8], text).replace(":", " ")


def issue_link(key: SessionKey, name: str, hosts: tuple[LinkHost, ...]) -> Link | None:
    """The issue that the key of a job, or else its name, speaks of; None if its host is unclear or not
    listed.

    Read are `gitea-<repository>-<number>-…`, `gitea:<owner>/<repository>#<number>` and
    `<host>/<owner>/<repository>#<number>`, also as the address of an issue.
    """
    if not hosts or parse_key(key).kind not in _JOBS:
        return None
    for text in (_told(key), _PREFIX.sub("", name.strip())):
        if (link := _issue(text[:LABEL_MAX_CHARS], hosts)) is not None:
            return link
    return None


def parse_link_hosts(text: str) -> tuple[LinkHost, ...] | None:
    """`git.example.org, github.com/acme`: hosts by commas, each with a scheme, a port and an owner if need
    be; None if one of them is no host.
    """
    hosts: list[LinkHost] = []
    for part in filter(None, (one.strip() for one in text.split(","))):
        found = _HOST.fullmatch(part)
        if found is None:
            return None
        hosts.append(LinkHost(found["scheme"] or "https", found["host"].lower(), found["owner"] or ""))
    return tuple(hosts)


def parse_labels(data: bytes) -> Mapping[SessionKey, str] | None:
    """Session key to label, of a ledger: a JSON object, label to an object with `sessionKey`, or to the key.

    None if it is not one, or not just now: it may be in the middle of being written. What in it is no label
    is left out.
    """
    try:
        raw: Any = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(raw, dict):
        return None
    labels: dict[SessionKey, str] = {}
    for label, value in list(raw.items())[-MOST_LABELS:]:
        key = value.get("sessionKey") if isinstance(value, dict) else value
        if isinstance(key, str) and key and label.strip():
            labels[SessionKey(key.lower())] = label.strip()[:LABEL_MAX_CHARS]
    return MappingProxyType(labels)


_WORDS: Final = {
    Kind.CRON: "cron",
    Kind.HOOK: "hook",
    Kind.SUBAGENT: "sub-agent",
    Kind.ACP: "acp",
    Kind.EXPLICIT: "session",
}
_JOBS: Final = {Kind.CRON, Kind.HOOK, Kind.EXPLICIT, Kind.OTHER}
_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_OWN: Final = re.compile(r"^(?:agent:[^:]*(?::|$))?(?:(?:cron|hook|explicit|subagent|acp)(?::|$))?")
_PREFIX: Final = re.compile(r"^(?:cron|automation|hook): +", re.IGNORECASE)
"""What the gateway writes before the name of a job (2026.2 to 2026.7, 2026.9)."""

_SEGMENT: Final = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}"
_JOB: Final = re.compile(rf"(?:{'|'.join(FORGES)})[:-]", re.IGNORECASE)
_HOST_NAME: Final = r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?(?::[0-9]{1,5})?"
_HOST: Final = re.compile(
    rf"(?:(?P<scheme>https?)://)?(?P<host>{_HOST_NAME})(?:/(?P<owner>{_SEGMENT}(?:/{_SEGMENT}){{0,3}}))?/?"
)
_NUMBER: Final = r"(?P<number>[0-9]{1,7})(?![0-9A-Za-z_])"
_AT_HOST: Final = re.compile(
    rf"(?:https?://)?(?P<host>{_HOST_NAME})/(?P<repository>{_SEGMENT}(?:/{_SEGMENT}){{1,4}}?)"
    rf"(?:[#:]|/(?:-/)?(?:issues|pulls?|merge_requests)/){_NUMBER}"
)
_OF_OWNER: Final = re.compile(
    rf"(?P<forge>{'|'.join(FORGES)})[:-](?P<repository>{_SEGMENT}/{_SEGMENT}?)[#:-]{_NUMBER}", re.IGNORECASE
)
_BARE: Final = re.compile(
    rf"(?>(?P<forge>{'|'.join(FORGES)})[:-](?P<repository>{_SEGMENT}?)[#:-]{_NUMBER})"
    # Of two numbers side by side nobody can tell which of them ends the repository's name.
    r"(?![#:-][0-9]{1,7}(?![0-9A-Za-z_]))",
    re.IGNORECASE,
)


def _told(key: SessionKey) -> str:
    """What a key says behind agent and kind, without the run of a cron job."""
    return _OWN.sub("", parse_key(key).base, count=1).partition(":run:")[0]


def _issue(text: str, hosts: tuple[LinkHost, ...]) -> Link | None:
    if found := _AT_HOST.match(text):
        host = next((one for one in hosts if one.host == found["host"].lower()), None)
        return _link(host, found["repository"], found["number"])
    if found := _OF_OWNER.match(text):
        return _link(_host_of(found["forge"].lower(), hosts), found["repository"], found["number"])
    if found := _BARE.match(text):
        host = _host_of(found["forge"].lower(), tuple(one for one in hosts if one.owner))
        return _link(host, f"{host.owner}/{found['repository']}", found["number"]) if host else None
    return None


def _host_of(forge: str, hosts: tuple[LinkHost, ...]) -> LinkHost | None:
    """The one host that is meant by the word for a forge; self-hosted ones may be called anything."""
    named = [host for host in hosts if forge in host.host]
    if not named and forge in {"gitea", "forgejo"}:
        named = [host for host in hosts if not any(other in host.host for other in FORGES)]
    return named[0] if len(named) == 1 else None


def _link(host: LinkHost | None, repository: str, number: str) -> Link | None:
    if host is None:
        return None
    between = "/-" if "gitlab" in host.host else ""
    return Link(
        f"issue {int(number)}", f"{host.scheme}://{host.host}/{repository}{between}/issues/{int(number)}"
    )
