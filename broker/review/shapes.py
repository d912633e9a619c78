"""A review as the JSON object that programs and screens get; pure."""

from __future__ import annotations

from datetime import UTC
from itertools import zip_longest
from typing import TYPE_CHECKING

from broker.model import Parameter
from broker.wire import values

if TYPE_CHECKING:
    from datetime import datetime

    from broker.events import Json
    from broker.model import Impact
    from broker.review.life import Review, Trial


def review_json(review: Review) -> dict[str, Json]:
    """The contract's members, then what an approver must see besides to decide."""
    known = review.impact.parameters[: len(review.values)]
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
        "values": [value_text(*pair) for pair in zip_longest(review.values, known)],
        "types": [None if each is None else values.kind(each) for each in known],
        "impact": _impact_json(review.impact),
        "dry_run": None if review.trial is None else trial_json(review.trial),
        "cwd": review.cwd,
        "actions": list(review.actions),
        "tables": list(review.tables),
        "commands": list(review.commands),
        "touches": list(review.touches),
        "closed": None if review.closed_at is None else rfc3339(review.closed_at),
        "closed_by": review.closed_by,
        "closed_reason": review.closed_reason,
    }


def _impact_json(impact: Impact) -> dict[str, Json]:
    """`rows` is the planner's estimate; `before` what ran in its transaction, null outside."""
    return {
        "rows": impact.estimate,
        "unknown": impact.unknown,
        "sizes": list(impact.sizes),
        "before": None if impact.before is None else list(impact.before),
        "max_affected": impact.max_affected,
    }


def trial_json(trial: Trial) -> dict[str, Json]:
    """A dry run: `rows` is exact; null when `why_not` says why it was not made."""
    return {
        "by": trial.by,
        "at": rfc3339(trial.at),
        "rows": trial.rows,
        "why_not": trial.why_not,
    }


def value_text(value: bytes | None, known: Parameter | None = None) -> str | None:
    """A bound value so that two different ones never look the same; None is NULL."""
    return None if value is None else values.readable(value, known or Parameter())


def rfc3339(moment: datetime) -> str:
    """A moment in UTC, to the second: ``2026-01-01T00:00:00Z``."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
