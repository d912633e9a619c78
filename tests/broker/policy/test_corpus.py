"""The open corpora of evasions, as far as the judge alone can answer them.

A case passes when the verdict is at least as strict as expected, and `allow` cases when they are
allowed. What needs the wire, psql, the catalogue or the masker is in SKIPPED, each with its reason.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from broker.errors import Unparsable
from broker.model import Answer, Identity, Kind
from broker.policy.decide import decide
from broker.policy.rules import Block, Rule
from broker.policy.sql import facts, read
from broker.policy.sql.catalogue import Catalogue, Relation
from broker.policy.sql.resolve import resolve

CORPUS = Path(__file__).parents[2] / "corpus"
AGENT = Identity("bot", Kind.AGENT, "github", "s", groups=("ci",))
DBA = ("group:dba",)
WRITES = ("insert", "update", "delete", "merge", "truncate", "create", "alter", "drop", "do")


def allow(**fields: Any) -> Rule:
    return Rule("allowed", ("*",), ("*",), allow=Block(**fields))


def deny(**fields: Any) -> Rule:
    return Rule("denied", ("*",), ("*",), deny=Block(**fields))


def review(**fields: Any) -> Rule:
    return Rule("reviewed", ("*",), ("*",), review=Block(approvers=DBA, **fields))


READING = allow(actions=("select", "explain"), tables=("public.*",))
POLICIES: dict[str, list[Rule]] = {
    "ro": [READING],
    "any": [allow()],
    "no_secrets": [allow(actions=("select", "explain")), deny(tables=("*.secrets",))],
    "mask_email": [allow(actions=("select", "explain", "copy_to")), review(actions=WRITES)],
    "approve_writes": [READING, review(actions=WRITES)],
    "deny DROP TABLE": [allow(), deny(actions=("drop",), tables=("*",))],
    "deny DROP TABLE users": [allow(), deny(actions=("drop",), tables=("users",))],
    "deny destroy rows": [allow(), deny(actions=("delete", "truncate", "drop"))],
    "deny DELETE/UPDATE without WHERE": [
        allow(),
        deny(actions=("update", "delete"), unbounded=True),
    ],
    "read-only": [READING],
    "mask email": [allow(actions=("select", "explain", "copy_to")), review(actions=WRITES)],
    "session identity and guards are fixed": [allow()],
    "per-session limits": [allow()],
    "no server file, program or network access": [allow()],
    "no psql shell or file meta-commands": [allow()],
}

WIRE = "a sequence of protocol messages: tests/e2e/test_attacks_sql.py and the wire's tests"
STARTUP = "the start-up packet: tests/e2e/test_attacks_sql.py"
PSQL = "psql takes its input apart before the wire sees it: tests/e2e/test_attacks_sql.py"
MASK = "the column decides, not the verdict: tests/broker/postgres/test_masked_columns.py"

_SKIPPED = {
    WIRE: """binary-format ext-parse-fails-old-stays ext-pipeline-after-deny ext-reuse-name
        ext-sql-prepare-protocol-bind fastpath lex-nul lex-scs-off pw-002 pw-004 pw-005 pw-007
        pw-014 pw-015 pw-020 pw-022 ssl-inject""",
    STARTUP: """lex-client-encoding-startup lex-scs-off-startup startup-options pw-008 pw-009 pw-010
        pw-011""",
    PSQL: """pg-010 pg-038 pg-039 pg-040 pg-041 pg-044 pg-048 pg-051 pg-052 pg-055 pg-056 pg-058
        pg-060 pg-061 pg-062 pg-064 pg-159 psql-backtick psql-bang psql-c-connect psql-colon-quote
        psql-copy-program psql-g-file psql-g-pipe psql-gset-var psql-i psql-if psql-o-pipe""",
    MASK: "infer-explain infer-group-by pg-162 pg-164 pg-165 pg-169 pg-171 pg-172",
    "what is behind a view is in the target's catalogue; see below": "pg-103 view-hides-table",
    "only the planner's estimate and a time limit can tell": "generate-series-dos",
}
SKIPPED = {case: reason for reason, cases in _SKIPPED.items() for case in cases.split()}
IN_A_LITERAL = {"pg-015", "pg-069"}  # their backslash is data, and no word to psql

REFUSED_RATHER = {"constraint-error-leak", "pg-153", "pg-156", "raise-notice-leak", "returning"}
"""The corpus says `mask`, and under these policies the statement needs a review at least."""


def _load(name: str) -> list[dict[str, Any]]:
    cases: list[dict[str, Any]] = yaml.safe_load((CORPUS / name).read_text())["cases"]
    return cases


def _cases() -> dict[str, tuple[str, str | None, str]]:
    """By id: the policy, the SQL text when the case is one, and what is expected of it."""
    found: dict[str, tuple[str, str | None, str]] = {}
    for case in _load("sql_evasions.yaml"):
        found[case["id"]] = (case["policy"], case.get("sql"), case["expect"])
    for case in _load("evasions.yaml"):
        if case["channel"] == "psql":
            plain = "\\" not in case["input"] or case["id"] in IN_A_LITERAL
            text = case["input"] if plain else None
            found[case["id"]] = (case["policy"], text, case["verdict"])
        elif case["channel"] == "pgwire":
            found[case["id"]] = (case["policy"], None, case["verdict"])
    return found


CASES = _cases()
JUDGED = sorted(each for each in CASES if each not in SKIPPED)


def verdict(policy: str, text: str) -> Answer:
    try:
        return decide(POLICIES[policy], AGENT, "orders", facts(text)).answer
    except Unparsable:
        return Answer.DENY


@pytest.mark.parametrize("case", JUDGED)
def test_no_evasion_gets_past_the_judge(case: str) -> None:
    policy, text, expected = CASES[case]
    assert text is not None, "not an SQL text: give the reason in SKIPPED"
    answer = verdict(policy, text)
    match expected:
        case "deny":
            assert answer is Answer.DENY
        case "approve" | "review":
            assert answer in {Answer.DENY, Answer.REVIEW}
        case "allow":
            assert answer is Answer.ALLOW
        case "mask" if case in REFUSED_RATHER:
            assert answer in {Answer.DENY, Answer.REVIEW}
        case _:
            assert answer is Answer.ALLOW


HIDDEN = {"view-hides-table": " SELECT * FROM app.secrets;", "pg-103": " SELECT app.del(1);"}


@pytest.mark.parametrize("case", sorted(HIDDEN))
def test_no_view_hides_what_it_does(case: str) -> None:
    """What the case's `setup` says, as a catalogue."""
    policy, text, expected = CASES[case]
    assert text is not None
    assert expected in {"deny", "review"}
    name = text.rstrip("; \n").rpartition(" ")[2]
    relations = {f"public.{name}": Relation("v", HIDDEN[case]), "app.secrets": Relation()}
    found = resolve(read(text), Catalogue("1", relations))
    assert decide(POLICIES[policy], AGENT, "orders", found).answer is not Answer.ALLOW


def test_the_table_of_skipped_cases_is_not_stale() -> None:
    assert set(SKIPPED) <= set(CASES)
    assert set(CASES) >= REFUSED_RATHER
    assert len(JUDGED) == 129
