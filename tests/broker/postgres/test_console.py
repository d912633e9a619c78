"""Commands and scripts: output and errors apart, exit codes, nothing after a refusal."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

from broker.errors import UsageError
from broker.postgres.console import run_command, run_script
from tests.broker.console.fake_client import FakeClient
from tests.broker.postgres.consoles import World, psql_of

if TYPE_CHECKING:
    from tests.fixtures.postgres import PostgresServer

pytestmark = pytest.mark.peer


@pytest.fixture
def world(postgres: PostgresServer, orders: str) -> World:
    return World(postgres, orders)


async def command(
    world: World, text: str, client: FakeClient | None = None
) -> tuple[int, str, str]:
    client = client or FakeClient()
    async with asyncio.timeout(20), psql_of(world) as psql:
        code = await run_command(client, world.gate, psql, text)
    return code, client.output.decode(), client.errors.decode()


async def script(world: World, *pieces: str | bytes) -> tuple[int, str, str]:
    client = FakeClient()
    for piece in pieces:
        client.type(piece)
    client.end()
    async with asyncio.timeout(20), psql_of(world) as psql:
        code = await run_script(client, world.gate, psql)
    return code, client.output.decode(), client.errors.decode()


def ran(world: World, text: str) -> bool:
    """Did the server see this text?"""
    return text in world.server.logged_since(0)


# -- commands ----------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["select 1 as a", "select 1 as a;", "select\n1 as a -- no end"])
async def test_a_command_prints_its_result(world: World, text: str) -> None:
    assert await command(world, text) == (0, " a \n---\n 1\n(1 row)\n\n", "")


async def test_psqls_options_shape_the_output(world: World) -> None:
    text = "psql -At -F, -c 'select 1, 2' -c 'select 3'"
    assert await command(world, text) == (0, "1,2\n3\n", "")


async def test_psql_without_a_command_reads_a_script(world: World) -> None:
    client = FakeClient()
    client.type("select 5;\n")
    client.end()
    assert await command(world, "psql -At", client) == (0, "5\n", "")


async def test_an_option_that_is_not_safe_is_a_usage_error(world: World) -> None:
    with pytest.raises(UsageError, match="-o"):
        await command(world, "psql -o /tmp/x -c 'select 1'")


async def test_a_server_error_is_1_and_stops(world: World) -> None:
    code, shown, errors = await command(world, "select nope; select 2 as two")
    assert (code, shown) == (1, "")
    assert errors.startswith('ERROR:  column "nope" does not exist')


async def test_a_refusal_is_77_and_nothing_after_it_runs(world: World) -> None:
    code, shown, errors = await command(world, "DELETE FROM orders; select 'after-refusal'")
    assert (code, shown) == (77, "")
    assert errors == "interlock: denied by no-deletes: not here\n"
    assert not ran(world, "after-refusal")


async def test_what_the_grammar_does_not_accept_is_65(world: World) -> None:
    code, _, errors = await command(world, "broken")
    assert code == 65
    assert "not understood" in errors


@pytest.mark.parametrize(
    "text", ["select 'a", 'select "a', "select $$a", "select (1", "select /* a"]
)
async def test_an_unfinished_text_is_65_and_not_sent(world: World, text: str) -> None:
    code, shown, errors = await command(world, text)
    assert (code, shown) == (65, "")
    assert errors.startswith("interlock: not understood, so not sent: it ends with an open ")


@pytest.mark.parametrize(
    "text", ["\\! id", "select 1 \\g |cat", "\\copy orders to '/tmp/x'", "\\o x"]
)
async def test_a_meta_command_that_is_not_listed_is_77(world: World, text: str) -> None:
    code, shown, errors = await command(world, text)
    assert code == 77
    assert "uid=" not in shown
    assert "meta-command" in errors
    assert world.recorder.markers[-1].startswith("deny meta-commands:")


async def test_a_listed_meta_command_runs(world: World) -> None:
    code, shown, _ = await command(world, "\\d orders")
    assert code == 0
    assert "customer_id" in shown


async def test_the_json_client_gets_one_object_and_no_words_of_psql(world: World) -> None:
    for text, rule in (("DELETE FROM orders", "no-deletes"), ("\\! id", "meta-commands")):
        code, shown, errors = await command(world, text, FakeClient(json=True))
        assert (code, shown) == (77, "")
        denial = json.loads(errors)
        assert (denial["verdict"], denial["rule"]) == ("deny", rule)
        assert denial["statement"] == text


async def test_a_text_is_refused_whole_before_its_first_part_runs(world: World) -> None:
    code, shown, _ = await command(world, "select 'first-part'; DELETE FROM orders")
    assert (code, shown) == (77, "")
    assert not ran(world, "first-part")


async def test_what_is_judged_is_the_text_without_the_consoles_own_end(world: World) -> None:
    await command(world, "select 'exact'")
    assert "select 'exact'" in [event.fields["statement"] for event in world.audit.events]


async def test_copy_from_standard_input(world: World) -> None:
    client = FakeClient()
    client.type("1007,2,3.50,copied\r\n1008,1,4")
    client.type(".50,also\r\n")
    client.end()
    copy = "COPY orders FROM STDIN (format csv)"
    assert await command(world, copy, client) == (0, "COPY 2\n", "")
    notes = world.server.execute("select note from orders where id = 1007", world.dbname)
    assert notes == [("copied",)]


async def test_output_is_masked_and_recorded(world: World) -> None:
    _, shown, errors = await command(world, "select 'a secret'; select secret")
    assert "secret" not in shown + errors
    assert "******" in shown
    assert "******" in errors
    assert b"secret" not in world.recorder.shown
    assert shown.encode() in world.recorder.shown


async def test_a_review_is_waited_for(world: World) -> None:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(command(world, "UPDATE orders SET note = 'x' WHERE id = 1"))
        await world.desk.asked.get()
        world.desk.approve()
    code, shown, errors = task.result()
    assert (code, shown) == (0, "UPDATE 1\n")
    assert "waiting for approval" in errors


async def test_an_expired_review_is_75(world: World) -> None:
    world.desk.deny(expired=True)
    assert (await command(world, "UPDATE orders SET note = 'x' WHERE id = 1"))[0] == 75


async def test_a_signal_from_the_client_cancels(world: World) -> None:
    client = FakeClient()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(
            command(world, "UPDATE orders SET note = 'x' WHERE id = 1", client)
        )
        await world.desk.asked.get()
        assert client.signalled is not None
        client.signalled("INT")
        await world.desk.withdrawn.wait()
    assert task.result()[0] == 1


# -- scripts -----------------------------------------------------------------------------------


async def test_a_script_runs_as_it_is_read(world: World) -> None:
    client = FakeClient()
    async with asyncio.timeout(20), psql_of(world) as psql, asyncio.TaskGroup() as group:
        task = group.create_task(run_script(client, world.gate, psql))
        client.type("select 'fir")
        client.type("st';\r\n")
        await client.sees(" first\n")
        client.type("select\n  'second';\n\n-- the end\n")
        await client.sees(" second\n")
        client.end()
    assert task.result() == 0


async def test_the_last_line_needs_neither_line_end_nor_semicolon(world: World) -> None:
    code, shown, _ = await script(world, "\\a\n\\t\nselect 1;\nselect 2")
    assert (code, shown.splitlines()[-2:]) == (0, ["1", "2"])


async def test_a_script_stops_at_the_first_error_with_3(world: World) -> None:
    code, shown, errors = await script(world, "select nope;\nselect 'after-error';\n")
    assert (code, shown) == (3, "")
    assert "nope" in errors
    assert not ran(world, "after-error")


async def test_a_script_stops_at_the_first_refusal(world: World) -> None:
    code, shown, _ = await script(world, "select 1;\nDELETE FROM orders;\nselect 'after-deny';\n")
    assert code == 77
    assert "after-deny" not in shown
    assert not ran(world, "after-deny")


@pytest.mark.parametrize("line", ["\\! touch /tmp/x", "select 1; \\! id", "\\i /etc/passwd"])
async def test_a_script_stops_at_a_refused_meta_command(world: World, line: str) -> None:
    code, _, errors = await script(world, f"{line}\nselect 'after-meta';\n")
    assert code == 77
    assert "meta-command" in errors
    assert not ran(world, "after-meta")


async def test_copy_data_inline(world: World) -> None:
    data = "x\\\\y\n\\\\! id\\n\n\\.\n"
    create = "create temp table t (a text);\ncopy t from stdin;\n"
    code, shown, errors = await script(
        world, "\\pset format csv\n", create, data, "select a from t;\n"
    )
    assert (code, errors) == (0, "")
    assert "COPY 2\n" in shown
    assert "x\\y\n" in shown
    assert "uid=" not in shown


async def test_bytes_that_are_not_utf8_are_65_and_stop(world: World) -> None:
    code, _, errors = await script(world, b"select '\xff';\n", "select 'after-bytes';\n")
    assert code == 65
    assert "UTF-8" in errors
    assert not ran(world, "after-bytes")


async def test_quit_ends_a_script_in_peace(world: World) -> None:
    assert (await script(world, "\\q\nselect 'after-quit';\n"))[0] == 0
    assert (await script(world, "quit\nselect 'after-quit';\n"))[0] == 0
    assert not ran(world, "after-quit")


async def test_a_nul_is_refused(world: World) -> None:
    code, _, errors = await script(world, b"select 1\0; select 'after-nul';\n")
    assert code == 77
    assert "NUL" in errors
