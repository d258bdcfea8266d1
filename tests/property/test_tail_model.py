"""A tail against a model of its file: whatever happens to it, what was handed over is what is there.

The model's lines differ in their last 64 bytes, as timestamps make real ones differ: a rewrite that keeps
length and end is not seen.
"""

import contextlib
import json
import os
import tempfile
from pathlib import Path

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from status_watcher.edge.tail import Absent, Batch, Opener, Shrunk, Tail
from status_watcher.source import Reading

TEXT = st.text(alphabet="abé😀\u2028", max_size=30)


class TailedFile(RuleBasedStateMachine):
    """Rules are what OpenClaw, editors and disks do to a transcript; `look` is us."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.path = Path(self.directory.name, "s.jsonl")
        self.tail = Tail(str(self.path), Opener(self.directory.name))
        self.handed_over: list[bytes] = []
        self.ever_handed_over: set[bytes] = set()
        self.ever_written: set[bytes] = set()
        self.number = 0

    def teardown(self) -> None:
        self.directory.cleanup()

    def line(self, text: str) -> bytes:
        self.number += 1
        line = json.dumps({"t": text, "n": self.number}, ensure_ascii=False).encode()
        self.ever_written.add(line)
        return line

    def content(self) -> bytes:
        return self.path.read_bytes() if self.path.exists() else b""

    def append_bytes(self, data: bytes) -> None:
        with self.path.open("ab") as file:
            file.write(data)

    @initialize()
    def create(self) -> None:
        self.append_bytes(b"")

    @rule(text=TEXT)
    def append(self, text):
        torn = self.content().rpartition(b"\n")[2]
        self.append_bytes((b"\n" if torn else b"") + self.line(text) + b"\n")

    @rule(text=TEXT, data=st.data())
    def tear(self, text, data):
        line = self.line(text)
        self.append_bytes(line[: data.draw(st.integers(0, len(line)))])

    @rule(data=st.data())
    def truncate(self, data):
        size = len(self.content())
        if self.path.exists():
            os.truncate(self.path, data.draw(st.integers(0, size)))

    @rule(texts=st.lists(TEXT, max_size=5))
    def rewrite_in_place(self, texts):
        self.path.write_bytes(b"".join(self.line(text) + b"\n" for text in texts))

    @rule()
    def rewrite_in_place_with_the_same_content(self):
        self.path.write_bytes(self.content())

    @rule(texts=st.lists(TEXT, max_size=5))
    def replace(self, texts):
        temporary = self.path.with_suffix(".tmp")
        temporary.write_bytes(b"".join(self.line(text) + b"\n" for text in texts))
        temporary.replace(self.path)

    @precondition(lambda self: self.path.exists())
    @rule()
    def delete(self):
        self.path.unlink()

    @rule(size_bytes=st.integers(1, 5_000))
    def stale_writer_leaves_a_hole(self, size_bytes):
        self.append_bytes(b"")
        os.truncate(self.path, len(self.content()) + size_bytes)

    @rule()
    def look(self):
        while True:
            match self.tail.look():
                case Shrunk():
                    look = self.tail.look(patient=False)
                    assert isinstance(look, Batch)
                    self.take(look)
                case Batch() as batch:
                    self.take(batch)
                    if not batch.more:
                        break
                case Absent():
                    return
        complete = [line.lstrip(b"\0") for line in self.content().split(b"\n")[:-1] if line.strip(b"\0")]
        # A file without a line says nothing: what it held before stands until there is something else.
        assert self.handed_over == complete or not complete

    def take(self, batch: Batch) -> None:
        if batch.lines and batch.reading is not Reading.MORE:
            assert (batch.reading is Reading.FIRST) == (not self.ever_handed_over)
            self.handed_over = []
        self.handed_over += batch.lines
        self.ever_handed_over |= set(batch.lines)

    @invariant()
    def no_handle_stays_open(self):
        assert not any(link.startswith(self.directory.name) for link in open_files())


def open_files() -> list[str]:
    links = []
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the handle of the listing itself
            links.append(str(link.readlink()))
    return links


TailedFile.TestCase.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
TestT1T4T5T6T7T9WhateverHappensToTheFile = TailedFile.TestCase
