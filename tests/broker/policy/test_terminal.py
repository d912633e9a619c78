"""A raw terminal is given by a rule that says so, and by nothing else."""

from __future__ import annotations

import pytest

from broker.model import Answer, Identity, Kind
from broker.policy import terminal
from broker.policy.rules import Block, Rule

ANN = Identity("ann", Kind.HUMAN, "corp", "ann", groups=("ops",))
RAW = Block(terminal=True)
ASK = Block(terminal=True, approvers=("group:sre",))


def rule(
    name: str, allow: Block | None = None, review: Block | None = None, deny: Block | None = None
) -> Rule:
    return Rule(name, ("group:ops",), ("web1",), allow=allow, review=review, deny=deny)


@pytest.mark.parametrize(
    ("rules", "answer", "by"),
    [
        ([], Answer.DENY, "default"),
        ([rule("all", allow=Block())], Answer.DENY, "default"),
        ([rule("lines", allow=Block(commands=("**",)))], Answer.DENY, "default"),
        ([rule("raw", allow=RAW)], Answer.ALLOW, "raw"),
        ([rule("raw", allow=RAW), rule("ask", review=ASK)], Answer.REVIEW, "ask"),
        ([rule("raw", allow=RAW), rule("no", deny=RAW)], Answer.DENY, "no"),
        ([rule("raw", allow=RAW), rule("none", deny=Block())], Answer.DENY, "none"),
        ([rule("raw", allow=RAW), rule("rm", deny=Block(commands=("rm",)))], Answer.ALLOW, "raw"),
        ([rule("a", review=ASK), rule("b", review=RAW)], Answer.DENY, "a, b"),
        ([Rule("else", ("group:ops",), ("web2",), allow=RAW)], Answer.DENY, "default"),
    ],
)
def test_the_verdict(rules: list[Rule], answer: Answer, by: str) -> None:
    verdict = terminal.decide(rules, ANN, "web1")
    assert (verdict.answer, verdict.rule) == (answer, by)
    assert verdict.facts.actions == ("terminal",)


def test_a_review_names_who_may_answer() -> None:
    verdict = terminal.decide([rule("ask", review=ASK)], ANN, "web1")
    assert verdict.approvers == ("group:sre",)
    assert "its lines are not judged" in verdict.reason


@pytest.mark.parametrize(
    ("rules", "only"),
    [
        ([], False),
        ([rule("raw", allow=RAW)], True),
        ([rule("ask", review=ASK), rule("no", deny=Block(commands=("rm",)))], True),
        ([rule("raw", allow=RAW), rule("ls", allow=Block(commands=("ls",)))], False),
    ],
)
def test_nothing_but_a_raw_terminal(rules: list[Rule], *, only: bool) -> None:
    assert terminal.is_all(rules, ANN, "web1") is only
