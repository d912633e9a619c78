"""Plays a recording: pause, speed, seek, markers; drawn as cells of an emulated terminal."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from textual import on, work
from textual.containers import Horizontal
from textual.screen import Screen

from broker.control.client import ControlError
from tui import keys, text, theme
from tui.pages import Pages, Survey
from tui.people import person
from tui.reel import Reel
from tui.widgets.heading import Heading
from tui.widgets.keybar import KeyBar
from tui.widgets.picker import Picker
from tui.widgets.plain import Plain
from tui.widgets.progress import marks, progress
from tui.widgets.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.app import ComposeResult

    from broker.control.client import Control, SessionLine
    from tui.link import Link

SPEEDS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
FRAME = 1 / 15  # seconds between looks at the clock
SHORT = 0.05  # seconds that a step back over a marker allows for the marker just passed


class Replay(Screen[None]):
    """One recording. `wanted` is where to be; a worker brings the reel there, bite by bite."""

    CSS_PATH = "replay.tcss"
    BINDINGS = keys.bindings(keys.REPLAY)
    AUTO_FOCUS = ""

    def __init__(
        self, control: Control, link: Link, steady: Callable[[], float], session: SessionLine
    ) -> None:
        super().__init__()
        self._link = link
        self._steady = steady
        self._session = session
        pages = Pages(lambda offset: control.play(session.id, offset))
        self.reel = Reel(pages)
        self._survey = Survey(pages)
        self._wanted = 0.0
        self._speed = SPEEDS.index(1.0)
        self._playing = True
        self._then = steady()
        self._go = asyncio.Event()

    def compose(self) -> ComposeResult:
        """Heading, whose session it is, the terminal beside the markers, progress, keys."""
        yield Heading(self._link)
        yield Plain(id="whose")
        with Horizontal(id="stage"):
            yield Terminal(id="terminal")
            yield Picker(id="marks")
        yield Plain(id="progress")
        yield KeyBar(keys.REPLAY)

    def on_mount(self) -> None:
        """Begin to play."""
        session, who = self._session, person(self._session.identity)
        whose = f" {who.name} on {session.target}   {session.started:%Y-%m-%d %H:%M} UTC   "
        self.query_one("#whose", Plain).show(text.safe(f"{whose}session {session.id}"))
        self.query_one(KeyBar).offer()
        self.set_interval(FRAME, self._tick)
        self._follow()
        self._look_ahead()

    def on_resize(self) -> None:
        """Fill the new size."""
        self.call_after_refresh(self.draw)

    # -- playing -------------------------------------------------------------------------------

    @work(group="reel")
    async def _follow(self) -> None:
        """Bring the reel to where it should be, for ever."""
        try:
            while True:
                while not await self.reel.step(self._wanted):
                    self.draw()
                    await asyncio.sleep(0)  # keys and the clock in between
                self.draw()
                await self._go.wait()
                self._go.clear()
        except ControlError as error:
            self._fail(error)

    @work(group="survey")
    async def _look_ahead(self) -> None:
        """Find the markers and the end."""
        try:
            await self._survey.run()
        except ControlError as error:
            self._fail(error)
        self.draw()

    def _tick(self) -> None:
        now = self._steady()
        passed, self._then = now - self._then, now
        if not self._playing:
            return
        # Not faster than it can be drawn: a slow terminal is behind, not skipping.
        if self._wanted <= self.reel.at:
            self._want(self._wanted + passed * SPEEDS[self._speed])
        if self.reel.ended:
            self._playing = False
            self.draw()

    def _want(self, at: float) -> None:
        end = self._survey.end.at if self._survey.complete else at
        self._wanted = max(0.0, min(at, end))
        self._go.set()

    # -- keys ----------------------------------------------------------------------------------

    def action_pause(self) -> None:
        """Play or pause; at the end, play once more."""
        if not self._playing and self.reel.ended:
            self._want(0.0)
        self._playing = not self._playing
        self.draw()

    def action_pace(self, by: int) -> None:
        """Slower or faster."""
        self._speed = max(0, min(self._speed + by, len(SPEEDS) - 1))
        self.draw()

    def action_seek(self, seconds: int) -> None:
        """Back or on."""
        self._want(self._wanted + seconds)

    def action_mark(self, by: int) -> None:
        """To the marker before or after."""
        here = self._wanted
        mark = self._survey.after(here) if by > 0 else self._survey.before(here - SHORT)
        if mark is not None:
            self._playing = False
            self._want(mark.moment.at)

    def action_marks(self) -> None:
        """Show or hide the list of markers."""
        self.toggle_class("-marks")
        self.call_after_refresh(self.draw)

    @on(Picker.Picked)
    def picked(self, event: Picker.Picked) -> None:
        """To the marker that was clicked."""
        if event.row < len(self._survey.marks):
            self._want(self._survey.marks[event.row].moment.at)

    def action_back(self) -> None:
        """Back to the list."""
        self.app.pop_screen()

    # -- drawing -------------------------------------------------------------------------------

    def draw(self) -> None:
        """Show the place as it is now."""
        if not self.is_mounted:
            return
        self.query_one(Terminal).draw(self.reel.emulator)
        picker = self.query_one("#marks", Picker)
        if picker.display:
            picker.pick(*marks(self._survey.marks, self.reel.at, picker.size.width))
        line = progress(
            at=self.reel.at,
            time=self.reel.time,
            speed=SPEEDS[self._speed],
            playing=self._playing,
            survey=self._survey,
            width=self.size.width,
        )
        self.query_one("#progress", Plain).show(line)

    def _fail(self, error: ControlError) -> None:
        self._playing = False
        self.query_one("#whose", Plain).show(text.safe(f" {error}", theme.BAD))
