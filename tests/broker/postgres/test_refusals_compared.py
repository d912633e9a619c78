"""A refusal of ours beside a real error of the server in the same place, message by message."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import psycopg
import pytest

from broker.wire import frontend, messages
from tests.broker.postgres.harness import front
from tests.broker.postgres.talking import straight, through

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.broker.postgres.harness import Front
    from tests.broker.postgres.talking import Bare
    from tests.fixtures.postgres import PostgresServer

    Script = list[list[bytes]]

pytestmark = pytest.mark.peer

q = messages.query
SYNC, FLUSH, DONE = messages.SYNC, messages.FLUSH, messages.frame("c")
DATA = messages.frame("d", b"one\n")


def p(text: str) -> bytes:
    """Parse, Bind, Describe and Execute, unnamed."""
    whole = messages.parse("", text) + frontend.bind(b"", b"")
    return whole + messages.describe("P", "") + frontend.execute(b"")


# How a text is refused when it is read: by us, and by the server (no such table).
DENIED, UNKNOWN = "DELETE FROM orders", "DELETE FROM nowhere"
# And when it begins to run: by people, and by the server (no privilege).
REVIEWED, FORBIDDEN = "UPDATE orders SET note = 'x'", "SELECT * FROM pg_authid"

READ: dict[str, Callable[[str], Script]] = {
    "simple": lambda bad: [[q(bad)], [q("SELECT 1")]],
    "simple, one after another": lambda bad: [[q("SELECT 1"), q(bad), q("SELECT 2")]],
    "extended": lambda bad: [[p(bad), SYNC], [p("SELECT 1"), SYNC]],
    "extended, flushed": lambda bad: [[messages.parse("", bad), FLUSH, SYNC], [q("SELECT 1")]],
    "prepared by name": lambda bad: [
        [messages.parse("a", bad), messages.describe("S", "a"), SYNC],
        [frontend.bind(b"", b"a"), frontend.execute(b""), SYNC],
        [messages.parse("a", "SELECT 1"), frontend.bind(b"", b"a"), frontend.execute(b""), SYNC],
    ],
    "pipeline": lambda bad: [[p("SELECT 1"), p(bad), p("SELECT 2"), SYNC, p("SELECT 3"), SYNC]],
    "pipeline undoes what came before": lambda bad: [
        [p("INSERT INTO audit(what) VALUES ('a')"), p(bad), SYNC],
        [q("SELECT id FROM audit")],
    ],
    "in a transaction": lambda bad: [
        [q("BEGIN")],
        [q("INSERT INTO audit(what) VALUES ('a')")],
        [q(bad)],
        [q("SELECT 1")],
        [p("SELECT 1"), SYNC],
        [q("COMMIT")],
        [q("SELECT id FROM audit")],
    ],
    "in a transaction, extended": lambda bad: [
        [p("BEGIN"), SYNC],
        [p("SAVEPOINT s"), SYNC],
        [p(bad), SYNC],
        [p("ROLLBACK TO s"), SYNC],
        [p("SELECT 1"), SYNC],
        [p("ROLLBACK"), SYNC],
    ],
    "a savepoint saves": lambda bad: [
        [q("BEGIN"), q("SAVEPOINT s"), q(bad), q("ROLLBACK TO s"), q("SELECT 1"), q("COMMIT")],
    ],
    "query in a pipeline": lambda bad: [[p("SELECT 1"), q(bad), SYNC], [q("SELECT 1")]],
    "pipeline in a transaction": lambda bad: [
        [p("BEGIN"), p(bad), p("SELECT 1"), p("COMMIT"), SYNC, p("ROLLBACK"), SYNC],
        [q("SELECT 1")],
    ],
    "close and describe behind it": lambda bad: [
        [messages.parse("a", bad), messages.describe("S", "a"), messages.frame("C", b"Sa\0"), SYNC],
        [messages.frame("C", b"Sa\0"), SYNC],
    ],
}

RUN: dict[str, Callable[[str], Script]] = {
    "simple": READ["simple"],
    "in a transaction": READ["in a transaction"],
    "in a transaction, extended": READ["in a transaction, extended"],
    "a savepoint saves": READ["a savepoint saves"],
    "extended": lambda bad: [
        [messages.parse("", bad), frontend.bind(b"", b""), frontend.execute(b""), SYNC],
        [q("SELECT 1")],
    ],
    "pipeline": lambda bad: [
        [p("SELECT 1"), messages.parse("", bad), frontend.bind(b"", b""), frontend.execute(b"")],
        [p("SELECT 2"), SYNC, p("SELECT 3"), SYNC],
    ],
    "bound again": lambda bad: [
        [messages.parse("a", bad), SYNC],
        [frontend.bind(b"x", b"a"), frontend.execute(b"x"), SYNC],
        [frontend.bind(b"x", b"a"), frontend.execute(b"x"), SYNC],
    ],
}

COPY_DENIED = "COPY audit(what) FROM STDIN /* DROP */"
COPY_FORBIDDEN = "COPY pg_authid FROM STDIN"
OUT_DENIED, OUT_FORBIDDEN = "COPY audit TO STDOUT /* DROP */", "COPY pg_authid TO STDOUT"

COPY: dict[str, Callable[[str], Script]] = {
    "refused": lambda bad: [[q(bad)], [q("SELECT 1")]],
    "refused, data sent along": lambda bad: [[q(bad), DATA, DATA, DONE], [q("SELECT 1")]],
    "refused in a transaction": lambda bad: [
        [q("BEGIN")],
        [q(bad), DATA, DONE],
        [q("ROLLBACK")],
    ],
    "extended": lambda bad: [
        [messages.parse("", bad), frontend.bind(b"", b""), frontend.execute(b"")],
        [DATA, DONE, SYNC],
        [q("SELECT 1")],
    ],
    "after a COPY that went well": lambda bad: [
        [q("COPY audit(what) FROM STDIN"), DATA, DONE],
        [q(bad), DATA, DONE],
        [q("COPY audit(what) TO STDOUT")],
    ],
}


async def _run(bare: Bare, script: Script) -> list[list[str]]:
    """Each step's answers; steps without a Sync or Query are answered with the next."""
    seen = []
    held: list[bytes] = []
    for step in script:
        held += step
        if any(f[:1] in b"QS" or f.endswith(SYNC) for f in step):
            seen.append(await bare.ask(*held))
            held = []
    return seen


def _but_code(seen: list[list[str]], code: str, real: str) -> list[list[str]]:
    """Only the code of that one error may differ."""
    return [[each.replace(f"E {code}", f"E {real}") for each in step] for step in seen]


@pytest.mark.parametrize("name", READ)
async def test_what_a_rule_denies_fails_as_what_the_server_cannot_read(
    postgres: PostgresServer, orders: str, name: str
) -> None:
    async with straight(postgres, orders) as bare:
        real = await _run(bare, READ[name](UNKNOWN))
    postgres.execute("TRUNCATE audit RESTART IDENTITY", orders)
    mark = postgres.log_mark()
    async with front(postgres, orders) as relay, through(relay) as bare:
        ours = await _run(bare, READ[name](DENIED))
    assert "E 42P01" in str(real)
    assert _but_code(ours, "42501", "42P01") == real
    assert "DELETE" not in postgres.logged_since(mark)


@pytest.mark.parametrize("status", ["I", "T"])
async def test_several_in_one_message_fail_as_what_cannot_be_parsed(
    postgres: PostgresServer, orders: str, status: str
) -> None:
    """One judgement for one message: none of it runs, as when its grammar is wrong somewhere."""

    def script(bad: str) -> Script:
        first = [[q("BEGIN")]] if status == "T" else []
        several = f"INSERT INTO audit(what) VALUES ('a'); {bad}; SELECT 2"
        return [*first, [q(several)], [q("ROLLBACK")], [q("SELECT id FROM audit")]]

    async with straight(postgres, orders) as bare:
        real = await _run(bare, script("SELEC 1"))
    async with front(postgres, orders) as relay, through(relay) as bare:
        ours = await _run(bare, script(DENIED))
    assert "E 42601" in str(real)
    assert _but_code(ours, "42501", "42601") == real


async def _deny_all(relay: Front, *, expired: bool) -> None:
    while True:
        await relay.desk.asked.get()
        relay.desk.deny(expired=expired)


@pytest.mark.parametrize("expired", [False, True], ids=["denied", "expired"])
@pytest.mark.parametrize("name", RUN)
async def test_what_people_deny_fails_as_what_the_server_does_not_permit(
    postgres: PostgresServer, orders: str, name: str, expired: bool
) -> None:
    async with straight(postgres, orders) as bare:
        real = await _run(bare, RUN[name](FORBIDDEN))
    postgres.execute("TRUNCATE audit RESTART IDENTITY", orders)
    async with (
        front(postgres, orders) as relay,
        through(relay) as bare,
        asyncio.TaskGroup() as tasks,
    ):
        people = tasks.create_task(_deny_all(relay, expired=expired))
        ours = await _run(bare, RUN[name](REVIEWED))
        people.cancel()
    assert "N 00000" in str(ours)
    assert [[each for each in step if each != "N 00000"] for step in ours] == real
    assert postgres.execute("SELECT count(*) FROM orders WHERE note = 'x'", orders) == [(0,)]


@pytest.mark.parametrize("name", RUN)
async def test_what_people_approve_answers_as_it_would_without_us(
    postgres: PostgresServer, orders: str, name: str
) -> None:
    async def approve(relay: Front) -> None:
        while True:
            await relay.desk.asked.get()
            relay.desk.approve()

    async with straight(postgres, orders) as bare:
        real = await _run(bare, RUN[name](REVIEWED))
    postgres.execute("TRUNCATE audit RESTART IDENTITY", orders)
    async with (
        front(postgres, orders) as relay,
        through(relay) as bare,
        asyncio.TaskGroup() as tasks,
    ):
        people = tasks.create_task(approve(relay))
        ours = await _run(bare, RUN[name](REVIEWED))
        people.cancel()
    assert [[each for each in step if each != "N 00000"] for step in ours] == real


@pytest.mark.parametrize(
    ("denied", "forbidden"),
    [(COPY_DENIED, COPY_FORBIDDEN), (OUT_DENIED, OUT_FORBIDDEN)],
    ids=["in", "out"],
)
@pytest.mark.parametrize("name", COPY)
async def test_a_refused_copy_fails_as_one_that_the_server_does_not_permit(
    postgres: PostgresServer, orders: str, name: str, denied: str, forbidden: str
) -> None:
    async with straight(postgres, orders) as bare:
        real = await _run(bare, COPY[name](forbidden))
    postgres.execute("TRUNCATE audit RESTART IDENTITY", orders)
    async with front(postgres, orders) as relay, through(relay) as bare:
        ours = await _run(bare, COPY[name](denied))
    if name == "extended":  # we refuse it when it is read, the server when it is run
        real = [[each for each in step if each not in ("1", "2")] for step in real]
    assert "E 42501" in str(real)
    assert ours == real


async def test_data_that_the_server_refuses_in_the_middle_of_a_copy(
    postgres: PostgresServer, orders: str
) -> None:
    bad = messages.frame("d", b"one\ttwo\tthree\n")
    script = [
        [q("BEGIN")],
        [q("COPY audit(what) FROM STDIN"), bad, DATA, DONE],
        [q("ROLLBACK")],
        [messages.parse("", "COPY audit(what) FROM STDIN"), frontend.bind(b"", b"")],
        [frontend.execute(b""), bad, DONE, SYNC],
        [q("SELECT 1")],
    ]
    async with straight(postgres, orders) as bare:
        real = await _run(bare, script)
    async with front(postgres, orders) as relay, through(relay) as bare:
        assert await _run(bare, script) == real
    assert "E 22P04" in str(real)


@pytest.mark.parametrize("bad", [DENIED, "SELECT * FROM nowhere"], ids=["ours", "real"])
async def test_psycopg_in_pipeline_mode(postgres: PostgresServer, orders: str, bad: str) -> None:
    """The driver's own reading of the answers: which results are ok, failed, aborted."""
    async with front(postgres, orders) as relay, await relay.connect() as connection:
        async with connection.pipeline() as pipeline:
            first = await connection.execute("INSERT INTO audit(what) VALUES ('a')")
            await pipeline.sync()
            with pytest.raises(psycopg.ProgrammingError):
                await (await connection.execute(bad)).fetchall()
            with pytest.raises(psycopg.errors.PipelineAborted):
                await (await connection.execute("SELECT 2")).fetchall()
            await pipeline.sync()
            last = await connection.execute("SELECT 3")
            assert await last.fetchall() == [(3,)]
        assert first.statusmessage == "INSERT 0 1"
        cursor = await connection.execute("SELECT what FROM audit")
        assert await cursor.fetchall() == [("a",)]


async def test_a_statement_that_cannot_run_any_more_asks_nobody(
    postgres: PostgresServer, orders: str
) -> None:
    """In a failed transaction the server refuses it whatever people say: so it does not wait."""
    script = [
        [q("BEGIN"), q("SELECT * FROM nowhere")],
        [q(REVIEWED)],
        [p(REVIEWED), SYNC],
        [q("ROLLBACK")],
    ]
    async with straight(postgres, orders) as bare:
        real = await _run(bare, script)
    async with front(postgres, orders) as relay, through(relay) as bare:
        assert await _run(bare, script) == real
        assert relay.desk.asked.empty()
    assert str(real).count("25P02") == 2
