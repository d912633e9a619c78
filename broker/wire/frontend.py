"""The client's messages that the relay takes apart; every byte of them is accounted for."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from broker.errors import ProtocolError
from broker.wire.messages import NAME_LIMIT, Body, cstring, frame, int16, packed

if TYPE_CHECKING:
    from collections.abc import Sequence

_COUNT, _INT32 = struct.Struct(">H"), struct.Struct(">i")
# Keywords cannot be written with escapes, so a text without the word cannot hold the command.
_WORDS = {
    word: re.compile(rf"\b{word}\b", re.IGNORECASE)
    for word in ("prepare", "execute", "copy", "declare", "close")
}
_LONG_NAME = f"a statement or portal name is longer than {NAME_LIMIT} bytes"


@dataclass(frozen=True, slots=True)
class Parse:
    """A statement to prepare: its name, its text as bytes, the types of its values by oid."""

    name: bytes
    text: bytes
    types: tuple[int, ...] = ()


class Bind(NamedTuple):
    """Values for a prepared statement, making a portal."""

    portal: bytes
    statement: bytes
    binary: tuple[bool, ...]
    values: tuple[bytes | None, ...]


@dataclass(frozen=True, slots=True)
class Named:
    """Describe or Close: `what` is ``S`` (statement) or ``P`` (portal)."""

    what: str
    name: bytes


def read_query(body: bytes) -> bytes:
    """The text of a Query; everything before the last byte, so an inner NUL stays visible."""
    if not body.endswith(b"\0"):
        msg = "a Query does not end"
        raise ProtocolError(msg)
    return body[:-1]


def read_parse(body: bytes) -> Parse:
    """A Parse. The server reads on after a NUL, so one inside the text cannot go unnoticed."""
    reader = Body(body)
    name, text = _name(reader), reader.cstring()
    types = tuple(reader.int32() & 0xFFFFFFFF for _ in range(reader.counted()))
    reader.end()
    return Parse(name, text, types)


def read_bind(body: bytes) -> Bind:
    """A Bind."""
    try:
        return _read_bind(body)
    except (ValueError, struct.error) as error:  # nothing of a length that was said is there
        msg = "a message ends too early"
        raise ProtocolError(msg) from error


def _read_bind(body: bytes) -> Bind:
    """By place and not by `Body`: this is the message that drivers send most."""
    first = body.index(0)
    second = body.index(0, first + 1)
    portal, statement, at = body[:first], body[first + 1 : second], second + 3
    if len(portal) > NAME_LIMIT or len(statement) > NAME_LIMIT:
        raise ProtocolError(_LONG_NAME)
    formats = struct.unpack_from(f">{_count(body, at - 2)}h", body, at)
    at += 2 * len(formats)
    values: list[bytes | None] = []
    count, at = _count(body, at), at + 2
    for _ in range(count):
        size: int = _INT32.unpack_from(body, at)[0]
        start, at = at + 4, at + 4 + max(size, 0)
        if size < -1 or at > len(body):
            msg = "a value in a Bind is longer than the message"
            raise ProtocolError(msg)
        values.append(None if size == -1 else body[start:at])
    if at + 2 + 2 * _count(body, at) != len(body):
        msg = "a message is longer or shorter than its parts"
        raise ProtocolError(msg)
    return Bind(portal, statement, _binary(formats, count), tuple(values))


def _binary(formats: tuple[int, ...], count: int) -> tuple[bool, ...]:
    if len(formats) == 1:
        formats *= count
    formats = formats or (0,) * count
    if len(formats) != count or not {0, 1}.issuperset(formats):
        msg = "a Bind has formats that do not fit its values"
        raise ProtocolError(msg)
    return tuple(map(bool, formats))


def _count(body: bytes, at: int) -> int:
    count: int = _COUNT.unpack_from(body, at)[0]
    return count


def read_named(body: bytes) -> Named:
    """A Describe or Close."""
    reader = Body(body)
    what = reader.take(1).decode("latin-1")
    if what not in {"S", "P"}:
        msg = f"neither a statement nor a portal: {what!r}"
        raise ProtocolError(msg)
    name = _name(reader)
    reader.end()
    return Named(what, name)


def read_execute(body: bytes) -> bytes:
    """The portal of an Execute."""
    reader = Body(body)
    name = _name(reader)
    reader.int32()
    reader.end()
    return name


def runs_whole(body: bytes) -> bool:
    """Does an Execute ask for all rows at once? Zero is no limit; so is less, for the server."""
    reader = Body(body)
    _name(reader)
    return reader.int32() <= 0


def words(text: str) -> frozenset[str]:
    """Which of the commands that concern names and COPY this text may hold."""
    lower = text.lower()
    return frozenset(w for w, pattern in _WORDS.items() if w in lower and pattern.search(text))


def _name(reader: Body) -> bytes:
    name = reader.cstring()
    if len(name) > NAME_LIMIT:
        raise ProtocolError(_LONG_NAME)
    return name


def parse(text: str, types: Sequence[int]) -> bytes:
    """A Parse without a name, with the types of its values by oid (0: the server finds out)."""
    oids = b"".join(each.to_bytes(4, "big") for each in types)
    return frame("P", b"\0" + cstring(text) + int16(len(types)) + oids)


def bind(
    portal: bytes,
    statement: bytes,
    values: tuple[bytes | None, ...] = (),
    *,
    binary: Sequence[bool] = (),
) -> bytes:
    """A Bind with values as text, or as `binary` says; asking for text."""
    body = portal + b"\0" + statement + b"\0" + int16(len(binary))
    body += b"".join(int16(int(each)) for each in binary)
    return frame("B", body + int16(len(values)) + packed(values) + int16(0))


def execute(portal: bytes, rows: int = 0) -> bytes:
    """An Execute."""
    return frame("E", portal + b"\0" + rows.to_bytes(4, "big"))
