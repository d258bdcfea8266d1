"""Places that work against the daemon: tight limits, odd mounts, faults in its own code; and what it costs.

All of it is set up by the command that starts the daemon, which itself knows nothing of it.
"""

import functools
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest


def need_namespaces() -> None:
    """Skip, saying why, where a user may not have namespaces of its own (hardened kernels)."""
    refusal = _refusal()
    if refusal:
        pytest.skip(f"no user and mount namespaces here: {refusal}")


@functools.cache
def _refusal() -> str:
    try:
        tried = subprocess.run(
            ["unshare", "-Urm", "mount", "--rbind", "/", "/"],
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        return "there is no unshare(1)"
    return (tried.stderr.strip() or "unshare failed") if tried.returncode else ""


def start_in(
    monkeypatch: pytest.MonkeyPatch, directory: Path, prepare: str, *, then: str = 'exec "$@"'
) -> None:
    """From now on `sys.executable` runs the shell script `prepare` first, and Python only if that succeeds.

    The process keeps its PID through all of it.
    """
    script = directory / "hostile-python"
    script.write_text(f'#!/bin/sh\nset -e\nset -- {shlex.quote(sys.executable)} "$@"\n{prepare}\n{then}\n')
    script.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(script))


def start_in_namespaces(
    monkeypatch: pytest.MonkeyPatch, directory: Path, prepare: str, *, then: str = 'exec "$@"'
) -> None:
    """As `start_in`, as root of new user and mount namespaces: `prepare` may mount and set limits."""
    need_namespaces()
    inside = shlex.quote(f"set -e\n{prepare}\n{then}")
    start_in(monkeypatch, directory, "", then=f'exec unshare -Urm sh -c {inside} sh "$@"')


def with_faults(directory: Path, code: str) -> dict[str, str]:
    """Settings for a daemon that runs `code`, which may patch any module, before its own first line."""
    place = directory / "faults"
    place.mkdir()
    (place / "sitecustomize.py").write_text(code)
    return {"PYTHONPATH": os.pathsep.join((str(place), *filter(None, (os.environ.get("PYTHONPATH"),))))}


def memory_kb(pid: int, field: str = "VmRSS") -> int:
    """Resident memory of a process; `VmHWM` is the most it ever had."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(f"{field}:"))


def cpu_s(pid: int) -> float:
    """How long the process has computed so far."""
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def descriptors(pid: int) -> int:
    """How many files and sockets a process has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))
