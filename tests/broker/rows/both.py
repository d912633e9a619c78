"""The plain functions and, where they were built, the compiled ones."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import strategies as st

from broker.rows import blocks, plain

BOTH: list[Any] = [plain, blocks.native] if blocks.native else [plain]
compiled = pytest.mark.skipif(blocks.native is None, reason="native.c was not built")
either = pytest.mark.parametrize(
    "way", BOTH, ids=["plain", "native"] if blocks.native else ["plain"]
)

# Pieces of which cells are made: what the detectors and the masks look for, and its neighbours.
PIECES = [
    *("4111111111111111", "4111 1111-1111", "078-05-1120", "078 05 1120", "415-555-0100"),
    *("415.555.0100", "415 555-0100", "(415) 555", ")555", "+1415", "+31 20 123", "DE89", "de89"),
    *("DE89 3704 0044 0", "370400440532013000", "a@b.example", "sk-ant-", "-----BEGIN", "x" * 30),
    *(
        "pass",
        "PWD",
        "token",
        "key",
        "api",
        "private",
        "_",
        "basic",
        "bearer ",
        "gh",
        "p_",
        "ghp_",
        "://",
        "K_LIVE_",
        "xox",
    ),
    *("é", "€", "ſ", "\0", "\t", "\x7f", "\x1b[1m"),
    *(" ", *"0a1Z-.+)(@_"),
]
cells = st.none() | st.lists(st.sampled_from(PIECES), max_size=6).map(
    lambda parts: "".join(parts).encode()
)
any_cells = cells | st.binary(max_size=12) | st.sampled_from([b"a" * 1000, b"b" * 1001])
tables = st.integers(0, 4).flatmap(
    lambda columns: st.tuples(
        st.just(columns),
        st.lists(st.lists(any_cells, min_size=columns, max_size=columns), max_size=5),
    )
)


def row(cells: list[bytes | None]) -> bytes:
    body = struct.pack(">H", len(cells))
    for cell in cells:
        body += struct.pack(">i", -1) if cell is None else struct.pack(">i", len(cell)) + cell
    return b"D" + struct.pack(">I", len(body) + 4) + body


def block(rows: list[list[bytes | None]]) -> bytes:
    return b"".join(map(row, rows))


# Blocks that are not quite blocks: cut, changed in one place, or nothing of the kind.
broken = st.one_of(
    st.binary(max_size=40),
    st.tuples(tables, st.integers(0, 400), st.binary(max_size=4)).map(
        lambda t: block(t[0][1])[: t[1]] + t[2] + block(t[0][1])[t[1] + len(t[2]) :]
    ),
    st.tuples(tables, st.integers(0, 200)).map(lambda t: block(t[0][1])[: -t[1] or None]),
)
