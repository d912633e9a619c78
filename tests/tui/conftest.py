"""Fixtures for the screens: the application over a broker in memory, at 80x24 and another size."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.tui.fake_control import FakeClock, FakeControl
from tests.tui.screen import until
from tui.app import ApprovalsApp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from textual.pilot import Pilot


class App(ApprovalsApp):
    """The application, which counts its rings."""

    rings = 0

    def bell(self) -> None:
        """Called to call the person."""
        self.rings += 1


@dataclass
class Desk:
    """One approver at work."""

    app: App
    pilot: Pilot[None]
    control: FakeControl
    clock: FakeClock

    async def settle(self) -> None:
        """Let what was pushed arrive, and the time pass in which keys do not answer."""
        await self.pilot.pause()
        self.clock.seconds += 1
        self.app.approvals.draw()
        await self.pilot.pause()

    async def press(self, *keys: str) -> None:
        """Keys, one after the other, each seen by whatever is in front then."""
        for key in keys:
            await self.pilot.press(key)


@pytest.fixture
def desk() -> Callable[..., AbstractAsyncContextManager[Desk]]:
    """An approver's desk: `async with desk(review(), ...) as at_desk`."""

    @asynccontextmanager
    async def sit(*waits: object, size: tuple[int, int] = (80, 24)) -> AsyncIterator[Desk]:
        control, clock = FakeControl(list(waits)), FakeClock()  # type: ignore[arg-type]
        app = App(control, steady=clock)
        async with app.run_test(size=size) as pilot:
            await until(pilot, lambda: len(app.approvals.queue.reviews) == len(waits), "queue")
            await until(pilot, lambda: app.link.now is not None, "clock")
            await pilot.pause()
            clock.seconds += 1
            app.approvals.draw()
            await pilot.pause()
            yield Desk(app, pilot, control, clock)

    return sit
