"""Where statements wait for people: stored and audited before anyone is asked, used once.

Everything happens on one event loop. An answer is audited, then stored, then given to whoever
waits; when the log or the store fails, nothing has changed and nothing runs.
"""

from __future__ import annotations

import asyncio
import secrets
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from broker import events
from broker.errors import EvidenceFailure, UsageError
from broker.model import Answer
from broker.review import life
from broker.review.life import Review, State

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from broker.model import Identity, Session, Statement, Verdict
    from broker.ports import Audit, Clock, Notice

LOOK_AGAIN = 1.0  # seconds: the loop's timer and the wall clock may drift apart


class Shelf(Protocol):
    """Where reviews are kept, so that nothing that was asked is forgotten."""

    def save_review(self, review: Review) -> None:
        """Keep a review as it is now; on disk on return, EvidenceFailure when it cannot."""

    def find_review(self, review_id: str) -> Review | None:
        """The review of that id."""

    def list_reviews(self, state: State | None = None, *, limit: int = 100) -> list[Review]:
        """Reviews, the latest first."""


@dataclass(slots=True)
class _Waiter:
    review: Review
    answered: asyncio.Event = field(default_factory=asyncio.Event)


class Desk:
    """Implements ports.Reviews. `redact` masks what goes into the audit log and to requesters."""

    def __init__(
        self, shelf: Shelf, audit: Audit, clock: Clock, redact: Callable[[str], str]
    ) -> None:
        self._shelf = shelf
        self._audit = audit
        self._clock = clock
        self._redact = redact
        self._waiting: dict[str, _Waiter] = {}
        self._listeners: list[Callable[[Review], None]] = []

    # -- who asks ------------------------------------------------------------------------------

    async def ask(
        self, session: Session, statement: Statement, verdict: Verdict, notice: Notice
    ) -> Verdict:
        """Hold until people answer; see ports.Reviews."""
        waiter = _Waiter(self._new_review(session, statement, verdict))
        review = waiter.review
        self._file(session, review)
        self._waiting[review.id] = waiter
        try:
            notice(verdict, review.id, review.expires)
            self._tell(review)
            await self._wait(waiter)
            return self._outcome(waiter, verdict)
        except BaseException:  # cancelled, or the one who asked could not be told
            if waiter.review.state is State.PENDING:
                gone = "the one who asked is gone"
                self._close(waiter, life.withdraw(waiter.review, self._clock(), reason=gone))
            raise
        finally:
            del self._waiting[review.id]

    def _new_review(self, session: Session, statement: Statement, verdict: Verdict) -> Review:
        now, facts = self._clock(), verdict.facts
        return Review(
            id=self._new_id(),
            session=session.id,
            identity=session.identity,
            acting_for=session.identity.acting_for,
            target=session.target,
            rule=verdict.rule,
            reason=verdict.reason,
            why=session.reason,
            statement=statement.text,
            digest=statement.digest,
            values=statement.values,
            cwd=statement.cwd,
            config_hash=session.config_hash,
            asked=now,
            expires=now + verdict.expires_in,
            approvers=verdict.approvers,
            quorum=max(1, verdict.quorum),
            actions=facts.actions,
            tables=facts.tables,
            commands=facts.commands,
        )

    def _new_id(self) -> str:
        while True:
            candidate = secrets.token_hex(3)
            if candidate not in self._waiting and self._shelf.find_review(candidate) is None:
                return candidate

    def _file(self, session: Session, review: Review) -> None:
        self._shelf.save_review(review)
        shown = self._redact(review.statement)
        asked = events.review_asked(
            session, review.id, digest=review.digest, rule=review.rule, shown=shown
        )
        try:
            self._audit.append(asked, durable=True)
        except BaseException:
            gone = life.withdraw(review, self._clock(), reason="it could not be audited")
            with suppress(EvidenceFailure):
                self._shelf.save_review(gone)
            raise

    async def _wait(self, waiter: _Waiter) -> None:
        while waiter.review.state is State.PENDING:
            now = self._clock()
            if life.is_over(waiter.review, now):
                self._close(waiter, life.expire(waiter.review, now))
                return
            left = (waiter.review.expires - now).total_seconds()
            with suppress(TimeoutError):
                async with asyncio.timeout(min(left, LOOK_AGAIN)):
                    await waiter.answered.wait()
            waiter.answered.clear()

    def _outcome(self, waiter: _Waiter, verdict: Verdict) -> Verdict:
        review = waiter.review
        if review.state is State.APPROVED:
            self._close(waiter, life.use(review))
            reason = _told("approved", review)
            return replace(verdict, answer=Answer.ALLOW, review=review.id, reason=reason)
        denied = replace(verdict, answer=Answer.DENY, review=review.id)
        if review.state is State.EXPIRED:
            minutes, seconds = divmod(int((review.expires - review.asked).total_seconds()), 60)
            reason = f"nobody answered within {minutes}:{seconds:02d}"
            if review.approvals:
                have = len(review.approvals)
                reason = f"{have} of {review.quorum} approved within {minutes}:{seconds:02d}"
            return replace(denied, reason=reason, expired=True)
        if review.state is State.DENIED:
            return replace(denied, reason=_told("denied", review))
        return replace(denied, reason=f"review {review.id} is {review.state.value}")

    # -- who answers ---------------------------------------------------------------------------

    def answer(
        self,
        review_id: str,
        by: Identity,
        *,
        approve: bool,
        reason: str = "",
        digest: str | None = None,
    ) -> Review:
        """Take one person's answer; Denied or UsageError when they may not give it.

        The reason is masked here: it goes to the requester's terminal and into the log.
        """
        waiter = self._waiting.get(review_id)
        review = waiter.review if waiter else self._shelf.find_review(review_id)
        if review is None:
            msg = f"there is no review {review_id}"
            raise UsageError(msg)
        reason, now = self._redact(reason.encode("utf-8", "replace").decode()), self._clock()
        after = life.answer(review, by, approve=approve, reason=reason, digest=digest, now=now)
        if waiter is None:
            msg = f"review {review_id} waits no longer: its session has ended"
            raise UsageError(msg)
        given = events.review_answered(
            by,
            review.id,
            answer="approve" if approve else "deny",
            digest=review.digest,
            reason=reason,
            sid=review.session,
        )
        self._audit.append(given, durable=after.state is State.PENDING)
        self._close(waiter, after)
        return after

    # -- who looks -----------------------------------------------------------------------------

    def pending_for(self, by: Identity) -> list[Review]:
        """What waits now and this person may see, the oldest first: to answer, or their own."""
        reviews = [waiter.review for waiter in self._waiting.values()]
        now = self._clock()
        return [
            review
            for review in reviews
            if review.state is State.PENDING
            and not life.is_over(review, now)
            and life.may_see(review, by)
        ]

    def waits(self, session: str) -> bool:
        """Does a statement of this session wait for people now?"""
        return any(waiter.review.session == session for waiter in self._waiting.values())

    def find(self, review_id: str) -> Review | None:
        """The review of that id, over or not."""
        waiter = self._waiting.get(review_id)
        return waiter.review if waiter else self._shelf.find_review(review_id)

    def list(self, state: State | None = None, *, limit: int = 100) -> list[Review]:
        """Reviews, the latest first."""
        return self._shelf.list_reviews(state, limit=limit)

    def on_change(self, listener: Callable[[Review], None]) -> Callable[[], None]:
        """Call `listener` soon after any review changes; calling what is returned ends that."""
        self._listeners.append(listener)

        def end() -> None:
            with suppress(ValueError):
                self._listeners.remove(listener)

        return end

    def recover(self) -> Sequence[Review]:
        """Withdraw what a previous run left waiting: the sessions that asked are gone."""
        done = []
        while left := self._shelf.list_reviews(State.PENDING):
            for review in left:
                gone = life.withdraw(review, self._clock(), reason="the broker was restarted")
                self._keep(gone)
                done.append(gone)
        return done

    # -- every change --------------------------------------------------------------------------

    def _close(self, waiter: _Waiter, after: Review) -> None:
        self._keep(after)
        waiter.review = after
        waiter.answered.set()
        self._tell(after)

    def _keep(self, review: Review) -> None:
        if review.state is not State.PENDING:
            closed = events.review_closed(
                review.id, state=review.state.value, digest=review.digest, sid=review.session
            )
            self._audit.append(closed, durable=True)
        self._shelf.save_review(review)

    def _tell(self, review: Review) -> None:
        for listener in self._listeners:  # one that fails must not undo the change
            asyncio.get_running_loop().call_soon(listener, review)


def _told(what: str, review: Review) -> str:
    reason = f": {review.closed_reason}" if review.closed_reason else ""
    return f"{what} by {review.closed_by}{reason}"
