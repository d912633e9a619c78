"""What the person is told about a verdict: one sentence, or one JSON object a line for agents."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from broker.model import Answer

if TYPE_CHECKING:
    from broker.model import Statement, Verdict

PREFIX = "interlock: "


def visible(text: str) -> str:
    """Text from others with control and invisible characters shown, not obeyed."""
    return "".join(c if c in "\n\t" or c.isprintable() else f"⟨{ord(c):02X}⟩" for c in text)


def rfc3339(moment: datetime) -> str:
    """A moment as RFC 3339 in UTC, to the second: ``2026-01-01T00:00:00Z``."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def refusal(verdict: Verdict) -> str:
    """One sentence for a refused statement, without the line end."""
    if verdict.unparsable:
        return f"{PREFIX}not understood, so not sent: {visible(verdict.reason)}"
    if verdict.expired:
        return f"{PREFIX}not sent: {visible(verdict.reason)} ({verdict.rule})"
    if verdict.review is not None:
        return f"{PREFIX}{visible(verdict.reason)} ({verdict.rule})"
    return f"{PREFIX}denied by {verdict.rule}: {visible(verdict.reason)}"


def waiting(verdict: Verdict, review: str, expires: datetime, now: datetime) -> str:
    """One sentence for a statement that waits: for whom, for how long, and under which id."""
    left = max(0, int((expires - now).total_seconds()))
    who = ", ".join(verdict.approvers) or "nobody"
    need = f"{verdict.quorum} of " if verdict.quorum > 1 else ""
    return (
        f"{PREFIX}waiting for approval ({verdict.rule}), review {review}: asking {need}{who}; "
        f"{left // 60}:{left % 60:02d} left"
    )


def as_json(
    statement: Statement,
    verdict: Verdict,
    *,
    review: str | None = None,
    expires: datetime | None = None,
) -> str:
    """The contract's JSON object for a refusal or a wait, on one line, without the line end."""
    told: dict[str, object] = {
        "interlock": 1,
        "verdict": verdict.answer.value,
        "rule": verdict.rule,
        "reason": verdict.reason,
        "statement": statement.text,
        "digest": statement.digest,
        "review": review or verdict.review,
    }
    if verdict.answer is Answer.REVIEW and expires is not None:
        told["expires"] = rfc3339(expires)
    return json.dumps(told, ensure_ascii=True)
