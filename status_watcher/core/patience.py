"""For how long a model or a tool may say nothing before that is a stall."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from status_watcher.core.turn import Call, Run

COMMANDS: Final[Mapping[str, int]] = MappingProxyType(
    {"exec": 900_000, "bash": 900_000, "process": 900_000, "code_execution": 900_000}
)
"""Tools that run what somebody else wrote, a build or a test suite, and are long in no way that we know."""

QUIET_MS: Final = 60_000
"""A turn in which anything was written so recently has not stalled, whatever else of it hangs (less where the
patience itself is less)."""


@dataclass(frozen=True, slots=True)
class Patience:
    """By default a model has five minutes: in 2026.9.6 the tries at an overloaded one lasted 90 s. 0 for
    `model_ms` or `tool_ms` is patience without an end, also for a tool of its own.
    """

    model_ms: int = 300_000
    tool_ms: int = 300_000
    tools_ms: Mapping[str, int] = field(default_factory=lambda: COMMANDS)
    """Those with a patience of their own, by lower-cased names."""

    def model_stalls_ms(self, run: Run, since_ms: int) -> int | None:
        """When a call of the model since then has stalled; None for never.

        What has once taken longer in this run and came to an end was no stall: it is granted half as much
        again, so that the same slowness is told once.
        """
        return _stalls_ms(since_ms, self.model_ms, run.slowest_model_ms)

    def call_stalls_ms(self, run: Run, call: Call) -> int | None:
        """The same of a tool call."""
        most_ms = self.tools_ms.get(call.tool.lower(), self.tool_ms)
        return _stalls_ms(call.at_ms, most_ms, run.slowest_calls_ms.get(call.tool, 0))


def _stalls_ms(since_ms: int, most_ms: int, slowest_ms: int) -> int | None:
    return since_ms + max(most_ms, slowest_ms * 3 // 2) if most_ms else None
