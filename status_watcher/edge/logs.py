"""One JSON object per log line, on stderr or in a rotated file, ours and the libraries' alike.

A log call never raises, never blocks on who reads the log, and never lets a secret through: no text of
an agent is logged on purpose, but a path, a name or an error's words may hold one. Lines go through a bounded
queue to a thread, because a pipe that nobody empties blocks its writer (and making it non-blocking would
change it for everybody who shares it).
"""

import contextlib
import json
import logging
import logging.handlers
import os
import queue
import re
import select
import threading
import time
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from status_watcher.core.redact import REDACTED, Redactor, redact
from status_watcher.core.traces import trace_of_exc_info

_MOST_QUEUED_LINES = 2000
_FILE_MAX_BYTES = 5 * 1024 * 1024
_ROTATED_FILES = 3
_UNREDACTED_FIELDS = frozenset({"timestamp", "level"})
_REMEMBERED_TEXTS = 1024
_STDERR_FD = 2
_SURROGATES = re.compile("[\ud800-\udfff]")


class Sink(Protocol):
    """Where lines end up; may block, and raises OSError for what could not be written."""

    def write(self, line: bytes) -> None: ...

    def close(self) -> None: ...


class Logs:
    """The running log: counts what was lost, and is closed last of all."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._lines: queue.Queue[bytes | None] = queue.Queue(_MOST_QUEUED_LINES)
        self._dropped = 0
        self._reported = 0
        # Not joined at the interpreter's end: it may be stuck in a write for ever.
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """Lines that were not written since the start: queue full, reader gone, disk full."""
        return self._dropped

    def write(self, line: bytes) -> None:
        """Queue one line, which ends with a newline; called from any thread."""
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            self._dropped += 1

    def flush(self) -> None:
        """Nothing: structlog's logger wants it, and waiting is what a log call must not do."""

    def close(self, timeout_s: float = 1.0) -> None:
        """Give what is queued `timeout_s` to be written; later lines are lost."""
        with contextlib.suppress(queue.Full):
            self._lines.put(None, timeout=timeout_s)
        self._thread.join(timeout_s)
        if not self._thread.is_alive():
            self._sink.close()

    def _run(self) -> None:
        while (line := self._lines.get()) is not None:
            try:
                if self._dropped > self._reported:
                    lost, self._reported = self._dropped - self._reported, self._dropped
                    self._sink.write(_loss_line(lost))
                self._sink.write(line)
            except (OSError, ValueError):  # ValueError: the file is closed
                self._dropped += 1


class Descriptor:
    """A file descriptor that is not ours to change or close, such as stderr."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def write(self, line: bytes) -> None:
        rest = memoryview(line)
        while rest:
            try:
                rest = rest[os.write(self._fd, rest) :]
            except BlockingIOError:  # whoever started us made it non-blocking, as Node does with its pipes
                select.select([], [self._fd], [])

    def close(self) -> None:
        """Leave it open: it is not ours."""


class RotatedFile(logging.handlers.RotatingFileHandler):
    """A private log file of at most 5 MiB, with three predecessors."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, maxBytes=_FILE_MAX_BYTES, backupCount=_ROTATED_FILES, encoding="utf-8")

    def write(self, line: bytes) -> None:
        self.emit(logging.makeLogRecord({"msg": line.decode("utf-8", "replace").rstrip("\n")}))

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802 - the base class's signature
        raise  # noqa: PLE0704 - called while the error is being handled, which the writer is to count

    def _open(self) -> Any:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(self.baseFilename, flags, 0o600)
        os.fchmod(fd, 0o600)
        return os.fdopen(fd, "a", encoding=self.encoding)


def configure(level: str, secrets: Iterable[str], log_file: Path | None = None) -> Logs:
    """Send structlog's and the standard library's lines to stderr, or to `log_file`, from `level` upwards.

    Each of `secrets` becomes "(redacted)" wherever it stands in a line, and so does in each of its texts what
    a box would not show. A second call replaces the first.
    Libraries speak from "warning" upwards only: at "debug" watchdog would log each of our own events.
    """
    logs = Logs(RotatedFile(log_file) if log_file else Descriptor(_STDERR_FD))
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    to_line: list[Processor] = [
        # The default prints messages and local variables: what agents write, and the token.
        structlog.processors.ExceptionRenderer(trace_of_exc_info),
        structlog.processors.JSONRenderer(serializer=safe_dumps),
    ]
    redact_line = _line_redactor(secrets)
    structlog.configure(
        processors=[*shared, *to_line, cast("Processor", redact_line)],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        # Called for `write` and `flush` alone.
        logger_factory=structlog.BytesLoggerFactory(cast("BinaryIO", logs)),
        cache_logger_on_first_use=False,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *to_line, _to_text],
    )
    handler = _LibraryLines(lambda line: logs.write(redact_line(None, "", line) + b"\n"))
    handler.setFormatter(formatter)
    root = logging.getLogger()
    for former in root.handlers[:]:
        if isinstance(former, _LibraryLines):
            root.removeHandler(former)
    root.addHandler(handler)
    root.setLevel(max(logging.WARNING, logging.getLevelNamesMapping()[level.upper()]))
    logging.captureWarnings(capture=True)
    return logs


def safe_dumps(event: Any, **_: Any) -> bytes:
    """JSON of anything: what JSON does not know becomes its `repr`, and what even that cannot do says so.

    orjson alone raises for lone surrogates, which is how Python spells a file name that is not UTF-8.
    """
    try:
        return orjson.dumps(event, default=repr, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:
        pass
    try:
        text = json.dumps(event, default=repr, skipkeys=True, ensure_ascii=False)
        # Spelled out, because strict readers refuse the escape of half a pair.
        return _SURROGATES.sub(lambda half: f"\\\\u{ord(half[0]):04x}", text).encode()
    except Exception as error:  # noqa: BLE001 - a foreign __repr__ may raise anything, and logging must not
        return orjson.dumps({"event": "unloggable_event", "level": "error", "reason": type(error).__name__})


class _LibraryLines(logging.Handler):
    """The standard library's records as lines."""

    def __init__(self, write: Callable[[bytes], None]) -> None:
        super().__init__()
        self._write = write

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record).encode()
        except Exception as error:  # noqa: BLE001 - a record with wrong arguments is its author's bug, not our end
            line = safe_dumps({"event": "unloggable_record", "logger": record.name, "reason": repr(error)})
        self._write(line)


def _line_redactor(secrets: Iterable[str]) -> Callable[[WrappedLogger, str, bytes], bytes]:
    """Works on the finished line, so that no nesting, key or traceback escapes it."""
    needles = {secret.encode() for secret in secrets if secret}
    # As JSON spells them, where that differs.
    needles |= {orjson.dumps(needle.decode())[1:-1] for needle in needles}
    ordered = sorted(needles, key=len, reverse=True)
    nobody = Redactor()
    shown = lru_cache(maxsize=_REMEMBERED_TEXTS)(lambda text: redact(text, nobody))

    def redact_line(_: WrappedLogger, __: str, line: bytes) -> bytes:
        for needle in ordered:
            line = line.replace(needle, REDACTED.encode())
        return _with_fields(line, shown)

    return redact_line


def _with_fields(line: bytes, shown: Callable[[str], str]) -> bytes:
    """The line as it is unless one of its texts is shown otherwise."""
    try:
        fields = _parsed(line)
        changed = {
            name: value if name in _UNREDACTED_FIELDS else _in_all_texts(value, shown)
            for name, value in fields.items()
        }
    except RecursionError:
        return safe_dumps({"event": "unloggable_event", "level": "error", "reason": "nested beyond measure"})
    return line if changed == fields else safe_dumps(changed)


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        return cast("dict[str, Any]", orjson.loads(line))
    except orjson.JSONDecodeError:  # NaN
        return cast("dict[str, Any]", json.loads(line))


def _in_all_texts(value: Any, shown: Callable[[str], str]) -> Any:
    match value:
        case str():
            return shown(value)
        case list():
            return [_in_all_texts(item, shown) for item in value]
        case dict():
            return {shown(name): _in_all_texts(item, shown) for name, item in value.items()}
        case _:
            return value


def _to_text(_: WrappedLogger, __: str, line: EventDict | bytes) -> str:
    return cast("bytes", line).decode()


def _loss_line(lost: int) -> bytes:
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return (
        safe_dumps({"event": "log_lines_lost", "level": "warning", "timestamp": now, "count": lost}) + b"\n"
    )
