"""What an identity may do on a target, as data that a program can plan from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from broker.policy.decide import concerning

if TYPE_CHECKING:
    from collections.abc import Iterable

    from broker.events import Json
    from broker.model import Identity
    from broker.policy.rules import Block, Rule

LISTS = ("actions", "tables", "functions", "commands", "paths")
FLAGS = ("max_rows", "unbounded", "terminal")


def plan(rules: Iterable[Rule], identity: Identity, target: str) -> list[dict[str, Json]]:
    """One object for each allow, review and deny that concerns the identity on the target.

    A member that is left out does not restrict, as in the configuration.
    """
    return [
        _told(verdict, rule, block)
        for rule in concerning(rules, identity, target)
        for verdict, block in (("allow", rule.allow), ("review", rule.review), ("deny", rule.deny))
        if block is not None
    ]


def _told(verdict: str, rule: Rule, block: Block) -> dict[str, Json]:
    told: dict[str, Json] = {"verdict": verdict, "rule": rule.name, "reason": rule.reason or None}
    told |= {name: list(value) for name in LISTS if (value := getattr(block, name)) is not None}
    told |= {name: value for name in FLAGS if (value := getattr(block, name)) is not None}
    if block.approvers:
        told["approvers"] = list(block.approvers)
        told["quorum"] = block.quorum
        if block.max_affected is not None:
            told["max_affected"] = str(block.max_affected)
        told["expires_s"] = int(block.expires.total_seconds())
    return told
