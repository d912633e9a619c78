"""One forwarded channel as bytes in and out, bounded in both directions."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import asyncssh

from broker.ssh.intake import Intake
from broker.transport.adoption import adopt

if TYPE_CHECKING:
    from collections.abc import Callable

    from broker.transport.pressure import Pressure
    from broker.transport.turns import Turns


class Stream(asyncssh.SSHTCPSession[bytes]):
    """A forwarded channel as a duplex byte stream, bounded in both directions.

    `begin` is called once, when the channel is open.
    """

    def __init__(self, begin: Callable[[Stream], None], pressure: Pressure, turns: Turns) -> None:
        self._begin = begin
        self._pressure = pressure
        self._turn_out, self._turn_in = turns.stream(), turns.stream()
        self._intake = Intake()
        self._chan: asyncssh.SSHTCPChannel[bytes] | None = None
        self._rest = b""
        self._writable = asyncio.Event()
        self._writable.set()

    # -- asyncssh's callbacks ------------------------------------------------------------------

    def connection_made(self, chan: asyncssh.SSHTCPChannel[bytes]) -> None:
        """Keep the channel."""
        self._chan = chan
        adopt(chan)
        self._intake.attach(chan)

    def session_started(self) -> None:
        """The channel is open."""
        self._begin(self)

    def data_received(self, data: bytes, datatype: int | None) -> None:
        """Bytes of the client."""
        self._intake.add(data)

    def eof_received(self) -> bool:
        """The client's end; ours stays open until we close it."""
        self._intake.end()
        return True

    def pause_writing(self) -> None:
        """The channel's window is full."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """The channel takes bytes again."""
        self._writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        self._intake.lose()
        self._writable.set()

    # -- the duplex ----------------------------------------------------------------------------

    async def read(self, limit: int, /) -> bytes:
        """At most `limit` bytes; ``b""`` at the end."""
        await self._turn_in.due()
        if not self._rest:
            try:
                self._rest = await self._intake.read()
            except ConnectionError:
                return b""
        data, self._rest = self._rest[:limit], self._rest[limit:]
        self._turn_in.moved(len(data))
        return data

    def write(self, data: bytes, /) -> None:
        """Queue bytes for the client; nothing when it is gone."""
        if self._chan is not None and not self._intake.lost:
            with suppress(OSError):
                self._chan.write(data)
                self._turn_out.moved(len(data))

    async def drain(self) -> None:
        """Wait until the client takes more. Raises ConnectionError when it is gone."""
        await self._writable.wait()
        await self._pressure.relieved()
        await self._turn_out.due()
        if self._intake.lost:
            raise ConnectionResetError

    def close(self) -> None:
        """End both directions; without it ``ssh -W`` would hang."""
        if self._chan is not None:
            self._chan.close()
