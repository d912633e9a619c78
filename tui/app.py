"""The application: hears the broker, calls the person, and ends with a sentence when it fails."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.app import App
from textual.binding import Binding

from broker.control.client import Changed, Clock, ControlError
from tui import keys, theme
from tui.link import Link
from tui.screens.approvals import Approvals
from tui.screens.help import Help
from tui.screens.replay import Replay
from tui.screens.sessions import Sessions
from tui.widgets.heading import Heading

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.binding import BindingType

    from broker.control.client import Control

WHERE = {Approvals: keys.APPROVALS, Sessions: keys.SESSIONS, Replay: keys.REPLAY}


class ApprovalsApp(App[None]):
    """One approver's screens over one control channel."""

    TITLE = "approvals"
    CSS_PATH = Path(__file__).with_name("app.tcss")  # also for subclasses elsewhere
    ENABLE_COMMAND_PALETTE = False
    ALLOW_SELECT = False
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]  # noqa: RUF012 - as Textual has it
    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+c", "quit", show=False, priority=True)]

    def __init__(self, control: Control, *, steady: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._control = control
        self._steady = steady
        self.link = Link(steady)
        self.approvals = Approvals(control, self.link, steady)
        self.window_title = ""

    async def on_mount(self) -> None:
        """Show the queue and begin to listen."""
        self.theme = theme.THEME
        await self.push_screen(self.approvals)
        self._name_window("approvals")
        self._listen()

    @work
    async def _listen(self) -> None:
        """Hear the broker until the link is lost."""
        try:
            hello = await self._control.hello()
            self.link.identity = hello.identity
            self.link.heard(hello.now)
            self.approvals.reload()
            await self._hear()
        except ControlError as error:
            self.approvals.say(str(error), theme.BAD)
        self.link.lose()
        self._redraw()

    async def _hear(self) -> None:
        async for push in self._control.pushes():
            match push:
                case Clock(now):
                    self.link.heard(now)
                case Changed("reviews"):
                    self.approvals.reload()
                case Changed():
                    for screen in self.screen_stack:
                        if isinstance(screen, Sessions):
                            screen.reload()

    def _redraw(self) -> None:
        self.approvals.draw()
        for heading in self.screen.query(Heading):
            heading.tick()

    # -- calling the person --------------------------------------------------------------------

    @on(Approvals.Waits)
    def waits(self, event: Approvals.Waits) -> None:
        """So many wait; ring when there is something new."""
        if event.call:
            self.bell()
        self._name_window(f"({event.count}) approvals" if event.count else "approvals")
        for heading in self.screen.query(Heading):
            heading.tick()

    def _name_window(self, title: str) -> None:
        """The terminal's title: our own words and a number, never anything that others wrote."""
        if title != self.window_title and self._driver is not None:
            self._driver.write(f"\x1b]2;{title}\x07")
        self.window_title = title

    # -- going about ---------------------------------------------------------------------------

    async def action_sessions(self) -> None:
        """To the list of sessions."""
        if self.screen is self.approvals:
            await self.push_screen(Sessions(self._control, self.link, self._steady))

    async def action_pending(self) -> None:
        """Back to the queue, from anywhere."""
        while len(self.screen_stack) > 1 and self.screen is not self.approvals:
            await self.pop_screen()

    async def action_keys(self) -> None:
        """Help for the screen in front."""
        where = WHERE.get(type(self.screen))
        if where is not None:
            await self.push_screen(Help(where))

    # -- failing -------------------------------------------------------------------------------

    def _fatal_error(self) -> None:
        """Textual would print a traceback, with what is in it; `__main__` says a sentence."""
        self._close_messages_no_wait()

    def panic(self, *_: object) -> None:
        """As above, for errors that can draw themselves."""
        self._close_messages_no_wait()
