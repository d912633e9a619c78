"""Answers as typed values: the contract's members must be there and be what they say."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from broker.control import results
from broker.errors import ProtocolError
from recordings.asciicast import Event

CARD: dict[str, Any] = {
    "id": "7f3a",
    "state": "pending",
    "session": "s1",
    "identity": "human:alice@corp",
    "acting_for": None,
    "target": "orders",
    "rule": "writes",
    "reason": "two eyes",
    "statement": "DELETE FROM t",
    "digest": "sha256:00",
    "asked": "2026-01-01T12:00:00Z",
    "expires": "2026-01-01T14:15:00+02:00",
    "approvals": [{"by": "human:bob@corp", "at": "2026-01-01T12:00:01Z", "reason": None}],
    "quorum": 2,
}


def test_a_card_with_the_contracts_members_alone_may_not_be_answered() -> None:
    review = results.review(CARD | {"newer": [1]})
    assert review.expires == datetime(2026, 1, 1, 12, 15, tzinfo=UTC)
    assert review.approvals == (results.Approval("human:bob@corp", "2026-01-01T12:00:01Z", ""),)
    assert review.can_answer is False


def test_the_claims_are_told_in_order() -> None:
    told = results.review(CARD | {"claims": {"run_id": "77", "ref": "main"}})
    assert told.claims == (("ref", "main"), ("run_id", "77"))
    for wrong in ({"a": 1}, ["a"], "a"):
        with pytest.raises(ProtocolError):
            results.review(CARD | {"claims": wrong})


@pytest.mark.parametrize("missing", sorted(CARD.keys() - {"acting_for"}))
def test_a_card_without_a_member_is_refused(missing: str) -> None:
    with pytest.raises(ProtocolError):
        results.review({key: value for key, value in CARD.items() if key != missing})


@pytest.mark.parametrize(
    "wrong",
    [
        {"statement": None},
        {"statement": ["DELETE"]},
        {"quorum": "2"},
        {"quorum": True},
        {"quorum": -1},
        {"asked": "yesterday"},
        {"asked": "2026-01-01T12:00:00"},
        {"can_answer": "yes"},
        {"values": [1]},
        {"tables": [None]},
        {"approvals": {}},
        {"approvals": [[]]},
        {"impact": []},
        {"impact": {"rows": "3"}},
        {"dry_run": {"by": "bob", "at": "t", "rows": -1}},
    ],
)
def test_a_card_with_a_member_of_another_kind_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError):
        results.review(CARD | wrong)


@pytest.mark.parametrize(
    ("facts", "language"),
    [
        ({"actions": ["delete"]}, "sql"),
        ({"commands": ["ls"], "actions": ["exec"]}, "shell"),
        ({}, "text"),
        ({"language": "sql"}, "sql"),
    ],
)
def test_the_language_is_told_or_follows_from_what_it_does(
    facts: dict[str, Any], language: str
) -> None:
    assert results.review(CARD | facts).language == language


def test_what_it_would_touch() -> None:
    impact = {"rows": 3, "unknown": "", "sizes": ["t"], "before": [], "max_affected": None}
    trial = {"by": "bob", "at": "t", "rows": None, "why_not": "rules"}
    found = results.review(CARD | {"impact": impact, "dry_run": trial, "types": ["int4", None]})
    assert found.impact == results.Impact(3, "", ("t",), (), None)
    assert found.dry_run == results.DryRun("bob", "t", None, "rules")
    assert found.types == ("int4", None)


def test_a_page() -> None:
    told = {"header": {"width": 100, "height": 30}, "events": [[0, "o", "hi"]], "next": 5}
    assert results.page(told) == results.Page((Event(0.0, "o", "hi"),), 5, 100, 30)
    assert results.page({"header": None, "events": [], "next": None}).next is None


@pytest.mark.parametrize(
    "event", [[True, "o", "x"], ["0", "o", "x"], [0, "o"], [0, 1, "x"], [-1, "o", "x"], {}, [1e300]]
)
def test_a_page_with_something_else_than_events_is_refused(event: object) -> None:
    with pytest.raises(ProtocolError):
        results.page({"header": None, "events": [event], "next": None})


def test_a_session_that_runs_has_no_end() -> None:
    told = {
        "id": "s1",
        "identity": "human:alice@corp",
        "acting_for": None,
        "target": "orders",
        "kind": "postgres",
        "started": "2026-01-01T12:00:00Z",
        "ended": None,
        "status": "running",
        "recording": None,
    }
    (session,) = results.sessions([told])
    assert session.ended is None
    with pytest.raises(ProtocolError):
        results.sessions(told)
