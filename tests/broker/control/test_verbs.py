"""The words of `ssh broker@broker VERB...` as stock ssh sends them: joined, unquoted once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.control import verbs
from broker.errors import UsageError


@pytest.mark.parametrize(
    ("command", "target", "statement", "json"),
    [
        (
            "check orders DELETE FROM t WHERE a = 'x'",
            "orders",
            "DELETE FROM t WHERE a = 'x'",
            False,
        ),
        ("check orders 'SELECT 1'", "orders", "SELECT 1", False),
        ("check --json orders SELECT 1", "orders", "SELECT 1", True),
        ("check orders SELECT 1 --json", "orders", "SELECT 1", True),
        ("check orders --json SELECT 1", "orders", "SELECT 1", True),
        ("check orders --json\nSELECT 1", "orders", "--json\nSELECT 1", False),
        ("check orders 'a' 'b'", "orders", "'a' 'b'", False),
        ("check orders", "orders", None, False),
        ("check orders --json", "orders", None, True),
        ("check box it's", "box", "it's", False),
        ("check box 'unfinished", "box", "'unfinished", False),
        ("check orders SELECT 1\n; SELECT 2", "orders", "SELECT 1\n; SELECT 2", False),
    ],
)
def test_a_statement_is_the_rest_of_the_line(
    command: str, target: str, statement: str | None, json: bool
) -> None:
    words = verbs.parse(command)
    assert (words.verb, words.target, words.statement, words.json) == (
        *("check", target),
        statement,
        json,
    )


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("deny 7f3a --reason 'not now'", "not now"),
        ("deny 7f3a --reason not during the sale", "not during the sale"),
        ("deny 7f3a --reason don't do it", "don't do it"),
        ("deny --reason no 7f3a", None),
        ("approve 7f3a", ""),
        ("approve 7f3a --reason INC-1 --digest sha256:00", "INC-1"),
    ],
)
def test_a_reason_is_words(command: str, reason: str | None) -> None:
    if reason is None:
        with pytest.raises(UsageError):
            verbs.parse(command)
        return
    words = verbs.parse(command)
    assert (words.id, words.reason) == ("7f3a", reason)


def test_a_dry_run_names_one_review() -> None:
    assert (verbs.parse("dry-run 7f3a").verb, verbs.parse("dry-run 7f3a --json").json) == (
        "dry-run",
        True,
    )
    with pytest.raises(UsageError):
        verbs.parse("dry-run")


IMPACT = {"rows": 3, "unknown": "", "sizes": ["t: 9 rows"], "before": None, "max_affected": 14}


@pytest.mark.parametrize(
    ("card", "told"),
    [
        ({"impact": IMPACT}, "about 3 by the planner; undone beyond 14; t: 9 rows"),
        (
            {"impact": IMPACT | {"rows": None, "unknown": "too late", "max_affected": None}},
            "no estimate: too late; t: 9 rows",
        ),
        (
            {"impact": None, "dry_run": {"rows": 4, "by": "bob", "at": "noon", "why_not": ""}},
            "exactly 4 in a dry run by bob at noon, rolled back",
        ),
        (
            {"impact": None, "dry_run": {"rows": None, "by": "b", "at": "t", "why_not": "rules"}},
            "no dry run: rules",
        ),
    ],
)
def test_what_is_known_of_its_rows(card: dict[str, object], told: str) -> None:
    assert verbs.rows(card) == told


@pytest.mark.parametrize(
    "command", ["", "  ", "frobnicate", "show", "whoami extra", "--help", "check", "deny 7f3a"]
)
def test_anything_else_is_a_sentence(command: str) -> None:
    with pytest.raises(UsageError, match="The verbs are"):
        verbs.parse(command)


@given(st.text(max_size=60))
def test_no_command_is_a_traceback(command: str) -> None:
    try:
        verbs.parse(command)
    except UsageError:
        return


def test_text_from_others_is_shown_and_not_obeyed() -> None:
    card = {
        **dict.fromkeys(("id", "state", "identity", "target", "rule", "reason", "digest"), "x"),
        "asked": "t",
        "expires": "t",
        "quorum": 1,
        "approvals": [],
        "statement": "SELECT '\x1b]0;PWNED\x07\u202e'",
    }
    shown = verbs.safe(verbs.show([card]))
    assert "\x1b" not in shown
    assert "⟨1B⟩" in shown
    assert "\u202e" not in shown
