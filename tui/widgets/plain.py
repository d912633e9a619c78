"""Text in a box. Takes `Content` and nothing else: a plain string would be read as markup."""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Static

from tui.text import EMPTY


def checked(content: object) -> Content:
    """`content`, if tui.text made it. A string here is a hole, so it stops the screen."""
    if not isinstance(content, Content):
        msg = f"widgets show Content that tui.text made, not {type(content).__name__}"
        raise TypeError(msg)
    return content


class Plain(Static):
    """One piece of text."""

    def __init__(self, content: Content = EMPTY, *, id: str | None = None) -> None:
        super().__init__(checked(content), markup=False, id=id)

    def show(self, content: Content) -> None:
        """Show another text."""
        self.update(checked(content))
