"""Packets on the fast path: the same outcome as asyncssh's own, however they are cut."""

from __future__ import annotations

import asyncio
import itertools
import struct
import time
from dataclasses import dataclass, field
from typing import Any

import asyncssh
import pytest
from asyncssh.constants import MSG_KEXINIT
from asyncssh.encryption import Encryption, get_encryption
from asyncssh.misc import MACError
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.transport.gcm import Gcm
from tests.fixtures.ssh_pair import Pair, ssh_pair

KEY, IV = bytes(range(16)), bytes(12)
MAX = 256 * 1024  # asyncssh's bound on a packet's length

# -- what a peer may send: the payload, with the channel's number where CHANNEL stands ------------

CHANNEL, OTHER = 0, 7


def data(text: bytes, channel: int = CHANNEL) -> bytes:
    return struct.pack(">BII", 94, channel, len(text)) + text


def errors(text: bytes, kind: int = 1) -> bytes:
    return struct.pack(">BIII", 95, CHANNEL, kind, len(text)) + text


TEXTS = st.one_of(st.binary(max_size=40), st.builds(bytes, st.integers(0, 40_000)))
GOOD = st.one_of(
    st.builds(data, TEXTS),
    st.builds(data, TEXTS),
    st.builds(lambda by: struct.pack(">BII", 93, CHANNEL, by), st.integers(0, 2**20)),
    st.just(struct.pack(">BI", 2, 0)),  # ignore
    st.just(bytes((200,))),  # unknown
    st.just(struct.pack(">BI14sB", 98, CHANNEL, b"\0\0\0\x0aunknown-rq"[:14], 0)),
)
BAD = st.one_of(
    st.builds(data, TEXTS, st.just(OTHER)),  # no such channel
    st.builds(errors, TEXTS, st.integers(0, 2)),  # a client has no standard error
    st.builds(lambda text: data(text) + b"!", TEXTS),  # more than it says
    st.builds(lambda text: data(text + b"!")[:-1], TEXTS),  # less
    st.builds(lambda: data(bytes(20_000) * 10)),  # with a small window: more than it allows
    st.just(struct.pack(">BI", 96, CHANNEL)),  # the end of input: nothing may follow
    st.just(struct.pack(">BI", 97, CHANNEL)),  # the end of the channel
    st.just(struct.pack(">BIB", 93, CHANNEL, 1)),  # an adjustment cut short
    st.just(struct.pack(">BIIB", 93, CHANNEL, 1, 1)),  # and one too long
    st.just(b""),
    st.just(bytes((94,))),
    st.binary(max_size=30),
)


@dataclass
class Peer:
    """The other end's cipher, in the test's hands."""

    cipher: Encryption = field(
        default_factory=lambda: get_encryption(b"aes128-gcm@openssh.com", KEY, IV)
    )

    def packet(self, payload: bytes, *, padding: int | None = None) -> bytes:
        """One packet, well made unless told otherwise."""
        size = 4 + -(1 + len(payload) + 4) % 16
        count = size if padding is None else padding
        body = bytes((count,)) + payload + bytes(size)
        sealed, tag = self.cipher.encrypt_packet(0, len(body).to_bytes(4, "big"), body)
        return sealed + tag


def listen(pair: Pair, *, fast: bool) -> None:
    """From here on the server hears the test's packets."""
    cipher = get_encryption(b"aes128-gcm@openssh.com", KEY, IV)
    pair.server._recv_encryption = Gcm.taking_over(cipher) if fast else cipher
    pair.server._recv_seq = 0


async def outcome(stream: bytes, cuts: list[int], *, fast: bool) -> tuple[object, ...]:
    """All that can be told from outside after a server got this stream in these pieces."""
    async with ssh_pair(fast_client=False, fast_server=fast) as pair:
        listen(pair, fast=fast)
        chan: Any = pair.far.chan
        chan._recv_window = chan._init_recv_window = 120_000
        places = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
        for begin, end in itertools.pairwise(places):
            if pair.server._transport is None:
                break
            if begin < end:
                pair.server.data_received(stream[begin:end])
        closed = pair.server._transport is None
        if closed:
            await pair.server_side.lost.wait()
        return (
            pair.far.received,
            pair.far.ended.is_set(),
            pair.server._recv_seq,
            chan._send_window,
            chan._recv_window,
            closed,
            repr(pair.server_side.why),
        )


CUTS = st.lists(st.integers(0, 400_000), max_size=12)


@settings(max_examples=40, deadline=None)
@given(good=st.lists(GOOD, max_size=6), bad=BAD, after=st.lists(GOOD, max_size=2), cuts=CUTS)
async def test_the_outcome_is_asyncsshs_own(
    good: list[bytes], bad: bytes, after: list[bytes], cuts: list[int]
) -> None:
    peer = Peer()
    stream = b"".join(map(peer.packet, [*good, bad, *after]))
    assert await outcome(stream, cuts, fast=True) == await outcome(stream, cuts, fast=False)


@settings(max_examples=40, deadline=None)
@given(good=st.lists(GOOD, max_size=3), text=TEXTS, padding=st.integers(0, 255), cuts=CUTS)
async def test_so_it_is_with_any_padding(
    good: list[bytes], text: bytes, padding: int, cuts: list[int]
) -> None:
    peer = Peer()
    stream = b"".join(map(peer.packet, good)) + peer.packet(data(text), padding=padding)
    assert await outcome(stream, cuts, fast=True) == await outcome(stream, cuts, fast=False)


EOF, CLOSE = struct.pack(">BI", 96, CHANNEL), struct.pack(">BI", 97, CHANNEL)
ADJUST = struct.pack(">BII", 93, CHANNEL, 5)


@pytest.mark.parametrize(
    ("payloads", "said"),
    [
        ([data(b"fine"), ADJUST], "None"),
        ([data(b"fine"), EOF, data(b"late")], "Channel not open for sending"),
        ([EOF, ADJUST], "None"),
        ([CLOSE, ADJUST], "Channel not open"),
        ([data(bytes(120_001))], "Window exceeded"),
        ([data(b"long") + b"!"], "Unexpected data at end of packet"),
        ([data(b"short!")[:-1]], "Incomplete packet"),
        ([ADJUST + b"!"], "Unexpected data at end of packet"),
        ([ADJUST[:-1]], "Incomplete packet"),
        ([errors(b"not from a client")], "Invalid extended data type"),
        ([data(b"x", OTHER)], "Invalid channel number 7 received"),
        ([b""], "Incomplete packet"),
    ],
)
async def test_what_a_peer_may_not_send_is_told_as_ever(payloads: list[bytes], said: str) -> None:
    peer = Peer()
    stream = b"".join(map(peer.packet, payloads))
    fast = await outcome(stream, [], fast=True)
    assert fast == await outcome(stream, [], fast=False)
    assert said in str(fast[-1])


async def test_a_packet_without_padding_is_told_as_ever() -> None:
    stream = Peer().packet(data(b"x" * 11), padding=0)
    fast = await outcome(stream, [], fast=True)
    assert fast == await outcome(stream, [], fast=False)
    assert fast[0] == []


async def test_what_a_session_closes_in_passing_stays_closed() -> None:
    async with ssh_pair(fast_client=False) as pair:
        listen(pair, fast=True)
        peer = Peer()
        pair.far.data_received = lambda data, datatype: pair.server.abort()  # type: ignore[method-assign]
        pair.server.data_received(peer.packet(data(b"one")) + peer.packet(b""))
        await pair.server_side.lost.wait()
        assert pair.server_side.why is None


# -- attacks --------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(good=st.lists(GOOD, max_size=3), at=st.integers(4, 10_000), bit=st.integers(0, 7), cuts=CUTS)
async def test_a_wrong_mac_ends_the_connection(
    good: list[bytes], at: int, bit: int, cuts: list[int]
) -> None:
    peer = Peer()
    before = b"".join(map(peer.packet, good))
    altered = bytearray(peer.packet(data(b"give me a root shell")))
    altered[4 + at % (len(altered) - 4)] ^= 1 << bit
    async with ssh_pair(fast_client=False) as pair:
        listen(pair, fast=True)
        pair.server.data_received(before + bytes(altered) + peer.packet(data(b"and this")))
        await pair.server_side.lost.wait()
        assert isinstance(pair.server_side.why, MACError)
        assert b"root" not in pair.far.bytes()
        assert b"and this" not in pair.far.bytes()
    stream = before + bytes(altered)
    assert await outcome(stream, cuts, fast=True) == await outcome(stream, cuts, fast=False)


@pytest.mark.parametrize("what", ["twice", "swapped", "left out"])
async def test_packets_cannot_be_repeated_reordered_or_dropped(what: str) -> None:
    peer = Peer()
    one, two, three = (peer.packet(data(text)) for text in (b"one", b"two", b"three"))
    stream = {"twice": one + one, "swapped": two + one, "left out": one + three}[what]
    async with ssh_pair(fast_client=False) as pair:
        listen(pair, fast=True)
        pair.server.data_received(stream)
        await pair.server_side.lost.wait()
        assert isinstance(pair.server_side.why, MACError)
        assert pair.far.bytes() == (b"" if what == "swapped" else b"one")


@pytest.mark.parametrize("length", [MAX + 1, 2**31, 2**32 - 1])
async def test_a_packet_that_is_too_long_is_refused_by_its_header(length: int) -> None:
    async with ssh_pair(fast_client=False) as pair:
        listen(pair, fast=True)
        pair.server.data_received(length.to_bytes(4, "big") + bytes(12))
        await pair.server_side.lost.wait()
        assert "Max packet size exceeded" in str(pair.server_side.why)


@pytest.mark.parametrize("length", [0, 1, 11])
async def test_a_packet_that_is_too_short_is_refused(length: int) -> None:
    stream = length.to_bytes(4, "big") + bytes(12)
    async with ssh_pair(fast_client=False) as pair:
        listen(pair, fast=True)
        pair.server.data_received(stream)
        await pair.server_side.lost.wait()
        assert isinstance(pair.server_side.why, MACError)


async def test_a_packet_in_single_bytes_is_joined_once() -> None:
    """asyncssh's own path copies all that it has for each byte that comes."""
    async with ssh_pair(fast_client=False) as pair:
        listen(pair, fast=True)
        packet = Peer().packet(data(bytes(30_000)))
        pair.server.data_received(packet[:100])
        held = pair.server._inpbuf
        for at in range(100, len(packet) - 1):
            pair.server.data_received(packet[at : at + 1])
            assert pair.server._inpbuf is held
        assert pair.far.bytes() == b""
        pair.server.data_received(packet[-1:])
        assert pair.far.bytes() == bytes(30_000)


# -- sending --------------------------------------------------------------------------------------


@dataclass
class Wire:
    """A transport that keeps what is written."""

    real: asyncio.Transport
    written: list[bytes] = field(default_factory=list)

    def write(self, data: bytes) -> None:
        self.written.append(bytes(data))

    def abort(self) -> None:
        self.real.abort()

    def payloads(self) -> list[bytes]:
        """What was sent, opened by asyncssh's own cipher; its empty packets left out."""
        stream, made = b"".join(self.written), []
        cipher = get_encryption(b"aes128-gcm@openssh.com", KEY, IV)
        while stream:
            length = int.from_bytes(stream[:4], "big")
            tag = stream[4 + length : 20 + length]
            body = cipher.decrypt_packet(0, stream[:16], stream[16 : 4 + length], 4, tag)
            assert body is not None
            assert body[0] >= 4
            assert length % 16 == 0
            made.append(body[1 : -body[0]])
            stream = stream[20 + length :]
        return [payload for payload in made if payload[0] != 2]


def speak(pair: Pair, *, fast: bool) -> Wire:
    """From here on the server's packets go to the test."""
    assert pair.server._transport is not None
    wire = Wire(pair.server._transport)
    cipher = get_encryption(b"aes128-gcm@openssh.com", KEY, IV)
    pair.server._send_encryption = Gcm.taking_over(cipher) if fast else cipher
    pair.server._send_seq = pair.server._rekey_bytes_sent = 0
    pair.server._transport = wire  # type: ignore[assignment]
    return wire


WRITES = st.lists(
    st.one_of(
        st.tuples(st.integers(0, 3000), st.sampled_from([None, 1])),
        st.tuples(st.integers(0, 3000), st.just("opens the window")),
    ),
    max_size=10,
)


@settings(max_examples=40, deadline=None)
@given(writes=WRITES, window=st.integers(0, 4000), packet=st.integers(1, 2000), eof=st.booleans())
async def test_the_packets_are_asyncsshs_own(
    writes: list[tuple[int, Any]], window: int, packet: int, eof: bool
) -> None:
    packet = max(packet, 40)
    sent = []
    for fast in (True, False):
        async with ssh_pair(fast_client=False, fast_server=fast) as pair:
            listen(pair, fast=fast)
            peer, wire = Peer(), speak(pair, fast=fast)
            chan: Any = pair.far.chan
            chan._send_window, chan._send_pktsize = window, packet
            for number, (size, kind) in enumerate(writes):
                if isinstance(kind, str):
                    adjustment = struct.pack(">BII", 93, CHANNEL, size)
                    pair.server.data_received(peer.packet(adjustment))
                else:
                    chan.write(bytes((number,)) * size, kind)
            if eof:
                chan.write_eof()
            state = chan._send_window, chan.get_write_buffer_size(), pair.far.writable.is_set()
            assert pair.server._send_seq >= len(wire.payloads())
            sent.append((wire.payloads(), state))
    assert sent[0] == sent[1]


async def test_no_empty_packet_is_put_before_each_packet() -> None:
    async with ssh_pair(fast_client=False) as pair:
        wire = speak(pair, fast=True)
        pair.far.chan.write(bytes(100_000))
        assert pair.server._send_seq == 4
        assert len(wire.written) == 1


@pytest.mark.parametrize("limit", [40_000, 100_000, 200_000])
async def test_new_keys_are_asked_for_at_the_limit_in_bytes(limit: int) -> None:
    async with ssh_pair(fast_client=False) as pair:
        wire = speak(pair, fast=True)
        pair.server._rekey_bytes = limit
        pair.far.chan.write(bytes(400_000))
        payloads = wire.payloads()
        assert [p[0] for p in payloads] == [94] * (len(payloads) - 1) + [MSG_KEXINIT]
        lengths = [-(1 + len(p) + 4) % 16 + 4 + 1 + len(p) for p in payloads[:-1]]
        assert sum(lengths[:-1]) < limit <= sum(lengths)


async def test_small_packets_count_too() -> None:
    async with ssh_pair(fast_client=False) as pair:
        wire = speak(pair, fast=True)
        pair.server._rekey_bytes = 100
        for _ in range(6):
            pair.far.chan.set_xon_xoff(True)  # type: ignore[union-attr]
        kinds = [p[0] for p in wire.payloads()]
        assert kinds[-1] == MSG_KEXINIT
        assert kinds[:-1] == [98] * (len(kinds) - 1)
        assert len(kinds) < 6


async def test_new_keys_are_asked_for_at_the_limit_in_time() -> None:
    async with ssh_pair(fast_client=False, rekey_seconds=3600) as pair:
        wire = speak(pair, fast=True)
        pair.far.chan.write(b"in time")
        pair.server._rekey_time = time.monotonic() - 1
        pair.far.chan.write(b"too late")
        assert [p[0] for p in wire.payloads()] == [94, MSG_KEXINIT]


@pytest.mark.parametrize(("fast_client", "fast_server"), [(True, True), (False, True)])
async def test_strict_key_exchange_starts_the_sequence_numbers_anew(
    fast_client: bool, fast_server: bool
) -> None:
    async with ssh_pair(fast_client=fast_client, fast_server=fast_server) as pair:
        for _ in range(200):
            pair.far.chan.write(b"x")
        await pair.near.until(200)
        assert pair.server._strict_kex
        assert pair.server._send_seq >= 200
        old = pair.client._recv_encryption
        pair.server._rekey_bytes_sent = pair.server._rekey_bytes
        pair.far.chan.write(b"under new keys")
        await pair.near.until(214)
        assert pair.client._recv_encryption is not old
        assert pair.server._send_seq == pair.client._recv_seq < 20
        pair.near.chan.write(b"understood")
        await pair.far.until(10)
        assert pair.server._recv_seq == pair.client._send_seq


async def test_a_peer_that_is_heard_is_not_asked_whether_it_lives() -> None:
    async with ssh_pair(fast_client=False, keepalive_interval=300) as pair:
        pair.near.chan.write(b"x")
        await pair.far.until(1)
        put_off = pair.server._keepalive_timer
        assert put_off is not None
        pair.near.chan.write(b"y")
        await pair.far.until(2)
        assert pair.server._keepalive_timer is put_off  # once is enough for a while
        pair.server.set_keepalive(600)
        timer = pair.server._keepalive_timer
        assert timer is not None
        assert timer.when() - asyncio.get_running_loop().time() > 500


def test_asyncssh_has_the_bound_that_these_tests_name() -> None:
    assert asyncssh.connection._DEFAULT_RECV_PKTLEN == MAX
