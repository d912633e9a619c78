"""`max_affected`: a number, an estimate, or a mistake that is told."""

from __future__ import annotations

import pytest

from broker.config.affected import Affected
from broker.config.shapes import BAD
from broker.config.source import Problems, Scalar
from broker.model import AffectedBound


@pytest.mark.parametrize(
    ("text", "kind", "bound"),
    [
        ("500", "int", AffectedBound(most=500)),
        ("0", "int", AffectedBound(most=0)),
        ("estimate", "str", AffectedBound(tenths=11)),
        ("estimate*3", "str", AffectedBound(tenths=30)),
    ],
)
def test_what_it_may_be(text: str, kind: str, bound: AffectedBound) -> None:
    problems = Problems("f")
    assert Affected().check(Scalar(text, kind, 1), "p", problems) == bound
    assert not problems.found


@pytest.mark.parametrize(
    ("text", "kind"),
    [("-1", "int"), ("1.5", "float"), ("estimate*0", "str"), ("estimat", "str"), ("", "null")],
)
def test_what_it_may_not_be(text: str, kind: str) -> None:
    problems = Problems("f")
    assert Affected().check(Scalar(text, kind, 1), "p", problems) is BAD
    assert len(problems.found) == 1


@pytest.mark.parametrize(
    ("bound", "estimate", "rows", "told"),
    [
        (AffectedBound(most=5), None, 5, "5"),
        (AffectedBound(tenths=11), 100, 120, "estimate x1.1"),
        (AffectedBound(tenths=11), 1, 12, "estimate x1.1"),
        (AffectedBound(tenths=11), None, None, "estimate x1.1"),
        (AffectedBound(50, 20), 100, 50, "50 and estimate x2"),
        (AffectedBound(50, 20), None, None, "50 and estimate x2"),
    ],
)
def test_the_rows_that_it_comes_to(
    bound: AffectedBound, estimate: int | None, rows: int | None, told: str
) -> None:
    assert bound.rows(estimate) == rows
    assert str(bound) == told
