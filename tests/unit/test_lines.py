import pytest

from status_watcher.core.lines import cut, header_session_id, is_whole


def test_complete_lines_come_out_without_their_newline():
    found = cut(b'{"a":1}\n{"b":2}\n')
    assert found.lines == (b'{"a":1}', b'{"b":2}')
    assert found.consumed_bytes == 16


def test_T1_a_torn_line_is_left_for_later():
    found = cut(b'{"a":1}\n{"b":"\xc3')  # torn inside an é
    assert found.lines == (b'{"a":1}',)
    assert found.consumed_bytes == 8


def test_nothing_at_all_is_no_line():
    assert cut(b"").lines == ()
    assert cut(b"").consumed_bytes == 0


def test_only_a_newline_ends_a_line():
    line = '{"text":"a\u2028b\x85c\x0bd"}\r'.encode()
    assert cut(line + b"\n").lines == (line,)


def test_blank_lines_are_left_out():
    found = cut(b"\n\n{}\n\n")
    assert found.lines == (b"{}",)
    assert found.consumed_bytes == 6


def test_T9_a_hole_of_nuls_before_a_line_is_skipped_and_counted():
    found = cut(b"{}\n\0\0\0{}\n")
    assert found.lines == (b"{}", b"{}")
    assert found.nul_bytes == 3


def test_T9_a_hole_is_kept_until_a_line_follows_it():
    found = cut(b"{}\n\0\0\0{")
    assert found.lines == (b"{}",)
    assert found.consumed_bytes == 3
    assert found.nul_bytes == 0


def test_T11_an_overlong_line_is_left_out_and_counted_and_its_neighbours_live():
    found = cut(b"{}\n" + b"x" * 11 + b"\n[]\n", max_line_bytes=10)
    assert found.lines == (b"{}", b"[]")
    assert found.overlong_lines == 1


def test_a_line_of_just_the_limit_is_a_line():
    assert cut(b"x" * 10 + b"\n", max_line_bytes=10).lines == (b"x" * 10,)


def test_the_header_names_the_session():
    assert header_session_id(b'{"type":"session","version":3,"id":"5f9c","cwd":"/w"}') == "5f9c"


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{",
        b"[]",
        b"123",
        b"\xff\xfe",
        b'{"type":"message","id":"5f9c"}',
        b'{"type":"session"}',
        b'{"type":"session","id":7}',
        b'{"type":"session","id":""}',
    ],
)
def test_what_is_no_header_names_none(line):
    assert header_session_id(line) is None


def test_T3_only_a_whole_object_is_a_whole_tail():
    assert is_whole(b'{"a":{}}')
    assert not is_whole(b'{"a":{}')
    assert not is_whole(b"12")
    assert not is_whole(b"[{}]")
    assert not is_whole(b"")
