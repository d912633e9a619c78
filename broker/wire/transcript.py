"""A forwarded session as lines that a person can read: what ran, and what came back."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from broker.rows import blocks
from broker.rows.plain import CELL_LIMIT
from broker.wire.notices import said

if TYPE_CHECKING:
    from collections.abc import Sequence

    from broker.wire.frontend import Bind
    from broker.wire.notices import Fields

END = b"\r\n"


def line(text: str) -> bytes:
    """One line or several, with what a terminal would obey shown instead."""
    return END.join(_visible(part).encode() for part in text.split("\n")) + END


def statement(dbname: str, text: str) -> bytes:
    """What is about to run, after a prompt."""
    return line(f"{dbname}=> {text}")


def bound(dbname: str, text: str, bind: Bind) -> bytes:
    """A prepared statement with its values."""
    pairs = zip(bind.values, bind.binary, strict=True)
    values = (f"${n} = {_cell(value)}" for n, (value, _) in enumerate(pairs, start=1))
    listed = ", ".join(values)
    return statement(dbname, f"{text}  -- {listed}" if listed else text)


def row(cells: Sequence[bytes | None]) -> bytes:
    """One row, cells separated by tabs."""
    return "\t".join(_visible(_cell(cell)) for cell in cells).encode() + END


def rows(block: bytes, columns: int) -> bytes:
    """The same of whole DataRow messages; ProtocolError when they are not that."""
    return blocks.show(block, columns, _odd)


@lru_cache(maxsize=256)
def tag(body: bytes) -> bytes:
    """A command's own end: ``SELECT 3``."""
    return line(f"({body.rstrip(bytes(1)).decode('utf-8', 'replace')})")


def problem(fields: Fields) -> bytes:
    """An error or a notice."""
    return line(said(fields))


def _odd(cell: bytes) -> bytes:
    return _visible(_cell(cell)).encode()


def _cell(cell: bytes | None) -> str:
    if cell is None:
        return "NULL"
    try:
        text = cell.decode()
    except UnicodeDecodeError:
        return "\\x" + cell[:CELL_LIMIT].hex()
    return text if len(text) <= CELL_LIMIT else text[:CELL_LIMIT] + "…"


def _visible(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else f"⟨{ord(c):02X}⟩" for c in text)
