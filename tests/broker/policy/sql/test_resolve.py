"""From names to what they stand for, on catalogues as values; real ones are in test_lookup.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.errors import Unparsable
from broker.policy.sql import facts, read
from broker.policy.sql.catalogue import Catalogue, Overlay, Relation, Routine
from broker.policy.sql.resolve import resolve

if TYPE_CHECKING:
    from broker.model import Part

VIEW = " SELECT keys.id\n   FROM secret.keys;"
RELATIONS = {
    "public.orders": Relation(),
    "secret.keys": Relation(),
    "public.v": Relation("v", VIEW),
    "public.vv": Relation("v", "SELECT v.id FROM public.v"),
    "public.broken": Relation("v", "?"),
    "public.ruled": Relation(rules=("?",)),
    "public.loop": Relation("v", "SELECT 1 FROM public.loop"),
    "public.wide": Relation("p", partitions=tuple(f"public.w{n}" for n in range(3000))),
    "public.tree": Relation("p", partitions=("public.branch",)),
    "public.branch": Relation("p", partitions=("public.leaf",), parents=("public.tree",)),
    "public.leaf": Relation(parents=("public.branch",)),
}
ROUTINES = {
    "public.in_c": (Routine("c", "i"),),
    "public.opaque": (Routine("plpgsql", "i", row=True),),
    "public.loops": (Routine("sql", "v", "SELECT loops()"),),
    "public.broken": (Routine("sql", "v", "SELECT FROM WHERE"),),
    "app.reads": (Routine("sql", "s", "TABLE secret.keys"),),
}
OPERATORS = {"+": ("public.opaque",), "%": ("public.in_c",), "app.-": ("public.opaque",)}
CATALOGUE = Catalogue(
    "1", RELATIONS, ROUTINES, OPERATORS, {"public.guarded": ("public.opaque",)},
    frozenset({"pg_read_file", "lo_import"}),
)  # fmt: skip


def parts(text: str, overlay: Overlay | None = None) -> set[str]:
    return {
        ("!" if part.explicit else "~" if part.implied else "+" if part.along else "") + str(part)
        for part in resolve(read(text), CATALOGUE, overlay).parts
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("TABLE orders", {"select public.orders"}),
        ("TABLE vv", {"select public.vv", "select public.v", "select secret.keys"}),
        ("TABLE nobody", {"!select public.nobody"}),
        ("TABLE pg_class", {"~select pg_catalog.pg_class"}),
        ("CREATE TABLE nobody (a int)", {"create public.nobody"}),
        ("DROP TABLE nobody", {"drop public.nobody"}),
        ("TABLE broken", {"select public.broken", "!select view public.broken"}),
        ("INSERT INTO ruled VALUES (1)", {"insert public.ruled", "!insert rule on public.ruled"}),
        ("TABLE loop", {"select public.loop"}),
        ("DELETE FROM v WHERE id = 1", {"delete public.v", "delete secret.keys"}),
        (
            "SELECT 1 FROM v FOR UPDATE",
            {"select public.v", "lock public.v", "select secret.keys", "lock secret.keys"},
        ),
        ("TABLE tree", {"select public.tree", "+select public.branch", "+select public.leaf"}),
        ("TABLE leaf", {"select public.leaf", "+select public.branch", "+select public.tree"}),
        ("SELECT in_c(1)", {"select", "~select function in_c"}),
        ("SELECT opaque(1)", {"select", "!select function opaque"}),
        ("SELECT loops()", {"select", "~select function loops"}),
        ("SELECT public.broken()", {"select", "!select function public.broken"}),
        ("SELECT app.reads()", {"select", "~select function app.reads", "select secret.keys"}),
        ("SELECT app.nobody()", {"select", "!select function app.nobody"}),
        ("SELECT 1 % 2", {"select"}),
        ("SELECT 1 + 2", {"select", "!select function public.opaque"}),
        ("SELECT 1 OPERATOR(app.-) 2", {"select", "!select function operator app.-"}),
        ("SELECT 1::guarded", {"select", "!select function public.opaque"}),
        (
            "SELECT o.opaque FROM orders o",
            {"select public.orders", "!select function public.opaque"},
        ),
        ("SELECT o.in_c FROM orders o", {"select public.orders"}),
        ("SELECT (1).opaque", {"select", "!select function opaque"}),
        ("SELECT ('x'::text).pg_read_file", {"select", "!select function pg_read_file"}),
        ("SELECT (1).street", {"select"}),
        ("SELECT (1).pg_read_file, pg_read_file('x')", {"select", "!select function pg_read_file"}),
        ("SELECT (1).street, street(1)", {"select", "!select function street"}),
        (
            "SELECT g.lo_import FROM unnest(a) g",
            {"select", "~select function unnest", "!select function lo_import"},
        ),
    ],
)
def test_what_a_text_does_on_this_target(text: str, expected: set[str]) -> None:
    assert parts(text) == expected


def test_what_a_session_made_counts_beside_what_was_there() -> None:
    overlay = Overlay()
    overlay.note(read("CREATE TEMP VIEW orders AS TABLE secret.keys").made)
    assert parts("DELETE FROM orders WHERE id = 1", overlay) >= {
        "delete public.orders",
        "delete secret.keys",
    }
    overlay.note(read("CREATE FUNCTION in_c(int) RETURNS int LANGUAGE sql AS ''").made)
    assert "!select function in_c" in parts("SELECT in_c(1)", overlay)
    overlay.note(read("CREATE FUNCTION lower(varchar) RETURNS int LANGUAGE sql AS ''").made)
    assert "!select function public.lower" in parts("SELECT lower('x')", overlay)


def test_the_reason_says_through_what() -> None:
    found = resolve(read("TABLE vv"), CATALOGUE).parts
    assert [(part.table, part.why) for part in found] == [
        ("public.vv", ""),
        ("public.v", "public.vv reads it"),
        ("secret.keys", "public.v reads it"),
    ]


def test_many_partitions_are_no_reason_to_refuse() -> None:
    assert len(resolve(read("TABLE wide"), CATALOGUE).parts) == 3001


def test_too_much_behind_a_name_is_refused() -> None:
    query = " UNION ALL ".join(f"SELECT 1 FROM t{n}" for n in range(900))
    both = {
        "public.one": Relation("v", query),
        "public.two": Relation("v", query.replace("FROM t", "FROM u")),
    }
    assert len(resolve(read("TABLE one"), Catalogue("1", both)).parts) > 900
    with pytest.raises(Unparsable, match="more than"):
        resolve(read("SELECT 1 FROM one, two"), Catalogue("1", both))


STATEMENTS = [
    "TABLE orders",
    "TABLE vv",
    "DELETE FROM v WHERE id = 1",
    "SELECT lower(o.note), opaque(1), o.x FROM orders o",
    "INSERT INTO ruled SELECT 1",
    "EXPLAIN SELECT * FROM tree",
    "CREATE VIEW x AS TABLE v",
    "SELECT pg_read_file('x')",
]


@given(st.lists(st.sampled_from(STATEMENTS), min_size=1, max_size=4))
def test_a_catalogue_never_takes_a_part_away_that_a_rule_must_name(batch: list[str]) -> None:
    text = ";".join(batch)

    def strict(part: Part) -> bool:
        return not part.implied and (part.function is None or part.function == "pg_read_file")

    alone = {str(part) for part in facts(text).parts if strict(part)}
    assert alone <= {str(part) for part in resolve(read(text), CATALOGUE).parts}
