"""Frames of the v3 protocol: bounded before they are buffered, read and built byte for byte."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from broker.errors import ProtocolError
from broker.rows import blocks

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_HEADER = struct.Struct(">BI")
_INT16 = struct.Struct(">h")
_INT32 = struct.Struct(">i")
_KINDS = tuple(map(chr, range(256)))

KIB, MIB = 1 << 10, 1 << 20
NAME_LIMIT = 63  # bytes; the server cuts longer names, and two of them would be one

# How long a body each type may have. A type that is not here is refused.
FROM_CLIENT: Mapping[int, int] = {
    ord("Q"): MIB,  # Query
    ord("P"): MIB,  # Parse
    ord("B"): 64 * MIB,  # Bind
    ord("D"): KIB,  # Describe
    ord("E"): KIB,  # Execute
    ord("C"): KIB,  # Close
    ord("H"): 0,  # Flush
    ord("S"): 0,  # Sync
    ord("X"): 0,  # Terminate
    ord("F"): MIB,  # FunctionCall, to be refused
    ord("d"): 64 * MIB,  # CopyData
    ord("c"): 0,  # CopyDone
    ord("f"): 64 * KIB,  # CopyFail
}
FROM_SERVER: Mapping[int, int] = {
    **{ord(kind): MIB for kind in "RKSTtCGHWAv"},
    **{ord(kind): 0 for kind in "123nsIc"},  # the answers that say nothing but what they are
    ord("Z"): 1,  # ReadyForQuery
    ord("D"): 64 * MIB,  # DataRow
    ord("d"): 64 * MIB,  # CopyData
    ord("V"): MIB,  # FunctionCallResponse
    ord("E"): 8 * MIB,  # ErrorResponse: quotes statements and values
    ord("N"): 8 * MIB,  # NoticeResponse
}


class Message(NamedTuple):
    """One whole message as it came: `kind` is its type as one character, `frame` all its bytes."""

    kind: str
    frame: bytes

    @property
    def body(self) -> bytes:
        """Without type and length."""
        return self.frame[5:]


class Frames:
    """Cuts one direction into messages; a length is checked before its bytes are waited for.

    What was fed is kept as it came, and copied only when a message is still incomplete.
    """

    def __init__(self, limits: Mapping[int, int]) -> None:
        self._limits = limits
        self._data: bytes | bytearray = b""
        self._at = 0

    @property
    def buffered(self) -> int:
        """Bytes that are not taken yet."""
        return len(self._data) - self._at

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        if self._at == len(self._data):
            self._data = data
        else:  # a growing message must not be copied again with each of its pieces
            if not isinstance(self._data, bytearray):
                self._data = bytearray(self._data)
            del self._data[: self._at]
            self._data += data
        self._at = 0

    def next(self) -> Message | None:
        """The next whole message, or None until more bytes come."""
        data, start = self._data, self._at
        if len(data) - start < _HEADER.size:
            self._check_kind(start)
            return None
        kind, length = _HEADER.unpack_from(data, start)
        if not 4 <= length <= self._limits.get(kind, -1) + 4:
            raise self._out_of_bounds(kind, length)
        end = start + 1 + length
        if end > len(data):
            return None
        self._at = end
        part = data[start:end]
        return Message(_KINDS[kind], part if type(part) is bytes else bytes(part))

    def begins(self, kind: str) -> bool:
        """Is this the type of what comes next, whole or not?"""
        return self._at < len(self._data) and self._data[self._at] == ord(kind)

    def run(self, kind: str, at_most: int | None = None) -> tuple[int, bytes]:
        """As many whole messages of one type as are here, uncut: their number and their bytes."""
        start, code = self._at, ord(kind)
        most = -1 if at_most is None else at_most
        count, end = blocks.hop(self._data, start, code, most, self._limits[code])
        self._at = end
        return count, bytes(self._data[start:end])

    def _check_kind(self, start: int) -> None:
        """A type that is none is refused at its first byte."""
        if start < len(self._data) and self._data[start] not in self._limits:
            raise self._out_of_bounds(self._data[start], 0)

    def _out_of_bounds(self, kind: int, length: int) -> ProtocolError:
        if kind not in self._limits:
            return ProtocolError(f"not a message of this protocol: type 0x{kind:02X}")
        most = self._limits[kind] + 4
        return ProtocolError(
            f"message {chr(kind)!r} of {length} bytes is out of bounds (at most {most})"
        )


class Body:
    """Reads the parts of one body in order; running past the end is the peer's error."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, size: int) -> bytes:
        """Exactly so many bytes."""
        end = self._at + size
        if size < 0 or end > len(self._data):
            msg = "a message ends too early"
            raise ProtocolError(msg)
        part, self._at = self._data[self._at : end], end
        return part

    def int16(self) -> int:
        """A signed 16-bit number."""
        return int(_INT16.unpack(self.take(2))[0])

    def int32(self) -> int:
        """A signed 32-bit number."""
        return int(_INT32.unpack(self.take(4))[0])

    def cstring(self) -> bytes:
        """Bytes up to a NUL, without it."""
        end = self._data.find(b"\0", self._at)
        if end < 0:
            msg = "a string in a message does not end"
            raise ProtocolError(msg)
        part, self._at = self._data[self._at : end], end + 1
        return part

    def text(self) -> str:
        """The same, as text."""
        try:
            return self.cstring().decode()
        except UnicodeDecodeError as error:
            msg = "a string in a message is not UTF-8"
            raise ProtocolError(msg) from error

    def counted(self) -> int:
        """A count of things to follow: the server reads it without a sign."""
        return int.from_bytes(self.take(2), "big")

    def value(self) -> bytes | None:
        """A length and so many bytes; -1 is NULL."""
        size = self.int32()
        return None if size == -1 else self.take(size)

    def rest(self) -> bytes:
        """All that is left."""
        return self.take(len(self._data) - self._at)

    def end(self) -> None:
        """Nothing may be left: what we do not read, the server must not read either."""
        if self._at != len(self._data):
            msg = "a message is longer than its parts"
            raise ProtocolError(msg)


def frame(kind: str, body: bytes = b"") -> bytes:
    """A message with its type and length."""
    return _HEADER.pack(ord(kind), len(body) + 4) + body


def cstring(text: bytes | str) -> bytes:
    """A NUL-terminated string; a NUL inside would end it early, so there may be none."""
    data = text.encode() if isinstance(text, str) else text
    if b"\0" in data:
        msg = "a string for the wire holds a NUL"
        raise ProtocolError(msg)
    return data + b"\0"


def int32(number: int) -> bytes:
    """A signed 32-bit number."""
    return _INT32.pack(number)


def int16(number: int) -> bytes:
    """A signed 16-bit number."""
    return _INT16.pack(number)


def packed(cells: Iterable[bytes | None]) -> bytes:
    """Values with their lengths; NULL is -1."""
    return b"".join(
        b"\xff\xff\xff\xff" if cell is None else _INT32.pack(len(cell)) + cell for cell in cells
    )


def query(text: str | bytes) -> bytes:
    """Query."""
    return frame("Q", cstring(text))


def parse(name: str | bytes, text: str | bytes) -> bytes:
    """Parse without parameter types."""
    return frame("P", cstring(name) + cstring(text) + int16(0))


def describe(what: str, name: str | bytes) -> bytes:
    """Describe of a statement (``S``) or portal (``P``)."""
    return frame("D", what.encode() + cstring(name))


FLUSH = frame("H")
SYNC = frame("S")
TERMINATE = frame("X")
AUTHENTICATION_OK = frame("R", int32(0))


def parameter_status(name: str, value: str) -> bytes:
    """ParameterStatus."""
    return frame("S", cstring(name) + cstring(value))


def backend_key(key: bytes) -> bytes:
    """BackendKeyData: process id and secret, eight bytes in all."""
    return frame("K", key)


def ready(status: str) -> bytes:
    """ReadyForQuery: ``I`` idle, ``T`` in a transaction, ``E`` in a failed one."""
    return frame("Z", status.encode())


def command_complete(tag: str) -> bytes:
    """CommandComplete."""
    return frame("C", cstring(tag))


def row_description(columns: Iterable[tuple[str, int, int, int, bool]]) -> bytes:
    """RowDescription from (name, table oid, attribute number, type oid, binary)."""
    parts = [
        cstring(name) + struct.pack(">IhIhih", table, attnum, type_oid, -1, -1, int(binary))
        for name, table, attnum, type_oid, binary in columns
    ]
    return frame("T", int16(len(parts)) + b"".join(parts))


def data_row(cells: list[bytes | None]) -> bytes:
    """DataRow."""
    return frame("D", int16(len(cells)) + packed(cells))
