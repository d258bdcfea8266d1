"""OpenClaw's configuration as it is now: read again every so often, told when what we use of it has changed.

Read whole each time, because its includes and the `.env` beside it change without it: some milliseconds, on
a thread that nobody waits for at the end.
"""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final

from status_watcher.core.openclaw_config import OpenclawConfig
from status_watcher.edge.openclaw_file import NoOpenclawConfig, read_openclaw_config
from status_watcher.edge.readers import Readers

_LOOK_S: Final = 10.0


async def watch_openclaw_config(
    path: Path,
    state_dir: Path,
    env: Mapping[str, str],
    tell: Callable[[OpenclawConfig], None],
    *,
    look_s: float = _LOOK_S,
) -> None:
    """Call `tell` with the first readable configuration and after each change, until cancelled.

    One that cannot be read, or not just now, changes nothing.
    """
    told: OpenclawConfig | None = None
    with Readers(asyncio.get_running_loop(), threads=1) as readers:
        while True:
            found = await readers.run(partial(read_openclaw_config, path, state_dir, env))
            if not isinstance(found, NoOpenclawConfig) and found != told:
                told = found
                tell(found)
            await asyncio.sleep(look_s)
