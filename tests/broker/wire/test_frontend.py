from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.errors import ProtocolError
from broker.wire import frontend
from broker.wire.messages import frame

names = st.binary(max_size=20).map(lambda name: name.replace(b"\0", b""))


@given(names, names, st.lists(st.none() | st.binary(max_size=20), max_size=5))
def test_a_bind_of_ours_reads_back(
    portal: bytes, statement: bytes, values: list[bytes | None]
) -> None:
    read = frontend.read_bind(frontend.bind(portal, statement, tuple(values))[5:])
    assert (read.portal, read.statement, read.values) == (portal, statement, tuple(values))


def bind_body(formats: list[int], values: list[bytes], results: list[int]) -> bytes:
    def shorts(numbers: list[int]) -> bytes:
        return struct.pack(f">h{len(numbers)}h", len(numbers), *numbers)

    cells = b"".join(struct.pack(">i", len(v)) + v for v in values)
    return b"p\0s\0" + shorts(formats) + struct.pack(">h", len(values)) + cells + shorts(results)


def test_one_format_is_for_all_values() -> None:
    assert frontend.read_bind(bind_body([1], [b"a", b"b"], [1])).binary == (True, True)
    assert frontend.read_bind(bind_body([], [b"a", b"b"], [])).binary == (False, False)
    assert frontend.read_bind(bind_body([0, 1], [b"a", b"b"], [])).binary == (False, True)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        bind_body([0, 1, 0], [b"a"], []),
        bind_body([7], [b"a"], []),
        bind_body([], [b"a"], []) + b"x",
        bind_body([], [b"a"], [])[:-1],
        b"p\0s\0\xff\xff\0\0\0\0",
    ],
)
def test_a_broken_bind_is_a_protocol_error(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        frontend.read_bind(body)


def test_a_parse_hides_nothing_behind_its_text() -> None:
    with pytest.raises(ProtocolError):
        frontend.read_parse(b"s\0SELECT 1\0; DROP TABLE users\0\0\0")
    assert frontend.read_parse(b"s\0SELECT $1\0\0\1\0\0\0\x19").text == b"SELECT $1"


@pytest.mark.parametrize("body", [b"", b"S", b"Xname\0", b"Sname", b"Sname\0more"])
def test_a_broken_name_is_a_protocol_error(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        frontend.read_named(body)


def test_a_query_keeps_an_inner_nul_visible() -> None:
    assert frontend.read_query(b"a\0b\0") == b"a\0b"
    with pytest.raises(ProtocolError):
        frontend.read_query(b"a")


def test_an_execute_names_its_portal() -> None:
    assert frontend.read_execute(frontend.execute(b"p", 9)[5:]) == b"p"
    assert frontend.execute(b"p", 9) == frame("E", b"p\0\0\0\0\x09")
