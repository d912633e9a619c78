"""A statement of somebody else's on a connection of ours, in a transaction that is never committed.

It goes by the extended protocol, so the server itself takes exactly one statement, with its values
as they were bound. Whatever happens, the connection is closed: what was not rolled back by then is
rolled back by the server.
"""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from broker.errors import InterlockError, TargetUnreachable
from broker.wire import frontend, messages, notices
from broker.wire.rows import read_cells

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

    from broker.model import Parameter
    from broker.postgres.upstream import Upstream
    from broker.wire.messages import Message

    Connect = Callable[[Mapping[str, str]], Awaitable[Upstream]]

LOCK_MS = 200
CANCELS = 5
ANSWER_S = 0.3  # seconds for the server to stop before it is asked again
_IN_OUR_WORDS = {
    "25006": "it would write while it is planned",
    "42601": "it is not one statement",
    "55P03": f"it would have to wait for a lock longer than {LOCK_MS} ms",
    "57014": "it took too long",
}
READ_ONLY = {"default_transaction_read_only": "on"}


class Failed(InterlockError):
    """The server refused it: its code and its words, without what may quote data."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code_of_server = code


@dataclass(slots=True)
class Answer:
    """Rows as text, and the CommandComplete."""

    rows: list[list[bytes | None]] = field(default_factory=list)
    tag: bytes = b""


class Aside:
    """One such transaction."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._frames = messages.Frames(messages.FROM_SERVER)

    async def simple(self, text: str) -> Answer:
        """A statement of ours."""
        return await self._ask(messages.query(text))

    async def run(
        self,
        text: str,
        values: Sequence[bytes | None] = (),
        parameters: Sequence[Parameter] = (),
    ) -> Answer:
        """Exactly one statement with its values. Raises Failed."""
        known = tuple(parameters)
        return await self._ask(
            frontend.parse(text, [each.type for each in known])
            + frontend.bind(b"", b"", tuple(values), binary=[each.binary for each in known])
            + messages.describe("P", "")
            + frontend.execute(b"")
            + messages.SYNC
        )

    async def _ask(self, data: bytes) -> Answer:
        self._upstream.writer.write(data)
        answer, columns = Answer(), 0
        failed: Failed | None = None
        while (message := await self._next()).kind != "Z":
            if message.kind == "T":
                columns = messages.Body(message.body).counted()
            elif message.kind == "D":
                answer.rows.append(read_cells(message.body, columns))
            elif message.kind == "C":
                answer.tag = message.body
            elif message.kind == "E":
                failed = failed or _failed(message)
        if failed is not None:
            raise failed
        return answer

    async def _next(self) -> Message:
        while (message := self._frames.next()) is None:
            data = b""
            with contextlib.suppress(ConnectionError):
                data = await self._upstream.reader.read(65536)
            if not data:
                msg = f"{self._upstream.target.name} closed the connection"
                raise TargetUnreachable(msg)
            self._frames.feed(data)
        return message


@asynccontextmanager
async def aside(
    connect: Connect, seconds: float, settings: Mapping[str, str] | None = None
) -> AsyncIterator[Aside]:
    """A transaction for at most so long; TimeoutError after it. It is rolled back at the end."""
    pinned = {
        "statement_timeout": str(int(seconds * 1000)),
        "lock_timeout": str(LOCK_MS),
        "idle_in_transaction_session_timeout": str(int(seconds * 1000)),
    }
    async with asyncio.timeout(seconds + 1):
        upstream = await connect(pinned | dict(settings or {}))
        try:
            talk = Aside(upstream)
            await talk.simple("BEGIN")
            yield talk
            with contextlib.suppress(Failed):
                await talk.simple("ROLLBACK")
        except BaseException as error:
            if not isinstance(error, Failed):  # it may still be running
                await _stop(upstream)
            raise
        finally:
            upstream.abort()


async def _stop(upstream: Upstream) -> None:
    """Cancel what runs until the server answers: a request that comes before it began is lost."""
    for _ in range(CANCELS):
        await upstream.cancel()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ANSWER_S):
                with contextlib.suppress(OSError):
                    await upstream.reader.read(65536)
                return


def _failed(message: Message) -> Failed:
    """The error as it may be told to somebody who may not see the data."""
    fields = notices.read(message.body)
    code = fields.get("C", b"").decode("latin-1")
    if code in _IN_OUR_WORDS:
        return Failed(code, _IN_OUR_WORDS[code])
    shown = notices.masked(fields, lambda text: text, tainted=True).get("M", b"")
    said = shown == fields.get("M") or f"error {code}, whose text may quote data"
    return Failed(code, shown.decode("utf-8", "replace") if said is True else said)
