"""A program's terminal and error pipe, read by pulling: what nobody takes holds it back."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import struct
import termios
import tty
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

CHUNK = 65536


class Descriptor:
    """A non-blocking descriptor of ours that is read only when asked."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.ended = False
        os.set_blocking(number, False)

    def take(self) -> bytes:
        """All that is there now, up to 64 KiB; ``b""`` when there is nothing, or it has ended."""
        pieces: list[bytes] = []
        size = 0
        while not self.ended and size < CHUNK:  # a terminal gives 4 KiB at a time
            try:
                piece = os.read(self.number, CHUNK)
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno != errno.EIO:  # what a terminal says once nobody holds its end
                    raise
                piece = b""
            self.ended = not piece
            pieces.append(piece)
            size += len(piece)
        return b"".join(pieces)

    def write(self, data: bytes) -> bytes:
        """Write what fits; the rest."""
        try:
            return data[os.write(self.number, data) :] if data else b""
        except BlockingIOError:
            return data
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            self.ended = True
            return b""

    def close(self) -> None:
        """Close it, once."""
        if self.number >= 0:
            os.close(self.number)
            self.number = -1


class Terminal:
    """Our side of a raw terminal and a pipe, and the other side until the program has it."""

    def __init__(self) -> None:
        main, self.theirs = os.openpty()
        errors, self.their_errors = os.pipe()
        tty.setraw(self.theirs)  # no echo, no line editing, no signals, no output processing
        self.main = Descriptor(main)
        self.errors = Descriptor(errors)
        self._news = asyncio.Event()

    def handed_over(self) -> None:
        """The program has its side: close our copies, so that its end is seen."""
        for number in (self.theirs, self.their_errors):
            if number >= 0:
                os.close(number)
        self.theirs = self.their_errors = -1

    def resize(self, columns: int, rows: int) -> None:
        """Set the size that the program sees."""
        with contextlib.suppress(OSError):
            size = struct.pack("HHHH", min(rows, 0xFFFF), min(columns, 0xFFFF), 0, 0)
            fcntl.ioctl(self.main.number, termios.TIOCSWINSZ, size)

    def wake(self) -> None:
        """End a `wait` from outside."""
        self._news.set()

    async def wait(self, *, writing: bool, timeout: float | None) -> bool:  # noqa: ASYNC109 - a quiet program is an answer, not an error
        """Wait until there is something to read (or room to write); False when time is over."""
        loop = asyncio.get_running_loop()
        self._news.clear()
        undo: list[Callable[[], bool]] = []
        for descriptor in (self.main, self.errors):
            if not descriptor.ended:
                number = descriptor.number
                loop.add_reader(number, self._news.set)
                undo.append(lambda number=number: loop.remove_reader(number))  # type: ignore[misc]
        if writing:
            loop.add_writer(self.main.number, self._news.set)
            undo.append(lambda: loop.remove_writer(self.main.number))
        try:
            async with asyncio.timeout(timeout):
                await self._news.wait()
        except TimeoutError:
            return False
        finally:
            for remove in undo:
                remove()
        return True

    def close(self) -> None:
        """Close everything; a program that still runs reads the end of its input."""
        self.handed_over()
        self.main.close()
        self.errors.close()
