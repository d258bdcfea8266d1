"""What the process's exit code tells a supervisor or a script."""

from enum import IntEnum


class ExitCode(IntEnum):
    """The whole table; systemd's unit lists 3 and 78 under `RestartPreventExitStatus`."""

    OK = 0
    FAILED = 1
    """Could not do what was asked: no start, `/health` port taken, a daemon that does not end."""
    USAGE = 2
    """Unknown option or command; click's own code."""
    NOT_IN_THAT_STATE = 3
    """Already running (`run`, `start`) or not running (`status`, `stop`)."""
    BAD_CONFIG = 78
    """Configuration, state or state directory that this version cannot use (EX_CONFIG of sysexits.h)."""
