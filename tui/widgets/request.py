"""The card of one request: who asks, where, why, what it would touch, which rule stopped it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui import text, theme
from tui.link import ago
from tui.people import person
from tui.widgets.queue import verbs

if TYPE_CHECKING:
    from datetime import datetime

    from textual.content import Content

    from broker.control.client import Review

LABEL = 9  # cells of the words on the left


def card(review: Review, now: datetime | None, width: int) -> Content:
    """The card. Each line is cut to `width`; nothing a statement says can make another line."""
    rows = [
        ("who", _who(review)),
        *([("claims", _claims(review))] if review.claims else []),
        ("where", _where(review)),
        ("why", text.safe(f'"{review.why}"') if review.why else text.safe("not said")),
        ("does", _does(review)),
        *([("touches", text.safe("; ".join(review.touches)))] if review.touches else []),
        *([("rows", _rows(review))] if review.impact is not None and not review.touches else []),
        ("rule", _rule(review, now)),
        ("", text.safe(review.reason, theme.QUIET)),
    ]
    if not review.can_answer:
        rows.append(("note", text.safe(review.why_not or "not yours to answer", theme.WARNING)))
    return text.lines(text.cut(_labelled(label, shown), width) for label, shown in rows)


def before(review: Review, width: int) -> Content:
    """What came before it in the same transaction, or else in the same session."""
    impact = review.impact
    if impact is not None and impact.before is not None:
        count = len(impact.before)
        told = "nothing yet" if not count else f"{count} before it, below the statement"
        shown = text.safe(f"in a transaction: {told}", theme.WARNING if count else "")
        return text.cut(_labelled("before", shown), width)
    earlier = text.joined([text.safe(one) for one in review.before], " · ")
    return text.cut(_labelled("before", earlier if review.before else text.safe("nothing")), width)


def ended(review: Review) -> str:
    """What became of a review, in a sentence: who and when."""
    by = person(review.closed_by).name if review.closed_by else ""
    if not by and review.approvals:
        by = " and ".join(person(approval.by).name for approval in review.approvals)
    words = {
        "pending": "waits on",
        "approved": "was approved",
        "used": "was approved and has run",
        "denied": "was denied",
        "expired": "expired",
        "withdrawn": "was withdrawn",
    }.get(review.state, f"is {review.state}")
    at = review.closed_at or (review.approvals[-1].at if review.approvals else "")
    clock = f" at {at[11:16]} UTC" if len(at) >= 16 else ""
    reason = f": {review.closed_reason}" if review.closed_reason else ""
    whose = f"{review.id} ({person(review.identity).name})"
    return f"{whose} {words}{f' by {by}' if by else ''}{clock}{reason}"


def _labelled(label: str, shown: Content) -> Content:
    return text.joined([text.safe(f" {label:<{LABEL - 1}}", theme.QUIET), shown])


def _who(review: Review) -> Content:
    who = person(review.identity)
    parts = [
        text.safe(who.name, theme.STRONG),
        text.safe(f"{who.kind} of {who.issuer}" if who.issuer else who.kind),
    ]
    if review.acting_for:
        parts.append(text.safe(f"acting for {review.acting_for}"))
    if review.source:
        parts.append(text.safe(f"from {review.source}"))
    return text.joined(parts, "   ")


def _claims(review: Review) -> Content:
    """What the issuer proved besides, such as the run of a job."""
    return text.joined([text.safe(f"{name} {value}") for name, value in review.claims], "   ")


def _where(review: Review) -> Content:
    parts = [text.safe(review.target, theme.STRONG)]
    if review.cwd:
        parts.append(text.safe(f"in {review.cwd}"))
    parts.append(text.safe(f"session {review.session}", theme.QUIET))
    return text.joined(parts, "   ")


def _does(review: Review) -> Content:
    if review.language == "sql":
        on = f" on {', '.join(review.tables)}" if review.tables else ""
        return text.safe(f"{verbs(review)}{on}", theme.STRONG)
    return text.safe("; ".join(review.commands) or verbs(review), theme.STRONG)


def _rows(review: Review) -> Content:
    """How much it would touch; what decides comes first, for the line is cut."""
    impact, trial = review.impact, review.dry_run
    if impact is None:
        return text.EMPTY
    exact = trial.rows if trial is not None else None
    if exact is not None:
        parts = [text.safe(f"exactly {exact} in a dry run", theme.STRONG)]
    elif impact.rows is not None:
        parts = [text.safe(f"about {impact.rows}", theme.STRONG)]
    else:
        parts = [text.safe("not estimated", theme.WARNING)]
    if impact.max_affected is not None:
        parts.append(text.safe(f"undone beyond {impact.max_affected}"))
    if trial is not None and trial.why_not:
        parts.append(text.safe(f"no dry run: {trial.why_not}", theme.WARNING))
    elif exact is None and impact.unknown:
        parts.append(text.safe(impact.unknown))
    parts += [text.safe(size, theme.QUIET) for size in impact.sizes]
    return text.joined(parts, "   ")


def _rule(review: Review, now: datetime | None) -> Content:
    need = f"{len(review.approvals)} of {review.quorum} approved"
    if review.approvals:
        need += f" ({', '.join(person(one.by).name for one in review.approvals)})"
    asked = text.safe(f"asked {ago(review.asked, now)}" if now else "")
    return text.joined([text.safe(review.rule), text.safe(need), asked], "   ")
