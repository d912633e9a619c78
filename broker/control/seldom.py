"""How often the same refusal is worth an entry in the audit log: a flood must not fill it."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

EVERY_S = 10.0
KEYS = 1000  # of which the times are remembered


class Seldom:
    """Counts what repeats; says when it is time to tell, and how often it was since the last."""

    def __init__(self, every: float = EVERY_S, now: Callable[[], float] = time.monotonic) -> None:
        self._every = every
        self._now = now
        self._told: OrderedDict[Hashable, tuple[float, int]] = OrderedDict()

    def count(self, key: Hashable) -> int:
        """0 while it is too soon to tell again; otherwise how many times, this one included."""
        now = self._now()
        last, times = self._told.get(key, (-self._every, 0))
        due = now - last >= self._every
        self._told[key] = (now, 0) if due else (last, times + 1)
        self._told.move_to_end(key)
        if len(self._told) > KEYS:
            self._told.popitem(last=False)
        return times + 1 if due else 0
