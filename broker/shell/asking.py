"""The question whether a line may run, from the session's side: waits are told and can be left."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from broker.console import telling
from broker.model import Answer
from broker.shell.runner import one_error

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from broker.console.client import Client
    from broker.gate import Gate
    from broker.model import Statement, Verdict
    from broker.ports import Clock

INTERRUPT = b"\x03"
AHEAD = 64 * 1024  # bytes typed or piped in while a line waits for people


class Ahead:
    """The client's input as a program reads it, first what came while its line waited."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._kept: list[bytes] = []
        self._ended = False

    def keep(self, data: bytes) -> None:
        """This came early; empty means that the input ended."""
        if data:
            self._kept.append(data)
        else:
            self._ended = True

    async def read(self) -> bytes:
        """The next bytes, ``b""`` at the end."""
        if self._kept:
            return self._kept.pop(0)
        return b"" if self._ended else await self._client.read()


class Asking:
    """Asks the gate about one line at a time; the person is told, and may withdraw."""

    def __init__(
        self, client: Client, gate: Gate, clock: Clock, keep: Callable[[bytes], object]
    ) -> None:
        self._client = client
        self._gate = gate
        self._clock = clock
        self.keep = keep
        self._waiting: asyncio.Task[Verdict] | None = None

    async def ask(self, statement: Statement) -> Verdict | None:
        """The final answer, told if it is a refusal; None when the person withdrew the line."""
        told: asyncio.Queue[str] = asyncio.Queue()

        def notice(verdict: Verdict, review: str, expires: datetime, /) -> None:
            told.put_nowait(self._wait(statement, verdict, review, expires))

        verdict = await self._answer(statement, notice, told)
        if verdict is not None and verdict.answer is Answer.DENY:
            await self.refused(statement, verdict)
        return verdict

    async def _answer(
        self,
        statement: Statement,
        notice: Callable[[Verdict, str, datetime], None],
        told: asyncio.Queue[str],
    ) -> Verdict | None:
        with one_error():
            async with asyncio.TaskGroup() as group:
                waiting = group.create_task(self._gate.admit(statement, notice))
                self._waiting = waiting
                watching = group.create_task(self._watch(told))
                try:
                    await asyncio.wait([waiting])
                finally:
                    self._waiting = None
                    watching.cancel()
        while not told.empty():  # answered before it was told: say it in order all the same
            await self.tell(told.get_nowait())
        return None if waiting.cancelled() else waiting.result()

    def withdraw(self) -> bool:
        """Give up the wait; False when nothing waits."""
        return self._waiting is not None and self._waiting.cancel()

    async def refused(self, statement: Statement, verdict: Verdict) -> None:
        """Tell a refusal."""
        if self._client.json:
            await self.tell(telling.as_json(statement, verdict))
        else:
            await self.tell(telling.refusal(verdict))

    async def tell(self, sentence: str) -> None:
        """A sentence of ours, recorded and delivered."""
        text = f"{sentence}\n"
        if self._client.terminal is not None:
            text = text.replace("\n", "\r\n")
        await self._client.write_error(self._gate.stated(text, quoting=self._client.json))

    def _wait(self, statement: Statement, verdict: Verdict, review: str, expires: datetime) -> str:
        if self._client.json:
            return telling.as_json(statement, verdict, review=review, expires=expires)
        return telling.waiting(verdict, review, expires, self._clock())

    async def _watch(self, told: asyncio.Queue[str]) -> None:
        """Once the wait begins: tell it, see Ctrl-C and a client that is gone, keep the rest."""
        await self.tell(await told.get())
        room = AHEAD
        while room > 0:
            data = await self._client.read()
            if self._client.terminal is not None and INTERRUPT in data:
                data = data.rpartition(INTERRUPT)[2]
                self.withdraw()
            self.keep(data)
            if not data:
                return
            room -= len(data)
