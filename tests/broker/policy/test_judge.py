"""The judge: the right grammar for the language, and the same answer the second time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from broker.errors import Unparsable
from broker.model import Answer, Identity, Kind, Language, Statement
from broker.policy.judge import judge
from broker.policy.rules import Block, Rule

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
