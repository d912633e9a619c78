"""Dry runs of what waits, for those who may approve it: audited first, and kept on the card."""

from __future__ import annotations

from typing import TYPE_CHECKING

from broker import events
from broker.control.operations import why_not
from broker.errors import Denied, UsageError
from broker.model import Kind
from broker.review import life

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from broker.control.operations import Json, Operations
    from broker.model import Identity
    from broker.ports import Audit
    from broker.review.life import Review

    TryOut = Callable[[Review], Awaitable[tuple[int | None, str]]]


class DryRuns:
    """`try_out` gives the exact number of rows, or None and why not."""

    def __init__(
        self,
        operations: Operations,
        audit: Audit,
        redact: Callable[[str], str],
        try_out: TryOut,
    ) -> None:
        self._operations = operations
        self._audit = audit
        self._redact = redact
        self._try_out = try_out
        self._under_way: set[str] = set()

    async def run(self, by: Identity, review_id: str) -> Json:
        """The card with what was found. Raises Denied or UsageError."""
        review = self._found(by, review_id)
        if by.kind is Kind.AGENT or not life.may_answer(review, by):
            msg = f"a dry run is for those who may approve it: {why_not(review, by)}"
            raise Denied(msg)
        if review.state is not life.State.PENDING or life.is_over(review, self._operations.clock()):
            msg = f"review {review_id} does not wait any longer"
            raise UsageError(msg)
        if review.id in self._under_way:
            msg = f"a dry run of review {review_id} is under way"
            raise UsageError(msg)
        self._under_way.add(review.id)
        try:
            await self._tried(by, review)
        finally:
            self._under_way.discard(review.id)
        return self._operations.show(by, review.id)

    def _found(self, by: Identity, review_id: str) -> Review:
        self._operations.show(by, review_id)  # raises when it is not theirs to see
        review = self._operations.desk.find(review_id)
        if review is None:
            msg = f"there is no review {review_id!r} for you"
            raise UsageError(msg)
        return review

    async def _tried(self, by: Identity, review: Review) -> None:
        self._note(by, review, "asked")
        rows, why = await self._try_out(review)
        why = self._redact(why)
        self._note(by, review, f"{rows} rows" if rows is not None else f"not made: {why}")
        trial = life.Trial(by.name, self._operations.clock(), rows, why)
        self._operations.desk.tried(review.id, trial)

    def _note(self, by: Identity, review: Review, found: str) -> None:
        event = events.review_tried(
            by, review.id, digest=review.digest, sid=review.session, found=found
        )
        self._audit.append(event, durable=True)
