"""Queries: which tables they read and write, under which names, and what they call."""

from __future__ import annotations

import pytest

from tests.broker.policy.sql.spoken import parts


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT 1", {"select"}),
        ("VALUES (1)", {"select"}),
        ("TABLE t", {"select public.t"}),
        ("SELECT * FROM SeCrEtS", {"select public.secrets"}),
        ('SELECT * FROM "Secrets"', {"select public.Secrets"}),
        ('SELECT * FROM "a.b"', {'select public."a.b"'}),
        ("SELECT * FROM U&\"!0073ecrets\" UESCAPE '!'", {"select public.secrets"}),
        ("SELECT * FROM app.t, ONLY u", {"select app.t", "select public.u"}),
        ("SELECT (SELECT max(a) FROM s)", {"select public.s", "~select function max"}),
        ("SELECT 1 FROM t UNION SELECT 1 FROM u", {"select public.t", "select public.u"}),
        ("SELECT * INTO leak FROM t", {"create public.leak", "select public.t"}),
        ("SELECT * FROM t FOR UPDATE", {"select public.t", "lock public.t"}),
        (
            "SELECT * FROM t a, u b FOR SHARE OF b",
            {"select public.t", "select public.u", "lock public.u"},
        ),
        (
            "SELECT * FROM t, (SELECT * FROM u) x FOR UPDATE OF t, x",
            {"select public.t", "select public.u", "lock public.t", "lock public.u"},
        ),
        ("INSERT INTO t VALUES (1) RETURNING a", {"insert public.t"}),
        ("INSERT INTO t SELECT * FROM s", {"insert public.t", "select public.s"}),
        (
            "INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE SET b = 1 RETURNING c",
            {"insert public.t", "update public.t", "select public.t"},
        ),
        ("UPDATE t SET a = 1 WHERE b = 2", {"update public.t"}),
        ("UPDATE t SET a = 1 WHERE b = 2 RETURNING c", {"update public.t", "select public.t"}),
        ("DELETE FROM t USING s WHERE t.a = s.a", {"delete public.t", "select public.s"}),
        (
            "MERGE INTO t USING s ON t.a = s.a WHEN MATCHED THEN DELETE"
            " WHEN NOT MATCHED THEN INSERT VALUES (1)",
            {"merge public.t", "delete public.t", "insert public.t", "select public.s"},
        ),
        (
            "MERGE INTO t USING s ON true WHEN MATCHED THEN UPDATE SET a = 1",
            {"merge public.t", "update public.t unbounded", "select public.s"},
        ),
        (
            "MERGE INTO t USING s ON t.a = s.a WHEN NOT MATCHED BY SOURCE THEN DELETE",
            {"merge public.t", "delete public.t unbounded", "select public.s"},
        ),
    ],
)
def test_what_a_query_does(text: str, expected: set[str]) -> None:
    assert parts(text) == expected


@pytest.mark.parametrize(
    ("text", "tables"),
    [
        ("WITH s AS (SELECT 1) SELECT * FROM s", set()),
        ("WITH s AS (SELECT * FROM s) SELECT * FROM s", {"select public.s"}),
        ("WITH RECURSIVE s AS (SELECT 1 UNION SELECT * FROM s) SELECT * FROM s", set()),
        ("WITH a AS (SELECT * FROM b), b AS (SELECT 1) SELECT * FROM a", {"select public.b"}),
        ("WITH s AS (SELECT 1) SELECT * FROM public.s", {"select public.s"}),
        ("SELECT * FROM (WITH s AS (SELECT 1) SELECT * FROM s) x, s", {"select public.s"}),
        ("WITH s AS (SELECT 1) SELECT (SELECT 1 FROM s)", set()),
        ("WITH s AS (SELECT 1) DELETE FROM s WHERE a = 1", {"delete public.s"}),
        ("WITH s AS (SELECT 1) INSERT INTO s SELECT * FROM s", {"insert public.s"}),
        (
            "WITH x AS (DELETE FROM a RETURNING 1) SELECT * FROM x",
            {"delete public.a unbounded"},
        ),
    ],
)
def test_names_of_with_hide_tables_where_they_are_in_scope(text: str, tables: set[str]) -> None:
    assert parts(text) - {"select"} == tables


@pytest.mark.parametrize(
    ("call", "part"),
    [
        ("lower('A')", "~select function lower"),
        ("pg_catalog.lower('A')", "~select function lower"),
        ("public.lower('A')", "!select function public.lower"),
        ("my_own(1)", "!select function my_own"),
        ('"Lower"(1)', "!select function Lower"),
        ("random()", "~select function random"),
        ("nextval('s')", "!select function nextval"),
        ("pg_sleep(1)", "!select function pg_sleep"),
        ("pg_read_file('/etc/passwd')", "!select function pg_read_file"),
        ("query_to_xml('TABLE t', true, true, '')", "!select function query_to_xml"),
        ("table_to_xml('t', true, true, '')", "!select function table_to_xml"),
        ("set_config('timezone', 'UTC', true)", "~select function set_config"),
        ("set_config('timezone', 'UTC', false)", "!select function set_config"),
        ("set_config('time'||'zone', 'UTC', true)", "!select function set_config"),
        ("set_config('role', 'postgres', true)", "!select function set_config"),
        ("1 OPERATOR(mine.+) 1", "!select function operator mine.+"),
        ("sum(1) OVER (ORDER BY 1 USING OPERATOR(mine.<))", "!select function operator mine.<"),
        ("1 OPERATOR(mine.=) ANY (SELECT 1)", "!select function operator mine.="),
        # the attribute notation calls functions, too; each of these reads a file in PostgreSQL 18
        ("('/etc/passwd'::text).pg_read_file", "!select function pg_read_file"),
        ("(x).mine", "!select function mine"),
    ],
)
def test_calls_are_found_and_known(call: str, part: str) -> None:
    assert part in parts(f"SELECT {call}")


@pytest.mark.parametrize("spelling", ["1 + 1", "1 OPERATOR(pg_catalog.+) 1", "'a' LIKE 'b'"])
def test_operators_of_the_system_are_no_parts(spelling: str) -> None:
    assert parts(f"SELECT {spelling}") == {"select"}


def test_sampling_methods_of_extensions_are_functions() -> None:
    assert parts("SELECT * FROM t TABLESAMPLE system(1)") == {
        "select public.t",
        "~select function system",
    }
    assert "!select function mine" in parts("SELECT * FROM t TABLESAMPLE mine(1)")
