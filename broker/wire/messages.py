"""Frames of the v3 protocol: bounded before they are buffered, read and built byte for byte."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from broker.errors import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_HEADER = struct.Struct(">BI")
_INT16 = struct.Struct(">h")
_INT32 = struct.Struct(">i")

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
    **{ord(kind): MIB for kind in "RKSZTtnsI123CGHWcAv"},
    ord("D"): 64 * MIB,  # DataRow
    ord("d"): 64 * MIB,  # CopyData
    ord("V"): MIB,  # FunctionCallResponse
    ord("E"): 8 * MIB,  # ErrorResponse: quotes statements and values
    ord("N"): 8 * MIB,  # NoticeResponse
}


@dataclass(frozen=True, slots=True)
class Message:
    """One whole message as it came: `kind` is its type as one character, `frame` all its bytes."""

    kind: str
    frame: bytes

    @property
    def body(self) -> bytes:
        """Without type and length."""
        return self.frame[5:]


class Frames:
    """Cuts one direction into messages; a length is checked before its bytes are waited for."""

    def __init__(self, limits: Mapping[int, int]) -> None:
        self._limits = limits
        self._data = bytearray()
        self._at = 0

    @property
    def buffered(self) -> int:
        """Bytes that are not taken yet."""
        return len(self._data) - self._at

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        del self._data[: self._at]
        self._at = 0
        self._data += data

    def next(self) -> Message | None:
        """The next whole message, or None until more bytes come."""
        start, end = self._at, self._end(self._at)
        if end is None:
            return None
        self._at = end
        return Message(chr(self._data[start]), self._cut(start, end))

    def run(self, kind: str, at_most: int | None = None) -> tuple[int, bytes]:
        """As many whole messages of one type as are here, uncut: their number and their bytes."""
        start, code, count = self._at, ord(kind), 0
        while count != at_most and self.buffered and self._data[self._at] == code:
            end = self._end(self._at)
            if end is None:
                break
            self._at = end
            count += 1
        return count, self._cut(start, self._at)

    def _cut(self, start: int, end: int) -> bytes:
        with memoryview(self._data) as view:
            return bytes(view[start:end])

    def _end(self, start: int) -> int | None:
        """Where the message at `start` ends, or None while it is not whole."""
        here = len(self._data) - start
        if here == 0:
            return None
        limit = self._limits.get(self._data[start])
        if limit is None:
            msg = f"not a message of this protocol: type 0x{self._data[start]:02X}"
            raise ProtocolError(msg)
        if here < _HEADER.size:
            return None
        kind, length = _HEADER.unpack_from(self._data, start)
        if length < 4 or length - 4 > limit:
            msg = f"message {chr(kind)!r} of {length} bytes is out of bounds (at most {limit + 4})"
            raise ProtocolError(msg)
        end = start + 1 + int(length)
        return end if end <= len(self._data) else None


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

    def counted(self) -> int:
        """A count of things to follow."""
        count = self.int16()
        if count < 0:
            msg = "a message counts fewer than none"
            raise ProtocolError(msg)
        return count

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
