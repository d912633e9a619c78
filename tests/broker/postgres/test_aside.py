"""A transaction of ours that is never committed, and never stays."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

import pytest

from broker.model import Parameter
from broker.postgres.aside import Failed, aside
from tests.broker.postgres.harness import beside

if TYPE_CHECKING:
    from tests.fixtures.postgres import PostgresServer

pytestmark = pytest.mark.peer


async def test_rows_tags_and_values(postgres: PostgresServer, orders: str) -> None:
    async with aside(partial(beside, postgres, orders), 5) as talk:
        answer = await talk.run("SELECT $1 || 'b'", (b"a",), (Parameter(25),))
        assert (answer.rows, answer.tag) == ([[b"ab"]], b"SELECT 1\0")


async def test_nothing_is_committed(postgres: PostgresServer, orders: str) -> None:
    async with aside(partial(beside, postgres, orders), 5) as talk:
        assert (await talk.run("DELETE FROM orders")).tag == b"DELETE 100\0"
    assert postgres.execute("SELECT count(*) FROM orders", orders) == [(100,)]


@pytest.mark.parametrize("text", ["SELECT 1; COMMIT", "SELECT 1; SELECT 2"])
async def test_the_server_itself_takes_one_statement_only(
    postgres: PostgresServer, orders: str, text: str
) -> None:
    with pytest.raises(Failed, match="not one statement"):
        async with aside(partial(beside, postgres, orders), 5) as talk:
            await talk.run(text)


async def test_an_error_tells_no_data(postgres: PostgresServer, orders: str) -> None:
    with pytest.raises(Failed) as failed:
        async with aside(partial(beside, postgres, orders), 5) as talk:
            await talk.run("UPDATE customers SET id = email::int")
    assert "@" not in str(failed.value)
    assert failed.value.code_of_server == "22P02"


async def test_it_ends_in_time_and_leaves_no_lock(postgres: PostgresServer, orders: str) -> None:
    with pytest.raises((Failed, TimeoutError)):
        async with aside(partial(beside, postgres, orders), 0.3) as talk:
            await talk.run("UPDATE orders SET note = 'x' WHERE pg_sleep(60) IS NULL")
    await asyncio.to_thread(_until_free, postgres, orders)
    assert postgres.execute("SELECT count(*) FROM orders WHERE note = 'x'", orders) == [(0,)]


async def test_whoever_is_cancelled_leaves_no_lock(postgres: PostgresServer, orders: str) -> None:
    locked = asyncio.Event()

    async def hold() -> None:
        async with aside(partial(beside, postgres, orders), 30) as talk:
            await talk.run("DELETE FROM orders")
            locked.set()
            await talk.run("SELECT pg_sleep(60)")

    async with asyncio.TaskGroup() as tasks:
        holding = tasks.create_task(hold())
        await locked.wait()
        holding.cancel()
    await asyncio.to_thread(_until_free, postgres, orders)
    assert postgres.execute("SELECT count(*) FROM orders", orders) == [(100,)]


def _until_free(postgres: PostgresServer, orders: str) -> None:
    """Get the strongest lock there is; fails when somebody keeps another for 10 seconds."""
    postgres.execute(
        "DO $$ BEGIN SET LOCAL lock_timeout = '10s'; LOCK TABLE orders IN ACCESS EXCLUSIVE MODE;"
        " END $$",
        orders,
    )
