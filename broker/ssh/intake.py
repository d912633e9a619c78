"""What a client has sent on one channel and nobody has read yet, with a bound on it.

asyncssh opens the window again for each chunk that it delivers, even to a reader that pauses at
once, so pausing after every chunk would let it hold without end. Here reading goes on only when
nearly everything was used, and then all that asyncssh holds is taken: two windows at the most.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import Protocol

HIGH = 256 * 1024  # bytes held at which the client must wait
LOW = 64 * 1024  # bytes held at which it may go on


class Pausable(Protocol):
    """What a channel can do about a reader that is busy."""

    def pause_reading(self) -> None:
        """Deliver nothing for now."""

    def resume_reading(self) -> None:
        """Deliver again, beginning with what was held."""


class Intake:
    """One channel's unread input."""

    def __init__(self) -> None:
        self.lost = False
        self.last = time.monotonic()  # when anything came or went
        self._chan: Pausable | None = None
        self._chunks: deque[bytes] = deque()
        self._held = 0
        self._paused = False
        self._taking_all = False
        self._ended = False
        self._arrived = asyncio.Event()

    def attach(self, chan: Pausable) -> None:
        """The channel that is paused and resumed."""
        self._chan = chan

    def add(self, data: bytes) -> None:
        """More has come."""
        self.last = time.monotonic()
        self._chunks.append(data)
        self._held += len(data)
        if self._held > HIGH and not self._paused and not self._taking_all:
            self._paused = True
            if self._chan is not None:
                self._chan.pause_reading()
        self._arrived.set()

    def end(self) -> None:
        """No more comes."""
        self._ended = True
        self._arrived.set()

    def lose(self) -> None:
        """The client is gone: what is left is of no use to anybody."""
        self.lost = True
        self._arrived.set()

    async def read(self) -> bytes:
        """The next bytes, ``b""`` at the end; ConnectionError when the client is gone."""
        while not self._chunks:
            if self.lost:
                raise ConnectionResetError
            if self._ended:
                return b""
            self._arrived.clear()
            await self._arrived.wait()
        data = self._chunks.popleft()
        self._held -= len(data)
        if self._paused and self._held <= LOW:
            self._go_on()
        return data

    def _go_on(self) -> None:
        self._paused = False
        if self._chan is None or self.lost:
            return
        self._taking_all = True
        try:
            self._chan.resume_reading()
        finally:
            self._taking_all = False
        if self._held > HIGH:
            self._paused = True
            self._chan.pause_reading()
