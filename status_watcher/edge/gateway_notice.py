"""Hearing from the gateway's hook that the gateway stops: a file in `STATE_DIR`, written at
`gateway:shutdown` and removed at the next `gateway:startup`.

OpenClaw 2026.7.1 and 2026.9.6 fire the first, with no word of how long the runs may still go on.
"""

import asyncio
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import orjson

from status_watcher.core.gateway import GatewayStop

FILE_NAME: Final = "gateway-stopping.json"
_LOOK_S: Final = 0.5
_MAX_BYTES: Final = 4096


async def watch_gateway(
    state_dir: Path, watched: Sequence[Path], namespace: str, tell: Callable[[GatewayStop | None], None]
) -> None:
    """Call `tell` with each change, until cancelled.

    `watched` is what the daemon follows: a notice of a gateway that has nothing to do with it is not heard.
    `namespace` is this process's PID namespace, in which alone a PID can be looked for.
    """
    path = state_dir / FILE_NAME
    told: GatewayStop | None = None
    while True:
        stop = _look(path, watched, namespace)
        if stop != told:
            told = stop
            tell(stop)
        await asyncio.sleep(_LOOK_S)


def _look(path: Path, watched: Sequence[Path], namespace: str) -> GatewayStop | None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        fields = orjson.loads(os.read(fd, _MAX_BYTES))
    except (OSError, orjson.JSONDecodeError):
        return None
    finally:
        os.close(fd)
    match fields:
        case {
            "pid": int(pid),
            "pid_namespace": str(theirs),
            "at_ms": int(at_ms),
            "openclaw_state_dir": str(state_dir),
        } if _concerns(state_dir, watched):
            gone = theirs != "" and theirs == namespace and not Path(f"/proc/{pid}").exists()
            return GatewayStop(at_ms, gone)
        case _:
            return None


def _concerns(state_dir: str, watched: Sequence[Path]) -> bool:
    if not state_dir:
        return True
    try:
        theirs = Path(state_dir).resolve()
        ours = [path.resolve() for path in watched]
    except (OSError, ValueError):  # a loop of links, a NUL
        return False
    return any(path.is_relative_to(theirs) or theirs.is_relative_to(path) for path in ours)
