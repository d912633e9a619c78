"""Attacks through a real relay on a real server, whose log of statements is the witness.

The cases are tests/corpus/catalogue_cases.yaml; the first steps of one are let through, and the
last is what it is about.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
import yaml

from broker.errors import InterlockError
from broker.gate import Gate
from broker.mask.rules import Masking
from broker.mask.stream import new_stream
from broker.policy.judge import Judge
from broker.policy.rules import Block, Rule
from broker.policy.sql.catalogue import Overlay
from broker.postgres.cancel import Cancels
from broker.postgres.lookup import PROBE_SECONDS, Lookups
from broker.postgres.relay import relay
from broker.postgres.startup import DuplexOverStreams
from broker.postgres.upstream import Upstream, connect
from tests.broker.postgres.harness import SETTINGS, Desk
from tests.broker.wire.masker import SeenMask
from tests.fakes import ALICE, FakeAudit, FakeRecorder, Journal, session

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from broker.model import Statement, Verdict
    from broker.targets import PostgresTarget
    from tests.fixtures.postgres import PostgresServer

Client = psycopg.AsyncConnection[tuple[object, ...]]
pytestmark = pytest.mark.peer

CORPUS = Path(__file__).parents[2] / "corpus"
CASES: list[dict[str, Any]] = yaml.safe_load((CORPUS / "catalogue_cases.yaml").read_text())["cases"]

READS = ("select", "explain", "copy_to")
WRITES = ("insert", "update", "delete", "merge", "copy_from")
MAKES = ("create", "alter", "drop", "cursor")


def allow(**fields: Any) -> Rule:
    return Rule("allowed", ("*",), ("*",), allow=Block(**fields))


def deny(**fields: Any) -> Rule:
    return Rule("denied", ("*",), ("*",), deny=Block(**fields))


PUBLIC = ("public.*",)
POLICIES: dict[str, list[Rule]] = {
    "any": [allow()],
    "select_only": [allow(actions=("select",), tables=PUBLIC)],
    "reader": [allow(actions=READS, tables=PUBLIC)],
    "writer": [allow(actions=READS + WRITES, tables=PUBLIC)],
    "owner": [
        allow(actions=(*READS, *WRITES, "truncate", "refresh", "lock"), tables=PUBLIC),
        allow(actions=MAKES),
    ],
    "deleter": [
        allow(actions=("select",), tables=PUBLIC),
        allow(
            actions=("delete",),
            tables=("orders", "w", "ww", "orders_too", "app.customers", "other.*"),
        ),
        allow(actions=MAKES),
        allow(actions=("create", "alter"), functions=("*.*",)),
        allow(actions=("create",), functions=("minus",)),
    ],
    "setter": [allow(), allow(actions=("set",)), allow(functions=("set_config",))],
    "update_only": [allow(actions=("insert", "update"), tables=PUBLIC)],
    "bounded": [
        allow(actions=("select", *WRITES), tables=("*.*",)),
        deny(actions=("update", "delete"), unbounded=True),
    ],
    "no_partition": [allow(), deny(tables=("secret.events_2",))],
    "no_parent": [allow(), deny(tables=("events",))],
}


class Broker:
    """A relay on a free port, as the broker puts one together."""

    def __init__(self, server: PostgresServer, dbname: str, rules: list[Rule]) -> None:
        self.server = server
        self.target = server.target(dbname)
        self.judge = Judge(rules, lambda text: {}, "hash")
        self.desk = Desk()
        self.now = 1000.0
        self.lookups = Lookups(self.look, lambda: self.now)
        self.ended: asyncio.Queue[InterlockError | None] = asyncio.Queue()
        self.port = 0

    async def look(self, target: PostgresTarget) -> Upstream:
        return await connect(target, self.server.app_password, SETTINGS)

    def gate(self) -> Gate:
        overlay, journal = Overlay(), Journal()

        def judged(statement: Statement) -> Verdict:
            catalogue = self.lookups.of(self.target.name)
            return self.judge(ALICE, "orders", statement, catalogue, overlay)

        return Gate(
            session(),
            judge=judged,
            reviews=self.desk,
            audit=FakeAudit(journal),
            recorder=FakeRecorder(journal),
            new_mask=lambda: new_stream(Masking()),
            redact=lambda text: text,
        )

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ended: InterlockError | None = None
        try:
            upstream = await self.look(self.target)
            async with self.lookups.watching(self.target, upstream) as watch:
                await relay(
                    DuplexOverStreams(reader, writer),
                    upstream,
                    self.gate(),
                    mask=SeenMask(),
                    cancels=Cancels(),
                    identity=ALICE,
                    transcribe=False,
                    watch=watch,
                )
        except InterlockError as error:
            ended = error
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
            self.ended.put_nowait(ended)

    async def session(self) -> Client:
        conninfo = f"host=127.0.0.1 port={self.port} user=me dbname=any"
        return await psycopg.AsyncConnection.connect(conninfo, autocommit=True)


@contextlib.asynccontextmanager
async def broker(server: PostgresServer, dbname: str, rules: list[Rule]) -> AsyncIterator[Broker]:
    made = Broker(server, dbname, rules)
    listener = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = listener.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        listener.close()
        await listener.wait_closed()
        await made.lookups.reader.close()


@pytest.fixture(scope="module")
def world(postgres: PostgresServer) -> Iterator[str]:
    """The database of the cases."""
    postgres.execute("CREATE DATABASE cases TEMPLATE orders", "postgres")
    postgres.execute((CORPUS / "catalogue_world.sql").read_text(), "cases")
    yield "cases"
    postgres.execute("DROP DATABASE cases WITH (FORCE)", "postgres")


@contextlib.contextmanager
def fresh(server: PostgresServer, world: str, *, needed: bool) -> Iterator[str]:
    """The world, or a copy of it for a case that changes it."""
    if not needed:
        yield world
        return
    name = f"case_{uuid.uuid4().hex[:12]}"
    server.execute(f"CREATE DATABASE {name} TEMPLATE {world}", "postgres")
    server.execute(f"GRANT CREATE ON DATABASE {name} TO app", "postgres")
    try:
        yield name
    finally:
        server.execute(f"DROP DATABASE {name} WITH (FORCE)", "postgres")


async def said_to(connection: Client, text: str) -> str:
    """The error that a statement is answered with, or nothing."""
    try:
        await connection.execute(text.encode())
    except psycopg.Error as error:
        return str(error)
    return ""


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["id"]))
async def test_a_case(postgres: PostgresServer, world: str, case: dict[str, Any]) -> None:
    *before, last = case["steps"]
    marked = f"{last} /* case {case['id']} */"
    with fresh(postgres, world, needed=bool(before)) as dbname:
        async with broker(postgres, dbname, POLICIES[case["policy"]]) as made:
            async with await made.session() as connection:
                for step in before:
                    await connection.execute(step)
                mark = postgres.log_mark()
                said = await said_to(connection, marked)
            await made.ended.get()
    reached = f"case {case['id']} " in postgres.logged_since(mark)
    if case["expect"] == "deny":
        assert "interlock: " in said
        assert not reached
    else:
        assert "interlock: " not in said
        assert reached


CHANGED = """CREATE OR REPLACE VIEW harmless_view AS
    SELECT id, (SELECT max(key) FROM secret.keys) AS note FROM orders"""


async def test_an_approval_is_void_when_its_tables_changed_while_it_waited(
    postgres: PostgresServer, world: str
) -> None:
    rules = [Rule("ask", ("*",), ("*",), review=Block(tables=("*.*",), approvers=("group:dba",)))]
    with fresh(postgres, world, needed=True) as dbname:
        async with broker(postgres, dbname, rules) as made:
            async with await made.session() as connection:
                mark = postgres.log_mark()
                waiting = asyncio.ensure_future(said_to(connection, "TABLE harmless_view"))
                asked = await asyncio.wait_for(made.desk.asked.get(), 10)
                assert asked.text == "TABLE harmless_view"
                postgres.execute(CHANGED, dbname)
                made.now += PROBE_SECONDS
                made.desk.approve()
                assert "changed while it waited" in await waiting
            await made.ended.get()
        assert "TABLE harmless_view" not in postgres.logged_since(mark)


async def test_what_another_session_changes_counts_as_soon_as_it_is_committed(
    postgres: PostgresServer, world: str
) -> None:
    rules = [*POLICIES["reader"], allow(actions=MAKES), allow(tables=("secret.*",))]
    with fresh(postgres, world, needed=True) as dbname:
        async with broker(postgres, dbname, rules) as made:
            reader = [*POLICIES["reader"]]
            async with await made.session() as changing:
                await changing.execute("CREATE VIEW w AS SELECT note FROM orders")
                made.judge = Judge(reader, lambda text: {}, "hash")
                async with await made.session() as reading:
                    assert await said_to(reading, "TABLE w") == ""
                    made.judge = Judge(rules, lambda text: {}, "hash")
                    await changing.execute("BEGIN")
                    await changing.execute(
                        "CREATE OR REPLACE VIEW w AS SELECT key AS note FROM secret.keys"
                    )
                    await changing.execute("COMMIT")
                    made.judge = Judge(reader, lambda text: {}, "hash")
                    assert "secret.keys" in await said_to(reading, "TABLE w")
            for _ in range(2):
                await made.ended.get()
