"""The last line: the keys that do something here and now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui import keys, text, theme
from tui.widgets.plain import Plain

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.content import Content


def keybar(where: str, applies: Callable[[str], bool]) -> Content:
    """The keys of a screen, without those that do not apply (`applies` is asked by id)."""
    pairs = [
        text.joined([text.safe(key.mark, theme.STRONG), text.safe(key.footer)], " ")
        for key in keys.of(where)
        if key.footer and applies(key.id)
    ]
    return text.joined([text.safe(" "), text.joined(pairs, "  ")])


class KeyBar(Plain):
    """The key bar of one screen."""

    def __init__(self, where: str) -> None:
        super().__init__(id="keybar")
        self._where = where

    def offer(self, applies: Callable[[str], bool] = lambda _: True) -> None:
        """Show the keys that apply now."""
        self.show(keybar(self._where, applies))
