"""How sessions start and end: without evidence, target, or manners; and stock psql."""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from broker.errors import Denied, EvidenceFailure, ProtocolError, TargetUnreachable
from broker.wire import messages, notices, startup
from tests.broker.postgres.harness import Front, count, error_of, front, judge

if TYPE_CHECKING:
    from pathlib import Path

    from broker.model import Statement, Verdict
    from tests.fixtures.postgres import PostgresServer

pytestmark = pytest.mark.peer


@pytest.mark.parametrize("arguments", [("SELECT 1",), ("SELECT %s::int", (1,))])
@pytest.mark.parametrize("port", ["audit", "recorder", "mask"])
async def test_without_evidence_the_session_ends_and_says_so(
    postgres: PostgresServer, orders: str, port: str, arguments: tuple[Any, ...]
) -> None:
    async with front(postgres, orders) as relay, await relay.connect() as connection:
        relay.fail(port)
        mark = postgres.log_mark()
        error = await error_of(connection, *arguments)
        assert isinstance(error, psycopg.OperationalError)
        assert isinstance(await relay.over(), EvidenceFailure)
        assert connection.closed
    if port != "mask":  # the mask is needed only for what has come back
        assert "SELECT" not in postgres.logged_since(mark)


async def test_rows_that_cannot_be_masked_are_not_delivered(
    postgres: PostgresServer, orders: str
) -> None:
    async with front(postgres, orders) as relay:
        relay.fail("mask")
        reader, writer = await relay.raw()
        writer.write(startup.startup_message({"user": "me"}))
        await reader.readuntil(messages.ready("I"))
        writer.write(messages.query("SELECT email FROM customers"))
        rest = await reader.read()
        assert rest == notices.fatal("58000", "interlock: this session can no longer be masked")
        writer.close()


async def test_a_lost_target_is_told(postgres: PostgresServer, orders: str) -> None:
    async with front(postgres, orders) as relay, await relay.connect() as connection:
        pid = (await (await connection.execute("SELECT pg_backend_pid()")).fetchall())[0][0]
        await asyncio.to_thread(postgres.execute, f"SELECT pg_terminate_backend({pid})")
        with pytest.raises(psycopg.OperationalError):
            await connection.execute("SELECT 1")
        assert isinstance(await relay.over(), TargetUnreachable)


async def test_a_changed_setting_ends_the_session(postgres: PostgresServer, orders: str) -> None:
    async with front(postgres, orders) as relay, await relay.connect() as connection:
        with pytest.raises(psycopg.OperationalError, match="standard_conforming_strings"):
            await connection.execute(
                "SELECT set_config('standard_conforming_strings', 'off', false)"
            )
        assert isinstance(await relay.over(), Denied)


@pytest.mark.parametrize(
    "parameters",
    [{"options": "-c role=postgres"}, {"replication": "database"}, {"client_encoding": "SJIS"}],
    ids=str,
)
async def test_a_start_that_we_refuse_is_told(
    postgres: PostgresServer, orders: str, parameters: dict[str, str]
) -> None:
    async with front(postgres, orders) as relay:
        with pytest.raises(psycopg.OperationalError, match="interlock: "):
            await relay.connect(**parameters)


async def test_a_broken_client_ends_only_itself(postgres: PostgresServer, orders: str) -> None:
    async with front(postgres, orders) as relay, await relay.connect() as connection:
        reader, writer = await relay.raw()
        writer.write(startup.startup_message({"user": "me"}) + b"")
        await reader.readuntil(messages.ready("I"))
        writer.write(b"\x16\x03\x01")
        assert b"08P01" in await reader.read()
        writer.close()
        assert isinstance(await relay.over(), ProtocolError)
        assert await count(connection) == 100


async def test_harmless_settings_of_the_client_are_carried_over(
    postgres: PostgresServer, orders: str
) -> None:
    async with front(postgres, orders) as relay:
        reader, writer = await relay.raw()
        writer.write(startup.startup_message({"user": "me", "TimeZone": "Europe/Rome"}))
        greeting = await reader.readuntil(messages.ready("I"))
        assert b"TimeZone\0Europe/Rome\0" in greeting
        writer.write(messages.TERMINATE)
        writer.close()
        assert await relay.over() is None


@pytest.mark.parametrize("transcribe", [False, True])
async def test_a_client_that_does_not_read_is_not_read_for(
    postgres: PostgresServer, orders: str, transcribe: bool
) -> None:
    """Nothing piles up in the broker: the server is left to wait."""
    async with front(postgres, orders, transcribe=transcribe) as relay:
        reader, writer = await relay.raw()
        writer.write(startup.startup_message({"user": "me"}))
        await reader.readuntil(messages.ready("I"))
        text = "SELECT repeat('x', 1000) FROM generate_series(1, 100000) /* slow */"
        writer.write(messages.query(text))
        await _until_waiting(postgres, "%/* slow */%")
        writer.close()
        assert await relay.over() is None


async def _until_waiting(postgres: PostgresServer, like: str) -> None:
    query = f"""DO $$ BEGIN WHILE NOT EXISTS (SELECT FROM pg_stat_activity
        WHERE wait_event = 'ClientWrite' AND pid <> pg_backend_pid() AND query LIKE '{like}')
        LOOP PERFORM pg_sleep(0.01); PERFORM pg_stat_clear_snapshot(); END LOOP; END $$"""
    async with asyncio.timeout(10):
        await asyncio.to_thread(postgres.execute, query)


PSQLS = ("/usr/lib/postgresql/15/bin/psql", "wheel")


@pytest.mark.parametrize("psql", PSQLS)
async def test_stock_psql(postgres: PostgresServer, orders: str, psql: str, tmp_path: Path) -> None:
    program = str(postgres.bin / "psql") if psql == "wheel" else psql
    if not os.access(program, os.X_OK):
        pytest.skip("this psql is not installed")
    script = (
        "SELECT email FROM customers WHERE id = 1;\n"
        "BEGIN;\nDELETE FROM orders;\nSELECT 1;\nROLLBACK;\n"
        "\\copy audit(what) from stdin\nhello\n\\.\n"
        "SELECT count(*) FROM audit \\bind \\g\n"
    )
    if "15" in psql:
        script = script.replace(" \\bind \\g", ";")
    async with front(postgres, orders) as relay:
        process = await asyncio.create_subprocess_exec(
            program, "-X", "-At", f"host=127.0.0.1 port={relay.port} user=me dbname=x",
            stdin=-1, stdout=-1, stderr=-1, env={"PGSSLMODE": "prefer", "HOME": str(tmp_path)},
        )  # fmt: skip
        async with asyncio.timeout(20):
            out, err = await process.communicate(script.encode())
        assert await relay.over() is None
    assert out.decode().split() == ["***", "BEGIN", "ROLLBACK", "COPY", "1", "1"]
    assert "denied by no-deletes: not here" in err.decode()
    assert "current transaction is aborted" in err.decode()


def _pipeline(statements: int) -> bytes:
    parses = (messages.parse("", f"SELECT {n}") for n in range(statements))
    return b"".join(parses) + messages.SYNC


async def _parsed(reader: asyncio.StreamReader, statements: int) -> None:
    await reader.readexactly(statements * len(messages.frame("1")))


async def _started(made: Front) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await made.raw()
    writer.write(startup.startup_message({"user": "me"}))
    await reader.readuntil(messages.ready("I"))
    return reader, writer


async def test_a_pipeline_of_thousands_is_judged_without_a_task_or_a_frame_for_each(
    postgres: PostgresServer, orders: str
) -> None:
    async with front(postgres, orders) as made:
        reader, writer = await _started(made)
        writer.write(_pipeline(5000))
        await _parsed(reader, 5000)
        assert len([e for e in made.audit.events if e.type == "statement.judged"]) == 5000
        writer.close()
        assert await made.over() is None


async def test_one_clients_long_pipeline_lets_the_others_in_between(
    postgres: PostgresServer, orders: str
) -> None:
    judged: list[str] = []

    def slow(statement: Statement) -> Verdict:
        until = time.perf_counter() + 0.002
        while time.perf_counter() < until:
            pass
        judged.append(statement.text)
        return judge(statement)

    async with front(postgres, orders, judge=slow) as made:
        reader, writer = await _started(made)
        other = await made.connect()
        writer.write(_pipeline(400))
        await writer.drain()
        cursor = await other.execute("SELECT 'me too'")
        assert await cursor.fetchone() == ("me too",)
        assert judged.index("SELECT 'me too'") < 399
        await _parsed(reader, 400)
        await other.close()
        writer.close()
        assert await made.over() is None
        assert await made.over() is None
