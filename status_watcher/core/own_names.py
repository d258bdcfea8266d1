"""By which names a caller may call this machine: a web page of somebody else's may make a browser here ask,
under a name of its own that leads here (DNS rebinding).
"""

import ipaddress


def is_foreign(listening_on: str, host_header: str | None) -> bool:
    """Whether a request must be refused for the name in its `Host`, on a port that listens on that host.

    Only where nobody but this machine can reach the port: elsewhere it may be called anything. Without a
    `Host` (None) it is no browser that asks.
    """
    if host_header is None or not _is_loopback(listening_on.casefold()):
        return False
    name = host_header.strip().casefold()
    if name.startswith("["):
        name = name[1:].partition("]")[0]
    elif name.count(":") == 1:
        name = name.partition(":")[0]
    name = name.removesuffix(".")
    return name != listening_on.casefold() and not _is_loopback(name)


def _is_loopback(name: str) -> bool:
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
