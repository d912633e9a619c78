"""The desk: asked only after it is written, answered once, used once, withdrawn when alone."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from broker.errors import Denied, EvidenceFailure, StoreAway, TryLater, UsageError
from broker.model import Answer, Facts, Impact, Language, Part, Statement, Verdict
from broker.review import life
from broker.review.desk import Desk
from broker.review.life import Review, State, Trial
from tests.broker.review.test_life import CAROL, DAVE, review
from tests.fakes import ALICE, BOB, FakeAudit, Journal, session

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from broker.ports import Reviews

STATEMENT = Statement(Language.SQL, "DELETE FROM orders WHERE mail = 'secret'", (b"secret", None))
SLOW = timedelta(minutes=1)
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
    over: set[str] = field(default_factory=set)  # sessions
    away: str = ""
    meanwhile: Callable[[], object] | None = None  # what others do just before the next change

    def add_review(self, review: Review) -> bool:
        """Keep it."""
        if self.away:
            raise StoreAway(self.away)
        if review.id in self.kept:
            return False
        self.journal.note("shelf", review.state.value)
        self.kept[review.id] = review
        return True

    def change_review(self, before: Review, after: Review, first: Callable[[], None]) -> bool:
        """Keep it, if nobody else was first."""
        if self.away:
            raise StoreAway(self.away)
        others, self.meanwhile = self.meanwhile, None
        if others is not None:
            others()
        if self.kept[before.id] != before:
            return False
        first()
        self.journal.note("shelf", after.state.value)
        self.kept[after.id] = after
        return True

    def find_review(self, review_id: str) -> Review | None:
        """Find it."""
        return self.kept.get(review_id)

    def list_reviews(self, state: State | None = None, *, limit: int = 100) -> list[Review]:
        """The latest first."""
        found = [r for r in reversed(self.kept.values()) if state in {None, r.state}]
        return found[:limit]

    def list_orphans(self) -> list[Review]:
        """Those of sessions that are over."""
        return [r for r in self.list_reviews(State.PENDING) if r.session in self.over]

    def pending_marks(self) -> dict[str, int]:
        """Those that wait."""
        return {r.id: len(r.approvals) for r in self.list_reviews(State.PENDING)}


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

    def soon(self) -> datetime:
        return self.now() + timedelta(minutes=5)

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
        left = replace(review(), id=f"00000{number}", asked=room.now(), expires=room.soon())
        room.shelf.kept[left.id] = left
    room.shelf.over = {"s1"}
    with pytest.raises(UsageError, match="waits no longer"):
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


# -- several nodes on one shelf -----------------------------------------------------------------


def other_desk(room: Room) -> Desk:
    return Desk(room.shelf, FakeAudit(Journal()), room.now, str)


async def test_an_answer_at_another_node_wakes_who_waits_here(room: Room) -> None:
    there = other_desk(room)
    async with room.asking() as (review_id, task):
        assert [found.id for found in there.pending_for(BOB)] == [review_id]
        assert there.answer(review_id, BOB, approve=True, reason="INC-7").state is State.APPROVED
        assert not task.done()
        room.desk.look()
    assert task.result().answer is Answer.ALLOW
    assert task.result().reason == "approved by bob@example.com: INC-7"
    assert [event.fields.get("state") for event in room.audit.events] == [None, "used"]
    with pytest.raises(Denied, match="already used"):
        there.answer(review_id, CAROL, approve=True)


async def test_two_eyes_may_look_from_two_nodes(room: Room) -> None:
    room.verdict = replace(VERDICT, quorum=2)
    there = other_desk(room)
    async with room.asking() as (review_id, task):
        assert there.answer(review_id, BOB, approve=True).state is State.PENDING
        with pytest.raises(Denied, match="you have already approved"):
            room.desk.answer(review_id, BOB, approve=True)
        assert room.desk.answer(review_id, CAROL, approve=True).state is State.APPROVED
    assert task.result().reason == "approved by bob@example.com, carol@example.com"


async def test_of_two_answers_at_one_moment_the_second_hears_of_the_first(room: Room) -> None:
    there = other_desk(room)
    async with room.asking() as (review_id, task):
        room.shelf.meanwhile = lambda: there.answer(review_id, CAROL, approve=False, reason="no")
        with pytest.raises(Denied, match="already denied by carol@example"):
            room.desk.answer(review_id, BOB, approve=True)
        assert "review.answered" not in [event.type for event in room.audit.events]
        room.desk.look()
    assert task.result().answer is Answer.DENY


async def test_of_two_approvals_at_one_moment_both_count(room: Room) -> None:
    room.verdict = replace(VERDICT, quorum=2)
    there = other_desk(room)
    async with room.asking() as (review_id, task):
        room.shelf.meanwhile = lambda: there.answer(review_id, CAROL, approve=True)
        assert room.desk.answer(review_id, BOB, approve=True).state is State.APPROVED
    assert task.result().reason == "approved by carol@example.com, bob@example.com"


async def test_whoever_is_always_outrun_is_told_to_look_again(room: Room) -> None:
    async with room.asking() as (review_id, _):
        kept = room.shelf.kept[review_id]
        room.shelf.change_review = lambda *_: False  # type: ignore[method-assign]
        with pytest.raises(TryLater, match="others are answering"):
            room.desk.answer(review_id, BOB, approve=True)
        del room.shelf.change_review
        assert room.shelf.kept[review_id] == kept
        room.desk.answer(review_id, BOB, approve=True)


async def test_an_approval_that_comes_before_the_end_of_its_time_is_kept_is_good(
    room: Room,
) -> None:
    room.verdict = replace(VERDICT, expires_in=timedelta(milliseconds=50))
    there = Desk(room.shelf, FakeAudit(Journal()), lambda: datetime.now(UTC) - SLOW, str)
    async with room.asking() as (review_id, task):
        room.shelf.meanwhile = lambda: there.answer(review_id, BOB, approve=True)
    assert task.result().answer is Answer.ALLOW
    assert room.shelf.kept[review_id].state is State.USED


async def test_what_is_approved_while_its_session_goes_is_not_used(room: Room) -> None:
    there = other_desk(room)
    async with room.asking() as (review_id, task):
        room.shelf.meanwhile = lambda: there.answer(review_id, BOB, approve=True)
        task.cancel()
        await asyncio.wait([task])
    assert task.cancelled()
    assert room.shelf.kept[review_id].state is State.APPROVED


async def test_an_approval_is_used_once_even_if_somebody_else_could_use_it(room: Room) -> None:
    def used() -> None:
        (approved,) = room.shelf.kept.values()
        room.shelf.kept[approved.id] = life.use(approved)

    async with room.asking() as (review_id, task):
        room.desk.answer(review_id, BOB, approve=True)
        room.shelf.meanwhile = used
    assert task.result().answer is Answer.DENY
    assert task.result().reason == f"review {review_id} is used"


async def test_an_id_that_is_taken_is_not_used_again(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = replace(review(), id="00000a")
    room.shelf.kept[taken.id] = taken
    rolls = iter(["00000a", "00000a", "00000b"])
    monkeypatch.setattr("broker.review.desk.secrets.token_hex", lambda _: next(rolls))
    async with room.asking() as (review_id, _):
        assert review_id == "00000b"
        assert room.shelf.kept["00000a"] == taken
        room.desk.answer(review_id, BOB, approve=True)


async def test_who_looks_hears_of_what_other_nodes_do(room: Room) -> None:
    there = other_desk(room)
    heard: list[str] = []
    end = there.on_change(lambda changed: heard.append(f"{changed.id} {changed.state.value}"))
    there.look()
    async with room.asking() as (review_id, _):
        there.look()
        there.look()
        await asyncio.sleep(0)
        assert heard == [f"{review_id} pending"]
        room.desk.answer(review_id, BOB, approve=False)
    there.look()
    await asyncio.sleep(0)
    assert heard == [f"{review_id} pending", f"{review_id} denied"]
    end()
    room.shelf.away = "away"
    there.look()  # nobody waits or looks here: nothing is asked of the store
    heard.clear()


# -- without the store --------------------------------------------------------------------------


async def test_nobody_can_be_asked_while_the_store_is_away(room: Room) -> None:
    room.shelf.away = "it is away"
    verdict = await room.ask()
    assert (verdict.answer, verdict.expired, verdict.review) == (Answer.DENY, True, None)
    assert verdict.reason == "writes need two eyes; but nobody can be asked: it is away"
    assert room.journal.happened == []


async def test_a_review_whose_time_is_over_is_denied_though_nobody_can_write_it(
    room: Room,
) -> None:
    async with room.asking() as (review_id, task):
        room.shelf.away = "it is away"
        room.ahead = timedelta(minutes=5)
    assert task.result().expired
    room.shelf.away, room.shelf.over = "", {"s1"}
    assert room.desk.pending_for(BOB) == []
    assert [gone.id for gone in room.desk.recover()] == [review_id]


async def test_who_goes_while_the_store_is_away_leaves_an_orphan(room: Room) -> None:
    async with room.asking() as (review_id, task):
        room.shelf.away = "it is away"
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
    room.shelf.away, room.shelf.over = "", {"s1"}
    room.desk.recover("gone")
    assert room.shelf.kept[review_id].closed_reason == "gone"


async def test_an_approved_statement_does_not_run_while_the_store_is_away(room: Room) -> None:
    async def approve_then_lose() -> None:
        async with room.asking() as (review_id, _):
            room.desk.answer(review_id, BOB, approve=True)
            room.shelf.away = "it is away"

    with pytest.raises(ExceptionGroup) as failed:
        await approve_then_lose()
    assert failed.group_contains(StoreAway)


async def test_looking_goes_on_after_the_store_was_away(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("broker.review.desk.LOOK_EVERY", 0.001)
    there = other_desk(room)
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        watching = group.create_task(room.desk.watch())
        async with room.asking() as (review_id, task):
            marks = room.shelf.pending_marks
            asked = asyncio.Event()

            def lost() -> dict[str, int]:
                asked.set()
                raise StoreAway

            room.shelf.pending_marks = lost  # type: ignore[method-assign]
            await asked.wait()
            room.shelf.pending_marks = marks  # type: ignore[method-assign]
            there.answer(review_id, BOB, approve=True)
        assert task.result().answer is Answer.ALLOW
        watching.cancel()


async def test_what_it_would_touch_is_kept_and_audited_before_anyone_is_told(room: Room) -> None:
    impact = Impact(estimate=3, max_affected=14)
    room.verdict = replace(VERDICT, impact=impact)
    async with room.asking() as (review_id, _):
        assert room.shelf.kept[review_id].impact == impact
        asked = next(e for e in room.audit.events if e.type == "review.asked")
        assert (asked.fields["estimate"], asked.fields["max_affected"]) == (3, 14)
        room.desk.answer(review_id, BOB, approve=True)


async def test_a_dry_run_is_kept_while_it_waits_and_not_after(room: Room) -> None:
    trial = Trial("bob@example.com", room.now(), 3)
    async with room.asking() as (review_id, _):
        heard: list[Review] = []
        room.desk.on_change(heard.append)
        assert room.desk.tried(review_id, trial).trial == trial
        assert room.shelf.kept[review_id].trial == trial
        room.desk.answer(review_id, BOB, approve=True)
    assert heard[0].trial == trial
    with pytest.raises(UsageError, match="does not wait any longer"):
        room.desk.tried(review_id, trial)
