"""The list of sessions: the cursor stays on its session, Enter plays it when there is something."""

from __future__ import annotations

from typing import TYPE_CHECKING

from broker.control.client import Changed, Refused
from tests.tui.fake_control import session
from tests.tui.screen import shown, until_shown

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from tests.tui.conftest import Desk as At

    Desk = Callable[..., AbstractAsyncContextManager[At]]


async def test_the_cursor_stays_on_its_session_when_a_newer_one_comes(desk: Desk) -> None:
    async with desk() as at:
        at.control.listed = [session("s-1", target="one"), session("s-2", target="two")]
        await at.press("s")
        await until_shown(at.pilot, "two")
        await at.press("j")
        at.control.listed.insert(0, session("s-3", target="three"))
        at.control.tell(Changed("sessions"))
        screen = await until_shown(at.pilot, "three")
        assert next(line for line in screen.split("\n") if "▸" in line).split()[4] == "two"


async def test_a_session_without_a_recording_is_not_played(desk: Desk) -> None:
    async with desk() as at:
        at.control.listed = [session(recording=None)]
        await at.press("s")
        await until_shown(at.pilot, "3:40")
        await at.press("enter")
        await until_shown(at.pilot, "this session has no recording")
        assert at.control.calls == []


async def test_none_to_see(desk: Desk) -> None:
    async with desk() as at:
        await at.press("s")
        await until_shown(at.pilot, "No session is yours to see.")
        await at.press("enter", "j", "1", "escape")
        await until_shown(at.pilot, "Nothing waits.")


async def test_a_refusal_is_told(desk: Desk) -> None:
    async with desk() as at:
        at.control.failing = Refused("not for you", 77)
        await at.press("s")
        await until_shown(at.pilot, "not for you")
        assert "No session is yours" not in shown(at.app)
