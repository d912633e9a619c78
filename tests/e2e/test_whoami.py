"""`whoami`: who, for how long, and what may be done where, in words and for programs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.fixtures.demo import Demo

pytestmark = pytest.mark.peer


def test_in_words(demo: Demo) -> None:
    said = demo.ssh("broker@agent", "whoami").stdout
    assert "you are    agent:acme/shop@ci\n" in said
    assert "acting for alice@example.com\n" in said
    assert re.search(r"^until      \S+Z \(1?\d min left\)$", said, re.MULTILINE)
    assert "select, explain on public.* (max 10000 rows)" in said
    assert "never: update/delete without WHERE" in said


def test_a_program_can_plan_from_it(demo: Demo) -> None:
    told = demo.json("broker@agent", "whoami --json")
    assert 0 < told["expires_in_s"] <= 900
    assert told["session_ttl_s"] == 8 * 3600
    orders = next(target for target in told["targets"] if target["name"] == "orders")
    by_rule = {rule["rule"]: rule for rule in orders["rules"]}
    assert by_rule["agents-read"] == {
        "verdict": "allow",
        "rule": "agents-read",
        "reason": None,
        "actions": ["select", "explain"],
        "tables": ["public.*"],
        "max_rows": 10000,
    }
    assert by_rule["writes-need-two-eyes"]["verdict"] == "review"
    assert by_rule["writes-need-two-eyes"]["approvers"] == ["group:dba"]
    assert by_rule["no-unbounded-writes"]["unbounded"] is True
