"""The contract's JSON of a review."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from broker.model import Impact, Parameter
from broker.review.life import Trial
from broker.review.shapes import review_json, rfc3339, value_text
from tests.broker.review.test_life import answered, review
from tests.fakes import BOB


def test_the_contracts_members() -> None:
    shape = review_json(answered(replace(review(), values=(b"7", None)), reason="INC-7"))
    assert json.loads(json.dumps(shape)) == shape
    assert {name: shape[name] for name in list(shape)[:14]} == {
        "id": "7f3a00",
        "state": "approved",
        "session": "s1",
        "identity": "human:alice@example.com@corp",
        "acting_for": None,
        "target": "orders",
        "rule": "writes",
        "reason": "writes need two eyes",
        "statement": "DELETE FROM orders WHERE id = 1",
        "digest": review().digest,
        "asked": "2026-01-01T12:00:00Z",
        "expires": "2026-01-01T12:15:00Z",
        "approvals": [{"by": str(BOB), "at": "2026-01-01T12:01:00Z", "reason": "INC-7"}],
        "quorum": 1,
    }
    assert shape["values"] == ["7", None]
    assert (shape["closed"], shape["closed_by"]) == ("2026-01-01T12:01:00Z", BOB.name)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, None),
        (b"", ""),
        ("grüße".encode(), "grüße"),
        (b"\xff\x00", "\\xff00"),
        (b"\\xff00", "\\x5c7866663030"),
    ],
)
def test_different_values_never_look_the_same(value: bytes | None, text: str | None) -> None:
    assert value_text(value) == text


def test_times_are_utc() -> None:
    there = datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=2)))
    assert rfc3339(there) == "2025-12-31T23:00:00Z"
    assert rfc3339(datetime(2026, 1, 1, tzinfo=UTC)) == "2026-01-01T00:00:00Z"


def test_what_it_would_touch_comes_besides() -> None:
    known = (Parameter(23, binary=True), Parameter())
    impact = Impact(3, "", ("public.t: about 9 rows",), ("allow  BEGIN",), known, 14)
    trial = Trial("bob@example.com", review().asked, None, "its table has triggers")
    values = ((5).to_bytes(4, "big"), b"x")
    shape = review_json(replace(review(), values=values, impact=impact, trial=trial))
    assert json.loads(json.dumps(shape)) == shape
    assert (shape["values"], shape["types"]) == (["5", "x"], ["int4", None])
    assert shape["impact"] == {
        "rows": 3,
        "unknown": "",
        "sizes": ["public.t: about 9 rows"],
        "before": ["allow  BEGIN"],
        "max_affected": 14,
    }
    assert shape["dry_run"] == {
        "by": "bob@example.com",
        "at": "2026-01-01T12:00:00Z",
        "rows": None,
        "why_not": "its table has triggers",
    }
