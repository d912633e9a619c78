"""A bare client that writes frames and tells what came back, message by message."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from broker.postgres.upstream import connect
from broker.wire import messages, notices, startup
from broker.wire.messages import FROM_SERVER, Frames
from tests.broker.postgres.harness import SETTINGS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from broker.wire.messages import Message
    from tests.broker.postgres.harness import Front
    from tests.fixtures.postgres import PostgresServer


@dataclass
class Bare:
    """One connection, to the relay or straight to the server."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    frames: Frames = field(default_factory=lambda: Frames(FROM_SERVER))
    key: bytes = b""

    async def next(self) -> Message:
        """The next message."""
        async with asyncio.timeout(10):
            while (message := self.frames.next()) is None:
                data = await self.reader.read(65536)
                if not data:
                    raise EOFError
                self.frames.feed(data)
        return message

    def send(self, *frames: bytes) -> None:
        """Send all of it at once."""
        self.writer.write(b"".join(frames))

    async def until(self, stop: str, times: int = 1) -> list[str]:
        """What comes up to a message of that kind (the nth of it), in words."""
        seen: list[str] = []
        while times:
            message = await self.next()
            times -= message.kind == stop
            seen.append(told(message))
        return seen

    async def ask(self, *frames: bytes) -> list[str]:
        """Send, and see everything up to the last ReadyForQuery that this is due."""
        self.send(*frames)
        data = b"".join(frames)
        return await self.until("Z", _due(data))


def _due(data: bytes) -> int:
    """How many ReadyForQuery these messages are answered with."""
    frames = Frames(messages.FROM_CLIENT)
    frames.feed(data)
    due = 0
    while (message := frames.next()) is not None:
        due += message.kind in "QS"
    return due


def told(message: Message) -> str:
    """A message in a word: errors and notices with their code, ends with their tag or state."""
    if message.kind in "EN":
        return f"{message.kind} {notices.read(message.body)['C'].decode()}"
    if message.kind in "CZ":
        return f"{message.kind} {message.body.rstrip(bytes(1)).decode()}"
    return message.kind


@contextlib.asynccontextmanager
async def through(front: Front) -> AsyncIterator[Bare]:
    """A bare client of the relay."""
    bare = Bare(*await front.raw())
    bare.send(startup.startup_message({"user": "me"}))
    while (message := await bare.next()).kind != "Z":
        if message.kind == "K":
            bare.key = message.body
    try:
        yield bare
    finally:
        bare.writer.close()


@contextlib.asynccontextmanager
async def straight(server: PostgresServer, dbname: str) -> AsyncIterator[Bare]:
    """The same without a relay in between."""
    upstream = await connect(server.target(dbname), server.app_password, SETTINGS)
    try:
        yield Bare(upstream.reader, upstream.writer)
    finally:
        upstream.abort()
