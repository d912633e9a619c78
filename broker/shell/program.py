"""One local process and its group: started, signalled, waited for, and never left behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from typing import TYPE_CHECKING, Any

from broker.shell.runner import CHUNK

if TYPE_CHECKING:
    from broker.shell.runner import Reader, Writer


class _Protocol(asyncio.subprocess.SubprocessStreamProtocol):
    """Says when the process ended, though others still hold its pipes.

    asyncio's own `Process.wait` waits for the pipes, too.
    """

    def __init__(self) -> None:
        super().__init__(limit=CHUNK, loop=asyncio.get_running_loop())
        self.ended = asyncio.Event()

    def process_exited(self) -> None:
        self.ended.set()
        super().process_exited()


class Program:
    """A process that leads a group of its own."""

    def __init__(self, transport: asyncio.SubprocessTransport, protocol: _Protocol) -> None:
        self._transport = transport
        self._protocol = protocol
        self._pid = transport.get_pid()
        self.ended = protocol.ended

    @classmethod
    async def start(cls, argv: list[str], **options: Any) -> Program:  # noqa: ANN401 - passed on
        """Start it; OSError when that cannot be."""
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.subprocess_exec(_Protocol, *argv, **options)
        return cls(transport, protocol)

    def output(self, descriptor: int) -> Reader:
        """Its standard output (1) or error (2), which must be pipes."""
        reader = self._protocol.stdout if descriptor == 1 else self._protocol.stderr
        if reader is None:
            msg = "the program was started without this pipe"
            raise ValueError(msg)
        return reader

    def input(self) -> Writer | None:
        """Its standard input, if that is a pipe."""
        writer = self._protocol.stdin
        return None if writer is None else _Input(writer)

    @property
    def status(self) -> int:
        """Its exit status, or 128 and the number of the signal that ended it."""
        code = self._transport.get_returncode() or 0
        return 128 - code if code < 0 else code

    def signal(self, name: str) -> None:
        """Send a signal by name to its group; before it has one, to itself."""
        number = getattr(signal, f"SIG{name}", None)
        if isinstance(number, signal.Signals) and not self.ended.is_set():
            self._send(number)

    def kill_group(self) -> None:
        """Kill what is left of its group."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._pid, signal.SIGKILL)

    async def close(self) -> None:
        """Make sure that it ended, with its group, and let go of its pipes."""
        if not self.ended.is_set():
            self._send(signal.SIGKILL)
            self.kill_group()
            await self.ended.wait()
        self._transport.close()

    def _send(self, number: int) -> None:
        try:
            os.killpg(self._pid, number)
        except ProcessLookupError:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, number)


class _Input:
    """A process's input; its end closes the pipe."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer

    def write(self, data: bytes, /) -> None:
        self._writer.write(data)

    async def drain(self) -> None:
        await self._writer.drain()

    def write_eof(self) -> None:
        self._writer.close()
