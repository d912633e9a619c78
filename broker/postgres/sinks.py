"""Where psql's output goes when it is not for the person, or not only."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Write: TypeAlias = Callable[[bytes], Awaitable[None]]

RESTRICTED = b"backslash commands are restricted; only \\unrestrict is allowed"


class Watch:
    """Passes errors on and notices the one with which psql refuses a meta-command."""

    def __init__(self, write: Write) -> None:
        self.seen = False
        self._write = write
        self._line = b"\n"

    async def write(self, data: bytes) -> None:
        self._line += data
        self.seen = self.seen or b"\n" + RESTRICTED in self._line
        self._line = self._line[-len(RESTRICTED) - 1 :]
        await self._write(data)


class Until:
    """Drops output until a word has come."""

    def __init__(self, word: bytes) -> None:
        self.seen = False
        self._word = word
        self._tail = b""

    async def write(self, data: bytes) -> None:
        self._tail += data
        self.seen = self.seen or self._word in self._tail
        self._tail = self._tail[-len(self._word) :]


async def nothing(_data: bytes) -> None:
    """Output that nobody needs."""
