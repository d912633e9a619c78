"""Large statements are read in a process of their own, so that nobody else has to wait for them.

Reading 256 KiB of SQL takes up to a second, nearly all of it while holding the interpreter's lock,
so a thread would not help. The process is started when the first large statement comes, reads one
at a time, and is killed when one takes too long. It gets nothing but the text.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import struct
import sys
from typing import BinaryIO

import msgspec

from broker.errors import Unparsable
from broker.policy import judge, sql
from broker.policy.sql import grammar
from broker.policy.sql.reading import Reading  # noqa: TC001 - msgspec reads the annotations

SECONDS = 20.0
_SIZE = struct.Struct(">I")
_LIMIT = 16 * 1024 * 1024
TOO_LONG = "the statement takes too long to read"


class Answer(msgspec.Struct):
    """What the process says of a text."""

    reading: Reading | None = None
    wrong: str = ""
    position: int | None = None


class Reader:
    """The process, when there is one."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._lock = asyncio.Lock()

    async def prepare(self, text: str) -> None:
        """Let the judgement of this text be quick, whatever it holds."""
        if judge.is_read(text):
            return
        try:
            data = grammar.bounded(text)
        except Unparsable:
            return  # quickly said again
        async with self._lock:
            judge.remember(text, await self._read(data))

    async def _read(self, data: bytes) -> Reading | Unparsable:
        try:
            async with asyncio.timeout(SECONDS):
                answer = msgspec.json.decode(await self._asked(data), type=Answer)
        except (TimeoutError, OSError, EOFError, asyncio.IncompleteReadError):
            await self._end()
            return Unparsable(TOO_LONG)
        except BaseException:
            await self._end()
            raise
        return answer.reading or Unparsable(answer.wrong, answer.position)

    async def _asked(self, data: bytes) -> bytes:
        if self._process is None:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-m", "broker.postgres.reader"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env={},
                limit=_LIMIT,
            )
        to, back = self._process.stdin, self._process.stdout
        if to is None or back is None:
            raise EOFError
        to.write(_SIZE.pack(len(data)) + data)
        await to.drain()
        (size,) = _SIZE.unpack(await back.readexactly(_SIZE.size))
        return await back.readexactly(min(size, _LIMIT))

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def close(self) -> None:
        """The broker ends."""
        await self._end()


def main(source: BinaryIO, sink: BinaryIO) -> None:
    """The process: a length and a text in, a length and an answer out."""
    gc.disable()  # trees are no cycles; looking for some takes half of the time
    while size := source.read(_SIZE.size):
        data = source.read(*_SIZE.unpack(size))
        answer = msgspec.json.encode(read(data.decode()))
        sink.write(_SIZE.pack(len(answer)) + answer)
        sink.flush()


def read(text: str) -> Answer:
    """What the process says of one text."""
    try:
        return Answer(sql.read(text))
    except Unparsable as error:
        return Answer(wrong=str(error), position=error.position)


if __name__ == "__main__":
    main(sys.stdin.buffer, sys.stdout.buffer)
