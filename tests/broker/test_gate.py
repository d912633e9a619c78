"""The order is the security property: judge, review, audit, then forward; mask, record, deliver."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.errors import EvidenceFailure, ExitCode, Unparsable
from broker.gate import Gate
from broker.model import Answer, Impact, Language, Statement, Verdict
from tests.fakes import FakeAudit, FakeMask, FakeRecorder, FakeReviews, Journal, session

if TYPE_CHECKING:
    from collections.abc import Callable

    from broker.model import Session
    from broker.ports import Notice

ALLOW = Verdict(Answer.ALLOW, "reads", "may read")
REVIEW = Verdict(Answer.REVIEW, "writes", "needs two eyes", approvers=("group:dba",))
DENY = Verdict(Answer.DENY, "no-ddl", "no schema changes by hand")
SELECT = Statement(Language.SQL, "SELECT 'secret'")


class World:
    """A gate over fakes that share one journal."""

    def __init__(self, verdict: Verdict | Exception = ALLOW, failing: str | None = None) -> None:
        self.journal = Journal(failing=failing)
        self.audit = FakeAudit(self.journal)
        self.recorder = FakeRecorder(self.journal)
        self.reviews = FakeReviews(self.journal)
        self.verdict = verdict
        self.gate = Gate(
            session(),
            judge=self.judge,
            reviews=self.reviews,
            audit=self.audit,
            recorder=self.recorder,
            new_mask=lambda: FakeMask(self.journal),
            redact=lambda text: text.replace("secret", "******"),
        )

    def judge(self, statement: Statement) -> Verdict:
        self.journal.note("judge", "asked")
        if isinstance(self.verdict, Exception):
            raise self.verdict
        return self.verdict


async def test_judged_then_audited_then_marked() -> None:
    world = World()
    verdict = await world.gate.admit(SELECT)
    assert verdict.answer is Answer.ALLOW
    assert world.journal.happened == [
        "judge: asked",
        "audit: statement.judged",
        "recorder: marker allow reads",
    ]


async def test_what_people_must_decide_is_not_on_the_record_before_they_did() -> None:
    world = World(REVIEW)
    verdict = world.gate.decide(SELECT)
    assert verdict.answer is Answer.REVIEW
    assert world.journal.happened == ["judge: asked"]
    answer = await world.gate.review(SELECT, verdict)
    assert answer.answer is Answer.ALLOW
    assert world.journal.happened[-2:] == ["audit: statement.judged", "recorder: marker allow r"]


@pytest.mark.parametrize("verdict", [ALLOW, DENY])
def test_what_a_rule_decides_is_final_at_once(verdict: Verdict) -> None:
    world = World(verdict)
    assert world.gate.decide(SELECT) == verdict
    assert world.journal.happened[1:2] == ["audit: statement.judged"]


async def test_a_review_is_asked_before_it_is_audited_as_allowed() -> None:
    world = World(REVIEW)
    told: list[str] = []
    verdict = await world.gate.admit(SELECT, lambda v, review, expires: told.append(review))
    assert verdict.answer is Answer.ALLOW
    assert told == ["7f3a"]
    assert world.journal.happened == [
        "judge: asked",
        "review: asked",
        "recorder: marker review 7f3a asked",
        "judge: asked",
        "recorder: marker review 7f3a approved by bob",
        "audit: statement.judged",
        "recorder: marker allow r",
    ]


async def test_what_it_would_touch_is_found_out_before_anyone_is_asked() -> None:
    world = World(REVIEW)

    async def survey(_statement: Statement, verdict: Verdict) -> Verdict:
        world.journal.note("survey", "made")
        return replace(verdict, impact=Impact(estimate=3))

    await world.gate.admit(SELECT, survey=survey)
    assert world.journal.happened[:3] == ["judge: asked", "survey: made", "review: asked"]


async def test_a_survey_may_refuse_and_then_nobody_is_asked() -> None:
    world = World(REVIEW)

    async def survey(_statement: Statement, verdict: Verdict) -> Verdict:
        return replace(verdict, answer=Answer.DENY, reason="it cannot be bounded")

    verdict = await world.gate.admit(SELECT, survey=survey)
    assert (verdict.answer, verdict.reason) == (Answer.DENY, "it cannot be bounded")
    assert world.journal.happened == [
        "judge: asked",
        "audit: statement.judged",
        "recorder: marker deny writes",
    ]


@pytest.mark.parametrize("error", [True, False])
async def test_a_survey_that_fails_or_allows_shuts_the_gate(error: bool) -> None:
    world = World(REVIEW)

    async def survey(_statement: Statement, verdict: Verdict) -> Verdict:
        if error:
            raise ValueError
        return replace(verdict, answer=Answer.ALLOW)

    with pytest.raises(EvidenceFailure):
        await world.gate.admit(SELECT, survey=survey)
    with pytest.raises(EvidenceFailure):
        await world.gate.admit(SELECT)
    assert "review: asked" not in world.journal.happened


@pytest.mark.parametrize(
    ("verdict", "routine"), [(ALLOW, [True]), (DENY, [False]), (REVIEW, [False, False, False])]
)
async def test_only_what_a_rule_allowed_by_itself_does_not_wait_for_the_disk(
    verdict: Verdict, routine: list[bool]
) -> None:
    world = World(verdict)
    await world.gate.admit(SELECT)
    assert world.recorder.routine == routine
    world.gate.count({"email": 2})
    assert world.recorder.routine == [*routine, False]


async def test_an_approval_under_other_rules_is_worth_nothing() -> None:
    world = World(replace(REVIEW, config="old"))

    def reloaded(_verdict: Verdict, _review: str, _expires: object) -> None:
        world.verdict = replace(REVIEW, config="new")

    verdict = await world.gate.admit(SELECT, reloaded)
    assert verdict.answer is Answer.DENY
    assert world.gate.refusal_code == ExitCode.TRY_LATER
    assert "the rules changed" in verdict.reason


class Nobody(FakeReviews):
    """There is nobody who could be asked."""

    async def ask(
        self, session: Session, statement: Statement, verdict: Verdict, notice: Notice
    ) -> Verdict:
        """Refuse before a review is made."""
        return replace(verdict, answer=Answer.DENY, reason="nobody can be asked", expired=True)


async def test_a_review_that_was_never_asked_is_a_refusal_and_no_more() -> None:
    world = World(REVIEW)
    world.gate._reviews = Nobody(world.journal)
    verdict = await world.gate.admit(SELECT, pytest.fail)  # type: ignore[arg-type]
    assert (verdict.answer, verdict.review) == (Answer.DENY, None)
    assert world.gate.refusal_code == ExitCode.TRY_LATER
    assert world.journal.happened == [
        "judge: asked",
        "audit: statement.judged",
        "recorder: marker deny writes",
    ]
    world.verdict = ALLOW
    assert (await world.gate.admit(SELECT)).answer is Answer.ALLOW


async def test_what_is_audited_is_redacted_and_the_digest_is_of_the_exact_text() -> None:
    world = World()
    await world.gate.admit(SELECT)
    fields = world.audit.events[0].fields
    assert fields["statement"] == "SELECT '******'"
    assert fields["digest"] == SELECT.digest
    assert "secret" not in "".join(world.recorder.markers)


@pytest.mark.parametrize(
    ("verdict", "code"),
    [
        (DENY, ExitCode.DENIED),
        (Unparsable("syntax error at or near FORM", 9), ExitCode.UNPARSABLE),
        (Verdict(Answer.DENY, "w", "nobody answered", expired=True), ExitCode.TRY_LATER),
    ],
)
async def test_each_refusal_has_its_exit_code(verdict: Verdict | Exception, code: int) -> None:
    world = World(verdict)
    assert (await world.gate.admit(SELECT)).answer is Answer.DENY
    assert world.gate.refusal_code == code


@pytest.mark.parametrize("failing", ["judge", "review", "audit", "recorder"])
async def test_nothing_is_admitted_when_a_stage_fails_or_ever_after(failing: str) -> None:
    world = World(REVIEW, failing=failing)
    with pytest.raises(EvidenceFailure):
        await world.gate.admit(SELECT)
    world.journal.failing = None
    world.verdict = ALLOW
    with pytest.raises(EvidenceFailure):
        await world.gate.admit(SELECT)
    with pytest.raises(EvidenceFailure):
        world.gate.said("x")
    with pytest.raises(EvidenceFailure):
        world.gate.rows(b"x", b"")


async def test_a_bug_in_the_judge_is_no_permission() -> None:
    world = World(RecursionError())
    with pytest.raises(EvidenceFailure):
        await world.gate.admit(SELECT)


def test_masked_then_recorded_then_given_back() -> None:
    world = World()
    shown = world.gate.stream().feed(b"a secret b")
    assert shown == world.recorder.shown == b"a ****** b"
    assert world.journal.happened == [
        "mask: feed",
        "recorder: output",
        "recorder: marker mask word x1",
    ]


@pytest.mark.parametrize("failing", ["mask", "recorder"])
def test_nothing_is_shown_when_masking_or_recording_fails(failing: str) -> None:
    world = World(failing=failing)
    stream = world.gate.stream()
    with pytest.raises(EvidenceFailure):
        stream.feed(b"secret")
    world.journal.failing = None
    with pytest.raises(EvidenceFailure):
        stream.feed(b"secret")
    with pytest.raises(EvidenceFailure):
        world.gate.stream().close()


def test_an_edge_may_refuse_but_never_allow() -> None:
    world = World()
    world.gate.refuse(SELECT, DENY)
    assert world.gate.refusal_code == ExitCode.DENIED
    with pytest.raises(ValueError, match="only refuse"):
        world.gate.refuse(SELECT, ALLOW)


def test_own_sentences_are_recorded_before_they_are_shown() -> None:
    world = World()
    assert world.gate.said("not the secret") == b"not the ******"
    assert world.recorder.shown == b"not the ******"


@given(st.lists(st.sampled_from(["admit", "feed", "rows", "said", "typed", "fail"]), max_size=12))
async def test_after_the_first_failure_nothing_passes_in_any_order(acts: list[str]) -> None:
    world = World()
    stream = world.gate.stream()
    doing: dict[str, Callable[[], object]] = {
        "feed": lambda: stream.feed(b"x"),
        "rows": lambda: world.gate.rows(b"frames", b"rows"),
        "said": lambda: world.gate.said("x"),
        "typed": lambda: world.gate.typed("x"),
        "fail": lambda: setattr(world.journal, "failing", "recorder"),
    }
    failed = False
    for act in acts:
        before = list(world.journal.happened)
        try:
            if act == "admit":
                await world.gate.admit(SELECT)
            else:
                doing[act]()
        except EvidenceFailure:
            failed = True
        else:
            assert not failed or act == "fail"
        if failed and act != "fail":
            world.journal.failing = None
            assert world.journal.happened[: len(before)] == before


async def test_a_secret_that_the_target_was_given_never_comes_back() -> None:
    world = World()
    stream = world.gate.stream()
    world.gate.hide("hunter2")
    world.gate.hide("abc")  # too short: it would hide half of everything
    assert stream.feed(b"abc hun") + stream.feed(b"ter2 x") + stream.close() == b"abc ******* x"
    await world.gate.admit(Statement(Language.SHELL, "echo hunter2"))
    assert world.recorder.markers == ["mask secret x1", "allow reads: echo *******"]
    assert b"hunter2" not in world.recorder.shown
