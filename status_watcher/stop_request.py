"""A stop that is asked for before there is anything to stop: while Python still loads the daemon."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

from status_watcher.exit_codes import ExitCode

_NUMBERS: Final = (signal.SIGTERM, signal.SIGINT)
_noted: list[int] = []


def listen() -> None:
    """From now on SIGTERM and SIGINT are noted, and end nothing; a second one ends the process at once.

    For the main thread, before whatever takes long. Who takes the signals over asks `is_asked` afterwards.
    Nothing is cut short: a module may just be written to the cache of compiled ones.
    """
    for number in _NUMBERS:
        signal.signal(number, _note)


def is_asked() -> bool:
    """Whether a signal was noted."""
    return bool(_noted)


@contextmanager
def ending_at_once() -> Iterator[None]:
    """Meanwhile a signal that would be noted ends the process, as one that was noted before does.

    For what may take for ever and leaves nothing behind: a file of settings may lie on a disk that hangs.
    """
    listening = signal.getsignal(signal.SIGTERM) is _note
    if listening:
        for number in _NUMBERS:
            signal.signal(number, _end)
    if _noted:
        _end(_noted[0], None)
    yield
    if listening:
        listen()


def _end(_: int, __: FrameType | None) -> None:
    os._exit(ExitCode.OK)


def _note(number: int, _: FrameType | None) -> None:
    if _noted:
        os._exit(ExitCode.OK)
    _noted.append(number)
