"""What `whoami --json` gives programs to plan from."""

from __future__ import annotations

import json
from datetime import timedelta

from broker.policy.plan import plan
from broker.policy.rules import Block, Rule
from tests.fakes import ALICE, BOB

RULES = (
    Rule(
        "mixed",
        ("group:engineers",),
        ("ord*",),
        allow=Block(actions=("select",), max_rows=10),
        review=Block(actions=("delete",), approvers=("group:dba",), expires=timedelta(minutes=5)),
    ),
    Rule("never", ("*",), ("*",), deny=Block(unbounded=True), reason="no WHERE"),
)


def test_each_block_that_concerns_the_identity_is_an_object() -> None:
    assert plan(RULES, ALICE, "orders") == [
        {
            "verdict": "allow",
            "rule": "mixed",
            "reason": None,
            "actions": ["select"],
            "max_rows": 10,
        },
        {
            "verdict": "review",
            "rule": "mixed",
            "reason": None,
            "actions": ["delete"],
            "approvers": ["group:dba"],
            "quorum": 1,
            "expires_s": 300,
        },
        {"verdict": "deny", "rule": "never", "reason": "no WHERE", "unbounded": True},
    ]


def test_what_does_not_concern_it_is_left_out_and_all_of_it_is_json() -> None:
    told = plan(RULES, BOB, "orders")
    assert [one["rule"] for one in told] == ["never"]
    assert json.loads(json.dumps(told)) == told
