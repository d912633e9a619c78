"""Every key of the screen below, from the one table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.containers import Vertical
from textual.screen import ModalScreen

from tui import keys, text, theme
from tui.widgets.plain import Plain

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.content import Content


class Help(ModalScreen[None]):
    """The keys of one screen, in words."""

    CSS_PATH = "help.tcss"
    BINDINGS = keys.bindings(keys.HELP)
    AUTO_FOCUS = ""

    def __init__(self, where: str) -> None:
        super().__init__()
        self._where = where

    def compose(self) -> ComposeResult:
        """One line a key."""
        with Vertical(id="keys"):
            yield Plain(_told(self._where))

    def action_close(self) -> None:
        """Back to work."""
        if self.is_current:
            self.dismiss()


def _told(where: str) -> Content:
    rows = [
        text.joined([text.fitted(text.safe(key.mark, theme.STRONG), 8), text.safe(key.help)])
        for key in keys.of(where)
    ]
    title = text.safe(keys.TITLES[where], theme.STRONG)
    return text.lines([title, text.EMPTY, *rows, text.EMPTY, text.safe("esc closes this")])
