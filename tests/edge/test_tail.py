import errno
import os
import socket
import threading

import pytest

from status_watcher.core.cursor import Verdict
from status_watcher.core.lines import MAX_LINE_BYTES
from status_watcher.edge.tail import (
    END_BYTES,
    SLICE_BYTES,
    WHOLE_BYTES,
    Absent,
    Batch,
    Opener,
    Refused,
    Shrunk,
    Tail,
)
from status_watcher.source import Reading

HEADER = b'{"type":"session","id":"abc"}'


@pytest.fixture
def path(tmp_path):
    return tmp_path / "abc.jsonl"


@pytest.fixture
def tail(path, tmp_path):
    return Tail(str(path), Opener(str(tmp_path)))


def batch(tail, **how) -> Batch:
    look = tail.look(**how)
    assert isinstance(look, Batch), look
    return look


def read_all(tail) -> list[bytes]:
    lines = []
    while True:
        found = batch(tail)
        lines += found.lines
        if not found.more:
            return lines


def test_the_first_batch_is_the_first_and_names_the_session(path, tail):
    path.write_bytes(HEADER + b"\n{}\n")
    first = batch(tail)
    assert first.reading is Reading.FIRST
    assert first.lines == (HEADER, b"{}")
    assert first.header_id == "abc"
    with path.open("ab") as file:
        file.write(b"[]\n")
    more = batch(tail)
    assert (more.reading, more.lines, more.header_id) == (Reading.MORE, (b"[]",), None)


def test_a_transcript_without_a_header_names_no_session(path, tail):
    path.write_bytes(b"{}\n")
    assert batch(tail).header_id is None


def test_T1_a_line_written_in_pieces_comes_once(path, tail):
    seen = []
    for piece in (b'{"t":"\xc3', b"\xa9\xf0\x9f", b'\x98\x80"}', b"\n"):
        with path.open("ab") as file:
            file.write(piece)
        seen.append(batch(tail).lines)
    assert seen == [(), (), (), ('{"t":"é😀"}'.encode(),)]


def test_T3_a_whole_last_line_without_its_newline_counts_once_when_asked_for(path, tail):
    path.write_bytes(b'{}\n{"last":1}')
    assert batch(tail).lines == (b"{}",)
    assert batch(tail, accept_tail=True).lines == (b'{"last":1}',)
    with path.open("ab") as file:
        file.write(b"\n{}\n")
    assert batch(tail).lines == (b"{}",)


def test_T3_a_torn_last_line_is_never_accepted(path, tail):
    path.write_bytes(b'{}\n{"last":{}')
    assert batch(tail, accept_tail=True).lines == (b"{}",)
    assert tail.torn


def test_T4_a_file_that_shrank_is_given_time_and_then_read_again(path, tail):
    path.write_bytes(b'{"n":1}\n{"n":2}\n')
    batch(tail)
    path.write_bytes(b'{"n":1}\n')
    assert isinstance(tail.look(), Shrunk)
    again = batch(tail, patient=False)
    assert (again.reading, again.verdict, again.lines) == (Reading.AGAIN, Verdict.TRUNCATED, (b'{"n":1}',))


def test_T4_a_file_that_shrank_counts_as_it_is_once_it_has_settled(path, tail):
    path.write_bytes(b'{"n":1}\n{"n":2}\n')
    batch(tail)
    path.write_bytes(b'{"n":1}\n')
    shrunk = tail.look()
    assert isinstance(shrunk, Shrunk)
    assert batch(tail, settled=shrunk.stamp).lines == (b'{"n":1}',)


def test_T4_a_rewrite_with_the_same_content_is_no_news(path, tail):
    content = b'{"n":1}\n{"n":2}\n'
    path.write_bytes(content)
    batch(tail)
    os.truncate(path, 0)
    assert isinstance(tail.look(), Shrunk)
    path.write_bytes(content + b'{"n":3}\n')
    assert batch(tail).lines == (b'{"n":3}',)


def test_T4_an_empty_file_says_nothing_and_what_follows_is_read_again(path, tail):
    path.write_bytes(b'{"n":1}\n')
    batch(tail)
    os.truncate(path, 0)
    assert batch(tail, patient=False).lines == ()
    path.write_bytes(b'{"n":1}\n')
    again = batch(tail)
    assert (again.reading, again.lines) == (Reading.AGAIN, (b'{"n":1}',))


def test_T5_truncated_and_regrown_beyond_the_old_offset_is_read_again_whole(path, tail):
    path.write_bytes(b'{"old":1}\n')
    batch(tail)
    path.write_bytes(b'{"new":1}\n{"new":2}\n')
    assert isinstance(tail.look(), Shrunk)
    assert batch(tail, patient=False).lines == (b'{"new":1}', b'{"new":2}')


def test_T6_a_file_replaced_by_rename_is_read_again(path, tail, tmp_path):
    path.write_bytes(b'{"n":1}\n')
    batch(tail)
    repaired = tmp_path / "repaired"
    repaired.write_bytes(b'{"n":1}\n{"n":2}\n')
    repaired.rename(path)
    again = batch(tail)
    assert (again.reading, again.verdict) == (Reading.AGAIN, Verdict.REPLACED)
    assert again.lines == (b'{"n":1}', b'{"n":2}')


def test_T7_a_file_recreated_with_the_same_inode_is_read_again(path, tail):
    path.write_bytes(b'{"n":1}\n')
    batch(tail)
    inode = path.stat().st_ino
    for _ in range(50):
        path.unlink()
        path.write_bytes(b'{"n":2}\n')
        if path.stat().st_ino == inode:
            break
    else:
        pytest.skip("this file system did not reuse the inode")
    assert isinstance(tail.look(), Shrunk)
    assert batch(tail, patient=False).lines == (b'{"n":2}',)


def test_T8_a_deleted_file_is_absent_and_may_come_back(path, tail):
    assert tail.look() == Absent()
    path.write_bytes(b"{}\n")
    assert batch(tail).lines == (b"{}",)
    path.unlink()
    assert tail.look() == Absent()


def test_T9_a_stale_writer_s_hole_is_skipped_and_counted(path, tail):
    path.write_bytes(b'{"n":1}\n')
    batch(tail)
    os.truncate(path, 3 * SLICE_BYTES)
    with path.open("ab") as file:
        file.write(b'{"n":2}\n')
    lines, nul_bytes = [], 0
    while (found := batch(tail)).more or found.lines:
        lines += found.lines
        nul_bytes += found.nul_bytes
    assert lines == [b'{"n":2}']
    assert nul_bytes == 3 * SLICE_BYTES - 8


def test_a_long_file_comes_in_slices_and_each_says_whether_more_follows(path, tail):
    lines = [b'{"n":%d}' % number for number in range(100_000)]
    path.write_bytes(b"\n".join(lines) + b"\n")
    first = batch(tail)
    assert first.more
    assert sum(map(len, first.lines)) <= SLICE_BYTES
    assert [*first.lines, *read_all(tail)] == lines


def test_a_line_longer_than_a_slice_arrives_whole(path, tail):
    line = b'{"t":"' + b"x" * (5 * SLICE_BYTES) + b'"}'
    path.write_bytes(b"{}\n" + line[: 3 * SLICE_BYTES])
    assert read_all(tail) == [b"{}"]
    with path.open("ab") as file:
        file.write(line[3 * SLICE_BYTES :] + b"\n[]\n")
    assert read_all(tail) == [line, b"[]"]


def test_T11_an_overlong_line_is_discarded_and_counted_and_the_next_lives(path, tail):
    path.write_bytes(b"{}\n" + b"x" * (MAX_LINE_BYTES + 1) + b"\n[]\n")
    lines, overlong_lines, more = [], 0, True
    while more:
        found = batch(tail)
        lines += found.lines
        overlong_lines += found.overlong_lines
        more = found.more
    assert (lines, overlong_lines) == ([b"{}", b"[]"], 1)
    with path.open("ab") as file:
        file.write(b'{"n":1}\n')
    assert read_all(tail) == [b'{"n":1}']


def test_T11_a_line_of_just_the_limit_is_kept(path, tail):
    line = b"x" * MAX_LINE_BYTES
    path.write_bytes(line + b"\n")
    assert read_all(tail) == [line]


def test_a_long_torn_line_that_is_taken_back_leaves_no_trace(path, tail):
    path.write_bytes(b"{}\n" + b"x" * (3 * SLICE_BYTES))
    assert read_all(tail) == [b"{}"]
    os.truncate(path, 3)
    with path.open("ab") as file:
        file.write(b'{"n":1}\n')
    assert read_all(tail) == [b'{"n":1}']


def test_T12_of_a_huge_backlog_only_the_end_is_read_from_a_line_start(path, tail):
    end = b'x"}\n' + b'{"n":1}\n' * 3
    with path.open("wb") as file:
        file.write(HEADER + b"\n")
        file.truncate(WHOLE_BYTES * 80 - len(end))  # 5 GB that take no room
        file.seek(0, os.SEEK_END)
        file.write(end)
    first = batch(tail)
    while not first.lines:
        first = batch(tail)
    assert first.head_skipped
    assert first.header_id == "abc"
    assert (first.reading, first.lines) == (Reading.FIRST, (b'{"n":1}',) * 3)


def test_T12_a_transcript_of_just_the_limit_is_read_whole(path, tail):
    with path.open("wb") as file:
        file.write(HEADER + b"\n" + b"\n" * (WHOLE_BYTES - len(HEADER) - 1))
    first = batch(tail)
    assert not first.head_skipped
    assert first.lines == (HEADER,)


def test_T12_a_huge_line_at_the_end_of_a_huge_file_is_discarded(path, tail):
    with path.open("wb") as file:
        file.write(HEADER + b"\n")
        file.seek(WHOLE_BYTES)
        file.write(b"x" * (END_BYTES + 10) + b"\n{}\n")
    assert read_all(tail) == [b"{}"]


def test_T13_a_fifo_is_refused_and_never_blocks(path, tail):
    os.mkfifo(path)
    looks = []
    thread = threading.Thread(target=lambda: looks.append(tail.look()), daemon=True)
    thread.start()
    thread.join(5)
    assert looks == [Refused("not a regular file", for_good=True)]


def test_T13_a_socket_and_a_directory_are_refused(path, tail):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        assert isinstance(tail.look(), Refused)
    path.unlink()
    path.mkdir()
    assert tail.look() == Refused("not a regular file", for_good=True)


def test_T13_a_link_is_followed_below_the_root_only(path, tail, tmp_path, tmp_path_factory):
    inside = tmp_path / "inside"
    inside.write_bytes(b"{}\n")
    path.symlink_to(inside)
    assert batch(tail).lines == (b"{}",)
    outside = tmp_path_factory.mktemp("outside") / "secret"
    outside.write_bytes(b"{}\n")
    path.unlink()
    path.symlink_to(outside)
    assert tail.look() == Refused("a link that leaves the root", for_good=True)


def test_T13_a_loop_of_links_is_refused(path, tail):
    path.symlink_to(path.name)
    assert tail.look() == Refused("ELOOP")


def test_T14_what_may_not_be_read_is_refused_until_it_may(path, tmp_path):
    path.write_bytes(b"{}\n")
    errors = [PermissionError(errno.EACCES, "no")]

    def open_file(name: str, flags: int) -> int:
        if errors:
            raise errors.pop()
        return os.open(name, flags)

    tail = Tail(str(path), Opener(str(tmp_path), open_file))
    assert tail.look() == Refused("EACCES")
    assert batch(tail).lines == (b"{}",)


def test_P15_a_name_that_is_no_text_is_read(tmp_path):
    path = tmp_path / os.fsdecode(b"\xff.jsonl")
    path.write_bytes(b"{}\n")
    assert batch(Tail(str(path), Opener(str(tmp_path)))).lines == (b"{}",)
