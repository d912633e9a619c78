"""What is of the shared store alone: ends that come while it is away."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from broker.errors import EvidenceFailure, StoreAway
from broker.store.opening import SharedStore
from broker.store.shared.link import Link
from broker.store.shared.schema import migrate
from tests.fakes import NOON, session

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def linked(dsn: str) -> Iterator[tuple[Link, SharedStore]]:
    link = Link(dsn)
    link.open(migrate)
    try:
        yield link, SharedStore(link)
    finally:
        link.close()


async def test_an_end_that_came_while_it_was_away_is_kept_when_it_is_back(shared_dsn: str) -> None:
    with linked(shared_dsn) as (link, store), linked(shared_dsn) as (_, other):
        for name in ("s1", "s2", "s3"):
            store.save_session_opened(replace(session(), id=name, node="a"), recording=None)
        link._disconnect()
        link._lost.set()
        for name, status in (("s1", "killed"), ("s2", "failed")):
            with pytest.raises(StoreAway):
                store.save_session_closed(name, ended=NOON, status=status, exit_code=70)
        other.interrupt_sessions(NOON, "a")  # meanwhile the others thought it dead
        back = asyncio.Event()
        async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
            task = tasks.create_task(link.mend(back.set))
            await back.wait()
            task.cancel()
        store.catch_up()
        store.catch_up()
        found = {record.id: record.status for record in other.list_sessions()}
        assert found == {"s1": "killed", "s2": "failed", "s3": "interrupted"}


def test_serials_that_never_become_new_are_a_failure_and_not_for_ever(
    shared_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("secrets.randbits", lambda _: 7)
    with linked(shared_dsn) as (_, store):
        assert store.next_serial(NOON) == 7
        with pytest.raises(EvidenceFailure, match="no new serial"):
            store.next_serial(NOON)
