"""Rows by the block, one by one: what is shown, what is masked, what is refused."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from broker.rows.plain import ASK, INTEGER, LEAVE, SEARCH, STARS, message
from tests.broker.rows.both import block, either, row


def odd(cell: bytes) -> bytes:
    return b"<%d>" % len(cell)


def suspects(block: bytes) -> list[int]:
    return [at for at, byte in enumerate(block) if byte == ord("@")]


EMAIL = 1


@either
def test_rows_are_shown_as_lines_of_cells(way: Any) -> None:
    rows: list[list[bytes | None]] = [[b"1", None], [b"", b"two words"], [b"a\tb", b"\xc3\xa9"]]
    shown = way.show(block(rows), 2, odd)
    assert shown == b"1\tNULL\r\n\ttwo words\r\n<3>\t<2>\r\n"


@either
def test_a_long_cell_is_shown_by_others(way: Any) -> None:
    assert way.show(row([b"x" * 1000]), 1, odd) == b"x" * 1000 + b"\r\n"
    assert way.show(row([b"x" * 1001]), 1, odd) == b"<1001>\r\n"
    assert way.show(b"", 3, odd) == b""


@either
def test_a_block_in_which_nothing_is_to_be_found_is_the_same_object(way: Any) -> None:
    data = block([[b"1", b"x"], [b"2", b"y"]])
    assert way.mask(data, 2, bytes([SEARCH, LEAVE]), EMAIL, suspects, pytest.fail)[0] is data


@either
def test_only_rows_in_which_something_may_be_are_read(way: Any) -> None:
    asked: list[bytes] = []

    def mask_row(data: bytes) -> bytes:
        asked.append(data)
        return row([b"masked"])

    data = block([[b"a"], [b"b@c"], [b"d"], [b"e@f"], [b"g"]])
    shown, stars = way.mask(data, 1, bytes([SEARCH]), EMAIL, suspects, mask_row)
    assert asked == [row([b"b@c"]), row([b"e@f"])]
    assert shown == block([[b"a"], [b"masked"], [b"d"], [b"masked"], [b"g"]])
    assert stars == 0


@either
def test_stars_keep_the_width_and_leave_null(way: Any) -> None:
    data = block([[b"1", b"Ann"], [b"2", None], [b"3", b""], [b"4", "é".encode()]])
    styles = bytes([LEAVE, STARS])
    shown, stars = way.mask(data, 2, styles, 0, suspects, lambda _: row([b"4", b"*"]))
    assert shown == block([[b"1", b"***"], [b"2", None], [b"3", b""], [b"4", b"*"]])
    assert stars == 2  # the one that is not ASCII is counted by whoever masks its row


@either
@pytest.mark.parametrize(
    ("style", "cell", "asked"),
    [
        (ASK, b"", True),
        (ASK, None, False),
        (INTEGER, struct.pack(">q", 10**12 - 1), False),
        (INTEGER, struct.pack(">q", 10**12), True),
        (INTEGER, struct.pack(">q", -(10**12)), True),
        (INTEGER, struct.pack(">q", -(2**63)), True),
        (INTEGER, struct.pack(">i", -5), False),
        (INTEGER, struct.pack(">h", 7), False),
        (INTEGER, b"\0\0\0", True),
    ],
)
def test_which_cells_others_have_to_mask(
    way: Any, style: int, cell: bytes | None, asked: bool
) -> None:
    shown, _ = way.mask(row([cell]), 1, bytes([style]), 63, suspects, lambda _: b"asked")
    assert (shown == b"asked") is asked


@either
@pytest.mark.parametrize(
    "data",
    [
        b"D",
        b"C\0\0\0\6\0\1",
        b"D\0\0\0\6\0\2",
        b"D\0\0\0\6\0\1",
        b"D\0\0\0\x05\0\1",
        b"D\0\0\0\x0a\0\1\0\0\0\1",
        b"D\0\0\0\x0a\0\1\xff\xff\xff\xfe",
        b"D\0\0\0\x0a\0\1\x7f\xff\xff\xff",
        b"D\xff\xff\xff\xff\0\1",
        row([b"x"]) + b"D\0",
        row([b"x"])[:-1],
        b"D\0\0\0\x0c\0\1\0\0\0\1xy",
    ],
)
def test_what_is_no_block_of_rows_is_refused(way: Any, data: bytes) -> None:
    with pytest.raises(way.Malformed):
        way.show(data, 1, odd)
    with pytest.raises(way.Malformed):
        way.mask(data, 1, bytes([SEARCH]), 63, suspects, lambda _: b"")


@either
def test_styles_must_fit_the_columns(way: Any) -> None:
    with pytest.raises(way.Malformed):
        way.mask(row([b"x"]), 1, b"", 63, suspects, lambda _: b"")


@either
def test_what_fails_in_a_row_fails_the_block(way: Any) -> None:
    def fail(_: bytes) -> bytes:
        raise LookupError

    with pytest.raises(LookupError):
        way.mask(row([b"x"]), 1, bytes([ASK]), 0, suspects, fail)
    with pytest.raises(LookupError):
        way.show(row([b"\0"]), 1, fail)
    with pytest.raises(TypeError):
        way.show(row([b"\0"]), 1, str)


@either
def test_a_run_stops_before_what_is_too_long_or_not_whole(way: Any) -> None:
    data = row([b"1"]) * 3 + b"C\0\0\0\4"
    size = len(row([b"1"]))
    code = ord("D")
    assert way.hop(data, 0, code, -1, 100) == (3, 3 * size)
    assert way.hop(bytearray(data), size, code, 1, 100) == (1, 2 * size)
    assert way.hop(data, 0, code, 0, 100) == (0, 0)
    assert way.hop(data[:-6], 0, code, -1, 100) == (2, 2 * size)
    assert way.hop(data, 0, code, -1, size - 6) == (0, 0)
    assert way.hop(b"D\0\0\0\3", 0, code, -1, 100) == (0, 0)


def test_a_row_is_built_as_it_is_read() -> None:
    assert message([b"1", None, b""]) == row([b"1", None, b""])
