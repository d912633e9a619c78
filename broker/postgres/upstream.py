"""The broker's own connection to a PostgreSQL target; the client never sees its credential."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from broker.errors import ProtocolError, TargetUnreachable
from broker.postgres import server_kind
from broker.postgres.dial import Elsewhere, dial
from broker.postgres.login import Refusal, log_in, refused
from broker.postgres.tls import not_proven
from broker.wire import messages, startup
from broker.wire.rows import read_cells

if TYPE_CHECKING:
    from collections.abc import Mapping

    from broker.postgres.dial import Address
    from broker.targets import PostgresTarget
    from broker.wire.messages import Message

CONNECT_SECONDS = 20.0
CANCEL_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Login:
    """As whom, and with what; `passphrase` is that of the client certificate's key."""

    user: str | None = None
    password: str | None = field(default=None, repr=False)
    passphrase: str | None = field(default=None, repr=False)


class Upstream:
    """One logged-in connection. `query` is for us, before a client's conversation takes over."""

    def __init__(
        self,
        target: PostgresTarget,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        login: Login | None = None,
        at: Address | None = None,
    ) -> None:
        self.target = target
        self.reader = reader
        self.writer = writer
        self.at = at or target.addresses[0]
        self._login = login or Login()
        self.parameters: dict[str, str] = {}
        self.key = b""
        self.idle = True  # no answer to a `query` is under way
        self._frames = messages.Frames(messages.FROM_SERVER)

    @property
    def user(self) -> str:
        """The role that we are there."""
        return self._login.user or self.target.user

    @property
    def pid(self) -> int:
        """The server process behind this connection."""
        return int.from_bytes(self.key[:4], "big")

    async def receive(self) -> Message:
        """The next message of the server; an error ends the login, so it is raised."""
        while (message := self._frames.next()) is None:
            data = b""
            try:
                data = await self.reader.read(65536)
            except ssl.SSLError as error:  # a refused client certificate comes as late as this
                raise TargetUnreachable(not_proven(self.target, self.at[0], error)) from error
            except ConnectionError:
                pass
            if not data:
                msg = f"{self.target.name} closed the connection"
                raise TargetUnreachable(msg)
            self._frames.feed(data)
        if message.kind == "E":
            raise refused(self, message.body)
        if message.kind == "S":
            body = messages.Body(message.body)
            name, value = body.cstring(), body.cstring()
            self.parameters[name.decode()] = value.decode("utf-8", "replace")
        return message

    async def query(self, text: str) -> list[list[bytes | None]]:
        """Run one text of our own; its rows as text. Any error raises TargetUnreachable."""
        self.writer.write(messages.query(text))
        self.idle = False
        rows: list[list[bytes | None]] = []
        columns = 0
        problem: TargetUnreachable | None = None
        while not self.idle:
            try:
                message = await self.receive()
            except Refusal as error:
                problem = problem or error
                continue
            if message.kind == "T":
                columns = messages.Body(message.body).counted()
            elif message.kind == "D":
                rows.append(read_cells(message.body, columns))
            self.idle = message.kind == "Z"
        if problem is not None:
            raise problem
        return rows

    def leftover(self) -> bool:
        """Are there bytes that came unasked? There must be none when a client takes over."""
        return self._frames.buffered > 0

    async def cancel(self) -> None:
        """Ask the server to stop the running statement; returns when the request was taken."""
        with contextlib.suppress(TargetUnreachable, OSError, TimeoutError):
            async with asyncio.timeout(CANCEL_SECONDS):
                peer = self.writer.get_extra_info("peername")
                reader, writer = await dial(
                    self.target,
                    self.at,
                    passphrase=self._login.passphrase,
                    peer=peer[0] if isinstance(peer, tuple) else None,
                )
                try:
                    writer.write(startup.cancel_request(self.key))
                    await reader.read()  # the server closes it once the signal is sent
                finally:
                    writer.transport.abort()

    def abort(self) -> None:
        """Close at once: what was not sent yet never is."""
        self.writer.transport.abort()

    async def close(self) -> None:
        """Send what is left, then close."""
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(CANCEL_SECONDS):
                await self.writer.drain()
                self.writer.close()
                await self.writer.wait_closed()
        self.abort()


async def connect(
    target: PostgresTarget,
    password: str | None,
    settings: Mapping[str, str],
    *,
    passphrase: str | None = None,
    user: str | None = None,
) -> Upstream:
    """Connect and log in with these settings pinned. Raises TargetUnreachable in one sentence.

    The target's addresses are tried in order, until one is there and as `session_attrs` wants it;
    a refused password or certificate is final. `user` is the target's own unless given.
    """
    login = Login(user, password, passphrase)
    problems: list[str] = []
    for wanted in server_kind.wanted(target.session_attrs):
        for at in target.addresses:
            try:
                upstream = await _at(target, at, login, settings)
            except Elsewhere as error:
                problems.append(str(error))
                continue
            try:
                if await server_kind.serves(upstream, wanted, pinned=settings):
                    return upstream
            except BaseException:
                upstream.abort()
                raise
            await upstream.close()
            problems.append(f"{target.name} is not {wanted} at {at[0]}:{at[1]}")
    raise TargetUnreachable("; ".join(dict.fromkeys(problems)))


async def _at(
    target: PostgresTarget, at: Address, login: Login, settings: Mapping[str, str]
) -> Upstream:
    """Logged in at one address. `Elsewhere` when another one may do."""
    upstream: Upstream | None = None
    seconds = target.connect_timeout or CONNECT_SECONDS
    try:
        async with asyncio.timeout(seconds):
            streams = await dial(target, at, passphrase=login.passphrase)
            upstream = Upstream(target, *streams, login=login, at=at)
            await log_in(upstream, login.password, settings)
    except BaseException as error:
        if upstream is not None:
            upstream.abort()
        if isinstance(error, TimeoutError):
            msg = f"{target.name} did not answer in {seconds:.0f} seconds"
            raise Elsewhere(msg) from error
        if isinstance(error, (OSError, ProtocolError)):
            msg = f"{target.name} does not speak PostgreSQL's protocol as we do"
            raise TargetUnreachable(msg) from error
        raise
    return upstream
