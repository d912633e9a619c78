"""Statements about things with names."""

from __future__ import annotations

import pytest

from broker.policy.sql import HANDLERS
from tests.broker.policy.sql.spoken import parts


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("CREATE ROLE bob SUPERUSER", "!create role bob"),
        ("ALTER ROLE bob SUPERUSER", "!alter role bob"),
        ("DROP ROLE a, b", "!drop role b"),
        ("CREATE DATABASE d", "!create database d"),
        ("DROP DATABASE d", "!drop database d"),
        ("DROP OWNED BY CURRENT_USER CASCADE", "!drop everything owned by role current_user"),
        ("REASSIGN OWNED BY bob TO alice", "!alter everything owned by role bob"),
        ("CREATE EXTENSION dblink", "!create extension dblink"),
        ("CREATE SCHEMA app", "create schema app"),
        ("CREATE SCHEMA app CREATE TABLE t (a int)", "!create schema app"),
        ("CREATE SEQUENCE s", "create sequence public.s"),
        ("CREATE TYPE c AS ENUM ('a')", "create type c"),
        ("CREATE TYPE c AS (a int)", "create type public.c"),
        ("CREATE FUNCTION f() RETURNS int LANGUAGE c AS 'x'", "!create function f"),
        ("CREATE AGGREGATE a(int) (sfunc = f, stype = int)", "!create aggregate a"),
        (
            "CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION f()",
            "!create event trigger e",
        ),
        ("CREATE SERVER s FOREIGN DATA WRAPPER w", "!create server s"),
        ("CREATE SUBSCRIPTION s CONNECTION 'x' PUBLICATION p", "!create subscription s"),
        ("CREATE CAST (a AS b) WITH FUNCTION f(a)", "!create cast to b"),
        ("LISTEN jobs", "!listen channel jobs"),
        ("NOTIFY jobs, 'x'", "!notify channel jobs"),
        ("UNLISTEN *", "~listen"),
        ("LOAD 'evil'", "!other library evil"),
        ("CHECKPOINT", "!other checkpoint"),
        ("SECURITY LABEL ON TABLE t IS 'x'", "!security label on t"),
        ("IMPORT FOREIGN SCHEMA a FROM SERVER b INTO c", "!create foreign tables of server b"),
    ],
)
def test_what_a_statement_acts_on(text: str, part: str) -> None:
    assert part in parts(text)


def test_a_body_in_sql_is_judged_with_its_function() -> None:
    body = "CREATE FUNCTION f() RETURNS int LANGUAGE SQL BEGIN ATOMIC DELETE FROM t; SELECT 1; END"
    assert parts(body) >= {"!create function f", "delete public.t unbounded"}


def test_every_statement_of_the_grammar_is_handled_or_strict() -> None:
    """Handlers are found by the name of a node: a misspelt one would never be called."""
    from importlib import import_module

    fields = import_module("postgast.pg_query_pb2").Node.DESCRIPTOR.fields
    known = {field.message_type.name for field in fields if field.message_type}
    assert set(HANDLERS) <= known
