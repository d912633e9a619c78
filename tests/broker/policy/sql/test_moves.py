"""What a statement gives a new meaning to, which the session has to be held to from then on."""

from __future__ import annotations

import pytest

from broker.policy.sql import read


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("CREATE TABLE a (b int)", {"public.a": ()}),
        ("CREATE TEMP TABLE a (b int)", {"pg_temp.a": (), "public.a": ()}),
        ("CREATE TABLE pg_temp.a (b int)", {"pg_temp.a": (), "public.a": ()}),
        ("CREATE TEMP TABLE pg_class (b int)", {"pg_temp.pg_class": (), "pg_catalog.pg_class": ()}),
        ("CREATE TABLE a AS SELECT 1", {"public.a": ()}),
        ("SELECT 1 AS x INTO TEMP a", {"pg_temp.a": (), "public.a": ()}),
        ("CREATE VIEW v AS SELECT * FROM a, app.b", {"public.v": ("public.a", "app.b")}),
        ("EXPLAIN ANALYZE CREATE TABLE a AS SELECT 1", {"public.a": ()}),
        ("ALTER TABLE app.a RENAME TO b", {"app.b": ("app.a",)}),
        ("ALTER VIEW v RENAME TO w", {"public.w": ("public.v",)}),
        ("ALTER TABLE a SET SCHEMA app", {"app.a": ("public.a",)}),
        ("ALTER TABLE a RENAME COLUMN b TO c", {}),
        ("ALTER TABLE a INHERIT b", {"public.b": ("public.a",)}),
        ("ALTER TABLE a ATTACH PARTITION b DEFAULT", {"public.a": ("public.b",)}),
        ("ALTER TABLE a NO INHERIT b", {}),
        ("CREATE FUNCTION f() RETURNS int RETURN 1", {"public.f": ()}),
        ("CREATE OR REPLACE PROCEDURE app.f() LANGUAGE sql AS ''", {"app.f": ()}),
        ("CREATE AGGREGATE g(int) (SFUNC = f, STYPE = int)", {"public.g": ()}),
        ("CREATE OPERATOR + (LEFTARG = int, FUNCTION = f)", {"operator +": ()}),
        ("CREATE CAST (a AS b) WITH FUNCTION f(a)", {"cast to b": ()}),
        ("ALTER FUNCTION f() RENAME TO lower", {"public.lower": ()}),
        ("ALTER FUNCTION app.f() SET SCHEMA public", {"public.f": ()}),
        ("CREATE SCHEMA s CREATE TABLE t (a int)", {"s.t": ()}),
        ("CREATE SCHEMA AUTHORIZATION s CREATE VIEW v AS TABLE a", {"s.v": ("public.a",)}),
        ("DELETE FROM a", {}),
    ],
)
def test_new_meanings(text: str, expected: dict[str, tuple[str, ...]]) -> None:
    assert {made.name: made.stands for made in read(text).made} == expected


def test_a_rule_adds_what_it_runs_to_its_table() -> None:
    (made,) = read("CREATE RULE r AS ON INSERT TO a DO ALSO DELETE FROM b").made
    assert made.name == "public.a"
    assert [str(part) for part in made.adds] == ["delete public.b"]
