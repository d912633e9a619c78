"""Completion: what fits the text left of the cursor, and how a list of it looks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from prompt_toolkit.utils import get_cwidth

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from broker.gate import Gate

    Complete: TypeAlias = Callable[[str], "Found | Awaitable[Found]"]

LISTED = 200  # candidates shown at most


@dataclass(frozen=True, slots=True)
class Found:
    """The end of the text that is completed, and what may stand in its place.

    `last` follows a candidate that is the only one (a blank; nothing after a directory).
    """

    word: str
    candidates: tuple[str, ...] = ()
    last: str = " "

    @property
    def replacement(self) -> str | None:
        """What to put in the word's place, or None when nothing is certain."""
        if len(self.candidates) == 1:
            only = self.candidates[0]
            return only if only.endswith("/") else only + self.last
        begins = shared(self.candidates)
        return begins if len(begins) > len(self.word) else None


def recorded_by(gate: Gate) -> Callable[[str], str]:
    """Lists of candidates go through the gate, as all that is shown does."""

    def shown(listing: str) -> str:
        data = gate.said("\r\n" + listing.replace("\n", "\r\n") + "\r\n")
        return data.decode().strip("\r\n").replace("\r\n", "\n")

    return shown


def shared(words: Sequence[str]) -> str:
    """The longest beginning that all words have."""
    if not words:
        return ""
    low, high = min(words), max(words)
    size = next((i for i, c in enumerate(low) if i >= len(high) or high[i] != c), len(low))
    return low[:size]


def listed(words: Sequence[str], columns: int, rows: int) -> str:
    """The words side by side, column by column, within a window of this size."""
    words = [word for word in words if word.isprintable()]
    shown = words[:LISTED]
    if not shown:
        return ""
    width = min(max(get_cwidth(word) for word in shown) + 2, columns)
    across = max(1, columns // width)
    if -(-len(shown) // across) > rows:  # the last row says how many there are
        shown = shown[: across * max(1, rows - 1)]
    down = -(-len(shown) // across)
    lines = [
        "".join(_padded(word, width) for word in shown[at::down]).rstrip() for at in range(down)
    ]
    if len(words) > len(shown):
        lines.append(f"... {len(words) - len(shown)} more"[:columns])
    return "\n".join(lines)


def _padded(word: str, width: int) -> str:
    while get_cwidth(word) > width - 1:
        word = word[:-1]
    return word + " " * (width - get_cwidth(word))
