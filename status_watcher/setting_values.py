"""What single settings may hold: each function returns the value to be used, or raises `ValueError`."""

import re
from urllib.parse import urlsplit

from pydantic import SecretStr

from status_watcher.core.naming import LinkHost, parse_link_hosts


def whole_number(value: object) -> object:
    """Digits only."""
    # pydantic's lax mode would take "1_000", "6e1" and "60.0"; an env file should say what it means.
    if isinstance(value, str) and not re.fullmatch(r"[0-9]{1,9}", value):
        raise ValueError
    return value


def log_level(value: object) -> object:
    """By any of its names."""
    name = value.lower() if isinstance(value, str) else value
    return "warning" if name == "warn" else name


def token(value: SecretStr) -> SecretStr:
    """What may be sent as a token."""
    # Printable ASCII only: the token becomes a header, where a line break would start the next one. Redaction
    # replaces it wherever it stands in a log line, which a token of a few letters would shred.
    if not re.fullmatch(r"[\x21-\x7e]{8,512}", value.get_secret_value()):
        raise ValueError
    return value


def base_url(value: str) -> str:
    """Without a trailing slash and without `/api/v4`; the path of a sub-path installation is kept."""
    # urlsplit drops line breaks and tabs silently, so they are looked for first.
    if re.search(r"[\x00-\x20\x7f\\?#]", value):
        raise ValueError
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc:
        raise ValueError
    if parts.port == 0:  # reading it raises ValueError for what is not a port at all
        raise ValueError
    path = parts.path.rstrip("/").removesuffix("/api/v4").rstrip("/")
    return f"{parts.scheme}://{parts.netloc}{path}"


def event_url(value: SecretStr) -> SecretStr:
    """Where events may go; it may hold a secret, in its user, path or query."""
    url = value.get_secret_value()
    if re.search(r"[\x00-\x20\x7f\\#]", url):
        raise ValueError
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.port == 0:
        raise ValueError
    return value


def health_host(value: str) -> str:
    """An address or a name, without the brackets of IPv6."""
    host = value[1:-1] if value.startswith("[") and value.endswith("]") else value
    if not re.fullmatch(r"[A-Za-z0-9._:%-]{1,253}", host):
        raise ValueError
    return host


def link_hosts(value: str) -> tuple[LinkHost, ...]:
    """Hosts by commas."""
    hosts = parse_link_hosts(value)
    if hosts is None:
        raise ValueError
    return hosts


def tool_times(value: object) -> object:
    """Seconds by the lower-cased names of tools, out of `exec=900,browser=600`."""
    if not isinstance(value, str):
        return value
    times: dict[str, int] = {}
    for part in re.split(r"[,\s]+", value.strip()):
        found = re.fullmatch(r"([A-Za-z0-9_.:-]{1,60})=([0-9]{1,5})", part)
        if found is None or int(found[2]) > 86_400:
            raise ValueError
        times[found[1].lower()] = int(found[2])
    return times


def notified(value: str) -> str:
    """Whom to tell of a stall: "" for nobody, "on" for whoever reads the thread, or a user's name."""
    # A user's name, and no word that Mattermost would tell a whole channel by.
    name = value.removeprefix("@").lower()
    if name in {"all", "channel", "here"} or not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,63}", name):
        raise ValueError
    return "" if name == "off" else name
