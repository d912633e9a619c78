"""What a text says by itself, and the names in it that only a catalogue can make more of."""

from __future__ import annotations

import pytest

from broker.errors import Unparsable
from broker.policy.sql import read
from broker.policy.sql.reading import MAX_PARTS


def test_names_behind_which_there_may_be_code() -> None:
    found = read(
        "SELECT o.total, lower(o.note), o.a + 1, o.b::money2, app.f(1), x IN (1), y BETWEEN 1 AND 2"
        " FROM orders o ORDER BY o.c USING OPERATOR(app.<)"
    )
    assert found.calls == {("select", "lower")}
    assert {name for _, name, _ in found.fields} == {"total", "note", "a", "b", "c"}
    assert {name for _, name in found.operators} == {"+", "=", "<", "<=", ">", ">="}
    assert {name for _, name in found.types} == {"money2"}


def test_a_text_is_all_of_its_statements() -> None:
    found = read("SELECT a.b FROM a; EXPLAIN SELECT lower(c.d) FROM c; CREATE TABLE e (f g)")
    assert found.count == 3
    assert {name for _, name, _ in found.fields} == {"b", "d"}
    assert {name for _, name in found.calls} == {"lower"}
    assert {name for _, name in found.types} == {"g"}
    assert [made.name for made in found.made] == ["public.e"]


@pytest.mark.parametrize(
    "text",
    [
        ";".join(f"TABLE t{n}" for n in range(MAX_PARTS + 1)),
        "WITH " + ",".join(f"a{n} AS (SELECT 1)" for n in range(501)) + " SELECT 1",
        ";".join(["BEGIN"] * 10_001),
    ],
    ids=["parts", "with", "statements"],
)
def test_too_much_is_refused(text: str) -> None:
    with pytest.raises(Unparsable, match="more than"):
        read(text)
