"""Rows of a catalogue as values; the queries behind them run in test_lookup.py."""

from __future__ import annotations

from broker.policy.sql.catalogue import Relation, Routine
from broker.postgres import catalogue_queries as queries
from broker.postgres.catalogue_rows import BODY_LIMIT, made_of

ROWS: list[list[bytes | None]] = [
    [b"r", b"public", b"a", b"r", None],
    [b"r", b"public", b"a.b", b"v", b"SELECT 1"],
    [b"r", b"public", b"long", b"v", b"x" * (BODY_LIMIT + 1)],
    [b"r", b"public", b"locked", b"v", None],
    [b"u", b"public", b"a", b"CREATE RULE r"],
    [b"u", b"public", b"a", None],
    [b"i", b"public", b"a", b"app", b"c", b"f"],
    [b"i", b"public", b"a", b"public", b"p", b"t"],
    [b"r", b"app", b"c", b"r", None],
    [b"t", b"public", b"a.b", b"app", b"f"],
    [b"f", b"app", b"f", b"sql", b"f", b"v", b"f", b"t", b"f", b"BEGIN ATOMIC\n SELECT 1;\nEND"],
    [b"f", b"app", b"f", b"sql", b"f", b"i", b"t", b"f", b"t", b"RETURN 1"],
    [b"f", b"app", b"g", b"internal", b"a", b"i", b"f", b"t", b"f", None],
    [b"o", b"public", b"=", b"pg_catalog", b"int4eq"],
    [b"o", b"app", b"+", b"app", b"f"],
    [b"d", b"public", b"guarded", b"app", b"f"],
    [b"d", b"pg_catalog", b"text", b"app", b"f"],
    [b"b", b"lower pg_read_file"],
]


def test_rows_become_a_catalogue() -> None:
    made = made_of(ROWS)
    assert made.relations["public.a"] == Relation(
        rules=("CREATE RULE r", "?"), children=("app.c",), partitions=("public.p",)
    )
    assert made.relations['public."a.b"'] == Relation("v", "SELECT 1", instead=("app.f",))
    assert made.relations["public.long"].query == made.relations["public.locked"].query == "?"
    assert made.relations["app.c"].parents == ("public.a",)
    assert made.routines["app.f"] == (
        Routine("sql", "v", "SELECT 1;"),
        Routine("sql", "i", "SELECT 1", definer=True, open=False, row=True),
    )
    assert not made.routines["app.g"][0].computes
    assert made.operators == {"=": ("int4eq",), "public.=": ("int4eq",), "app.+": ("app.f",)}
    assert made.types == {"public.guarded": ("app.f",), "text": ("app.f",)}
    assert made.dangerous == {"pg_read_file"}


def test_the_version_is_that_of_the_content() -> None:
    assert made_of(ROWS).version == made_of(list(ROWS)).version
    assert made_of(ROWS).version != made_of(ROWS[:-1]).version


def test_an_old_server_is_not_asked_for_what_it_does_not_have() -> None:
    assert "sqlbody" not in queries.load(130000)
    assert "sqlbody" in queries.load(140000)
    assert "viewdef" not in queries.load(180000, texts=False)
