"""`max_rows` against a real server: however rows are asked for, one too many is an error."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from psycopg import errors

from broker.model import Answer, Verdict
from broker.policy import sql
from broker.wire import frontend, messages
from tests.broker.postgres.harness import count, front
from tests.broker.postgres.talking import through

if TYPE_CHECKING:
    from broker.model import Statement
    from tests.fixtures.postgres import PostgresServer

pytestmark = pytest.mark.peer

q = messages.query
LIMIT = 5
SIX = "SELECT id FROM orders WHERE id <= 6 ORDER BY id"
FIVE = SIX.replace("6", "5")


def judge(statement: Statement) -> Verdict:
    """All is allowed, with the real facts, and five rows."""
    return Verdict(Answer.ALLOW, "few", "few", sql.facts(statement.text), max_rows=LIMIT)


def portal(text: str, *rows: int) -> bytes:
    parts = [messages.parse("", text), frontend.bind(b"", b"")]
    return b"".join([*parts, *(frontend.execute(b"", each) for each in rows), messages.SYNC])


async def _asked(postgres: PostgresServer, orders: str, *steps: bytes) -> list[str]:
    """What each step ends with: how many rows, the first error, and the state."""
    async with front(postgres, orders, judge=judge) as relay, through(relay) as bare:
        ends = []
        for step in steps:
            seen = await bare.ask(step)
            rows = sum(each in "Dd" for each in seen)
            error = next((each for each in seen if each.startswith("E")), "")
            ends.append(f"{rows} {error} {seen[-1]}".replace("  ", " "))
        return ends


@pytest.mark.parametrize(
    ("steps", "ends"),
    [
        ([q(FIVE)], ["5 Z I"]),
        ([q(SIX)], ["5 E 54000 Z I"]),
        ([q(f"{FIVE}; SELECT 1")], ["5 E 54000 Z I"]),  # one text, one judgement, one bound
        ([portal(FIVE, 0)], ["5 Z I"]),
        ([portal(SIX, 0)], ["5 E 54000 Z I"]),
        ([portal(SIX, 3, 3)], ["5 E 54000 Z I"]),  # suspended and continued
        ([portal(SIX, 2, 2, 2)], ["5 E 54000 Z I"]),
        ([portal(SIX, 1, 4)], ["5 Z I"]),  # the client asked for no more
        ([portal(FIVE, 0), portal(FIVE, 0)], ["5 Z I", "5 Z I"]),  # each run counts by itself
        ([q(f"COPY ({SIX}) TO STDOUT")], ["5 E 54000 Z I"]),
        ([q(f"COPY ({FIVE}) TO STDOUT")], ["5 Z I"]),
        ([portal(f"COPY ({SIX}) TO STDOUT", 0)], ["5 E 54000 Z I"]),
        ([q("BEGIN"), q(SIX), q("SELECT 1"), q("ROLLBACK")],
         ["0 Z T", "5 E 54000 Z E", "0 E 25P02 Z E", "0 Z I"]),
        ([q("BEGIN"), portal(SIX, 0), q("ROLLBACK")], ["0 Z T", "5 E 54000 Z E", "0 Z I"]),
    ],
)  # fmt: skip
async def test_one_row_too_many_is_an_error(
    postgres: PostgresServer, orders: str, steps: list[bytes], ends: list[str]
) -> None:
    assert await _asked(postgres, orders, *steps) == ends


DECLARE = q(f"DECLARE c CURSOR FOR {SIX}")


@pytest.mark.parametrize(
    ("steps", "ends"),
    [
        ([q("FETCH 3 FROM c")] * 2, ["3 Z T", "2 E 54000 Z E"]),
        ([q("FETCH 3 FROM c"), q('FETCH 2 FROM "c"')], ["3 Z T", "2 Z T"]),
        ([portal("FETCH 3 FROM c", 0)] * 2, ["3 Z T", "2 E 54000 Z E"]),
        ([q("FETCH 3 FROM c"), q("FETCH /* */ 3 FROM c")], ["3 Z T", "2 E 54000 Z E"]),
        ([q("FETCH 5 FROM c"), q("CLOSE c"), DECLARE, q("FETCH 5 FROM c")],
         ["5 Z T", "0 Z T", "0 Z T", "5 Z T"]),  # declared anew, counted anew
        ([q("FETCH 5 FROM c"), q("SAVEPOINT s"), DECLARE, q("ROLLBACK TO s"), q("FETCH 1 FROM c")],
         ["5 Z T", "0 Z T", "0 E 42P03 Z E", "0 Z T", "0 E 54000 Z E"]),  # not declared anew
    ],
)  # fmt: skip
async def test_the_slices_of_a_cursor_count_together(
    postgres: PostgresServer, orders: str, steps: list[bytes], ends: list[str]
) -> None:
    begun = await _asked(postgres, orders, q("BEGIN"), DECLARE, *steps)
    assert begun == ["0 Z T", "0 Z T", *ends]


async def test_a_cursor_of_the_protocol_and_fetch_count_together(
    postgres: PostgresServer, orders: str
) -> None:
    bind = messages.parse("", SIX) + frontend.bind(b"p", b"")
    steps = [
        q("BEGIN"),
        bind + frontend.execute(b"p", 2) + messages.SYNC,
        q("FETCH 2 FROM p"),
        frontend.execute(b"p", 2) + messages.SYNC,
    ]
    assert await _asked(postgres, orders, *steps) == ["0 Z T", "2 Z T", "2 Z T", "1 E 54000 Z E"]


async def test_a_cursor_that_outlives_its_transaction_keeps_its_count(
    postgres: PostgresServer, orders: str
) -> None:
    steps = [q(f"DECLARE h CURSOR WITH HOLD FOR {SIX}"), *[q("FETCH 3 FROM h")] * 2]
    assert await _asked(postgres, orders, *steps) == ["0 Z I", "3 Z I", "2 E 54000 Z I"]


@pytest.mark.parametrize("form", [q, lambda text: portal(text, 0)], ids=["simple", "extended"])
async def test_a_write_whose_rows_are_cut_off_is_undone(
    postgres: PostgresServer, orders: str, form: object
) -> None:
    six = "UPDATE orders SET note = 'x' WHERE id <= 6 RETURNING id"
    two = "UPDATE orders SET note = 'y' WHERE id <= 2 RETURNING id"
    ends = await _asked(postgres, orders, form(six), form(two))  # type: ignore[operator]
    assert ends == ["5 E 54000 Z I", "2 Z I"]
    found = postgres.execute("SELECT note FROM orders WHERE note IN ('x', 'y')", orders)
    assert found == [("y",)] * 2


async def test_several_writes_in_one_text_are_one_transaction_as_ever(
    postgres: PostgresServer, orders: str
) -> None:
    text = "; ".join(f"DELETE FROM orders WHERE id = {n} RETURNING id" for n in range(1, 5))
    async with front(postgres, orders, judge=judge) as relay, through(relay) as bare:
        seen = await bare.ask(q(text))
        assert seen == ["T", "D", "C DELETE 1"] * 4 + ["Z I"]
    assert postgres.execute("SELECT count(*) FROM orders", orders) == [(96,)]


async def test_psycopgs_server_side_cursor(postgres: PostgresServer, orders: str) -> None:
    async with front(postgres, orders, judge=judge) as relay, await relay.connect() as connection:
        async with (
            connection.transaction(force_rollback=True),
            connection.cursor(name="mine") as cursor,
        ):
            await cursor.execute("SELECT id FROM orders ORDER BY id")
            assert len(await cursor.fetchmany(3)) == 3
            with pytest.raises(errors.ProgramLimitExceeded, match="more than 5 rows"):
                await cursor.fetchmany(3)
        assert await count(connection) == 100
