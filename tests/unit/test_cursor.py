from status_watcher.core.cursor import MARKER_BYTES, Cursor, Stamp, Verdict, judge


def stamp(*, device=1, inode=2, size_bytes=100):
    return Stamp(device, inode, size_bytes, 0)


def test_the_marker_is_the_last_bytes_before_the_offset():
    cursor = Cursor(1, 2).advanced(b"abc\n", unfinished_bytes=0)
    assert (cursor.offset, cursor.marker, cursor.marker_offset) == (4, b"abc\n", 0)
    cursor = cursor.advanced(b"x" * 99 + b"\n", unfinished_bytes=5)
    assert (cursor.offset, len(cursor.marker), cursor.marker_offset) == (
        104,
        MARKER_BYTES,
        104 - MARKER_BYTES,
    )
    assert cursor.marker.endswith(b"x\n")
    assert cursor.unfinished_bytes == 5


def test_the_marker_grows_over_short_reads():
    cursor = Cursor(1, 2)
    for _ in range(40):
        cursor = cursor.advanced(b"ab\n", unfinished_bytes=0)
    assert cursor.marker == (b"ab\n" * 40)[-MARKER_BYTES:]


def test_a_file_that_grew_continues():
    assert judge(Cursor(1, 2, 4, b"abc\n"), stamp(), b"abc\nmore") is Verdict.CONTINUE


def test_nothing_read_yet_continues_whatever_there_is():
    assert judge(Cursor(1, 2), stamp(size_bytes=0), b"") is Verdict.CONTINUE


def test_T4_shorter_than_the_offset_is_truncated():
    assert judge(Cursor(1, 2, 4, b"abc\n"), stamp(size_bytes=3), b"abc") is Verdict.TRUNCATED


def test_T5_other_bytes_before_the_offset_are_a_truncation_that_has_regrown():
    assert judge(Cursor(1, 2, 4, b"abc\n"), stamp(), b"xyz\nmore") is Verdict.TRUNCATED


def test_T6_another_inode_is_a_replacement():
    assert judge(Cursor(1, 2, 4, b"abc\n"), stamp(inode=3), b"abc\nmore") is Verdict.REPLACED


def test_T7_the_same_inode_with_other_content_is_seen():
    assert judge(Cursor(1, 2, 4, b"abc\n"), stamp(size_bytes=4), b"xyz\n") is Verdict.TRUNCATED


def test_T8_no_file_is_gone():
    assert judge(Cursor(1, 2, 4, b"abc\n"), None, b"") is Verdict.GONE
