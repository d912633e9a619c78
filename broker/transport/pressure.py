"""Backpressure of one connection's socket, which asyncssh does not pass on to its channels.

Without it a peer with a huge window that stops reading makes this process hold everything that is
meant for it. The transport says when its buffer is full; writers wait until it is not. The kernel
holds little that is unsent, so that a key's echo does not wait behind seconds of other output.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncssh

    Connection = asyncssh.SSHServerConnection | asyncssh.SSHClientConnection

HIGH_WATER = 256 * 1024  # bytes in the transport's buffer at which writers begin to wait
UNSENT = 128 * 1024  # bytes that the kernel takes beyond what the peer's TCP window allows


class Pressure:
    """Writers of one connection wait here while its socket is full."""

    def __init__(self) -> None:
        self._free = asyncio.Event()
        self._free.set()

    def attach(self, conn: Connection) -> None:
        """Hear the transport through the connection's own protocol callbacks."""
        conn.pause_writing = self._free.clear  # type: ignore[method-assign]
        conn.resume_writing = self._free.set  # type: ignore[method-assign]
        transport = conn.get_extra_info("transport") or getattr(conn, "_transport", None)
        if transport is not None:
            transport.set_write_buffer_limits(high=HIGH_WATER)
        sock = conn.get_extra_info("socket")
        if sock is not None and sock.family in {socket.AF_INET, socket.AF_INET6}:
            with suppress(OSError, AttributeError):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT)

    def release(self) -> None:
        """The connection is gone: nobody may wait for it any longer."""
        self._free.set()

    async def relieved(self) -> None:
        """Return when the socket takes bytes again."""
        if not self._free.is_set():
            await self._free.wait()
