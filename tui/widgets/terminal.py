"""A played terminal, drawn as cells: nothing of what was recorded reaches the real terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui.widgets.rows import Rows

if TYPE_CHECKING:
    from tui.emulator import Emulator


class Terminal(Rows):
    """The rows of an emulator; a larger one is shown round its cursor."""

    def draw(self, emulator: Emulator) -> None:
        """Show the emulator as it is now."""
        self.show(emulator.shown(), width=emulator.columns)
        row, column = emulator.cursor
        y = max(0, row - self.size.height + 1)
        x = 0 if column < self.size.width else column - self.size.width // 2
        self.scroll_to(x=x, y=y, animate=False)
