"""A place in a recording and the screen as it was there; forward by playing, back by keyframes."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from recordings.asciicast import Event
from tui.emulator import Emulator
from tui.pages import Moment

if TYPE_CHECKING:
    from tui.pages import Pages

BITE = 4096  # characters emulated in one step: some ten milliseconds, so that keys are heard
KEYFRAMES = 32


@dataclass(frozen=True, slots=True)
class Keyframe:
    """The screen at the beginning of a page."""

    offset: int
    moment: Moment
    emulator: Emulator


class Reel:
    """Where a playback is. `step` towards a point until it says that it is there."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages
        self._keyframes: dict[int, Keyframe] = {}
        self._events: deque[Event] = deque()
        self._next: int | None = 0
        self._last = Moment()  # of the event that was played last
        self.at = 0.0
        self.emulator = Emulator()

    @property
    def time(self) -> float:
        """The place in the recording's own time."""
        return self._last.time + max(0.0, self.at - self._last.at)

    @property
    def ended(self) -> bool:
        """Has everything been played?"""
        return not self._events and self._next is None

    async def step(self, to: float) -> bool:
        """A small piece of the way to a point of playing. True when it is reached."""
        if to < self._last.at:
            self._rewind(to)
        bites = BITE
        while bites > 0:
            if not self._events and self._next is not None:
                await self._turn(self._next)
                return False
            moment = self._last.then(self._events[0].time) if self._events else None
            if moment is None or moment.at > to:
                self.at = self._last.at if moment is None else max(to, self._last.at)
                return True
            self._last = moment
            self.at = moment.at
            bites -= self._play(self._events.popleft(), bites)
        return False

    def _play(self, event: Event, limit: int) -> int:
        if event.code == "o":
            self.emulator.feed(event.data[:limit])
            if len(event.data) > limit:
                self._events.appendleft(Event(event.time, "o", event.data[limit:]))
        elif event.code == "r":
            self.emulator.resize(event.data)
        return min(len(event.data), limit) + 16  # events without text cost something, too

    async def _turn(self, offset: int) -> None:
        page = await self._pages.get(offset)
        if offset == 0:
            self.emulator = Emulator(page.columns, page.rows)
        if offset not in self._keyframes and (copy := self.emulator.fork()) is not None:
            self._keyframes[offset] = Keyframe(offset, self._last, copy)
            self._thin()
        self._events = deque(page.events)
        self._next = page.next

    def _thin(self) -> None:
        """Keep every other keyframe when there are too many; never lose the first."""
        if len(self._keyframes) > KEYFRAMES:
            kept = sorted(self._keyframes)[::2]
            self._keyframes = {offset: self._keyframes[offset] for offset in kept}

    def _rewind(self, to: float) -> None:
        frames = [frame for frame in self._keyframes.values() if frame.moment.at <= to]
        best = max(frames, key=lambda frame: frame.offset, default=None)
        if best is None:
            return
        self.emulator = best.emulator.fork() or Emulator()
        self._events, self._next, self._last = deque(), best.offset, best.moment
        self.at = best.moment.at
