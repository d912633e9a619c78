"""Writes that are cut into packets where they lie, as far as the peer's window goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncssh
from asyncssh.channel import SSHChannel

from broker.transport.connection import FastConnection

if TYPE_CHECKING:
    Base = SSHChannel[bytes]
else:
    Base = SSHChannel


class FastChannel(Base):
    """What the three kinds of channels share."""

    def write(self, data: bytes, datatype: int | None = None) -> None:
        """Send what the window allows at once; what is left waits in asyncssh's buffer."""
        connection = self._conn
        if (
            self._send_state == "open"
            and not self._send_buf
            and self._encoding is None
            and (datatype is None or datatype in self._write_datatypes)
            and isinstance(connection, FastConnection)
        ):
            size = min(len(data), self._send_window)
            if size:
                self._send_window -= size
                connection.send_data(self, memoryview(data)[:size], datatype)
                data = data[size:]
                if not data:
                    return
        super().write(data, datatype)

    def _flush_send_buf(self) -> None:
        """The same for what waited; the ends of output and channel are asyncssh's to send."""
        connection = self._conn
        while self._send_buf and self._send_window and isinstance(connection, FastConnection):
            buffer, datatype = self._send_buf[0]
            size = min(len(buffer), self._send_window)
            if size == len(buffer):
                data = bytes(buffer)
                del self._send_buf[0]
            else:
                data = bytes(memoryview(buffer)[:size])
                del buffer[:size]
            self._send_buf_len -= size
            self._send_window -= size
            connection.send_data(self, memoryview(data), datatype)
        super()._flush_send_buf()


class FastServerChannel(FastChannel, asyncssh.SSHServerChannel[bytes]):
    """A session that a client has with us."""


class FastClientChannel(FastChannel, asyncssh.SSHClientChannel[bytes]):
    """A command of ours on a target."""


class FastTCPChannel(FastChannel, asyncssh.SSHTCPChannel[bytes]):
    """A forwarded connection."""
