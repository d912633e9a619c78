"""A client in memory: what it types is queued, what it sees is kept, and tests can wait for it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from broker.console.client import Terminal

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE = 10.0


class FakeClient:
    """The person's end of a session channel, as a test drives it."""

    def __init__(self, *, terminal: Terminal | None = None, json: bool = False) -> None:
        self.terminal = terminal
        self.json = json
        self.output = b""
        self.errors = b""
        self.gone = False
        self.resized: Callable[[Terminal], None] | None = None
        self.signalled: Callable[[str], None] | None = None
        self._typed: asyncio.Queue[bytes] = asyncio.Queue()
        self._seen = asyncio.Condition()
        self._read = 0  # how far a test has looked

    # -- as the broker sees it -----------------------------------------------------------------

    async def read(self) -> bytes:
        data = await self._typed.get()
        self._typed.task_done()
        if not data:
            self._typed.put_nowait(b"")  # the end stays the end
            if self.gone:
                raise ConnectionResetError
        return data

    async def write(self, data: bytes) -> None:
        await self._wrote(data, b"")

    async def write_error(self, data: bytes) -> None:
        if self.terminal is not None:
            await self._wrote(data, b"")
        else:
            await self._wrote(b"", data)

    def on_resize(self, call: Callable[[Terminal], None] | None) -> None:
        self.resized = call

    def on_signal(self, call: Callable[[str], None] | None) -> None:
        self.signalled = call

    # -- as the test drives it -----------------------------------------------------------------

    def type(self, data: str | bytes) -> None:
        """Type, or pipe in."""
        self._typed.put_nowait(data.encode() if isinstance(data, str) else data)

    def end(self) -> None:
        """No more input."""
        self._typed.put_nowait(b"")

    def vanish(self) -> None:
        """The connection is lost."""
        self.gone = True
        self._typed.put_nowait(b"")

    def resize(self, columns: int, rows: int) -> None:
        """The window changes."""
        self.terminal = Terminal("xterm", columns, rows)
        if self.resized is not None:
            self.resized(self.terminal)

    async def sees(self, text: str | bytes, times: int = 1) -> None:
        """Wait until the output holds a text."""
        wanted = text.encode() if isinstance(text, str) else text
        async with asyncio.timeout(PATIENCE), self._seen:
            await self._seen.wait_for(lambda: self.output.count(wanted) >= times)

    async def expect(self, *texts: str) -> None:
        """Wait until the texts have come, one after another, after what was expected before."""
        for text in texts:
            wanted = text.encode()
            async with asyncio.timeout(PATIENCE), self._seen:
                while (at := self.output.find(wanted, self._read)) < 0:
                    await self._seen.wait()
                self._read = at + len(wanted)

    async def taken(self) -> None:
        """Wait until the broker has read all that was typed."""
        await self._typed.join()

    async def _wrote(self, output: bytes, errors: bytes) -> None:
        if self.gone:
            raise ConnectionResetError
        async with self._seen:
            self.output += output
            self.errors += errors
            self._seen.notify_all()
