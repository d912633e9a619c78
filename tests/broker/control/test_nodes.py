"""One node's life among others: leases, burials, and who is woken; over real shared stores."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest

from broker.control.nodes import GONE, Membership
from broker.errors import EvidenceFailure, StoreAway
from broker.policy.locks import Lock, Subject
from broker.review.desk import Desk
from broker.review.life import State
from broker.store.opening import SharedStore
from tests.broker.review.test_life import review
from tests.fakes import NOON, FakeAudit, Journal, session
from tests.fixtures.served import until
from tests.fixtures.stores import Shelf

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import ExitStack
    from pathlib import Path

    from broker.store.opening import Stores
    from tests.fixtures.postgres import PostgresServer

LOCK = Lock(Subject.SESSION, "s1", "human:dana@example.com@corp", NOON, "enough")


@dataclass
class Node:
    """A node, and what it has."""

    stores: Stores
    running: list[str] = field(default_factory=list)
    connections: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.audit = FakeAudit(Journal())
        self.desk = Desk(self.stores.store, self.audit, lambda: NOON, str)
        self.looked = asyncio.Event()
        self.member = Membership(
            self.stores,
            self.desk,
            self.audit,
            lambda: NOON,
            running=lambda: self.running,
            connections=lambda: self.connections,
            look=self.looked.set,
        )

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
            task = tasks.create_task(self.member.watch())
            yield
            task.cancel()

    def begins(self, name: str) -> None:
        one = replace(session(), id=name, node=self.stores.nodes.name)
        self.stores.store.save_session_opened(one, recording=None)
        self.stores.store.add_review(replace(review(), id=name, session=name))
        self.running.append(name)

    def status(self, name: str) -> tuple[str, State]:
        one, asked = self.stores.store.find_session(name), self.stores.store.find_review(name)
        assert one is not None
        assert asked is not None
        return one.status, asked.state


@dataclass
class Pair:
    """Two nodes, and the database behind their backs."""

    a: Node
    b: Node
    postgres: PostgresServer
    database: str

    def execute(self, text: str) -> list[tuple[object, ...]]:
        return self.postgres.execute(text, self.database)

    async def says(self, text: str, rows: list[tuple[object, ...]]) -> None:
        """Wait until the database says so."""
        await asyncio.to_thread(until, lambda: self.execute(text) == rows)


@pytest.fixture
async def pair(shared_dsn: str, postgres: PostgresServer, tmp_path: Path, stack: ExitStack) -> Pair:
    shelf = Shelf(shared_dsn, tmp_path, stack)
    database = shared_dsn.rpartition("/")[2].partition("?")[0]
    return Pair(Node(shelf.open("a")), Node(shelf.open("b")), postgres, database)


async def test_what_a_dead_node_left_is_closed_audited_and_withdrawn(pair: Pair) -> None:
    pair.a.member.begin()
    pair.b.member.begin()
    pair.a.begins("s1")
    pair.b.begins("s2")
    pair.b.stores.locks.put(replace(LOCK, name="s2"))
    pair.a.member.beat()
    assert pair.a.status("s2") == ("open", State.PENDING)
    pair.execute("UPDATE nodes SET lease_until = now() - interval '1 second'")
    pair.a.member.beat()
    assert pair.a.status("s2") == ("interrupted", State.WITHDRAWN)
    assert pair.a.status("s1") == ("open", State.PENDING)
    assert [event.type for event in pair.a.audit.events] == ["broker.recovered", "review.closed"]
    assert pair.a.audit.events[0].fields == {
        "node": pair.b.stores.nodes.name,
        "interrupted": ["s2"],
    }
    found = pair.a.desk.find("s2")
    assert found is not None
    assert found.closed_reason == GONE
    assert pair.a.stores.locks.all() == ()


async def test_a_burial_that_cannot_be_audited_waits(pair: Pair) -> None:
    pair.b.member.begin()
    pair.b.begins("s2")
    pair.execute("UPDATE nodes SET lease_until = now() - interval '1 second'")
    pair.a.audit.journal.failing = "audit"
    with pytest.raises(EvidenceFailure):
        pair.a.member.beat()
    assert pair.a.status("s2") == ("open", State.PENDING)


async def test_an_end_that_could_not_be_kept_is_kept_with_the_next_beat(pair: Pair) -> None:
    pair.a.member.begin()
    pair.a.begins("s1")
    store = pair.a.stores.store
    assert isinstance(store, SharedStore)
    store._link._rest_until = float("inf")  # it is too slow now
    with pytest.raises(StoreAway):
        store.save_session_closed("s1", ended=NOON, status="killed", exit_code=77)
    store._link._rest_until = 0.0
    pair.a.running.clear()
    pair.a.member.beat()
    assert pair.a.status("s1") == ("killed", State.WITHDRAWN)


async def test_a_node_that_leaves_is_not_buried(pair: Pair) -> None:
    pair.b.member.begin()
    pair.b.member.leave()
    assert pair.execute("SELECT count(*) FROM nodes") == [(0,)]


async def test_another_nodes_lock_and_review_wake_this_one(pair: Pair) -> None:
    pair.a.member.begin()
    heard = asyncio.Event()
    pair.a.desk.on_change(lambda _: heard.set())
    async with pair.a.watching():
        await pair.a.looked.wait()  # it listens
        pair.a.looked.clear()
        pair.b.stores.locks.put(LOCK)
        await pair.a.looked.wait()
        pair.b.begins("s2")
        await heard.wait()


async def test_how_many_connections_there_are_is_told_soon(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("broker.control.nodes.LOOK_EVERY", 0.01)
    pair.a.member.begin()
    pair.a.connections = {"human:alice@example.com@corp": 2}
    async with pair.a.watching():
        await pair.says("SELECT connections FROM nodes", [({"human:alice@example.com@corp": 2},)])
        assert pair.b.stores.nodes.connections_elsewhere("x") == (0, 2)


async def test_a_lost_store_is_waited_for_and_the_lease_is_taken_again(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("broker.control.nodes.LOOK_EVERY", 0.01)
    monkeypatch.setattr("broker.control.nodes.BEAT_S", 0.02)
    pair.a.member.begin()
    pair.a.begins("s1")
    async with pair.a.watching():
        pair.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE application_name = 'interlock'"
        )
        pair.execute("DELETE FROM nodes")
        pair.execute("UPDATE sessions SET status = 'interrupted'")
        await pair.says("SELECT name FROM nodes", [(pair.a.stores.nodes.name,)])
        await pair.says("SELECT status FROM sessions", [("open",)])
