"""A WHERE that leaves every row in bounds nothing."""

from __future__ import annotations

import pytest

from tests.broker.policy.sql.spoken import parts

ALWAYS = """
true | 1=1 | 1 = '1' | 'a' = 'a' | NOT false | 1 < 2 | 1 <> 2 | true OR id = 1 | id = 1 OR true
id = id | t.id = id | id >= id | id IS NOT DISTINCT FROM id | NOT (id <> id) | id IN (1, id)
id IS NULL OR id IS NOT NULL | id = 1 OR id <> 1 | id > 5 OR id <= 5 | NOT id = 1 OR id = 1
name LIKE '%' | name ILIKE '%%' | name ~ '' | name ~ '.*' | ctid IS NOT NULL | tableoid IS NOT NULL
true AND id = id | (SELECT true) | EXISTS (SELECT 1) | now() IS NOT NULL | $1 | $1 = $2
random() < 2 | 't'::boolean | 1.5 > 1.4 | '10' < '9' | '1' <> '01' | length('a') = 1
EXISTS (SELECT 1 FROM s WHERE s.a = 1) | (SELECT count(*) FROM s) > 0 | NULL IS NULL
"""
SOMETIMES = """
id = 1 | id = 1 AND true | id = other | id IS NOT NULL | name LIKE '%a%' | name LIKE '' | id > 0
id NOT IN (1, id) | id <> id | NOT (id = id) | id = $1 | false | 1 = 0 | NULL | 2 < 1 | 'f'::boolean
false AND true | false OR 1 = 0 | EXISTS (SELECT 1 FROM s WHERE s.a = t.a) | id = 1 OR id = 2
CURRENT OF c | t.id = (SELECT max(id) FROM s) | id IS NULL OR name IS NOT NULL | id = 1 OR id <> 2
"""


def _cases(table: str) -> list[str]:
    return [case.strip() for line in table.split("\n") for case in line.split(" | ") if case]


@pytest.mark.parametrize("where", _cases(ALWAYS))
@pytest.mark.parametrize("verb", ["DELETE FROM t", "UPDATE t SET a = 1"])
def test_a_where_that_is_always_true_is_no_where(verb: str, where: str) -> None:
    assert any(part.endswith("public.t unbounded") for part in parts(f"{verb} WHERE {where}"))


@pytest.mark.parametrize("where", _cases(SOMETIMES))
def test_a_where_that_chooses_rows_is_one(where: str) -> None:
    assert "delete public.t" in parts("DELETE FROM t WHERE " + where)


@pytest.mark.parametrize(
    ("text", "unbounded"),
    [
        ("DELETE FROM t", True),
        ("DELETE FROM t x WHERE x.id = id", True),
        ("DELETE FROM t x WHERE t.id = 1", True),  # t is not a name here: the server refuses it
        ("DELETE FROM t USING s WHERE s.id = 1", True),
        ("DELETE FROM t USING s WHERE s.id = t.id", False),
        ("UPDATE t SET a = 1 FROM s WHERE id = s.id", False),
        ("EXPLAIN DELETE FROM t", False),
        ("EXPLAIN ANALYZE DELETE FROM t", True),
        ("EXPLAIN (ANALYZE off) DELETE FROM t", True),
    ],
)
def test_other_tables_and_explain(text: str, unbounded: bool) -> None:
    assert any(part.endswith("unbounded") for part in parts(text)) is unbounded


def test_a_limit_that_is_known_conditions_on_data_cannot_be_told() -> None:
    assert "delete public.t" in parts("DELETE FROM t WHERE id IN (SELECT id FROM t)")
