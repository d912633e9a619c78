"""The life of one review: a table of states, and who may move it; pure.

    pending ──► approved ──► used (once)
       ├──────► denied
       ├──────► expired
       └──────► withdrawn

A review is bound to the exact bytes (by digest), the session, the target, the rule and the
configuration. Whether two identities are one person is judged by their names, subjects and what
the issuer vouches for; a person whom no claim ties to both is not recognised as one.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING

from broker.errors import Denied, UsageError
from broker.model import Impact

if TYPE_CHECKING:
    from datetime import datetime

    from broker.model import Identity


class State(Enum):
    """Where a review stands."""

    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    USED = "used"


_MOVES: dict[State, frozenset[State]] = {
    State.PENDING: frozenset({State.APPROVED, State.DENIED, State.EXPIRED, State.WITHDRAWN}),
    State.APPROVED: frozenset({State.USED}),
    State.DENIED: frozenset(),
    State.EXPIRED: frozenset(),
    State.WITHDRAWN: frozenset(),
    State.USED: frozenset(),
}


@dataclass(frozen=True, slots=True)
class Approval:
    """One person's yes."""

    by: Identity
    at: datetime
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Trial:
    """A dry run: how many rows it changed before it was rolled back, or why it was not made."""

    by: str
    at: datetime
    rows: int | None = None
    why_not: str = ""


@dataclass(frozen=True, slots=True)
class Review:
    """One statement that waits, or waited. `reason` is the rule's, `why` the requester's."""

    id: str
    session: str
    identity: Identity
    target: str
    rule: str
    reason: str
    statement: str
    digest: str
    asked: datetime
    expires: datetime
    approvers: tuple[str, ...]
    quorum: int = 1
    acting_for: str | None = None
    why: str = ""
    values: tuple[bytes | None, ...] = ()
    cwd: str | None = None
    config_hash: str = ""
    actions: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    touches: tuple[str, ...] = ()  # the files and hosts of a command line, with how
    approvals: tuple[Approval, ...] = ()
    state: State = State.PENDING
    closed_by: str | None = None
    closed_reason: str = ""
    closed_at: datetime | None = None
    impact: Impact = field(default_factory=Impact)
    trial: Trial | None = None  # the latest dry run


def answer(
    review: Review,
    by: Identity,
    *,
    approve: bool,
    reason: str,
    digest: str | None,
    now: datetime,
) -> Review:
    """The review after this person's answer; Denied or UsageError when they may not give it."""
    _check_open(review, now)
    if digest is not None and digest != review.digest:
        msg = f"the digest does not match: review {review.id} is of {review.digest}"
        raise UsageError(msg)
    _check_person(review, by, approve=approve)
    if not approve:
        return _closed(review, State.DENIED, now, by=by.name, reason=reason)
    given = replace(review, approvals=(*review.approvals, Approval(by, now, reason)))
    if len(given.approvals) < review.quorum:
        return given
    names = ", ".join(approval.by.name for approval in given.approvals)
    return _closed(given, State.APPROVED, now, by=names, reason=_reasons(given))


def expire(review: Review, now: datetime) -> Review:
    """The review when its time is over."""
    return _closed(review, State.EXPIRED, now)


def withdraw(review: Review, now: datetime, *, reason: str) -> Review:
    """The review when whoever asked is gone."""
    return _closed(review, State.WITHDRAWN, now, reason=reason)


def use(review: Review) -> Review:
    """The review when its statement may run: once."""
    return _moved(review, State.USED)


def is_over(review: Review, now: datetime) -> bool:
    """Has its time run out, whether or not anybody has noticed yet?"""
    return now >= review.expires


def may_answer(review: Review, by: Identity) -> bool:
    """Is this person among the approvers, and neither requester nor principal?"""
    return (
        by.is_one_of(review.approvers)
        and not _is_requester(review, by)
        and not _is_principal(review, by)
    )


def may_see(review: Review, by: Identity) -> bool:
    """May this person see the review: to answer it, or because it is their own or in their name?"""
    return by.is_one_of(review.approvers) or _is_requester(review, by) or _is_principal(review, by)


def _check_open(review: Review, now: datetime) -> None:
    if review.state is not State.PENDING:
        by = f" by {review.closed_by}" if review.closed_by else ""
        at = f" at {review.closed_at:%Y-%m-%d %H:%M:%S} UTC" if review.closed_at else ""
        msg = f"review {review.id} is already {review.state.value}{by}{at}"
        raise Denied(msg)
    if is_over(review, now):
        msg = f"review {review.id} expired at {review.expires:%Y-%m-%d %H:%M:%S} UTC"
        raise Denied(msg)


def _check_person(review: Review, by: Identity, *, approve: bool) -> None:
    if _is_requester(review, by):
        msg = f"review {review.id} is your own request; somebody else must answer it"
        raise Denied(msg)
    if _is_principal(review, by):
        msg = f"review {review.id} was asked in your name; somebody else must answer it"
        raise Denied(msg)
    if not by.is_one_of(review.approvers):
        msg = f"you are not among the approvers of review {review.id}"
        raise Denied(msg)
    # Who approved may still deny while others are asked: a second thought must count.
    if approve and any(_same_person(approval.by, by) for approval in review.approvals):
        msg = f"you have already approved review {review.id}; it needs {review.quorum} people"
        raise Denied(msg)


def _is_requester(review: Review, by: Identity) -> bool:
    return _same_person(review.identity, by)


def _is_principal(review: Review, by: Identity) -> bool:
    """Is `by` the person for whom the requester acts, or another hand of that person?"""
    acting_for = {_folded(name) for name in (review.acting_for, review.identity.acting_for) if name}
    acting_for.discard("")
    requester = {_folded(review.identity.name), _folded(review.identity.subject)}
    mine = {_folded(text) for text in (by.name, by.subject, *by.claims.values())}
    behind = {_folded(by.acting_for)} if by.acting_for else set()
    return not acting_for.isdisjoint(mine | behind) or not behind.isdisjoint(requester - {""})


def _same_person(one: Identity, other: Identity) -> bool:
    """One name is one person, whoever vouches for it; so is one subject, and one key."""
    subject = one.issuer == other.issuer and _folded(one.subject) == _folded(other.subject) != ""
    key = one.fingerprint == other.fingerprint != ""
    return subject or key or _folded(one.name) == _folded(other.name)


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold().strip()


def _reasons(review: Review) -> str:
    return "; ".join(approval.reason for approval in review.approvals if approval.reason)


def _closed(
    review: Review, state: State, now: datetime, *, by: str | None = None, reason: str = ""
) -> Review:
    moved = _moved(review, state)
    return replace(moved, closed_by=by, closed_reason=reason, closed_at=now)


def _moved(review: Review, state: State) -> Review:
    if state not in _MOVES[review.state]:
        msg = f"review {review.id} is {review.state.value}; it cannot become {state.value}"
        raise Denied(msg)
    return replace(review, state=state)
