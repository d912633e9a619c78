"""What each person typed at each target, for the arrow keys and Ctrl-R: in memory alone."""

from __future__ import annotations

from collections import OrderedDict

PEOPLE = 200  # identities and targets remembered; the longest unused is forgotten first


class Histories:
    """One list for each identity on each target; sessions side by side share it."""

    def __init__(self) -> None:
        self._lists: OrderedDict[tuple[str, str], list[str]] = OrderedDict()

    def of(self, identity: str, target: str) -> list[str]:
        """The list, to be read and added to."""
        key = (identity, target)
        found = self._lists.setdefault(key, [])
        self._lists.move_to_end(key)
        if len(self._lists) > PEOPLE:
            self._lists.popitem(last=False)
        return found
