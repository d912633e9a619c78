"""One session's way through: the order of things, and nothing else.

Judge, review, audit, and only then forward; mask, record, and only then deliver. Every way in
(console, command, script, forward) goes through this one class, because every caller needs the
same order and getting it wrong is a breach. The gate forwards and delivers nothing by itself: it
says what may go, and whoever holds the socket may send only what it was given.

Failing closed: when judging, auditing, masking or recording fails, the gate raises
EvidenceFailure and is shut for good; each later call raises again, so a caller that swallowed the
first error still cannot send anything.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import replace
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from broker import events
from broker.errors import EvidenceFailure, ExitCode, Unparsable
from broker.mask.literals import SHORTEST, Literals
from broker.model import Answer, Verdict

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from datetime import datetime

    from broker.model import Session, Statement
    from broker.ports import Audit, Mask, Notice, Recorder, Reviews

    Survey = Callable[[Statement, Verdict], Awaitable[Verdict]]
    Told = Callable[[Statement, Verdict, str | None, datetime | None], None]

P = ParamSpec("P")
T = TypeVar("T")

RECENT = 3  # statements of a session that an approver sees before the one that waits
LABEL_LIMIT = 200  # characters of a statement in a marker; the whole is in the audit log


class Gate:
    """Judges what goes in and masks what comes out of one session."""

    def __init__(
        self,
        session: Session,
        *,
        judge: Callable[[Statement], Verdict],
        reviews: Reviews,
        audit: Audit,
        recorder: Recorder,
        new_mask: Callable[[], Mask],
        redact: Callable[[str], str],
    ) -> None:
        self.session = session
        self.masked: Counter[str] = Counter()
        self.refusal: Verdict | None = None  # the last refusal; an exit code may be due to it
        self.recent: deque[str] = deque(maxlen=RECENT)  # what was decided here, as people read it
        self.told: Told | None = None  # hears of each wait and refusal, for clients that want JSON
        self._judge = judge
        self._reviews = reviews
        self._audit = audit
        self._recorder = recorder
        self._secrets: list[bytes] = []
        self._patterns = new_mask
        self._redact_patterns = redact
        self._shut: EvidenceFailure | None = None

    # -- in: judge, review, audit, then forward ------------------------------------------------

    async def admit(
        self,
        statement: Statement,
        notice: Notice | None = None,
        survey: Survey | None = None,
    ) -> Verdict:
        """The final answer on a statement. Only after ALLOW may exactly its bytes be forwarded.

        Waits while people decide; cancelling the wait withdraws the review. `notice` is called
        once when a wait begins; `survey` before it, to add what people should know, or to refuse.
        Raises EvidenceFailure when the answer cannot be given safely.
        """
        verdict = self.decide(statement)
        if verdict.answer is Answer.REVIEW:
            verdict = await self.review(statement, verdict, notice, survey)
        return verdict

    def decide(self, statement: Statement) -> Verdict:
        """The judge's answer: final and on the record, unless it is REVIEW.

        That one leads nowhere but to `review`: nothing may be forwarded on it.
        """
        self._check_open()
        verdict = self._judged(statement)
        if verdict.answer is not Answer.REVIEW:
            self._settle(statement, verdict)
        return verdict

    async def review(
        self,
        statement: Statement,
        verdict: Verdict,
        notice: Notice | None = None,
        survey: Survey | None = None,
    ) -> Verdict:
        """The final answer of people, where `decide` said REVIEW; as `admit` in all else."""
        self._check_open()
        answer = await self._reviewed(statement, verdict, notice, survey)
        self._check_open()
        self._settle(statement, answer)
        return answer

    def foresee(self, statement: Statement) -> Verdict:
        """What the judge would say, without review or record. Nothing may be forwarded on it."""
        self._check_open()
        return self._judged(statement)

    def refuse(self, statement: Statement, verdict: Verdict) -> Verdict:
        """Put a refusal that an edge decided (a meta-command, a protocol limit) on the record."""
        self._check_open()
        if verdict.answer is not Answer.DENY:
            msg = "an edge may only refuse"
            raise ValueError(msg)
        self._settle(statement, verdict)
        return verdict

    def redact(self, text: str) -> str:
        """Text with its sensitive values masked."""
        self._check_open()
        return self._guarded("masked", self._redact, text)

    def _judged(self, statement: Statement) -> Verdict:
        """The judge's verdict; its reason quotes the statement, so it is redacted here."""
        try:
            verdict = self._judge(statement)
            reason = self._redact(verdict.reason)
            return verdict if reason == verdict.reason else replace(verdict, reason=reason)
        except Unparsable as error:
            reason = self._redact(error.sentence)
            return Verdict(Answer.DENY, "grammar", reason, unparsable=True)
        except Exception as error:
            raise self._fail("a statement could not be judged", error) from error

    async def _reviewed(
        self,
        statement: Statement,
        verdict: Verdict,
        notice: Notice | None,
        survey: Survey | None,
    ) -> Verdict:
        if survey is not None:
            verdict = await self._surveyed(survey, statement, verdict)
            if verdict.answer is Answer.DENY:
                return verdict

        def begins(waiting: Verdict, review: str, expires: datetime) -> None:
            self._mark(f"review {review} asked")
            if self.told is not None:
                self.told(statement, waiting, review, expires)
            if notice is not None:
                notice(waiting, review, expires)

        try:
            answer = await self._reviews.ask(self.session, statement, verdict, begins)
        except Exception as error:
            raise self._fail("a review could not be held", error) from error
        if answer.answer is Answer.REVIEW:
            raise self._fail("a review ended without an answer")
        if answer.answer is Answer.ALLOW and self._judged(statement).config != verdict.config:
            why = "the rules changed while it waited; ask again"
            answer = replace(answer, answer=Answer.DENY, reason=why, expired=True)
        said = "expired" if answer.expired else answer.reason
        if answer.review is not None:  # None: it was refused before anybody was asked
            self._mark(f"review {answer.review} {said}"[:LABEL_LIMIT])
        return answer

    async def _surveyed(self, survey: Survey, statement: Statement, verdict: Verdict) -> Verdict:
        try:
            found = await survey(statement, verdict)
        except Exception as error:
            raise self._fail(
                "what a statement would touch could not be found out", error
            ) from error
        if found.answer is Answer.ALLOW:
            raise self._fail("a survey may not allow")
        return found

    def _settle(self, statement: Statement, verdict: Verdict) -> None:
        shown = self._guarded("masked", self._redact, statement.text)
        routine = verdict.answer is Answer.ALLOW and verdict.review is None
        event = self._guarded("masked", self._told_of, statement, verdict, shown)
        self._guarded("audited", self._audit.append, event, durable=not routine)
        line = " ".join(shown.split())[:LABEL_LIMIT]
        self._mark(f"{verdict.answer.value} {verdict.rule}: {line}", routine=routine)
        self.recent.append(f"{verdict.answer.value}  {line}")
        if verdict.answer is Answer.DENY:
            self.refusal = verdict
            if self.told is not None:
                self.told(statement, verdict, verdict.review, None)

    def _told_of(self, statement: Statement, verdict: Verdict, shown: str) -> events.Event:
        def redact(text: str) -> str:
            return shown if text is statement.text else self._redact(text)

        return events.judged(self.session, statement, verdict, redact=redact)

    # -- out: mask, record, then deliver -------------------------------------------------------

    def stream(self, *, interactive: bool = False) -> Stream:
        """A stream of terminal output; `interactive` ones may release held bytes when idle."""
        client = self._new_mask()
        return Stream(self, client, self._new_mask() if interactive else client)

    def rows(self, frames: bytes, transcript: bytes) -> bytes:
        """Record masked rows as people would read them; give back the frames to deliver."""
        self._check_open()
        if transcript:
            self._guarded("recorded", self._recorder.output, transcript)
        return frames

    def masking(self, act: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a masker; when it fails, so does the session."""
        self._check_open()
        return self._guarded("masked", act, *args, **kwargs)

    def hide(self, secret: str) -> None:
        """From now on this never comes back: a secret that the target was given."""
        data = secret.encode()
        if len(data) >= SHORTEST and data not in self._secrets:
            self._secrets.append(data)

    def _new_mask(self) -> Mask:
        return Literals(self._patterns(), self._secrets)

    def _redact(self, text: str) -> str:
        text = self._redact_patterns(text)
        for secret in self._secrets:
            text = text.replace(secret.decode(), "*" * len(secret))
        return text

    def count(self, counts: Mapping[str, int]) -> None:
        """Note masked values, as `mask TYPE xN` markers."""
        for name, number in sorted(counts.items()):
            if number:
                self.masked[name] += number
                self._mark(f"mask {name} x{number}")

    def typed(self, line: str) -> None:
        """Record what the person typed and saw echoed."""
        self._check_open()
        shown = self._guarded("masked", self._redact, line)
        self._guarded("recorded", self._recorder.input, shown)

    def hidden(self, count: int) -> None:
        """Record that so many keys were typed, and not what they were."""
        self._check_open()
        self._guarded("recorded", self._recorder.hidden_input, count)

    def said(self, text: str) -> bytes:
        """Record a sentence of our own; give back its bytes to deliver."""
        self._check_open()
        data = self._guarded("masked", self._redact, text).encode()
        self._guarded("recorded", self._recorder.output, data)
        return data

    def may_show(self, text: str) -> bool:
        """Does no mask touch this text, so that a completion may offer it?"""
        self._check_open()
        return self._guarded("masked", self._redact, text) == text

    def stated(self, sentence: str, *, quoting: bool = False) -> bytes:
        """Record a sentence about a verdict; give back its bytes to deliver.

        Verdicts are redacted when they are made, and the people in them are named on purpose. One
        that is `quoting` repeats to the person what they typed themselves: only the recording's
        copy is redacted.
        """
        self._check_open()
        recorded = self._guarded("masked", self._redact, sentence) if quoting else sentence
        self._guarded("recorded", self._recorder.output, recorded.encode())
        return sentence.encode()

    def resized(self, columns: int, rows: int) -> None:
        """Record the terminal's new size."""
        self._check_open()
        self._guarded("recorded", self._recorder.resize, columns, rows)

    # -- failing closed ------------------------------------------------------------------------

    @property
    def refusal_code(self) -> ExitCode | None:
        """The exit code that the last refusal is due, or None when nothing was refused."""
        if self.refusal is None:
            return None
        if self.refusal.unparsable:
            return ExitCode.UNPARSABLE
        return ExitCode.TRY_LATER if self.refusal.expired else ExitCode.DENIED

    def _mark(self, label: str, *, routine: bool = False) -> None:
        self._guarded("recorded", self._recorder.marker, label, routine=routine)

    def _guarded(self, what: str, act: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return act(*args, **kwargs)
        except Exception as error:
            raise self._fail(f"this session can no longer be {what}", error) from error

    def _fail(self, why: str, cause: BaseException | None = None) -> EvidenceFailure:
        if self._shut is None:
            self._shut = cause if isinstance(cause, EvidenceFailure) else EvidenceFailure(why)
        return self._shut

    def _check_open(self) -> None:
        if self._shut is not None:
            raise self._shut


class Stream:
    """One direction of terminal output: what is fed comes back masked, and already recorded.

    The recording's copy never uses timers: `release` gives the client what is held only because
    more might come, while the recording keeps waiting, so that it is the same however slowly the
    bytes arrived.
    """

    def __init__(self, gate: Gate, client: Mask, record: Mask) -> None:
        self._gate = gate
        self._client = client
        self._record = record

    def feed(self, data: bytes) -> bytes:
        """Bytes from the target in; bytes that may be delivered out."""
        return self._pass(lambda mask: mask.feed(data))

    def release(self) -> bytes:
        """The target is quiet: what the client may see of what is held. Not for the recording."""
        if self._client is self._record:
            return b""
        return self._gate.masking(self._client.idle)

    def close(self) -> bytes:
        """The target ended this stream: the rest."""
        return self._pass(lambda mask: mask.close())

    def _pass(self, act: Callable[[Mask], bytes]) -> bytes:
        shown = self._gate.masking(act, self._client)
        recorded = shown if self._client is self._record else self._gate.masking(act, self._record)
        self._gate.rows(b"", recorded)
        self._gate.count(self._record.take_counts())
        return shown
