"""Who has to go when the door is crowded: never the known, and never the one who is moving."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from broker.config.model import Limits
from broker.ssh.crowd import MOVES, SURPLUS, UNPROVEN, UNPROVEN_OF_ONE, Crowd, Queue
from tests.fakes import ALICE, BOB

if TYPE_CHECKING:
    from broker.model import Identity


@dataclass(eq=False)
class FakeConnection:
    source: str = "10.0.0.1"
    identity: Identity | None = None
    ended: list[str] = field(default_factory=list)

    def disconnect(self, why: str) -> None:
        self.ended.append(why)


class World:
    def __init__(self, **limits: int) -> None:
        self.noted: list[str] = []
        self.elsewhere = (0, 0)
        self.crowd = Crowd(lambda: Limits(**limits), self._note, lambda _: self.elsewhere)

    def _note(
        self, what: str, told: str, *, identity: Identity | None = None, source: str = ""
    ) -> None:
        self.noted.append(what)

    def storm(self, count: int, source: str = "10.0.0.1") -> list[FakeConnection]:
        those = [FakeConnection(source) for _ in range(count)]
        for one in those:
            self.crowd.arrived(one)
        return those

    def enters(self, identity: Identity | None, source: str = "10.0.0.9") -> tuple[str, list[str]]:
        one = FakeConnection(source)
        self.crowd.arrived(one)
        one.identity = identity
        return self.crowd.admitted(one), one.ended


def test_the_one_that_stood_still_the_longest_goes() -> None:
    world = World()
    slow = world.storm(UNPROVEN_OF_ONE)
    honest = FakeConnection()
    world.crowd.arrived(honest)
    assert [bool(one.ended) for one in slow[:2]] == [True, False]
    for _ in range(3):  # a storm between each of its steps
        world.storm(UNPROVEN_OF_ONE - 1)
        world.crowd.moved(honest)
    honest.identity = ALICE
    assert world.crowd.admitted(honest) == ""
    world.storm(2000)
    assert honest.ended == []
    assert set(world.noted) == {"strangers"}


def test_nobody_stays_by_dancing_on_the_spot() -> None:
    world = World()
    dancer = FakeConnection()
    world.crowd.arrived(dancer)
    for _ in range(MOVES * 2):
        world.storm(UNPROVEN_OF_ONE // MOVES)
        world.crowd.moved(dancer)
    world.storm(UNPROVEN_OF_ONE)
    assert dancer.ended


def test_a_storm_from_one_address_costs_no_other_address_its_place() -> None:
    world = World()
    others = [world.storm(1, f"10.1.0.{n}")[0] for n in range(UNPROVEN - UNPROVEN_OF_ONE)]
    world.storm(5000)
    assert not any(one.ended for one in others)
    world.storm(1, "10.2.0.1")
    assert not any(one.ended for one in others)  # the crowded address gives way


@given(st.lists(st.tuples(st.sampled_from("amr"), st.integers(0, 9)), max_size=200))
def test_a_queue_never_holds_more_than_it_may(steps: list[tuple[str, int]]) -> None:
    queue = Queue(total=6, of_one=3)
    people = [FakeConnection(f"10.0.0.{n % 4}") for n in range(10)]
    inside: set[int] = set()
    for step, n in steps:
        if step == "a" and n not in inside:
            inside.add(n)
            gone = queue.add(people[n])
            if isinstance(gone, FakeConnection):
                inside.discard(people.index(gone))
        elif step == "m":
            queue.moved(people[n])
        elif step == "r":
            queue.remove(people[n])
            inside.discard(n)
        assert {people.index(one) for one in queue if isinstance(one, FakeConnection)} == inside
        assert len(queue) == len(inside) <= 6
        assert all(sum(1 for p in inside if p % 4 == k) <= 3 for k in range(4))


def test_people_who_log_in_with_a_key_wait_apart_from_strangers() -> None:
    world = World()
    guest = FakeConnection("10.0.0.7")
    world.crowd.arrived(guest)
    assert world.crowd.admitted(guest) == ""
    world.storm(3000)
    world.storm(3000, "10.0.0.7")
    assert guest.ended == []
    for _ in range(UNPROVEN_OF_ONE):
        assert world.enters(None, "10.0.0.7") == ("", [])
    assert guest.ended
    assert "guests" in world.noted


def test_connections_are_counted_by_identity_and_in_all() -> None:
    world = World(connections_per_identity=2, connections=3)
    first = FakeConnection(identity=ALICE)
    world.crowd.arrived(first)
    assert world.crowd.admitted(first) == ""
    assert world.enters(ALICE) == ("", [])
    assert "you have 2 connections open" in world.enters(ALICE)[0]
    assert world.enters(BOB) == ("", [])
    cat = replace(ALICE, name="cat@example.com")
    assert "the broker has 3 connections open" in world.enters(cat)[0]
    assert world.noted == ["connections_per_identity", "connections"]
    world.crowd.left(first)
    assert world.enters(cat) == ("", [])


def test_those_over_a_limit_are_told_but_only_so_many_of_them() -> None:
    world = World(connections_per_identity=1)
    world.enters(ALICE)
    for _ in range(SURPLUS):
        told, ended = world.enters(ALICE)
        assert told
        assert not ended
    told, ended = world.enters(ALICE)
    assert ended == [told]


def test_leaving_leaves_nothing_behind() -> None:
    world = World(connections_per_identity=1)
    everybody = [FakeConnection(identity=who) for who in (None, ALICE, ALICE)]
    for one in everybody:
        world.crowd.arrived(one)
        world.crowd.admitted(one)
    stranger = world.storm(1)[0]
    assert {id(one) for one in world.crowd} == {id(one) for one in (*everybody, stranger)}
    for one in (*everybody, stranger):
        world.crowd.left(one)
    assert list(world.crowd) == []


def test_connections_at_other_nodes_count_too() -> None:
    world = World(connections_per_identity=3, connections=5)
    assert world.enters(ALICE)[0] == ""
    assert world.crowd.counts() == {str(ALICE): 1}
    world.elsewhere = (2, 2)
    assert "you have 3 connections open" in world.enters(ALICE)[0]
    world.elsewhere = (0, 4)
    assert "the broker has 5 connections open" in world.enters(BOB)[0]
    assert world.noted == ["connections_per_identity", "connections"]
