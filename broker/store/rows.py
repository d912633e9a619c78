"""Identities, reviews and sessions as rows of the store, both ways; pure.

A statement is kept as the bytes that it is: text that came in as broken UTF-8 holds surrogates,
which SQLite would refuse. Times are ISO 8601 in UTC with microseconds, so that they sort.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from broker.model import Identity, Impact, Kind, Parameter
from broker.review.life import Approval, Review, State, Trial
from broker.store.records import SessionRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_LISTS = ("approvers", "actions", "tables", "commands")
_PLAIN = ("target", "rule", "reason", "why", "quorum", "acting_for", "cwd", "config_hash")


def session_row(record: SessionRecord) -> dict[str, Any]:
    """A session as the columns of its row."""
    return asdict(record) | {
        "started": time_text(record.started),
        "ended": _maybe_text(record.ended),
        "reason": _bytes(record.reason),
    }


def session_of(row: Mapping[str, Any]) -> SessionRecord:
    """The session in a row."""
    return SessionRecord(
        **dict(row)
        | {
            "started": _time(row["started"]),
            "ended": _maybe_time(row["ended"]),
            "reason": _text(row["reason"]),
        }
    )


def review_row(review: Review) -> dict[str, Any]:
    """A review as the columns of its row; its approvals have rows of their own."""
    body = {name: getattr(review, name) for name in (*_LISTS, *_PLAIN)}
    body["touches"] = review.touches
    body["impact"] = asdict(review.impact)
    trial = review.trial
    body["trial"] = None if trial is None else asdict(trial) | {"at": time_text(trial.at)}
    body["values"] = [None if value is None else value.hex() for value in review.values]
    return {
        "id": review.id,
        "session": review.session,
        "state": review.state.value,
        "asked": time_text(review.asked),
        "expires": time_text(review.expires),
        "digest": review.digest,
        "statement": _bytes(review.statement),
        "identity": identity_text(review.identity),
        "body": json.dumps(body),
        "closed_by": review.closed_by,
        "closed_reason": review.closed_reason,
        "closed_at": _maybe_text(review.closed_at),
    }


def review_of(row: Mapping[str, Any], approvals: Iterable[Mapping[str, Any]]) -> Review:
    """The review in a row and its approvals' rows."""
    body = json.loads(row["body"])
    rest: dict[str, Any] = {name: tuple(body[name]) for name in _LISTS}
    rest |= {name: body[name] for name in _PLAIN}
    return Review(
        id=row["id"],
        session=row["session"],
        state=State(row["state"]),
        asked=_time(row["asked"]),
        expires=_time(row["expires"]),
        digest=row["digest"],
        statement=_text(row["statement"]),
        identity=identity_of(row["identity"]),
        closed_by=row["closed_by"],
        closed_reason=row["closed_reason"],
        closed_at=_maybe_time(row["closed_at"]),
        values=tuple(None if value is None else bytes.fromhex(value) for value in body["values"]),
        touches=tuple(body.get("touches", ())),
        impact=_impact(body.get("impact") or {}),
        trial=_trial(body.get("trial")),
        approvals=tuple(
            Approval(identity_of(given["by"]), _time(given["at"]), given["reason"])
            for given in approvals
        ),
        **rest,
    )


def approval_row(review: Review, number: int) -> dict[str, Any]:
    """One of a review's approvals as the columns of its row."""
    given = review.approvals[number]
    return {
        "review": review.id,
        "n": number,
        "by": identity_text(given.by),
        "at": time_text(given.at),
        "reason": given.reason,
    }


def _impact(found: Mapping[str, Any]) -> Impact:
    """What was kept of it; a row of an older version has none."""
    before = found.get("before")
    return Impact(
        estimate=found.get("estimate"),
        unknown=found.get("unknown", ""),
        sizes=tuple(found.get("sizes", ())),
        before=None if before is None else tuple(before),
        parameters=tuple(Parameter(**each) for each in found.get("parameters", ())),
        max_affected=found.get("max_affected"),
    )


def _trial(found: Mapping[str, Any] | None) -> Trial | None:
    return None if found is None else Trial(**dict(found) | {"at": _time(found["at"])})


def identity_text(identity: Identity) -> str:
    """An identity with all that is known of it, as JSON."""
    fields = {name: getattr(identity, name) for name in Identity.__slots__}
    fields |= {
        "kind": identity.kind.value,
        "claims": dict(identity.claims),
        "expires": _maybe_text(identity.expires),
    }
    return json.dumps(fields, sort_keys=True)


def identity_of(text: str) -> Identity:
    """The identity in such JSON."""
    fields = json.loads(text)
    fields |= {
        "kind": Kind(fields["kind"]),
        "groups": tuple(fields["groups"]),
        "expires": _maybe_time(fields["expires"]),
    }
    return Identity(**fields)


def time_text(moment: datetime) -> str:
    """A moment as text that sorts."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _maybe_text(moment: datetime | None) -> str | None:
    return None if moment is None else time_text(moment)


def _maybe_time(text: str | None) -> datetime | None:
    return None if text is None else _time(text)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
