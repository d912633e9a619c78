"""The ways into a PostgreSQL target, as the front door calls them: consoles, and any driver.

Whatever the way, the statements pass one relay, the same judge and the same mask.
"""

from __future__ import annotations

import asyncio
import secrets
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from broker.clock import utc_now
from broker.console.history import Histories
from broker.errors import Denied, EvidenceFailure, InterlockError, TargetUnreachable, TryLater
from broker.mask.rows import RowMask
from broker.model import Language, Statement
from broker.postgres import catalogue
from broker.postgres.cancel import Cancels
from broker.postgres.console import CLOSING, run_command, run_script
from broker.postgres.dry_run import dry_run
from broker.postgres.interactive import run_interactive
from broker.postgres.known import Known, Names
from broker.postgres.lookup import Lookups
from broker.postgres.program import find_psql
from broker.postgres.psql import Program, started
from broker.postgres.relay import relay
from broker.postgres.startup import DuplexOverStreams, greet
from broker.postgres.survey import Survey
from broker.postgres.upstream import connect
from broker.targets import PostgresTarget
from broker.wire import notices
from broker.wire.startup import Cancel

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from contextlib import AbstractAsyncContextManager

    from broker.console.client import Client
    from broker.live import Opened
    from broker.mask.rules import Masking
    from broker.model import Identity
    from broker.postgres.psql import Psql
    from broker.postgres.startup import Duplex
    from broker.postgres.upstream import Upstream
    from broker.review.life import Review
    from broker.targets import SecretSource, Target
    from broker.wire.startup import Hello

SETTINGS = {
    "search_path": "public",
    "standard_conforming_strings": "on",
    "client_encoding": "UTF8",
}


class PostgresWays:
    """Implements the front door's ways for `postgres` targets.

    `secret` reads a secret's source.
    """

    def __init__(
        self,
        masking: Callable[[], Masking],
        mask_key: bytes,
        secret: Callable[[SecretSource], str],
    ) -> None:
        self._masking = masking
        self._mask_key = mask_key
        self._secret = secret
        self._cancels = Cancels()
        self.lookups = Lookups(self._look)
        self._histories = Histories()
        self._known = Known(utc_now)

    async def console(self, opened: Opened, client: Client, command: str | None) -> int:
        """psql for a person, one SQL text, or a script on standard input."""
        async with self._psql(opened) as psql:
            if command is not None:
                await self.lookups.reader.prepare(command)
                return await run_command(client, opened.gate, psql, command)
            if client.terminal is not None:
                return await self._interactive(opened, client, psql)
            return await run_script(client, opened.gate, psql)

    async def _interactive(self, opened: Opened, client: Client, psql: Psql) -> int:
        """A person at a prompt; what may be completed is looked up while they begin to type."""
        session = opened.session
        names = Names()
        failure: Exception | None = None  # raised outside, where no group wraps it
        code = 0
        async with asyncio.TaskGroup() as group:
            looking = group.create_task(
                self._known.into(names, session.target, lambda: self._connected(opened))
            )
            try:
                code = await run_interactive(
                    client,
                    opened.gate,
                    psql,
                    session.target,
                    history=self._histories.of(str(session.identity), session.target),
                    names=names,
                )
            except Exception as error:  # noqa: BLE001 - raised again below
                failure = error
            finally:
                looking.cancel()
        if failure is not None:
            raise failure
        return code

    async def forward(
        self,
        stream: Duplex,
        identity: Identity,
        opening: Callable[[], AbstractAsyncContextManager[Opened]],
    ) -> None:
        """Any client through ``ssh -L``. Failures before the relay are told in the protocol."""
        hello = await greet(stream)
        if isinstance(hello, Cancel):
            await self._cancels.cancel(hello.key, identity)
            return
        if hello is None:
            return
        told = False
        try:
            async with opening() as opened:
                upstream = await self._connected(opened)
                told = True
                await self._relay(opened, stream, upstream, hello)
        except InterlockError as error:
            if not told:
                stream.write(notices.fatal(_code(error), f"interlock: {error}"))
                await stream.drain()
            raise

    @asynccontextmanager
    async def _psql(self, opened: Opened) -> AsyncIterator[Psql]:
        nonce = secrets.token_hex(16)

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            duplex = DuplexOverStreams(reader, writer)
            hello = await greet(duplex)
            if isinstance(hello, Cancel):
                await self._cancels.cancel(hello.key, opened.session.identity)
                duplex.close()
            elif hello is not None:
                upstream = await self._connected(opened)
                await self._relay(opened, duplex, upstream, hello, nonce)

        target = _postgres(opened)
        program = Program(find_psql(), database=target.name, user=opened.session.identity.name)
        async with started(program, serve, nonce) as psql:
            yield psql

    async def _connected(self, opened: Opened) -> Upstream:
        return await self._connect(_postgres(opened), opened.session.id)

    async def _look(self, target: PostgresTarget) -> Upstream:
        return await self._connect(target, "catalogue")

    async def _connect(self, target: PostgresTarget, name: str) -> Upstream:
        password = self._secret(target.password) if target.password is not None else None
        return await connect(target, password, SETTINGS | {"application_name": f"interlock {name}"})

    async def try_out(
        self, targets: Callable[[str], Target | None], review: Review
    ) -> tuple[int | None, str]:
        """The exact number of rows that what waits would change; or None, and why not."""
        target = targets(review.target)
        if not isinstance(target, PostgresTarget):
            return None, "only statements on a database can be tried out"
        statement = Statement(Language.SQL, review.statement, review.values)
        connect = partial(self.beside, target, review.session)
        found = await dry_run(connect, statement, review.impact.parameters)
        return found.rows, found.why_not

    async def beside(
        self, target: Target | None, session: str, settings: Mapping[str, str]
    ) -> Upstream:
        """A connection of ours as the session's own, for looking at what it would do."""
        if not isinstance(target, PostgresTarget):
            raise TypeError(target)
        password = self._secret(target.password) if target.password is not None else None
        named = {"application_name": f"interlock {session} aside"}
        return await connect(target, password, SETTINGS | named | dict(settings))

    async def _relay(
        self, opened: Opened, stream: Duplex, upstream: Upstream, hello: Hello, marker: str = ""
    ) -> None:
        """One connection to its end; with a `marker`, that of a console of ours."""
        masking = self._masking()
        masked = await catalogue.masked(upstream, masking.columns, opened.session.target)
        async with self.lookups.watching(_postgres(opened), upstream) as watch:
            await relay(
                stream,
                upstream,
                opened.gate,
                mask=RowMask(masking, masked.styles, self._mask_key, tables=masked.tables),
                cancels=self._cancels,
                identity=opened.session.identity,
                transcribe=not marker,
                tainted=masked.tainted,
                survey=Survey(
                    partial(self.beside, opened.target, opened.session.id), opened.gate.redact
                ),
                hello=hello,
                closing=CLOSING.encode() if marker else b"",
                marker=marker.encode(),
                watch=watch,
            )


def _postgres(opened: Opened) -> PostgresTarget:
    if not isinstance(opened.target, PostgresTarget):
        raise TypeError(opened.target)
    return opened.target


def _code(error: InterlockError) -> str:
    if isinstance(error, TargetUnreachable):
        return notices.LOST
    if isinstance(error, EvidenceFailure):
        return notices.FAULT
    if isinstance(error, TryLater):
        return notices.TOO_MANY
    return notices.DENIED if isinstance(error, Denied) else notices.PROTOCOL
