"""What an identity may do on a target, in short phrases for `whoami`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from broker.model import Answer, Facts, Part
from broker.policy import patterns
from broker.policy.decide import concerning, decide

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from broker.model import Identity
    from broker.policy.rules import Block, Rule


def summary(rules: Iterable[Rule], identity: Identity, target_name: str, kind: str) -> list[str]:
    """One phrase for each allow, then each review, then each deny that concerns the identity.

    Nothing for a target on which it may do nothing.
    """
    mine = concerning(rules, identity, target_name)
    sql = kind == "postgres"
    if not may_reach(mine, sql=sql):
        return []
    allows = [_what(r.allow, sql=sql) for r in mine if r.allow and _fits(r.allow, sql=sql)]
    reviews = [
        f"{_what(r.review, sql=sql)} after review by {_approvers(r.review)}"
        for r in mine
        if r.review and _fits(r.review, sql=sql)
    ]
    denies = [
        f"never: {_what(r.deny, sql=sql, never=True)}"
        for r in mine
        if r.deny and _fits(r.deny, sql=sql)
    ]
    return list(dict.fromkeys([*allows, *reviews, *denies]))


READS = frozenset({"select", "explain", "show", "set", "transaction", "cursor", "copy_to"})


def only_reads(rules: Iterable[Rule], identity: Identity, target: str) -> bool:
    """Can nothing that any rule lets this identity do on a database write?

    A block that does not name its actions, or that names functions, may be about anything.
    """
    return all(
        block.actions is not None and block.functions is None and READS.issuperset(block.actions)
        for rule in concerning(rules, identity, target)
        for block in (rule.allow, rule.review)
        if block is not None and _fits(block, sql=True)
    )


def out_of_reach(target_name: str) -> str:
    """The one sentence for a target without a rule for somebody, whether or not it exists."""
    return f"no rule lets you reach {target_name!r}"


def commands(rules: Iterable[Rule], identity: Identity, target_name: str) -> list[str]:
    """The patterns of commands that the identity may run there, if only after a review.

    Without those that begin as a deny does: what is listed is offered for completion.
    """
    mine = concerning(rules, identity, target_name)
    blocks = (block for rule in mine for block in (rule.allow, rule.review) if block is not None)
    found = dict.fromkeys(pattern for block in blocks for pattern in block.commands or ())
    barred = {rule.name for rule in mine if rule.deny is not None}

    def is_barred(pattern: str) -> bool:
        literal = tuple(word for word in pattern.split() if "*" not in word)
        verdict = decide(mine, identity, target_name, Facts((Part(command=literal),)))
        return verdict.answer is Answer.DENY and verdict.rule in barred

    return [pattern for pattern in found if not is_barred(pattern)]


def answers_for(rules: Iterable[Rule], by: Identity, target: str) -> bool:
    """Does any rule name this identity as an approver for the target?"""
    return any(
        rule.review is not None
        and by.is_one_of(rule.review.approvers)
        and any(patterns.name(pattern, target) for pattern in rule.targets)
        for rule in rules
    )


def may_reach(mine: Iterable[Rule], *, sql: bool) -> bool:
    """Does any of these rules allow anything, or let it be reviewed?"""
    return any(
        block is not None and _fits(block, sql=sql)
        for rule in mine
        for block in (rule.allow, rule.review)
    )


def _fits(block: Block, *, sql: bool) -> bool:
    """Is the block about this kind of target? An empty one is about every kind."""
    of_sql = (block.actions, block.tables, block.functions, block.unbounded, block.max_rows)
    of_lines = (block.commands, block.paths, block.terminal)
    foreign, own = (of_lines, of_sql) if sql else (of_sql, of_lines)
    return any(each is not None for each in own) or all(each is None for each in foreign)


def _approvers(block: Block) -> str:
    several = f"{block.quorum} of " if block.quorum > 1 else ""
    return several + (" or ".join(block.approvers) or "nobody")


def _what(block: Block, *, sql: bool, never: bool = False) -> str:
    if block.terminal:
        return "a raw terminal"
    phrase = _sql(block, never=never) if sql else _lines(block)
    return f"{phrase} (max {block.max_rows} rows)" if block.max_rows is not None else phrase


def _lines(block: Block) -> str:
    phrases = [f"run {_list(block.commands)}"] if block.commands is not None else []
    if block.paths is not None:
        phrases.append(f"files {_list(block.paths)}")
    return ", ".join(phrases) or "anything that no rule must name"


def _sql(block: Block, *, never: bool) -> str:
    if block.functions is not None and block.actions is None and block.tables is None:
        return f"functions {_list(block.functions)}"
    actions = _list(block.actions, "/" if never else ", ") if block.actions is not None else ""
    if block.unbounded:
        return f"{actions or 'anything'} without WHERE" + (
            f" on {_list(block.tables)}" if block.tables is not None else ""
        )
    if not actions and block.tables is None:
        return "anything" if never else "anything that no rule must name"
    phrase = f"{actions or 'anything'} on {_list(block.tables) if block.tables else 'any table'}"
    if block.functions is not None:
        phrase += f", functions {_list(block.functions)}"
    return phrase


def _list(items: Sequence[str] | None, joint: str = ", ") -> str:
    return joint.join(items or ()) or "nothing"
