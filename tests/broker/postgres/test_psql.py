"""Real psql: restricted, one line at a time, cancelled and lost."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from broker.errors import InterlockError, TargetUnreachable, UsageError
from broker.postgres.program import find_psql
from broker.postgres.prompt import Lexer
from broker.postgres.psql import Program, PsqlEnded, started
from tests.broker.postgres.consoles import Sink, World, psql_of, told

if TYPE_CHECKING:
    from tests.fixtures.postgres import PostgresServer

pytestmark = pytest.mark.peer


@pytest.fixture
def world(postgres: PostgresServer, orders: str) -> World:
    return World(postgres, orders)


async def test_a_line_gives_its_output_and_where_psql_stands(world: World) -> None:
    async with psql_of(world) as psql:
        assert (await told(psql, "select 41 + 1 as answer;")).shown == (
            b" answer \n--------\n     42\n(1 row)\n\n"
        )
        assert psql.state.lexer is Lexer.READY
        assert not psql.state.failed
        await told(psql, "select 'a")
        assert (psql.state.lexer, psql.state.open) == (Lexer.CONTINUED, "'")
        assert b"b" in (await told(psql, "b';")).shown
        await told(psql, "begin;")
        assert psql.state.transaction == "*"
        sink = await told(psql, "select nope;")
        assert sink.errors.startswith(b'ERROR:  column "nope" does not exist')
        assert (psql.state.transaction, psql.state.sqlstate) == ("!", "42703")


@pytest.mark.parametrize(
    "line",
    [
        "\\! id",
        "select 1 \\g |cat",
        "\\o /tmp/x",
        "select 1 \\gexec",
        "\\unrestrict wrong",
        "\\set PROMPT1 x",
        "\\if `id`",
    ],
)
async def test_psql_itself_refuses_every_meta_command(world: World, line: str) -> None:
    async with psql_of(world) as psql:
        sink = await told(psql, line)
        assert psql.state.refused_meta or b"wrong" in line.encode()
        assert b"uid=" not in sink.shown
        assert (await told(psql, ";" if psql.state.lexer is Lexer.CONTINUED else "select 1;")).shown
        again = await told(psql, "\\echo still restricted")
        assert again.shown == b""


async def test_an_allowed_meta_command_runs_and_psql_is_restricted_again(world: World) -> None:
    async with psql_of(world) as psql:
        assert b"customer_id" in (await told(psql, "\\d orders", meta=True)).shown
        assert (await told(psql, "\\echo hi", meta=True)).shown == b"hi\n"
        assert (await told(psql, "\\echo hi")).shown == b""
        assert psql.state.refused_meta


async def test_a_meta_command_in_the_middle_of_a_statement_is_refused(world: World) -> None:
    async with psql_of(world) as psql:
        await told(psql, "select")
        with pytest.raises(UsageError):
            await told(psql, "\\x", meta=True)
        assert b"7" in (await told(psql, "7;")).shown


async def test_secrets_line_ends_and_nul_never_reach_psql(world: World) -> None:
    async with psql_of(world) as psql:
        for line in (f"select '{psql.nonce}';", "select\n1;", "select\0;", "x" * 1_100_000):
            with pytest.raises(UsageError):
                await told(psql, line)
        assert b"1" in (await told(psql, "select 1;")).shown


async def test_output_that_imitates_a_prompt_is_only_output(world: World) -> None:
    async with psql_of(world) as psql:
        fake = "0" * 32 + "1=:00000:" + "0" * 32
        assert fake.encode() in (await told(psql, f"select '{fake}';")).shown
        assert b"2" in (await told(psql, "select 2;")).shown


async def test_big_output_comes_whole(world: World) -> None:
    async with psql_of(world) as psql:
        sink = await told(psql, "select repeat('x', 5000) from generate_series(1, 20);")
        assert sink.shown.count(b"x" * 5000) == 20


async def test_a_big_line_goes_in_whole(world: World) -> None:
    async with psql_of(world) as psql:
        assert b" 200000\n" in (await told(psql, f"select length('{'y' * 200_000}');")).shown


async def test_copy_in_and_out(world: World) -> None:
    async with psql_of(world) as psql:
        await told(psql, "create temp table t (a int);", "copy t from stdin;")
        assert psql.state.lexer is Lexer.COPY
        assert (await told(psql, "1", "2", "\\.")).shown == b"COPY 2\n"
        assert (await told(psql, "copy t to stdout;")).shown == b"1\n2\n"


async def test_ctrl_c_cancels_and_lines_still_pair_with_prompts(world: World) -> None:
    async with psql_of(world) as psql:
        for number in range(3):
            async with asyncio.TaskGroup() as group, asyncio.timeout(10):
                task = group.create_task(told(psql, "select pg_sleep(60);"))
                await running(world)
                psql.interrupt()
            assert b"canceling statement" in task.result().errors
            assert psql.state.sqlstate == "57014"
            shown = (await told(psql, f"select {number} + 100 as n;")).shown
            assert str(number + 100).encode() in shown
            assert (await told(psql, "\\echo x")).shown == b""


async def running(world: World) -> None:
    """Wait until the server runs the sleep."""
    query = "select count(*) from pg_stat_activity where query like '%pg_sleep(60)%' and datname = "
    while (await asyncio.to_thread(world.server.execute, f"{query}'{world.dbname}'")) == [(0,)]:
        pass


async def test_interrupting_an_idle_psql_does_nothing(world: World) -> None:
    async with psql_of(world) as psql:
        psql.interrupt()
        assert b"1" in (await told(psql, "select 1;")).shown


@pytest.mark.parametrize("line", ["select 'half", "select (", "copy orders from stdin;"])
async def test_a_half_typed_statement_is_dropped(world: World, line: str) -> None:
    async with psql_of(world) as psql:
        await told(psql, line)
        assert psql.state.lexer is not Lexer.READY
        assert (await psql.abandon()).lexer is Lexer.READY
        assert b"5" in (await told(psql, "select 5;")).shown
        assert (await told(psql, "\\echo x")).shown == b""


async def test_after_a_lost_connection_nothing_is_sent(world: World) -> None:
    async with psql_of(world) as psql:
        await told(psql, "select 1;")
        query = "select pg_terminate_backend(pid) from pg_stat_activity where datname = "
        await asyncio.to_thread(world.server.execute, f"{query}'{world.dbname}'")
        async with asyncio.timeout(10):
            await psql.ended()
        with pytest.raises(InterlockError) as caught:
            await told(psql, "select 1;")
        assert caught.value.code in (69, 70)


async def test_a_dead_psql_is_reported_with_its_status(world: World) -> None:
    async with psql_of(world) as psql:
        with pytest.raises(PsqlEnded) as caught:
            await told(psql, "quit")
        assert caught.value.status == 0


async def test_a_line_cancelled_half_way_leaves_psql_unusable(world: World) -> None:
    async with psql_of(world) as psql:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await told(psql, "select pg_sleep(60);")
        with pytest.raises(InterlockError):
            await told(psql, "select 1;")


async def test_a_target_that_refuses_is_said_as_it_is() -> None:
    async def serve(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        msg = "the target did not answer"
        raise TargetUnreachable(msg)

    with pytest.raises(TargetUnreachable, match="did not answer"):
        async with started(Program(find_psql()), serve):
            pass


async def test_another_process_of_the_same_user_is_not_served(world: World) -> None:
    async with psql_of(world) as psql:
        reader, writer = await asyncio.open_unix_connection(psql.socket_path)
        writer.write(b"\0\0\0\x08\x04\xd2\x16\x2f")
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read(1) == b""
        writer.close()
        assert b"1" in (await told(psql, "select 1;")).shown


async def test_neither_secrets_nor_sql_are_in_the_process_list(world: World) -> None:
    async with psql_of(world) as psql:
        await told(psql, "select 'visible-in-argv';")
        process = Path("/proc") / str(psql.pid)
        argv = await asyncio.to_thread((process / "cmdline").read_bytes)
        environment = await asyncio.to_thread((process / "environ").read_bytes)
        for secret in (psql.nonce, "visible-in-argv", world.server.app_password):
            assert secret.encode() not in argv + environment
        assert b"PATH=/nonexistent" in environment


async def test_a_quiet_statement_is_noticed(world: World) -> None:
    quiet = asyncio.Event()

    async def idle() -> None:
        quiet.set()

    async with psql_of(world) as psql:
        sink = Sink()
        await psql.send("select pg_sleep(0.2);", output=sink.output, error=sink.error, idle=idle)
        assert quiet.is_set()
