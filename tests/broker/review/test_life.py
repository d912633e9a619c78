"""The life of a review: nobody answers their own, nothing leaves a final state, one use."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from broker.errors import Denied, InterlockError, UsageError
from broker.model import Identity, Kind, Language, Statement
from broker.review import life
from broker.review.life import Review, State
from tests.fakes import ALICE, BOB, NOON

STATEMENT = Statement(Language.SQL, "DELETE FROM orders WHERE id = 1")
CAROL = Identity("carol@example.com", Kind.HUMAN, "corp", "u-carol", ("dba",))
DAVE = Identity("dave@example.com", Kind.HUMAN, "corp", "u-dave", ("engineers",))
AGENT = Identity(
    "acme/shop", Kind.AGENT, "github", "repo:acme/shop", ("ci", "dba"), acting_for="alice-gh"
)


def review(identity: Identity = ALICE, quorum: int = 1) -> Review:
    return Review(
        id="7f3a00",
        session="s1",
        identity=identity,
        acting_for=identity.acting_for,
        target="orders",
        rule="writes",
        reason="writes need two eyes",
        statement=STATEMENT.text,
        digest=STATEMENT.digest,
        asked=NOON,
        expires=NOON + timedelta(minutes=15),
        approvers=("group:dba",),
        quorum=quorum,
    )


def answered(
    given: Review,
    by: Identity = BOB,
    *,
    approve: bool = True,
    reason: str = "",
    digest: str | None = None,
    minutes: float = 1,
) -> Review:
    now = NOON + timedelta(minutes=minutes)
    return life.answer(given, by, approve=approve, reason=reason, digest=digest, now=now)


def test_one_approval_and_its_one_use() -> None:
    approved = answered(review(), reason="INC-7", digest=STATEMENT.digest)
    assert approved.state is State.APPROVED
    assert (approved.closed_by, approved.closed_reason) == (BOB.name, "INC-7")
    used = life.use(approved)
    assert used.state is State.USED
    with pytest.raises(Denied):
        life.use(used)


def test_a_denial_ends_it_with_its_reason() -> None:
    denied = answered(review(quorum=3), approve=False, reason="not today")
    assert (denied.state, denied.closed_by, denied.closed_reason) == (
        State.DENIED,
        BOB.name,
        "not today",
    )


def test_a_quorum_is_of_different_people() -> None:
    once = answered(review(quorum=2))
    assert once.state is State.PENDING
    with pytest.raises(Denied, match="already approved"):
        answered(once)
    with pytest.raises(Denied, match="already approved"):
        answered(once, replace(BOB, issuer="other", subject="77", name="BOB@example.com"))
    done = answered(once, CAROL)
    assert done.state is State.APPROVED
    assert done.closed_by == "bob@example.com, carol@example.com"


def test_who_approved_may_still_deny_while_others_are_asked() -> None:
    assert answered(answered(review(quorum=2)), approve=False).state is State.DENIED


DBA = ("dba",)
OWN: dict[str, tuple[Identity, Identity]] = {
    "the requester": (ALICE, replace(ALICE, groups=DBA)),
    "the requester in other letters": (ALICE, replace(ALICE, name="ALICE@Example.com", groups=DBA)),
    "the requester in wide letters": (
        ALICE,
        replace(ALICE, name="\uff41lice@example.com", subject="x", groups=DBA),
    ),
    "the same subject under a new name": (ALICE, replace(ALICE, name="al", groups=DBA)),
    "the same name at another issuer": (
        ALICE,
        replace(ALICE, issuer="github", subject="9", groups=DBA),
    ),
    "the same key": (
        replace(ALICE, fingerprint="SHA256:k"),
        replace(BOB, fingerprint="SHA256:k"),
    ),
    "the agent itself": (AGENT, AGENT),
    "the person behind the agent, by name": (AGENT, replace(BOB, name="alice-gh")),
    "by subject": (AGENT, replace(BOB, subject="ALICE-GH")),
    "by a claim": (AGENT, replace(BOB, claims={"github_login": "Alice-GH "})),
    "another agent of the same person": (
        AGENT,
        replace(AGENT, name="acme/other", subject="repo:acme/other"),
    ),
    "an agent of the requester": (ALICE, replace(AGENT, acting_for="alice@example.com")),
    "an agent of the requester by subject": (ALICE, replace(AGENT, acting_for="U-Alice")),
}


@pytest.mark.parametrize("who", OWN)
@pytest.mark.parametrize("approve", [True, False])
def test_nobody_answers_for_themselves(who: str, approve: bool) -> None:
    requester, by = OWN[who]
    asked = review(requester)
    assert not life.may_answer(asked, by)
    assert life.may_see(asked, by)
    with pytest.raises(Denied, match="somebody else must answer"):
        answered(asked, by, approve=approve)


def test_an_agent_without_principal_ties_nobody() -> None:
    nobody = replace(AGENT, acting_for=None)
    assert life.may_answer(review(nobody), replace(BOB, subject="", claims={"x": ""}))
    assert life.may_answer(review(replace(nobody, acting_for="")), replace(BOB, subject=""))


def test_only_approvers_answer() -> None:
    assert not life.may_answer(review(), DAVE)
    assert not life.may_see(review(), DAVE)
    with pytest.raises(Denied, match="not among the approvers"):
        answered(review(), DAVE)


def test_an_answer_is_to_the_statement_that_was_seen() -> None:
    with pytest.raises(UsageError, match="digest does not match"):
        answered(review(), digest="sha256:00")


@pytest.mark.parametrize("minutes", [15, 16])
@pytest.mark.parametrize("approve", [True, False])
def test_time_wins_over_an_answer_that_comes_with_it(minutes: int, approve: bool) -> None:
    with pytest.raises(Denied, match="expired at 2026-01-01 12:15:00 UTC"):
        answered(review(), approve=approve, minutes=minutes)


def test_after_the_end_the_answer_says_who_and_when() -> None:
    denied = answered(review(), approve=False, minutes=3)
    with pytest.raises(
        Denied, match=r"already denied by bob@example\.com at 2026-01-01 12:03:00 UTC"
    ):
        answered(denied, CAROL)
    gone = life.withdraw(review(), NOON, reason="gone")
    with pytest.raises(Denied, match="already withdrawn at 2026-01-01 12:00:00 UTC"):
        answered(gone)


BEHIND = replace(BOB, name="alice-gh", subject="u-gh")
PEOPLE = [
    BEHIND,
    ALICE,
    replace(ALICE, groups=DBA),
    BOB,
    CAROL,
    DAVE,
    AGENT,
    replace(BOB, issuer="x"),
]


class Life(RuleBasedStateMachine):
    """Anybody does anything at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.review = review(AGENT, quorum=2)
        self.now = NOON
        self.final: Review | None = None
        self.uses = 0

    def _try(self, act: object) -> None:
        before = self.review
        try:
            assert callable(act)
            self.review = act()
        except InterlockError:
            assert self.review is before
        if self.final is None and self.review.state not in {State.PENDING, State.APPROVED}:
            self.final = self.review

    @rule(by=st.sampled_from(PEOPLE), approve=st.booleans())
    def answer(self, by: Identity, approve: bool) -> None:
        before = self.review
        self._try(
            lambda: life.answer(before, by, approve=approve, reason="", digest=None, now=self.now)
        )
        if self.review != before:
            assert self.now < before.expires
            assert "dba" in by.groups
            assert "alice-gh" not in {by.name, by.acting_for}

    @rule(minutes=st.integers(0, 8))
    def wait(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)

    @rule()
    def expire(self) -> None:
        self._try(lambda: life.expire(self.review, self.now))

    @rule()
    def withdraw(self) -> None:
        self._try(lambda: life.withdraw(self.review, self.now, reason="gone"))

    @rule()
    def use(self) -> None:
        was = self.review.state
        self._try(lambda: life.use(self.review))
        if was is State.APPROVED:
            assert self.review.state is State.USED
            self.uses += 1

    @invariant()
    def nothing_leaves_a_final_state(self) -> None:
        assert self.final is None or self.review == self.final

    @invariant()
    def it_is_used_once_and_only_after_two_people(self) -> None:
        assert self.uses <= 1
        if self.review.state in {State.APPROVED, State.USED}:
            names = {given.by.name for given in self.review.approvals}
            assert len(names) == 2
            assert AGENT.name not in names


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=100, stateful_step_count=15, deadline=None)
