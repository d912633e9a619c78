"""Dry runs: the exact count of what leaves nothing behind, and a reason for everything else."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

import psycopg
import pytest

from broker.model import Language, Parameter, Statement
from broker.postgres.dry_run import dry_run
from tests.broker.postgres.harness import beside

if TYPE_CHECKING:
    from broker.postgres.dry_run import Found
    from tests.fixtures.postgres import PostgresServer

pytestmark = pytest.mark.peer

PLAIN = """
CREATE TABLE plain (a int, b text);
INSERT INTO plain SELECT n, 'x' FROM generate_series(1, 7) n;
GRANT ALL ON plain TO app;
"""


async def run(
    postgres: PostgresServer, dbname: str, text: str, *values: bytes, parameters: object = ()
) -> Found:
    statement = Statement(Language.SQL, text, values)
    return await dry_run(partial(beside, postgres, dbname), statement, parameters)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("UPDATE plain SET b = upper(b) WHERE a <= 3", 3),
        ("DELETE FROM plain", 7),
        ("INSERT INTO plain VALUES (1, 'y'), (2, 'z') RETURNING a", 2),
        ("INSERT INTO plain SELECT 1 FROM generate_series(1, 9)", 9),
        ("DELETE FROM orders WHERE id <= 4", 4),  # referenced by nothing, its key only looked at
        ("UPDATE orders SET note = 'x' WHERE customer_id = 1", 33),
    ],
)
async def test_the_exact_count_and_nothing_behind(
    postgres: PostgresServer, orders: str, text: str, rows: int
) -> None:
    postgres.execute(PLAIN, orders)
    before = postgres.execute("TABLE plain", orders) + postgres.execute("TABLE orders", orders)
    found = await run(postgres, orders, text)
    assert (found.rows, found.why_not) == (rows, "")
    after = postgres.execute("TABLE plain", orders) + postgres.execute("TABLE orders", orders)
    assert after == before


async def test_values_as_they_were_bound(postgres: PostgresServer, orders: str) -> None:
    found = await run(
        postgres,
        orders,
        "DELETE FROM orders WHERE id <= $1 OR note = $2",
        (5).to_bytes(4, "big"),
        b"order 9",
        parameters=(Parameter(23, binary=True), Parameter(0)),
    )
    assert found.rows == 6


@pytest.mark.parametrize(
    ("setup", "text", "why"),
    [
        ("", "UPDATE orders SET note = 'x'; DELETE FROM orders", "several"),
        ("", "TRUNCATE orders", "no INSERT, UPDATE or DELETE"),
        ("", "UPDATE orders SET note = c.name FROM customers c", "more than one table"),
        ("", "DELETE FROM orders WHERE customer_id IN (SELECT id FROM customers)", "more than one"),
        ("", "WITH a AS (SELECT 1) DELETE FROM orders", "more than one table"),
        ("", "INSERT INTO audit(what) VALUES ('x')", "nextval"),
        ("", "UPDATE orders SET id = nextval('audit_id_seq')", "nextval"),
        ("", "UPDATE audit SET id = DEFAULT", "nextval"),
        ("", "DELETE FROM nowhere", "not known"),
        ("", "DELETE FROM contacts", "ordinary table"),
        ("", "DELETE FROM pg_authid", "rules|refused it|triggers"),
        (
            "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NEW; END$$;"
            "CREATE TRIGGER t BEFORE UPDATE ON orders EXECUTE FUNCTION f()",
            "UPDATE orders SET note = 'x'",
            "triggers",
        ),
        (
            "CREATE RULE r AS ON DELETE TO orders DO ALSO INSERT INTO audit(what) VALUES ('x')",
            "DELETE FROM orders",
            "rules",
        ),
        (
            "CREATE TABLE kids (id int REFERENCES orders ON DELETE CASCADE)",
            "DELETE FROM orders",
            "triggers",
        ),
        ("CREATE TABLE child () INHERITS (orders)", "DELETE FROM orders", "children"),
        ("ALTER TABLE orders ENABLE ROW LEVEL SECURITY", "DELETE FROM orders", "row security"),
        (
            "CREATE FUNCTION loud(int) RETURNS bool LANGUAGE sql AS 'SELECT true';"
            "ALTER TABLE orders ADD CHECK (loud(id))",
            "UPDATE orders SET note = 'x'",
            "loud",
        ),
        (
            "CREATE FUNCTION low(text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT $1';"
            "CREATE INDEX ON orders (low(note))",
            "UPDATE orders SET note = 'x'",
            "index over an expression",
        ),
        (
            "CREATE FUNCTION odd(int, int) RETURNS bool LANGUAGE sql AS 'SELECT true';"
            "CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = odd)",
            "DELETE FROM orders WHERE id === 3",
            "code of their own",
        ),
        (
            "CREATE DOMAIN d AS int CHECK (VALUE > random()); ALTER TABLE orders ADD COLUMN v d",
            "UPDATE orders SET v = 3",
            "code of their own",
        ),
    ],
)
async def test_what_is_not_tried_out(
    postgres: PostgresServer, orders: str, setup: str, text: str, why: str
) -> None:
    if setup:
        postgres.execute(setup, orders)
    mark = postgres.log_mark()
    found = await run(postgres, orders, text)
    assert found.rows is None
    assert any(each in found.why_not for each in why.split("|")), found
    verb = text.split()[0]
    assert f"<unnamed>: {verb}" not in postgres.logged_since(mark) or "refused" in found.why_not


async def test_it_does_not_wait_for_a_lock(postgres: PostgresServer, orders: str) -> None:
    with psycopg.connect(postgres.superuser(orders)) as holder:
        holder.execute("UPDATE orders SET note = 'held' WHERE id = 1")
        async with asyncio.timeout(4):
            found = await run(postgres, orders, "DELETE FROM orders")
        assert "wait for a lock" in found.why_not
        holder.rollback()


async def test_a_broker_that_dies_in_the_middle_leaves_no_lock(
    postgres: PostgresServer, orders: str
) -> None:
    """Its connection is lost without a word; the server looks for its client twice a second."""
    with psycopg.connect(postgres.superuser(orders)) as holder:
        holder.execute("UPDATE orders SET note = 'held' WHERE id = 100")
        connected = asyncio.Event()
        made = []

        async def connect(settings: dict[str, str]) -> object:
            upstream = await beside(postgres, orders, settings | {"lock_timeout": "30000"})
            made.append(upstream)
            connected.set()
            return upstream

        statement = Statement(Language.SQL, "DELETE FROM orders")
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(dry_run(connect, statement, ()))  # type: ignore[arg-type]
            await connected.wait()
            await _until_waiting(postgres, orders)
            made[0].writer.transport.abort()
            await running
        await asyncio.to_thread(
            postgres.execute,
            "DO $$ BEGIN SET LOCAL lock_timeout = '10s';"
            " UPDATE orders SET note = 'free' WHERE id = 1; END $$",
            orders,
        )
        holder.rollback()
    assert postgres.execute("SELECT count(*) FROM orders", orders) == [(100,)]


async def _until_waiting(postgres: PostgresServer, orders: str) -> None:
    query = f"""DO $$ BEGIN WHILE NOT EXISTS (SELECT FROM pg_stat_activity
        WHERE datname = '{orders}' AND usename = 'app' AND wait_event_type = 'Lock')
        LOOP PERFORM pg_sleep(0.01); PERFORM pg_stat_clear_snapshot(); END LOOP; END $$"""
    async with asyncio.timeout(10):
        await asyncio.to_thread(postgres.execute, query)
