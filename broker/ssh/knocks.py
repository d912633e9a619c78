"""How often one address may try to log in: a bucket of tries for each, refilled over a minute."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import TYPE_CHECKING, NoReturn, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

MINUTE = 60.0
SOURCES = 10_000  # addresses whose tries are remembered; the least recent are forgotten


class Refuse(Protocol):
    """Audits that a limit is reached, and raises the sentence."""

    def __call__(self, what: str, told: str, *, source: str) -> NoReturn:
        """`what` is the limit's name."""


class Knocks:
    """Counts logins by address; `shared` counts them over all nodes too, once this one let them."""

    def __init__(
        self,
        per_minute: Callable[[], int],
        refuse: Refuse,
        now: Callable[[], float] = time.monotonic,
        shared: Callable[[str, int], bool] = lambda _source, _most: True,
    ) -> None:
        self._per_minute = per_minute
        self._refuse = refuse
        self._shared = shared
        self._now = now
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __call__(self, source: str) -> None:
        """One more try. Raises TryLater when there were too many."""
        most, now = self._per_minute(), self._now()
        left, then = self._left.pop(source, (float(most), now))
        left = min(float(most), left + (now - then) * most / MINUTE)
        allowed = left >= 1
        self._left[source] = (left - 1 if allowed else left, now)
        if len(self._left) > SOURCES:
            self._left.popitem(last=False)
        if not allowed or not self._shared(source, most):
            seconds = int(max(0.0, 1 - left) * MINUTE / most) + 1
            told = f"{most} logins a minute are the limit for {source}; try in {seconds} s"
            self._refuse("logins_per_source", told, source=source)
