"""Bound values as people read them: by their type when the client said it, else as text or hex."""

from __future__ import annotations

import struct
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from broker.model import Parameter

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)  # PostgreSQL counts from here
NAMES = {
    16: "bool",
    17: "bytea",
    20: "int8",
    21: "int2",
    23: "int4",
    25: "text",
    26: "oid",
    114: "json",
    700: "float4",
    701: "float8",
    1042: "char",
    1043: "varchar",
    1082: "date",
    1114: "timestamp",
    1184: "timestamptz",
    1700: "numeric",
    2950: "uuid",
    3802: "jsonb",
}


def _number(form: str) -> Callable[[bytes], str]:
    return lambda value: str(struct.unpack(form, value)[0])


def _moment(value: bytes) -> str:
    return str(EPOCH + timedelta(microseconds=struct.unpack(">q", value)[0]))


def _date(value: bytes) -> str:
    return str((EPOCH + timedelta(days=struct.unpack(">i", value)[0])).date())


_READ: dict[int, Callable[[bytes], str]] = {
    16: lambda value: "true" if struct.unpack(">?", value)[0] else "false",
    20: _number(">q"),
    21: _number(">h"),
    23: _number(">i"),
    26: _number(">I"),
    700: _number(">f"),
    701: _number(">d"),
    1082: _date,
    1114: lambda value: _moment(value).removesuffix("+00:00"),
    1184: _moment,
    2950: lambda value: str(uuid.UUID(bytes=value)),
}
_TEXTS = {25, 114, 1042, 1043}


def kind(parameter: Parameter) -> str | None:
    """The name of its type; None when the client left it to the server."""
    return NAMES.get(parameter.type, f"type {parameter.type}") if parameter.type else None


def readable(value: bytes, parameter: Parameter) -> str:
    """A value so that two different ones of its type never look the same."""
    if parameter.binary and parameter.type not in _TEXTS:
        read = _READ.get(parameter.type)
        try:
            return _hex(value) if read is None else read(value)
        except (struct.error, ValueError, OverflowError):
            return _hex(value)
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return _hex(value)
    return _hex(value) if text.startswith("\\x") else text


def _hex(value: bytes) -> str:
    return "\\x" + value.hex()
