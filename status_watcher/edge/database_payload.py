"""The JSON of an event as the store keeps it: text, or (2026.9.6, from about 1 KiB on) compressed."""

from enum import Enum, auto
from typing import Final

import zstandard

from status_watcher.core.lines import MAX_LINE_BYTES, cut
from status_watcher.edge.tail import WHOLE_BYTES

PAYLOAD_COLUMNS: Final = "event_json, event_zstd"
ZSTD: Final = "zstd"
IDENTITY: Final = "identity"


class Fault(Enum):
    """Why an event has no body."""

    DAMAGED = auto()
    OVERLONG = auto()
    """Longer than a line may be."""


class Payloads:
    """Unpacks events within a limit of size; one call at a time."""

    def __init__(self) -> None:
        self._zstd = zstandard.ZstdDecompressor()

    def body(self, text: object, packed: object) -> bytes | Fault:
        """The event as JSON."""
        match text, packed:
            case bytes(), _:
                body = text
            case _, bytes():
                # As a stream: what a frame says of its own size is not to be believed, nor made room for.
                try:
                    with self._zstd.stream_reader(packed) as stream:
                        body = stream.read(MAX_LINE_BYTES + 1)
                except zstandard.ZstdError:
                    return Fault.DAMAGED
            case _:
                return Fault.DAMAGED
        return body if len(body) <= MAX_LINE_BYTES else Fault.OVERLONG

    def archived_lines(self, encoding: str, blob: bytes) -> tuple[bytes, ...]:
        """The lines of a transcript as the store archives it on deletion; none if they cannot be read."""
        data = blob
        if encoding == ZSTD:
            try:
                with self._zstd.stream_reader(blob) as stream:
                    data = stream.read(WHOLE_BYTES + 1)
            except zstandard.ZstdError:
                return ()
        return cut(data + b"\n").lines if len(data) <= WHOLE_BYTES else ()
