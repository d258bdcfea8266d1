"""A switch for what can go wrong between a client and its server, set by tests and demos.

A fault says which requests it meets, how often, and what happens to them: late, refused, cut before or
after the server did its work, answered by a proxy instead, or never answered.
"""

import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

Match = str | Callable[[str, str], bool]
"""A regular expression searched in `METHOD /path`, or a predicate of method and path."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to the requests that `match`: the next `times` of them, or all until removed (None).

    `status` answers in the server's place, before its work, or after it with `commit_first`; `headers` are
    added; `body` is sent as it is, or an error page as a proxy would send it (`html`). Delays are in seconds.
    added; `body` is sent as it is, or an error page as a proxy would send it (`html`). Delays are in seconds.
    holds the request until the client gives up or the server stops, without doing it.
    """

    match: Match = "."
    times: int | None = None
    probability: float = 1.0
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: str | bytes = b""
    html: bool = False
    commit_first: bool = False
    delay_before_s: float = 0.0
    delay_after_commit_s: float = 0.0
    drop_before: bool = False
    drop_after_commit: bool = False
    trickle_bytes_per_s: float | None = None
    never_answer: bool = False

    def matches(self, method: str, path: str) -> bool:
        if callable(self.match):
            return self.match(method, path)
        return re.search(self.match, f"{method} {path}") is not None

    def payload(self) -> tuple[bytes, str]:
        """The body that answers instead of the server's, and its Content-Type."""
        if self.html:
            page = (
                f"<html><head><title>{self.status}</title></head><body><h1>{self.status}</h1></body></html>"
            )
            return page.encode(), "text/html"
        content = self.body.encode() if isinstance(self.body, str) else self.body
        return content, "application/json" if content[:1] in (b"{", b"[") else "text/plain"


@dataclass(slots=True)
class ActiveFault:
    """A fault that was added: how often it has met a request so far."""

    fault: Fault
    hits: int = 0

    @property
    def spent(self) -> bool:
        return self.fault.times is not None and self.hits >= self.fault.times


class Faults:
    """The faults that are switched on; the first that fits meets a request."""

    def __init__(self, seed: int = 0) -> None:
        self._active: list[ActiveFault] = []
        self._random = random.Random(seed)  # noqa: S311 - a repeatable coin for tests, no secret

    def add(self, fault: Fault) -> ActiveFault:
        active = ActiveFault(fault)
        self._active.append(active)
        return active

    def remove(self, active: ActiveFault) -> None:
        self._active.remove(active)

    def clear(self) -> None:
        self._active.clear()

    def __iter__(self) -> Iterator[ActiveFault]:
        return iter(tuple(self._active))

    def meeting(self, method: str, path: str) -> Fault | None:
        """The fault for this request, counted as a hit, or None."""
        for active in self._active:
            if active.spent or not active.fault.matches(method, path):
                continue
            if active.fault.probability < 1 and self._random.random() >= active.fault.probability:
                continue
            active.hits += 1
            return active.fault
        return None
