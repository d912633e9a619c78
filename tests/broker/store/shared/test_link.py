"""The link to the shared store: bounded, broken at once, mended behind, and silent on secrets."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import psycopg
import pytest

from broker.errors import EvidenceFailure, StoreAway
from broker.store.shared.link import AWAY, SLOW, Bounded, Link, connect, said
from tests.fixtures.stores import own_postgres

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from tests.fixtures.postgres import PostgresServer


@pytest.fixture
def link(shared_dsn: str) -> Iterator[Link]:
    made = Link(shared_dsn)
    made.open(lambda connection: None)
    yield made
    made.close()


@asynccontextmanager
async def mending(link: Link) -> AsyncIterator[asyncio.Event]:
    """The link is mended inside the block; the event says so."""
    back = asyncio.Event()
    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        task = tasks.create_task(link.mend(back.set))
        yield back
        task.cancel()


def backend(link: Link) -> int:
    return int(link.run("SELECT pg_backend_pid() AS pid")[0]["pid"])


def test_rows_come_back_as_they_were_put(link: Link) -> None:
    link.run("CREATE TABLE t (a text, b bytea)")
    link.run("INSERT INTO t VALUES (%s, %s)", ("a\0b", b"\0\xff"))
    link.run("INSERT INTO t VALUES (%(a)s, NULL)", {"a": "100%"})
    assert link.run("SELECT * FROM t") == [
        {"a": "a\ufffdb", "b": b"\0\xff"},
        {"a": "100%", "b": None},
    ]


def test_a_change_is_all_or_nothing(link: Link) -> None:
    link.run("CREATE TABLE t (a int PRIMARY KEY)")

    def put_and(then: Callable[[], object]) -> None:
        with link.change():
            link.run("INSERT INTO t VALUES (1)")
            then()

    with pytest.raises(EvidenceFailure, match="the store cannot be used: duplicate"):
        put_and(lambda: link.run("INSERT INTO t VALUES (1)"))
    with pytest.raises(ZeroDivisionError):
        put_and(lambda: 1 / 0)
    with link.change():
        link.run("INSERT INTO t VALUES (3)")
    assert link.run("SELECT * FROM t") == [{"a": 3}]


def test_a_mistake_of_ours_is_not_an_outage(link: Link) -> None:
    with pytest.raises(EvidenceFailure, match="does not exist") as failed:
        link.run("SELECT * FROM nowhere")
    assert not isinstance(failed.value, StoreAway)
    assert link.run("SELECT 1 AS one") == [{"one": 1}]


async def test_a_lost_connection_fails_at_once_and_is_mended_behind(
    link: Link, postgres: PostgresServer, caplog: pytest.LogCaptureFixture
) -> None:
    pid = backend(link)
    postgres.execute(f"SELECT pg_terminate_backend({pid}, 5000)")
    for _ in range(2):
        with pytest.raises(StoreAway, match=AWAY):
            link.run("SELECT 1")
    with pytest.raises(StoreAway), link.change():
        pytest.fail("a change began")
    async with mending(link) as back:
        await back.wait()
        assert backend(link) != pid
    assert [record.levelno for record in caplog.records] == [logging.ERROR, logging.WARNING]


def test_a_connection_that_is_lost_within_a_change_undoes_it(
    link: Link, postgres: PostgresServer, shared_dsn: str
) -> None:
    link.run("CREATE TABLE t (a int)")

    def half() -> None:
        with link.change():
            link.run("INSERT INTO t VALUES (1)")
            postgres.execute(f"SELECT pg_terminate_backend({backend(link)}, 5000)")

    with pytest.raises(StoreAway):
        half()
    with connect(shared_dsn) as other:
        assert other.execute("SELECT count(*) AS n FROM t").fetchone() == {"n": 0}


def test_a_frozen_server_holds_the_caller_for_a_bounded_time_and_once(
    link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Bounded, "patience", 0.5)
    pid = backend(link)
    os.kill(pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        with pytest.raises(StoreAway, match=AWAY):
            link.run("SELECT 1")
        assert 0.4 < time.monotonic() - began < 2
        assert not link._rest_until
        began = time.monotonic()
        for _ in range(100):
            with pytest.raises(StoreAway):
                link.run("SELECT 1")
        assert time.monotonic() - began < 0.2
    finally:
        os.kill(pid, signal.SIGCONT)


def test_a_slow_server_is_left_alone_for_a_while(
    link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("broker.store.shared.link.HELD_S", 0.1)
    link.run("CREATE TABLE t (a int)")
    link.run("SET statement_timeout = '200ms'")

    def slow() -> None:
        with link.change():
            link.run("INSERT INTO t VALUES (1)")
            link.run("SELECT pg_sleep(5)")

    with pytest.raises(StoreAway, match=SLOW):
        slow()
    began = time.monotonic()
    for _ in range(20):
        with pytest.raises(StoreAway, match=SLOW):
            link.run("SELECT pg_sleep(5)")
    assert time.monotonic() - began < 0.2
    link._rest_until = 0.0  # five seconds later
    assert link.run("SELECT count(*) AS n FROM t") == [{"n": 0}]
    with link.change():  # the connection was not left within the failed change
        link.run("INSERT INTO t VALUES (2)")


async def test_a_link_that_is_lost_again_at_once_is_mended_again(
    link: Link, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    reconnect, times = link._reconnect, 0

    def lost_again() -> None:
        nonlocal times
        times += 1
        reconnect()
        if times == 1:  # a call between the thread's end and ours failed
            link._disconnect()

    monkeypatch.setattr(link, "_reconnect", lost_again)
    postgres.execute(f"SELECT pg_terminate_backend({backend(link)}, 5000)")
    with pytest.raises(StoreAway):
        link.run("SELECT 1")
    async with mending(link) as back:
        await back.wait()
        assert link.run("SELECT 1 AS one") == [{"one": 1}]
    assert times == 2


def test_what_others_hold_is_waited_for_a_bounded_time(link: Link, shared_dsn: str) -> None:
    link.run("CREATE TABLE t (a int)")
    link.run("SET lock_timeout = '100ms'")
    with connect(shared_dsn) as other, other.transaction():
        other.execute("LOCK TABLE t")
        with pytest.raises(StoreAway, match=SLOW):
            link.run("INSERT INTO t VALUES (1)")
    link.run("SET statement_timeout = '100ms'")
    with pytest.raises(StoreAway, match=SLOW):
        link.run("SELECT pg_sleep(5)")
    assert link.run("SELECT 1 AS one")


def test_a_server_that_became_read_only_is_left(link: Link) -> None:
    link.run("CREATE TABLE t (a int)")
    link.run("SET default_transaction_read_only = on")
    with pytest.raises(StoreAway, match=AWAY):
        link.run("INSERT INTO t VALUES (1)")
    with pytest.raises(StoreAway, match=AWAY):
        link.run("SELECT 1")


async def test_a_server_that_stops_and_starts_is_used_again() -> None:
    with own_postgres() as server:
        link = Link(server.dsn)
        link.open(lambda connection: None)
        async with mending(link) as back:
            await asyncio.to_thread(server.stop)
            with pytest.raises(StoreAway):
                link.run("SELECT 1")
            await asyncio.to_thread(server.start)
            await back.wait()
            assert link.run("SELECT 1 AS one") == [{"one": 1}]
        link.close()


async def test_a_link_that_was_closed_meanwhile_is_not_opened_again(link: Link) -> None:
    link.close()
    link._reconnect()
    with pytest.raises(StoreAway):
        link.run("SELECT 1")


def test_what_is_committed_is_on_disk_even_where_the_server_is_careless(link: Link) -> None:
    (row,) = link.run("SELECT current_setting('synchronous_commit') AS kept")
    assert row["kept"] == "on"


def test_an_error_is_told_without_the_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", "swordfish")
    dsn = "postgresql://u:hunter2@db/x"
    error = psycopg.OperationalError("no such thing\n as hunter2 or swordfish")
    assert said(error, dsn) == "no such thing as *** or ***"


def test_a_wrong_password_is_not_repeated(shared_dsn: str) -> None:
    dsn = shared_dsn.replace("postgres:postgres@", "postgres:hunter2@")
    with pytest.raises(StoreAway, match="password authentication failed") as failed:
        Link(dsn).open(lambda connection: None)
    assert "hunter2" not in str(failed.value)
