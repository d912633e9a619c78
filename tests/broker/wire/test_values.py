"""Bound values as people read them."""

from __future__ import annotations

import struct
import uuid

import pytest

from broker.model import Parameter
from broker.wire.values import kind, readable

BINARY = {
    (16, b"\1"): "true",
    (20, struct.pack(">q", -5)): "-5",
    (21, struct.pack(">h", 7)): "7",
    (23, struct.pack(">i", 84021)): "84021",
    (701, struct.pack(">d", 1.5)): "1.5",
    (1082, struct.pack(">i", 9497)): "2026-01-01",
    (1114, struct.pack(">q", 3600 * 10**6)): "2000-01-01 01:00:00",
    (1184, struct.pack(">q", 0)): "2000-01-01 00:00:00+00:00",
    (2950, uuid.UUID(int=5).bytes): str(uuid.UUID(int=5)),
    (25, b"text"): "text",
    (23, b"\1"): "\\x01",
    (3802, b"\1{}"): "\\x017b7d",
    (0, b"\0\0\0\5"): "\\x00000005",
    (1184, b"\x7f" + b"\xff" * 7): "\\x7fffffffffffffff",
}


@pytest.mark.parametrize(("given", "shown"), BINARY.items())
def test_binary_values(given: tuple[int, bytes], shown: str) -> None:
    assert readable(given[1], Parameter(given[0], binary=True)) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(b"5", "5"), (b"\xff", "\\xff"), (b"\\x41", "\\x5c783431"), (b"\0", "\0")],
)
def test_text_values(value: bytes, shown: str) -> None:
    assert readable(value, Parameter(23)) == shown


def test_types_have_names() -> None:
    assert [kind(Parameter(each)) for each in (0, 23, 9999)] == [None, "int4", "type 9999"]
