"""What is held only because more might come is released to a person, in order."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from broker.shell.outlet import Outlet
from tests.broker.shell.fakes import Desk

if TYPE_CHECKING:
    from broker.gate import Gate

LAST = 1  # bytes that the mask below holds back


class Holding:
    """A mask that holds the last byte until it is told that no more comes for now."""

    def __init__(self) -> None:
        self.held = b""

    def feed(self, data: bytes) -> bytes:
        data = self.held + data
        self.held = data[-LAST:]
        return data[:-LAST]

    def idle(self) -> bytes:
        held, self.held = self.held, b""
        return held

    close = idle

    def take_counts(self) -> dict[str, int]:
        return {}


class Written:
    """A client's channel."""

    def __init__(self) -> None:
        self.data = b""
        self.whole = asyncio.Event()

    async def __call__(self, data: bytes) -> None:
        await asyncio.sleep(0)
        self.data += data
        if self.data == b"abcdef":
            self.whole.set()


def gate() -> Gate:
    made = Desk().gate
    made._patterns = Holding
    return made


async def test_a_quiet_program_shows_all_that_it_wrote() -> None:
    written = Written()
    outlet = Outlet(gate().stream(interactive=True), written)
    async with asyncio.TaskGroup() as group:
        releasing = group.create_task(outlet.release_when_quiet())
        await outlet(b"abc")
        assert written.data == b"ab"
        await outlet(b"def")
        async with asyncio.timeout(10):
            await written.whole.wait()
        releasing.cancel()
    await outlet.finish()
    assert written.data == b"abcdef"


async def test_the_end_shows_the_rest() -> None:
    written = Written()
    outlet = Outlet(gate().stream(), written)
    await outlet(b"abcdef")
    assert written.data == b"abcde"
    await outlet.finish()
    assert written.data == b"abcdef"
