"""The sessions that may be seen, newest first; Enter plays one's recording."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import on, work
from textual.screen import Screen

from broker.control.client import ControlError
from tui import keys, text, theme
from tui.screens.replay import Replay
from tui.widgets.heading import Heading
from tui.widgets.keybar import KeyBar
from tui.widgets.picker import Picker
from tui.widgets.plain import Plain
from tui.widgets.sessions import sessions, titles

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.app import ComposeResult

    from broker.control.client import Control, SessionLine
    from tui.link import Link


class Sessions(Screen[None]):
    """A list of sessions."""

    CSS_PATH = "sessions.tcss"
    BINDINGS = keys.bindings(keys.SESSIONS)
    AUTO_FOCUS = ""

    def __init__(self, control: Control, link: Link, steady: Callable[[], float]) -> None:
        super().__init__()
        self._control = control
        self._link = link
        self._steady = steady
        self._found: tuple[SessionLine, ...] | None = None
        self._focus: str | None = None

    def compose(self) -> ComposeResult:
        """Heading, list, what went wrong, keys."""
        yield Heading(self._link)
        yield Plain(titles(), id="titles")
        yield Picker(id="sessions")
        yield Plain(id="said")
        yield KeyBar(keys.SESSIONS)

    def on_mount(self) -> None:
        """Ask for them."""
        self.query_one(KeyBar).offer()
        self.reload()

    def on_resize(self) -> None:
        """Fill the new size."""
        self.call_after_refresh(self.draw)

    @work(exclusive=True, group="reload")
    async def reload(self) -> None:
        """Ask for the sessions again; the cursor stays on its session."""
        try:
            self._found = await self._control.sessions()
        except ControlError as error:
            self._say(str(error))
        if self._found and self._chosen() is None:
            self._focus = self._found[0].id
        self.draw()

    def _chosen(self) -> SessionLine | None:
        return next((s for s in self._found or () if s.id == self._focus), None)

    def draw(self) -> None:
        """Show the list as it is now."""
        picker = self.query_one(Picker)
        found = self._found or ()
        rows = sessions(found, self._focus, picker.size.width or self.size.width)
        if not rows:
            rows = [text.safe("   No session is yours to see." if self._found == () else "")]
        picker.pick(rows, self._row())

    def _row(self) -> int:
        return next((n for n, s in enumerate(self._found or ()) if s.id == self._focus), 0)

    def action_move(self, by: int) -> None:
        """Up or down."""
        self._go(self._row() + by)

    def action_jump(self, number: int) -> None:
        """To a row by its number."""
        self._go(number - 1)

    @on(Picker.Picked)
    def picked(self, event: Picker.Picked) -> None:
        """To a row with the mouse."""
        self._go(event.row)

    def _go(self, row: int) -> None:
        if self._found:
            self._focus = self._found[max(0, min(row, len(self._found) - 1))].id
            self.draw()

    def action_play(self) -> None:
        """Play the recording of the session under the cursor."""
        session = self._chosen()
        if session is None:
            return
        if session.recording is None:
            self._say("this session has no recording")
            return
        self.app.push_screen(Replay(self._control, self._link, self._steady, session))

    def action_back(self) -> None:
        """Back to what waits."""
        self.app.pop_screen()

    def _say(self, sentence: str) -> None:
        self.query_one("#said", Plain).show(text.safe(f" {sentence}", theme.BAD))
