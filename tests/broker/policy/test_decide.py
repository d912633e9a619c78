"""The decision: deny beats review beats allow, every part needs a rule, no rule means no."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.model import AffectedBound, Answer, Facts, Identity, Kind, Part, Verdict
from broker.policy.decide import decide
from broker.policy.rules import Block, Rule
from broker.policy.sql import facts

CI = Identity("bot", Kind.AGENT, "github", "s", groups=("ci",), claims={"ref": "refs/heads/main"})
DBA = ("group:dba",)


def allow(name: str = "may", **fields: Any) -> Rule:
    return Rule(name, ("group:ci",), ("orders",), allow=Block(**fields))


def deny(name: str = "never", **fields: Any) -> Rule:
    return Rule(name, ("*",), ("*",), deny=Block(**fields))


def review(name: str = "ask", approvers: tuple[str, ...] = DBA, **fields: Any) -> Rule:
    return Rule(name, ("*",), ("*",), review=Block(approvers=approvers, **fields))


def judge(rules: list[Rule], text: str) -> Verdict:
    return decide(rules, CI, "orders", facts(text))


def run(rules: list[Rule], line: str, **fields: Any) -> Answer:
    part = Part(command=tuple(line.split()), **fields)
    return decide(rules, CI, "orders", Facts((part,))).answer


READ = allow("read", actions=("select", "explain"), tables=("public.*",), max_rows=10000)
UNBOUNDED = replace(
    deny("bounded", actions=("update", "delete"), unbounded=True),
    reason="UPDATE or DELETE without a WHERE clause",
)


def test_no_rule_is_a_denial_that_names_the_part() -> None:
    verdict = judge([READ], "SELECT 1; DELETE FROM orders WHERE id = 1")
    assert (verdict.answer, verdict.rule) == (Answer.DENY, "default")
    assert verdict.reason == "no rule allows delete public.orders"


def test_a_denial_by_a_rule_gives_its_reason_and_the_part() -> None:
    verdict = judge([allow(), UNBOUNDED], "UPDATE orders SET a = 1 WHERE true")
    assert (verdict.answer, verdict.rule) == (Answer.DENY, "bounded")
    assert verdict.reason == "UPDATE or DELETE without a WHERE clause (update public.orders)"


def test_an_allow_names_its_rule_and_limits_rows_by_the_strictest() -> None:
    verdict = judge([READ, allow("less", max_rows=5)], "SELECT * FROM orders")
    assert (verdict.answer, verdict.rule, verdict.max_rows) == (Answer.ALLOW, "read", 5)


@pytest.mark.parametrize(
    ("rules", "text", "answer"),
    [
        # every part
        ([READ], "SELECT * FROM orders", Answer.ALLOW),
        ([READ], "SELECT * FROM orders, app.x", Answer.DENY),
        ([READ], "WITH x AS (DELETE FROM a WHERE b = 1) SELECT 1", Answer.DENY),
        # an action alone is covered although tables are restricted; an object is not
        ([READ], "SELECT 1", Answer.ALLOW),
        ([allow(actions=("select", "other"), tables=("*",))], "CHECKPOINT", Answer.DENY),
        ([allow(actions=("select", "other"))], "CHECKPOINT", Answer.ALLOW),
        ([allow(actions=("drop",), tables=("*",))], "DROP VIEW v", Answer.DENY),
        ([allow(actions=("drop",))], "DROP VIEW v", Answer.ALLOW),
        # explicit parts need a rule that names them
        ([allow()], "SELECT pg_read_file('x')", Answer.DENY),
        ([allow(functions=("*",)), allow()], "SELECT pg_read_file('x')", Answer.DENY),
        ([allow(functions=("pg_read_*",)), allow()], "SELECT pg_read_file('x')", Answer.ALLOW),
        ([allow()], "TABLE pg_authid", Answer.DENY),
        ([allow(tables=("*",)), allow(tables=("*.*",))], "TABLE pg_authid", Answer.DENY),
        ([allow(tables=("pg_catalog.*",))], "TABLE pg_authid", Answer.ALLOW),
        ([allow()], "SET statement_timeout = 0", Answer.DENY),
        ([allow(actions=("set",))], "SET statement_timeout = 0", Answer.ALLOW),
        ([allow()], "COPY (SELECT 1) TO PROGRAM 'id'", Answer.DENY),
        ([allow(actions=("copy_to", "select"))], "COPY (SELECT 1) TO PROGRAM 'id'", Answer.DENY),
        ([review()], "SELECT pg_read_file('x')", Answer.DENY),
        ([review(functions=("pg_read_file",)), READ], "SELECT pg_read_file('x')", Answer.REVIEW),
        # implied parts are for whoever holds anything, unless denied
        ([], "SHOW x", Answer.DENY),
        ([READ], "SHOW x; BEGIN; SET timezone = 'UTC'; COMMIT", Answer.ALLOW),
        ([READ], "SELECT relname FROM pg_class WHERE pg_table_is_visible(oid)", Answer.ALLOW),
        ([review(actions=("update",))], "SHOW x", Answer.ALLOW),
        ([READ, deny(actions=("show",))], "SHOW x", Answer.DENY),
        ([READ, deny(functions=("lower",))], "SELECT lower('x')", Answer.DENY),
        ([READ, deny(functions=("dblink*",))], "SELECT ext.dblink('x')", Answer.DENY),
        ([READ, deny(tables=("pg_catalog.pg_proc",))], "TABLE pg_proc", Answer.DENY),
        ([allow(terminal=True)], "SHOW x", Answer.DENY),
        # nothing at all is forwarded for those who hold something
        ([READ], "-- nothing", Answer.ALLOW),
        ([], "-- nothing", Answer.DENY),
        # precedence
        ([READ, review(actions=("select",))], "TABLE orders", Answer.REVIEW),
        (
            [READ, review(actions=("select",)), deny(tables=("orders",))],
            "TABLE orders",
            Answer.DENY,
        ),
        ([allow(), deny(tables=("public.orders",))], "SELECT 1", Answer.ALLOW),
        ([allow(), deny()], "SHOW x", Answer.DENY),
        # fields of one block
        ([allow(functions=("f",))], "TABLE orders", Answer.DENY),
        ([allow(actions=("select",), functions=("f",))], "TABLE orders", Answer.DENY),
        ([allow(actions=("select",), functions=("f",))], "SELECT f()", Answer.ALLOW),
        ([allow(actions=("update",), unbounded=False)], "UPDATE t SET a = 1", Answer.DENY),
        (
            [allow(actions=("update",), unbounded=False)],
            "UPDATE t SET a = 1 WHERE b = 2",
            Answer.ALLOW,
        ),
        ([allow(), deny(tables=("t",), functions=("f",))], "TABLE t", Answer.DENY),
        ([review(tables=("t",), functions=("f",))], "TABLE t", Answer.REVIEW),
        ([allow(commands=("**",))], "TABLE t", Answer.DENY),
        ([allow(paths=("/**",))], "SELECT 1", Answer.DENY),
        ([allow(terminal=True)], "SELECT 1", Answer.DENY),
        ([allow(), deny(terminal=True)], "SELECT 1", Answer.ALLOW),
        # EXPLAIN needs both
        ([allow(actions=("explain",))], "EXPLAIN SELECT * FROM t", Answer.DENY),
        ([READ], "EXPLAIN SELECT * FROM t", Answer.ALLOW),
    ],
)
def test_the_answer(rules: list[Rule], text: str, answer: Answer) -> None:
    assert judge(rules, text).answer is answer


@pytest.mark.parametrize(
    ("rules", "line", "answer"),
    [
        ([allow()], "ls", Answer.ALLOW),
        ([allow(commands=("ls **",))], "ls -l", Answer.ALLOW),
        ([allow(commands=("ls **",))], "rm x", Answer.DENY),
        ([allow(actions=("select",))], "ls", Answer.DENY),
        ([allow(tables=("*",))], "ls", Answer.DENY),
        ([allow(max_rows=1)], "ls", Answer.DENY),
        ([allow(commands=("ls",), actions=("select",))], "ls", Answer.DENY),
        ([allow(), deny(commands=("rm -rf **",))], "rm x -Rf", Answer.DENY),
        ([allow(), deny(commands=("rm -rf **",))], "rm x", Answer.ALLOW),
        ([allow(), review(commands=("rm -rf **",))], "rm -fr x", Answer.REVIEW),
        ([review(commands=("systemctl restart *",))], "systemctl restart a", Answer.REVIEW),
        ([review(commands=("systemctl restart *",))], "systemctl stop restart a", Answer.DENY),
        ([allow(), deny(actions=("select",))], "ls", Answer.ALLOW),
        ([allow(), deny()], "ls", Answer.DENY),
    ],
)
def test_command_lines(rules: list[Rule], line: str, answer: Answer) -> None:
    assert run(rules, line) is answer


@pytest.mark.parametrize(
    ("pattern", "answer"), [("bash **", Answer.ALLOW), ("**", Answer.DENY), ("b* **", Answer.DENY)]
)
def test_an_explicit_command_must_be_named(pattern: str, answer: Answer) -> None:
    assert run([allow(commands=(pattern,)), allow()], "bash -i", explicit=True) is answer


def test_files_of_redirections_need_paths() -> None:
    part = Facts((Part(action="write", path="/var/log/x"),))
    assert decide([allow(paths=("/var/log/**",))], CI, "orders", part).answer is Answer.ALLOW
    assert decide([allow(commands=("**",))], CI, "orders", part).answer is Answer.DENY
    assert decide([allow(actions=("select",))], CI, "orders", part).answer is Answer.DENY
    forbidden = [allow(), deny(paths=("/var/**",))]
    assert decide(forbidden, CI, "orders", part).answer is Answer.DENY


def test_a_construct_that_is_not_judged_can_be_allowed_by_no_rule() -> None:
    part = Facts((Part(action="exec", object="construct: eval", explicit=True),))
    rules = [allow(), allow(commands=("**",)), review(commands=("eval **",)), review()]
    assert decide(rules, CI, "orders", part).answer is Answer.DENY


@pytest.mark.parametrize(
    ("change", "concerned"),
    [
        ({}, True),
        ({"who": ("kind:agent",)}, True),
        ({"who": ("kind:human", "group:dba")}, False),
        ({"targets": ("ord*",)}, True),
        ({"targets": ("web1",)}, False),
        ({"when": {"ref": ("refs/heads/*",)}}, True),
        ({"when": {"ref": ("refs/tags/*",)}}, False),
        ({"when": {"run_id": ("*",)}}, False),
    ],
)
def test_whom_a_rule_concerns(change: dict[str, Any], concerned: bool) -> None:
    answer = judge([replace(READ, **change)], "TABLE orders").answer
    assert answer is (Answer.ALLOW if concerned else Answer.DENY)


# -- reviews --------------------------------------------------------------------------------------


def test_a_review_carries_what_the_rule_asks() -> None:
    rule = review(actions=("update",), quorum=2, expires=timedelta(minutes=3), max_rows=7)
    verdict = judge([rule], "UPDATE t SET a = 1 WHERE b = 2")
    assert verdict.answer is Answer.REVIEW
    assert (verdict.approvers, verdict.quorum, verdict.max_rows) == (DBA, 2, 7)
    assert verdict.expires_in == timedelta(minutes=3)
    assert (verdict.rule, verdict.reason) == ("ask", "needs a review (update public.t)")


def test_several_reviews_make_one_that_satisfies_all() -> None:
    rules = [
        review("one", ("group:dba", "alice"), actions=("update",), quorum=2),
        review("two", ("group:sre", "alice"), actions=("delete",), expires=timedelta(minutes=1)),
    ]
    verdict = judge(rules, "UPDATE t SET a = 1 WHERE b = 2; DELETE FROM t WHERE b = 2")
    assert (verdict.answer, verdict.rule) == (Answer.REVIEW, "one, two")
    assert (verdict.approvers, verdict.quorum) == (("alice",), 2)
    assert verdict.expires_in == timedelta(minutes=1)


def test_reviews_without_a_common_approver_are_a_denial() -> None:
    rules = [review("one", actions=("update",)), review("two", ("alice",), tables=("t",))]
    verdict = judge(rules, "UPDATE t SET a = 1 WHERE b = 2")
    assert verdict.answer is Answer.DENY
    assert "no approver in common" in verdict.reason


def test_a_review_that_nobody_may_answer_is_a_denial() -> None:
    verdict = judge([review("ask", (), actions=("update",))], "UPDATE t SET a = 1 WHERE b = 2")
    assert (verdict.answer, verdict.rule) == (Answer.DENY, "ask")
    assert verdict.reason == "rule ask asks for a review but names no approvers"


# -- properties -----------------------------------------------------------------------------------

STRICTNESS = [Answer.ALLOW, Answer.REVIEW, Answer.DENY]
PARTS = st.sampled_from(
    [
        *facts(
            "SELECT lower('x'), f() FROM t; DELETE FROM u; SHOW x; LISTEN y; TABLE pg_class"
        ).parts,
        Part(command=("rm", "-rf", "x")),
        Part(command=("bash",), explicit=True),
        Part(action="write", path="/tmp/x"),
        Part(command=("rm",), implied=True),
    ]
)
BLOCKS = st.builds(
    Block,
    actions=st.sampled_from([None, ("select",), ("delete", "listen"), ("write",)]),
    tables=st.sampled_from([None, ("*",), ("t",), ("pg_catalog.*",)]),
    functions=st.sampled_from([None, ("f",), ("*",)]),
    commands=st.sampled_from([None, ("rm **",), ("**",)]),
    paths=st.sampled_from([None, ("/tmp/*",)]),
    unbounded=st.sampled_from([None, True, False]),
    approvers=st.just(DBA),
)
RULES = st.lists(
    st.builds(
        Rule,
        st.sampled_from(["a", "b"]),
        st.just(("*",)),
        st.just(("*",)),
        allow=st.none() | BLOCKS,
        review=st.none() | BLOCKS,
        deny=st.none() | BLOCKS,
    ),
    max_size=4,
)


def strictness(rules: list[Rule], parts: list[Part]) -> int:
    return STRICTNESS.index(decide(rules, CI, "orders", Facts(tuple(parts))).answer)


@settings(max_examples=200)
@given(RULES, st.lists(PARTS, min_size=1, max_size=4), BLOCKS)
def test_a_deny_never_makes_anything_milder(rules: list[Rule], parts: list[Part], b: Block) -> None:
    more = [*rules, Rule("new", ("*",), ("*",), deny=b)]
    assert strictness(more, parts) >= strictness(rules, parts)


@settings(max_examples=200)
@given(RULES, st.lists(PARTS, min_size=1, max_size=4))
def test_taking_an_allow_away_never_makes_anything_milder(
    rules: list[Rule], parts: list[Part]
) -> None:
    less = [replace(rule, allow=None) for rule in rules]
    assert strictness(less, parts) >= strictness(rules, parts)


@settings(max_examples=200)
@given(RULES, st.lists(PARTS, min_size=1, max_size=4), PARTS)
def test_doing_more_is_never_milder(rules: list[Rule], parts: list[Part], part: Part) -> None:
    assert strictness(rules, [*parts, part]) >= strictness(rules, parts)


@settings(max_examples=200)
@given(RULES, st.lists(PARTS, min_size=1, max_size=4), st.randoms())
def test_the_order_of_rules_and_parts_does_not_matter(
    rules: list[Rule], parts: list[Part], random: Any
) -> None:
    before = strictness(rules, parts)
    random.shuffle(rules)
    random.shuffle(parts)
    assert strictness(rules, parts) == before


def test_the_strictest_bound_on_changed_rows_counts() -> None:
    rules = [
        review("a", actions=("update",), max_affected=AffectedBound(most=500)),
        review("b", actions=("update",), max_affected=AffectedBound(tenths=20)),
        review("c", actions=("update",), max_affected=AffectedBound(most=50, tenths=30)),
        review("d", actions=("update",)),
    ]
    update = "UPDATE orders SET a = 1 WHERE id = 1"
    assert judge(rules, update).max_affected == AffectedBound(50, 20)
    assert judge(rules[3:], update).max_affected is None
