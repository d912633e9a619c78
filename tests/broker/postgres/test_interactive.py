"""psql as a person meets it: prompts, Ctrl-C, type-ahead, refusals that do not end the session."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest

from broker.errors import TargetUnreachable
from broker.postgres.interactive import run_interactive
from tests.broker.postgres.consoles import World, person, psql_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.broker.console.fake_client import FakeClient
    from tests.fixtures.postgres import PostgresServer

pytestmark = pytest.mark.peer


@pytest.fixture
def world(postgres: PostgresServer, orders: str) -> World:
    return World(postgres, orders)


PROMPT = "orders=> "


@contextlib.asynccontextmanager
async def at_the_prompt(
    world: World, **more: object
) -> AsyncIterator[tuple[FakeClient, asyncio.Task[int]]]:
    """A person in front of a first prompt; at the end the session must have ended."""
    client = person()
    async with asyncio.timeout(20), psql_of(world) as psql, asyncio.TaskGroup() as group:
        task = group.create_task(run_interactive(client, world.gate, psql, "orders", **more))  # type: ignore[arg-type]
        await client.expect(PROMPT)
        yield client, task


async def test_a_session(world: World) -> None:
    async with at_the_prompt(world) as (client, task):
        client.type("select 6 * 7 as answer;\r")
        await client.expect(" answer \r\n--------\r\n     42\r\n(1 row)\r\n", PROMPT)
        client.type("\\q\r")
    assert task.result() == 0
    assert world.recorder.inputs == ["select 6 * 7 as answer;", "\\q"]
    assert b" answer \r\n" in world.recorder.shown


@pytest.mark.parametrize("typed", ["\x04", "quit\r", "exit\r", "\\q\r"])
async def test_ways_to_end_it(world: World, typed: str) -> None:
    async with at_the_prompt(world) as (client, task):
        client.type(typed)
    assert task.result() == 0


async def test_the_prompt_shows_the_transaction(world: World) -> None:
    async with at_the_prompt(world) as (client, _):
        client.type("begin;\r")
        await client.expect("orders*> ")
        client.type("select nope;\r")
        await client.expect("orders!> ")
        client.type("rollback;\r")
        await client.expect("ROLLBACK", PROMPT)
        client.type("\x04")


async def test_a_refused_statement_does_not_end_the_session(world: World) -> None:
    async with at_the_prompt(world) as (client, task):
        client.type("DELETE FROM orders;\r")
        await client.expect("interlock: denied by no-deletes: not here", PROMPT)
        client.type("\\! id\r")
        await client.expect("denied by meta-commands: the meta-command \\! is not", PROMPT)
        client.type("select 1; \\! id;\r")
        await client.expect("a meta-command must be a line of its own", PROMPT)
        client.type("\\x\r")
        await client.expect("Expanded display is on.", PROMPT)
        client.type("\x04")
    assert task.result() == 0
    assert b"uid=" not in client.output


async def test_psqls_lexer_decides_when_the_editor_was_wrong(world: World) -> None:
    async with at_the_prompt(world) as (client, _):
        client.type("select E'\\';\r")  # complete to sqlparse, an open quote to PostgreSQL
        await client.expect("orders'> ")
        client.type(" closed';\r")
        await client.expect("closed", "(1 row)", PROMPT)
        client.type("\x04")


async def test_ctrl_c_cancels_a_running_statement(world: World) -> None:
    async with at_the_prompt(world) as (client, _):
        client.type("select 'start'; select pg_sleep(60);\r")
        await client.expect(" start\r\n")
        client.type("\x03")
        await client.expect("canceling statement due to user request", PROMPT)
        client.type("select 'alive';\r")
        await client.expect(" alive\r\n", PROMPT)
        client.type("\x04")


async def test_ctrl_c_withdraws_a_review(world: World) -> None:
    async with at_the_prompt(world) as (client, _):
        client.type("UPDATE orders SET note = 'x' WHERE id = 1;\r")
        await world.desk.asked.get()
        client.type("\x03")
        await world.desk.withdrawn.wait()
        await client.expect("ERROR", PROMPT)
        client.type("select 'alive';\r")
        await client.expect(" alive\r\n", PROMPT)
        client.type("\x04")


async def test_ctrl_c_at_the_prompt_drops_what_was_typed(world: World) -> None:
    async with at_the_prompt(world) as (client, _):
        client.type("select 'dropped\r\x03select 'kept';\r")
        await client.expect(" kept\r\n", PROMPT)
        client.type("\x04")


async def test_ctrl_c_drops_a_statement_that_psql_holds_open(world: World) -> None:
    async with at_the_prompt(world) as (client, _):
        client.type("select E'\\';\r")
        await client.expect("orders'> ")
        client.type("\x03")
        await client.expect(PROMPT)
        client.type("select 'kept';\r")
        await client.expect(" kept\r\n", PROMPT)
        client.type("\x04")


async def test_ctrl_c_ends_copy(world: World) -> None:
    async with at_the_prompt(world) as (client, _):
        client.type("copy orders from stdin;\r")
        await client.expect(">> ")
        client.type("9001,1\r")
        await client.expect("9001,1", ">> ")
        client.type("\x03")
        await client.expect(PROMPT)
        client.type("select count(*) as n from orders where id = 9001;\r")
        await client.expect(" 0\r\n(1 row)", PROMPT)
        client.type("\x04")


async def test_what_is_typed_while_a_statement_runs_is_shown_and_not_run(world: World) -> None:
    async with at_the_prompt(world) as (client, _):
        client.type("UPDATE orders SET note = 'x' WHERE id = 1;\r")
        await world.desk.asked.get()
        client.type("select 'type' || 'd ahead';\r")
        await client.taken()
        world.desk.approve()
        await client.expect("UPDATE 1", PROMPT, "d ahead'")
        assert b" typed ahead\r\n" not in client.output
        client.type("\r")
        await client.expect(" typed ahead\r\n", PROMPT)
        client.type("\x04")


async def test_several_lines_pasted_run_one_after_another(world: World) -> None:
    async with at_the_prompt(world) as (client, _):
        client.type("\x1b[200~select 'one';\n\\x\nselect 'two' as t;\x1b[201~\r")
        await client.expect("t | two", PROMPT)
        client.type("\x04")


async def test_a_refused_line_of_a_paste_holds_up_those_behind_it(world: World) -> None:
    async with at_the_prompt(world) as (client, _):
        client.type("\x1b[200~select 'one';\nDELETE FROM orders;\nselect 'thr' || 'ee';\x1b[201~\r")
        await client.expect("one", "denied by no-deletes", "was not run", PROMPT, "ee")
        await client.taken()
        assert b" three\r\n" not in client.output
        client.type("\r")
        await client.expect(" three\r\n", PROMPT)
        client.type("\x04")
    assert world.recorder.inputs[1] == "select 'thr' || 'ee';"


async def test_an_error_holds_up_what_follows_it_too(world: World) -> None:
    async with at_the_prompt(world) as (client, _):
        client.type("\x1b[200~select nope;\nselect 'la' || 'ter';\x1b[201~\r")
        await client.expect("nope", "does not exist", "was not run", PROMPT, "ter")
        client.type("\x03")
        await client.expect(PROMPT)
        client.type("select 1;\r\x04")
    assert b" later\r\n" not in client.output


async def test_what_is_typed_ahead_beyond_measure_is_dropped_with_a_sentence(world: World) -> None:
    async with at_the_prompt(world) as (client, _):
        client.type("UPDATE orders SET note = 'x' WHERE id = 1;\r")
        await world.desk.asked.get()
        client.type("y" * 40_000)
        await client.taken()
        world.desk.approve()
        await client.expect("UPDATE 1", "too much was typed ahead", PROMPT)
        client.type("\x03\x04")


async def test_history_is_what_this_person_typed_here_before(world: World) -> None:
    history = ["select 'from' || ' before';"]
    async with at_the_prompt(world, history=history) as (client, _):
        client.type("\x1b[A\r")
        await client.expect(" from before\r\n", PROMPT)
        client.type("select 2;\r")
        await client.expect(" 2\r\n", PROMPT)
        client.type("\x12bef\r\r")
        await client.expect(" from before\r\n", PROMPT)
        client.type("\x04")
    assert history[1:] == ["select 2;", "select 'from' || ' before';"]


async def test_help_names_what_there_is(world: World) -> None:
    async with at_the_prompt(world) as (client, _):
        client.type("\\?\r")
        await client.expect("each on a line of its own", "\\timing", PROMPT)
        client.type("\x04")
    assert b"\\!" not in client.output


async def test_long_output_is_paged_and_only_what_was_shown_is_recorded(world: World) -> None:
    async with at_the_prompt(world) as (client, _):
        client.type("select 'row ' || n from generate_series(1, 100) n;\r")
        await client.expect("row 21\r\n", "--More--")
        assert b"row 22" not in client.output + world.recorder.shown
        client.type(" ")
        await client.expect("row 44\r\n", "--More--")
        client.type("b")
        await client.expect("row 21\r\n", "--More--")
        client.type("/row 77\r")
        await client.expect("row 77\r\n", "--More--")
        client.type("G")
        await client.expect("(100 rows)\r\n", "(END)")
        client.type("q")
        await client.expect(PROMPT)
        client.type("\x04")


async def test_leaving_the_pager_drops_one_result_and_runs_what_follows(world: World) -> None:
    async with at_the_prompt(world) as (client, _):
        client.type("select n as a from generate_series(1, 90) n; select 'se' || 'en' as b;\r")
        await client.expect("--More--")
        client.type("q")
        await client.expect(" seen\r\n", PROMPT)
        client.type("\x04")
    assert b" 90\r\n" not in client.output + world.recorder.shown


async def test_ctrl_c_in_the_pager_stops_the_rest(world: World) -> None:
    async with at_the_prompt(world) as (client, _):
        client.type("\x1b[200~select * from generate_series(1, 90);\nselect 'never';\x1b[201~\r")
        await client.expect("--More--")
        client.type("\x03")
        await client.expect(PROMPT)
        client.type("select 'ali' || 've';\r")
        await client.expect(" alive\r\n", PROMPT)
        client.type("\x04")
    assert b" never\r\n" not in client.output


async def test_a_person_who_vanishes_from_the_pager_ends_it(world: World) -> None:
    with pytest.raises(BaseExceptionGroup) as caught:  # noqa: PT012 - it ends in the middle
        async with at_the_prompt(world) as (client, _):
            client.type("select * from generate_series(1, 90);\r")
            await client.expect("--More--")
            client.vanish()
    assert caught.group_contains(ConnectionError)


async def test_output_is_masked_on_the_screen_and_in_the_recording(world: World) -> None:
    async with at_the_prompt(world) as (client, _):
        client.type("select 'top' || '-' || 'secret';\r")
        await client.expect("top-******", PROMPT)
        client.type("\x04")
    assert b"top-secret" not in client.output + world.recorder.shown


async def test_a_window_change_reaches_psql_and_the_recording(world: World) -> None:
    async with at_the_prompt(world) as (client, _):
        client.resize(40, 10)
        client.type("\\pset format wrapped\r")
        await client.expect("Output format is wrapped.", PROMPT)
        client.type("select repeat('abc ', 30) as w;\r")
        await client.expect(".\r\n", PROMPT)
        client.type("\x04")
    assert "recorder: resize 40x10" in world.journal.happened


async def test_a_lost_connection_ends_it_while_nobody_types(world: World) -> None:
    query = "select pg_terminate_backend(pid) from pg_stat_activity where datname = "
    with pytest.raises(BaseExceptionGroup) as caught:  # noqa: PT012 - it ends in the middle
        async with at_the_prompt(world) as (client, _):
            await asyncio.to_thread(world.server.execute, f"{query}'{world.dbname}'")
            await client.expect("never shown")
    assert caught.group_contains(TargetUnreachable)


async def test_a_person_who_vanishes_ends_it(world: World) -> None:
    with pytest.raises(BaseExceptionGroup) as caught:
        async with at_the_prompt(world) as (client, _):
            client.vanish()
    assert caught.group_contains(ConnectionError)


async def test_a_person_who_vanishes_withdraws_a_review(world: World) -> None:
    with pytest.raises(BaseExceptionGroup) as caught:  # noqa: PT012 - it ends in the middle
        async with at_the_prompt(world) as (client, _):
            client.type("UPDATE orders SET note = 'x' WHERE id = 1;\r")
            await world.desk.asked.get()
            client.vanish()
    assert world.desk.withdrawn.is_set()
    assert caught.group_contains(ConnectionError)
