"""A review as the JSON object that programs and screens get; pure."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from broker.events import Json
    from broker.review.life import Review


def review_json(review: Review) -> dict[str, Json]:
    """The contract's members, then what an approver must see besides to decide."""
    return {
        "id": review.id,
        "state": review.state.value,
        "session": review.session,
        "identity": str(review.identity),
        "acting_for": review.acting_for,
        "target": review.target,
        "rule": review.rule,
        "reason": review.reason,
        "statement": review.statement,
        "digest": review.digest,
        "asked": rfc3339(review.asked),
        "expires": rfc3339(review.expires),
        "approvals": [
            {"by": str(given.by), "at": rfc3339(given.at), "reason": given.reason}
            for given in review.approvals
        ],
        "quorum": review.quorum,
        "approvers": list(review.approvers),
        "claims": dict(review.identity.claims),
        "why": review.why,
        "values": [value_text(value) for value in review.values],
        "cwd": review.cwd,
        "actions": list(review.actions),
        "tables": list(review.tables),
        "commands": list(review.commands),
        "closed": None if review.closed_at is None else rfc3339(review.closed_at),
        "closed_by": review.closed_by,
        "closed_reason": review.closed_reason,
    }


def value_text(value: bytes | None) -> str | None:
    """A bound value so that two different ones never look the same: text, or ``\\x`` and hex."""
    if value is None:
        return None
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return "\\x" + value.hex()
    return "\\x" + value.hex() if text.startswith("\\x") else text


def rfc3339(moment: datetime) -> str:
    """A moment in UTC, to the second: ``2026-01-01T00:00:00Z``."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
