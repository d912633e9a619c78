"""The broker's own connection to a PostgreSQL target; the client never sees its credential."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from broker.errors import ProtocolError, TargetUnreachable
from broker.postgres.dial import dial
from broker.postgres.login import log_in, refused
from broker.wire import messages, startup
from broker.wire.rows import read_cells

if TYPE_CHECKING:
    from collections.abc import Mapping

    from broker.targets import PostgresTarget
    from broker.wire.messages import Message

CONNECT_SECONDS = 20.0
CANCEL_SECONDS = 5.0


class Upstream:
    """One logged-in connection. `query` is for us, before a client's conversation takes over."""

    def __init__(
        self, target: PostgresTarget, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.target = target
        self.reader = reader
        self.writer = writer
        self.parameters: dict[str, str] = {}
        self.key = b""
        self._frames = messages.Frames(messages.FROM_SERVER)

    @property
    def pid(self) -> int:
        """The server process behind this connection."""
        return int.from_bytes(self.key[:4], "big")

    async def receive(self) -> Message:
        """The next message of the server; an error ends the login, so it is raised."""
        while (message := self._frames.next()) is None:
            data = b""
            with contextlib.suppress(ConnectionError):
                data = await self.reader.read(65536)
            if not data:
                msg = f"{self.target.name} closed the connection"
                raise TargetUnreachable(msg)
            self._frames.feed(data)
        if message.kind == "E":
            raise refused(self.target.name, message.body)
        if message.kind == "S":
            body = messages.Body(message.body)
            name, value = body.cstring(), body.cstring()
            self.parameters[name.decode()] = value.decode("utf-8", "replace")
        return message

    async def query(self, text: str) -> list[list[bytes | None]]:
        """Run one statement of our own; its rows as text. Any error raises TargetUnreachable."""
        self.writer.write(messages.query(text))
        rows: list[list[bytes | None]] = []
        columns = 0
        while (message := await self.receive()).kind != "Z":
            if message.kind == "T":
                columns = messages.Body(message.body).counted()
            elif message.kind == "D":
                rows.append(read_cells(message.body, columns))
        return rows

    def leftover(self) -> bool:
        """Are there bytes that came unasked? There must be none when a client takes over."""
        return self._frames.buffered > 0

    async def cancel(self) -> None:
        """Ask the server to stop the running statement; returns when the request was taken."""
        with contextlib.suppress(TargetUnreachable, OSError, TimeoutError):
            async with asyncio.timeout(CANCEL_SECONDS):
                reader, writer = await dial(self.target)
                try:
                    writer.write(startup.cancel_request(self.key))
                    await reader.read()  # the server closes it once the signal is sent
                finally:
                    writer.transport.abort()

    def abort(self) -> None:
        """Close at once: what was not sent yet never is."""
        self.writer.transport.abort()

    async def close(self) -> None:
        """Send what is left, then close."""
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(CANCEL_SECONDS):
                await self.writer.drain()
                self.writer.close()
                await self.writer.wait_closed()
        self.abort()


async def connect(
    target: PostgresTarget, password: str | None, settings: Mapping[str, str]
) -> Upstream:
    """Connect and log in with these settings pinned. Raises TargetUnreachable in one sentence."""
    upstream: Upstream | None = None
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            upstream = Upstream(target, *await dial(target))
            await log_in(upstream, password, settings)
    except BaseException as error:
        if upstream is not None:
            upstream.abort()
        if isinstance(error, TimeoutError):
            msg = f"{target.name} did not answer in {CONNECT_SECONDS:.0f} seconds"
            raise TargetUnreachable(msg) from error
        if isinstance(error, (OSError, ProtocolError)):
            msg = f"{target.name} does not speak PostgreSQL's protocol as we do"
            raise TargetUnreachable(msg) from error
        raise
    return upstream
