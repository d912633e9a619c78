"""The store on a real file: kept across a restart, private, and loud when it fails."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from broker.errors import EvidenceFailure
from broker.review import life
from broker.review.life import State
from broker.store.sqlite import FILE, Store
from tests.broker.review.test_life import CAROL, answered, review
from tests.fakes import ALICE, BOB, NOON, session

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from broker.model import Session
    from broker.review.desk import Shelf

LATER = NOON + timedelta(minutes=1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / FILE


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    opened = Store.open(path)
    yield opened
    opened.close()


def again(path: Path) -> Store:
    return Store.open(path)


def at(number: int, **changes: object) -> Session:
    started = NOON + timedelta(minutes=number)
    return replace(session(), id=f"s{number}", started=started, **changes)  # type: ignore[arg-type]


def test_a_session_is_open_and_then_over(store: Store) -> None:
    store.save_session_opened(at(1, reason="INC-7 \udcff", source="::1"), recording="a.cast")
    running = store.find_session("s1")
    assert running is not None
    assert (running.status, running.ended, running.recording) == ("open", None, "a.cast")
    assert (running.identity, running.reason) == (str(ALICE), "INC-7 \udcff")
    store.save_session_closed("s1", ended=LATER, status="killed", exit_code=None)
    store.save_session_closed("s1", ended=LATER, status="ended", exit_code=0)
    over = store.find_session("s1")
    assert over == replace(running, ended=LATER, status="killed")
    assert store.find_session("s2") is None


def test_a_session_id_is_used_once(store: Store) -> None:
    store.save_session_opened(at(1), recording=None)
    with pytest.raises(EvidenceFailure):
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


def test_what_a_crash_left_open_is_marked_interrupted(store: Store, path: Path) -> None:
    for number in range(3):
        store.save_session_opened(at(number), recording=f"{number}.cast")
    store.save_session_closed("s1", ended=LATER, status="ended", exit_code=3)
    other = again(path)
    marked = other.interrupt_sessions(LATER)
    assert [(record.id, record.status, record.ended) for record in marked] == [
        ("s0", "interrupted", LATER),
        ("s2", "interrupted", LATER),
    ]
    assert other.interrupt_sessions(LATER) == []
    kept = store.find_session("s1")
    assert kept is not None
    assert (kept.status, kept.exit_code) == ("ended", 3)
    other.close()


def test_serials_are_new_each_time_and_fit_a_certificate(store: Store, path: Path) -> None:
    other = again(path)
    serials = [from_.next_serial(NOON) for from_ in (store, other) for _ in range(100)]
    assert len(set(serials)) == 200
    assert all(0 < serial < 1 << 63 for serial in serials)
    other.close()


def test_a_serial_is_never_given_twice_even_when_the_dice_repeat(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    rolls = iter([0, 5, 5, 0, 6])
    monkeypatch.setattr("broker.store.sqlite.secrets.randbits", lambda _: next(rolls))
    assert [store.next_serial(NOON), store.next_serial(NOON)] == [5, 6]


def test_reviews_are_kept_with_their_approvals_through_a_restart(store: Store, path: Path) -> None:
    shelf: Shelf = store  # it is what the desk needs
    asked = replace(review(quorum=2), statement="DELETE '\udcff'", values=(b"\x00", None))
    shelf.save_review(asked)
    assert shelf.find_review(asked.id) == asked
    once = answered(asked, BOB, reason="ok")
    shelf.save_review(once)
    twice = answered(once, CAROL)
    shelf.save_review(twice)
    shelf.save_review(life.use(twice))
    other = again(path)
    assert other.find_review(asked.id) == life.use(twice)
    assert other.find_review("nothing") is None
    other.close()


def test_reviews_are_listed_latest_first_by_state(store: Store) -> None:
    for number in range(4):
        asked = NOON + timedelta(seconds=number)
        store.save_review(replace(review(), id=f"00000{number}", asked=asked))
    store.save_review(life.withdraw(replace(review(), id="000001"), NOON, reason="gone"))
    assert [found.id for found in store.list_reviews(State.PENDING)] == [
        "000003",
        "000002",
        "000000",
    ]
    assert [found.id for found in store.list_reviews(limit=2)] == ["000003", "000002"]


def test_file_and_journal_are_the_owners_alone(store: Store, path: Path) -> None:
    store.save_review(review())
    for file in path.parent.iterdir():
        assert file.stat().st_mode & 0o077 == 0, file.name
    assert {file.name for file in path.parent.iterdir()} >= {FILE, FILE + "-wal"}


def test_a_file_that_others_may_read_is_refused_with_what_to_do(store: Store, path: Path) -> None:
    path.chmod(0o644)
    with pytest.raises(EvidenceFailure, match="chmod 600"):
        again(path)


def test_commits_are_written_through(store: Store) -> None:
    assert store._db.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    assert store._db.execute("PRAGMA synchronous").fetchone()[0] == 2


def test_a_store_of_a_newer_version_is_refused(store: Store, path: Path) -> None:
    store._db.execute("PRAGMA user_version = 99")
    with pytest.raises(EvidenceFailure, match="newer version"):
        again(path)


def test_a_file_that_is_no_store_is_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / FILE
    path.write_bytes(b"not a database at all, but long enough to look like one" * 50)
    path.chmod(0o600)
    with pytest.raises(EvidenceFailure, match="the store cannot be used"):
        Store.open(path)
    with pytest.raises(EvidenceFailure, match="the store cannot be used"):
        Store.open(tmp_path / FILE / "in a file")


def test_a_failed_change_changes_nothing(store: Store) -> None:
    store._db.execute("DROP TABLE approvals")
    with pytest.raises(EvidenceFailure):
        store.save_review(answered(review()))
    assert store._db.execute("SELECT count(*) FROM reviews").fetchone()[0] == 0
    assert not store._db.in_transaction


def test_a_closed_store_fails_as_evidence_does(path: Path) -> None:
    store = again(path)
    store.close()
    for act in (store.list_sessions, store.list_reviews):
        with pytest.raises(EvidenceFailure):
            act()
    with pytest.raises(EvidenceFailure):
        store.next_serial(NOON)


def test_half_a_migration_is_none(path: Path) -> None:
    path.parent.mkdir()
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE serials (x)")  # in the way of the last table of the first step
    db.commit()
    path.chmod(0o600)
    with pytest.raises(EvidenceFailure):
        Store.open(path)
    tables = {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert tables == {"serials"}
    db.close()
