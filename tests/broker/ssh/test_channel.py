"""A session's channel is bounded and fair: its writers wait for the client and for their turn."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from broker.ssh.channel import Channel
from broker.transport.pressure import Pressure
from broker.transport.turns import Turns
from tests.fixtures.ssh_pair import ssh_pair

if TYPE_CHECKING:
    from broker.ssh.channel import Request

CHUNK = bytes(64 * 1024)


class Counted:
    """Channels that the server makes, and what the tests do with them."""

    def __init__(self, turns: Turns) -> None:
        self.pressure = Pressure()
        self._turns = turns
        self.begun: asyncio.Future[Channel] = asyncio.get_running_loop().create_future()

    def __call__(self) -> Channel:
        return Channel(self._begin, self.pressure, self._turns)

    def _begin(self, channel: Channel, request: Request) -> None:
        self.begun.set_result(channel)


async def test_a_client_that_stops_reading_stops_the_writer() -> None:
    made = Counted(Turns())
    async with ssh_pair(serve=made, window=1 << 30) as pair:
        made.pressure.attach(pair.server)
        channel = await made.begun
        transport = pair.client._transport
        assert transport is not None
        transport.pause_reading()
        size = 0

        async def write() -> None:
            nonlocal size
            while True:
                await channel.write(CHUNK * 4)
                size += len(CHUNK) * 4

        writing = asyncio.ensure_future(write())
        for _ in range(1200):  # each pass would let one chunk through
            await asyncio.sleep(0)
        assert size < 24 * 1024 * 1024
        writing.cancel()
        transport.resume_reading()


async def test_bulk_streams_let_everybody_else_go_first() -> None:
    """Between two chunks of bulk, whoever writes a key's echo has had a pass of the loop."""
    turns = Turns()
    bulk, person = Counted(turns), Counted(turns)
    order: list[str] = []
    async with ssh_pair(serve=bulk) as one, ssh_pair(serve=person) as other:
        stream, keys = await bulk.begun, await person.begun

        async def flood() -> None:
            for _ in range(100):
                await stream.write(CHUNK)
                order.append("bulk")

        async def echo() -> None:
            while len(order) < 150:
                await keys.write(await keys.read())
                order.append("key")
                other.near.chan.write(b"k")

        async with asyncio.TaskGroup() as tasks:
            flooding = tasks.create_task(flood())
            echoing = tasks.create_task(echo())
            other.near.chan.write(b"k")
            await flooding
            echoing.cancel()
        await one.near.until(100 * len(CHUNK))
    served = [order[: at + 1].count("key") for at, who in enumerate(order) if who == "bulk"]
    assert served[-1] >= 20  # alone it would have been given the whole of the bulk first


async def test_a_reader_of_bulk_takes_turns_too_and_loses_nothing_when_cancelled() -> None:
    made = Counted(Turns())
    async with ssh_pair(serve=made) as pair:
        channel = await made.begun
        pair.near.chan.write(bytes(500_000))
        pair.near.chan.write_eof()
        size = 0
        while True:
            reading = asyncio.ensure_future(channel.read())
            await asyncio.sleep(0)
            if not reading.done():
                reading.cancel()
            try:
                data = await reading
            except asyncio.CancelledError:
                data = await channel.read()
            if not data:
                break
            size += len(data)
        assert size == 500_000
