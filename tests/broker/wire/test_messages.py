from __future__ import annotations

import contextlib
import struct
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.errors import ProtocolError
from broker.wire import messages
from broker.wire.messages import FROM_CLIENT, FROM_SERVER, Body, Frames, Message

some_messages = st.lists(
    st.tuples(st.sampled_from("QPBd"), st.binary(max_size=40)), max_size=8
).map(lambda parts: b"".join(messages.frame(kind, body) for kind, body in parts))


def all_of(frames: Frames) -> list[Message]:
    found = []
    while (message := frames.next()) is not None:
        found.append(message)
    return found


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[a:b] for a, b in pairwise(places)]


@given(some_messages, st.lists(st.integers(0, 500), max_size=10))
def test_any_split_gives_the_same_messages(data: bytes, cuts: list[int]) -> None:
    whole = Frames(FROM_CLIENT)
    whole.feed(data)
    pieces, found = Frames(FROM_CLIENT), []
    for part in split(data, cuts):
        pieces.feed(part)
        found += all_of(pieces)
    assert found == all_of(whole)
    assert b"".join(m.frame for m in found) == data


@given(some_messages)
def test_byte_by_byte_is_the_whole(data: bytes) -> None:
    frames, found = Frames(FROM_CLIENT), b""
    for at in range(len(data)):
        frames.feed(data[at : at + 1])
        found += b"".join(m.frame for m in all_of(frames))
    assert found == data


@settings(max_examples=200)
@given(st.binary(max_size=60), st.sampled_from([FROM_CLIENT, FROM_SERVER]))
def test_garbage_raises_nothing_but_protocol_errors(data: bytes, limits: dict[int, int]) -> None:
    frames = Frames(limits)
    frames.feed(data)
    with contextlib.suppress(ProtocolError):
        all_of(frames)


@pytest.mark.parametrize(
    ("kind", "length"),
    [("Q", 3), ("Q", 0), ("Q", (1 << 20) + 5), ("S", 5), ("d", (64 << 20) + 5), ("B", 0xFFFFFFFF)],
)
def test_a_length_out_of_bounds_is_refused_before_its_bytes_come(kind: str, length: int) -> None:
    frames = Frames(FROM_CLIENT)
    frames.feed(struct.pack(">BI", ord(kind), length))
    with pytest.raises(ProtocolError, match="out of bounds"):
        frames.next()


def test_an_unknown_type_is_refused_at_its_first_byte() -> None:
    frames = Frames(FROM_CLIENT)
    frames.feed(b"\x16")
    with pytest.raises(ProtocolError, match="0x16"):
        frames.next()


def test_a_run_takes_whole_messages_of_one_type_only() -> None:
    row, other = messages.data_row([b"1"]), messages.command_complete("SELECT 2")
    frames = Frames(FROM_SERVER)
    frames.feed(row + row + other + row[:5])
    assert frames.run("D") == (2, row + row)
    assert frames.run("D") == (0, b"")
    assert frames.next() == Message("C", other)
    assert frames.run("D") == (0, b"")
    frames.feed(row[5:] + row)
    assert frames.run("D", 1) == (1, row)
    assert frames.run("D", 0) == (0, b"")


@pytest.mark.parametrize("data", [b"", b"\0", b"\xff\xff\xff\xfe", b"\0\0\0\x05abc"])
def test_a_value_that_does_not_fit_is_a_protocol_error(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        Body(data).value()


def test_a_string_of_ours_cannot_be_ended_early() -> None:
    with pytest.raises(ProtocolError):
        messages.query("SELECT 1\0; DROP TABLE x")
