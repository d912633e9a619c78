"""Backpressure of one connection's socket, which asyncssh does not pass on to its channels.

Without it a client with a huge window that stops reading makes this process hold everything that
its session prints. The transport says when its buffer is full; writers wait until it is not.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncssh

HIGH_WATER = 512 * 1024  # bytes in the transport's buffer at which writers begin to wait


class Pressure:
    """Writers of one connection wait here while its socket is full."""

    def __init__(self) -> None:
        self._free = asyncio.Event()
        self._free.set()

    def attach(self, conn: asyncssh.SSHServerConnection) -> None:
        """Hear the transport through the connection's own protocol callbacks."""
        conn.pause_writing = self._free.clear  # type: ignore[method-assign]
        conn.resume_writing = self._free.set  # type: ignore[method-assign]
        transport = conn.get_extra_info("transport") or getattr(conn, "_transport", None)
        if transport is not None:
            transport.set_write_buffer_limits(high=HIGH_WATER)

    def release(self) -> None:
        """The connection is gone: nobody may wait for it any longer."""
        self._free.set()

    async def relieved(self) -> None:
        """Return when the socket takes bytes again."""
        if not self._free.is_set():
            await self._free.wait()
