"""May somebody have a raw terminal, whose lines are not judged? Only by a rule that says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from broker.model import Answer, Facts, Part, Verdict
from broker.policy.decide import concerning

if TYPE_CHECKING:
    from collections.abc import Iterable

    from broker.model import Identity
    from broker.policy.rules import Block, Rule

FACTS = Facts((Part(action="terminal", explicit=True, why="its lines are not judged"),))
DEFAULT = "default"


def decide(rules: Iterable[Rule], identity: Identity, target: str) -> Verdict:
    """Deny beats review beats allow, as everywhere; a deny of everything denies terminals too."""
    mine = concerning(rules, identity, target)
    for rule in mine:
        if rule.deny is not None and (rule.deny.terminal or _says_nothing(rule.deny)):
            why = rule.reason or f"rule {rule.name} denies raw terminals"
            return Verdict(Answer.DENY, rule.name, why, FACTS)
    reviews = [(rule, rule.review) for rule in mine if rule.review and rule.review.terminal]
    if reviews:
        return _review(reviews)
    for rule in mine:
        if rule.allow is not None and rule.allow.terminal:
            return Verdict(Answer.ALLOW, rule.name, f"allowed by rule {rule.name}", FACTS)
    return Verdict(Answer.DENY, DEFAULT, f"no rule allows a raw terminal on {target}", FACTS)


def is_all(rules: Iterable[Rule], identity: Identity, target: str) -> bool:
    """Do this identity's rules give it a raw terminal on the target, and nothing else?"""
    mine = concerning(rules, identity, target)
    blocks = [block for rule in mine for block in (rule.allow, rule.review) if block is not None]
    return bool(blocks) and all(block.terminal for block in blocks)


def _review(reviews: list[tuple[Rule, Block]]) -> Verdict:
    blocks = [block for _, block in reviews]
    names = ", ".join(rule.name for rule, _ in reviews)
    approvers = [who for who in blocks[0].approvers if all(who in b.approvers for b in blocks)]
    if not approvers:
        why = f"rule {names} asks for a review of raw terminals, but nobody may answer it"
        return Verdict(Answer.DENY, names, why, FACTS)
    why = next((rule.reason for rule, _ in reviews if rule.reason), "needs a review")
    return Verdict(
        Answer.REVIEW,
        names,
        f"{why} (a raw terminal: its lines are not judged)",
        FACTS,
        approvers=tuple(approvers),
        quorum=max(block.quorum for block in blocks),
        expires_in=min(block.expires for block in blocks),
    )


def _says_nothing(block: Block) -> bool:
    fields = (block.actions, block.tables, block.functions, block.commands, block.paths)
    return all(field is None for field in (*fields, block.unbounded, block.terminal))
