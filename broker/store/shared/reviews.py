"""Reviews in the shared store: any node reads them, and one at a time changes one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from broker.store.rows import approval_row, review_of, review_row
from broker.store.shared.sessions import insert

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from broker.review.life import Review, State
    from broker.store.shared.link import Link

APPROVALS = "SELECT * FROM approvals WHERE review = ANY(%s) ORDER BY review, n"
LIST = (
    "SELECT * FROM reviews WHERE (%(state)s::text IS NULL OR state = %(state)s)"
    " ORDER BY asked DESC, id LIMIT %(limit)s"
)
ORPHANS = (
    "SELECT * FROM reviews WHERE state = 'pending' AND NOT EXISTS"
    " (SELECT FROM sessions WHERE sessions.id = reviews.session AND status = 'open') ORDER BY asked"
)
MARKS = (
    "SELECT id, count(approvals.n) AS given FROM reviews LEFT JOIN approvals ON review = id"
    " WHERE state = 'pending' GROUP BY id"
)
CHANGE = (
    "UPDATE reviews SET state = %(state)s, closed_by = %(closed_by)s,"
    " closed_reason = %(closed_reason)s, closed_at = %(closed_at)s,"
    " body = %(body)s WHERE id = %(id)s"
)


class SharedReviews:
    """The part of `contract.Store` that is about reviews."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def add_review(self, review: Review) -> bool:
        """Keep a new review; False when there is one of that id."""
        statement, row = insert("reviews", review_row(review))
        return bool(self._link.run(f"{statement} ON CONFLICT DO NOTHING RETURNING id", row))

    def change_review(self, before: Review, after: Review, first: Callable[[], None]) -> bool:
        """Keep `after` if the review still is as `before`; the row is locked meanwhile."""
        with self._link.change():
            # Two statements: the second must see what was committed while the first one waited.
            held = self._link.run(
                "SELECT state FROM reviews WHERE id = %s FOR UPDATE", (before.id,)
            )
            given = self._link.run(
                "SELECT count(*) AS n FROM approvals WHERE review = %s", (before.id,)
            )
            as_before = (before.state.value, len(before.approvals))
            if not held or (held[0]["state"], given[0]["n"]) != as_before:
                return False
            first()
            self._link.run(CHANGE, review_row(after))
            for number in range(len(before.approvals), len(after.approvals)):
                self._link.run(*insert("approvals", approval_row(after, number)))
        return True

    def find_review(self, review_id: str) -> Review | None:
        """The review of that id."""
        rows = self._link.run("SELECT * FROM reviews WHERE id = %s", (review_id,))
        return next(iter(self._reviews(rows)), None)

    def list_reviews(self, state: State | None = None, *, limit: int = 100) -> list[Review]:
        """Reviews, the latest first."""
        values = {"state": state.value if state else None, "limit": limit}
        return self._reviews(self._link.run(LIST, values))

    def list_orphans(self) -> list[Review]:
        """Reviews that wait although the session that asked is over."""
        return self._reviews(self._link.run(ORPHANS))

    def pending_marks(self) -> Mapping[str, int]:
        """Each review that waits, and how many approvals it has."""
        return {row["id"]: row["given"] for row in self._link.run(MARKS)}

    def _reviews(self, rows: list[dict[str, Any]]) -> list[Review]:
        given: dict[str, list[dict[str, Any]]] = {row["id"]: [] for row in rows}
        if rows:
            for approval in self._link.run(APPROVALS, (list(given),)):
                given[approval["review"]].append(approval)
        return [review_of(row, given[row["id"]]) for row in rows]
