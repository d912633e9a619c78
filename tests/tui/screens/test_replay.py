"""Playing a recording with keys: time passes by the clock, places are reached by seeking."""

from __future__ import annotations

from typing import TYPE_CHECKING

from broker.control.client import Refused
from tests.tui.fake_control import review, session
from tests.tui.screen import shown, until, until_shown
from tui.screens.replay import Replay

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from tests.tui.conftest import Desk as At

    Desk = Callable[..., AbstractAsyncContextManager[At]]


async def playing(at: At) -> Replay:
    at.control.listed = [session()]
    await at.press("s")
    await until_shown(at.pilot, "3:40")
    await at.press("enter")
    await until_shown(at.pilot, "/ 0:10  ")
    assert isinstance(at.app.screen, Replay)
    return at.app.screen


async def test_it_plays_by_the_clock_and_stops_at_the_end(desk: Desk) -> None:
    async with desk() as at:
        await playing(at)
        assert "SELECT" not in shown(at.app)
        at.clock.seconds += 1.1
        assert "(1 row)" not in await until_shown(at.pilot, "orders=> SELECT 1;")
        at.clock.seconds += 60
        await until_shown(at.pilot, "DELETE 3")
        assert "0:10 / 0:10" in await until_shown(at.pilot, "paused  1x")


async def test_pause_seek_and_speed(desk: Desk) -> None:
    async with desk() as at:
        replay = await playing(at)
        await at.press("space", "right")
        await until(at.pilot, lambda: replay.reel.at >= 4.0, "five seconds on")
        there = replay.reel.at
        at.clock.seconds += 30
        await at.pilot.pause(0.2)
        assert replay.reel.at == there  # paused
        await at.press("left", "plus", "plus")
        await until(at.pilot, lambda: replay.reel.at < 1.0, "back")
        await until_shown(at.pilot, "paused  4x")
        await at.press("minus", "minus", "minus", "minus", "minus", "minus")
        await until_shown(at.pilot, "paused  0.25x")


async def test_markers(desk: Desk) -> None:
    async with desk() as at:
        replay = await playing(at)
        await at.press("right_square_bracket", "right_square_bracket")
        await until_shown(at.pilot, "DELETE FROM refunds;")
        assert "review 7f3a approved by bob" in shown(at.app)
        await at.press("left_square_bracket")
        await until(at.pilot, lambda: replay.reel.at < 2.0, "back at the first marker")
        assert "allow reads: SELECT" in await until_shown(at.pilot, "SELECT 1;")


async def test_a_refusal_is_told_and_ends_the_playing(desk: Desk) -> None:
    async with desk() as at:
        at.control.listed = [session()]
        await at.press("s")
        await until_shown(at.pilot, "3:40")
        at.control.failing = Refused("session s-41 is not yours to play", 77)
        await at.press("enter")
        await until_shown(at.pilot, "session s-41 is not yours to play")
        await at.press("escape")
        await until_shown(at.pilot, "started (UTC)")


async def test_p_goes_back_to_what_waits_from_anywhere(desk: Desk) -> None:
    async with desk() as at:
        await playing(at)
        await at.press("p")
        await until_shown(at.pilot, "Nothing waits.")


async def test_what_waits_is_counted_and_rings_while_a_recording_plays(desk: Desk) -> None:
    async with desk() as at:
        await playing(at)
        at.control.change(review())
        await until_shown(at.pilot, "1 waiting")
        assert at.app.rings == 1
