"""A statement and the rules in, a verdict out: the statement's own grammar, then `decide`."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, assert_never

from broker.model import Answer, Facts, Language, Part, Statement, Verdict
from broker.policy import sql, terminal
from broker.policy.decide import decide
from broker.policy.shell.facts import facts as shell_facts
from broker.policy.sql import second

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from broker.model import Identity
    from broker.policy.rules import Rule

CACHED = 1024  # statements
CACHEABLE = 4096  # characters; a longer one is rarely sent twice


def judge(
    rules: Iterable[Rule],
    identity: Identity,
    target_name: str,
    statement: Statement,
    parse_shell: Callable[[str], Mapping[str, Any]],
) -> Verdict:
    """Judge one statement; Unparsable when its grammar does not accept it.

    `parse_shell` gives the tree of a command line (``shfmt --to-json``).
    """
    if statement.language is Language.TERMINAL:
        return terminal.decide(rules, identity, target_name)
    facts = _facts(statement, parse_shell)
    verdict = decide(rules, identity, target_name, facts)
    if verdict.answer is Answer.REVIEW and statement.language is Language.SQL:
        return _with_second_opinion(verdict, statement.text)
    return verdict


def _facts(statement: Statement, parse_shell: Callable[[str], Mapping[str, Any]]) -> Facts:
    text = statement.text
    match statement.language:
        case Language.SQL:
            return sql.facts(text) if len(text) > CACHEABLE else _remembered(text)
        case Language.SHELL:
            return shell_facts(parse_shell(text), text, statement.cwd, parse=parse_shell)
        case Language.TEXT:
            words = tuple(text.split())
            return Facts((Part(command=words),) if words else ())
        case Language.TERMINAL:
            return terminal.FACTS
        case _:
            assert_never(statement.language)


@lru_cache(maxsize=CACHED)
def _remembered(text: str) -> Facts:
    return sql.facts(text)


def _with_second_opinion(verdict: Verdict, text: str) -> Verdict:
    doubt = second.doubt(text, sql.count(text))
    return replace(verdict, reason=f"{verdict.reason}; {doubt}") if doubt else verdict
