"""The queue as a value: in the order they came, with the focus on a request and not on a row."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from broker.control.client import Review


@dataclass(frozen=True, slots=True)
class Waiting:
    """The reviews that wait, and the id of the one in focus."""

    reviews: tuple[Review, ...] = ()
    focus: str | None = None

    @property
    def focused(self) -> Review | None:
        """The review in focus."""
        return self.find(self.focus)

    @property
    def row(self) -> int:
        """The row of the focus."""
        return next((n for n, r in enumerate(self.reviews) if r.id == self.focus), 0)

    def find(self, id_: str | None) -> Review | None:
        """A review that waits, by its id."""
        return next((r for r in self.reviews if r.id == id_), None)

    def merged(self, told: tuple[Review, ...]) -> Waiting:
        """The queue after the broker's newest list.

        What was here keeps its order and what is new comes after it, whatever order the broker
        tells. When the focused one is gone, the focus goes to the one that took its place.
        """
        waits = {review.id: review for review in told if review.state == "pending"}
        kept = [waits.pop(review.id) for review in self.reviews if review.id in waits]
        new = sorted(waits.values(), key=lambda review: (review.asked, review.id))
        merged = Waiting((*kept, *new), self.focus)
        if merged.focused is not None or not merged.reviews:
            return merged if merged.reviews else Waiting()
        before = {review.id for review in self.reviews[: self.row]}
        return merged.at(sum(review.id in before for review in kept))

    def moved(self, by: int) -> Waiting:
        """The focus some rows further; it stops at the ends."""
        return self.at(self.row + by)

    def at(self, row: int) -> Waiting:
        """The focus on a row, or on the nearest there is."""
        if not self.reviews:
            return self
        return replace(self, focus=self.reviews[max(0, min(row, len(self.reviews) - 1))].id)
