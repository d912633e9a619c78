"""What a cell of a result says, read by its PostgreSQL type: the text in which values may lie.

Types are those of pg_type; numbers of types that a database defined itself begin at 16384.
"""

from __future__ import annotations

import struct
from enum import Enum


class Form(Enum):
    """How a type can be shown masked."""

    TEXT = "text"  # any characters
    JSON = "json"  # must stay JSON
    ARRAY = "array"  # must keep its braces
    RECORD = "record"  # must keep its parentheses
    CLOSED = "closed"  # not at all: a masked one is NULL


TEXT, NAME, JSON, XML, UNKNOWN, BPCHAR, VARCHAR, RECORD, JSONB = (
    25, 19, 114, 142, 705, 1042, 1043, 2249, 3802,
)  # fmt: skip
INT8, INT2, INT4, NUMERIC, BYTEA = 20, 21, 23, 1700, 17
FIRST_OWN = 16384

_TEXTS = frozenset([TEXT, NAME, XML, UNKNOWN, BPCHAR, VARCHAR])
_JSONS = frozenset([JSON, JSONB])
_ARRAYS = frozenset([1009, 1015, 1002, 1014, 1003, 199, 3807, 143])  # of the types above
_RECORDS = frozenset([RECORD])
_INTEGERS = {INT2: ">h", INT4: ">i", INT8: ">q"}

# Types that cannot carry text: bool, oid, void, integers, floats, numeric, dates and times, uuid.
INNOCENT = frozenset(
    [16, 20, 21, 23, 26, 700, 701, 1700, 1082, 1083, 1114, 1184, 1186, 1266, 2278, 2950]
)


def form_of(type_oid: int, *, binary: bool) -> Form:
    """How this type can be shown masked, in this format."""
    if type_oid in _TEXTS:
        return Form.TEXT
    if type_oid in _JSONS:
        return Form.JSON
    if binary:
        return Form.CLOSED
    if type_oid in _ARRAYS:
        return Form.ARRAY
    if type_oid in _RECORDS:
        return Form.RECORD
    return Form.TEXT if type_oid >= FIRST_OWN else Form.CLOSED


def is_integer(type_oid: int, *, binary: bool) -> bool:
    """Are its cells binary integers?"""
    return binary and type_oid in _INTEGERS


def is_opaque(type_oid: int, *, binary: bool) -> bool:
    """Do a cell's bytes hide its text from a search?"""
    if type_oid == BYTEA:
        return not binary
    return binary and (type_oid in _INTEGERS or type_oid == NUMERIC)


def text_of(cell: bytes, type_oid: int, *, binary: bool) -> str:
    """The text to search: what a person would read where we can tell, else byte by byte."""
    if type_oid == BYTEA and not binary and cell.startswith(b"\\x"):
        return bytes.fromhex(cell[2:].decode("ascii")).decode("latin-1")
    if not binary:
        return cell.decode("utf-8", "surrogateescape")
    if (form := _INTEGERS.get(type_oid)) and len(cell) == struct.calcsize(form):
        return str(struct.unpack(form, cell)[0])
    if type_oid == NUMERIC:
        return _numeric(cell)
    if form_of(type_oid, binary=True) is not Form.CLOSED:
        return cell.decode("utf-8", "surrogateescape")
    return cell.decode("latin-1")


def _numeric(cell: bytes) -> str:
    """The digits of a binary numeric: groups of four, the first `weight` + 1 before the point."""
    count, weight, _, _ = struct.unpack_from(">hhHH", cell)
    groups = struct.unpack_from(f">{count}h", cell, 8)
    whole = [*groups, *([0] * max(0, min(weight + 1, 32) - count))][: max(weight + 1, 0)]
    return "".join(f"{group:04}" for group in whole).lstrip("0")
