"""Commits boxes through the real ledger until it is killed; for S7.

`python committer.py DIRECTORY` forks a child for each line of its standard input, as importing would take
longer than a child lives: the child says `child PID`, `found …` what the ledger held when it was opened, and
`saved N` after each commit that was acknowledged; the parent `dead` once it is.
"""

import asyncio
import os
import sys
from pathlib import Path

from status_watcher.core.post import BoxRecord
from status_watcher.edge.ledger import Ledger, open_ledger
from status_watcher.model import BoxId, ChannelId, ChannelTarget, PostId

BOXES = 6
_TARGET = ChannelTarget(ChannelId("c" * 26), PostId("r" * 26))


def rows(number: int) -> list[BoxRecord]:
    """What commit `number` makes of the ledger: the same boxes every time."""
    return [
        BoxRecord(
            BoxId(f"box {box}"),
            _TARGET,
            f"{number} " * (1_000 // len(f"{number} ")),  # long, so that a commit takes some pages
            number,
            PostId("p" * 26),
            number.to_bytes(32, "big"),
            ended=False,
            gone=False,
        )
        for box in range(BOXES)
    ]


async def save(ledger: Ledger, number: int) -> bool:
    """All rows of the commit in one transaction; whether it is on the disk."""
    first, *others = rows(number)
    for row in others:
        ledger.keep(row)
    return await ledger.keep_now(first)


def held(ledger: Ledger) -> int:
    """Which commit the ledger holds; -1 before the first. Fails where it is a mixture."""
    if not ledger.open_boxes:
        return -1
    number = ledger.open_boxes[0].intent_at_ms
    found, wanted = (sorted(boxes, key=lambda box: box.box_id) for boxes in (ledger.open_boxes, rows(number)))
    assert found == wanted, f"a mixture: {[box.intent_at_ms for box in found]}"
    return number


async def _commit(directory: Path) -> None:
    ledger = await open_ledger(directory)
    assert isinstance(ledger, Ledger), ledger
    number = held(ledger)
    _say(f"found {number} lost={ledger.lost} closed_well={ledger.closed_well}")
    while True:
        number += 1
        assert await save(ledger, number)
        _say(f"saved {number}")


def _say(word: str) -> None:
    os.write(1, f"{word}\n".encode())


def main() -> None:
    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            _say(f"child {os.getpid()}")
            try:
                asyncio.run(_commit(Path(sys.argv[1])))
            finally:
                os._exit(1)
        os.waitpid(child, 0)
        _say("dead")


if __name__ == "__main__":
    main()
