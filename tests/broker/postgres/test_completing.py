"""Completion offers what the rules permit, where it fits."""

from __future__ import annotations

import pytest

from broker.gate import Gate
from broker.policy.judge import judge
from broker.policy.rules import Block, Rule
from broker.postgres.completing import Completer, permitted_by
from broker.postgres.known import Names
from tests.broker.shell.fakes import PARSER
from tests.fakes import ALICE, FakeAudit, FakeMask, FakeRecorder, FakeReviews, Journal, session

NAMES = Names(
    {
        ("public", "orders"): ("id", "email", "placed_at"),
        ("public", "order_items"): ("order_id", "Product Name"),
        ("public", "refunds"): ("id", "amount"),
        ("public", "salaries"): ("person", "euro"),
        ("public", "secret_plans"): ("plan",),
        ("billing", "invoices"): ("number", "total"),
        ("hr", "reviews"): ("grade",),
        ("public", "Odd Table"): ("x",),
    }
)
RULES = (
    Rule(
        "read",
        ("*",),
        ("*",),
        allow=Block(actions=("select",), tables=("public.*", "billing.*")),
    ),
    Rule("not-pay", ("*",), ("*",), deny=Block(tables=("public.salaries",))),
    Rule(
        "held",
        ("*",),
        ("*",),
        review=Block(actions=("insert",), tables=("hr.*",), approvers=("group:hr",)),
    ),
)


@pytest.fixture
def completer() -> Completer:
    journal = Journal()
    gate = Gate(
        session(),
        judge=lambda statement: judge(RULES, ALICE, "orders", statement, PARSER),
        reviews=FakeReviews(journal),
        audit=FakeAudit(journal),
        recorder=FakeRecorder(journal),
        new_mask=lambda: FakeMask(journal),
        redact=lambda text: text.replace("secret", "******"),
    )
    made = Completer(NAMES, permitted_by(gate))
    assert journal.happened == []
    return made


@pytest.mark.parametrize(
    ("before", "word", "candidates"),
    [
        ("SELECT * FROM ord", "ord", ("order_items", "orders")),
        ("select * from orders o join ref", "ref", ("refunds",)),
        ("insert into ", "", None),
        ("select o.em", "em", ()),
        ("update orders o set x = o.em", "em", ("email",)),
        ("select * from orders o where o.", "", ("email", "id", "placed_at")),
        ("select * from billing.", "", ("invoices",)),
        ("select * from billing.inv", "inv", ("invoices",)),
        ("select * from order_items where prod", "prod", ('"Product Name"',)),
        ("select * from odd", "odd", ('"Odd Table"',)),
        ("SELEC", "SELEC", ("SELECT",)),
        ("selec", "selec", ("select",)),
        ("\\dt", "\\dt", ("\\dt", "\\dt+")),
        ("\\ti", "\\ti", ("\\timing",)),
        ("\\d ref", "ref", ("refunds",)),
        ("select 'ord", "", ()),
        ("select 1 -- ord", "", ()),
        ("select * from sal", "sal", ()),
        ("select * from salaries where pers", "pers", ()),
        ("select * from secret", "secret", ()),
        ("select * from pg_cl", "pg_cl", ()),
    ],
)
def test_what_fits(
    completer: Completer, before: str, word: str, candidates: tuple[str, ...] | None
) -> None:
    found = completer(before)
    assert found.word == word
    if candidates is not None:
        assert found.candidates == candidates


def test_only_what_is_permitted_is_offered(completer: Completer) -> None:
    offered = completer("select * from ").candidates
    assert "hr.reviews" in offered, "after a review it may be changed"
    assert "billing.invoices" in offered
    assert "salaries" not in offered
    assert "secret_plans" not in offered, "a name that a mask would hide"
    assert "euro" not in completer("select eu").candidates
    assert "email" in completer("select em").candidates


def test_without_names_keywords_are_left() -> None:
    completer = Completer(Names(), lambda *_: True)
    assert completer("select * from o").candidates == ()
    assert completer("sel").candidates == ("select",)


@pytest.mark.parametrize(
    "hostile", ['"' * 5000, "." * 5000, "from a," * 2000, "$" * 9000, "\\" * 99]
)
def test_hostile_text_takes_no_time(completer: Completer, hostile: str) -> None:
    completer(hostile)
