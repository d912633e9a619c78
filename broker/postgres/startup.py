"""The client's first packets: read, refused in words, or answered as a server would."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from broker.errors import InterlockError, ProtocolError
from broker.wire import messages, notices
from broker.wire.startup import Greeting

if TYPE_CHECKING:
    from collections.abc import Mapping

    from broker.wire.startup import Hello

STARTUP_SECONDS = 30.0


class Duplex(Protocol):
    """A client's bytes, both ways: a socket, or a forwarded channel."""

    async def read(self, size: int, /) -> bytes:
        """The next bytes, at most so many; ``b""`` when the client has closed."""

    def write(self, data: bytes, /) -> None:
        """Take bytes to send."""

    async def drain(self) -> None:
        """Wait while the client does not take what was written."""

    def close(self) -> None:
        """Send what was written, then close."""


class DuplexOverStreams:
    """asyncio's streams as a Duplex."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def read(self, size: int, /) -> bytes:
        """The next bytes; a client that is gone has closed."""
        try:
            return await self._reader.read(size)
        except ConnectionError:
            return b""

    def write(self, data: bytes, /) -> None:
        """Take bytes to send."""
        self._writer.write(data)

    async def drain(self) -> None:
        """Wait while the socket is full."""
        await self._writer.drain()

    def close(self) -> None:
        """Close after what was written."""
        self._writer.close()


async def greet(client: Duplex) -> Hello | None:
    """What the client wants; None when it left. A refusal is told to it as FATAL, then raised."""
    greeting = Greeting()
    try:
        async with asyncio.timeout(STARTUP_SECONDS):
            while greeting.hello is None:
                data = await client.read(8192)
                if not data:
                    return None
                client.write(greeting.feed(data))
    except TimeoutError as error:
        msg = "no start-up packet came"
        raise ProtocolError(msg) from error
    except InterlockError as error:
        client.write(notices.fatal(notices.PROTOCOL, f"interlock: {error}"))
        raise
    return greeting.hello


def welcome(parameters: Mapping[str, str], key: bytes) -> bytes:
    """The answer to a start-up packet: no password is asked, SSH has proven who it is."""
    settings = (messages.parameter_status(*pair) for pair in parameters.items())
    return b"".join(
        (
            messages.AUTHENTICATION_OK,
            *settings,
            messages.backend_key(key),
            messages.ready("I"),
        )
    )
