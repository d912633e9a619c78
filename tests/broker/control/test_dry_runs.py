"""Who may have something tried out, in which order it is audited, and what is kept."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import pytest

from broker.control.dry_runs import DryRuns
from broker.errors import Denied, EvidenceFailure, UsageError
from broker.model import Identity, Kind
from broker.review import life
from tests.broker.review.test_desk import Room
from tests.fakes import ALICE, BOB, NOON

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from broker.control.operations import Operations
    from broker.review.desk import Desk
    from broker.review.life import Review

AGENT = Identity("bot", Kind.AGENT, "ci", "u-bot", ("dba",))
STRANGER = Identity("zed", Kind.HUMAN, "corp", "u-zed")


@dataclass
class Broker:
    """The part of Operations that dry runs use."""

    desk: Desk

    def clock(self) -> Any:
        """Noon."""
        return NOON

    def show(self, by: Identity, review_id: str) -> Mapping[str, object]:
        """A card, for those whom it concerns."""
        review = self.desk.find(review_id)
        if review is None or not life.may_see(review, by):
            msg = f"there is no review {review_id!r} for you"
            raise UsageError(msg)
        return {"id": review.id, "trial": review.trial}


@dataclass
class Trying:
    """A desk where something waits, and dry runs that end when told."""

    room: Room = field(default_factory=Room)
    results: asyncio.Queue[tuple[int | None, str]] = field(default_factory=asyncio.Queue)
    tried: list[Review] = field(default_factory=list)
    begun: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        broker = cast("Operations", Broker(self.room.desk))
        self.runs = DryRuns(broker, self.room.audit, str, self.try_out)

    async def try_out(self, review: Review) -> tuple[int | None, str]:
        self.room.journal.note("target", "tried")
        self.tried.append(review)
        self.begun.set()
        return await self.results.get()

    @asynccontextmanager
    async def waiting(self) -> AsyncIterator[str]:
        async with self.room.asking() as (review_id, _):
            yield review_id
            if (left := self.room.desk.find(review_id)) and left.state is life.State.PENDING:
                self.room.desk.answer(review_id, BOB, approve=True)

    @property
    def audited(self) -> list[object]:
        events = self.room.audit.events
        return [event.fields["found"] for event in events if event.type == "review.tried"]


@pytest.mark.parametrize(
    ("result", "found"),
    [((4, ""), "4 rows"), ((None, "its table has triggers"), "not made: its table has triggers")],
)
async def test_it_is_audited_before_it_is_made_and_kept(
    result: tuple[int | None, str], found: str
) -> None:
    trying = Trying()
    async with trying.waiting() as review_id:
        trying.results.put_nowait(result)
        card = await trying.runs.run(BOB, review_id)
        assert card["trial"] == life.Trial(BOB.name, NOON, *result)
        assert trying.audited == ["asked", found]
        happened = trying.room.journal.happened
        assert happened.index("audit: review.tried") < happened.index("target: tried")


@pytest.mark.parametrize("by", [ALICE, AGENT, STRANGER], ids=["requester", "agent", "stranger"])
async def test_nobody_else_may_have_it_tried(by: Identity) -> None:
    trying = Trying()
    async with trying.waiting() as review_id:
        with pytest.raises((Denied, UsageError)):
            await trying.runs.run(by, review_id)
        assert trying.tried == []
        assert trying.audited == []


async def test_what_cannot_be_audited_is_not_made() -> None:
    trying = Trying()
    async with trying.waiting() as review_id:
        trying.room.journal.failing = "audit"
        with pytest.raises(EvidenceFailure):
            await trying.runs.run(BOB, review_id)
        trying.room.journal.failing = None
        assert trying.tried == []


async def test_one_at_a_time_and_none_of_what_is_over() -> None:
    trying = Trying()
    async with trying.waiting() as review_id, asyncio.TaskGroup() as tasks:
        first = tasks.create_task(trying.runs.run(BOB, review_id))
        await trying.begun.wait()
        with pytest.raises(UsageError, match="under way"):
            await trying.runs.run(BOB, review_id)
        trying.results.put_nowait((1, ""))
        await first
        trying.room.desk.answer(review_id, BOB, approve=True)
        with pytest.raises(UsageError, match="does not wait any longer"):
            await trying.runs.run(BOB, review_id)


async def test_a_review_that_ends_meanwhile_keeps_its_end() -> None:
    trying = Trying()
    async with trying.waiting() as review_id, asyncio.TaskGroup() as tasks:
        running = tasks.create_task(_failing(trying, review_id))
        await trying.begun.wait()
        trying.room.desk.answer(review_id, BOB, approve=False, reason="no")
        trying.results.put_nowait((1, ""))
        assert "does not wait any longer" in await running
        assert trying.audited == ["asked", "1 rows"]


async def _failing(trying: Trying, review_id: str) -> str:
    with pytest.raises(UsageError) as refused:
        await trying.runs.run(BOB, review_id)
    return str(refused.value)
