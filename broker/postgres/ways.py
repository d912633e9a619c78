"""The ways into a PostgreSQL target, as the front door calls them: consoles, and any driver.

Whatever the way, the statements pass one relay, the same judge and the same mask.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from contextlib import asynccontextmanager
from dataclasses import replace
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
from broker.postgres.early import begun
from broker.postgres.interactive import run_interactive
from broker.postgres.just_in_time import KEEPALIVE, SessionRoles
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
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping
    from contextlib import AbstractAsyncContextManager
    from datetime import timedelta

    from broker.console.client import Client
    from broker.live import Opened
    from broker.mask.rules import Masking
    from broker.model import Identity
    from broker.ports import Audit
    from broker.postgres.early import Connected
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
READ_ONLY = {"default_transaction_read_only": "on"}
REAP_SECONDS = 300.0

log = logging.getLogger("interlock.postgres")


class PostgresWays:
    """Implements the front door's ways for `postgres` targets.

    `secret` reads a secret's source, which may take a while; `only_reads` says of whom no rule
    lets write; `session_ttl` is how long a session's own role can log in.
    """

    def __init__(
        self,
        masking: Callable[[], Masking],
        mask_key: bytes,
        secret: Callable[[SecretSource], str],
        *,
        audit: Audit,
        only_reads: Callable[[Identity, str], bool],
        session_ttl: Callable[[], timedelta],
    ) -> None:
        self._masking = masking
        self._mask_key = mask_key
        self._secret = secret
        self._only_reads = only_reads
        self._session_ttl = session_ttl
        self._cancels = Cancels()
        self._roles = SessionRoles(self._as_ourselves, audit)
        self.lookups = Lookups(self._look)
        self._histories = Histories()
        self._known = Known(utc_now)

    async def watch(self, targets: Callable[[], Iterable[Target]]) -> None:
        """Drop what dead brokers left on the targets, at the start and every now and then."""
        while True:
            for target in targets():
                if isinstance(target, PostgresTarget) and target.role is not None:
                    try:
                        await self._roles.reap(target)
                    except (InterlockError, OSError) as error:
                        log.warning("%s: cannot look for left roles: %s", target.name, error)
            await asyncio.sleep(REAP_SECONDS)

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
                self._known.into(names, session.target, lambda: self._look(_postgres(opened)))
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
            async with opening() as opened, self._access(opened) as connected:
                upstream = await connected(hello.settings)
                told = True
                await self._relay(opened, stream, upstream, replace(hello, settings={}))
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
                await self._relay(opened, duplex, await early(), hello, nonce)

        target = _postgres(opened)
        program = Program(find_psql(), database=target.name, user=opened.session.identity.name)
        async with (
            self._access(opened) as connected,
            begun(connected) as early,
            started(program, serve, nonce) as psql,
        ):
            yield psql

    @asynccontextmanager
    async def _access(self, opened: Opened) -> AsyncIterator[Connected]:
        """How one session connects: as the target's user, or as a role of its own."""
        target, session = _postgres(opened), opened.session
        reads = self._only_reads(session.identity, target.name)
        pinned = {**SETTINGS, **target.settings, **(READ_ONLY if reads else {})}
        name = {"application_name": f"interlock {session.id}"}
        if target.role is None:
            yield lambda more={}: self._connect(target, {**more, **pinned, **name})
            return
        until = utc_now() + self._session_ttl()
        async with self._roles.role(
            session, target, target.role, until=until, settings=pinned
        ) as login:
            yield lambda more={}: self._connect(target, {**more, **pinned, **name}, login)

    async def _connect(
        self,
        target: PostgresTarget,
        settings: Mapping[str, str],
        login: tuple[str, str] | None = None,
    ) -> Upstream:
        """Secrets are read anew each time, so that they can be rotated."""
        user, password = login or (None, await self._read(target, "password", target.password))
        passphrase = await self._read(target, "passphrase", target.sslpassword)
        return await connect(target, password, settings, passphrase=passphrase, user=user)

    async def _as_ourselves(self, target: PostgresTarget) -> Upstream:
        settings = {**SETTINGS, **KEEPALIVE, "application_name": "interlock roles"}
        return await self._connect(target, settings | {"lock_timeout": "5000"})

    async def _read(
        self, target: PostgresTarget, what: str, source: SecretSource | None
    ) -> str | None:
        if source is None:
            return None
        try:
            return await asyncio.to_thread(self._secret, source)
        except InterlockError as error:  # where it comes from is the operator's business
            log.error("%s: the %s cannot be read: %s", target.name, what, error)
            msg = f"the broker cannot read its {what} for {target.name}"
            raise TargetUnreachable(msg) from error

    async def _look(self, target: PostgresTarget) -> Upstream:
        return await self._connect(target, SETTINGS | {"application_name": "interlock catalogue"})

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
        named = {"application_name": f"interlock {session} aside"}
        return await self._connect(target, SETTINGS | named | dict(settings))

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
