"""Entries that are written but not yet sealed, as records of one file; pure.

A record: the index (8 bytes), the length (2), the entry, and the first 8 bytes of SHA-256 over
all that. The checksum tells a torn write from a whole one; it proves nothing against a forger.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass

from broker.evidence.tiles import ENTRY_LIMIT

_HEAD = struct.Struct(">QH")
_SUM_SIZE = 8
RECORD_LIMIT = _HEAD.size + ENTRY_LIMIT + _SUM_SIZE


@dataclass(frozen=True, slots=True)
class Pending:
    """What a pending file holds: whole records, their size together, and what follows them."""

    records: tuple[tuple[int, bytes], ...]
    whole: int
    torn: int


def encode(index: int, entry: bytes) -> bytes:
    """One record."""
    body = _HEAD.pack(index, len(entry)) + entry
    return body + _checksum(body)


def decode(data: bytes) -> Pending:
    """Whole records up to the first that is not whole."""
    records, at = [], 0
    while len(data) - at >= _HEAD.size:
        index, length = _HEAD.unpack_from(data, at)
        middle = at + _HEAD.size + length
        body, checksum = data[at:middle], data[middle : middle + _SUM_SIZE]
        if checksum != _checksum(body):
            break
        records.append((index, body[_HEAD.size :]))
        at = middle + _SUM_SIZE
    return Pending(tuple(records), at, len(data) - at)


def _checksum(body: bytes) -> bytes:
    return hashlib.sha256(body).digest()[:_SUM_SIZE]
