from __future__ import annotations

import pytest

from broker.mask.columns import resolve_columns
from broker.mask.rules import Style

CATALOGUE = [
    (100, 1, "public", "customers", "id"),
    (100, 2, "public", "customers", "email"),
    (100, 3, "public", "customers", "ssn"),
    (200, 5, "hr", "people", "ssn"),
    (300, 1, "odd.name", "t", "ssn"),
]


def test_patterns_name_columns_part_by_part() -> None:
    rules = {"orders:public.customers.email": Style.PARTIAL, "orders:*.*.ssn": Style.REDACT}
    assert resolve_columns(rules, "orders", CATALOGUE) == {
        (100, 2): Style.PARTIAL,
        (100, 3): Style.REDACT,
        (200, 5): Style.REDACT,
        (300, 1): Style.REDACT,
    }


def test_rules_of_other_targets_do_not_count() -> None:
    assert resolve_columns({"orders:*.*.*": Style.REDACT}, "orders2", CATALOGUE) == {}
    assert resolve_columns({"ord*:hr.*.*": Style.REDACT}, "orders", CATALOGUE) == {
        (200, 5): Style.REDACT
    }


def test_the_strictest_of_several_patterns_wins_in_any_order() -> None:
    pairs = [
        ("orders:*.*.ssn", Style.PARTIAL),
        ("*:hr.*.*", Style.PSEUDONYM),
        ("*:hr.people.*", Style.REDACT),
    ]
    for rules in (dict(pairs), dict(reversed(pairs))):
        assert resolve_columns(rules, "orders", CATALOGUE)[200, 5] is Style.REDACT
    assert resolve_columns(dict(pairs[:2]), "orders", CATALOGUE)[200, 5] is Style.PSEUDONYM


@pytest.mark.parametrize(
    "pattern", ["orders", "orders:ssn", "orders:a.b", "a.b.c", ":a.b.c", "o:a..c", "o:a.b.c.d"]
)
def test_a_pattern_that_cannot_be_read_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="not a target"):
        resolve_columns({pattern: Style.REDACT}, "orders", CATALOGUE)
