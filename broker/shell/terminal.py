"""A local pseudo-terminal: its master end, read and written without blocking."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import struct
import termios
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from broker.console.client import Terminal

TIOCSIG = 0x40045436  # Linux: a signal for the terminal's foreground group; termios lacks it
END_OF_INPUT = b"\x04"  # what a terminal in its usual mode takes for the end of input


class PseudoTerminal:
    """Both ends until the program has its own; then only ours."""

    def __init__(self, size: Terminal) -> None:
        self._master, self.slave = os.openpty()
        os.set_blocking(self._master, False)
        self._unsent = b""
        self.resize(size)

    def resize(self, size: Terminal) -> None:
        """The kernel tells the program (SIGWINCH)."""
        cells = struct.pack("HHHH", size.rows, size.columns, 0, 0)
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, cells)

    def signal(self, name: str) -> None:
        """Send a signal by name to the program in the foreground."""
        number = getattr(signal, f"SIG{name}", None)
        if isinstance(number, signal.Signals) and self._master >= 0:
            with contextlib.suppress(OSError):  # there is none
                fcntl.ioctl(self._master, TIOCSIG, number)

    def give_away(self) -> None:
        """The program has its end: keep no copy, or the end of output is never seen."""
        if self.slave >= 0:
            os.close(self.slave)
            self.slave = -1

    async def read(self, n: int, /) -> bytes:
        """Up to `n` bytes; the kernel reports the last closed end as an error."""
        data = b""
        while len(data) < n:
            try:
                more = os.read(self._master, n - len(data))
            except BlockingIOError:
                if data:
                    break
                await self._ready(write=False)
                continue
            except OSError:
                break
            if not more:
                break
            data += more
        return data

    def write(self, data: bytes, /) -> None:
        """Queue bytes for `drain`."""
        self._unsent += data

    async def drain(self) -> None:
        """Hand over all queued bytes."""
        while self._unsent:
            try:
                self._unsent = self._unsent[os.write(self._master, self._unsent) :]
            except BlockingIOError:
                await self._ready(write=True)

    def write_eof(self) -> None:
        """A terminal has no end of input, only a key for it."""
        os.write(self._master, END_OF_INPUT)

    def close(self) -> None:
        """Hang up."""
        self.give_away()
        if self._master >= 0:
            os.close(self._master)
            self._master = -1

    async def _ready(self, *, write: bool) -> None:
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[None] = loop.create_future()
        add, remove = (
            (loop.add_writer, loop.remove_writer)
            if write
            else (loop.add_reader, loop.remove_reader)
        )
        add(self._master, _done, ready)
        try:
            await ready
        finally:
            remove(self._master)


def _done(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
