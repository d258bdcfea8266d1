"""`make bench`: the real daemon on real files and HTTP on loopback, against floors taken in the same run.

Prints each figure, beside its goal where there is one. Linux only.
"""

from collections.abc import Callable
from typing import Final

import busy
import click
import edits
import fold
import idle
import latency
import orjson
import redact
from busy import Load
from figures import Figure, Goal, table

Part = Callable[[bool], list[Figure]]
"""Measures; with True only to see that it works."""

HALF_A_CORE: Final = Goal("<=", 50)
LAG_MS: Final = Goal("<=", 50)


def _latency(quick: bool) -> list[Figure]:
    return latency.measure(40 if quick else 800)


def _fold(quick: bool) -> list[Figure]:
    return fold.measure(2_000_000 if quick else 100_000_000)


def _busy(quick: bool) -> list[Figure]:
    return busy.measure(Load(200, 200, 3 if quick else 24))


def _crowd(quick: bool) -> list[Figure]:
    return busy.measure(Load(1_000, 20, 3 if quick else 24, HALF_A_CORE, LAG_MS))


def _idle(quick: bool) -> list[Figure]:
    return idle.measure(1_000 if quick else 10_000, 3 if quick else 30)


def _edits(quick: bool) -> list[Figure]:
    return edits.measure(200 if quick else 1_800)


def _redact(quick: bool) -> list[Figure]:
    return redact.measure(2 if quick else 40)


PARTS: Final[dict[str, Part]] = {
    "latency": _latency,
    "fold": _fold,
    "busy": _busy,
    "crowd": _crowd,
    "idle": _idle,
    "edits": _edits,
    "redact": _redact,
}


@click.command()
@click.argument("parts", nargs=-1, type=click.Choice(list(PARTS)))
@click.option("--quick", is_flag=True, help="A few samples each: shows that it works, proves nothing.")
@click.option("--json", "as_json", is_flag=True, help="One JSON array instead of the table.")
def main(parts: tuple[str, ...], quick: bool, as_json: bool) -> None:
    """Measure PARTS (all of them by default): about five minutes, on a machine with nothing else to do."""
    figures: list[Figure] = []
    for name in parts or PARTS:
        click.echo(f"{name} ...", err=True)
        figures += PARTS[name](quick)
    if as_json:
        click.echo(orjson.dumps([figure.document() for figure in figures], option=orjson.OPT_INDENT_2))
    else:
        click.echo(table(figures))


if __name__ == "__main__":
    main()
