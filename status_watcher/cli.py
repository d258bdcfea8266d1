"""The commands: what each does with the environment, the daemon and the exit code."""

import math
import os
import pwd
import signal
import sys
from pathlib import Path
from typing import NoReturn

import click

from status_watcher import __version__, hook_command, status_command, stop_request
from status_watcher.config import Config, ConfigErrors, load, load_state_dir
from status_watcher.edge import background
from status_watcher.edge.lock import (
    Holder,
    LockRecord,
    Unusable,
    holder,
    pid_namespace,
    prepare_state_dir,
)
from status_watcher.environment import with_absolute_paths
from status_watcher.exit_codes import ExitCode

_LOG_FILE_NAME = "daemon.log"
_START_TIMEOUT_S = 20.0
_STOP_TIMEOUT_S = 15.0


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="status-watcher")
def main() -> None:
    """Show what OpenClaw agents are doing: one Mattermost post per turn, edited in place."""
    _open_missing_standard_descriptors()


@main.command()
@click.option("--daemon", is_flag=True, hidden=True, help="As `start` runs it: the log goes to STATE_DIR.")
def run(*, daemon: bool) -> None:
    """Run in the foreground (systemd, Docker)."""
    with stop_request.ending_at_once():
        config = _config(_environment())
    # Before the imports that a daemon needs: of twenty started at once, nineteen should be gone at once.
    _end_if_running(config.state_dir)
    import asyncio  # noqa: PLC0415 - see above

    import structlog  # noqa: PLC0415 - see above

    from status_watcher import app  # noqa: PLC0415 - see above
    from status_watcher.edge import logs  # noqa: PLC0415 - see above

    if stop_request.is_asked():
        sys.exit(ExitCode.OK)  # before anything is made that would have to be taken down
    os.umask(0o077)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    log_file = config.state_dir / _LOG_FILE_NAME if daemon else None
    if log_file and (unusable := prepare_state_dir(config.state_dir)):
        _fail(ExitCode.BAD_CONFIG, f"STATE_DIR: {unusable.reason}")
    runner = asyncio.Runner()
    try:
        code = runner.run(app.run(config, log_file=log_file))
    except Exception:  # noqa: BLE001 - the last border: a bug ends the daemon, and the log says which
        last_words = logs.configure(config.log_level, config.secrets, log_file)
        structlog.get_logger().critical("crashed", exc_info=True)
        last_words.close()
        code = ExitCode.FAILED
    # All that matters has been closed. What is left are threads of the runner that may hang in the system's
    # resolver for longer than a stop may take, and that closing it, or an ordinary exit, would wait for.
    os._exit(code)


@main.command()
def start() -> None:
    """Start in the background; returns when it works or has failed."""
    env = _environment()
    config = _config(env)
    os.umask(0o077)
    _end_if_running(config.state_dir)
    if unusable := prepare_state_dir(config.state_dir):
        _fail(ExitCode.BAD_CONFIG, f"STATE_DIR: {unusable.reason}")
    outcome = background.start(
        [sys.executable, "-m", "status_watcher", "run", "--daemon"],
        env,
        config.state_dir / _LOG_FILE_NAME,
        lambda pid: _is_ready(config.state_dir, pid),
        _START_TIMEOUT_S,
    )
    match outcome:
        case background.Ready(pid):
            _say(str(pid))
        case background.Exited(exit_code, said):
            _complain(*_quotable(said, config.secrets))
            # 0: somebody stopped it meanwhile, and it does not run.
            _fail(exit_code or ExitCode.FAILED, f"did not start (exit code {exit_code})")
        case background.TooSlow(said):
            _complain(*_quotable(said, config.secrets))
            _fail(ExitCode.FAILED, f"was not ready within {_START_TIMEOUT_S:.0f} s and has been stopped")
        case background.CannotSpawn(reason):
            _fail(ExitCode.FAILED, reason)


@main.command()
def stop() -> None:
    """Stop the running daemon and wait for its graceful end."""
    state_dir = _state_dir()
    found = _found(state_dir)
    if found is None:
        _fail(ExitCode.NOT_IN_THAT_STATE, "not running")
    record = found.record
    if record is None:
        _fail(ExitCode.FAILED, "running, but has not said under which PID yet; try again")
    if record.pid_namespace != pid_namespace():
        _fail(ExitCode.FAILED, f"running as PID {record.pid} of another container; stop it from there")

    def still_there() -> bool:
        match holder(state_dir):
            case Holder(LockRecord() as now):
                return (now.pid, now.started_at) == (record.pid, record.started_at)
            case Holder(None):
                return True
            case _:
                return False

    if refused := background.end(record.pid, still_there, _STOP_TIMEOUT_S):
        _fail(ExitCode.FAILED, refused)
    _say(f"stopped (PID {record.pid})")


@main.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for scripts.")
def status(*, as_json: bool) -> None:
    """Say whether the daemon runs, and how it fares."""
    found = _found(_state_dir())
    record = found.record if found else None
    answer = background.ask_health(record.host, record.port) if record and record.port else None
    health = answer if answer and record and answer.pid == record.pid else None
    words = [status_command.in_json(found, health)] if as_json else status_command.in_words(found, health)
    _say(*words)
    sys.exit(ExitCode.OK if found else ExitCode.NOT_IN_THAT_STATE)


@main.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for scripts.")
def sessions(*, as_json: bool) -> None:
    """List what is known: state, name, age, model, tokens, key and post of each session's last turn."""
    from status_watcher import sessions_command  # noqa: PLC0415 - `run` starts faster without it

    answer = sessions_command.ask_sessions(_found(_state_dir()), os.environ.get("HEALTH_TOKEN", "").strip())
    if isinstance(answer, sessions_command.NoAnswer):
        _fail(answer.code, answer.reason)
    _say(*([sessions_command.in_json(answer)] if as_json else sessions_command.in_words(answer)))


def _number_at_all(_: click.Context, __: click.Parameter, value: float) -> float:
    if math.isnan(value):  # lies in every range
        raise click.BadParameter("is not a number")
    return value


@main.command()
@click.option(
    "--threshold-min",
    type=click.FloatRange(0, 100_000),
    callback=_number_at_all,
    default=15,
    show_default=True,
    help="Minutes in which nothing has happened.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON list, for scripts.")
def stuck(*, threshold_min: float, as_json: bool) -> None:
    """Say nothing while nothing is stuck, else list the open turns in which nothing happens (exit code 1)."""
    from status_watcher import sessions_command, stuck_command  # noqa: PLC0415 - `run` starts faster without

    asked = sessions_command.ask_sessions(_found(_state_dir()), os.environ.get("HEALTH_TOKEN", "").strip())
    if isinstance(asked, sessions_command.NoAnswer):
        _fail(asked.code, asked.reason)
    _end_with(stuck_command.answer(asked.sessions, threshold_min, as_json=as_json))


@main.command()
@click.option("--once", is_flag=True, help="Print the final boxes and exit.")
@click.option("--port", type=click.IntRange(0, 65_535), help="Of the page; 0 lets the system choose.")
@click.option("--speed", type=click.FloatRange(0.1, 100), help="How many times faster than recorded.")
def demo(*, once: bool, port: int | None, speed: float | None) -> None:
    """Watch a recorded session live, with nothing installed."""
    from status_watcher.demo import run as demo_run  # noqa: PLC0415 - no other command needs the sandbox

    sys.exit(demo_run.main(once=once, port=port, speed=speed))


@main.group()
def hook() -> None:
    """Put the gateway's hook into OpenClaw's state directory, or take it away."""


def _named_directory(_: click.Context, option: click.Parameter, text: str | None) -> Path | None:
    """The empty string is a variable that a script has not set, not the working directory."""
    if text is not None and not text.strip():
        _fail(ExitCode.USAGE, f"{option.opts[0]}: must not be empty")
    return None if text is None else Path(text)


_of_state_dir = click.option(
    "--state-dir",
    type=click.Path(file_okay=False),
    callback=_named_directory,
    help="OpenClaw's state directory, where the environment does not tell.",
)


@hook.command("install")
@_of_state_dir
@click.option("--enable", is_flag=True, help="Also enable it in openclaw.json, and keep a copy of that.")
def hook_install(*, state_dir: Path | None, enable: bool) -> None:
    """Copy the hook, or bring an older copy up to date, and tell how to enable it."""
    _end_with(hook_command.install(_openclaw_environment(state_dir), enable=enable))


@hook.command("uninstall")
@_of_state_dir
def hook_uninstall(*, state_dir: Path | None) -> None:
    """Remove the hook; openclaw.json stays as it is."""
    _end_with(hook_command.uninstall(_openclaw_environment(state_dir)))


@hook.command("status")
@_of_state_dir
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for scripts.")
def hook_status(*, state_dir: Path | None, as_json: bool) -> None:
    """Say whether the hook is installed, up to date and enabled."""
    _end_with(hook_command.status(_openclaw_environment(state_dir), as_json=as_json))


def _openclaw_environment(state_dir: Path | None) -> dict[str, str]:
    """The environment as a gateway of that state directory would have it."""
    env = _environment()
    if state_dir is not None and str(state_dir.absolute()) != env.get("OPENCLAW_STATE_DIR"):
        env["OPENCLAW_STATE_DIR"] = str(state_dir.absolute())
        env.pop("OPENCLAW_CONFIG_PATH", None)  # names another installation's file
    return env


def _end_with(answer: hook_command.Answer) -> NoReturn:
    try:
        _say(*answer.lines)
    finally:
        _complain(*answer.complaints)
    sys.exit(answer.code)


def _environment() -> dict[str, str]:
    """The process's environment with a home directory, if there is one, and without relative paths."""
    env = dict(os.environ)
    if not env.get("HOME"):
        try:
            env["HOME"] = pwd.getpwuid(os.getuid()).pw_dir
        except KeyError:  # an arbitrary uid in a container
            env.pop("HOME", None)
    try:
        cwd = Path.cwd()
    except OSError:  # deleted under us
        cwd = Path("/")
    return with_absolute_paths(env, cwd)


def _config(env: dict[str, str]) -> Config:
    match load(env):
        case Config() as config:
            return config
        case ConfigErrors(lines):
            _complain(*lines)
            sys.exit(ExitCode.BAD_CONFIG)


def _state_dir() -> Path:
    match load_state_dir(_environment()):
        case Path() as state_dir:
            return state_dir
        case ConfigErrors(lines):
            _complain(*lines)
            sys.exit(ExitCode.BAD_CONFIG)


def _found(state_dir: Path) -> Holder | None:
    found = holder(state_dir)
    if isinstance(found, Unusable):
        _fail(ExitCode.FAILED, found.reason)
    return found


def _end_if_running(state_dir: Path) -> None:
    match holder(state_dir):
        case Holder(record):
            _fail(ExitCode.NOT_IN_THAT_STATE, f"already running (PID {record.pid if record else 'unknown'})")
        case Unusable(reason):
            _fail(ExitCode.BAD_CONFIG, reason)
        case None:
            return


def _is_ready(state_dir: Path, pid: int) -> bool:
    match holder(state_dir):
        case Holder(LockRecord(ready=True) as record) if record.pid == pid:
            if record.port == 0:
                return True
            health = background.ask_health(record.host, record.port)
            return health is not None and health.pid == pid
        case _:
            return False


def _say(*lines: str) -> None:
    """Print, or fail in one line, as what asks relies on it; what was done stays done.

    Who closed the other end of a pipe does not want to know any more.
    """
    try:
        for line in lines:
            click.echo(line)
    except OSError as error:
        # The interpreter flushes once more at its end, and would make a failure of that.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, ConnectionError):
            _fail(ExitCode.FAILED, f"cannot write to standard output: {error.strerror}")


def _complain(*lines: str) -> None:
    for line in lines:
        try:
            click.echo(f"status-watcher: {line}", err=True)
        except OSError:
            return


def _quotable(said: tuple[str, ...], secrets: tuple[str, ...]) -> list[str]:
    """What the daemon said last, without our own prefix; the interpreter redacts no traceback."""
    from status_watcher.core.redact import Redactor, redact  # noqa: PLC0415 - other commands start faster without

    redacted = redact("\n".join(said), Redactor.for_secrets(*secrets))
    return [line.removeprefix("status-watcher: ") for line in redacted.split("\n")] if redacted else []


def _fail(code: int, line: str) -> NoReturn:
    _complain(line)
    sys.exit(code)


def _open_missing_standard_descriptors() -> None:
    # Otherwise the next file or socket becomes number 2, and log lines are written into it.
    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
