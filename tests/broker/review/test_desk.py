"""The desk: asked only after it is written, answered once, used once, withdrawn when alone."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from broker.errors import Denied, EvidenceFailure, UsageError
from broker.model import Answer, Facts, Language, Part, Statement, Verdict
from broker.review.desk import Desk
from broker.review.life import Review, State
from tests.broker.review.test_life import CAROL, DAVE, review
from tests.fakes import ALICE, BOB, FakeAudit, Journal, session

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from broker.ports import Reviews

STATEMENT = Statement(Language.SQL, "DELETE FROM orders WHERE mail = 'secret'", (b"secret", None))
VERDICT = Verdict(
    Answer.REVIEW,
    "writes",
    "writes need two eyes",
    Facts((Part(action="delete", table="public.orders"),)),
    approvers=("group:dba",),
    expires_in=timedelta(minutes=5),
)


@dataclass
class FakeShelf:
    """Reviews in a dictionary."""

    journal: Journal
    kept: dict[str, Review] = field(default_factory=dict)

    def save_review(self, review: Review) -> None:
        """Keep it."""
        self.journal.note("shelf", review.state.value)
        self.kept[review.id] = review

    def find_review(self, review_id: str) -> Review | None:
        """Find it."""
        return self.kept.get(review_id)

    def list_reviews(self, state: State | None = None, *, limit: int = 100) -> list[Review]:
        """The latest first."""
        found = [r for r in reversed(self.kept.values()) if state in {None, r.state}]
        return found[:limit]


@dataclass
class Room:
    """A desk, and somebody who asks."""

    journal: Journal = field(default_factory=Journal)
    ids: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    verdict: Verdict = VERDICT
    ahead: timedelta = timedelta(0)

    def __post_init__(self) -> None:
        self.shelf = FakeShelf(self.journal)
        self.audit = FakeAudit(self.journal)
        self.desk = Desk(self.shelf, self.audit, self.now, lambda t: t.replace("secret", "******"))

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def notice(self, verdict: Verdict, review_id: str, expires: datetime) -> None:
        self.journal.note("told", verdict.rule)
        assert expires == self.desk.list()[0].expires
        self.ids.put_nowait(review_id)

    async def ask(self) -> Verdict:
        reviews: Reviews = self.desk  # it is what the gate needs
        return await reviews.ask(session(), STATEMENT, self.verdict, self.notice)

    @asynccontextmanager
    async def asking(self) -> AsyncIterator[tuple[str, asyncio.Task[Verdict]]]:
        async with asyncio.timeout(5), asyncio.TaskGroup() as group:
            task = group.create_task(self.ask())
            yield await self.ids.get(), task


@pytest.fixture
def room() -> Room:
    return Room()


async def test_it_is_stored_and_audited_before_anyone_is_told_and_used_by_the_answer(
    room: Room,
) -> None:
    async with room.asking() as (review_id, task):
        assert room.journal.happened == ["shelf: pending", "audit: review.asked", "told: writes"]
        after = room.desk.answer(
            review_id, BOB, approve=True, reason="INC-7", digest=STATEMENT.digest
        )
        assert after.state is State.APPROVED
    verdict = task.result()
    assert verdict.answer is Answer.ALLOW
    assert (verdict.review, verdict.rule) == (review_id, "writes")
    assert verdict.reason == "approved by bob@example.com: INC-7"
    assert verdict.facts == VERDICT.facts
    assert room.journal.happened[3:] == [
        "audit: review.answered",
        "audit: review.closed",
        "shelf: approved",
        "audit: review.closed",
        "shelf: used",
    ]
    assert [event.fields.get("state") for event in room.audit.events[2:]] == ["approved", "used"]
    with pytest.raises(Denied, match="already used"):
        room.desk.answer(review_id, CAROL, approve=True)


async def test_the_log_gets_masked_text_and_approvers_the_exact_one(room: Room) -> None:
    async with room.asking() as (review_id, task):
        found = room.desk.find(review_id)
        assert found is not None
        assert (found.statement, found.values) == (STATEMENT.text, STATEMENT.values)
        assert (found.digest, found.config_hash) == (STATEMENT.digest, "hash")
        assert found.actions == ("delete",)
        assert len(review_id) == 6
        int(review_id, 16)
        room.desk.answer(review_id, BOB, approve=False, reason="it holds a secret \udcff")
    assert "secret" not in str(room.audit.events)
    assert task.result().reason == "denied by bob@example.com: it holds a ****** ?"
    assert task.result().answer is Answer.DENY
    assert not task.result().expired


async def test_nobody_in_time_is_a_denial_that_may_be_tried_again(room: Room) -> None:
    room.verdict = replace(VERDICT, expires_in=timedelta(milliseconds=20), quorum=2)
    async with room.asking() as (review_id, task):
        pass
    verdict = task.result()
    assert (verdict.answer, verdict.expired) == (Answer.DENY, True)
    assert verdict.reason.startswith("nobody answered within")
    assert room.shelf.kept[review_id].state is State.EXPIRED
    with pytest.raises(Denied, match="already expired"):
        room.desk.answer(review_id, BOB, approve=True)


async def test_too_few_in_time_says_so(room: Room) -> None:
    room.verdict = replace(VERDICT, quorum=2)
    async with room.asking() as (review_id, task):
        room.desk.answer(review_id, BOB, approve=True)
        room.ahead = timedelta(minutes=5)
    assert task.result().answer is Answer.DENY
    assert task.result().reason.startswith("1 of 2 approved within")


async def test_two_eyes_are_two_people(room: Room) -> None:
    room.verdict = replace(VERDICT, quorum=2)
    async with room.asking() as (review_id, task):
        assert room.desk.answer(review_id, BOB, approve=True).state is State.PENDING
        with pytest.raises(Denied):
            room.desk.answer(review_id, BOB, approve=True)
        with pytest.raises(Denied):
            room.desk.answer(review_id, ALICE, approve=True)
        await asyncio.sleep(0)
        assert not task.done()
        assert len(room.shelf.kept[review_id].approvals) == 1
        room.desk.answer(review_id, CAROL, approve=True)
    assert task.result().reason == "approved by bob@example.com, carol@example.com"


async def test_when_the_one_who_asked_is_gone_it_is_withdrawn(room: Room) -> None:
    async with room.asking() as (review_id, task):
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        assert room.shelf.kept[review_id].state is State.WITHDRAWN
        assert room.desk.pending_for(BOB) == []
        with pytest.raises(Denied, match="already withdrawn"):
            room.desk.answer(review_id, BOB, approve=True)
    assert [event.type for event in room.audit.events][-1] == "review.closed"


async def test_when_the_notice_fails_it_is_withdrawn(room: Room) -> None:
    room.journal.failing = "told"
    with pytest.raises(EvidenceFailure):
        await room.ask()
    assert [kept.state for kept in room.shelf.kept.values()] == [State.WITHDRAWN]


@pytest.mark.parametrize("port", ["shelf", "audit"])
async def test_when_it_cannot_be_written_nobody_is_asked(room: Room, port: str) -> None:
    room.journal.failing = port
    with pytest.raises(EvidenceFailure):
        await room.ask()
    assert room.ids.empty()
    assert room.desk.pending_for(BOB) == []
    assert State.PENDING not in {kept.state for kept in room.shelf.kept.values()}


@pytest.mark.parametrize("port", ["shelf", "audit"])
async def test_an_approval_that_cannot_be_written_is_none(room: Room, port: str) -> None:
    async with room.asking() as (review_id, task):
        room.journal.failing = port
        with pytest.raises(EvidenceFailure):
            room.desk.answer(review_id, BOB, approve=True)
        room.journal.failing = None
        await asyncio.sleep(0)
        assert not task.done()
        room.desk.answer(review_id, CAROL, approve=False)
    assert task.result().answer is Answer.DENY


async def test_an_approved_statement_does_not_run_when_its_use_cannot_be_written(
    room: Room,
) -> None:
    async def approve_then_break() -> None:
        async with room.asking() as (review_id, _):
            room.desk.answer(review_id, BOB, approve=True)
            room.journal.failing = "audit"

    with pytest.raises(ExceptionGroup) as failed:
        await approve_then_break()
    assert failed.group_contains(EvidenceFailure)
    assert State.USED not in {kept.state for kept in room.shelf.kept.values()}


async def test_each_sees_what_they_may(room: Room) -> None:
    async with room.asking() as (review_id, _):
        for person, seen in ((BOB, 1), (ALICE, 1), (DAVE, 0)):
            assert len(room.desk.pending_for(person)) == seen
        with pytest.raises(Denied, match="not among"):
            room.desk.answer(review_id, DAVE, approve=True)
        with pytest.raises(UsageError, match="no review"):
            room.desk.answer("ffffffff", BOB, approve=True)
        assert [found.id for found in room.desk.list()] == [review_id]
        room.desk.answer(review_id, BOB, approve=False)
    assert room.desk.list(State.PENDING) == []


async def test_listeners_hear_every_change_and_cannot_undo_one(room: Room) -> None:
    heard: list[State] = []
    trouble: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, about: trouble.append(about))

    def fails(_: Review) -> None:
        raise LookupError

    end = room.desk.on_change(lambda changed: heard.append(changed.state))
    end_failing = room.desk.on_change(fails)
    async with room.asking() as (review_id, task):
        await asyncio.sleep(0)
        room.desk.answer(review_id, BOB, approve=True)
    await asyncio.sleep(0)
    assert task.result().answer is Answer.ALLOW
    assert heard == [State.PENDING, State.APPROVED, State.USED]
    assert len(trouble) == 3
    end()
    end()
    end_failing()
    room.verdict = replace(VERDICT, expires_in=timedelta(milliseconds=10))
    await room.ask()
    assert len(heard) == 3


async def test_what_a_previous_run_left_waiting_is_withdrawn(room: Room) -> None:
    for number in range(3):
        left = replace(review(), id=f"00000{number}")
        room.shelf.kept[left.id] = left
    with pytest.raises((Denied, UsageError)):
        room.desk.answer("000001", BOB, approve=True)
    assert len(room.desk.recover()) == 3
    assert {kept.state for kept in room.shelf.kept.values()} == {State.WITHDRAWN}
    assert [event.fields["state"] for event in room.audit.events] == ["withdrawn"] * 3
    assert room.desk.recover() == []


async def test_many_wait_at_once_and_each_gets_their_own_answer(room: Room) -> None:
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        tasks = [group.create_task(room.ask()) for _ in range(20)]
        ids = [await room.ids.get() for _ in tasks]
        assert len(set(ids)) == 20
        for number, review_id in enumerate(ids):
            room.desk.answer(review_id, BOB, approve=number % 2 == 0, reason=review_id)
    for task in tasks:
        verdict = task.result()
        assert verdict.reason.endswith(str(verdict.review))
        allowed = ids.index(str(verdict.review)) % 2 == 0
        assert (verdict.answer is Answer.ALLOW) == allowed


async def test_a_clock_that_jumps_is_noticed_without_the_loops_timer(room: Room) -> None:
    async with room.asking() as (review_id, task):
        room.ahead = timedelta(minutes=5)
        assert room.desk.pending_for(BOB) == []
        with pytest.raises(Denied, match="expired at"):
            room.desk.answer(review_id, BOB, approve=True)
    assert task.result().expired
