"""Rows of text that scroll; drawn line by line, so that a long text costs no more than a short."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView

from tui import text
from tui.widgets.plain import checked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.content import Content
    from textual.strip import Strip


class Rows(ScrollView, can_focus=False):
    """Rows under each other. Takes `Content` and nothing else."""

    class Looked(Message):
        """Other rows are in sight: it was scrolled, or its size changed."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._rows: list[Content] = []

    def show(self, rows: Sequence[Content], width: int | None = None) -> None:
        """Show other rows; `width` when they may be wider than the widget."""
        resized = len(rows) != len(self._rows)
        self._rows = [checked(row) for row in rows]
        self.virtual_size = Size(width or max(self.size.width, 1), len(self._rows))
        self.refresh(layout=resized)

    @property
    def below(self) -> int:
        """How many rows are below the edge."""
        return max(0, len(self._rows) - round(self.scroll_offset.y) - self.size.height)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Called by Textual when it is scrolled."""
        super().watch_scroll_y(old_value, new_value)
        self.post_message(self.Looked())

    def on_resize(self) -> None:
        """Called by Textual when its size changes."""
        self.post_message(self.Looked())

    def render_line(self, y: int) -> Strip:
        """Called by Textual for each visible line."""
        scroll_x, scroll_y = self.scroll_offset
        row = self._rows[scroll_y + y] if scroll_y + y < len(self._rows) else text.EMPTY
        width = max(self.size.width + scroll_x, self.virtual_size.width)
        return text.strip(row, width, self.rich_style).crop(scroll_x, scroll_x + self.size.width)
