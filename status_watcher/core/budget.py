"""A token bucket: so much may be spent at once, and so much per second in the long run.

All times are seconds of one monotonic clock.
"""

from dataclasses import dataclass, replace
from math import inf
from typing import Final

_ROUNDING: Final = 1e-6
"""A bucket looked at when a token is due may hold a hair less than the token."""


@dataclass(frozen=True, slots=True)
class Budget:
    """Tokens per second, and as many as may be saved up."""

    per_s: float
    burst: float


@dataclass(frozen=True, slots=True)
class Bucket:
    """What is left of a budget: `tokens` as of a moment."""

    budget: Budget
    tokens: float
    as_of_s: float


UNLIMITED: Final = Bucket(Budget(0.0, inf), inf, 0.0)


def full(budget: Budget, now_s: float) -> Bucket:
    """A bucket of which nothing has been spent."""
    return Bucket(budget, budget.burst, now_s)


def tokens_left(bucket: Bucket, now_s: float) -> float:
    """What may be spent now."""
    earned = max(0.0, now_s - bucket.as_of_s) * bucket.budget.per_s
    return min(bucket.tokens + earned, bucket.budget.burst)


def affords(bucket: Bucket, now_s: float, tokens: float) -> bool:
    """Whether so many are left."""
    return tokens_left(bucket, now_s) >= tokens - _ROUNDING


def affords_at_s(bucket: Bucket, now_s: float, tokens: float) -> float:
    """When so many will be left if nothing is spent until then; `tokens` is at most the burst."""
    missing = tokens - tokens_left(bucket, now_s)
    return now_s if missing <= _ROUNDING else now_s + missing / bucket.budget.per_s


def spend(bucket: Bucket, now_s: float, tokens: float = 1.0) -> Bucket:
    """After so many were taken, which the caller has seen to be there."""
    return replace(bucket, tokens=tokens_left(bucket, now_s) - tokens, as_of_s=max(now_s, bucket.as_of_s))


def give_back(bucket: Bucket, now_s: float, tokens: float = 1.0) -> Bucket:
    """What was taken was not used."""
    held = min(tokens_left(bucket, now_s) + tokens, bucket.budget.burst)
    return replace(bucket, tokens=held, as_of_s=max(now_s, bucket.as_of_s))
