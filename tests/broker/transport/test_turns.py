"""One bulk stream goes on in each pass of the loop, in order; who moves little never waits."""

from __future__ import annotations

import asyncio

import pytest

from broker.transport.turns import ALLOWANCE, Turns


class Passes:
    """Counts the passes of the loop."""

    def __init__(self) -> None:
        self.count = 0
        self._loop = asyncio.get_running_loop()
        self._handle = self._loop.call_soon(self._next)

    def _next(self) -> None:
        self.count += 1
        self._handle = self._loop.call_soon(self._next)

    def stop(self) -> None:
        self._handle.cancel()


async def test_bulk_streams_move_one_chunk_in_a_pass_between_them() -> None:
    turns, passes = Turns(), Passes()
    seen: list[tuple[int, int]] = []

    async def bulk(number: int) -> None:
        turn = turns.stream()
        for _ in range(20):
            turn.moved(ALLOWANCE)
            await turn.due()
            seen.append((passes.count, number))

    async with asyncio.TaskGroup() as tasks:
        for number in range(3):
            tasks.create_task(bulk(number))
    passes.stop()
    moments = [moment for moment, _ in seen]
    assert len(set(moments)) == len(moments) == 60
    assert [number for _, number in seen] == [0, 1, 2] * 20  # none is passed over


async def test_who_moves_little_does_not_wait() -> None:
    turns, passes = Turns(), Passes()
    turn = turns.stream()
    for _ in range(ALLOWANCE - 1):
        turn.moved(1)
        await turn.due()
    assert passes.count == 0
    turn.moved(1)
    await turn.due()
    assert passes.count > 0
    passes.stop()


async def test_one_that_is_cancelled_holds_nobody_up_and_stays_due() -> None:
    turns = Turns()
    first, second = turns.stream(), turns.stream()
    for turn in (first, second):
        turn.moved(ALLOWANCE)
    waiting = asyncio.ensure_future(first.due())
    going_on = asyncio.ensure_future(second.due())
    await asyncio.sleep(0)
    waiting.cancel()
    await going_on
    with pytest.raises(asyncio.CancelledError):
        await waiting
    again = asyncio.ensure_future(first.due())
    await asyncio.sleep(0)
    assert not again.done()
    await again
