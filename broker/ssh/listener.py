"""The port: accepts connections, keeps count of them, and drains them at the end."""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import asyncssh

from broker.errors import InterlockError
from broker.ssh import algorithms
from broker.ssh.auth import Door, FrontDoor
from broker.ssh.serve import Route, say, serve

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence

    from broker.model import Identity
    from broker.ports import Audit
    from broker.ssh.channel import Channel, Request
    from broker.ssh.crowd import Crowd
    from broker.ssh.stream import Stream
    from broker.ssh.visitor import Visitor

log = logging.getLogger("interlock.listener")

LOGIN_SECONDS = 30.0
BACKLOG = 512  # connections that the kernel keeps for us while the loop is busy
READ_SIZE = 64 * 1024  # bytes a turn from one socket: a bulk neighbour must not hold the loop


class Listener:
    """One SSH port. `route` serves session channels, `forward` the forwarded ones.

    `host_keys` gives the host key, and it with the certificate that a client of this version takes.
    """

    def __init__(
        self,
        *,
        host_keys: Callable[[bytes], Sequence[asyncssh.SSHKeyPair]],
        read_certificate: Callable[[asyncssh.SSHCertificate, str], Identity],
        still_valid: Callable[[Identity], bool],
        audit: Audit,
        route: Route,
        forward: Callable[[Visitor, str], Callable[[Stream], Awaitable[None]]],
        crowd: Crowd,
    ) -> None:
        self._host_keys = host_keys
        self._route = route
        self._crowd = crowd
        self._tasks: asyncio.TaskGroup | None = None
        self._work: set[asyncio.Task[None]] = set()
        self._channels: set[Channel] = set()
        self._stopping = False
        self._door = Door(
            host_keys=host_keys,
            read_certificate=read_certificate,
            still_valid=still_valid,
            stopping=lambda: self._stopping,
            audit=audit,
            spawn=self._spawn,
            serve=self._serve,
            forward=forward,
            crowd=crowd,
        )

    @asynccontextmanager
    async def listening(self, host: str, port: int) -> AsyncIterator[tuple[str, int]]:
        """Accept connections inside the block; gives the address really bound."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            server = await _bound(
                host,
                port,
                server_factory=lambda: FrontDoor(self._door),
                server_host_keys=self._host_keys(b""),
                config=None,
                encoding=None,
                line_editor=False,
                kex_algs=algorithms.KEY_EXCHANGE,
                encryption_algs=algorithms.ENCRYPTION,
                mac_algs=algorithms.MACS,
                signature_algs=algorithms.SIGNATURES,
                compression_algs=None,
                password_auth=False,
                host_based_auth=False,
                gss_host=None,
                agent_forwarding=False,
                x11_forwarding=False,
                allow_scp=False,
                login_timeout=LOGIN_SECONDS,
                keepalive_interval=30,
                server_version="Interlock",
                backlog=BACKLOG,
            )
            try:
                yield server.sockets[0].getsockname()[:2]
            finally:
                server.close()
                await server.wait_closed()
                for task in self._work:
                    task.cancel()

    async def drain(self, seconds: float) -> None:
        """No new sessions; running ones are told, and have that long to end by themselves."""
        self._stopping = True
        for channel in list(self._channels):
            with suppress(ConnectionError, TimeoutError):
                async with asyncio.timeout(1):
                    await say(channel, f"interlock: the broker is stopping in {seconds:.0f} s")
        if self._work:
            await asyncio.wait(self._work, timeout=seconds)
        for task in list(self._work):
            task.cancel()
        for connection in list(self._crowd):
            connection.disconnect("the broker is stopping")

    # -- what connections ask -------------------------------------------------------------------

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        if self._tasks is None:
            work.close()
            return
        task = self._tasks.create_task(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)

    async def _serve(self, visitor: Visitor, channel: Channel, request: Request) -> None:
        self._channels.add(channel)
        try:
            await serve(self._route, visitor, channel, request)
        finally:
            self._channels.discard(channel)


async def _bound(host: str, port: int, **options: Any) -> asyncssh.SSHAcceptor:  # noqa: ANN401
    try:
        return await asyncssh.listen(host, port, **options)
    except OSError as error:
        why = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        msg = f"cannot listen on {host}:{port}: {why or error}"
        raise InterlockError(msg) from error
