"""Before people are asked: what the statement would touch, and the bound approved with it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from broker.model import Answer, Impact
from broker.policy.sql import writes
from broker.postgres.estimate import estimate

if TYPE_CHECKING:
    from collections.abc import Callable

    from broker.model import Statement, Verdict
    from broker.postgres.aside import Connect
    from broker.wire.actions import Situation

BEFORE = 20  # statements of its transaction that are told, the latest
LENGTH = 200  # characters of each


@dataclass(frozen=True, slots=True)
class Survey:
    """Asks one target. `redact` masks what other statements of the session say."""

    connect: Connect
    redact: Callable[[str], str]

    async def __call__(
        self, statement: Statement, verdict: Verdict, situation: Situation
    ) -> Verdict:
        """The same verdict with its impact; or a refusal, when a rule's bound cannot be kept."""
        bound = verdict.max_affected
        writing = not writes.ACTIONS.isdisjoint(verdict.facts.actions)
        if bound is not None and writing:
            why = writes.uncountable(statement.text)
            if why is not None:
                return replace(verdict, answer=Answer.DENY, reason=why)
        found = await estimate(self.connect, statement, situation.parameters, verdict.facts.tables)
        most = bound.rows(found.rows) if bound is not None and writing else None
        if bound is not None and writing and most is None:
            why = f"its rows are bounded by an estimate, and there is none: {found.unknown}"
            return replace(verdict, answer=Answer.DENY, reason=self.redact(why))
        impact = Impact(
            estimate=found.rows,
            unknown=self.redact(found.unknown),
            sizes=found.sizes,
            before=self._before(situation),
            parameters=situation.parameters,
            max_affected=most,
        )
        return replace(verdict, impact=impact)

    def _before(self, situation: Situation) -> tuple[str, ...] | None:
        ran = situation.before
        if ran is None:
            return None
        told = [f"{word}  {' '.join(self.redact(text).split())}"[:LENGTH] for word, text in ran]
        return tuple(told[-BEFORE:])
