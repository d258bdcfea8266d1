"""What an answer of Mattermost, or its absence, means for the request that was sent.

Statuses and error ids as observed on 6.7, 7.8 and 9.9; `message` of an error is translated and never looked
at.
"""

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Final, Generic, TypeVar

T = TypeVar("T")

TOO_LONG: Final = frozenset(
    {"model.post.is_valid.msg.app_error", "api.context.request_body_too_large.app_error"}
)
ROOT_GONE: Final = frozenset(
    {"api.post.create_post.root_id.app_error", "api.post.create_post.channel_root_id.app_error"}
)
"""Of a create below a post that was deleted, or is none, or in another channel (6.7 to 9.9)."""
CHANNEL_ARCHIVED: Final = frozenset(
    {
        "api.post.create_post.can_not_post_to_deleted.error",
        "api.post.patch_post.can_not_update_post_in_deleted.error",
    }
)
EDIT_TIME_OVER: Final = "api.post.update_post.permissions_time_limit.app_error"
STILL_CREATING: Final = "api.post.deduplicate_create_post.pending"
NO_SUCH_ROUTE: Final = "api.context.404.app_error"

LEAST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 300.0
_EPOCH_S: Final = 1_000_000_000.0  # a reset "in" more seconds than this is a point in time


class Reason(StrEnum):
    """Why nothing usable came back; each is one sentence's worth for a log line and `/health`."""

    TIMEOUT = "no answer in time"
    CONNECT_TIMEOUT = "no connection in time"
    REFUSED = "connection refused"
    DNS = "host name not found"
    TLS = "TLS error"
    PROXY = "the proxy cannot be reached, or refuses"
    DISCONNECTED = "connection lost"
    SERVER_ERROR = "server error"
    MISROUTED = "answer is not from Mattermost"
    STILL_CREATING = "an earlier create is still running"
    HELD_BACK = "not sent while the circuit is open"


_NEVER_ARRIVED = frozenset(
    {Reason.CONNECT_TIMEOUT, Reason.REFUSED, Reason.DNS, Reason.TLS, Reason.PROXY, Reason.HELD_BACK}
)
_SERVER_IS_FINE = frozenset({Reason.STILL_CREATING, Reason.HELD_BACK})


@dataclass(frozen=True, slots=True)
class Ok(Generic[T]):
    """The server did what was asked."""

    value: T


@dataclass(frozen=True, slots=True)
class RetryAfter:
    """429: nobody may send for this long, 1 to 300 s; None where the server does not say."""

    pause_s: float | None


@dataclass(frozen=True, slots=True)
class Unavailable:
    """Nobody knows what the server did, if there was one."""

    reason: Reason
    status: int = 0

    @property
    def may_have_happened(self) -> bool:
        """The request can have reached the server, so a create must be looked for before it is repeated."""
        return self.reason not in _NEVER_ARRIVED

    @property
    def counts(self) -> bool:
        """It is a failure of the server, the network or a proxy: one for the circuit breaker."""
        return self.reason not in _SERVER_IS_FINE


@dataclass(frozen=True, slots=True)
class TokenRefused:
    """401: no request with this token will be answered."""


@dataclass(frozen=True, slots=True)
class Gone:
    """404 from Mattermost itself: the thing does not exist, or no longer."""


@dataclass(frozen=True, slots=True)
class Denied:
    """403: not allowed, unknown, or deleted; the server does not tell these apart."""

    error_id: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """The same request will be refused every time, or until a channel is archived no more."""

    status: int
    error_id: str

    @property
    def too_long(self) -> bool:
        return self.status == 413 or self.error_id in TOO_LONG

    @property
    def root_gone(self) -> bool:
        return self.error_id in ROOT_GONE

    @property
    def archived(self) -> bool:
        return self.error_id in CHANNEL_ARCHIVED


Failure = RetryAfter | Unavailable | TokenRefused | Gone | Denied | Rejected
Outcome = Ok[T] | Failure


@dataclass(frozen=True, slots=True)
class Answer:
    """The parts of an HTTP response that decide.

    `is_object`: the body is a JSON object. `is_foreign`: there is a body, and it is neither JSON nor an error
    of Mattermost's. The header values are as received, None where absent.
    """

    status: int
    is_object: bool = True
    is_foreign: bool = False
    error_id: str = ""
    retry_after: str | None = None
    rate_limit_reset: str | None = None


def classify(answer: Answer, now: datetime) -> Ok[None] | Failure:
    """One meaning for each response; `now` is wall time, for the form of Retry-After that is a date.

    A 4xx page that is not Mattermost's own (a proxy whose upstream is away answers 404 or 403) is no word of
    the server about a post.
    """
    status = answer.status
    if 200 <= status < 300:
        return Ok(None) if answer.is_object else Unavailable(Reason.MISROUTED, status)
    if status == 401:
        return TokenRefused()
    if status == 429:
        return RetryAfter(pause_s(answer.retry_after, answer.rate_limit_reset, now))
    if status >= 500:
        creating = answer.error_id == STILL_CREATING
        return Unavailable(Reason.STILL_CREATING if creating else Reason.SERVER_ERROR, status)
    if status == 413:
        return Rejected(status, answer.error_id)
    if status == 408:
        return Unavailable(Reason.TIMEOUT, status)
    if status < 400 or answer.is_foreign or answer.error_id == NO_SUCH_ROUTE:
        return Unavailable(Reason.MISROUTED, status)
    if status == 403:
        return Denied(answer.error_id)
    if status == 404:
        return Gone()
    return Rejected(status, answer.error_id)


def pause_s(retry_after: str | None, rate_limit_reset: str | None, now: datetime) -> float | None:
    """How long a 429 asks for, between 1 and 300 s; None where neither header can be read.

    Mattermost sends whole seconds in both (9.9); proxies also send dates, points in time, and nonsense.
    """
    wanted_s = _seconds(retry_after)
    if wanted_s is None:
        wanted_s = _until_date(retry_after, now)
    if wanted_s is None:
        wanted_s = _seconds(rate_limit_reset)
        if wanted_s is not None and wanted_s > _EPOCH_S:
            wanted_s -= now.timestamp()
    return None if wanted_s is None else min(max(wanted_s, LEAST_PAUSE_S), LONGEST_PAUSE_S)


def _seconds(header: str | None) -> float | None:
    number = "" if header is None else header.strip()
    if not re.fullmatch(r"[+-]?[0-9]{1,30}(\.[0-9]{0,30})?", number):
        return None
    seconds = float(number)
    return seconds if math.isfinite(seconds) else None


def _until_date(header: str | None, now: datetime) -> float | None:
    if header is None:
        return None
    try:
        date = parsedate_to_datetime(header)
    except (
        ValueError,
        TypeError,
        IndexError,
        OverflowError,
    ):  # what the parser raises on nonsense, 3.11 to 3.13
        return None
    if date.tzinfo is None:  # "-0000" says UTC of unknown origin
        date = date.replace(tzinfo=UTC)
    return (date - now).total_seconds()
