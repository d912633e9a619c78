"""The kept key schedule gives asyncssh's bytes, packet after packet."""

from __future__ import annotations

import asyncssh.encryption
from hypothesis import given
from hypothesis import strategies as st

from broker.transport.gcm import TAG, Gcm

KEY = bytes(range(16))
IVS = st.one_of(
    st.binary(min_size=12, max_size=12),
    st.builds(lambda low: b"fix!" + b"\xff" * 7 + bytes((low,)), st.integers(250, 255)),
)
PACKETS = st.lists(st.binary(min_size=1, max_size=200), min_size=1, max_size=8)


def plain(iv: bytes) -> asyncssh.encryption.Encryption:
    return asyncssh.encryption.GCMEncryption.new("aes128-gcm", KEY, iv)


@given(iv=IVS, packets=PACKETS)
def test_sealing_gives_the_same_bytes_and_counts_on(iv: bytes, packets: list[bytes]) -> None:
    reference, ours = plain(iv), Gcm(KEY, iv)
    for number, packet in enumerate(packets):
        header = len(packet).to_bytes(4, "big")
        body, tag = reference.encrypt_packet(number, header, packet)
        if number % 2:
            assert ours.encrypt_packet(number, header, packet) == (body, tag)
        else:
            assert header + ours.seal(header, packet) == body + tag


@given(iv=IVS, packets=PACKETS, used=st.integers(0, 4))
def test_it_takes_over_in_the_middle(iv: bytes, packets: list[bytes], used: int) -> None:
    sender, receiver = plain(iv), plain(iv)
    for number, packet in enumerate(packets):
        if number == used:
            taken = Gcm.taking_over(receiver)
            assert taken is not None
            receiver = taken
        body, tag = sender.encrypt_packet(number, b"\0\0\0\1", packet)
        assert receiver.decrypt_packet(number, body[:16], body[16:], 4, tag) == packet


@given(packet=st.binary(min_size=1, max_size=80), at=st.integers(0), bit=st.integers(0, 7))
def test_one_altered_bit_opens_nothing(packet: bytes, at: int, bit: int) -> None:
    sealed = bytearray(b"\0\0\0\1" + Gcm(KEY, bytes(12)).seal(b"\0\0\0\1", packet))
    sealed[at % len(sealed)] ^= 1 << bit
    header, body = bytes(sealed[:4]), bytes(sealed[4:])
    assert Gcm(KEY, bytes(12)).opened(header, body) is None
    rest, tag = body[:-TAG], body[-TAG:]
    assert Gcm(KEY, bytes(12)).decrypt_packet(0, header + rest, b"", 4, tag) is None


def test_looking_does_not_use_the_nonce_up() -> None:
    sealed = Gcm(KEY, bytes(12)).seal(b"head", b"body")
    ours = Gcm(KEY, bytes(12))
    assert ours.opened(b"head", sealed) == ours.opened(b"head", sealed) == b"body"
    ours.skip()
    assert ours.opened(b"head", sealed) is None


def test_other_ciphers_are_not_taken_over() -> None:
    chacha = asyncssh.encryption.get_encryption(b"chacha20-poly1305@openssh.com", bytes(64), b"")
    assert Gcm.taking_over(chacha) is None
    assert Gcm.taking_over(None) is None
    assert Gcm.taking_over(Gcm(KEY, bytes(12))) is None
