"""Approved writes that may change only so many rows: undone and refused when they change more.

So are writes whose RETURNING has more rows than may be read. A Query outside of a transaction runs
in one of ours: BEGIN, the exact message that was approved, then COMMIT or ROLLBACK by what its
CommandComplete says. The client sees neither ours nor any success before it is committed, and when
the connection is lost nothing is. Inside of the client's own transaction, and in the extended
protocol (whose implicit one ends at Sync), an error of the server undoes all: there a stand-in that
the server must refuse follows the write.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from broker.errors import ProtocolError
from broker.model import Answer, Verdict
from broker.wire import cursors, messages, notices, refusals, words
from broker.wire.actions import Undo
from broker.wire.ledger import Approved, Owed, Refusal, Sort, Terms

if TYPE_CHECKING:
    from broker.model import Statement
    from broker.wire.ledger import Ledger, Result

# FETCH, EXECUTE, COMMIT with its deferred checks: they touch tables that they do not name.
LATER_READS = frozenset({"cursor", "execute", "other", "transaction"})
TRIES = 3  # a cancel of the client may hit our ROLLBACK
IN_PARTS = "a bounded write must be run whole: Execute without a row limit"
UNCLEAR = "a bounded write cannot follow messages that no Sync has ended yet"


def terms(verdict: Verdict, statement: Statement, *, tainted: bool) -> Terms:
    """What a verdict demands of a statement's rows."""
    actions = verdict.facts.actions
    later = not LATER_READS.isdisjoint(actions)
    most = None if verdict.impact is None else verdict.impact.max_affected
    undo = verdict.max_rows is not None and words.RETURNING.search(statement.text) is not None
    if undo:  # with a COMMIT of its own, it is the client's to undo
        undo = not WRITES.isdisjoint(actions) and "transaction" not in actions
    approved = None if most is None else Approved(statement, verdict.rule, verdict.review)
    return Terms(verdict.max_rows, tainted, later, most, undo, approved)


WRITES = frozenset({"insert", "update", "delete", "merge"})


class Stage(Enum):
    """Where a bounded Query stands."""

    BEGIN = "begin"
    RUN = "run"
    COMMIT = "commit"
    ROLLBACK = "rollback"


@dataclass(slots=True, eq=False)
class Guard:
    """One bounded Query on its way. `own`: in a transaction of ours."""

    frame: bytes
    result: Result
    own: bool
    stage: Stage
    failed: bool = False
    refusal: Refusal | None = None
    kept: bytes = b""  # its CommandComplete, until it is committed
    told: bytes = b""
    said: bool = False  # the refusal was delivered
    tries: int = 0


Next = tuple[bytes, Owed]


def first(ledger: Ledger, frame: bytes, demanded: Terms, text: str) -> Next | None:
    """The first message for a Query; None: a bounded one cannot be sent now."""
    result = ledger.result(demanded)
    cursors.go_on(ledger, text, result)
    made = _first(frame, result, ledger.status)
    if made is not None:
        cursors.begins(ledger, text, made[1])
    return made


def _first(frame: bytes, result: Result, status: str) -> Next | None:
    """At this transaction status: ``I``, ``T``, ``E``, or "" when it is not known."""
    if result.terms.max_affected is None and (not result.terms.undo or status != "I"):
        return frame, Owed(Sort.QUERY, result=result, barrier=True)
    if not status:
        return None
    guard = Guard(frame, result, own=status == "I", stage=Stage.RUN)
    if not guard.own:
        return frame, _owed(guard)
    guard.stage = Stage.BEGIN
    return messages.query("BEGIN"), _owed(guard)


def after(owed: Owed, status: str) -> Next | None:
    """What goes to the server now that `owed` is over; None: the client's turn."""
    guard = owed.guard
    if guard is None:
        # Its rows were cut off, yet the server had ended it before it could be stopped.
        return _spoil(owed) if owed.cut and status == "T" else None
    if not guard.own:
        undone = guard.refusal is not None or owed.cut
        return _spoil(owed) if undone and status == "T" else None
    if guard.stage is Stage.BEGIN:
        return None if guard.failed else _then(guard, Stage.RUN)
    if guard.stage is Stage.RUN:
        bad = guard.failed or owed.cut or guard.refusal is not None or not guard.kept
        return _then(guard, Stage.ROLLBACK if bad or status != "T" else Stage.COMMIT)
    if status == "I":
        return None
    guard.tries += 1
    if guard.tries == TRIES:
        msg = "the target did not end a transaction of ours"
        raise ProtocolError(msg)
    return _then(guard, Stage.ROLLBACK)


def _then(guard: Guard, stage: Stage) -> Next:
    guard.stage = stage
    sent = guard.frame if stage is Stage.RUN else messages.query(stage.name)
    return sent, _owed(guard)


def _owed(guard: Guard) -> Owed:
    return Owed(Sort.QUERY, result=guard.result, barrier=True, guard=guard)


def _spoil(owed: Owed) -> Next:
    """A statement that certainly fails, so that the transaction is a failed one, as was told."""
    again = Owed(Sort.QUERY, result=owed.result, barrier=True, told=True)
    return refusals.replacement(again, notices.TOO_MANY_ROWS, ""), again


def over(tag: bytes, result: Result) -> Undo | None:
    """Did the write change more rows than approved, by its CommandComplete? Then its refusal."""
    limit, approved = result.terms.max_affected, result.terms.approved
    if limit is None or approved is None:
        return None
    count = affected(tag)
    if count is not None and count <= limit:
        return None
    changed = "an unknown number of" if count is None else str(count)
    reason = f"undone: it changed {changed} rows, and at most {limit} were approved"
    verdict = Verdict(Answer.DENY, approved.rule, reason, review=approved.review)
    return Undo(approved.statement, verdict)


def refusal(undo: Undo) -> Refusal:
    """What the client is told of it."""
    text = f"interlock: {undo.verdict.reason} ({undo.verdict.rule})"
    return Refusal(notices.TOO_MANY_ROWS, text)


def affected(tag: bytes) -> int | None:
    """How many rows a CommandComplete counts: ``UPDATE 3``, ``INSERT 0 3``, ``COPY 3``."""
    words = tag.rstrip(b"\0").split()
    return int(words[-1]) if len(words) > 1 and words[-1].isdigit() else None
