"""The judge: the right grammar for the language, and the same answer the second time."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.errors import Unparsable
from broker.model import Answer, Identity, Kind, Language, Statement
from broker.policy.judge import CACHEABLE, CACHED, FEW, Judge, judge
from broker.policy.rules import Block, Rule
from broker.policy.sql.catalogue import Catalogue, Overlay, Relation

ME = Identity("bot", Kind.AGENT, "github", "s")
SHFMT = Path(sys.executable).with_name("shfmt")


def rule(**fields: Any) -> Rule:
    return Rule("only", ("*",), ("*",), **fields)


def shfmt(text: str) -> dict[str, Any]:
    done = subprocess.run(
        [SHFMT, "--to-json"], input=text, capture_output=True, text=True, check=True
    )
    tree: dict[str, Any] = json.loads(done.stdout)
    return tree


def no_shell(text: str) -> dict[str, Any]:
    raise AssertionError(text)


def answer(rules: list[Rule], language: Language, text: str) -> Answer:
    parse = shfmt if language is Language.SHELL else no_shell
    return judge(rules, ME, "orders", Statement(language, text, cwd="/"), parse).answer


def test_sql_is_judged_as_sql_each_time() -> None:
    rules = [rule(allow=Block(actions=("select",)))]
    for _ in range(2):
        assert answer(rules, Language.SQL, "SELECT 1") is Answer.ALLOW
        assert answer(rules, Language.SQL, "DELETE FROM t") is Answer.DENY


def test_remembered_facts_are_weighed_against_the_rules_of_now() -> None:
    assert answer([rule(allow=Block())], Language.SQL, "SELECT 2") is Answer.ALLOW
    assert answer([rule(deny=Block())], Language.SQL, "SELECT 2") is Answer.DENY


@pytest.mark.parametrize("text", ["SELECT FROM WHERE", "SELECT " + "x, " * 4000 + ""])
def test_what_the_grammar_refuses_is_unparsable(text: str) -> None:
    with pytest.raises(Unparsable):
        answer([rule(allow=Block())], Language.SQL, text)


def test_command_lines_are_judged_by_the_shell_grammar() -> None:
    rules = [rule(allow=Block(commands=("ls **", "cat **")), deny=Block(commands=("rm -rf **",)))]
    assert answer(rules, Language.SHELL, "ls -l | cat") is Answer.ALLOW
    assert answer(rules, Language.SHELL, "ls; rm -fr /tmp/x") is Answer.DENY
    assert answer([rule(allow=Block())], Language.SHELL, "ls -l | cat") is Answer.ALLOW


def test_other_languages_are_judged_by_their_words() -> None:
    rules = [rule(allow=Block(commands=("GET *",)))]
    assert answer(rules, Language.TEXT, "GET key") is Answer.ALLOW
    assert answer(rules, Language.TEXT, "GET key other") is Answer.DENY
    assert answer(rules, Language.TEXT, "FLUSHALL") is Answer.DENY
    assert answer(rules, Language.TEXT, "  ") is Answer.ALLOW


def test_an_approver_is_told_when_sqlparse_splits_the_text_otherwise() -> None:
    rules = [rule(review=Block(approvers=("group:dba",)))]
    text = "SELECT '\\'; DELETE FROM users WHERE id = 1; --'"
    verdict = judge(rules, ME, "orders", Statement(Language.SQL, text), no_shell)
    assert verdict.answer is Answer.REVIEW
    assert verdict.reason.endswith("PostgreSQL reads 2 statement(s) here, sqlparse 1: look twice")


# -- what is remembered ----------------------------------------------------------------------------

READ = rule(allow=Block(actions=("select",), tables=("public.*",)))
WRITE = rule(review=Block(actions=("update", "delete"), approvers=("group:dba",)))
MAKE = rule(allow=Block(actions=("create",)))
RULES = [[READ], [READ, WRITE, MAKE], [rule(deny=Block(tables=("secret.*",))), rule(allow=Block())]]
PLAIN = Relation()
CATALOGUES = [
    None,
    Catalogue("1", {"public.a": PLAIN, "public.v": Relation("v", "SELECT 1 FROM public.a")}),
    Catalogue("2", {"public.a": PLAIN, "public.v": Relation("v", "SELECT 1 FROM secret.t")}),
]
TEXTS = [
    "SELECT * FROM v",
    "SELECT * FROM a WHERE b = 1",
    "UPDATE a SET b = 1 WHERE c = 2",
    "CREATE VIEW a AS SELECT * FROM secret.t",
    "CREATE TEMP TABLE v (b int)",
    "SELECT f(b) FROM a",
    "SELECT FROM WHERE",
]
ASKED = st.tuples(st.sampled_from(TEXTS), st.integers(0, 2), st.integers(0, 1), st.integers(0, 1))


def told(
    judging: Judge, text: str, catalogue: Catalogue | None, me: Identity, made: Overlay
) -> str:
    try:
        return repr(judging(me, "orders", Statement(Language.SQL, text), catalogue, made))
    except Unparsable as error:
        return repr(error)


@given(st.integers(0, 2), st.lists(ASKED, max_size=20))
def test_what_is_remembered_is_what_would_be_said_anew(
    which: int, asked: list[tuple[str, int, int, int]]
) -> None:
    people = [replace(ME), replace(ME, name="other", groups=("dba",))]
    remembering = Judge(RULES[which], no_shell, "hash")
    ours, theirs = [Overlay(), Overlay()], [Overlay(), Overlay()]
    for text, catalogue, person, session in asked:
        remembered = told(remembering, text, CATALOGUES[catalogue], people[person], ours[session])
        fresh = Judge(RULES[which], no_shell, "hash")
        assert remembered == told(
            fresh, text, CATALOGUES[catalogue], people[person], theirs[session]
        )


def test_the_same_question_is_answered_from_memory() -> None:
    judging = Judge([READ], no_shell, "hash")
    statement = Statement(Language.SQL, "SELECT * FROM a")
    first = judging(ME, "orders", statement, CATALOGUES[1])
    assert judging(ME, "orders", statement, CATALOGUES[1]) is first
    assert first.config == "hash"
    others = [
        Judge([READ], no_shell, "other")(ME, "orders", statement, CATALOGUES[1]),
        judging(replace(ME), "orders", statement, CATALOGUES[1]),
        judging(ME, "copies", statement, CATALOGUES[1]),
        judging(ME, "orders", statement, CATALOGUES[2]),
        judging(ME, "orders", Statement(Language.SQL, "SELECT * FROM a "), CATALOGUES[1]),
    ]
    assert all(other is not first for other in others)


def test_memory_is_bounded() -> None:
    judging = Judge([READ], no_shell)
    for number in range(CACHED + 10):
        judging(ME, "orders", Statement(Language.SQL, f"SELECT {number}"))
    long = Statement(Language.SQL, "SELECT 1" + " " * CACHEABLE)
    many = Statement(Language.SQL, "SELECT 1 FROM " + ",".join(f"t{n}" for n in range(FEW + 1)))
    for statement in (long, many):
        assert judging(ME, "orders", statement) is not judging(ME, "orders", statement)
    assert len(judging._verdicts) == CACHED


def test_a_reviewed_text_has_what_similar_ones_share() -> None:
    texts = ("UPDATE a SET b = 1 WHERE c = 2", "UPDATE a SET b = 3 WHERE c = 4")
    one, other = (
        judge([WRITE], ME, "orders", Statement(Language.SQL, text), no_shell) for text in texts
    )
    assert one.facts.fingerprint == other.facts.fingerprint != ""
