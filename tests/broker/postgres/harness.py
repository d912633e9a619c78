"""A relay on a free port in front of a real PostgreSQL, with people who answer when told to."""

from __future__ import annotations

import asyncio
import contextlib
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import psycopg

from broker.errors import InterlockError, Unparsable
from broker.gate import Gate
from broker.mask.rows import RowMask
from broker.mask.rules import Masking
from broker.model import Answer, Facts, Impact, Part, Verdict
from broker.postgres import catalogue
from broker.postgres.cancel import Cancels
from broker.postgres.relay import relay
from broker.postgres.startup import DuplexOverStreams
from broker.postgres.survey import Survey
from broker.postgres.upstream import connect
from tests.broker.wire.masker import LineMask, SeenMask
from tests.fakes import ALICE, NOON, FakeAudit, FakeRecorder, Journal, session

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from broker.mask.rules import Style
    from broker.model import Session, Statement
    from broker.ports import Notice
    from broker.postgres.upstream import Upstream
    from tests.fixtures.postgres import PostgresServer

SETTINGS = {
    "client_encoding": "UTF8",
    "standard_conforming_strings": "on",
    "search_path": "public",
    "application_name": "interlock s1",
}


def judge(statement: Statement) -> Verdict:
    """Rules that a test can read: words in the text decide."""
    text = statement.text
    table = "public.customers" if "customers" in text else "public.orders"
    facts = Facts((Part(text.split(maxsplit=1)[0].lower() if text.strip() else "", table=table),))
    if "broken" in text:
        msg = 'syntax error at or near "broken"'
        raise Unparsable(msg, 1)
    if re.search(r"\bDELETE\b|\bDROP\b", text):
        return Verdict(Answer.DENY, "no-deletes", "not here", facts)
    if re.search(r"\bUPDATE\b", text):
        return Verdict(Answer.REVIEW, "two-eyes", "needs approval", facts, ("group:dba",))
    limit = 5 if "limited" in text else None
    return Verdict(Answer.ALLOW, "reads", "may read", facts, max_rows=limit)


def reads_customers(facts: Facts) -> bool:
    return "public.customers" in facts.tables


@dataclass
class Desk:
    """Reviews that a test answers; `asked` says when one begins."""

    asked: asyncio.Queue[Statement] = field(default_factory=asyncio.Queue)
    withdrawn: asyncio.Event = field(default_factory=asyncio.Event)
    answers: asyncio.Queue[Verdict] = field(default_factory=asyncio.Queue)
    last: Verdict | None = None  # what the people were asked with

    async def ask(
        self, session: Session, statement: Statement, verdict: Verdict, notice: Notice
    ) -> Verdict:
        notice(verdict, "7f3a", NOON)
        self.last = verdict
        self.asked.put_nowait(statement)
        try:
            return await self.answers.get()
        except asyncio.CancelledError:
            self.withdrawn.set()
            raise

    def approve(self, at_most: int | None = None) -> None:
        impact = Impact(max_affected=at_most)
        verdict = Verdict(Answer.ALLOW, "two-eyes", "approved", review="7f3a", impact=impact)
        self.answers.put_nowait(verdict)

    def deny(self, *, expired: bool = False) -> None:
        reason = "nobody answered in time" if expired else "denied by bob: no"
        verdict = Verdict(Answer.DENY, "two-eyes", reason, review="7f3a", expired=expired)
        self.answers.put_nowait(verdict)


@dataclass
class Front:
    """One relay listening, and what became of its sessions."""

    server: PostgresServer
    dbname: str
    transcribe: bool = True
    sslmode: str | None = None
    desk: Desk = field(default_factory=Desk)
    mask: SeenMask = field(default_factory=SeenMask)
    journal: Journal = field(default_factory=Journal)
    cancels: Cancels = field(default_factory=Cancels)
    rules: Mapping[str, Style] = field(default_factory=dict)  # masked columns, for the real mask
    judge: Callable[[Statement], Verdict] = judge
    surveyed: bool = False  # ask the server what a statement under review would touch
    ended: asyncio.Queue[InterlockError | None] = field(default_factory=asyncio.Queue)
    port: int = 0
    open: int = 0
    quiet: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.audit = FakeAudit(self.journal)
        self.recorder = FakeRecorder(self.journal)

    def gate(self) -> Gate:
        return Gate(
            session(),
            judge=self.judge,
            reviews=self.desk,
            audit=self.audit,
            recorder=self.recorder,
            new_mask=LineMask,
            redact=lambda text: self.mask.text(text.encode()).decode(),
        )

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ended: InterlockError | None = None
        self.open += 1
        self.quiet.clear()
        try:
            target = self.server.target(self.dbname, self.sslmode)
            upstream = await connect(target, self.server.app_password, SETTINGS)
            masked = await catalogue.masked(upstream, self.rules, "orders")
            real = RowMask(Masking(), masked.styles, b"", tables=masked.tables)
            await relay(
                DuplexOverStreams(reader, writer),
                upstream,
                self.gate(),
                mask=real if self.rules else self.mask,
                cancels=self.cancels,
                identity=replace(ALICE),
                transcribe=self.transcribe,
                tainted=masked.tainted if self.rules else reads_customers,
                survey=Survey(self.beside, lambda text: text) if self.surveyed else None,
            )
        except InterlockError as error:
            ended = error
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
            self.ended.put_nowait(ended)
            self.open -= 1
            if not self.open:
                self.quiet.set()

    async def beside(self, settings: Mapping[str, str]) -> Upstream:
        """A connection of the broker's own."""
        return await beside(self.server, self.dbname, settings)

    async def connect(self, **options: object) -> psycopg.AsyncConnection[tuple[object, ...]]:
        """psycopg through the relay, without a password."""
        conninfo = f"host=127.0.0.1 port={self.port} user=me dbname=any"
        return await psycopg.AsyncConnection.connect(conninfo, autocommit=True, **options)  # type: ignore[arg-type]

    async def raw(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A bare socket to the relay."""
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def over(self) -> InterlockError | None:
        """How the next session ended."""
        async with asyncio.timeout(10):
            return await self.ended.get()

    async def asked(self) -> Statement:
        """The next statement under review."""
        async with asyncio.timeout(10):
            return await self.desk.asked.get()

    def fail(self, port: str) -> None:
        """From now on this port is broken."""
        if port == "mask":
            self.mask.failing = True
        else:
            self.journal.failing = port


@contextlib.asynccontextmanager
async def front(server: PostgresServer, dbname: str, **options: object) -> AsyncIterator[Front]:
    """A relay in front of a database, on a port of its own."""
    made = Front(server, dbname, **options)  # type: ignore[arg-type]
    listener = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = listener.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        listener.close()
        await listener.wait_closed()
        if made.open:
            async with asyncio.timeout(10):
                await made.quiet.wait()


async def beside(server: PostgresServer, dbname: str, settings: Mapping[str, str]) -> Upstream:
    target = server.target(dbname)
    return await connect(target, server.app_password, SETTINGS | dict(settings))


async def count(connection: psycopg.AsyncConnection[tuple[object, ...]]) -> object:
    cursor = await connection.execute("SELECT count(*) FROM orders")
    row = await cursor.fetchone()
    assert row is not None
    return row[0]


async def error_of(
    connection: psycopg.AsyncConnection[tuple[object, ...]], *arguments: Any
) -> psycopg.Error | None:
    try:
        await connection.execute(*arguments)
    except psycopg.Error as error:
        return error
    return None
