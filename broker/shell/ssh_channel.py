"""One command's channel on an ssh target, with bounds on what it holds in memory.

asyncssh's own streams open the window again for each chunk that a paused reader is given, though
all the rest still waits: a slow reader made it hold the whole output. Here reading goes on only
once what waits is (nearly) used up, and then all that asyncssh holds is taken at once, so that
never more than two windows are held.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import TYPE_CHECKING

import asyncssh

from broker.transport.adoption import adopt

if TYPE_CHECKING:
    from broker.console.client import Terminal

HIGH = 256 * 1024  # bytes held at which reading stops
LOW = 64 * 1024  # bytes held at which it goes on


class Output:
    """One of the command's two output streams."""

    def __init__(self, channel: SshChannel) -> None:
        self._channel = channel
        self._chunks: deque[bytes] = deque()
        self._news = asyncio.Event()
        self._ended = False

    async def read(self, n: int, /) -> bytes:
        """Up to `n` bytes, ``b""`` at the end."""
        while not self._chunks and not self._ended:
            self._news.clear()
            await self._news.wait()
        if not self._chunks:
            return b""
        chunk = self._chunks.popleft()
        if len(chunk) > n:
            self._chunks.appendleft(chunk[n:])
            chunk = chunk[:n]
        self._channel.taken(len(chunk))
        return chunk

    def add(self, data: bytes) -> None:
        """More has come."""
        self._chunks.append(data)
        self._news.set()

    def end(self) -> None:
        """No more comes."""
        self._ended = True
        self._news.set()


class SshChannel(asyncssh.SSHClientSession[bytes]):
    """The command as a session sees it: two outputs, an input, and how it ended."""

    def __init__(self) -> None:
        self.stdout = Output(self)
        self.stderr = Output(self)
        self.exit_status: int | None = None
        self.exit_signal: str | None = None
        self.closed = asyncio.Event()
        self._channel: asyncssh.SSHClientChannel[bytes] | None = None
        self._held = 0
        self._paused = False
        self._taking_all = False
        self._writable = asyncio.Event()
        self._writable.set()

    @property
    def is_open(self) -> bool:
        """Did the target open it? From then on it may have been asked to start the command."""
        return self._channel is not None

    async def start(
        self,
        connection: asyncssh.SSHClientConnection,
        command: str,
        terminal: Terminal | None = None,
    ) -> None:
        """Start a command; with a terminal, in one of its kind."""
        await connection.create_session(
            lambda: self,
            command,
            encoding=None,
            term_type=(terminal.type or "dumb") if terminal else None,
            term_size=(terminal.columns, terminal.rows) if terminal else (),
        )

    # -- what asyncssh calls -------------------------------------------------------------------

    def connection_made(self, chan: asyncssh.SSHClientChannel[bytes]) -> None:
        self._channel = chan
        adopt(chan)

    def data_received(self, data: bytes, datatype: int | None) -> None:
        output = self.stdout if datatype is None else self.stderr
        output.add(data)
        self._held += len(data)
        self._pause_if_full()

    def eof_received(self) -> bool:
        self.stdout.end()
        self.stderr.end()
        return True  # our end stays open: the command may still read

    def exit_status_received(self, status: int) -> None:
        self.exit_status = status

    def exit_signal_received(self, signal: str, core_dumped: bool, msg: str, lang: str) -> None:
        self.exit_signal = signal

    def connection_lost(self, exc: Exception | None) -> None:
        self.eof_received()
        self._writable.set()
        self.closed.set()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    # -- what a session calls ------------------------------------------------------------------

    def taken(self, size: int) -> None:
        """So much was used up: perhaps more may come."""
        self._held -= size
        if self._paused and self._held <= LOW and self._channel is not None:
            self._paused = False
            self._taking_all = True
            self._channel.resume_reading()
            self._taking_all = False
            self._pause_if_full()

    def write(self, data: bytes, /) -> None:
        """The command's input; OSError when it takes no more."""
        self._open().write(data)

    async def drain(self) -> None:
        """Wait until most of it was sent: until the target's window and our socket take more."""
        await self._writable.wait()
        pressure = self._open().get_extra_info("pressure")
        if pressure is not None:
            await pressure.relieved()
            self._open()

    def write_eof(self) -> None:
        """No more input comes."""
        self._open().write_eof()

    def resize(self, size: Terminal) -> None:
        """The client's window changed."""
        with contextlib.suppress(OSError):
            self._open().change_terminal_size(size.columns, size.rows)

    def close(self) -> None:
        """Close the channel, whatever still runs."""
        if self._channel is not None:
            self._channel.close()

    def _open(self) -> asyncssh.SSHClientChannel[bytes]:
        if self._channel is None or self.closed.is_set():
            raise BrokenPipeError
        return self._channel

    def _pause_if_full(self) -> None:
        if self._held > HIGH and not self._paused and not self._taking_all and self._channel:
            self._paused = True
            self._channel.pause_reading()
