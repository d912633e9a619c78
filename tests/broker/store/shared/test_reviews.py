"""A review of the shared store is changed by one node at a time: the second waits, and loses."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from tests.broker.review.test_life import CAROL, answered, review
from tests.fakes import BOB
from tests.fixtures.stores import Shelf

if TYPE_CHECKING:
    from contextlib import ExitStack
    from pathlib import Path

    from tests.fixtures.postgres import PostgresServer

WAITS = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"


@pytest.mark.parametrize("quorum", [1, 2])
def test_the_second_waits_for_the_first_and_sees_what_it_did(
    shared_dsn: str, postgres: PostgresServer, tmp_path: Path, stack: ExitStack, quorum: int
) -> None:
    shelf = Shelf(shared_dsn, tmp_path, stack)
    here, there = shelf.open("a").store, shelf.open("b").store
    asked = review(quorum=quorum)
    here.add_review(asked)
    lost: list[bool] = []
    second = threading.Thread(
        target=lambda: lost.append(
            there.change_review(asked, answered(asked, CAROL), lambda: lost.append(True))
        )
    )

    def meanwhile() -> None:
        second.start()
        while postgres.execute(WAITS) == [(0,)]:
            assert second.is_alive()

    assert here.change_review(asked, answered(asked, BOB), meanwhile)
    second.join(10)
    assert lost == [False]
    assert there.find_review(asked.id) == answered(asked, BOB)
