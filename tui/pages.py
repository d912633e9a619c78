"""A recording fetched a page at a time, and its time with long pauses shortened."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from broker.control.client import Page
    from recordings.asciicast import Event

IDLE = 2.0  # seconds; a longer pause is played as one of this length
KEPT = 6  # pages in memory, besides the first
MARKS = 5000  # markers kept for jumping


@dataclass(frozen=True, slots=True)
class Moment:
    """A point of a recording: in seconds of playing, and in the recording's own."""

    at: float = 0.0
    time: float = 0.0

    def then(self, time: float) -> Moment:
        """The point at which an event at `time` is played, when this was the last before it."""
        gap = max(0.0, time - self.time)
        return Moment(self.at + min(gap, IDLE), self.time + gap)


@dataclass(frozen=True, slots=True)
class Mark:
    """A point worth jumping to."""

    moment: Moment
    label: str


class Pages:
    """One recording by pages. The first is asked for once: asking for it is noted as a playing."""

    def __init__(self, fetch: Callable[[int], Awaitable[Page]]) -> None:
        self._fetch = fetch
        self._kept: dict[int, Page] = {}

    async def get(self, offset: int) -> Page:
        """The page that begins at `offset`."""
        page = self._kept.pop(offset, None) or await self._fetch(offset)
        if page.next is not None and page.next <= offset:  # or we would read for ever
            page = replace(page, next=None)
        self._kept[offset] = page  # newest last
        for old in [known for known in self._kept if known != 0][:-KEPT]:
            del self._kept[old]
        return page


class Survey:
    """Reads a recording through once, for its markers and its length; keeps no event."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages
        self.marks: list[Mark] = []
        self.end = Moment()
        self.complete = False

    async def run(self) -> None:
        """Read to the end."""
        offset: int | None = 0
        while offset is not None:
            page = await self._pages.get(offset)
            for event in page.events:
                self._pass(event)
            offset = page.next
        self.complete = True

    def _pass(self, event: Event) -> None:
        self.end = self.end.then(event.time)
        if event.code == "m" and len(self.marks) < MARKS:
            self.marks.append(Mark(self.end, event.data))

    def after(self, at: float) -> Mark | None:
        """The first marker after a point of playing."""
        return next((mark for mark in self.marks if mark.moment.at > at), None)

    def before(self, at: float) -> Mark | None:
        """The last marker before a point of playing."""
        return next((mark for mark in reversed(self.marks) if mark.moment.at < at), None)
