"""What a benchmark found, beside what was aimed for; and how it is printed."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound: `at` is one of "<=" and ">="."""

    at: Literal["<=", ">="]
    bound: float

    def is_met(self, value: float) -> bool:
        return value <= self.bound if self.at == "<=" else value >= self.bound


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value; without a goal it only explains another."""

    part: str
    name: str
    value: float
    unit: str
    goal: Goal | None = None

    def document(self) -> dict[str, Any]:
        """For machines; `met` is null where nothing was aimed for."""
        return asdict(self) | {"met": self.goal.is_met(self.value) if self.goal else None}


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that so many per cent of all do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def table(figures: Iterable[Figure]) -> str:
    """One line for each figure, in columns."""
    rows = [
        (
            figure.part,
            figure.name,
            f"{figure.value:,.{_digits(figure.value)}f}",
            figure.unit,
            f"{figure.goal.at} {figure.goal.bound:g}" if figure.goal else "",
            ("met" if figure.goal.is_met(figure.value) else "MISSED") if figure.goal else "",
        )
        for figure in figures
    ]
    rows.insert(0, ("part", "figure", "value", "unit", "goal", ""))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for part, name, value, unit, goal, verdict in rows:
        cells = (
            part.ljust(widths[0]),
            name.ljust(widths[1]),
            value.rjust(widths[2]),
            unit.ljust(widths[3]),
            goal.ljust(widths[4]),
            verdict,
        )
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _digits(value: float) -> int:
    size = abs(value)
    return 0 if size >= 1000 else 1 if size >= 10 else 2
