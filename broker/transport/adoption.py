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
    """The owner of a client connection that only asks for the fast path."""

    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
        """Before anything was sent."""
        adopt(conn)
