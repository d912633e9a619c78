"""What a request looks like in the queue: who, where, what it would do, the time left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui import text, theme
from tui.link import left
from tui.people import person

if TYPE_CHECKING:
    from datetime import datetime

    from textual.content import Content

    from broker.control.client import Review
    from tui.waiting import Waiting

WIDE_ROW = 70  # cells from which a row has all its columns


def verbs(review: Review) -> str:
    """What it would do, in a word or few: ``DELETE``, ``command``."""
    if review.language == "sql":
        return ", ".join(action.upper() for action in review.actions) or "statement"
    return "command" if review.language == "shell" else "line"


def queue(waiting: Waiting, now: datetime | None, width: int) -> list[Content]:
    """A row for each request, exactly `width` wide."""
    return [
        _row(number, review, now, width, current=review.id == waiting.focus)
        for number, review in enumerate(waiting.reviews, start=1)
    ]


def _row(
    number: int, review: Review, now: datetime | None, width: int, *, current: bool
) -> Content:
    style = theme.CURSOR if current else ""
    name = text.safe(person(review.identity).name)
    start = text.safe(f"{'▸' if current else ' '}{number:>2} ")
    countdown = text.safe(f"{left(review.expires, now):>5} left ", _urgency(review, now))
    target = text.safe(review.target)
    if width >= WIDE_ROW:
        columns = [text.fitted(name, 18), text.fitted(target, 12), _what(review)]
    else:
        columns = [text.fitted(name, 10), target]
    line = text.between(text.joined([start, text.joined(columns, "  ")]), countdown, width)
    return line.stylize(style) if style else line


def _what(review: Review) -> Content:
    if review.language == "sql":
        return text.safe(" ".join([verbs(review), ", ".join(review.tables)]).strip())
    return text.safe(review.statement[:200])


def _urgency(review: Review, now: datetime | None) -> str:
    if now is None or (review.expires - now).total_seconds() > theme.LAST_MINUTE:
        return ""
    return theme.STRONG
