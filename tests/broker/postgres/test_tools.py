"""What tools ask the catalogue, through a relay whose rules allow reading and nothing else."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import pytest

from tests.broker.postgres.test_cases import POLICIES, broker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fixtures.postgres import PostgresServer

pytestmark = pytest.mark.peer

WORLD = """
CREATE VIEW recent AS SELECT id, note FROM orders;
CREATE MATERIALIZED VIEW totals AS SELECT customer_id, sum(total) FROM orders GROUP BY 1;
CREATE TABLE events (id int, at date) PARTITION BY RANGE (at);
CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE FUNCTION add_one(int) RETURNS int LANGUAGE sql AS 'SELECT $1 + 1';
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE TYPE pair AS (a int, b int);
CREATE INDEX ON orders (customer_id) WHERE total > 10;
CREATE STATISTICS both_of ON customer_id, total FROM orders;
ALTER TABLE orders ENABLE ROW LEVEL SECURITY;
CREATE POLICY all_of ON orders USING (true);
COMMENT ON TABLE orders IS 'the orders';
GRANT SELECT ON ALL TABLES IN SCHEMA public TO app;
"""
_META = r"""
\d \d+ \dt+ \dv+ \dm+ \di+ \ds+ \dE \dS \dSv \l \l+ \dn+ \du \dg+ \drds \dp \ddp \z \df+ \da \do
\dO \dT+ \dD+ \dC+ \dc \dx \dx+ \dX \dy \dL+ \dF \dF+ \dFp+ \dFt+ \dFd+ \des+ \det+ \dew+
\dP+ \dPi \dA+ \dAc \dAf \dAo \dAp \dRp+ \dconfig \dl \db \dd
"""
META = [
    *_META.split(),
    *(rf"\d+ {name}" for name in ("orders", "recent", "totals", "events", "events_1", "customers")),
    *(r"\d pg_class", r"\d+ information_schema.tables", r"\sf add_one", r"\sv recent"),
    *(r"\df *one*", r"\dt public.*", r"\d or*", r"\conninfo"),
]


@pytest.fixture(scope="module")
def tools(postgres: PostgresServer) -> Iterator[str]:
    """A database with something of every kind."""
    postgres.execute("CREATE DATABASE tools TEMPLATE orders", "postgres")
    postgres.execute(WORLD, "tools")
    yield "tools"
    postgres.execute("DROP DATABASE tools WITH (FORCE)", "postgres")


async def run(postgres: PostgresServer, *argv: str, port: int) -> tuple[int, str, str]:
    env = {"PATH": os.environ["PATH"], "PGHOST": "127.0.0.1", "PGPORT": str(port), "PGUSER": "me"}
    process = await asyncio.create_subprocess_exec(
        *(str(postgres.bin / argv[0]), *argv[1:]),
        env=env | {"PGDATABASE": "any", "LC_ALL": "C", "HOME": "/nonexistent"},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_every_way_to_describe_something_works_under_a_read_grant(
    postgres: PostgresServer, tools: str
) -> None:
    commands = [word for meta in META for word in ("-c", meta)]
    async with broker(postgres, tools, POLICIES["reader"]) as made:
        code, out, err = await run(postgres, "psql", "-X", "-q", *commands, port=made.port)
        await made.ended.get()
    assert "interlock: " not in err
    assert code == 0, err
    assert "Partition key: RANGE (at)" in out
    assert "add_one" in out


async def test_what_only_some_may_see_is_refused_also_to_tools(
    postgres: PostgresServer, tools: str
) -> None:
    async with broker(postgres, tools, POLICIES["reader"]) as made:
        for meta in (r"\deu+", r"\dRs"):  # passwords of foreign servers, and of subscriptions
            _, _, err = await run(postgres, "psql", "-X", "-q", "-c", meta, port=made.port)
            await made.ended.get()
            assert "a system table" in err


async def test_limits_stay_although_pg_dump_was_told_otherwise(
    postgres: PostgresServer, tools: str
) -> None:
    async with broker(postgres, tools, POLICIES["reader"]) as made:
        mark = postgres.log_mark()
        _, _, err = await run(postgres, "pg_dump", "-v", "--schema-only", port=made.port)
        await made.ended.get()
    logged = postgres.logged_since(mark)
    assert "row_security stays as it is" in err
    assert "pinned: statement_timeout" in logged
    assert "SET statement_timeout" not in logged
    assert "SET row_security" not in logged


@pytest.mark.parametrize("options", [(), ("--no-privileges", "--no-owner"), ("--table=orders",)])
async def test_pg_dump_of_the_schema_works_under_a_read_grant(
    postgres: PostgresServer, tools: str, options: tuple[str, ...]
) -> None:
    async with broker(postgres, tools, POLICIES["reader"]) as made:
        dump = ("pg_dump", "--schema-only", *options)
        code, out, err = await run(postgres, *dump, port=made.port)
        await made.ended.get()
    assert code == 0, err
    assert "interlock: " not in err.replace("interlock: row_security stays as it is", "")
    assert "CREATE TABLE public.orders" in out
