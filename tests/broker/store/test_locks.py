"""Locks in the store: kept, replaced, lifted, seen by other processes; failures fail closed."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from broker.errors import EvidenceFailure
from broker.policy.locks import Lock, Subject
from broker.store.locks import LockTable
from broker.store.sqlite import Store
from tests.fakes import NOON, session

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TARGET = Lock(Subject.TARGET, "orders", "human:dana@example.com@corp", NOON, "upgrade")
SESSION = Lock(Subject.SESSION, "s1", "human:dana@example.com@corp", NOON, "now")


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    store = Store.open(tmp_path / "interlock.sqlite")
    yield tmp_path / "interlock.sqlite"
    store.close()


@pytest.fixture
def table(path: Path) -> Iterator[LockTable]:
    made = LockTable.open(path)
    yield made
    made.close()


def test_another_process_sees_a_lock_and_its_end(path: Path, table: LockTable) -> None:
    other = LockTable.open(path)
    table.put(TARGET)
    assert other.all() == (TARGET,)
    assert other.lift(Subject.TARGET, "orders")
    assert table.all() == ()
    assert not table.lift(Subject.TARGET, "orders")
    other.close()


def test_a_second_lock_on_the_same_replaces_the_first(table: LockTable) -> None:
    table.put(TARGET)
    table.put(replace(TARGET, subject=Subject.ISSUER))
    again = replace(TARGET, reason="still")
    table.put(again)
    assert set(table.all()) == {again, replace(TARGET, subject=Subject.ISSUER)}


def test_tidying_removes_locks_of_sessions_that_are_over(path: Path, table: LockTable) -> None:
    store = Store.open(path)
    store.save_session_opened(session(), recording=None)
    table.put(SESSION)
    table.put(TARGET)
    table.tidy()
    assert set(table.all()) == {SESSION, TARGET}
    store.interrupt_sessions(NOON)
    table.tidy()
    assert table.all() == (TARGET,)
    store.close()


def test_a_row_that_makes_no_sense_is_a_failure_and_not_no_lock(
    path: Path, table: LockTable
) -> None:
    table.put(TARGET)
    raw = sqlite3.connect(path)
    raw.execute("UPDATE locks SET subject = 'planet'")
    raw.commit()
    raw.close()
    with pytest.raises(EvidenceFailure):
        table.all()


def test_a_store_without_the_table_is_a_failure(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "empty").close()
    (tmp_path / "empty").touch()
    table = LockTable.open(tmp_path / "empty")
    with pytest.raises(EvidenceFailure):
        table.all()
    with pytest.raises(EvidenceFailure):
        table.put(TARGET)
    table.close()
    with pytest.raises(EvidenceFailure):
        LockTable.open(tmp_path / "nowhere")
