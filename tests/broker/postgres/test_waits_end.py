"""However a wait for people ends at the client's side, nothing runs later; the server is asked."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

import psycopg
import pytest

from broker.wire import frontend, messages, startup
from tests.broker.postgres.harness import error_of, front
from tests.broker.postgres.talking import through

if TYPE_CHECKING:
    from pathlib import Path

    from tests.broker.postgres.harness import Front
    from tests.fixtures.postgres import PostgresServer

pytestmark = pytest.mark.peer

UPDATE = "UPDATE orders SET note = 'x' WHERE id = 1"
FORMS = {
    "simple": messages.query(UPDATE),
    "extended": messages.parse("", UPDATE)
    + frontend.bind(b"", b"")
    + frontend.execute(b"")
    + messages.SYNC,
}


def never_ran(postgres: PostgresServer, orders: str, mark: int) -> None:
    """Neither sent as a Query, nor run, nor has it left anything."""
    log = postgres.logged_since(mark)
    assert "statement: UPDATE" not in log
    assert "execute <unnamed>: UPDATE" not in log
    assert postgres.execute("SELECT count(*) FROM orders WHERE note = 'x'", orders) == [(0,)]


async def cancel(relay: Front, key: bytes) -> None:
    """A CancelRequest, on a connection of its own."""
    reader, writer = await relay.raw()
    writer.write(startup.cancel_request(key))
    await reader.read()
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("how", ["closed", "half closed", "goodbye", "reset"])
async def test_a_client_that_leaves_withdraws_it(
    postgres: PostgresServer, orders: str, form: str, how: str
) -> None:
    mark = postgres.log_mark()
    async with front(postgres, orders) as relay:
        async with through(relay) as bare:
            bare.send(FORMS[form])
            await relay.asked()
            if how == "goodbye":
                bare.send(messages.TERMINATE)
            elif how == "half closed":
                bare.writer.write_eof()
            elif how == "reset":
                bare.writer.transport.abort()
            else:
                bare.writer.close()
            await relay.over()
        assert relay.desk.withdrawn.is_set()
        relay.desk.approve()  # too late: nobody asks any more
    never_ran(postgres, orders, mark)


@pytest.mark.parametrize("status", ["idle", "in a transaction"])
async def test_a_cancel_request_withdraws_it_and_leaves_the_state_of_a_cancelled_statement(
    postgres: PostgresServer, orders: str, status: str
) -> None:
    mark = postgres.log_mark()
    async with front(postgres, orders) as relay, through(relay) as bare:
        if status != "idle":
            await bare.ask(messages.query("BEGIN"))
        for sent in FORMS.values():
            bare.send(sent)
            await relay.asked()
            await cancel(relay, bare.key)
            seen = await bare.until("Z")
            assert seen[-2:] == ["E 57014", "Z I" if status == "idle" else "Z E"]
            assert relay.desk.withdrawn.is_set()
            if status != "idle":
                assert await bare.ask(messages.query("ROLLBACK")) == ["C ROLLBACK", "Z I"]
                await bare.ask(messages.query("BEGIN"))
    never_ran(postgres, orders, mark)


async def test_somebody_elses_key_withdraws_nothing(postgres: PostgresServer, orders: str) -> None:
    async with front(postgres, orders) as relay, through(relay) as bare:
        bare.send(FORMS["simple"])
        await relay.asked()
        await cancel(relay, b"\0\0\0\1\0\0\0\1")
        assert not relay.desk.withdrawn.is_set()
        relay.desk.approve()
        assert (await bare.until("Z"))[-2:] == ["C UPDATE 1", "Z I"]


async def test_the_clients_own_timeout_withdraws_it(postgres: PostgresServer, orders: str) -> None:
    """psycopg gives up waiting: it cancels, or closes, as applications do."""
    mark = postgres.log_mark()
    async with front(postgres, orders) as relay, await relay.connect() as connection:
        await connection.execute("SET statement_timeout = '100ms'")  # counts for what runs only
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(error_of(connection, UPDATE))
            await relay.asked()
            await connection.cancel_safe(timeout=5)
            assert isinstance(await running, psycopg.errors.QueryCanceled)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await connection.execute(UPDATE)
        await connection.close()
        await relay.over()
        assert relay.desk.withdrawn.is_set()
    never_ran(postgres, orders, mark)


async def test_a_psql_that_is_killed_withdraws_it(
    postgres: PostgresServer, orders: str, tmp_path: Path
) -> None:
    mark = postgres.log_mark()
    async with front(postgres, orders) as relay:
        process = await asyncio.create_subprocess_exec(
            postgres.bin / "psql", "-X", f"host=127.0.0.1 port={relay.port} user=me dbname=x",
            "-c", UPDATE, stderr=-1, env={"HOME": str(tmp_path)},
        )  # fmt: skip
        await relay.asked()
        assert process.stderr is not None
        assert b"waiting for approval (two-eyes), review 7f3a" in await process.stderr.readline()
        process.send_signal(signal.SIGKILL)
        await process.communicate()
        await relay.over()
        assert relay.desk.withdrawn.is_set()
    never_ran(postgres, orders, mark)
