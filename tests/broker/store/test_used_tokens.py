"""A token is used once, and a restart does not forget it."""

from __future__ import annotations

import sqlite3
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from broker.errors import EvidenceFailure
from broker.store.sqlite import FILE, Store
from broker.store.used_tokens import UsedInStore
from tests.fakes import NOON

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from broker.identity.login import UsedTokens

END = NOON.timestamp() + 60


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "state" / FILE
    Store.open(file).close()
    return file


@pytest.fixture
def used(path: Path) -> Iterator[UsedInStore]:
    opened = UsedInStore.open(path)
    yield opened
    opened.close()


def test_it_is_the_port(used: UsedInStore) -> None:
    port: UsedTokens = used
    assert port.use("a", END, NOON)
    assert not port.use("a", END, NOON)
    assert port.use("b", END, NOON)


def test_a_restart_does_not_make_a_token_new(path: Path, used: UsedInStore) -> None:
    assert used.use("a", END, NOON)
    used.close()
    again = UsedInStore.open(path)
    try:
        assert not again.use("a", END, NOON)
    finally:
        again.close()


def test_two_processes_share_what_was_used(path: Path, used: UsedInStore) -> None:
    other = UsedInStore.open(path)
    try:
        assert other.use("a", END, NOON)
        assert not used.use("a", END, NOON)
    finally:
        other.close()


def test_the_store_itself_may_be_open_meanwhile(path: Path, used: UsedInStore) -> None:
    store = Store.open(path)
    try:
        assert used.use("a", END, NOON)
        assert store.next_serial(NOON)
        assert used.use("b", END, NOON)
    finally:
        store.close()


def test_only_what_has_expired_is_forgotten(path: Path, used: UsedInStore) -> None:
    used.use("a", END, NOON)
    assert not used.use("a", END, NOON + timedelta(seconds=59))
    assert used.use("b", END + 60, NOON + timedelta(seconds=60))
    assert kept(path) == 1


def test_full_means_no_until_there_is_room_again(path: Path) -> None:
    used = UsedInStore.open(path, limit=2)
    try:
        assert used.use("a", END, NOON)
        assert used.use("b", END, NOON)
        assert not used.use("c", END, NOON)
        assert not used.use("a", END, NOON)
        assert used.use("c", END + 60, NOON + timedelta(seconds=60))
    finally:
        used.close()


def test_no_token_is_in_the_file(path: Path, used: UsedInStore) -> None:
    used.use("a-token-that-nobody-may-see", END, NOON)
    used.close()
    for file in path.parent.iterdir():
        assert b"nobody-may-see" not in file.read_bytes()


def test_what_cannot_be_kept_is_not_used(path: Path, used: UsedInStore) -> None:
    db = sqlite3.connect(path)
    db.execute("DROP TABLE used_tokens")
    db.close()
    with pytest.raises(EvidenceFailure, match="the store cannot be used"):
        used.use("a", END, NOON)


def test_a_file_that_nobody_made_is_not_made_here(tmp_path: Path) -> None:
    with pytest.raises(EvidenceFailure):
        UsedInStore.open(tmp_path / "none.sqlite")
    assert not (tmp_path / "none.sqlite").exists()


def kept(path: Path) -> int:
    db = sqlite3.connect(path)
    try:
        return int(db.execute("SELECT count(*) FROM used_tokens").fetchone()[0])
    finally:
        db.close()
