"""Compiled or not, the bytes are the same; and what is no row is the peer's fault."""

from __future__ import annotations

from itertools import product
from string import ascii_uppercase
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.errors import ProtocolError
from broker.mask.numbers import IBAN_COUNTRIES
from broker.mask.prefilter import Prefilter
from broker.mask.rows import RowMask
from broker.mask.rules import DETECTORS, Masking, Style
from broker.model import Column
from broker.rows import blocks
from broker.wire import transcript
from tests.broker.rows.both import BOTH, block, broken, cells, compiled, row, tables

KEY = b"key"
REFUSALS = (ProtocolError, *(way.Malformed for way in BOTH))
TYPES = (25, 1043, 114, 3802, 20, 21, 23, 1700, 17, 16, 1009, 2249, 1114, 20000)
columns_of = st.lists(
    st.tuples(st.sampled_from(TYPES), st.booleans(), st.sampled_from([None, *Style])),
    min_size=4,
    max_size=4,
)
detectors = st.sets(st.sampled_from(DETECTORS)).map(tuple)


def outcome(act: Any) -> object:
    """What came of it: a value, or that the block was refused."""
    try:
        return act()
    except REFUSALS:
        return "refused"


def planned(columns: list[tuple[int, bool, Style | None]], detect: tuple[str, ...]) -> RowMask:
    styles = {(1, n): style for n, (_, _, style) in enumerate(columns) if style}
    return RowMask(Masking(detect=detect), styles, KEY)


def described(columns: list[tuple[int, bool, Style | None]], count: int) -> list[Column]:
    return [Column("c", 1, n, oid, binary) for n, (oid, binary, _) in enumerate(columns[:count])]


@settings(max_examples=300, deadline=None)
@given(tables, columns_of, detectors)
def test_a_block_is_masked_as_its_rows_are_one_by_one(
    table: tuple[int, list[list[bytes | None]]],
    columns: list[tuple[int, bool, Style | None]],
    detect: tuple[str, ...],
) -> None:
    count, rows = table
    one, other = planned(columns, detect), planned(columns, detect)
    by_row = one.plan(described(columns, count), tainted=False)
    expected = block([by_row.apply(cells) for cells in rows])
    plan = other.plan(described(columns, count), tainted=False)
    kept = blocks._chosen
    for way in BOTH:
        blocks._chosen = way
        try:
            assert plan.rows(block(rows)) == expected
        finally:
            blocks._chosen = kept
        assert other.take_counts() == {k: v for k, v in one.counts.items() if v}


@settings(max_examples=300, deadline=None)
@given(tables | broken.map(lambda data: (2, data)))
def test_a_block_is_shown_as_its_rows_are_one_by_one(table: tuple[int, Any]) -> None:
    count, rows = table
    data = rows if isinstance(rows, bytes) else block(rows)
    shown = [outcome(lambda way=way: way.show(data, count, transcript._odd)) for way in BOTH]
    assert len(set(shown)) == 1
    if not isinstance(rows, bytes):
        assert shown[0] == b"".join(map(transcript.row, rows))


@settings(max_examples=300, deadline=None)
@given(broken, st.lists(st.sampled_from(range(6)), max_size=4).map(bytes), st.integers(0, 63))
def test_no_bytes_break_the_compiled_module(data: bytes, styles: bytes, bits: int) -> None:
    def suspects(block: bytes) -> range:
        return range(len(block))

    found = [
        outcome(lambda way=way: way.mask(data, len(styles), styles, bits, suspects, bytes))
        for way in BOTH
    ]
    assert ("refused" in found) is all(each == "refused" for each in found)
    hops = [way.hop(data, at, 0x44, most, 30) for way in BOTH for at in (0,) for most in (-1, 2)]
    assert hops[:2] == hops[-2:]


@compiled
@settings(max_examples=1000, deadline=None)
@given(cells, st.sampled_from(DETECTORS))
def test_the_compiled_search_never_misses_what_the_prefilter_sees(
    cell: bytes | None, name: str
) -> None:
    bit = 1 << DETECTORS.index(name)
    if Prefilter([name])(cell or b""):
        assert blocks.native is not None
        assert blocks.native.may_hold(cell, bit)


@compiled
def test_the_compiled_search_knows_the_same_countries() -> None:
    assert blocks.native is not None
    for pair in map("".join, product(ascii_uppercase, repeat=2)):
        known = blocks.native.may_hold(
            f"{pair}1212345678901".encode(), 1 << DETECTORS.index("iban")
        )
        assert known is (pair in IBAN_COUNTRIES)


@settings(max_examples=500, deadline=None)
@given(st.lists(cells, min_size=3, max_size=3), st.sampled_from(DETECTORS), st.integers(0, 70))
def test_lengths_between_cells_hide_nothing(
    made: list[bytes | None], name: str, padding: int
) -> None:
    first = [b"x" * padding, *made]
    if Prefilter([name])(b"\n".join(filter(None, first))):
        before = row([b"another", b"row"])
        places = list(Prefilter([name]).in_rows(before + row(first)))
        assert max(places) >= len(before)


def test_what_is_no_row_is_a_protocol_error() -> None:
    with pytest.raises(ProtocolError, match="whole rows"):
        blocks.show(b"D\0\0\0\6\0\2", 1, bytes)
    with pytest.raises(ProtocolError):
        blocks.mask(b"D", 0, b"", 0, list, bytes)


def test_an_old_build_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "VERSION", 0)
    assert blocks.load() is None
