from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.errors import ProtocolError
from broker.model import Column
from broker.wire.messages import data_row, row_description
from broker.wire.rows import read_cells, read_columns


@given(st.lists(st.none() | st.binary(max_size=30), max_size=6))
def test_rows_read_back(cells: list[bytes | None]) -> None:
    assert read_cells(data_row(cells)[5:], len(cells)) == cells


def test_columns_keep_their_origin() -> None:
    frame = row_description([("mail", 4_000_000_000, 3, 25, True), ("?column?", 0, 0, 23, False)])
    assert read_columns(frame[5:]) == [
        Column("mail", 4_000_000_000, 3, 25, True),
        Column("?column?", 0, 0, 23, False),
    ]


@given(st.binary(max_size=40))
def test_garbage_is_a_protocol_error(body: bytes) -> None:
    for read in (read_columns, lambda data: read_cells(data, 2)):
        with contextlib.suppress(ProtocolError):
            read(body)


def test_a_row_of_another_width_is_a_protocol_error() -> None:
    with pytest.raises(ProtocolError, match="1 cells for 2"):
        read_cells(data_row([b"x"])[5:], 2)
