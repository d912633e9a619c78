"""What a lock or a limit ends, when, and with which sentence."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from broker.config.model import Config, Limits
from broker.control.holds import Hold, Holds
from broker.errors import EvidenceFailure, TryLater
from broker.policy.locks import Ended, Lock, Subject
from tests.fakes import ALICE, BOB, NOON, FakeAudit, Journal, session

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from broker.model import Identity, Session

BY = "human:dana@example.com@corp"
ALICES = Lock(Subject.IDENTITY, "alice@example.com", BY, NOON, "stolen")
ORDERS = Lock(Subject.TARGET, "orders", BY, NOON, "upgrade")
ONE = Lock(Subject.SESSION, "s1", BY, NOON, "enough")
PATIENCE = 5.0


@dataclass
class FakeTable:
    """A lock table in a list, which can break."""

    locks: list[Lock] = field(default_factory=list)
    broken: bool = False

    def all(self) -> tuple[Lock, ...]:
        if self.broken:
            msg = "the store cannot be used"
            raise EvidenceFailure(msg)
        return tuple(self.locks)

    def put(self, lock: Lock) -> None:
        self.locks.append(lock)

    def lift(self, subject: Subject, name: str) -> bool:
        self.locks = [k for k in self.locks if (k.subject, k.name) != (subject, name)]
        return True

    def tidy(self) -> None:
        pass


class World:
    """Holds with everything around them that a test may turn."""

    def __init__(self) -> None:
        self.table = FakeTable()
        self.audit = FakeAudit(Journal())
        self.config = Config(Path("f"), "h", "127.0.0.1", 0, Path("s"), "sqlite", (), {}, ())
        self.waits = False
        self.elsewhere = (0, 0)
        self.holds = Holds(
            self.table,
            self.audit,
            lambda: self.config,
            lambda _: self.waits,
            lambda _: self.elsewhere,
        )

    def told(self) -> list[str]:
        return [event.type for event in self.audit.events]

    @asynccontextmanager
    async def working(
        self,
        identity: Identity = ALICE,
        its: Session | None = None,
        quiet_since: Callable[[], float] | None = None,
    ) -> AsyncIterator[asyncio.Task[None]]:
        """Something under way for ever; the test may await how it ends."""
        begun = asyncio.Event()

        async def work() -> None:
            with self.holds.holding(identity, its, quiet_since):
                begun.set()
                await asyncio.Event().wait()

        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(quietly(work()))
            await begun.wait()
            yield task
            task.cancel()


ENDS: list[BaseException] = []


async def quietly(work: object) -> None:
    """Keep how it ended, out of the task group's way."""
    try:
        await work  # type: ignore[misc]
    except (Ended, TryLater, EvidenceFailure) as error:
        ENDS.append(error)


@pytest.fixture
def world() -> World:
    ENDS.clear()
    return World()


async def ended(task: asyncio.Task[None]) -> BaseException:
    await asyncio.wait_for(task, PATIENCE)
    return ENDS.pop()


@pytest.mark.parametrize("lock", [ALICES, ORDERS, ONE], ids=str)
async def test_a_lock_ends_what_it_bars_at_once(world: World, lock: Lock) -> None:
    async with world.working(ALICE, session()) as task:
        assert world.holds.put(lock) == 1
        error = await ended(task)
    assert isinstance(error, Ended)
    assert str(error) == lock.ending()
    assert error.code == 77


async def test_others_go_on(world: World) -> None:
    async with world.working(BOB, replace(session(BOB), id="s2", target="box")) as task:
        for lock in (ALICES, ORDERS, ONE):
            assert world.holds.put(lock) == 0
        assert not task.done()


async def test_a_lock_that_another_process_wrote_is_seen_within_a_second(world: World) -> None:
    async with world.working(ALICE) as task, asyncio.TaskGroup() as tasks:
        watching = tasks.create_task(world.holds.watch())
        began = time.monotonic()
        world.table.put(ALICES)
        assert isinstance(await ended(task), Ended)
        assert time.monotonic() - began < 1
        watching.cancel()


async def test_nothing_begins_behind_a_lock(world: World) -> None:
    world.holds.put(ALICES)
    for _ in range(3):
        with pytest.raises(Ended, match=r"you are locked by dana@example\.com: stolen"):
            world.holds.check(ALICE)
    with pytest.raises(Ended), world.holds.holding(ALICE):
        pytest.fail("it began")
    assert world.told() == ["lock.refused"]  # once: a flood must not fill the log
    world.holds.check(BOB)
    world.holds.lift(ALICES)
    world.holds.check(ALICE)


async def test_nobody_is_let_in_while_the_locks_cannot_be_read(world: World) -> None:
    world.table.broken = True
    world.holds.look()
    with pytest.raises(EvidenceFailure):
        world.holds.check(BOB)
    world.table.broken = False
    world.holds.look()
    world.holds.check(BOB)


async def test_locks_that_were_known_hold_while_the_store_is_away(world: World) -> None:
    world.holds.put(ALICES)
    world.table.broken = True
    world.holds.look()
    with pytest.raises(Ended), world.holds.holding(ALICE):
        pytest.fail("it began")


async def test_work_that_swallows_its_end_is_told_again(world: World) -> None:
    swallowed = asyncio.Event()
    told: list[str] = []

    async def stubborn() -> None:
        with world.holds.holding(ALICE) as hold:
            stuck.append(hold)
            begun.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError as error:
                told.append(str(error))
                swallowed.set()
            await asyncio.Event().wait()

    stuck: list[Hold] = []
    begun = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(quietly(stubborn()))
        await begun.wait()
        world.holds.put(ALICES)
        await asyncio.wait_for(swallowed.wait(), PATIENCE)
        world.holds.look()
        assert not task.done()
        stuck[0]._told -= 10
        world.holds.look()
        assert isinstance(await ended(task), Ended)
    assert told == [f"interlock: {ALICES.ending()}"]


async def test_a_client_that_leaves_is_no_end_of_ours(world: World) -> None:
    async with world.working(ALICE) as task:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert ENDS == []


async def test_the_end_leaves_a_task_that_can_go_on(world: World) -> None:
    async def work() -> str:
        try:
            with world.holds.holding(ALICE):
                begun.set()
                await asyncio.Event().wait()
        except Ended as error:
            async with asyncio.timeout(1):
                await asyncio.sleep(0)  # as telling the person does
            return str(error)
        return "not ended"

    begun = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(work())
        await begun.wait()
        world.holds.put(ALICES)
        assert await task == ALICES.ending()
        assert task.cancelling() == 0


async def test_sessions_are_counted(world: World) -> None:
    world.config = replace(world.config, limits=Limits(sessions=2, sessions_per_identity=1))
    async with world.working(ALICE, session()):
        with pytest.raises(TryLater, match="you have 1 sessions open"):
            world.holds.admit(ALICE, "orders", "10.0.0.1")
        world.holds.admit(BOB, "orders", "10.0.0.2")
        async with world.working(BOB, session(BOB)), world.working(BOB):
            cat = replace(ALICE, name="cat@example.com")
            with pytest.raises(TryLater, match="the broker has 2 sessions open"):
                world.holds.admit(cat, "orders", "10.0.0.3")
    world.holds.admit(ALICE, "orders", "10.0.0.1")
    assert [e.fields["limit"] for e in world.audit.events] == ["sessions_per_identity", "sessions"]


async def test_a_session_has_its_time(world: World) -> None:
    world.config = replace(world.config, session_ttl=timedelta(milliseconds=20))
    async with world.working(ALICE, session()) as task:
        error = await ended(task)
    assert isinstance(error, TryLater)
    assert "reached its limit" in str(error)
    assert [event.sid for event in world.audit.events] == ["s1"]


async def test_idleness_is_limited_but_a_wait_for_people_is_not_idle(world: World) -> None:
    world.config = replace(world.config, idle_timeout=timedelta(seconds=9))
    long_ago = time.monotonic() - 10
    async with world.working(ALICE, session(), lambda: long_ago) as task:
        world.waits = True
        world.holds.look()
        world.waits = False
        world.holds.look()
        assert not task.done()
        for hold in world.holds._holds:
            hold.awake = long_ago
        world.holds.look()
        error = await ended(task)
    assert isinstance(error, TryLater)
    assert "idle" in str(error)
    assert world.told() == ["limit.reached"]


async def test_no_idle_timeout_and_no_session_are_never_idle(world: World) -> None:
    world.config = replace(world.config, idle_timeout=timedelta())
    async with world.working(ALICE, session(), lambda: 0.0) as one, world.working(BOB) as other:
        for hold in world.holds._holds:
            hold.awake = 0.0
        world.holds.look()
        assert not one.done()
        assert not other.done()


async def test_a_limit_that_cannot_be_audited_ends_as_a_fault(world: World) -> None:
    world.config = replace(world.config, session_ttl=timedelta(milliseconds=20))
    world.audit.journal.failing = "audit"
    async with world.working(ALICE, session()) as task:
        assert isinstance(await ended(task), EvidenceFailure)


async def test_the_lock_of_a_session_goes_with_it(world: World) -> None:
    async with world.working(ALICE, session()) as task:
        world.holds.put(ONE)
        await ended(task)
    assert world.table.locks == []


async def test_sessions_at_other_nodes_count_too(world: World) -> None:
    world.config = replace(world.config, limits=Limits(sessions=4, sessions_per_identity=3))
    async with world.working(ALICE, session()):
        world.elsewhere = (2, 2)
        with pytest.raises(TryLater, match="you have 3 sessions open"):
            world.holds.admit(ALICE, "orders", "10.0.0.1")
        world.elsewhere = (0, 3)
        with pytest.raises(TryLater, match="the broker has 4 sessions open"):
            world.holds.admit(BOB, "orders", "10.0.0.1")
        world.elsewhere = (1, 2)
        world.holds.admit(ALICE, "orders", "10.0.0.1")


@pytest.mark.parametrize(
    ("grace", "ends"),
    [(timedelta(), True), (timedelta(minutes=1), False), (None, False)],
    ids=["end", "not yet", "keep"],
)
async def test_without_the_store_sessions_end_by_rule(
    world: World, grace: timedelta | None, ends: bool
) -> None:
    world.config = replace(world.config, on_store_loss=grace)
    async with world.working(ALICE, session()) as task, world.working(BOB) as screens:
        world.table.broken = True
        world.holds.look()
        with pytest.raises(EvidenceFailure):
            world.holds.check(BOB)
        if ends:
            error = await ended(task)
            assert type(error) is EvidenceFailure
            assert str(error) == "this session was ended: the broker has lost its store"
        world.table.broken = False
        world.holds.look()
        world.holds.check(BOB)
        assert task.done() == ends
        assert not screens.done()


async def test_the_grace_begins_anew_with_each_loss(world: World) -> None:
    world.config = replace(world.config, on_store_loss=timedelta(seconds=10))
    async with world.working(ALICE, session()) as task:
        for broken in (True, True, False, True, True):
            world.table.broken = broken
            world.holds.look()
            world.holds._blind_since -= 6
        await asyncio.sleep(0)
        assert not task.done()
        world.holds.look()
        assert isinstance(await ended(task), EvidenceFailure)
