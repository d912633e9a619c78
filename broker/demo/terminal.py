"""A person at an 80x24 terminal: starts a program in it, types, and reads the screen."""

from __future__ import annotations

import asyncio
import fcntl
import os
import struct
import subprocess
import termios
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import pyte

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

COLUMNS, ROWS = 80, 24


class Seat:
    """One program in one terminal."""

    def __init__(self, master: int) -> None:
        self._master = master
        self._screen = pyte.Screen(COLUMNS, ROWS)
        self._stream = pyte.ByteStream(self._screen)
        self._changed = asyncio.Event()
        self.closed = False

    def screen(self) -> str:
        """What the person sees now, without trailing blanks."""
        return "\n".join(line.rstrip() for line in self._screen.display).rstrip()

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._master, keys.encode())

    async def sees(self, text: str, *, within: float = 15.0) -> str:
        """Wait until the text is on the screen. Raises TimeoutError with the screen in it."""
        try:
            async with asyncio.timeout(within):
                while text not in self.screen():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError as error:
            msg = f"{text!r} did not appear; the screen was:\n{self.screen()}"
            raise TimeoutError(msg) from error
        return self.screen()

    def _readable(self) -> None:
        try:
            data = os.read(self._master, 65536)
        except OSError:
            data = b""
        if not data:
            self.closed = True
            asyncio.get_running_loop().remove_reader(self._master)
        with suppress(TypeError, KeyError):  # pyte refuses some private sequences
            self._stream.feed(data.replace(b"\x1b[?4m", b"").replace(b"\x1b[>4m", b""))
        self._changed.set()


@asynccontextmanager
async def seat(argv: Sequence[str], env: Mapping[str, str]) -> AsyncIterator[Seat]:
    """Run a program in a terminal inside the block; it is ended with the block."""
    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**env, "TERM": "xterm-256color"},
            start_new_session=True,
        )
    finally:
        os.close(slave)
    person = Seat(master)
    loop = asyncio.get_running_loop()
    loop.add_reader(master, person._readable)  # noqa: SLF001 - the reader of this very seat
    try:
        yield person
    finally:
        loop.remove_reader(master)
        if process.returncode is None:
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), 5)
        except (TimeoutError, subprocess.TimeoutExpired):
            process.kill()
            await process.wait()
        os.close(master)
