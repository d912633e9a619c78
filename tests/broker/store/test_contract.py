"""What every store promises, kept by a file and by a shared database alike."""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker.errors import EvidenceFailure, InterlockError
from broker.model import Impact, Parameter
from broker.policy.locks import Lock, Subject
from broker.review import life
from broker.review.life import State
from broker.store.opening import opened
from tests.broker.review.test_life import CAROL, answered, review
from tests.fakes import ALICE, BOB, NOON, session
from tests.fixtures.stores import Shelf, fresh_database

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from broker.identity.login import UsedTokens
    from broker.model import Session
    from broker.review.desk import Shelf as Desks
    from broker.review.life import Review
    from broker.store.contract import Store
    from tests.fixtures.postgres import PostgresServer

LATER = NOON + timedelta(minutes=1)
END = NOON.timestamp() + 60
TARGET = Lock(Subject.TARGET, "orders", "human:dana@example.com@corp", NOON, "upgrade")
SESSION = Lock(Subject.SESSION, "s1", "human:dana@example.com@corp", NOON, "now")


def nothing() -> None:
    """Before a change."""


def at(number: int, **changes: object) -> Session:
    started = NOON + timedelta(minutes=number)
    return replace(session(), id=f"s{number}", started=started, **changes)  # type: ignore[arg-type]


@pytest.fixture
def store(shelf: Shelf) -> Store:
    return shelf.open().store


# -- sessions ----------------------------------------------------------------------------------


def test_a_session_is_open_and_then_over(store: Store) -> None:
    begun = at(1, reason="INC-7 \udcff", source="::1", node="a")
    store.save_session_opened(begun, recording="a.cast")
    running = store.find_session("s1")
    assert running is not None
    assert (running.status, running.ended, running.recording) == ("open", None, "a.cast")
    assert (running.identity, running.reason, running.node) == (str(ALICE), "INC-7 \udcff", "a")
    store.save_session_closed("s1", ended=LATER, status="killed", exit_code=None)
    store.save_session_closed("s1", ended=LATER, status="ended", exit_code=0)
    over = store.find_session("s1")
    assert over == replace(running, ended=LATER, status="killed")
    assert store.find_session("s2") is None


def test_a_session_id_is_used_once(store: Store) -> None:
    store.save_session_opened(at(1), recording=None)
    with pytest.raises(EvidenceFailure, match="the store cannot be used"):
        store.save_session_opened(at(1, target="web1"), recording=None)
    assert [record.target for record in store.list_sessions()] == ["orders"]


def test_sessions_are_listed_latest_first_and_filtered(store: Store) -> None:
    for number, (who, target) in enumerate([(ALICE, "orders"), (BOB, "orders"), (BOB, "web1")]):
        store.save_session_opened(at(number, identity=who, target=target), recording=None)
    store.save_session_closed("s1", ended=LATER, status="ended", exit_code=0)

    def ids(**filters: str) -> list[str]:
        return [record.id for record in store.list_sessions(**filters)]  # type: ignore[arg-type]

    assert ids() == ["s2", "s1", "s0"]
    assert ids(identity=str(BOB)) == ["s2", "s1"]
    assert ids(identity=str(BOB), target="orders") == ["s1"]
    assert ids(status="open") == ["s2", "s0"]
    assert ids(target="' OR 1=1 --") == []
    assert len(store.list_sessions(limit=1)) == 1


def test_a_restart_interrupts_what_it_left_open_and_nothing_else(
    shelf: Shelf, store: Store
) -> None:
    for number, node in enumerate("aab"):
        store.save_session_opened(at(number, node=node), recording=f"{number}.cast")
    store.save_session_closed("s1", ended=LATER, status="ended", exit_code=3)
    again = shelf.open().store
    marked = again.interrupt_sessions(LATER, "a")
    assert [(r.id, r.status, r.ended) for r in marked] == [("s0", "interrupted", LATER)]
    assert [r.id for r in store.list_sessions(status="open")] == ["s2"]
    kept = store.find_session("s1")
    assert kept is not None
    assert (kept.status, kept.exit_code) == ("ended", 3)
    assert [r.id for r in again.interrupt_sessions(LATER)] == ["s2"]
    assert again.interrupt_sessions(LATER) == []


# -- serials, tokens, locks --------------------------------------------------------------------


def test_serials_are_new_each_time_and_fit_a_certificate(shelf: Shelf, store: Store) -> None:
    other = shelf.open("b").store
    serials = [from_.next_serial(NOON) for from_ in (store, other) for _ in range(50)]
    assert len(set(serials)) == 100
    assert all(0 < serial < 1 << 63 for serial in serials)


def test_a_serial_is_never_given_twice_even_when_the_dice_repeat(
    shelf: Shelf, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    rolls = iter([0, 5, 5, 0, 6])
    monkeypatch.setattr("secrets.randbits", lambda _: next(rolls))
    other = shelf.open("b").store
    assert [store.next_serial(NOON), other.next_serial(NOON)] == [5, 6]


def test_a_token_is_used_once_whoever_asks(shelf: Shelf) -> None:
    here, there = shelf.open("a"), shelf.open("b")
    port: UsedTokens = here.used
    assert port.use("a", END, NOON)
    assert not here.used.use("a", END, NOON + timedelta(seconds=59))
    assert not there.used.use("a", END, NOON)
    assert not shelf.open("a").used.use("a", END, NOON)
    assert there.used.use("b", END, NOON)
    assert there.used.use("a", END + 90, NOON + timedelta(seconds=61))


def test_another_process_sees_a_lock_and_its_end(shelf: Shelf) -> None:
    here, there = shelf.open("a").locks, shelf.open("b").locks
    here.put(TARGET)
    assert there.all() == (TARGET,)
    issuer = replace(TARGET, subject=Subject.ISSUER, at=LATER)
    here.put(issuer)
    again = replace(TARGET, reason="still", at=LATER + timedelta(seconds=1))
    there.put(again)
    assert here.all() == (issuer, again)
    assert there.lift(Subject.TARGET, "orders")
    assert not here.lift(Subject.TARGET, "orders")
    assert here.all() == (issuer,)


def test_tidying_removes_locks_of_sessions_that_are_over(shelf: Shelf, store: Store) -> None:
    locks = shelf.open().locks
    store.save_session_opened(session(), recording=None)
    locks.put(SESSION)
    locks.put(TARGET)
    locks.tidy()
    assert set(locks.all()) == {SESSION, TARGET}
    store.interrupt_sessions(NOON)
    locks.tidy()
    assert locks.all() == (TARGET,)


# -- reviews -----------------------------------------------------------------------------------


def test_reviews_are_kept_with_their_approvals_through_a_restart(
    shelf: Shelf, store: Store
) -> None:
    port: Desks = store  # it is what the desk needs
    asked = replace(review(quorum=2), statement="DELETE '\udcff'", values=(b"\x00", None))
    assert port.add_review(asked)
    assert not port.add_review(replace(asked, statement="another"))
    assert port.find_review(asked.id) == asked
    once = answered(asked, BOB, reason="ok")
    assert port.change_review(asked, once, nothing)
    twice = answered(once, CAROL)
    assert port.change_review(once, twice, nothing)
    assert port.change_review(twice, life.use(twice), nothing)
    other = shelf.open("b").store
    assert other.find_review(asked.id) == life.use(twice)
    assert other.find_review("nothing") is None


def test_a_dry_run_is_kept_beside_what_was_asked(shelf: Shelf, store: Store) -> None:
    impact = Impact(3, "", ("t: 9 rows",), ("allow  BEGIN",), (Parameter(23, binary=True),), 14)
    asked = replace(review(), impact=impact)
    store.add_review(asked)
    tried = replace(asked, trial=life.Trial("bob@example.com", NOON, 4))
    assert store.change_review(asked, tried, nothing)
    assert shelf.open("b").store.find_review(asked.id) == tried


def test_reviews_are_listed_latest_first_by_state(store: Store) -> None:
    for number in range(4):
        asked = replace(review(), id=f"00000{number}", asked=NOON + timedelta(seconds=number))
        store.add_review(asked)
        if number == 1:
            store.change_review(asked, life.withdraw(asked, NOON, reason="gone"), nothing)
    assert [r.id for r in store.list_reviews(State.PENDING)] == ["000003", "000002", "000000"]
    assert [r.id for r in store.list_reviews(limit=2)] == ["000003", "000002"]
    assert store.pending_marks() == {"000000": 0, "000002": 0, "000003": 0}


def test_a_mark_changes_with_every_approval(store: Store) -> None:
    asked = review(quorum=2)
    store.add_review(asked)
    once = answered(asked)
    store.change_review(asked, once, nothing)
    assert store.pending_marks() == {asked.id: 1}
    store.change_review(once, answered(once, CAROL), nothing)
    assert store.pending_marks() == {}


def test_a_review_whose_session_is_over_is_an_orphan(store: Store) -> None:
    store.save_session_opened(at(1), recording=None)
    kept, orphan = review(), replace(review(), id="000002", session="s2")
    store.add_review(kept)
    store.add_review(orphan)
    assert store.list_orphans() == [orphan]
    store.save_session_closed("s1", ended=LATER, status="ended", exit_code=0)
    assert len(store.list_orphans()) == 2


def test_a_change_waits_for_what_comes_first_and_fails_with_it(shelf: Shelf, store: Store) -> None:
    asked = review()
    store.add_review(asked)

    def fails() -> None:
        msg = "the log is full"
        raise EvidenceFailure(msg)

    with pytest.raises(EvidenceFailure, match="the log is full"):
        store.change_review(asked, answered(asked), fails)
    assert shelf.open("b").store.find_review(asked.id) == asked
    assert store.change_review(asked, answered(asked), nothing)


def test_what_was_changed_meanwhile_is_not_changed_and_nothing_comes_first(store: Store) -> None:
    asked = review(quorum=2)
    once = answered(asked)
    for stale, after in ((asked, once), (once, answered(once, CAROL))):
        assert not store.change_review(stale, after, pytest.fail)
    store.add_review(asked)
    store.change_review(asked, once, nothing)
    for after in (answered(asked, CAROL), life.expire(asked, NOON)):
        assert not store.change_review(asked, after, pytest.fail)
    assert store.find_review(asked.id) == once


ACTS: dict[str, Callable[[Review], Review]] = {
    "bob": lambda r: answered(r, BOB),
    "carol": lambda r: answered(r, CAROL),
    "deny": lambda r: answered(r, BOB, approve=False),
    "expire": lambda r: life.expire(r, LATER),
    "withdraw": lambda r: life.withdraw(r, LATER, reason="gone"),
    "use": life.use,
}


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["look", *ACTS])), max_size=20))
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_two_nodes_saw_and_when_only_one_of_them_wins(
    race: Race, steps: list[tuple[str, str]]
) -> None:
    race.run(steps)


class Race:
    """Two nodes act on one review, each on what it saw when it looked last."""

    def __init__(self, here: Store, there: Store) -> None:
        self.stores = {"a": here, "b": there}
        self.rounds = 0

    def run(self, steps: list[tuple[str, str]]) -> None:
        self.rounds += 1
        asked = replace(review(quorum=2), id=f"{self.rounds:06x}")
        self.stores["a"].add_review(asked)
        seen = dict.fromkeys("ab", asked)
        truth, noted = asked, 0
        for node, act in steps:
            store = self.stores[node]
            if act == "look":
                found = store.find_review(asked.id)
                assert found == truth
                seen[node] = found
                continue
            before = Counter[str]()
            try:
                after = ACTS[act](seen[node])
            except InterlockError:
                continue  # it is not even a move
            won = store.change_review(seen[node], after, partial(before.update, ["audited"]))
            fresh = (seen[node].state, len(seen[node].approvals)) == (
                truth.state,
                len(truth.approvals),
            )
            assert won == fresh == (before["audited"] == 1)
            if won:
                noted += 1
                truth = seen[node] = after
        found = self.stores["b"].find_review(asked.id)
        assert found == truth
        assert noted <= 3  # two approvals and a use, or an end before


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def race(
    request: pytest.FixtureRequest,
    postgres: PostgresServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Race]:
    shared = request.param == "postgresql"
    with ExitStack() as stack:
        address = stack.enter_context(fresh_database(postgres)) if shared else "sqlite"
        shelf = Shelf(address, tmp_path_factory.mktemp("race"), stack)
        yield Race(shelf.open("a").store, shelf.open("b").store)


def test_of_approvers_at_the_same_moment_one_wins(shelf: Shelf) -> None:
    rounds, together = 20, threading.Barrier(3)
    wins: dict[str, list[int]] = {"a": [], "b": [], "c": []}
    home = shelf.open("a").store
    for number in range(rounds):
        home.add_review(replace(review(), id=f"{number:06x}"))

    def act(node: str, move: Callable[[Review], Review]) -> None:
        state = shelf.folder / (node if shelf.several else "state")
        state.mkdir(exist_ok=True, mode=0o700)
        with opened(shelf.address, state) as stores:  # SQLite wants one thread each
            for number in range(rounds):
                before = replace(review(), id=f"{number:06x}")
                together.wait(20)
                if stores.store.change_review(before, move(before), nothing):
                    wins[node].append(number)

    moves = zip(wins, (ACTS["bob"], ACTS["carol"], ACTS["withdraw"]), strict=True)
    threads = [threading.Thread(target=act, args=one) for one in moves]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(40)
    assert sorted(n for won in wins.values() for n in won) == list(range(rounds))
