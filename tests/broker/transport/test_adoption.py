"""Fast and plain ends speak to each other: any split, any sizes, both ways, through rekeying."""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING

import asyncssh
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker.transport import known
from broker.transport.adoption import CIPHERS, adopt
from broker.transport.channel import FastClientChannel, FastServerChannel
from broker.transport.connection import FastClientConnection, FastServerConnection
from broker.transport.gcm import Gcm
from tests.fixtures.ssh_pair import ssh_pair

if TYPE_CHECKING:
    from collections.abc import Callable

SLOW = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
SIZES = st.lists(st.one_of(st.integers(1, 40), st.integers(1, 40_000)), min_size=1, max_size=6)
WRITES = st.lists(
    st.tuples(st.one_of(st.integers(0, 30), st.integers(0, 150_000)), st.booleans()), max_size=8
)


def split(sizes: list[int]) -> Callable[[bytes], list[bytes]]:
    """Cut what comes into pieces of these sizes, over and over."""
    around = cycle(sizes)

    def pieces(data: bytes) -> list[bytes]:
        made = []
        while data:
            size = next(around)
            made.append(data[:size])
            data = data[size:]
        return made

    return pieces


def pattern(size: int, seed: int) -> bytes:
    """Bytes that show any loss, doubling or swap."""
    return (b"%d:" % seed + bytes(range(256))) * (size // 256 + 1)


@pytest.mark.parametrize(
    ("fast_client", "fast_server"), [(True, True), (True, False), (False, True)]
)
@given(sizes=SIZES, writes=WRITES, packet=st.integers(1, 40_000), window=st.integers(1, 300_000))
@SLOW
async def test_what_one_end_writes_the_other_reads(
    fast_client: bool,
    fast_server: bool,
    sizes: list[int],
    writes: list[tuple[int, bool]],
    packet: int,
    window: int,
) -> None:
    packet = max(packet, window // 50, 300)  # enough packets, not thousands
    async with ssh_pair(
        fast_client=fast_client,
        fast_server=fast_server,
        pieces=split(sizes),
        packet=packet,
        window=max(window, 1000),
        rekey_bytes=100_000,
    ) as pair:
        out, errors = b"", b""
        for number, (size, is_error) in enumerate(writes):
            data = pattern(size, number)[:size]
            pair.far.chan.write(data, asyncssh.EXTENDED_DATA_STDERR if is_error else None)
            pair.near.chan.write(data)
            out, errors = (out, errors + data) if is_error else (out + data, errors)
        pair.far.chan.write_eof()
        assert await pair.near.until(len(out)) == out
        assert await pair.near.until(len(errors), asyncssh.EXTENDED_DATA_STDERR) == errors
        given = b"".join(pattern(size, number)[:size] for number, (size, _) in enumerate(writes))
        assert await pair.far.until(len(given)) == given


async def test_both_ends_are_on_the_fast_path_and_stay_there_through_rekeying() -> None:
    async with ssh_pair(rekey_bytes=50_000) as pair:
        first = pair.server._send_encryption
        pair.far.chan.write(bytes(400_000))
        await pair.near.until(400_000)
        assert type(pair.client) is FastClientConnection
        assert type(pair.server) is FastServerConnection
        assert type(pair.near.chan) is FastClientChannel
        assert type(pair.far.chan) is FastServerChannel
        assert type(pair.server._send_encryption) is Gcm
        assert type(pair.client._recv_encryption) is Gcm
        assert pair.server._send_encryption is not first


@pytest.mark.parametrize("cipher", [name for name in CIPHERS if "gcm" not in name])
async def test_other_ciphers_run_on_asyncssh_alone(cipher: str) -> None:
    async with ssh_pair(cipher=cipher) as pair:
        pair.far.chan.write(bytes(100_000))
        assert await pair.near.until(100_000) == bytes(100_000)
        assert type(pair.client._recv_encryption) is not Gcm


async def test_compressed_connections_run_on_asyncssh_alone() -> None:
    async with ssh_pair(compression_algs=["zlib@openssh.com"]) as pair:
        pair.far.chan.write(bytes(100_000))
        assert await pair.near.until(100_000) == bytes(100_000)


async def test_an_asyncssh_that_is_not_known_is_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known.is_known.cache_clear()
    monkeypatch.setattr(asyncssh, "__version__", "2.24.999")
    try:
        async with ssh_pair() as pair:
            assert type(pair.client) is asyncssh.SSHClientConnection
            pair.far.chan.write(b"still works")
            assert await pair.near.until(11) == b"still works"
    finally:
        known.is_known.cache_clear()


def test_anything_else_is_left_as_it_is() -> None:
    other = object()
    adopt(other)
    assert type(other) is object
