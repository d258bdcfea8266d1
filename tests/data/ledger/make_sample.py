"""Writes the sample of the ledger's present schema: `python tests/data/ledger/make_sample.py`.

Run once when `SCHEMA_VERSION` goes up, before the release; samples of released versions are never written again.
"""

import asyncio
import tempfile
from pathlib import Path

from status_watcher.core.post import BoxRecord
from status_watcher.edge.ledger import Ledger, open_ledger
from status_watcher.edge.ledger_file import FILE_NAME, SCHEMA_VERSION
from status_watcher.model import BoxId, ChannelId, ChannelTarget, DirectTarget, PostId, UserId

CHANNEL = ChannelTarget(ChannelId("c" * 26), PostId("r" * 26))
RECORDS = (
    BoxRecord(BoxId("main/s1/e1"), CHANNEL, "n" * 32, 1_700_000_000_000, PostId("p" * 26), b"\x01" * 32),
    BoxRecord(BoxId("main/s2/e2"), CHANNEL, "m" * 32, 1_700_000_000_000),
    BoxRecord(BoxId("main/s3/e3"), DirectTarget(UserId("u" * 26)), "o" * 32, 1_700_000_000_000),
    BoxRecord(BoxId("main/s4/e4"), CHANNEL, "q" * 32, 1_700_000_000_000, PostId("q" * 26), ended=True),
)
NEVER_EXPIRES_MS = 1 << 52


async def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        ledger = await open_ledger(Path(place), wall_ms=lambda: NEVER_EXPIRES_MS)
        assert isinstance(ledger, Ledger)
        for record in RECORDS:
            ledger.keep(record)
        ledger.keep_direct_channel(UserId("u" * 26), ChannelId("d" * 26))
        await ledger.close()
        sample = Path(__file__).with_name(f"v{SCHEMA_VERSION}.sqlite")
        sample.write_bytes((Path(place) / FILE_NAME).read_bytes())


asyncio.run(main())
