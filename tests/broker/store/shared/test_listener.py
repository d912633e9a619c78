"""Whoever waits is woken when another node changes a lock or a review; also after an outage."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from broker.policy.locks import Lock, Subject
from broker.store.shared.listener import listen
from tests.broker.review.test_life import answered, review
from tests.fakes import NOON
from tests.fixtures.stores import Shelf

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import ExitStack
    from pathlib import Path

    from tests.fixtures.postgres import PostgresServer

LOCK = Lock(Subject.TARGET, "orders", "human:dana@example.com@corp", NOON, "upgrade")


@asynccontextmanager
async def listening(dsn: str) -> AsyncIterator[asyncio.Event]:
    heard = asyncio.Event()
    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        task = tasks.create_task(listen(dsn, heard.set))
        await heard.wait()  # it listens
        heard.clear()
        yield heard
        task.cancel()


@pytest.fixture
def shelf(shared_dsn: str, tmp_path: Path, stack: ExitStack) -> Shelf:
    return Shelf(shared_dsn, tmp_path, stack)


async def test_every_change_of_a_lock_or_a_review_is_heard(shelf: Shelf) -> None:
    there = shelf.open("b")
    asked = review(quorum=2)
    once = answered(asked)
    async with listening(shelf.address) as heard:
        for act in (
            lambda: there.locks.put(LOCK),
            lambda: there.locks.lift(LOCK.subject, LOCK.name),
            lambda: there.store.add_review(asked),
            lambda: there.store.change_review(asked, once, lambda: None),
        ):
            act()
            await heard.wait()
            heard.clear()


async def test_after_an_outage_it_listens_again_and_says_that_it_may_have_missed_something(
    shelf: Shelf, postgres: PostgresServer
) -> None:
    there = shelf.open("b")
    async with listening(shelf.address) as heard:
        postgres.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE query = 'LISTEN interlock'"
        )
        await heard.wait()
        heard.clear()
        there.locks.put(LOCK)
        await heard.wait()
