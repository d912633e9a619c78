"""Tells a person about each wait and refusal of their session, as the gate decides it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from broker.console import telling

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from broker.console.client import Client
    from broker.gate import Gate
    from broker.model import Statement, Verdict
    from broker.ports import Clock


@asynccontextmanager
async def telling_to(
    gate: Gate, client: Client, clock: Clock = lambda: datetime.now(UTC)
) -> AsyncIterator[None]:
    """Each wait and refusal on stderr: a sentence, or a JSON object for those who want it."""
    lines: asyncio.Queue[bytes | None] = asyncio.Queue()
    end = "\r\n" if client.terminal is not None else "\n"

    def told(
        statement: Statement, verdict: Verdict, review: str | None, expires: datetime | None
    ) -> None:
        if client.json:
            line = telling.as_json(statement, verdict, review=review, expires=expires)
        elif review is not None and expires is not None:
            line = telling.waiting(verdict, review, expires, clock())
        else:
            line = telling.refusal(verdict)
        lines.put_nowait(gate.stated(line + end, quoting=client.json))

    async def tell() -> None:
        while (line := await lines.get()) is not None:
            with suppress(ConnectionError):
                await client.write_error(line)

    gate.told = told
    failure: Exception | None = None  # raised outside, where no group wraps it
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(tell())
        try:
            yield
        except Exception as error:  # noqa: BLE001 - raised again below
            failure = error
        finally:
            gate.told = None
            lines.put_nowait(None)
    if failure is not None:
        raise failure
