"""What a screen looks like, as plain text; and snapshots of it that a reviewer reads in a diff."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.app import App
    from textual.pilot import Pilot

SNAPSHOTS = Path(__file__).parent / "snapshots"
TURNS = 200  # looks at a screen before giving up


def shown(app: App[None]) -> str:
    """The rows of the screen in front, without blanks at their ends."""
    strips = app.screen._compositor.render_strips()
    return "\n".join(strip.text.rstrip() for strip in strips) + "\n"


async def until(pilot: Pilot[None], true: Callable[[], bool], what: str = "") -> None:
    """Let the application work until something is true; fails with the screen when it never is."""
    for _ in range(TURNS):
        if true():
            return
        await pilot.pause(0.01)
    msg = f"never happened: {what}\n{shown(pilot.app)}"
    raise AssertionError(msg)


async def until_shown(pilot: Pilot[None], text: str) -> str:
    """Let the application work until a text is on the screen; gives the screen."""
    await until(pilot, lambda: text in shown(pilot.app), f"{text!r} on the screen")
    await pilot.pause()
    return shown(pilot.app)


def matches(name: str, text: str) -> None:
    """Compare with a snapshot; UPDATE_SNAPSHOTS=1 writes it instead."""
    file = SNAPSHOTS / f"{name}.txt"
    if os.environ.get("UPDATE_SNAPSHOTS") == "1":
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")
