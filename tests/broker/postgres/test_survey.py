"""What people are told before they are asked, and what is refused instead."""

from __future__ import annotations

from typing import TYPE_CHECKING

from broker.errors import TargetUnreachable
from broker.model import AffectedBound, Answer, Facts, Language, Parameter, Part, Statement, Verdict
from broker.postgres.survey import BEFORE, Survey
from broker.wire.actions import Situation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from broker.postgres.upstream import Upstream

UPDATE = Facts((Part("update", table="public.orders"),))


async def nowhere(_settings: Mapping[str, str]) -> Upstream:
    msg = "orders does not answer"
    raise TargetUnreachable(msg)


async def survey(
    text: str,
    facts: Facts = UPDATE,
    bound: AffectedBound | None = None,
    situation: Situation | None = None,
) -> Verdict:
    verdict = Verdict(Answer.REVIEW, "writes", "two eyes", facts, max_affected=bound)
    look = Survey(nowhere, lambda shown: shown.replace("secret", "***"))
    return await look(Statement(Language.SQL, text), verdict, situation or Situation())


async def test_without_a_target_people_are_asked_all_the_same_and_told_so() -> None:
    found = await survey("UPDATE orders SET a = 1")
    assert found.answer is Answer.REVIEW
    assert found.impact is not None
    assert (found.impact.estimate, found.impact.unknown) == (
        None,
        "the target could not be asked",
    )


async def test_a_bound_in_rows_needs_no_estimate() -> None:
    found = await survey("UPDATE orders SET a = 1", bound=AffectedBound(most=5))
    assert found.impact is not None
    assert found.impact.max_affected == 5


async def test_a_bound_by_an_estimate_that_there_is_not_refuses() -> None:
    found = await survey("UPDATE orders SET a = 1", bound=AffectedBound(most=5, tenths=11))
    assert found.answer is Answer.DENY
    assert "there is none: the target could not be asked" in found.reason


async def test_what_cannot_be_counted_is_refused_under_a_bound() -> None:
    truncate = Facts((Part("truncate", table="public.orders"),))
    found = await survey("TRUNCATE orders", truncate, AffectedBound(most=5))
    assert found.answer is Answer.DENY
    assert "cannot be counted" in found.reason


async def test_a_bound_says_nothing_about_what_writes_nothing() -> None:
    create = Facts((Part("create", table="public.t"),))
    found = await survey("CREATE TABLE t ()", create, AffectedBound(most=5))
    assert found.answer is Answer.REVIEW
    assert found.impact is not None
    assert found.impact.max_affected is None


async def test_what_ran_before_is_masked_and_the_latest_of_it_is_told() -> None:
    ran = tuple(("allow", f"SELECT {n}\n -- secret") for n in range(BEFORE + 3))
    found = await survey("SELECT 1", situation=Situation(ran, (Parameter(23, binary=True),)))
    assert found.impact is not None
    assert found.impact.before is not None
    assert len(found.impact.before) == BEFORE
    assert found.impact.before[-1] == f"allow  SELECT {BEFORE + 2} -- ***"
    assert found.impact.parameters == (Parameter(23, binary=True),)
