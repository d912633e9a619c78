"""What a proven identity may ask of the broker, and what it may see: one place for every door.

Everybody sees their own sessions and reviews; approvers those that they answer for; auditors all.
Answers are plain JSON values in the shapes of the contract.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from broker import events
from broker.console.telling import rfc3339
from broker.errors import Denied, UsageError
from broker.model import Answer, Kind, Statement, Verdict
from broker.policy import may
from broker.policy.plan import plan
from broker.review import life
from broker.review.shapes import review_json
from broker.store.records import session_json
from broker.targets import statement_for

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path

    from broker.config.model import Config
    from broker.model import Identity
    from broker.ports import Audit, Clock
    from broker.review.desk import Desk
    from broker.review.life import Review
    from broker.store.contract import Store
    from broker.store.records import SessionRecord

Json: TypeAlias = "Mapping[str, object]"

SESSIONS = 200  # sessions that a list shows


class Operations:
    """The broker's verbs. Every method takes who asks first, and raises sentences."""

    def __init__(  # noqa: PLR0913 - all that the verbs stand on
        self,
        *,
        config: Callable[[], Config],
        store: Store,
        desk: Desk,
        audit: Audit,
        clock: Clock,
        node: str,
        judge: Callable[[Identity, str, Statement], Verdict],
        prepare: Callable[[str], Awaitable[None]],
        verify: Callable[[], Awaitable[Json]],
        formatted: Callable[[str], str],
        before: Callable[[str], list[str]],
    ) -> None:
        self._in_force = config
        self._store = store
        self.desk = desk
        self._audit = audit
        self.clock = clock
        self.node = node
        self._judge = judge
        self._prepare = prepare
        self._verify = verify
        self._formatted = formatted
        self._before = before

    @property
    def _config(self) -> Config:
        return self._in_force()

    # -- oneself -------------------------------------------------------------------------------

    def whoami(self, by: Identity) -> Json:
        """Who, until when, and what they may do where."""
        return {
            "identity": str(by),
            "kind": by.kind.value,
            "issuer": by.issuer,
            "groups": list(by.groups),
            "acting_for": by.acting_for,
            "expires": rfc3339(by.expires) if by.expires else None,
            "expires_in_s": self._left(by),
            "session_ttl_s": int(self._config.session_ttl.total_seconds()),
            "targets": self.targets(by),
            "approves": [t for t in sorted(self._config.targets) if self._answers_for(by, t)],
        }

    def _left(self, by: Identity) -> int | None:
        """Seconds of the certificate's life that are left."""
        if by.expires is None:
            return None
        return max(0, int((by.expires - self.clock()).total_seconds()))

    def targets(self, by: Identity) -> list[Json]:
        """The targets that the rules let this identity reach, with what it may do there.

        `may` is for people; `rules` is the same for programs.
        """
        found: list[Json] = []
        for name, target in sorted(self._config.targets.items()):
            phrases = may.summary(self._config.rules, by, name, target.kind)
            if phrases:
                told = {"name": name, "kind": target.kind, "may": phrases}
                found.append(told | {"rules": plan(self._config.rules, by, name)})
        return found

    async def prepare(self, target: str, text: str) -> None:
        """Let the check of this text be quick, however large it is."""
        found = self._config.targets.get(target)
        if found is not None and found.kind == "postgres":
            await self._prepare(text)

    def check(self, by: Identity, target: str, text: str) -> Json:
        """The verdict on a statement, without running it."""
        found = self._config.targets.get(target)
        if found is None or not may.summary(self._config.rules, by, target, found.kind):
            msg = f"{may.out_of_reach(target)}; `targets` lists yours"
            raise Denied(msg)
        verdict = self._judge(by, target, statement_for(found, text))
        return {
            "verdict": verdict.answer.value,
            "rule": verdict.rule,
            "reason": verdict.reason,
            "actions": list(verdict.facts.actions),
            "tables": list(verdict.facts.tables),
            "commands": list(verdict.facts.commands),
            **verdict.facts.resources,
            "approvers": list(verdict.approvers) if verdict.answer is Answer.REVIEW else [],
            "max_affected": str(verdict.max_affected) if verdict.max_affected else None,
        }

    # -- reviews -------------------------------------------------------------------------------

    def pending(self, by: Identity) -> list[Json]:
        """The reviews that wait: those that this identity may answer, and its own."""
        return [self._card(by, review) for review in self.desk.pending_for(by)]

    def show(self, by: Identity, review_id: str) -> Json:
        """One review, in any state."""
        review = self.desk.find(review_id)
        if review is None or not self._concerns(by, review):
            msg = f"there is no review {review_id!r} for you"
            raise UsageError(msg)
        return self._card(by, review)

    def answer(
        self, by: Identity, review_id: str, *, approve: bool, reason: str, digest: str | None
    ) -> Json:
        """One person's answer. Raises Denied or UsageError when it is not theirs to give."""
        if by.kind is Kind.AGENT:
            msg = "answering is for people, and you are an agent"
            raise Denied(msg)
        review = self.desk.find(review_id)
        if review is None or not self._concerns(by, review):
            msg = f"there is no review {review_id!r} for you"
            raise UsageError(msg)
        answered = self.desk.answer(review_id, by=by, approve=approve, reason=reason, digest=digest)
        return self._card(by, answered)

    def _concerns(self, by: Identity, review: Review) -> bool:
        return life.may_see(review, by) or by.is_one_of(self._config.auditors)

    def _card(self, by: Identity, review: Review) -> Json:
        card: dict[str, object] = dict(review_json(review))
        target = self._config.targets.get(review.target)
        sql = target is not None and target.kind == "postgres"
        card["language"] = "sql" if sql else "shell"
        if sql:
            card["formatted"] = self._formatted(review.statement)
        session = self._store.find_session(review.session)
        card["source"] = session.source if session is not None else ""
        card["before"] = self._before(review.session)
        card["can_answer"] = life.may_answer(review, by) and by.kind is not Kind.AGENT
        if not card["can_answer"] and not by.is_one_of(self._config.auditors):
            # A count answers questions about the data: it is for those who decide, not who ask.
            card["impact"] = card["dry_run"] = None
        card["why_not"] = "" if card["can_answer"] else why_not(review, by)
        return card

    # -- evidence ------------------------------------------------------------------------------

    def sessions(self, by: Identity) -> list[Json]:
        """Sessions, newest first: one's own, those one answers for, or all for auditors."""
        records = self._store.list_sessions(limit=SESSIONS)
        return [session_json(r) for r in records if self._may_see(by, r)]

    def recording(self, by: Identity, session: str, *, first: bool = True) -> Path:
        """The recording of a session, for playing. Playing is itself an event in the log.

        `first` is False for the later pages of one playing.
        """
        record = self._store.find_session(session)
        if record is None or not self._may_see(by, record):
            msg = f"there is no session {session!r} for you"
            raise UsageError(msg)
        if record.recording is None:
            msg = f"session {session} has no recording"
            raise UsageError(msg)
        path = self._config.state / "recordings" / record.recording
        if record.node not in {"", self.node} and not path.exists():
            msg = f"the recording of session {session} is on node {record.node}; ask there"
            raise UsageError(msg)
        if first:
            self._audit.append(events.watched(by, "play", session))
        return path

    def _may_see(self, by: Identity, record: SessionRecord) -> bool:
        if record.identity == str(by) or by.is_one_of(self._config.auditors):
            return True
        return self._answers_for(by, record.target)

    def _answers_for(self, by: Identity, target: str) -> bool:
        return may.answers_for(self._config.rules, by, target)

    async def verify(self, by: Identity) -> Json:
        """Check the whole log and every recording."""
        self._audit.append(events.watched(by, "verify", "log"))
        return await self._verify()


def why_not(review: Review, by: Identity) -> str:
    """Why this person cannot answer, in a sentence for their screen."""
    if by.kind is Kind.AGENT:
        return "Answering is for people."
    if not by.is_one_of(review.approvers):
        return f"Asked of {', '.join(review.approvers)}; you may look."
    return "This is your own request; somebody else must answer it."
