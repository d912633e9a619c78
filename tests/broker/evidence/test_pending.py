"""Records of the pending file: whole ones are kept, a torn one is told apart."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from broker.evidence.pending import decode, encode

entries = st.lists(st.binary(max_size=200), max_size=5)


@given(entries, st.integers(0, 1 << 63))
def test_whole_records_are_read_back(data: list[bytes], first: int) -> None:
    written = b"".join(encode(first + n, entry) for n, entry in enumerate(data))
    found = decode(written)
    assert found.records == tuple((first + n, entry) for n, entry in enumerate(data))
    assert (found.whole, found.torn) == (len(written), 0)


@given(entries, st.binary(max_size=200), st.data())
def test_a_record_cut_anywhere_is_dropped_and_those_before_it_are_kept(
    data: list[bytes], last: bytes, draw: st.DataObject
) -> None:
    whole = b"".join(encode(n, entry) for n, entry in enumerate(data))
    torn = encode(len(data), last)
    cut = draw.draw(st.integers(1, len(torn) - 1))
    found = decode(whole + torn[:cut])
    assert [entry for _, entry in found.records] == data
    assert (found.whole, found.torn) == (len(whole), cut)


@given(st.binary(max_size=50), st.data())
def test_a_changed_bit_ends_what_is_believed(entry: bytes, draw: st.DataObject) -> None:
    record = bytearray(encode(3, entry))
    bit = draw.draw(st.integers(0, len(record) * 8 - 1))
    record[bit // 8] ^= 1 << bit % 8
    assert decode(bytes(record)).records == ()
    assert decode(bytes(record)).torn == len(record)
