"""One SSH session channel as a console's Client: bytes in and out, with real backpressure."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import asyncssh

from broker.console.client import Terminal
from broker.ssh.intake import Intake
from broker.transport.adoption import adopt

if TYPE_CHECKING:
    from collections.abc import Callable

    from broker.transport.pressure import Pressure
    from broker.transport.turns import Turns

ENVIRONMENT = ("INTERLOCK_REASON", "INTERLOCK_FORMAT")
REASON_LIMIT = 500


@dataclass(frozen=True, slots=True)
class Request:
    """What the client asked of a channel: exactly one of the three, `shell` when neither is set."""

    command: str | None = None
    subsystem: str | None = None


class Channel(asyncssh.SSHServerSession[bytes]):
    """Implements `broker.console.client.Client` over one session channel.

    `begin` is called once, when the client has said what it wants; it must not block.
    """

    def __init__(
        self, begin: Callable[[Channel, Request], None], pressure: Pressure, turns: Turns
    ) -> None:
        self._begin = begin
        self._pressure = pressure
        self._turn_out, self._turn_in = turns.stream(), turns.stream()
        self._chan: asyncssh.SSHServerChannel[bytes] | None = None
        self._request = Request()
        self._terminal: Terminal | None = None
        self._intake = Intake()
        self._writable = asyncio.Event()
        self._writable.set()
        self._resize: Callable[[Terminal], None] | None = None
        self._signal: Callable[[str], None] | None = None
        self._gone: Callable[[], None] | None = None
        self._apart = False

    # -- asyncssh's callbacks ------------------------------------------------------------------

    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        """Keep the channel."""
        self._chan = chan
        adopt(chan)
        self._intake.attach(chan)

    def pty_requested(
        self, term_type: str, term_size: tuple[int, int, int, int], term_modes: object
    ) -> bool:
        """A terminal of this type and size; its modes are ours to choose."""
        columns, rows = _sane(term_size[0], 80), _sane(term_size[1], 24)
        self._terminal = Terminal(term_type[:64] or "dumb", columns, rows)
        return True

    def shell_requested(self) -> bool:
        """An interactive session, or a script on standard input."""
        return True

    def exec_requested(self, command: str) -> bool:
        """One command."""
        self._request = Request(command=command)
        return True

    def subsystem_requested(self, subsystem: str) -> bool:
        """Accepted only so that the refusal can be a sentence."""
        self._request = Request(subsystem=subsystem)
        return True

    def session_started(self) -> None:
        """The client has said what it wants."""
        self._begin(self, self._request)

    def data_received(self, data: bytes, datatype: int | None) -> None:
        """Bytes typed or piped in."""
        self._intake.add(data)

    def eof_received(self) -> bool:
        """The client's input ended; our output goes on."""
        self._intake.end()
        return True

    def terminal_size_changed(self, width: int, height: int, pixwidth: int, pixheight: int) -> None:
        """The window changed."""
        if self._terminal is not None:
            self._terminal = Terminal(self._terminal.type, _sane(width, 80), _sane(height, 24))
            if self._resize is not None:
                self._resize(self._terminal)

    def signal_received(self, signal: str) -> None:
        """The client sent a signal by name."""
        if self._signal is not None:
            self._signal(signal)

    def break_received(self, msec: int) -> bool:
        """A break is what Ctrl-C is on a serial line."""
        self.signal_received("INT")
        return True

    def pause_writing(self) -> None:
        """The channel's window is full."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """The channel takes bytes again."""
        self._writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone: wake whoever waits."""
        self._intake.lose()
        self._writable.set()
        if self._gone is not None:
            self._gone()

    # -- Client --------------------------------------------------------------------------------

    @property
    def terminal(self) -> Terminal | None:
        """The terminal as it is now, or None."""
        return self._terminal

    @property
    def json(self) -> bool:
        """Did the client set ``INTERLOCK_FORMAT=json``?"""
        return self.environment("INTERLOCK_FORMAT") == "json"

    def quiet_since(self) -> float:
        """When anything came or went here last, by the monotonic clock."""
        return self._intake.last

    def environment(self, name: str) -> str:
        """A variable that clients may send (`ENVIRONMENT`), or an empty string."""
        if self._chan is None or name not in ENVIRONMENT:
            return ""
        return str(self._chan.get_environment().get(name, ""))[:REASON_LIMIT]

    async def read(self) -> bytes:
        """The next bytes, ``b""`` at the end of input; ConnectionError when the client is gone."""
        await self._turn_in.due()
        data = await self._intake.read()
        self._turn_in.moved(len(data))
        return data

    async def write(self, data: bytes) -> None:
        """Standard output; returns when channel and socket have taken it and others had a turn."""
        await self._write(data, None)

    def keep_apart(self) -> None:
        """Standard error on its own even with a terminal: standard output may be a file."""
        self._apart = True

    async def write_error(self, data: bytes) -> None:
        """Standard error; with a terminal it is the terminal, unless kept apart."""
        merged = self._terminal is not None and not self._apart
        kind = None if merged else asyncssh.EXTENDED_DATA_STDERR
        await self._write(data, kind)

    def on_resize(self, call: Callable[[Terminal], None] | None) -> None:
        """One listener for window changes."""
        self._resize = call

    def on_signal(self, call: Callable[[str], None] | None) -> None:
        """One listener for signals."""
        self._signal = call

    def on_gone(self, call: Callable[[], None] | None) -> None:
        """One listener for the client's going away; called at once when it is gone already."""
        self._gone = call
        if self._intake.lost and call is not None:
            call()

    async def finish(self, code: int) -> None:
        """Send the exit status after all output, and close."""
        if self._chan is None or self._intake.lost:
            return
        self._chan.set_write_buffer_limits(high=0)
        await self._writable.wait()
        self._chan.exit(code)

    async def _write(self, data: bytes, kind: int | None) -> None:
        if self._intake.lost or self._chan is None:
            raise ConnectionResetError
        if not data:
            return
        self._intake.last = time.monotonic()
        try:
            self._chan.write(data, kind)
        except OSError as error:
            raise ConnectionResetError from error
        await self._writable.wait()
        await self._pressure.relieved()
        self._turn_out.moved(len(data))
        await self._turn_out.due()


def _sane(cells: int, default: int) -> int:
    return min(cells, 1000) if cells > 0 else default
