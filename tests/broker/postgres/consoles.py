"""Real psql in its sandbox, in front of the real relay and server, with one gate over all."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from broker.console.client import Terminal
from broker.gate import Gate
from broker.model import Answer, Verdict
from broker.postgres.cancel import Cancels
from broker.postgres.console import CLOSING
from broker.postgres.program import find_psql
from broker.postgres.psql import Program, started
from broker.postgres.relay import relay
from broker.postgres.sandbox import Sandbox
from broker.postgres.startup import DuplexOverStreams, greet
from broker.postgres.upstream import connect
from broker.wire.startup import Cancel
from tests.broker.console.fake_client import FakeClient
from tests.broker.postgres import harness
from tests.broker.postgres.harness import SETTINGS, Desk
from tests.broker.wire.masker import SeenMask
from tests.fakes import ALICE, FakeAudit, FakeMask, FakeRecorder, Journal, session

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator

    from broker.model import Statement
    from broker.postgres.psql import Psql
    from tests.fixtures.postgres import PostgresServer


def judge(statement: Statement) -> Verdict:
    """The harness's rules, with psql's own look into the catalogue allowed."""
    if "pg_catalog." in statement.text:
        return Verdict(Answer.ALLOW, "catalogue", "psql's own")
    return harness.judge(statement)


@dataclass
class World:
    """One session: what the broker has for it, and what a test wants to look at."""

    server: PostgresServer
    dbname: str
    journal: Journal = field(default_factory=Journal)
    desk: Desk = field(default_factory=Desk)
    cancels: Cancels = field(default_factory=Cancels)

    def __post_init__(self) -> None:
        self.recorder = FakeRecorder(self.journal)
        self.audit = FakeAudit(self.journal)
        self.gate = Gate(
            session(),
            judge=judge,
            reviews=self.desk,
            audit=self.audit,
            recorder=self.recorder,
            new_mask=lambda: FakeMask(self.journal),
            redact=lambda text: text,
        )

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one of psql's connections, as the broker does."""
        duplex = DuplexOverStreams(reader, writer)
        hello = await greet(duplex)
        if isinstance(hello, Cancel):
            await self.cancels.cancel(hello.key, ALICE)
        elif hello is not None:
            target = self.server.target(self.dbname)
            upstream = await connect(target, self.server.app_password, SETTINGS)
            await relay(
                duplex,
                upstream,
                self.gate,
                mask=SeenMask(),
                cancels=self.cancels,
                identity=ALICE,
                transcribe=False,
                hello=hello,
                closing=CLOSING.encode(),
            )


@dataclass
class Sink:
    """What psql wrote, kept."""

    shown: bytes = b""
    errors: bytes = b""

    async def output(self, data: bytes) -> None:
        self.shown += data

    async def error(self, data: bytes) -> None:
        self.errors += data


async def told(psql: Psql, *lines: str, meta: bool = False) -> Sink:
    """Give psql lines; what it wrote."""
    sink = Sink()
    give = psql.run_meta if meta else psql.send
    for line in lines:
        await give(line, output=sink.output, error=sink.error)
    return sink


@contextlib.asynccontextmanager
async def psql_of(world: World, sandbox: Sandbox | None = None) -> AsyncIterator[Psql]:
    """Psql in front of a world."""
    program = Program(find_psql(), database="orders", sandbox=sandbox or Sandbox())
    async with started(program, world.serve) as psql:
        yield psql


def person(columns: int = 80, rows: int = 24) -> FakeClient:
    """A client with a terminal."""
    return FakeClient(terminal=Terminal("xterm-256color", columns, rows))
