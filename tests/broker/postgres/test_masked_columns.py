"""Attacks on masked columns through a real server: no way out for a value, spelt backwards or not.

The detectors are off here, so a value that is not masked by its column's rule is seen.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from broker.mask.rules import Style
from broker.model import Answer, Verdict
from broker.policy import sql
from tests.broker.postgres.harness import front

if TYPE_CHECKING:
    from broker.model import Statement
    from tests.fixtures.postgres import PostgresServer

pytestmark = pytest.mark.peer

RULES = {"ord*:public.*.email": Style.REDACT, "orders:public.customers.name": Style.REDACT}
VALUES = (
    *("ann@example.com", "moc.elpmaxe", "Ann Example", "elpmaxE nnA"),
    *("YW5uQGV4YW1wbGUuY29t", "ann at example.com", "'ann'", "ann_example~com"),
)
MADE = """
CREATE FUNCTION find_mail() RETURNS SETOF text LANGUAGE plpgsql AS
    'BEGIN RETURN QUERY SELECT reverse(email) FROM customers; END';
CREATE FUNCTION raises() RETURNS int LANGUAGE plpgsql AS
    'BEGIN RAISE EXCEPTION USING ERRCODE = ''42501'', MESSAGE = reverse(email) FROM customers; END';
CREATE TABLE "odd.name" (email text);
INSERT INTO "odd.name" VALUES ('ann@example.com');
"""
EACH = "DECLARE e text; BEGIN FOR e IN SELECT reverse(email) FROM customers LOOP {} END LOOP; END"


def allow(statement: Statement) -> Verdict:
    """Nothing is refused: what may be seen is the mask's business alone."""
    return Verdict(Answer.ALLOW, "all", "may", sql.facts(statement.text))


async def seen(server: PostgresServer, dbname: str, *statements: str) -> str:
    """What a client hears (rows, errors, notices) in one session, and what is recorded of it."""
    heard: list[object] = []
    async with front(server, dbname, rules=RULES, judge=allow) as made:
        connection: psycopg.AsyncConnection[Any] = await made.connect()
        connection.add_notice_handler(lambda d: heard.append(_fields(d)))
        for statement in statements:
            try:
                cursor = await connection.execute(statement.encode())
                while cursor.description is not None:
                    heard += [[c.name for c in cursor.description], *await cursor.fetchall()]
                    if not cursor.nextset():
                        break
            except psycopg.Error as error:
                heard.append(_fields(error.diag))
        await connection.close()
    return repr(heard) + made.recorder.shown.decode()


def _fields(diag: psycopg.errors.Diagnostic) -> list[object]:
    return [getattr(diag, name) for name in dir(diag) if not name.startswith("_")]


@pytest.mark.parametrize(
    "statements",
    [
        ["SELECT quote_ident(name)::regrole FROM customers"],
        ["SELECT quote_ident(reverse(email))::regclass FROM customers"],
        ["SELECT (quote_ident(name) || '.b.c')::regclass FROM customers"],
        ["SELECT has_database_privilege('app', reverse(email), 'CONNECT') FROM customers"],
        ["SELECT current_setting(reverse(email)) FROM customers"],
        ["SELECT find_mail()"],
        ["SELECT upper(f) FROM find_mail() AS f"],
        ["SELECT raises()"],
        [f"DO $$ {EACH.format('RAISE NOTICE $n$%$n$, e;')} $$"],
        [f"DO $$ {EACH.format('RAISE EXCEPTION USING COLUMN = e;')} $$"],
        ["CREATE TEMP VIEW v AS SELECT reverse(email) AS r FROM customers", "SELECT r FROM v"],
        ["CREATE TEMP TABLE t AS SELECT reverse(email) AS r FROM customers", "SELECT r||'' FROM t"],
        ["ALTER TABLE customers RENAME TO clients", "SELECT reverse(email) FROM clients"],
        ['SELECT reverse(email) FROM "odd.name"'],
        ["BEGIN; DECLARE c CURSOR FOR SELECT reverse(email) FROM customers; FETCH ALL FROM c"],
        ["PREPARE p AS SELECT reverse(email) FROM customers", "EXECUTE p"],
        ["COPY customers TO STDOUT"],
        ["SELECT row_to_json(c), c, ARRAY[email], email::bytea FROM customers c"],
        ["UPDATE customers SET name = name RETURNING reverse(email)"],
        ["SELECT 'x' AS a UNION SELECT email FROM customers"],
        ["SELECT encode(email::bytea, 'base64') FROM customers"],  # pg-162 of the corpus
        ["SELECT replace(email, '@', ' at ') FROM customers"],  # pg-164
        ["SELECT split_part(email, '@', 1) FROM customers"],  # pg-165
        ['SELECT U&"em\\0061il" FROM customers'],  # pg-171
        ["SELECT translate(email, '@.', '_~') FROM customers"],  # pg-172
    ],
    ids=lambda statements: statements[-1][-60:],
)
async def test_no_masked_value_gets_out(
    postgres: PostgresServer, orders: str, statements: list[str]
) -> None:
    postgres.execute(MADE, orders)
    postgres.execute('GRANT ALL ON "odd.name" TO app; ALTER TABLE customers OWNER TO app', orders)
    heard = await seen(postgres, orders, *statements)
    assert not [value for value in VALUES if value in heard], heard


async def test_what_is_not_masked_stays_readable(postgres: PostgresServer, orders: str) -> None:
    heard = await seen(
        postgres,
        orders,
        "SELECT id, upper(note) FROM orders WHERE id = 1",
        "SELECT id, ssn FROM customers WHERE id = 1",
        "SELECT nonsense FROM customers",
        "SELECT count(*) FROM customers",
        "SELECT relname FROM pg_class WHERE relname = 'customers'",
    )
    for shown in ("ORDER 1", "078-05-1120", 'column "nonsense" does not exist', "'customers'"):
        assert shown in heard


async def test_a_fetch_prepared_before_its_cursor_is_masked(
    postgres: PostgresServer, orders: str
) -> None:
    async with front(postgres, orders, rules=RULES, judge=allow) as made:
        connection = await made.connect()
        libpq = connection.pgconn
        await asyncio.to_thread(libpq.prepare, b"f", b"FETCH ALL FROM c")
        await connection.execute("BEGIN")
        await connection.execute("DECLARE c CURSOR FOR SELECT reverse(email) FROM customers")
        result = await asyncio.to_thread(libpq.exec_prepared, b"f", [])
        assert result.get_value(0, 0) == b"***************", result.error_message
        await connection.close()


async def test_a_named_cursor_of_a_driver_works_and_is_masked(
    postgres: PostgresServer, orders: str
) -> None:
    async with front(postgres, orders, rules=RULES, judge=allow) as made:
        connection = await made.connect()
        async with connection.transaction(), connection.cursor("batch") as cursor:
            await cursor.execute("SELECT id, reverse(email) FROM customers ORDER BY id")
            assert await cursor.fetchmany(1) == [(1, "***************")]
        await connection.close()


async def test_a_refused_copy_is_told_in_its_place_and_the_session_goes_on(
    postgres: PostgresServer, orders: str
) -> None:
    async with front(postgres, orders, rules=RULES, judge=allow) as made:
        connection = await made.connect()
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="cannot be masked"):
            async with connection.cursor().copy("COPY customers TO STDOUT") as copy:
                _ = [piece async for piece in copy]
        async with connection.cursor().copy("COPY audit (what) FROM STDIN") as copy:
            await copy.write(b"one\ntwo\n")
        cursor = await connection.execute("SELECT count(*) FROM audit")
        assert await cursor.fetchone() == (2,)
        await connection.close()
