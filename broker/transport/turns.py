"""Bulk streams take turns, one chunk each, so that no keystroke waits for a whole buffer of theirs.

One loop serves every session, and a task goes on for as long as nothing makes it wait: a bulk
stream whose peer keeps up would be served megabytes at a time. So whoever has moved much waits for
its turn, and of all that wait one goes on in each pass of the loop, after everybody with little to
do. Who moves little (a person who types, a small query) never waits here.
"""

from __future__ import annotations

import asyncio
from collections import deque

ALLOWANCE = 16 * 1024  # bytes that a stream may move before it has to wait for a turn


class Turns:
    """All streams of one loop."""

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._passing = False

    def stream(self) -> Turn:
        """One direction of one channel."""
        return Turn(self)

    async def wait(self) -> None:
        """Until those before have gone on, one in each pass of the loop."""
        loop = asyncio.get_running_loop()
        mine: asyncio.Future[None] = loop.create_future()
        self._waiting.append(mine)
        if not self._passing:
            self._passing = True
            loop.call_soon(self._pass, loop)
        await mine

    def _pass(self, loop: asyncio.AbstractEventLoop) -> None:
        while self._waiting:
            first = self._waiting.popleft()
            if not first.done():  # its task may have been cancelled
                first.set_result(None)
                break
        self._passing = bool(self._waiting)
        if self._passing:
            loop.call_soon(self._pass, loop)


class Turn:
    """What one stream has moved since it last waited."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._moved = 0

    def moved(self, size: int) -> None:
        """So many bytes went through."""
        self._moved += size

    async def due(self) -> None:
        """Wait for a turn, if much was moved since the last. Cancelling loses nothing."""
        if self._moved >= ALLOWANCE:
            await self._turns.wait()
            self._moved = 0
