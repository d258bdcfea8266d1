"""What a box says of a gateway that is being stopped while the box is open."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GatewayStop:
    """A gateway said that it is stopping. Its runs may still go on: 2026.9.6 waits minutes for them."""

    since_ms: int
    """By the wall clock."""
    gone: bool
    """Its process is no more, so what still looks like a run is none."""


def gateway_note(stop: GatewayStop | None, start_ms: int) -> str:
    """The words for a turn that began at `start_ms` and is open; "" if there is nothing to say.

    A turn that began later is another gateway's, which did not say that it started.
    """
    if stop is None or start_ms > stop.since_ms:
        return ""
    return "gateway stopped" if stop.gone else "gateway stopping"


def gateway_problem(stop: GatewayStop | None) -> tuple[str, ...]:
    """What `/health` says of it: nothing while the gateway still works, or starts again."""
    return ("gateway: stopped",) if stop is not None and stop.gone else ()
