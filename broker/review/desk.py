"""Where statements wait for people: stored and audited before anyone is asked, used once.

An answer is audited, then stored, then given to whoever waits; when the log or the store fails,
nothing has changed and nothing runs. The store decides who was first: the one who waits, approvers
on this node and those on others may all act at the same moment, and one of them wins.
"""

from __future__ import annotations

import asyncio
import secrets
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from broker import events
from broker.errors import EvidenceFailure, StoreAway, TryLater, UsageError
from broker.model import Answer, Impact
from broker.review import life
from broker.review.life import Review, State

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from broker.events import Event
    from broker.model import Identity, Session, Statement, Verdict
    from broker.ports import Audit, Clock, Notice
    from broker.review.life import Trial

PENDING = 5000  # reviews that wait and are shown
RACES = 5  # times that an answer is tried against others who answer at the same moment
LOOK_EVERY = 0.5  # seconds between looks at what other nodes did, when none of them wakes us
LOOK_AGAIN = 1.0  # seconds: the loop's timer and the wall clock may drift apart


class Shelf(Protocol):
    """Where reviews are kept, so that nothing that was asked is forgotten."""

    def add_review(self, review: Review) -> bool:
        """Keep a new review; False when there is one of that id."""

    def change_review(self, before: Review, after: Review, first: Callable[[], None]) -> bool:
        """Keep `after` if the review still is as `before`; `first` is called in between."""

    def find_review(self, review_id: str) -> Review | None:
        """The review of that id."""

    def list_reviews(self, state: State | None = None, *, limit: int = 100) -> list[Review]:
        """Reviews, the latest first."""

    def list_orphans(self) -> list[Review]:
        """Reviews that wait although the session that asked is over."""

    def pending_marks(self) -> Mapping[str, int]:
        """Each review that waits, and how many approvals it has."""


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
        self._marks: Mapping[str, int] | None = None

    # -- who asks ------------------------------------------------------------------------------

    async def ask(
        self, session: Session, statement: Statement, verdict: Verdict, notice: Notice
    ) -> Verdict:
        """Hold until people answer; see ports.Reviews."""
        try:
            review = self._filed(self._new_review(session, statement, verdict))
        except StoreAway as away:
            reason = f"{verdict.reason}; but nobody can be asked: {away}"
            return replace(verdict, answer=Answer.DENY, reason=reason, expired=True)
        self._asked(session, review)
        waiter = self._waiting[review.id] = _Waiter(review)
        try:
            notice(verdict, review.id, review.expires)
            self._tell(review)
            await self._wait(waiter)
            return self._outcome(waiter, verdict)
        except BaseException:  # cancelled, or the one who asked could not be told
            if waiter.review.state is State.PENDING:
                gone = "the one who asked is gone"
                with suppress(StoreAway):  # its session is over soon, and then it is an orphan
                    self._close(waiter, life.withdraw(waiter.review, self._clock(), reason=gone))
            raise
        finally:
            del self._waiting[review.id]

    def _new_review(self, session: Session, statement: Statement, verdict: Verdict) -> Review:
        now, facts = self._clock(), verdict.facts
        return Review(
            id=_new_id(),
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
            touches=facts.touches,
            impact=verdict.impact or Impact(),
        )

    def _filed(self, review: Review) -> Review:
        while not self._shelf.add_review(review):
            review = replace(review, id=_new_id())
        return review

    def _asked(self, session: Session, review: Review) -> None:
        shown = self._redact(review.statement)
        asked = events.review_asked(
            session,
            review.id,
            digest=review.digest,
            rule=review.rule,
            shown=shown,
            impact=review.impact,
        )
        try:
            self._audit.append(asked, durable=True)
        except BaseException:
            gone = life.withdraw(review, self._clock(), reason="it could not be audited")
            with suppress(EvidenceFailure):
                self._shelf.change_review(review, gone, lambda: None)
            raise

    async def _wait(self, waiter: _Waiter) -> None:
        while waiter.review.state is State.PENDING:
            now = self._clock()
            if life.is_over(waiter.review, now):
                self._expire(waiter, now)
                continue
            left = (waiter.review.expires - now).total_seconds()
            with suppress(TimeoutError):
                async with asyncio.timeout(min(left, LOOK_AGAIN)):
                    await waiter.answered.wait()
            waiter.answered.clear()

    def _expire(self, waiter: _Waiter, now: datetime) -> None:
        expired = life.expire(waiter.review, now)
        try:
            self._close(waiter, expired)
        except StoreAway:  # an answer that nobody could keep is none: it is over all the same
            waiter.review = expired

    def _outcome(self, waiter: _Waiter, verdict: Verdict) -> Verdict:
        review = waiter.review
        if review.state is State.APPROVED and self._close(waiter, life.use(review)):
            reason = _told("approved", review)
            return replace(verdict, answer=Answer.ALLOW, review=review.id, reason=reason)
        review = waiter.review
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
        reason = self._redact(reason.encode("utf-8", "replace").decode())
        for _ in range(RACES):
            review = self._waiting_one(review_id)
            now = self._clock()
            after = life.answer(review, by, approve=approve, reason=reason, digest=digest, now=now)
            given = events.review_answered(
                by,
                review.id,
                answer="approve" if approve else "deny",
                digest=review.digest,
                reason=reason,
                sid=review.session,
            )
            if self._keep(review, after, given):
                self._changed(after)
                return after
        msg = f"others are answering review {review_id} now; look again"
        raise TryLater(msg)

    def _waiting_one(self, review_id: str) -> Review:
        review = self._shelf.find_review(review_id)
        if review is None:
            msg = f"there is no review {review_id}"
            raise UsageError(msg)
        local = review_id in self._waiting
        if not local and any(orphan.id == review_id for orphan in self._shelf.list_orphans()):
            msg = f"review {review_id} waits no longer: its session has ended"
            raise UsageError(msg)
        return review

    def tried(self, review_id: str, trial: Trial) -> Review:
        """Keep what a dry run found, for whoever answers; a review that is over stays as it is."""
        for _ in range(RACES):
            review = self._waiting_one(review_id)
            if review.state is not State.PENDING:
                msg = f"review {review_id} does not wait any longer"
                raise UsageError(msg)
            after = replace(review, trial=trial)
            if self._keep(review, after):
                self._changed(after)
                return after
        msg = f"others are answering review {review_id} now; look again"
        raise TryLater(msg)

    # -- who looks -----------------------------------------------------------------------------

    def pending_for(self, by: Identity) -> list[Review]:
        """What waits now and this person may see, the oldest first: to answer, or their own."""
        now = self._clock()
        return [
            review
            for review in reversed(self._shelf.list_reviews(State.PENDING, limit=PENDING))
            if not life.is_over(review, now) and life.may_see(review, by)
        ]

    def waits(self, session: str) -> bool:
        """Does a statement of this session wait for people now?"""
        return any(waiter.review.session == session for waiter in self._waiting.values())

    def find(self, review_id: str) -> Review | None:
        """The review of that id, over or not."""
        return self._shelf.find_review(review_id)

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

    # -- what others did -----------------------------------------------------------------------

    def look(self) -> None:
        """See what was done elsewhere: wake whoever waits for it here, tell whoever looks."""
        if not self._waiting and not self._listeners:
            self._marks = None
            return
        marks = self._shelf.pending_marks()
        for waiter in list(self._waiting.values()):
            review = waiter.review
            if review.state is State.PENDING and marks.get(review.id) != len(review.approvals):
                self._refresh(waiter)
        before, self._marks = marks if self._marks is None else self._marks, marks
        elsewhere = dict(marks.items() ^ before.items()).keys() - self._waiting.keys()
        for review_id in sorted(elsewhere)[:1]:  # who hears of one asks for the whole list
            if (changed := self._shelf.find_review(review_id)) is not None:
                self._tell(changed)

    async def watch(self) -> None:
        """Look for ever."""
        while True:
            await asyncio.sleep(LOOK_EVERY)
            with suppress(EvidenceFailure):  # who needs the store is told so
                self.look()

    def recover(self, reason: str = "the broker was restarted") -> Sequence[Review]:
        """Withdraw what waits although the session that asked is gone."""
        done = []
        for review in self._shelf.list_orphans():
            gone = life.withdraw(review, self._clock(), reason=reason)
            if review.id not in self._waiting and self._keep(review, gone):
                self._tell(gone)
                done.append(gone)
        return done

    # -- every change --------------------------------------------------------------------------

    def _close(self, waiter: _Waiter, after: Review) -> bool:
        """Change what waits here; False when others were first, whose change is seen then."""
        won = self._keep(waiter.review, after)
        if won:
            self._changed(after)
        else:
            self._refresh(waiter)
        return won

    def _refresh(self, waiter: _Waiter) -> None:
        found = self._shelf.find_review(waiter.review.id)
        if found is None:
            msg = f"review {waiter.review.id} is not in the store any longer"
            raise EvidenceFailure(msg)
        self._changed(found)

    def _changed(self, review: Review) -> None:
        waiter = self._waiting.get(review.id)
        if waiter is not None:
            waiter.review = review
            waiter.answered.set()
        self._tell(review)

    def _keep(self, before: Review, after: Review, given: Event | None = None) -> bool:
        """Store a change, unless it comes too late; what it is is audited just before."""

        def audited() -> None:
            if given is not None:
                self._audit.append(given, durable=after.state is State.PENDING)
            if after.state is not State.PENDING:
                closed = events.review_closed(
                    after.id, state=after.state.value, digest=after.digest, sid=after.session
                )
                self._audit.append(closed, durable=True)

        return self._shelf.change_review(before, after, audited)

    def _tell(self, review: Review) -> None:
        for listener in self._listeners:  # one that fails must not undo the change
            asyncio.get_running_loop().call_soon(listener, review)


def _new_id() -> str:
    return secrets.token_hex(3)


def _told(what: str, review: Review) -> str:
    reason = f": {review.closed_reason}" if review.closed_reason else ""
    return f"{what} by {review.closed_by}{reason}"
