"""The first line: what this is, who you are, how many wait, how the link is, the broker's time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui import text, theme
from tui.link import State, minutes
from tui.people import person
from tui.widgets.plain import Plain

if TYPE_CHECKING:
    from textual.content import Content

    from tui.link import Link


def heading(link: Link, width: int) -> Content:
    """The line, exactly `width` wide."""
    clock = link.now.strftime("%H:%M UTC") if link.now else "--:-- UTC"
    count = text.safe(f"{link.waiting} waiting", theme.STRONG if link.waiting else "")
    right = text.joined([count, _state(link), text.safe(clock), text.EMPTY], "   ")
    title = text.safe(" interlock approvals", theme.STRONG)
    left = text.joined([title, text.safe(person(link.identity).name)], "   ")
    return text.cut(text.between(left, right, width), width)


def _state(link: Link) -> Content:
    match link.state:
        case State.LIVE:
            return text.safe("live", theme.GOOD)
        case State.STALE:
            return text.safe(f"stale {minutes(link.silence)}", theme.URGENT)
        case State.LOST:
            return text.safe(State.LOST.value, theme.URGENT)
        case State.CONNECTING:
            return text.safe(State.CONNECTING.value, theme.QUIET)


class Heading(Plain):
    """The heading; it looks at the clock by itself."""

    def __init__(self, link: Link) -> None:
        super().__init__(id="heading")
        self._link = link

    def on_mount(self) -> None:
        """Keep the clock going."""
        self.set_interval(1.0, self.tick)

    def on_resize(self) -> None:
        """Fill the new width."""
        self.tick()

    def tick(self) -> None:
        """Draw again."""
        self.show(heading(self._link, self.size.width))
