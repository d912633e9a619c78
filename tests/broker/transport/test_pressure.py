"""A peer that stops reading makes its writers wait, however large a window it gives."""

from __future__ import annotations

import asyncio
import socket

import pytest

from broker.shell.ssh_channel import SshChannel
from broker.transport.adoption import Fast
from broker.transport.pressure import UNSENT, Pressure
from tests.fixtures.ssh_pair import Pair, ssh_pair

HUGE = 1 << 30  # a window that allows everything
CHUNK = bytes(256 * 1024)
BOUND = 24 * 1024 * 1024  # what the kernel's buffers and ours may hold between them
PASSES = 400  # of the loop; without pressure as many chunks are written


async def written_to(pair: Pair, pressure: Pressure) -> int:
    """Bytes that a writer who heeds the pressure gets rid of when nobody reads."""
    transport = pair.client._transport
    assert transport is not None
    transport.pause_reading()
    size = 0

    async def write() -> None:
        nonlocal size
        while True:
            pair.far.chan.write(CHUNK)
            size += len(CHUNK)
            await pressure.relieved()
            await asyncio.sleep(0)

    writing = asyncio.ensure_future(write())
    for _ in range(PASSES):
        await asyncio.sleep(0)
    writing.cancel()
    transport.resume_reading()
    return size


@pytest.mark.parametrize("fast", [True, False])
async def test_writers_wait_while_the_socket_is_full_and_go_on_after(fast: bool) -> None:
    async with ssh_pair(fast_server=fast, window=HUGE) as pair:
        pressure = Pressure()
        pressure.attach(pair.server)
        size = await written_to(pair, pressure)
        assert size < BOUND
        await pressure.relieved()
        await pair.near.until(size)
        assert len(pair.near.bytes()) == size


async def test_nobody_waits_for_a_connection_that_is_gone() -> None:
    async with ssh_pair(window=HUGE) as pair:
        pressure = Pressure()
        pressure.attach(pair.server)
        await written_to(pair, pressure)
        pressure.release()
        await pressure.relieved()


async def test_the_kernel_is_not_given_seconds_of_output_ahead() -> None:
    async with ssh_pair() as pair:
        Pressure().attach(pair.server)
        sock = pair.server.get_extra_info("socket")
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT) == UNSENT


async def test_input_waits_for_a_target_that_does_not_read() -> None:
    """The other way round: a target that gives a huge window and then takes nothing."""
    async with ssh_pair() as pair:
        owner = Fast()
        owner.connection_made(pair.client)
        channel = SshChannel()
        await channel.start(pair.client, "cat")
        chan = channel._channel
        assert chan is not None
        chan._send_window = HUGE
        far = pair.server_side.sessions[-1]
        far.chan._recv_window = far.chan._init_recv_window = HUGE
        transport = pair.server._transport
        assert transport is not None
        transport.pause_reading()
        size = 0

        async def write() -> None:
            nonlocal size
            while True:
                channel.write(CHUNK)
                size += len(CHUNK)
                await channel.drain()
                await asyncio.sleep(0)

        writing = asyncio.ensure_future(write())
        for _ in range(PASSES):
            await asyncio.sleep(0)
        assert size < BOUND
        transport.resume_reading()
        owner.connection_lost(None)
        writing.cancel()
