from __future__ import annotations

import json
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.mask.rows import RowMask
from broker.mask.rules import DETECTORS, Masking, Style
from broker.model import Column
from tests.broker.mask.samples import CASES, INNOCENT

TEXT, JSON, JSONB, INT8, INT4, NUMERIC, BYTEA, BOOL = 25, 114, 3802, 20, 23, 1700, 17, 16
TEXTS, INT8S, RECORD, TIMESTAMP, OWN = 1009, 1016, 2249, 1114, 20000
CARD = 4111111111111111
EVERYTHING = Masking(detect=DETECTORS)


def column(
    type_oid: int = TEXT, *, table: int = 1, attnum: int = 1, binary: bool = False
) -> Column:
    return Column("c", table, attnum, type_oid, binary)


def search(cell: bytes, type_oid: int, *, binary: bool = False) -> bytes | None:
    plan = RowMask(EVERYTHING, {}, b"").plan([column(type_oid, binary=binary)], tainted=False)
    return plan.apply([cell])[0]


# -- columns that a rule names ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("type_oid", "binary", "style", "cell", "expected"),
    [
        (TEXT, False, Style.REDACT, b"Alice", b"*****"),
        (TEXT, True, Style.REDACT, "Zoé".encode(), b"***"),
        (TEXT, False, Style.PARTIAL, b"alice@example.com", b"a****@*******.***"),
        (INT8, False, Style.REDACT, b"42", None),
        (INT8, False, Style.PARTIAL, b"4111111111111111", None),
        (INT8, True, Style.REDACT, struct.pack(">q", 42), None),
        (TIMESTAMP, False, Style.REDACT, b"2026-01-01", None),
        (TEXTS, False, Style.REDACT, b"{a,b}", b"{***}"),
        (TEXTS, True, Style.REDACT, b"\x00\x00\x00\x01", None),
        (RECORD, False, Style.REDACT, b"(1,a)", b"(***)"),
        (JSON, False, Style.REDACT, b'{"a": 1}', b'"******"'),
        (JSON, False, Style.REDACT, b"1", None),
        (JSONB, True, Style.REDACT, b'\x01{"a": 1}', b'\x01"******"'),
        (OWN, False, Style.REDACT, b"enum", b"****"),
        (OWN, True, Style.REDACT, b"enum", None),
        (TEXT, False, Style.REDACT, None, None),
        (TEXT, False, Style.REDACT, b"", b""),
    ],
)
def test_a_named_column_is_masked_whole_in_its_own_type(
    type_oid: int, binary: bool, style: Style, cell: bytes | None, expected: bytes | None
) -> None:
    mask = RowMask(Masking(), {(7, 2): style}, b"key")
    plan = mask.plan([column(type_oid, table=7, attnum=2, binary=binary)], tainted=True)
    assert plan.active
    assert plan.apply([cell]) == [expected]
    assert mask.take_counts() == ({} if cell is None else {"column": 1})


def test_pseudonyms_keep_equal_values_equal_across_columns_and_need_a_key() -> None:
    mask = RowMask(Masking(), {(7, 2): Style.PSEUDONYM, (8, 1): Style.PSEUDONYM}, b"key")
    plan = mask.plan([column(table=7, attnum=2), column(table=8, attnum=1)], tainted=True)
    one, two = plan.apply([b"Alice", b"Alice"])
    assert one == two != b"Alice"
    with pytest.raises(ValueError, match="key"):
        RowMask(Masking(), {(7, 2): Style.PSEUDONYM}, b"")


def test_other_columns_of_the_table_are_left_alone() -> None:
    plan = RowMask(Masking(), {(7, 2): Style.REDACT}, b"").plan(
        [column(table=7, attnum=1), column(table=8, attnum=2)], tainted=True
    )
    assert not plan.active
    assert plan.apply([b"a", b"b"]) == [b"a", b"b"]


# -- columns without an identity -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("type_oid", "tainted", "expected"),
    [
        (TEXT, True, b"****"),
        (TEXT, False, b"1234"),
        (INT8, True, b"1234"),  # count(*): a number cannot carry text
        (BYTEA, True, None),
        (TEXTS, True, b"{**}"),
        (OWN, True, b"****"),
        (INT8S, True, None),
        (705, True, b"****"),
    ],
)
def test_what_may_be_made_of_a_masked_column_is_masked(
    type_oid: int, tainted: bool, expected: bytes | None
) -> None:
    mask = RowMask(Masking(), {(7, 2): Style.PARTIAL}, b"")
    plan = mask.plan([column(type_oid, table=0, attnum=0)], tainted=tainted)
    assert plan.apply([b"1234"]) == [expected]


def test_a_whole_row_of_a_table_with_a_masked_column_is_masked() -> None:
    mask = RowMask(Masking(), {(7, 2): Style.PARTIAL}, b"")
    plan = mask.plan([column(RECORD, table=7, attnum=0)], tainted=False)
    assert plan.apply([b"(1,alice@example.com)"]) == [b"(" + b"*" * 19 + b")"]


# -- cells that are searched -----------------------------------------------------------------------


@pytest.mark.parametrize(("name", "text", "secret"), CASES)
@pytest.mark.parametrize("binary", [False, True])
def test_a_value_in_a_text_cell_is_masked_in_place(
    name: str, text: str, secret: str, binary: bool
) -> None:
    mask = RowMask(EVERYTHING, {}, b"")
    plan = mask.plan([column(INT4), column(TEXT, binary=binary)], tainted=False)
    number, cell = plan.apply([b"7", f"see {text} now".encode()])
    assert number == b"7"
    assert cell is not None
    assert secret not in cell.decode()
    assert len(cell.decode()) == len(f"see {text} now")
    assert mask.take_counts() == {name: 1}


@pytest.mark.parametrize("text", INNOCENT)
def test_innocent_cells_are_the_same_objects(text: str) -> None:
    plan = RowMask(EVERYTHING, {}, b"").plan([column(), column(JSON)], tainted=False)
    cells: list[bytes | None] = [text.encode(), json.dumps(text).encode()]
    assert plan.apply(cells) == cells


@pytest.mark.parametrize(
    ("cell", "type_oid", "binary", "expected"),
    [
        (b"4111111111111111", INT8, False, None),
        (b"4111111111111111", NUMERIC, False, None),
        (b"4111111111111112", INT8, False, b"4111111111111112"),
        (struct.pack(">q", CARD), INT8, True, None),
        (struct.pack(">q", CARD + 1), INT8, True, struct.pack(">q", CARD + 1)),
        (struct.pack(">hhHH4h", 4, 3, 0, 0, 4111, 1111, 1111, 1111), NUMERIC, True, None),
        (b"\x00", NUMERIC, True, None),  # not a numeric: not shown
        (b"{4111111111111111,2}", INT8S, False, None),
        (b"{alice@example.com,b}", TEXTS, False, b"{" + b"*" * 17 + b",b}"),
        (b"\x00\x00\x00\x11alice@example.com", TEXTS, True, None),
        (b"(1,alice@example.com)", RECORD, False, b"(1," + b"*" * 17 + b")"),
        (b"\\x" + b"alice@example.com".hex().encode(), BYTEA, False, None),
        (b"\\xff00", BYTEA, False, b"\\xff00"),
        (b"\x01alice@example.com\xff", BYTEA, True, None),
        (b'{"m": "alice@example.com"}', JSON, False, b'{"m": "' + b"*" * 17 + b'"}'),
        (b'\x01{"m": "alice@example.com"}', JSONB, True, b'\x01{"m": "' + b"*" * 17 + b'"}'),
        (b'{"n": 4111111111111111}', JSONB, False, None),  # no JSON number can be stars
        (b"alice@example.com", OWN, False, b"*" * 17),
        (b"alice@example.com", OWN, True, None),
        (b"t", BOOL, False, b"t"),
        (b"", TEXT, False, b""),
    ],
)
def test_a_cell_is_masked_as_its_type_allows(
    cell: bytes, type_oid: int, binary: bool, expected: bytes | None
) -> None:
    assert search(cell, type_oid, binary=binary) == expected


def test_null_stays_null_and_a_wrong_row_is_refused() -> None:
    plan = RowMask(EVERYTHING, {}, b"").plan([column(), column(INT8, binary=True)], tainted=False)
    assert plan.apply([None, None]) == [None, None]
    with pytest.raises(ValueError, match="described"):
        plan.apply([b"x"])


def test_values_do_not_join_across_cells() -> None:
    plan = RowMask(EVERYTHING, {}, b"").plan([column(), column()], tainted=False)
    assert plan.apply([b"41111111", b"11111111"]) == [b"41111111", b"11111111"]


TYPES = st.sampled_from([TEXT, JSON, JSONB, INT8, INT4, NUMERIC, BYTEA, TEXTS, RECORD, OWN, 600])


@given(st.lists(st.tuples(TYPES, st.booleans(), st.none() | st.binary(max_size=30)), max_size=6))
@settings(max_examples=200, deadline=None)
def test_no_bytes_break_it(row: list[tuple[int, bool, bytes | None]]) -> None:
    columns = [column(oid, binary=binary) for oid, binary, _ in row]
    cells = [cell for _, _, cell in row]
    shown = RowMask(EVERYTHING, {}, b"").plan(columns, tainted=False).apply(cells)
    for before, after in zip(cells, shown, strict=True):
        assert after is None or (before is not None and len(after) <= len(before))


# -- what has no columns ---------------------------------------------------------------------------


def test_errors_and_copy_are_searched() -> None:
    mask = RowMask(EVERYTHING, {}, b"")
    detail = b"Key (email)=(alice@example.com) already exists."
    assert mask.text(detail) == b"Key (email)=(*****************) already exists."
    assert mask.text(b"\xff plain") == b"\xff plain"
    assert mask.text(b"1\t078-05-1120\t\\N\n") == b"1\t***********\t\\N\n"
    assert mask.take_counts() == {"email": 1, "us_ssn": 1}
    stream = mask.copy_stream()
    out = stream.feed(b"1\talice@exa") + stream.feed(b"mple.com\t2\n") + stream.close()
    assert out == b"1\t*****************\t2\n"
    assert stream.take_counts() == {"email": 1}


def test_without_rules_nothing_is_done() -> None:
    mask = RowMask(Masking(), {}, b"")
    plan = mask.plan([column()], tainted=False)
    assert not plan.active
    assert plan.apply([b"alice@example.com"]) == [b"alice@example.com"]
    assert mask.text(b"alice@example.com") == b"alice@example.com"


@pytest.mark.parametrize(
    ("type_oid", "table", "expected"),
    [(TEXT, 8, b"ann"), (TEXT, 9, b"***"), (INT4, 9, b"ann"), (TEXT, 0, b"ann")],
)
def test_a_table_that_nobody_knew_may_hold_copies_of_masked_values(
    type_oid: int, table: int, expected: bytes
) -> None:
    masked_columns = {(7, 2): Style.REDACT}
    mask = RowMask(Masking(), masked_columns, b"", tables={7, 8})
    plan = mask.plan([column(type_oid, table=table, attnum=1 if table else 0)], tainted=False)
    assert plan.apply([b"ann"]) == [expected]
    nothing_masked = RowMask(Masking(), {}, b"", tables=set())
    plan = nothing_masked.plan([column(TEXT, table=9, attnum=1)], tainted=False)
    assert plan.apply([b"ann"]) == [b"ann"]
