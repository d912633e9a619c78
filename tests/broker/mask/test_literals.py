"""A secret that a target was given does not come back, however its output is cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.mask.literals import NAME, Literals

SECRETS = [b"hunter2", b"hunter2-and-more", b"abab", b"bcd", "pässwörd".encode()]


class Plain:
    """A mask that changes nothing."""

    def feed(self, data: bytes) -> bytes:
        return data

    def idle(self) -> bytes:
        return b""

    def close(self) -> bytes:
        return b""

    def take_counts(self) -> dict[str, int]:
        return {}


def whole(data: bytes) -> bytes:
    """Every byte of every occurrence, overlapping ones too."""
    stars = bytearray(data)
    for secret in SECRETS:
        at = data.find(secret)
        while at >= 0:
            stars[at : at + len(secret)] = b"*" * len(secret)
            at = data.find(secret, at + 1)
    return bytes(stars)


pieces = st.lists(
    st.sampled_from([*SECRETS, b"hunter", b"2", b"ab", b"bc", b"x", b"\n", b"hunter2-and"]),
    max_size=8,
).map(b"".join)


@given(pieces, st.lists(st.integers(0, 60), max_size=6))
def test_the_output_is_the_same_however_the_bytes_were_split(data: bytes, cuts: list[int]) -> None:
    mask, out = Literals(Plain(), SECRETS), b""
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    for begin, end in pairwise(edges):
        out += mask.feed(data[begin:end])
    assert out + mask.close() == whole(data)


@given(pieces, st.lists(st.integers(0, 60), max_size=6))
def test_what_was_shown_early_is_not_shown_again_and_the_rest_is_hidden(
    data: bytes, cuts: list[int]
) -> None:
    mask, out = Literals(Plain(), SECRETS), b""
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    for begin, end in pairwise(edges):
        out += mask.feed(data[begin:end]) + mask.idle()
    out += mask.close()
    assert len(out) == len(data)
    expected = whole(data)
    for shown, byte, hidden in zip(out, data, expected, strict=True):
        assert shown in (byte, 0x2A)
        assert hidden == 0x2A or shown == byte


def test_each_is_counted_once_and_secrets_may_come_later() -> None:
    secrets: list[bytes] = []
    mask = Literals(Plain(), secrets)
    assert mask.feed(b"hunter2 ") == b"hunter2 "
    secrets.append(b"hunter2")
    assert mask.feed(b"hun") == b""
    assert mask.feed(b"ter2 hunter2\n") == b"******* *******\n"
    assert mask.take_counts() == {NAME: 2}
    assert mask.take_counts() == {}


@pytest.mark.parametrize("data", [b"hunter", b"hunter2-an"])
def test_what_is_held_comes_at_the_end(data: bytes) -> None:
    mask = Literals(Plain(), SECRETS)
    assert mask.feed(data) + mask.close() == whole(data)
