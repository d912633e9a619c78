"""The way back of one output stream: masked and recorded by the gate, then delivered."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from broker.gate import Stream

QUIET = 0.03  # seconds without output after which held bytes are released to a person


class Outlet:
    """One program's output on its way to the client."""

    def __init__(self, stream: Stream, write: Callable[[bytes], Awaitable[None]]) -> None:
        self._stream = stream
        self._write = write
        self._order = asyncio.Lock()  # released bytes may not overtake nor be overtaken
        self._fed = asyncio.Event()

    async def __call__(self, data: bytes, /) -> None:
        """Deliver what may be seen; returns when the client has taken it."""
        async with self._order:
            await self._deliver(self._stream.feed(data))
        self._fed.set()

    async def release_when_quiet(self) -> None:
        """For ever: a person sees what is held only because more might come."""
        while True:
            await self._fed.wait()
            self._fed.clear()
            try:
                async with asyncio.timeout(QUIET):
                    await self._fed.wait()
            except TimeoutError:
                async with self._order:
                    await self._deliver(self._stream.release())

    async def finish(self) -> None:
        """The program ended: record and deliver the rest."""
        await self._deliver(self._stream.close())

    async def _deliver(self, shown: bytes) -> None:
        if shown:
            await self._write(shown)
