"""A lock of the shared store that makes no sense is a failure, and not no lock."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from broker.errors import EvidenceFailure
from broker.policy.locks import Lock, Subject
from broker.store.shared.link import connect
from tests.fakes import NOON
from tests.fixtures.stores import Shelf

if TYPE_CHECKING:
    from contextlib import ExitStack
    from pathlib import Path

LOCK = Lock(Subject.TARGET, "orders", "human:dana@example.com@corp", NOON, "upgrade")


@pytest.mark.parametrize("wrong", ["subject = 'planet'", "at = 'yesterday'"])
def test_a_row_that_makes_no_sense(
    shared_dsn: str, tmp_path: Path, stack: ExitStack, wrong: str
) -> None:
    locks = Shelf(shared_dsn, tmp_path, stack).open().locks
    locks.put(LOCK)
    with connect(shared_dsn) as raw:
        raw.execute(f"UPDATE locks SET {wrong}".encode())
    with pytest.raises(EvidenceFailure, match="the store cannot be used"):
        locks.all()


def test_without_the_table_nobody_can_tell(
    shared_dsn: str, tmp_path: Path, stack: ExitStack
) -> None:
    locks = Shelf(shared_dsn, tmp_path, stack).open().locks
    with connect(shared_dsn) as raw:
        raw.execute("DROP TABLE locks")
    for act in (locks.all, lambda: locks.put(LOCK), locks.tidy):
        with pytest.raises(EvidenceFailure):
            act()
