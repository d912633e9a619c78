"""The link to the broker: who we are over it, how many wait, its clock, its health."""

from __future__ import annotations

from datetime import timedelta
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

STALE_AFTER = 30.0  # seconds of silence; the broker tells its clock every ten


class State(Enum):
    """How the link is. Only over a live one can anything be approved."""

    CONNECTING = "connecting"
    LIVE = "live"
    STALE = "stale"
    LOST = "connection lost"


class Link:
    """The broker's time by our own steady clock, so that a wrong local date shows nothing wrong."""

    def __init__(self, steady: Callable[[], float]) -> None:
        self._steady = steady
        self._now: datetime | None = None
        self._heard = steady()
        self._lost = False
        self.identity = ""
        self.waiting = 0

    def heard(self, now: datetime) -> None:
        """The broker said what time it is."""
        self._now = now
        self._heard = self._steady()

    def lose(self) -> None:
        """The channel is closed, for good."""
        self._lost = True

    @property
    def silence(self) -> float:
        """Seconds since the broker was heard."""
        return self._steady() - self._heard

    @property
    def state(self) -> State:
        """How the link is now."""
        if self._lost:
            return State.LOST
        if self._now is None:
            return State.CONNECTING
        return State.STALE if self.silence > STALE_AFTER else State.LIVE

    @property
    def now(self) -> datetime | None:
        """The broker's clock, or None before it told us."""
        return None if self._now is None else self._now + timedelta(seconds=self.silence)


def left(until: datetime, now: datetime | None) -> str:
    """The time left, as ``4:18``."""
    if now is None:
        return "-:--"
    return minutes(max(0.0, (until - now).total_seconds()))


def ago(since: datetime, now: datetime | None) -> str:
    """How long ago, as ``42 s ago``."""
    if now is None:
        return ""
    seconds = max(0, int((now - since).total_seconds()))
    if seconds < 100:
        return f"{seconds} s ago"
    if seconds < 100 * 60:
        return f"{seconds // 60} min ago"
    return f"{seconds // 3600} h ago"


def minutes(seconds: float) -> str:
    """Seconds as ``3:07`` or ``1:03:07``."""
    whole = int(seconds)
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d}"
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"
