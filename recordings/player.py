"""Playback as a matter of time alone: which event comes next, and after what delay."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from recordings.asciicast import Event


@dataclass(frozen=True, slots=True)
class Marker:
    """A point worth jumping to."""

    time: float
    label: str


class Player:
    """A place in a recording. `speed` and `idle_limit` may be changed while it plays.

    The place is the recording's own time, so a shortened pause is still found where it was.
    """

    def __init__(
        self, events: Iterable[Event], *, speed: float = 1.0, idle_limit: float | None = None
    ) -> None:
        self._events = tuple(events)
        self._times = tuple(event.time for event in self._events)
        self._next = 0
        self.speed = speed
        self.idle_limit = idle_limit
        self.time = 0.0
        self.markers = tuple(Marker(e.time, e.data) for e in self._events if e.code == "m")

    @property
    def duration(self) -> float:
        """The time of the last event."""
        return self._times[-1] if self._times else 0.0

    @property
    def ended(self) -> bool:
        """Has the last event been given?"""
        return self._next >= len(self._events)

    def step(self) -> tuple[float, Event] | None:
        """The next event and the seconds to wait before showing it; None at the end."""
        if self.ended:
            return None
        event = self._events[self._next]
        gap = max(0.0, event.time - self.time)
        if self.idle_limit is not None:
            gap = min(gap, self.idle_limit)
        self._next += 1
        self.time = max(self.time, event.time)
        return gap / self.speed, event

    def __iter__(self) -> Iterator[tuple[float, Event]]:
        """Every event from here on, with its delay."""
        while (step := self.step()) is not None:
            yield step

    def seek(self, time: float) -> tuple[Event, ...]:
        """Go to a time; gives every event up to it, from which the screen is drawn anew."""
        self.time = min(max(0.0, time), self.duration)
        self._next = bisect_right(self._times, self.time)
        return self._events[: self._next]

    def next_marker(self) -> Marker | None:
        """The first marker after here."""
        return next((m for m in self.markers if m.time > self.time), None)

    def previous_marker(self) -> Marker | None:
        """The last marker before here."""
        return next((m for m in reversed(self.markers) if m.time < self.time), None)
