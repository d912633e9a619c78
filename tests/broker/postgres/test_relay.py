"""The relay between stock clients and a real server; the server's own log is the witness."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg import errors

from broker.wire import messages, startup
from tests.broker.postgres.harness import count, error_of, front

if TYPE_CHECKING:
    from tests.fixtures.postgres import PostgresServer

pytestmark = pytest.mark.peer

DELETE = "DELETE FROM orders"
UPDATE = "UPDATE orders SET note = %s WHERE id = 1"


async def test_an_allowed_statement_runs_and_is_recorded(
    postgres: PostgresServer, orders: str
) -> None:
    async with front(postgres, orders) as relay, await relay.connect() as connection:
        cursor = await connection.execute("SELECT id, email FROM customers ORDER BY id")
        assert await cursor.fetchall() == [(1, "***"), (2, "***"), (3, None)]
        assert b"=> SELECT id, email FROM customers" in relay.recorder.shown
        assert b"1\t***\r\n" in relay.recorder.shown
        assert b"@example.com" not in relay.recorder.shown
        assert "statement.judged" in [event.type for event in relay.audit.events]


async def test_values_are_masked_in_binary_too(postgres: PostgresServer, orders: str) -> None:
    async with front(postgres, orders) as relay, await relay.connect() as connection:
        cursor = connection.cursor(binary=True)
        await cursor.execute("SELECT id, email FROM customers WHERE id = %s", (1,))
        assert await cursor.fetchall() == [(1, "***")]


async def test_a_refusal_leaves_the_session_and_never_reaches_the_server(
    postgres: PostgresServer, orders: str
) -> None:
    mark = postgres.log_mark()
    async with front(postgres, orders) as relay, await relay.connect() as connection:
        for arguments in ((DELETE,), (DELETE + " WHERE id = %s", (1,))):
            with pytest.raises(errors.InsufficientPrivilege, match="denied by no-deletes: not he"):
                await connection.execute(*arguments)
        with pytest.raises(errors.SyntaxError, match="not understood"):
            await connection.execute("broken")
        assert await count(connection) == 100
    assert "DELETE" not in postgres.logged_since(mark)


async def test_several_statements_in_one_message_are_one_judgement(
    postgres: PostgresServer, orders: str
) -> None:
    mark = postgres.log_mark()
    async with front(postgres, orders) as relay, await relay.connect() as connection:
        with pytest.raises(errors.InsufficientPrivilege):
            await connection.execute("INSERT INTO audit(what) VALUES ('x'); DELETE FROM orders")
        cursor = await connection.execute("SELECT count(*) FROM audit")
        assert await cursor.fetchone() == (0,)
    assert "INSERT" not in postgres.logged_since(mark)


async def _refused_in_transaction(
    connection: psycopg.AsyncConnection[tuple[object, ...]], bad: str
) -> list[object]:
    """What a client sees around a failing statement inside a transaction."""
    seen: list[object] = []
    await connection.execute("BEGIN")
    for text in ("SELECT 1", bad, "SELECT 2", "COMMIT", "SELECT 3"):
        try:
            cursor = await connection.execute(text)
            seen.append((cursor.statusmessage, connection.info.transaction_status.name))
        except psycopg.Error as error:
            seen.append((type(error).__name__, connection.info.transaction_status.name))
    return seen


async def _refused_in_pipeline(
    connection: psycopg.AsyncConnection[tuple[object, ...]], bad: str
) -> list[object]:
    seen: list[object] = []
    cursors = []
    try:
        async with connection.pipeline() as pipeline:
            cursors += [await connection.execute(t) for t in ("SELECT 1", bad, "SELECT 2")]
            await pipeline.sync()
    except psycopg.Error as error:
        seen.append(type(error).__name__)
    seen += [cursor.statusmessage for cursor in cursors]
    cursor = await connection.execute("SELECT 4")
    return [*seen, await cursor.fetchone(), connection.info.transaction_status.name]


@pytest.mark.parametrize("story", [_refused_in_transaction, _refused_in_pipeline])
async def test_a_refusal_is_in_every_way_the_servers_own_error(
    postgres: PostgresServer, orders: str, story: object
) -> None:
    async with front(postgres, orders) as relay, await relay.connect() as connection:
        refused = await story(connection, DELETE)  # type: ignore[operator]
        real = await story(connection, "SELECT * FROM pg_authid")  # type: ignore[operator]
    assert refused == real
    assert "InsufficientPrivilege" in str(real)


async def test_a_review_holds_tells_and_then_runs_exactly_what_was_shown(
    postgres: PostgresServer, orders: str
) -> None:
    told: list[str] = []
    async with (
        front(postgres, orders) as relay,
        await relay.connect() as connection,
        asyncio.TaskGroup() as tasks,
    ):
        connection.add_notice_handler(lambda d: told.append(str(d.message_primary)))
        mark = postgres.log_mark()
        running = tasks.create_task(connection.execute(UPDATE, ("new",)))
        statement = await relay.asked()
        assert statement.text == "UPDATE orders SET note = $1 WHERE id = 1"
        assert statement.values == (b"new",)
        assert "execute" not in postgres.logged_since(mark)
        relay.desk.approve()
        assert (await running).statusmessage == "UPDATE 1"
        assert told == [
            "interlock: waiting for approval (two-eyes), review 7f3a: asking group:dba; 0:00 left"
        ]


@pytest.mark.parametrize("arguments", [("UPDATE orders SET note = 'x'",), (UPDATE, ("x",))])
@pytest.mark.parametrize("expired", [False, True])
async def test_a_review_without_an_approval_runs_nothing(
    postgres: PostgresServer, orders: str, arguments: tuple[Any, ...], expired: bool
) -> None:
    async with (
        front(postgres, orders) as relay,
        await relay.connect() as connection,
        asyncio.TaskGroup() as tasks,
    ):
        running = tasks.create_task(error_of(connection, *arguments))
        await relay.asked()
        relay.desk.deny(expired=expired)
        error = await running
        assert isinstance(error, errors.InsufficientPrivilege)
        assert str(error).startswith("interlock: not sent" if expired else "interlock: denied by")
        assert await count(connection) == 100
    assert postgres.execute("SELECT count(*) FROM orders WHERE note = 'x'", orders) == [(0,)]


async def test_cancelling_a_waiting_statement_withdraws_it(
    postgres: PostgresServer, orders: str
) -> None:
    async with (
        front(postgres, orders) as relay,
        await relay.connect() as connection,
        asyncio.TaskGroup() as tasks,
    ):
        running = tasks.create_task(error_of(connection, "UPDATE orders SET note = 'x'"))
        await relay.asked()
        await connection.cancel_safe()
        assert isinstance(await running, errors.QueryCanceled)
        assert relay.desk.withdrawn.is_set()
        assert await count(connection) == 100


async def test_cancelling_a_running_statement_stops_it(
    postgres: PostgresServer, orders: str
) -> None:
    async with (
        front(postgres, orders) as relay,
        await relay.connect() as connection,
        asyncio.TaskGroup() as tasks,
    ):
        running = tasks.create_task(error_of(connection, "SELECT pg_sleep(50) /* mine */"))
        await _until_running(postgres, "%/* mine */%")
        await connection.cancel_safe()
        assert isinstance(await running, errors.QueryCanceled)


async def _until_running(postgres: PostgresServer, like: str) -> None:
    query = f"""DO $$ BEGIN WHILE NOT EXISTS (SELECT FROM pg_stat_activity
        WHERE state = 'active' AND pid <> pg_backend_pid() AND query LIKE '{like}')
        LOOP PERFORM pg_sleep(0.01); PERFORM pg_stat_clear_snapshot(); END LOOP; END $$"""
    async with asyncio.timeout(10):
        await asyncio.to_thread(postgres.execute, query)


async def test_a_key_is_of_use_only_to_its_own_session(
    postgres: PostgresServer, orders: str
) -> None:
    async with front(postgres, orders) as relay, await relay.connect() as connection:
        assert connection.info.backend_pid != 0
        reader, writer = await relay.raw()
        writer.write(startup.cancel_request(b"\0\0\0\1guess"[:8]))
        assert await reader.read() == b""
        writer.close()
        assert await count(connection) == 100


@pytest.mark.parametrize("last", [b"", messages.TERMINATE])
async def test_nothing_runs_after_the_client_is_gone(
    postgres: PostgresServer, orders: str, last: bytes
) -> None:
    mark = postgres.log_mark()
    async with front(postgres, orders) as relay:
        reader, writer = await relay.raw()
        writer.write(startup.startup_message({"user": "me"}))
        await reader.readuntil(messages.ready("I"))
        writer.write(messages.query("UPDATE orders SET note = 'x'"))
        writer.write(messages.query("INSERT INTO audit(what) VALUES ('queued')"))
        await relay.asked()
        writer.write(last)
        writer.close()
        assert await relay.over() is None
        assert relay.desk.withdrawn.is_set()
    assert "UPDATE" not in postgres.logged_since(mark)
    assert "queued" not in postgres.logged_since(mark)


async def test_copy_goes_both_ways_and_is_masked(postgres: PostgresServer, orders: str) -> None:
    async with front(postgres, orders) as relay, await relay.connect() as connection:
        async with connection.cursor().copy("COPY audit(what) FROM STDIN") as copy:
            for n in range(1000):
                await copy.write_row((f"person{n}@example.com",))
        found = b""
        async with connection.cursor().copy("COPY audit(what) TO STDOUT") as copy:
            async for part in copy:
                found += bytes(part)
    assert found == b"***\n" * 1000
    assert postgres.execute("SELECT count(*) FROM audit", orders) == [(1000,)]


async def test_copy_that_cannot_be_masked_is_refused(postgres: PostgresServer, orders: str) -> None:
    async with front(postgres, orders) as relay, await relay.connect() as connection:
        for text in ("COPY orders TO STDOUT (FORMAT binary)", "COPY customers TO STDOUT"):
            with pytest.raises(errors.InsufficientPrivilege, match="cannot be masked"):
                await _copied_out(connection, text)
        assert await count(connection) == 100


async def _copied_out(connection: psycopg.AsyncConnection[tuple[object, ...]], text: str) -> None:
    async with connection.cursor().copy(text) as copy:
        async for _ in copy:
            pytest.fail("data was delivered")


@pytest.mark.parametrize(
    "arguments",
    [
        ("SELECT n AS limited FROM generate_series(1, 6) n",),
        ("SELECT n AS limited FROM generate_series(1, 6) n WHERE n > %s", (0,)),
        ("SELECT n AS limited FROM generate_series(1, 3000000) n",),
        ("SELECT n AS limited FROM generate_series(1, 3000000) n WHERE n > %s", (0,)),
    ],
)
async def test_more_rows_than_allowed_are_an_error(
    postgres: PostgresServer, orders: str, arguments: tuple[Any, ...]
) -> None:
    async with front(postgres, orders) as relay, await relay.connect() as connection:
        with pytest.raises(errors.ProgramLimitExceeded, match="more than 5 rows"):
            await connection.execute(*arguments)
        assert connection.info.transaction_status.name == "IDLE"
        cursor = await connection.execute("SELECT n AS limited FROM generate_series(1, 5) n")
        assert len(await cursor.fetchall()) == 5


async def test_a_limited_statement_in_a_pipeline_takes_the_rest_with_it(
    postgres: PostgresServer, orders: str
) -> None:
    async with front(postgres, orders) as relay, await relay.connect() as connection:
        with pytest.raises(errors.ProgramLimitExceeded):
            await _in_one_pipeline(
                connection,
                "INSERT INTO audit(what) VALUES ('before')",
                "SELECT n AS limited FROM generate_series(1, 6) n",
                "INSERT INTO audit(what) VALUES ('after')",
            )
    assert postgres.execute("SELECT count(*) FROM audit", orders) == [(0,)]


async def _in_one_pipeline(
    connection: psycopg.AsyncConnection[tuple[object, ...]], *texts: str
) -> None:
    async with connection.pipeline():
        for text in texts:
            await connection.execute(text)
