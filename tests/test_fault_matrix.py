"""The fault matrix: each row has a test whose name carries the row's id, upper case, as in `test_T5_…`.

The rows, in families: T transcripts, W watching, S the store of sessions and our own state, M Mattermost,
P process, host and time. What a row asks for is what its tests are called.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROWS = [
    f"{family}{number}"
    for family, last in {"T": 18, "W": 11, "S": 11, "M": 16, "P": 15}.items()
    for number in range(1, last + 1)
]
SOAKED = {"P12"}
"""Rows that take an hour by their nature; of all others a test is part of the normal run."""
TESTS = Path(__file__).parent
_IDS = re.compile(r"test_((?:[A-Za-z]\d+_)+)")


def ids_in(name: str) -> list[str]:
    """`["M1", "M3"]` of `test_M1_M3_20_kills_…`."""
    found = _IDS.match(name)
    return found[1].rstrip("_").split("_") if found else []


def is_long(node: ast.Module | ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether a module or a test carries the marker that keeps it out of the normal run."""
    if isinstance(node, ast.Module):
        assigned = (one for one in node.body if isinstance(one, ast.Assign))
        return any(re.search(r"^pytestmark = .*\bmark\.(long|live)\b", ast.unparse(one)) for one in assigned)
    return any(re.search(r"\bmark\.(long|live)\b", ast.unparse(one)) for one in node.decorator_list)


def ids_of_tests(*, long: bool) -> Iterator[str]:
    """The ids of all tests that there are, skipped ones included."""
    for path in TESTS.rglob("test_*.py"):
        module = ast.parse(path.read_bytes())
        for node in ast.walk(module):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (
                long == (is_long(module) or is_long(node))
            ):
                yield from ids_in(node.name)


NORMAL, LONG = set(ids_of_tests(long=False)), set(ids_of_tests(long=True))


@pytest.mark.parametrize("row", ROWS)
def test_row_has_a_test_that_carries_its_id(row):
    assert row in (LONG if row in SOAKED else NORMAL)


def test_no_test_carries_the_id_of_a_row_that_there_is_not():
    assert (NORMAL | LONG) - set(ROWS) == set()
