"""Rows by the block in Python: what runs without a compiler, and what native.c must equal.

A block is searched as a whole, by whoever knows what to look for; the rows in which something
could be found are then masked one by one, by whoever knows their columns.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# What to do with a column; native.c says so too. PARTIAL is ASK to all but native.c, which knows
# how mask.values shows ASCII in that style.
LEAVE, SEARCH, STARS, ASK, INTEGER, PARTIAL = range(6)
CELL_LIMIT = 1000  # characters of one cell; a recording is for reading, not a copy of the data
LONG = 10**12  # an integer with fewer digits is no card number

_MESSAGE = struct.Struct(">BI")
_ROW = struct.Struct(">BIH")
_SIZE = struct.Struct(">i")
_PRINTABLE = bytes(range(0x20, 0x7F))
_INTEGERS = {2: ">h", 4: ">i", 8: ">q"}


class Malformed(ValueError):
    """A block is not made of whole rows with a cell for each column."""

    def __init__(self) -> None:
        super().__init__("not whole rows of as many cells as there are columns")


def hop(data: bytes | bytearray, at: int, kind: int, at_most: int, limit: int) -> tuple[int, int]:
    """Whole messages of one type from `at` on; stops before one that is too long."""
    count, size, unpack = 0, len(data), _MESSAGE.unpack_from
    while count != at_most and size - at >= 5:
        code, length = unpack(data, at)
        if code != kind or not 4 <= length <= limit + 4 or length >= size - at:
            break
        at += 1 + length
        count += 1
    return count, at


def rows(block: bytes, columns: int) -> list[tuple[int, list[bytes | None]]]:
    """Where each row ends, and its cells."""
    found: list[tuple[int, list[bytes | None]]] = []
    at, size, unpack = 0, len(block), _SIZE.unpack_from
    try:
        while at < size:
            kind, length, count = _ROW.unpack_from(block, at)
            end = at + 1 + length
            at += 7
            if kind != 0x44 or count != columns or at > end or end > size:
                raise Malformed
            cells: list[bytes | None] = []
            for _ in range(count):
                start = at + 4
                at = start + unpack(block, at)[0]
                if at >= start:
                    cells.append(block[start:at])
                elif at == start - 1:
                    cells.append(None)
                    at = start
                else:
                    raise Malformed
            if at != end:
                raise Malformed
            found.append((end, cells))
    except struct.error as error:
        raise Malformed from error
    return found


def show(block: bytes, columns: int, odd: Callable[[bytes], bytes]) -> bytes:
    """Rows as lines of cells; `odd` shows a cell that is not short printable ASCII."""
    lines = []
    for _, cells in rows(block, columns):
        line = b"\t".join([b"NULL" if cell is None else cell for cell in cells])
        if len(line) > CELL_LIMIT or line.translate(None, _PRINTABLE) != b"\t" * (columns - 1):
            line = b"\t".join([_shown(cell, odd) for cell in cells])
        lines.append(line)
    lines.append(b"")
    return b"\r\n".join(lines)


def _shown(cell: bytes | None, odd: Callable[[bytes], bytes]) -> bytes:
    if cell is None:
        return b"NULL"
    if len(cell) > CELL_LIMIT or cell.translate(None, _PRINTABLE):
        return odd(cell)
    return cell


def mask(
    block: bytes,
    columns: int,
    styles: bytes,
    _bits: int,
    suspects: Callable[[bytes], Iterable[int]],
    row: Callable[[bytes], bytes],
) -> tuple[bytes, int]:
    """Rows masked, and in how many cells stars were put; `row` masks one that has to be read."""
    if len(styles) != columns:
        raise Malformed
    found = rows(block, columns)
    ends = [0, *(end for end, _ in found)]
    places = suspects(block) if SEARCH in styles else ()
    searched = {bisect_right(ends, at) - 1 for at in places}
    fixed = [(i, style) for i, style in enumerate(styles) if style not in {LEAVE, SEARCH}]
    if not (searched or fixed):
        return block, 0
    out: list[bytes] = []
    kept = stars = 0
    for number, (end, cells) in enumerate(found):
        start, ask = ends[number], number in searched
        mine = 0
        for i, style in fixed:
            cell = cells[i]
            if cell is not None:
                ask = ask or _asks(cell, style)
                mine += style == STARS
        if ask or mine:
            out += (block[kept:start], row(block[start:end]) if ask else _starred(cells, styles))
            kept = end
            stars += 0 if ask else mine
    return (b"".join([*out, block[kept:]]) if out else block), stars


def _asks(cell: bytes, style: int) -> bool:
    if style == STARS:
        return not cell.isascii()
    return style != INTEGER or is_long_integer(cell)


def is_long_integer(cell: bytes) -> bool:
    """May this binary integer have as many digits as a card? Not when it is none at all."""
    form = _INTEGERS.get(len(cell))
    return form is None or abs(struct.unpack(form, cell)[0]) >= LONG


def _starred(cells: list[bytes | None], styles: bytes) -> bytes:
    pairs = zip(cells, styles, strict=True)
    return message([b"*" * len(c) if c and style == STARS else c for c, style in pairs])


def message(cells: list[bytes | None]) -> bytes:
    """A row of these cells."""
    body = b"".join([b"\xff\xff\xff\xff" if c is None else _SIZE.pack(len(c)) + c for c in cells])
    return _ROW.pack(0x44, len(body) + 6, len(cells)) + body
