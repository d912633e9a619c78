"""Puts a new connection or channel on the fast path, or leaves it as asyncssh made it.

asyncssh builds these objects itself and has no place to say of which class. An object's class is
changed instead, at the first moment that we see it: before any packet of it has passed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import asyncssh

from broker.transport.channel import FastClientChannel, FastServerChannel, FastTCPChannel
from broker.transport.connection import FastClientConnection, FastServerConnection
from broker.transport.known import is_known
from broker.transport.pressure import Pressure

if TYPE_CHECKING:
    from collections.abc import Mapping

CIPHERS = [  # for connections of ours, where our order wins: the fast one first
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "chacha20-poly1305@openssh.com",
    "aes256-ctr",
    "aes192-ctr",
    "aes128-ctr",
]
_FAST: Mapping[type[object], type[object]] = {
    asyncssh.SSHClientConnection: FastClientConnection,
    asyncssh.SSHServerConnection: FastServerConnection,
    asyncssh.SSHClientChannel: FastClientChannel,
    asyncssh.SSHServerChannel: FastServerChannel,
    asyncssh.SSHTCPChannel: FastTCPChannel,
}


def adopt(made: Any) -> None:  # noqa: ANN401 - one of five classes, or any other
    """Make it fast, if we know how. Call it in `connection_made`."""
    fast = _FAST.get(type(made))
    if fast is not None and is_known():
        made.__class__ = fast


class Fast(asyncssh.SSHClient):
    """The owner of a connection to a target: the fast path, and writers that wait for its socket.

    Its sessions find the pressure as ``channel.get_extra_info("pressure")``.
    """

    def __init__(self) -> None:
        self._pressure = Pressure()

    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
        """Before anything was sent."""
        adopt(conn)
        self._pressure.attach(conn)
        conn.set_extra_info(pressure=self._pressure)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody may wait any longer."""
        self._pressure.release()
