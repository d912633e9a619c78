"""What a session looks like in the list: when, who, where, how it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui import text, theme
from tui.link import minutes
from tui.people import person

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.content import Content

    from broker.control.client import SessionLine

COLUMNS = ((18, "started (UTC)"), (22, "who"), (12, "target"), (9, "kind"), (8, "length"))


def titles() -> Content:
    """The words above the columns."""
    cells = [text.fitted(text.safe(name), width) for width, name in COLUMNS]
    return text.joined([text.safe("   "), *cells, text.safe("status")]).stylize(theme.QUIET)


def sessions(found: Sequence[SessionLine], focus: str | None, width: int) -> list[Content]:
    """A row for each session, exactly `width` wide."""
    return [_row(session, width, current=session.id == focus) for session in found]


def _row(session: SessionLine, width: int, *, current: bool) -> Content:
    length = ""
    if session.ended is not None:
        length = minutes((session.ended - session.started).total_seconds())
    values = (
        f"{session.started:%Y-%m-%d %H:%M}",
        person(session.identity).name,
        session.target,
        session.kind,
        length,
    )
    cells = [
        text.fitted(text.cut(text.safe(value), column - 1), column)
        for (column, _), value in zip(COLUMNS, values, strict=True)
    ]
    start = text.safe(" ▸ " if current else "   ")
    row = text.fitted(text.joined([start, *cells, text.safe(session.status)]), width)
    return row.stylize(theme.CURSOR) if current else row
