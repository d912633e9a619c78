"""An OpenSSH server as a target: one connection a session, one channel a line."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from typing import TYPE_CHECKING

import asyncssh

from broker.console.telling import PREFIX
from broker.errors import TargetUnreachable
from broker.shell.runner import copy_in, copy_out, one_error
from broker.shell.upstream import Upstream

if TYPE_CHECKING:
    from collections.abc import Iterator

    from broker.console.client import Terminal
    from broker.shell.credentials import Credentials
    from broker.shell.runner import Controls, Sink, Source
    from broker.shell.ssh_channel import SshChannel
    from broker.targets import SshTarget

KILL_TIMEOUT = 5.0  # seconds that killing may take when a session ends
HEAD = 32  # bytes of the line that holds a process number
SIGNALS = frozenset(["HUP", "INT", "KILL", "QUIT", "TERM", "USR1", "USR2"])
AGAIN = "the connection to the target was lost, and made again"


class SshRunner:
    """Runs the lines of one session of an `ssh` target."""

    has_shell = True

    def __init__(self, target: SshTarget, credentials: Credentials) -> None:
        self._upstream = Upstream(target, credentials)

    async def run(
        self,
        command: str,
        *,
        stdin: Source | None,
        stdout: Sink,
        stderr: Sink,
        terminal: Terminal | None,
        controls: Controls,
    ) -> int:
        """Run one line in a channel of its own."""
        channel = await self._upstream.open(f"echo $$; {command}", terminal)
        group = _Group(self._upstream, channel, stdout)
        try:
            await self._say_if_made_again(stderr, terminal)
            with (
                _running(self._upstream.name),
                one_error(),
                controls.attached(channel.resize, group.names.put_nowait),
            ):
                async with asyncio.TaskGroup() as tasks:
                    outputs = [tasks.create_task(copy_out(channel.stdout, group))]
                    outputs.append(tasks.create_task(copy_out(channel.stderr, stderr)))
                    helpers = [tasks.create_task(group.feed(stdin))]
                    helpers.append(tasks.create_task(group.pass_signals()))
                    await asyncio.wait(outputs)
                    await channel.closed.wait()
                    for helper in helpers:
                        helper.cancel()
        finally:
            await group.end()
        return self._status(channel, started=group.started)

    async def where(self) -> str | None:
        """The login directory: the target told it when we connected."""
        return (await self._upstream.arrival()).start

    async def home(self) -> str | None:
        """The target told it, too."""
        return (await self._upstream.arrival()).home

    async def close(self) -> None:
        """Leave; nothing of ours stays behind."""
        await self._upstream.close()

    async def _say_if_made_again(self, stderr: Sink, terminal: Terminal | None) -> None:
        if self._upstream.was_made_again():
            end = "\n" if terminal is None else "\r\n"
            await stderr(f"{PREFIX}{AGAIN}{end}".encode())

    def _status(self, channel: SshChannel, *, started: bool) -> int:
        if channel.exit_signal is not None:
            number = getattr(signal, f"SIG{channel.exit_signal}", 0)
            return 128 + int(number)
        if channel.exit_status is None:
            msg = f"target {self._upstream.name} was lost while the command ran"
            raise TargetUnreachable(msg)
        if not started:
            msg = f"target {self._upstream.name} did not start the command as asked"
            raise TargetUnreachable(msg)
        return channel.exit_status


class _Group:
    """The process group of one command on the target, so that it can be signalled and killed.

    sshd passes signals on only for some users, and leaves what has no terminal running when its
    channel closes. So the command's shell, the leader of its group, says its number first; that
    line is taken off the output here, and `kill` runs in a channel beside it.
    """

    def __init__(
        self,
        upstream: Upstream,
        channel: SshChannel,
        sink: Sink,
    ) -> None:
        self.names: asyncio.Queue[str] = asyncio.Queue()
        self._upstream = upstream
        self._channel = channel
        self._sink = sink
        self._head: bytes | None = b""
        self._leader = asyncio.Event()
        self._pid = ""

    @property
    def started(self) -> bool:
        """Did the first line come?"""
        return self._leader.is_set()

    async def __call__(self, data: bytes, /) -> None:
        """The command's output, without its first line."""
        if self._head is None:
            await self._sink(data)
            return
        line, newline, rest = (self._head + data).partition(b"\n")
        self._head = line if len(line) <= HEAD else None
        if newline:
            self._head = None
            self._pid = line.strip().decode("ascii", "replace")
            self._leader.set()
        if self._head is None and not (self._pid.isascii() and self._pid.isdigit()):
            msg = "the target did not start the command as asked"
            raise TargetUnreachable(msg)
        if rest:
            await self._sink(rest)

    async def feed(self, stdin: Source | None) -> None:
        """The command's input: not before its first line, or a terminal's echo stands there."""
        await self._leader.wait()
        if stdin is not None:
            await copy_in(stdin, self._channel)
        else:
            with contextlib.suppress(OSError):
                self._channel.write_eof()

    async def pass_signals(self) -> None:
        """Hand on what the client sends, in order."""
        await self._leader.wait()
        while True:
            name = await self.names.get()
            if name in SIGNALS:
                await self._kill(name)

    async def end(self) -> None:
        """Kill what may still run, and close its channel."""
        channel = self._channel
        if channel.exit_status is None and channel.exit_signal is None and self._pid:
            with contextlib.suppress(OSError, asyncssh.Error):
                async with asyncio.timeout(KILL_TIMEOUT):
                    await self._kill("KILL")
        channel.close()

    async def _kill(self, name: str) -> None:
        await self._upstream.ask(f"kill -s {name} -- -{self._pid}")


@contextlib.contextmanager
def _running(name: str) -> Iterator[None]:
    """As above while a command runs; an OSError may be the client's then, and stays one."""
    try:
        yield
    except asyncssh.Error as error:
        msg = f"target {name} was lost while the command ran"
        raise TargetUnreachable(msg) from error
