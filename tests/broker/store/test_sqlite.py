"""The store on a real file: kept across a restart, private, and loud when it fails."""

from __future__ import annotations

import sqlite3
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from broker.errors import EvidenceFailure
from broker.store.sqlite import FILE, Store
from tests.broker.review.test_life import answered, review
from tests.fakes import NOON

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


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


def test_file_and_journal_are_the_owners_alone(store: Store, path: Path) -> None:
    store.add_review(review())
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
    asked = review()
    store.add_review(asked)
    store._db.execute("ALTER TABLE approvals RENAME COLUMN reason TO reasons")
    with pytest.raises(EvidenceFailure):
        store.change_review(asked, answered(asked), lambda: None)
    assert store._db.execute("SELECT state FROM reviews").fetchone()[0] == "pending"
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
