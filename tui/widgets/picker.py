"""A list with a cursor, which the screen moves; a click says which row is meant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.message import Message

from tui.widgets.rows import Rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual import events
    from textual.content import Content


class Picker(Rows):
    """Rows of which one is the current one."""

    @dataclass
    class Picked(Message):
        """Somebody clicked on a row."""

        picker: Picker
        row: int

    def pick(self, rows: Sequence[Content], row: int) -> None:
        """Show rows, with the current one in sight."""
        self.show(rows)
        top, height = round(self.scroll_offset.y), max(self.size.height, 1)
        if not top <= row < top + height:
            self.scroll_to(y=max(0, row - height + 1) if row >= top else row, animate=False)

    def on_click(self, event: events.Click) -> None:
        """The mouse works, and is never needed."""
        place = event.get_content_offset(self)
        row = (place.y if place else -1) + round(self.scroll_offset.y)
        if place is not None and row < len(self._rows):
            self.post_message(self.Picked(self, row))
