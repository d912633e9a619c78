"""Leases, the dead, and what all nodes together have open."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from broker.errors import EvidenceFailure
from tests.fakes import ALICE, BOB, NOON, session
from tests.fixtures.stores import Shelf

if TYPE_CHECKING:
    from contextlib import ExitStack
    from pathlib import Path

    from broker.store.opening import Stores
    from broker.store.records import SessionRecord
    from tests.fixtures.postgres import PostgresServer


class Pair:
    """Two nodes, and whoever turns the clock."""

    def __init__(self, shelf: Shelf, postgres: PostgresServer) -> None:
        self.a, self.b = shelf.open("a"), shelf.open("b")
        self._postgres = postgres
        self._database = shelf.address.rpartition("/")[2].partition("?")[0]
        self.buried: list[tuple[str, list[str]]] = []

    def execute(self, text: str) -> list[tuple[object, ...]]:
        return self._postgres.execute(text, self._database)

    def later(self) -> None:
        """Every lease is over."""
        self.execute("UPDATE nodes SET lease_until = lease_until - interval '1 hour'")

    def note(self, node: str, left: list[SessionRecord]) -> None:
        self.buried.append((node, [record.id for record in left]))


@pytest.fixture
def pair(shared_dsn: str, postgres: PostgresServer, tmp_path: Path, stack: ExitStack) -> Pair:
    return Pair(Shelf(shared_dsn, tmp_path, stack), postgres)


def begin(stores: Stores, name: str, who: object = ALICE) -> None:
    one = replace(session(), id=name, identity=who, node=stores.nodes.name)  # type: ignore[arg-type]
    stores.store.save_session_opened(one, recording=None)


def status(stores: Stores, name: str) -> str:
    found = stores.store.find_session(name)
    assert found is not None
    return found.status


def test_a_dead_nodes_sessions_are_closed_once_and_nobody_elses(pair: Pair) -> None:
    for stores, name in ((pair.a, "s1"), (pair.b, "s2"), (pair.b, "s3")):
        stores.nodes.renew([name], {})
        begin(stores, name)
    pair.b.store.save_session_closed("s3", ended=NOON, status="ended", exit_code=0)
    pair.a.nodes.bury(NOON, pair.note)
    assert pair.buried == []
    pair.later()
    pair.a.nodes.renew(["s1"], {})
    pair.a.nodes.bury(NOON, pair.note)
    pair.a.nodes.bury(NOON, pair.note)
    assert pair.buried == [(pair.b.nodes.name, ["s2"])]
    assert [status(pair.a, name) for name in ("s1", "s2", "s3")] == ["open", "interrupted", "ended"]


def test_a_burial_that_cannot_be_audited_does_not_happen(pair: Pair) -> None:
    pair.b.nodes.renew(["s2"], {})
    begin(pair.b, "s2")
    pair.later()

    def fails(*_: object) -> None:
        raise EvidenceFailure

    with pytest.raises(EvidenceFailure):
        pair.a.nodes.bury(NOON, fails)
    assert status(pair.a, "s2") == "open"
    pair.a.nodes.bury(NOON, pair.note)
    assert status(pair.a, "s2") == "interrupted"


def test_a_node_that_was_taken_for_dead_has_its_running_sessions_again(pair: Pair) -> None:
    pair.b.nodes.renew([], {})
    for name in ("s2", "s3"):
        begin(pair.b, name)
    pair.later()
    pair.a.nodes.bury(NOON, pair.note)
    pair.b.nodes.renew(["s2"], {})
    assert [status(pair.a, name) for name in ("s2", "s3")] == ["open", "interrupted"]
    found = pair.a.store.find_session("s2")
    assert found is not None
    assert found.ended is None


def test_a_node_that_leaves_is_not_dead(pair: Pair) -> None:
    pair.b.nodes.renew([], {})
    pair.b.nodes.leave()
    pair.later()
    pair.a.nodes.bury(NOON, pair.note)
    assert pair.buried == []


def test_sessions_elsewhere_are_counted(pair: Pair) -> None:
    begin(pair.a, "s1")
    begin(pair.b, "s2")
    begin(pair.b, "s3", BOB)
    assert pair.a.nodes.sessions_elsewhere(str(ALICE)) == (1, 2)
    assert pair.b.nodes.sessions_elsewhere(str(BOB)) == (0, 1)
    pair.b.store.save_session_closed("s2", ended=NOON, status="ended", exit_code=0)
    assert pair.a.nodes.sessions_elsewhere(str(ALICE)) == (0, 1)


def test_connections_elsewhere_are_those_that_living_nodes_told(pair: Pair) -> None:
    pair.a.nodes.renew([], {str(ALICE): 5})
    pair.b.nodes.renew([], {str(ALICE): 2, str(BOB): 1})
    assert pair.a.nodes.connections_elsewhere(str(ALICE)) == (2, 3)
    assert pair.b.nodes.connections_elsewhere(str(BOB)) == (0, 5)
    pair.later()
    assert pair.a.nodes.connections_elsewhere(str(ALICE)) == (0, 0)


def test_logins_are_counted_over_all_nodes_and_come_back_with_time(pair: Pair) -> None:
    both = (pair.a.nodes, pair.b.nodes)
    assert [both[n % 2].knock("10.0.0.1", 4) for n in range(5)] == [True] * 4 + [False]
    assert pair.b.nodes.knock("10.0.0.2", 4)
    pair.execute("UPDATE knocks SET at = at - interval '16 seconds'")
    assert [both[n % 2].knock("10.0.0.1", 4) for n in range(2)] == [True, False]
    pair.execute("UPDATE knocks SET at = at - interval '2 minutes'")
    pair.a.nodes.bury(NOON, pair.note)
    assert pair.execute("SELECT count(*) FROM knocks") == [(0,)]
