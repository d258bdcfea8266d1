"""A stand-in for the `status-watcher` command that writes down how it was started."""

import contextlib
import json
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

_SCRIPT = """\
#!{python} -IS
import json, os, sys, time
start = dict(argv=sys.argv[1:], cwd=os.getcwd(), env=dict(os.environ), pid=os.getpid(), sid=os.getsid(0),
             stdio=[os.readlink(f"/proc/self/fd/{{fd}}") for fd in (0, 1, 2)])
path = os.path.join({records!r}, str(os.getpid()))
with open(path, "w") as file:
    json.dump(start, file)
os.rename(path, path + ".json")
behaviour = open({behaviour!r}).read()
if behaviour == "hang":
    time.sleep(60)
sys.exit(int(behaviour))
"""


@dataclass(frozen=True, slots=True)
class Start:
    argv: list[str]
    cwd: str
    env: dict[str, str]
    pid: int
    sid: int
    stdio: list[str]

    def alive(self) -> bool:
        """Whether it runs; one that has ended and that nobody has waited for yet does not."""
        try:
            stat = Path(f"/proc/{self.pid}/stat").read_text()
        except FileNotFoundError:
            return False
        return stat.rpartition(")")[2].split()[0] != "Z"


@dataclass(frozen=True, slots=True)
class RecordedCommand:
    path: Path
    records: Path
    behaviour: Path

    @classmethod
    def install(cls, path: Path, python: str) -> "RecordedCommand":
        records, behaviour = path.parent.parent / "records", path.parent.parent / "behaviour"
        records.mkdir()
        behaviour.write_text("0")
        path.parent.mkdir()
        path.write_text(_SCRIPT.format(python=python, records=str(records), behaviour=str(behaviour)))
        path.chmod(0o755)
        return cls(path, records, behaviour)

    def will(self, behaviour: str) -> None:
        """`hang`, or the exit code as text."""
        self.behaviour.write_text(behaviour)

    def starts(self) -> list[Start]:
        return [Start(**json.loads(path.read_text())) for path in self.records.glob("*.json")]

    def wait_for_starts(self, count: int, within_s: float = 10) -> list[Start]:
        deadline = time.monotonic() + within_s
        while len(found := self.starts()) < count:
            assert time.monotonic() < deadline, f"{len(found)} of {count} starts within {within_s} s"
            time.sleep(0.01)
        return found

    def kill_started(self) -> None:
        """Ends what this command started; a number that has since become another process is left alone."""
        for start in self.starts():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                if str(self.path) in Path(f"/proc/{start.pid}/cmdline").read_text():
                    os.kill(start.pid, signal.SIGKILL)
