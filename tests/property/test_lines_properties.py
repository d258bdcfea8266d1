from hypothesis import given
from hypothesis import strategies as st

from status_watcher.core.lines import cut

CONTENT = st.lists(
    st.sampled_from([b"a", b"{", b"\xc3", b"\xa9", b"\0", b"\r", b"\n", b"\n"]), max_size=60
).map(b"".join)


def read_in_pieces(data: bytes, ends: list[int], max_line_bytes: int) -> tuple[list[bytes], int]:
    """What a reader sees that looks at each of these moments and always begins at the line it left."""
    lines: list[bytes] = []
    offset = 0
    for end in [*sorted(ends), len(data)]:
        found = cut(data[offset:end], max_line_bytes=max_line_bytes)
        lines += found.lines
        offset += found.consumed_bytes
    return lines, offset


@given(CONTENT, st.lists(st.integers(0, 60)), st.integers(1, 5))
def test_T1_every_split_of_a_file_gives_the_same_lines(data, ends, max_line_bytes):
    lines, offset = read_in_pieces(data, [min(end, len(data)) for end in ends], max_line_bytes)
    whole = cut(data, max_line_bytes=max_line_bytes)
    assert lines == list(whole.lines)
    assert offset == whole.consumed_bytes


@given(CONTENT)
def test_no_line_holds_a_newline_or_a_leading_nul_and_none_is_lost(data):
    lines = cut(data).lines
    assert all(line and b"\n" not in line and not line.startswith(b"\0") for line in lines)
    expected = [line.lstrip(b"\0") for line in data.split(b"\n")[:-1]]
    assert list(lines) == [line for line in expected if line]


@given(st.binary(max_size=200))
def test_T10_no_bytes_are_too_odd(data):
    found = cut(data)
    assert found.consumed_bytes <= len(data)
    assert b"\n" not in data[found.consumed_bytes :]
