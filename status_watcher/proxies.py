"""Which proxy the environment asks for: by `HTTP_PROXY`, `HTTPS_PROXY`, `NO_PROXY`, also in small letters.

Looked up by us, once: aiohttp's own `trust_env` does it for each request, reads ~/.netrc in a thread on the
way and refuses to send where that file has an entry for the host, and takes a SOCKS proxy for an HTTP one,
another scheme for a host (3.14). Whoever has set a proxy that we cannot use is told so, and is not led around
it.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit
from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]  # documented with proxy_bypass; that asks macOS instead

RULE = "must be the http(s) URL of a proxy; a SOCKS proxy cannot be used; hosts in NO_PROXY need none"


_PRINTABLE = re.compile(r"[\x21-\x5b\x5d-\x7e]+")
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]+)?")


@dataclass(frozen=True, slots=True)
class UnusableProxy:
    """`variable` holds what is no proxy for us."""

    variable: str


def proxy_for(url: str, env: Mapping[str, str]) -> str | UnusableProxy | None:
    """The proxy's URL, with a scheme; None where the server is to be reached directly."""
    parts = urlsplit(url)
    # As everywhere: small letters win, also where they are there and empty.
    variable = f"{parts.scheme}_proxy"
    if variable not in env:
        variable = variable.upper()
    proxy = env.get(variable, "").strip()
    excepted = env.get("no_proxy", env.get("NO_PROXY", ""))
    if not proxy or proxy_bypass_environment(parts.netloc.rpartition("@")[2], {"no": excepted}):
        return None
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    return proxy if _is_usable(proxy) else UnusableProxy(variable)


def environment_proxy(url: str) -> str | None:
    """The same of this process's environment, of which the configuration has said that it can be used."""
    proxy = proxy_for(url, os.environ)
    return proxy if isinstance(proxy, str) else None


def _is_usable(proxy: str) -> bool:
    if not _PRINTABLE.fullmatch(proxy):
        return False
    try:
        parts = urlsplit(proxy)
        port = parts.port
    except ValueError:  # what is no port, or no address in brackets
        return False
    host = _HOST.fullmatch(parts.netloc.rpartition("@")[2])
    return parts.scheme in {"http", "https"} and host is not None and port != 0
