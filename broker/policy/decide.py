"""Rules and parts in, one verdict out: deny beats review beats allow, and no rule means no.

Every part needs a rule that covers it, and the strictest answer over the parts is the statement's.
An allow covers what its block says, never more; a deny or review applies to whatever its block may
be about. `explicit` parts are covered only by a block that names them; `implied` ones by any allow
or review that the identity holds on the target, unless a rule denies them. Parts that go
`along` with another are covered by what covers that one, and denied or reviewed by themselves.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from broker.model import CONSTRUCT, AffectedBound, Answer, Facts, Identity, Part, Verdict
from broker.policy import patterns
from broker.policy.patterns import Fit

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from broker.policy.rules import Block, Rule

DEFAULT = "default"
WEIGHTS = 2048  # parts that are remembered with what the rules say about them


def decide(rules: Iterable[Rule], identity: Identity, target: str, facts: Facts) -> Verdict:
    """Weigh what a statement does against the rules."""
    return Standing(rules, identity, target).decide(facts)


class Standing:
    """Where an identity stands on a target: the rules that concern it, and parts weighed before."""

    def __init__(
        self, rules: Iterable[Rule], identity: Identity, target: str, config: str = ""
    ) -> None:
        self._config = config
        self._target = target
        self._mine = concerning(rules, identity, target)
        self._holds = _holding(self._mine)
        self._weights: dict[Part, _Weighed] = {}

    def decide(self, facts: Facts) -> Verdict:
        """The verdict on what a statement does, under the configuration of this hash."""
        weighed = [self._weight(part) for part in facts.parts]
        if any(each.part.along for each in weighed):
            weighed = [each for each in weighed if each.counts]
            facts = replace(facts, parts=tuple(each.part for each in weighed))
        for each in weighed:
            if each.refusal is not None:
                return self._denied(each.rule, each.refusal, facts)
        rows = [each.max_rows for each in weighed if each.max_rows is not None]
        max_rows = min(rows, default=None)
        if any(each.reviews for each in weighed):
            reviews = list({id(rule): rule for each in weighed for rule in each.reviews}.values())
            part = next(each.part for each in weighed if each.reviews)
            return replace(_review(reviews, part, facts, max_rows), config=self._config)
        if self._holds is None:
            why = f"no rule allows anything on {self._target}"
            return self._denied(DEFAULT, why, facts)
        rule = next((each.rule for each in weighed if each.covered), self._holds.name)
        why, config = f"allowed by rule {rule}", self._config
        return Verdict(Answer.ALLOW, rule, why, facts, max_rows=max_rows, config=config)

    def _denied(self, rule: str, why: str, facts: Facts) -> Verdict:
        return Verdict(Answer.DENY, rule, why, facts, config=self._config)

    def _weight(self, part: Part) -> _Weighed:
        found = self._weights.get(part)
        if found is None:
            found = _weigh(self._mine, part, holding=self._holds is not None)
            if len(self._weights) >= WEIGHTS:
                self._weights.clear()
            self._weights[part] = found
        return found


def concerning(rules: Iterable[Rule], identity: Identity, target: str) -> list[Rule]:
    """The rules whose who, targets and when are met."""
    return [
        rule
        for rule in rules
        if identity.is_one_of(rule.who)
        and any(patterns.name(pattern, target) for pattern in rule.targets)
        and all(_claimed(identity, claim, values) for claim, values in rule.when.items())
    ]


def _claimed(identity: Identity, claim: str, values: Sequence[str]) -> bool:
    value = identity.claims.get(claim)
    return value is not None and any(patterns.name(pattern, value) for pattern in values)


@dataclass(frozen=True, slots=True)
class _Weighed:
    """What the rules say about one part: refused, or covered by blocks, some of them reviews."""

    part: Part
    rule: str = DEFAULT
    refusal: str | None = None
    reviews: tuple[Rule, ...] = ()
    covered: bool = False
    max_rows: int | None = None

    @property
    def counts(self) -> bool:
        """A part that goes along with another is worth a word only when a rule is about it."""
        return not self.part.along or self.refusal is not None or bool(self.reviews)


def _weigh(rules: Sequence[Rule], part: Part, *, holding: bool) -> _Weighed:
    for rule in rules:
        if _applies(rule.deny, part):
            why = rule.reason or f"rule {rule.name} denies it"
            hint = f"; {part.why}" if (part.implied or part.along) and part.why else ""
            return _Weighed(part, rule.name, f"{why} ({part}{hint})")
    if part.implied and holding:
        return _Weighed(part)
    reviews = [rule for rule in rules if _applies(rule.review, part)]
    allows = [] if part.along else [rule for rule in rules if _covers(rule.allow, part)]
    asks = any(_covers(rule.review, part, Fit.MEANING) for rule in reviews)
    if not allows and not asks and not part.along:
        if part.object is not None and part.object.startswith(CONSTRUCT):
            return _Weighed(part, refusal=part.why)  # no rule could: the sentence says what to do
        why = f" ({part.why})" if part.why else ""
        return _Weighed(part, refusal=f"no rule allows {part}{why}")
    blocks = [rule.allow for rule in allows] + [rule.review for rule in reviews]
    rows = [block.max_rows for block in blocks if block and block.max_rows is not None]
    return _Weighed(
        part,
        next((rule.name for rule in (*reviews, *allows)), DEFAULT),
        reviews=tuple(reviews),
        covered=bool(blocks),
        max_rows=min(rows, default=None),
    )


def _holding(rules: Iterable[Rule]) -> Rule | None:
    """The first rule that allows, or lets review, anything at all."""
    for rule in rules:
        if _speaks(rule.allow) or _speaks(rule.review):
            return rule
    return None


def _speaks(block: Block | None) -> bool:
    """Is this block about statements? One about raw terminals is not."""
    return block is not None and block.terminal is not True


# -- does a deny or a review apply to a part? -----------------------------------------------------


def _applies(block: Block | None, part: Part) -> bool:
    """Is the part among what the block is about? Actions and `unbounded` must match when given;
    of tables, functions, commands and paths, the one that the part has.
    """
    if block is None or not _speaks(block):
        return False
    if block.actions is not None and part.action not in block.actions:
        return False
    if block.unbounded is not None and part.unbounded is not block.unbounded:
        return False
    subjects = (block.tables, block.functions, block.commands, block.paths)
    return all(subject is None for subject in subjects) or (
        _table(block.tables or (), part)
        or _function(block.functions or (), part, loose=True)
        or _command(block.commands or (), part, Fit.WITHIN)
        or _may_be_path(block.paths or (), part)
    )


def _table(wanted: Iterable[str], part: Part) -> bool:
    table = part.table
    return table is not None and any(patterns.table(pattern, table) for pattern in wanted)


def _function(wanted: Iterable[str], part: Part, *, loose: bool) -> bool:
    called = part.function
    return called is not None and any(
        patterns.function(pattern, called, loose=loose) for pattern in wanted
    )


def _command(wanted: Iterable[str], part: Part, fit: Fit) -> bool:
    words = part.command
    return words is not None and any(patterns.command(pattern, words, fit) for pattern in wanted)


def _may_be_path(wanted: Iterable[str], part: Part) -> bool:
    file = part.path
    return file is not None and any(patterns.meets(pattern, file) for pattern in wanted)


def _path(wanted: Iterable[str], part: Part) -> bool:
    file = part.path
    return file is not None and any(patterns.path(pattern, file) for pattern in wanted)


# -- does an allow (or a review, as permission to ask) cover a part? ------------------------------


def _covers(block: Block | None, part: Part, fit: Fit = Fit.EXACT) -> bool:
    if block is None or not _speaks(block):
        return False
    if part.command is not None:
        return _covers_command(block, part, fit)
    if part.path is not None:
        return _covers_path(block, part)
    if block.commands is not None or block.paths is not None:
        return False  # a block about command lines says nothing about SQL
    return _covers_sql(block, part)


def _covers_sql(block: Block, part: Part) -> bool:
    if block.actions is not None and part.action not in block.actions:
        return False
    if block.unbounded is not None and part.unbounded is not block.unbounded:
        return False
    if part.function is not None:
        return _covers_function(block, part)
    if part.table is not None:
        return _covers_table(block, part)
    return _covers_action(block, part)


def _is_empty(block: Block) -> bool:
    fields = (block.actions, block.tables, block.functions, block.commands, block.paths)
    return all(field is None for field in (*fields, block.unbounded, block.max_rows))


def _covers_command(block: Block, part: Part, fit: Fit) -> bool:
    if block.commands is None:
        return _is_empty(block) and not part.explicit
    if (block.actions, block.tables, block.functions) != (None, None, None):
        return False
    wanted = [p for p in block.commands if not part.explicit or patterns.names_program(p)]
    return _command(wanted, part, fit)


def _covers_path(block: Block, part: Part) -> bool:
    if block.paths is None:
        return _is_empty(block) and not part.explicit
    if block.actions is not None and part.action not in block.actions:
        return False
    wanted = [p for p in block.paths if not part.explicit or p not in patterns.BARE]
    return _path(wanted, part)


def _covers_function(block: Block, part: Part) -> bool:
    if block.functions is None:
        return not part.explicit and block.tables is None
    wanted = [p for p in block.functions if not part.explicit or p not in patterns.BARE]
    return _function(wanted, part, loose=False)


def _covers_table(block: Block, part: Part) -> bool:
    if block.tables is None:
        return not part.explicit and block.functions is None
    wanted = [p for p in block.tables if not part.explicit or p not in patterns.BARE]
    return _table(wanted, part)


def _covers_action(block: Block, part: Part) -> bool:
    """An action alone, or on something that is no table: then no list of tables covers it."""
    if part.object is not None and part.object.startswith(CONSTRUCT):
        return False
    if part.object is not None and (block.tables is not None or block.functions is not None):
        return False
    if block.actions is None:
        return not part.explicit and block.functions is None
    return True


# -- reviews --------------------------------------------------------------------------------------


def _review(rules: Sequence[Rule], part: Part, facts: Facts, max_rows: int | None) -> Verdict:
    """One review that satisfies every rule that asks for one, or a refusal when none can."""
    blocks = [rule.review for rule in rules if rule.review is not None]
    names = ", ".join(rule.name for rule in rules)
    lacking = next((r.name for r in rules if r.review is not None and not r.review.approvers), None)
    if lacking is not None:
        why = f"rule {lacking} asks for a review but names no approvers"
        return Verdict(Answer.DENY, lacking, why, facts)
    approvers = [who for who in blocks[0].approvers if all(who in b.approvers for b in blocks)]
    if not approvers:
        why = f"rules {names} each ask for a review, and they have no approver in common"
        return Verdict(Answer.DENY, names, why, facts)
    why = next((rule.reason for rule in rules if rule.reason), "needs a review")
    return Verdict(
        Answer.REVIEW,
        names,
        f"{why} ({part})",
        facts,
        approvers=tuple(approvers),
        quorum=max(block.quorum for block in blocks),
        expires_in=min(block.expires for block in blocks),
        max_rows=max_rows,
        max_affected=_affected(blocks),
    )


def _affected(blocks: Iterable[Block]) -> AffectedBound | None:
    """The strictest of all bounds."""
    bounds = [block.max_affected for block in blocks if block.max_affected is not None]
    most = [bound.most for bound in bounds if bound.most is not None]
    tenths = [bound.tenths for bound in bounds if bound.tenths is not None]
    if not bounds:
        return None
    return AffectedBound(min(most, default=None), min(tenths, default=None))
