from __future__ import annotations

import struct

import pytest

from broker.mask import cells
from broker.mask.cells import Form, form_of, is_opaque, text_of


@pytest.mark.parametrize(
    ("oid", "binary", "form"),
    [
        (25, False, Form.TEXT),
        (25, True, Form.TEXT),
        (1043, True, Form.TEXT),
        (3802, True, Form.JSON),
        (114, False, Form.JSON),
        (1009, False, Form.ARRAY),
        (1009, True, Form.CLOSED),
        (2249, False, Form.RECORD),
        (20, False, Form.CLOSED),
        (16500, False, Form.TEXT),
        (16500, True, Form.CLOSED),
    ],
)
def test_a_type_says_how_it_can_be_shown_masked(oid: int, binary: bool, form: Form) -> None:
    assert form_of(oid, binary=binary) is form


@pytest.mark.parametrize(
    ("cell", "oid", "binary", "text"),
    [
        (b"abc", cells.TEXT, False, "abc"),
        ("é".encode(), cells.TEXT, True, "é"),
        (struct.pack(">q", 4111111111111111), cells.INT8, True, "4111111111111111"),
        (struct.pack(">i", -5), cells.INT4, True, "-5"),
        (
            struct.pack(">hhHH4h", 4, 3, 0, 0, 4111, 1111, 1111, 1111),
            cells.NUMERIC,
            True,
            "4111111111111111",
        ),
        (struct.pack(">hhHH1h", 1, 1, 0, 0, 12), cells.NUMERIC, True, "120000"),
        (struct.pack(">hhHH2h", 2, 0, 0, 2, 12, 5000), cells.NUMERIC, True, "12"),
        (b"\\x612f62", cells.BYTEA, False, "a/b"),
        (b"\x00a\xff", 600, True, "\x00a\xff"),
    ],
)
def test_a_cell_is_read_as_its_type_says(cell: bytes, oid: int, binary: bool, text: str) -> None:
    assert text_of(cell, oid, binary=binary) == text


def test_what_a_search_of_the_bytes_would_miss_is_opaque() -> None:
    assert is_opaque(cells.INT8, binary=True)
    assert is_opaque(cells.NUMERIC, binary=True)
    assert is_opaque(cells.BYTEA, binary=False)
    assert not is_opaque(cells.INT8, binary=False)
    assert not is_opaque(cells.TEXT, binary=True)
    assert not is_opaque(cells.BYTEA, binary=True)


def test_a_broken_numeric_raises() -> None:
    with pytest.raises(struct.error):
        text_of(b"\x00\x04\x00\x03", cells.NUMERIC, binary=True)
