"""Approved writes with a bound, against a real server: its tables are the witness."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg import errors

from broker.model import AffectedBound
from broker.wire import frontend, messages
from tests.broker.postgres.harness import front, judge
from tests.broker.postgres.talking import straight, through

if TYPE_CHECKING:
    from broker.model import Statement, Verdict
    from tests.broker.postgres.harness import Front
    from tests.broker.postgres.talking import Bare
    from tests.fixtures.postgres import PostgresServer

pytestmark = pytest.mark.peer

q = messages.query
FIVE = "UPDATE orders SET note = 'x' WHERE id <= 5"


def extended(text: str) -> bytes:
    whole = messages.parse("", text) + frontend.bind(b"", b"") + frontend.execute(b"")
    return whole + messages.SYNC


async def _approve(relay: Front, at_most: int) -> None:
    while True:
        await relay.desk.asked.get()
        relay.desk.approve(at_most)


async def _asked(relay: Front, bare: Bare, at_most: int, *steps: bytes) -> list[list[str]]:
    """Each step's answers, while everything is approved with that bound; without notices."""
    async with asyncio.TaskGroup() as tasks:
        people = tasks.create_task(_approve(relay, at_most))
        seen = [await bare.ask(step) for step in steps]
        people.cancel()
    return [[each for each in step if each != "N 00000"] for step in seen]


def changed(postgres: PostgresServer, orders: str) -> object:
    return postgres.execute("SELECT count(*) FROM orders WHERE note = 'x'", orders)[0][0]


@pytest.mark.parametrize("form", [q, extended], ids=["simple", "extended"])
async def test_within_the_bound_all_is_as_without_us(
    postgres: PostgresServer, orders: str, form: object
) -> None:
    steps = [form(FIVE), q("BEGIN"), form(FIVE), q("COMMIT"), form(FIVE + " RETURNING id")]  # type: ignore[operator]
    async with straight(postgres, orders) as bare:
        real = [await bare.ask(step) for step in steps]
    async with front(postgres, orders) as relay, through(relay) as bare:
        assert await _asked(relay, bare, 5, *steps) == real
    assert changed(postgres, orders) == 5


@pytest.mark.parametrize("form", [q, extended], ids=["simple", "extended"])
async def test_beyond_the_bound_it_is_undone_and_told_as_an_error(
    postgres: PostgresServer, orders: str, form: object
) -> None:
    async with front(postgres, orders) as relay, through(relay) as bare:
        seen = await _asked(relay, bare, 4, form(FIVE), q("SELECT 1"))  # type: ignore[operator]
        judged = [e.fields for e in relay.audit.events if e.type == "statement.judged"]
        assert [each["answer"] for each in judged[:2]] == ["allow", "deny"]
        assert judged[0]["digest"] == judged[1]["digest"]
        assert judged[1]["reason"] == "undone: it changed 5 rows, and at most 4 were approved"
    assert seen[0][-2:] == ["E 54000", "Z I"]
    assert "C" not in "".join(each[0] for each in seen[0])
    assert seen[1][-1] == "Z I"
    assert changed(postgres, orders) == 0


@pytest.mark.parametrize("form", [q, extended], ids=["simple", "extended"])
async def test_beyond_the_bound_the_clients_transaction_is_a_failed_one(
    postgres: PostgresServer, orders: str, form: object
) -> None:
    steps = (
        q("BEGIN"),
        q("INSERT INTO audit(what) VALUES ('kept?')"),
        q("SAVEPOINT s"),
        form(FIVE),  # type: ignore[operator]
        q("SELECT 1"),
        q("ROLLBACK TO s"),
        q("COMMIT"),
    )
    async with front(postgres, orders) as relay, through(relay) as bare:
        seen = await _asked(relay, bare, 4, *steps)
    ends = [step[-2:] for step in seen]
    assert ends[3] == ["E 54000", "Z E"]
    assert ends[4] == ["E 25P02", "Z E"]
    assert ends[5:] == [["C ROLLBACK", "Z T"], ["C COMMIT", "Z I"]]
    assert changed(postgres, orders) == 0
    assert postgres.execute("SELECT what FROM audit", orders) == [("kept?",)]


async def test_the_message_names_both_numbers_and_psycopg_reads_it_as_an_error(
    postgres: PostgresServer, orders: str
) -> None:
    async with (
        front(postgres, orders) as relay,
        await relay.connect() as connection,
        asyncio.TaskGroup() as tasks,
    ):
        people = tasks.create_task(_approve(relay, 4))
        for arguments in ((FIVE,), (FIVE.replace("5", "%s"), (5,))):
            with pytest.raises(errors.ProgramLimitExceeded, match="changed 5 rows, and at most 4"):
                await connection.execute(*arguments)
        people.cancel()
        assert connection.info.transaction_status is psycopg.pq.TransactionStatus.IDLE
    assert changed(postgres, orders) == 0


async def test_what_runs_is_byte_for_byte_what_was_approved(
    postgres: PostgresServer, orders: str
) -> None:
    odd = "/* é */  update orders\tset note = 'x'\n where id <= 5 -- UPDATE ;"
    mark = postgres.log_mark()
    async with front(postgres, orders) as relay, through(relay) as bare:
        seen = await _asked(relay, bare, 5, q(odd))
    assert seen == [["C UPDATE 5", "Z I"]]
    ran = [line for line in postgres.logged_since(mark).splitlines() if "statement: " in line]
    told = [line.split("statement: ")[1] for line in ran if "interlock s1" in line]
    assert told[-3:] == ["BEGIN", "/* é */  update orders\tset note = 'x'", "COMMIT"]


async def test_a_copy_is_bounded_too(postgres: PostgresServer, orders: str) -> None:
    rows = [messages.frame("d", b"one\n")] * 3
    whole = b"".join([q("COPY audit(what) FROM STDIN -- UPDATE"), *rows, messages.frame("c")])
    async with front(postgres, orders) as relay, through(relay) as bare:
        assert await _asked(relay, bare, 2, whole) == [["G", "E 54000", "Z I"]]
        assert postgres.execute("SELECT count(*) FROM audit", orders) == [(0,)]
        assert await _asked(relay, bare, 3, whole) == [["G", "C COPY 3", "Z I"]]
    assert postgres.execute("SELECT count(*) FROM audit", orders) == [(3,)]


async def test_a_deferred_check_fails_at_our_commit_and_is_told(
    postgres: PostgresServer, orders: str
) -> None:
    postgres.execute(
        "ALTER TABLE orders ADD CONSTRAINT once UNIQUE (note) DEFERRABLE INITIALLY DEFERRED", orders
    )
    async with straight(postgres, orders) as bare:
        real = await bare.ask(q(FIVE))
    async with front(postgres, orders) as relay, through(relay) as bare:
        assert await _asked(relay, bare, 9, q(FIVE)) == [real]
    assert real == ["E 23505", "Z I"]
    assert changed(postgres, orders) == 0


async def test_a_client_that_leaves_while_it_runs_leaves_nothing_behind(
    postgres: PostgresServer, orders: str
) -> None:
    with psycopg.connect(postgres.superuser(orders)) as holder:
        holder.execute("LOCK TABLE orders IN EXCLUSIVE MODE")
        async with front(postgres, orders) as relay:
            async with through(relay) as bare:
                bare.send(q(FIVE))
                await relay.asked()
                relay.desk.approve(9)
                await _until_locked(postgres, orders)
            await relay.over()
        holder.rollback()
    await _until_gone(postgres, orders)
    assert changed(postgres, orders) == 0


async def _until_locked(postgres: PostgresServer, orders: str) -> None:
    await _until(postgres, f"EXISTS (SELECT FROM pg_stat_activity WHERE datname = '{orders}'"
                 " AND usename = 'app' AND wait_event_type = 'Lock')")  # fmt: skip


async def _until_gone(postgres: PostgresServer, orders: str) -> None:
    await _until(postgres, f"NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = '{orders}'"
                 " AND usename = 'app')")  # fmt: skip


async def _until(postgres: PostgresServer, true: str) -> None:
    query = f"""DO $$ BEGIN WHILE NOT ({true})
        LOOP PERFORM pg_sleep(0.01); PERFORM pg_stat_clear_snapshot(); END LOOP; END $$"""
    async with asyncio.timeout(20):
        await asyncio.to_thread(postgres.execute, query)


def bounded(statement: Statement) -> Verdict:
    """As the harness judges; what is reviewed is bounded by its estimate."""
    return replace(judge(statement), max_affected=AffectedBound(tenths=11))


async def test_the_estimate_that_people_see_is_the_bound_that_they_approve(
    postgres: PostgresServer, orders: str
) -> None:
    postgres.execute("ANALYZE orders", orders)
    async with (
        front(postgres, orders, surveyed=True, judge=bounded) as relay,
        await relay.connect() as connection,
        asyncio.TaskGroup() as tasks,
    ):
        await connection.execute("BEGIN")
        await connection.execute("SELECT 1 AS first")
        running = tasks.create_task(
            connection.execute("UPDATE orders SET note = %s WHERE id <= %s", ("x", 50))
        )
        await relay.asked()
        assert relay.desk.last is not None
        impact = relay.desk.last.impact
        assert impact is not None
        assert impact.estimate is not None
        assert 45 <= impact.estimate <= 55
        assert impact.max_affected == AffectedBound(tenths=11).rows(impact.estimate)
        assert impact.before == ("allow  BEGIN", "allow  SELECT 1 AS first")
        assert impact.sizes[0].startswith("public.orders: about 100 rows, ")
        assert [each.type for each in impact.parameters] == [0, 21]
        relay.desk.approve(impact.max_affected)
        assert (await running).statusmessage == "UPDATE 50"
        await connection.execute("ROLLBACK")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("UPDATE orders SET note = 'x'; UPDATE orders SET note = 'y'", "one statement"),
        ("WITH a AS (UPDATE orders SET note = 'x' RETURNING 1) SELECT * FROM a", "plain"),
        ("UPDATE nowhere SET note = 'x'", "no estimate|there is none"),
    ],
)
async def test_what_cannot_be_bounded_is_refused_before_anybody_is_asked(
    postgres: PostgresServer, orders: str, text: str, why: str
) -> None:
    def judged(statement: Statement) -> Verdict:
        verdict = bounded(statement)
        parts = tuple(replace(part, action="update") for part in verdict.facts.parts)
        return replace(verdict, facts=replace(verdict.facts, parts=parts))

    async with (
        front(postgres, orders, surveyed=True, judge=judged) as relay,
        await relay.connect() as connection,
    ):
        with pytest.raises(errors.InsufficientPrivilege, match=why):
            await connection.execute(text)
        assert relay.desk.asked.empty()
    assert changed(postgres, orders) == 0
