"""What the planner says, from a real one."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from broker.errors import TargetUnreachable
from broker.model import Language, Parameter, Statement
from broker.postgres.estimate import estimate, planned
from tests.broker.postgres.harness import beside

if TYPE_CHECKING:
    from collections.abc import Mapping

    from broker.postgres.estimate import Estimate
    from broker.postgres.upstream import Upstream
    from tests.fixtures.postgres import PostgresServer


async def ask(
    postgres: PostgresServer,
    dbname: str,
    text: str,
    *values: bytes,
    parameters: tuple[Parameter, ...] = (),
) -> Estimate:
    statement = Statement(Language.SQL, text, values)
    connect = partial(beside, postgres, dbname)
    return await estimate(connect, statement, parameters, ["public.orders"])


@pytest.mark.peer
@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("UPDATE orders SET note = 'x'", 100),
        ("DELETE FROM orders WHERE id = 7", 1),
        ("INSERT INTO audit(what) VALUES ('a'), ('b'), ('c')", 3),
        ("INSERT INTO audit(what) SELECT note FROM orders", 100),
        ("WITH d AS (DELETE FROM orders RETURNING id) SELECT count(*) FROM d", 100),
        ("SELECT * FROM orders", 100),
        ("UPDATE orders SET note = 'a' || 'b'", 100),  # of which operator, without the constants?
    ],
)
async def test_rows_that_would_be_touched(
    postgres: PostgresServer, orders: str, text: str, rows: int
) -> None:
    postgres.execute("ANALYZE orders", orders)
    found = await ask(postgres, orders, text)
    assert (found.rows, found.unknown) == (rows, "")
    assert found.sizes == ("public.orders: about 100 rows, 8192 bytes",)
    assert postgres.execute("SELECT count(*) FROM orders", orders) == [(100,)]


@pytest.mark.peer
@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("UPDATE nowhere SET a = 1", "does not plan it"),
        ("SELECT 1; DELETE FROM orders", "several statements"),
        ("TRUNCATE orders", "only queries and writes"),
        ("DELETE FROM pg_authid", "permission denied"),
    ],
)
async def test_why_there_is_none(
    postgres: PostgresServer, orders: str, text: str, why: str
) -> None:
    found = await ask(postgres, orders, text)
    assert found.rows is None
    assert why in found.unknown


@pytest.mark.peer
async def test_values_in_binary_are_planned_with(postgres: PostgresServer, orders: str) -> None:
    postgres.execute("ANALYZE orders", orders)
    text = "DELETE FROM orders WHERE id <= $1"
    known = (Parameter(23, binary=True),)
    few = await ask(postgres, orders, text, (10).to_bytes(4, "big"), parameters=known)
    all_ = await ask(postgres, orders, text, (100).to_bytes(4, "big"), parameters=known)
    assert few.rows is not None
    assert few.rows < 20
    assert all_.rows is not None
    assert all_.rows > 90


@pytest.mark.peer
async def test_what_is_not_approved_is_not_sent_as_it_stands(
    postgres: PostgresServer, orders: str
) -> None:
    mark = postgres.log_mark()
    found = await ask(postgres, orders, "DELETE FROM orders /* why */ WHERE id = 4711")
    assert found.rows is not None
    log = postgres.logged_since(mark)
    assert "EXPLAIN (FORMAT JSON) DELETE FROM orders   WHERE id = $1" in log
    assert "id = 4711" not in log
    assert "why" not in log


@pytest.mark.peer
async def test_planning_runs_nothing_and_keeps_no_connection(
    postgres: PostgresServer, orders: str
) -> None:
    postgres.execute(
        "CREATE SEQUENCE s; GRANT USAGE ON s TO app;"
        " CREATE FUNCTION f() RETURNS int IMMUTABLE LANGUAGE sql AS $$SELECT nextval('s')::int$$",
        orders,
    )
    mark = postgres.log_mark()
    found = await ask(postgres, orders, "DELETE FROM orders WHERE id = f()")
    assert found.unknown == "it calls f, which may do more than compute"
    assert "DELETE" not in postgres.logged_since(mark)
    assert postgres.execute("SELECT is_called FROM s", orders) == [(False,)]


async def test_a_target_that_does_not_answer_is_only_told() -> None:
    async def connect(_settings: Mapping[str, str]) -> Upstream:
        msg = "orders does not answer"
        raise TargetUnreachable(msg)

    statement = Statement(Language.SQL, "SELECT 1")
    found = await estimate(connect, statement, (), ())
    assert found.unknown == "the target could not be asked"


def test_a_plan_counts_what_it_writes_in_every_part() -> None:
    feed = {"Node Type": "Seq Scan", "Plan Rows": 7, "Parent Relationship": "Outer"}
    init = {"Node Type": "Result", "Plan Rows": 99, "Parent Relationship": "InitPlan"}
    write = {"Node Type": "ModifyTable", "Plan Rows": 0, "Plans": [feed, init]}
    assert planned([{"Plan": write}]) == 7
    assert planned([{"Plan": {"Node Type": "CTE Scan", "Plan Rows": 1, "Plans": [write]}}]) == 7
    assert planned([{"Plan": feed}]) == 7
