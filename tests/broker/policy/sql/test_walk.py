"""The walk: what stands in unusual places is found, and what is unknown stays strict."""

from __future__ import annotations

import pytest

from broker.policy.sql import HANDLERS
from broker.policy.sql.walk import Context, Walk
from tests.broker.policy.sql.spoken import parts


@pytest.mark.parametrize(
    "text",
    [
        "SELECT f.pg_read_file FROM unnest(ARRAY['/etc/passwd']) f",
        "SELECT f.pg_read_file FROM unnest(ARRAY['/etc/passwd']) AS f(line)",
        "SELECT unnest.pg_read_file FROM unnest(ARRAY['/etc/passwd'])",
        "SELECT f.pg_read_file FROM ROWS FROM (unnest(ARRAY['/etc/passwd'])) f",
        "SELECT 1 FROM t WHERE EXISTS (SELECT f.pg_read_file FROM unnest(t.a) f)",
        "SELECT f.pg_read_file FROM unnest(a) f, (SELECT 1 FROM t f) x",
        'SELECT "current_user".pg_read_file FROM current_user',
    ],
)
def test_a_column_of_a_function_can_be_a_call(text: str) -> None:
    assert "!select function pg_read_file" in parts(text)


@pytest.mark.parametrize(
    "text",
    [
        "SELECT g.i FROM generate_series(1, 3) AS g(i)",
        "SELECT g.g FROM generate_series(1, 3) g",
        "SELECT j.key, j.value FROM json_each('{}') j",
        "SELECT x.a, x.b FROM json_to_record('{}') AS x(a int, b text)",
        "SELECT u.email, c.n FROM users u, generate_series(1, 3) g, LATERAL (SELECT 1 AS n) c",
        "WITH w AS (SELECT 1 AS n) SELECT w.n FROM w, generate_series(1, 3) g",
        "SELECT public.users.email FROM public.users, generate_series(1, 3) g",
    ],
)
def test_honest_columns_beside_functions_are_no_calls(text: str) -> None:
    assert not {part for part in parts(text) if part.startswith("!")}


def test_an_unknown_statement_is_strict_and_still_searched() -> None:
    tree = {"BrandNewStmt": {"inside": [{"RangeVar": {"relname": "t"}}]}}
    found = Walk(HANDLERS).run(tree, Context())
    assert [str(part) for part in found] == ["other BrandNew", "select public.t"]
    assert found[0].explicit


@pytest.mark.parametrize(
    "text",
    [
        "CREATE TABLE x (a int DEFAULT pg_sleep(1))",
        "CREATE TABLE x (a int CHECK (pg_sleep(a) IS NULL))",
        "CREATE INDEX ON x (pg_sleep(a))",
        "ALTER TABLE x ALTER a TYPE int USING pg_sleep(a)",
        "CREATE VIEW x AS SELECT pg_sleep(1)",
        "CREATE POLICY p ON x USING (pg_sleep(1) IS NULL)",
        "COPY x FROM STDIN WHERE pg_sleep(1) IS NULL",
        "INSERT INTO x VALUES (1) ON CONFLICT (a) DO UPDATE SET a = pg_sleep(1)",
        "SELECT 1 ORDER BY pg_sleep(1)",
        "SELECT 1 LIMIT pg_sleep(1)",
        "SELECT count(*) FILTER (WHERE pg_sleep(1) IS NULL)",
        "SELECT sum(1) OVER (PARTITION BY pg_sleep(1))",
        "SELECT ARRAY[pg_sleep(1)], ROW(pg_sleep(1)), CASE WHEN true THEN pg_sleep(1) END",
        "SELECT * FROM XMLTABLE('/a' PASSING pg_sleep(1) COLUMNS b int)",
        "SELECT * FROM JSON_TABLE(pg_sleep(1), '$' COLUMNS (a int))",
        "EXECUTE x(pg_sleep(1))",
        "CALL p(pg_sleep(1))",
        "PREPARE x AS SELECT pg_sleep(1)",
        "EXPLAIN SELECT pg_sleep(1)",
        "MERGE INTO x USING y ON x.a = y.a WHEN MATCHED AND pg_sleep(1) IS NULL THEN DELETE",
        "WITH RECURSIVE w AS (SELECT 1 UNION SELECT 1 FROM w) SEARCH DEPTH FIRST BY a SET b"
        " SELECT pg_sleep(1) FROM w",
    ],
)
def test_calls_are_found_wherever_they_stand(text: str) -> None:
    assert {part for part in parts(text) if part.endswith("function pg_sleep")}
    assert {part for part in parts(text) if part.startswith("!") and "pg_sleep" in part}
