"""`ssh approvals@broker`: the TUI in a process and a pty of its own, bridged to the channel.

A process of its own, because a screen that crashes or spins may hurt one approver and nobody
else. It gets no credentials, no files and an environment from scratch; all it can do is ask over
the control channel, which is bound to this identity before the process starts.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import socket
import struct
import sys
import termios
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from broker.errors import UsageError
from broker.ssh.visitor import proven

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from broker.console.client import Terminal
    from broker.model import Identity
    from broker.ssh.channel import Channel, Request
    from broker.ssh.visitor import Visitor

CHUNK = 65536
FRAME_LIMIT = 8 * 1024 * 1024  # bytes of one line on the control channel
GRACE = 2.0  # seconds between the hang-up and the kill of a TUI whose person is gone


@dataclass(frozen=True, slots=True)
class Approvals:
    """Implements `serve.Route` for the user name `approvals`.

    `answer` serves one control channel for an identity until it closes.
    """

    answer: Callable[[Identity, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

    async def __call__(self, visitor: Visitor, channel: Channel, request: Request) -> int:
        """Run the screens until the person leaves."""
        identity = proven(visitor)
        if channel.terminal is None or request.command is not None:
            msg = "approvals needs a terminal: ssh -t approvals@THIS-HOST (or ssh broker@ pending)"
            raise UsageError(msg)
        ours, theirs = socket.socketpair()
        try:
            master, process = await _start(channel.terminal, theirs)
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        try:
            return await self._run(identity, channel, ours, master, process)
        finally:
            await _end(process)
            os.close(master)

    async def _run(
        self,
        identity: Identity,
        channel: Channel,
        ours: socket.socket,
        master: int,
        process: asyncio.subprocess.Process,
    ) -> int:
        reader, writer = await asyncio.open_connection(sock=ours, limit=FRAME_LIMIT)
        channel.on_resize(lambda terminal: _resize(master, terminal))
        async with asyncio.TaskGroup() as tasks:
            serving = [
                tasks.create_task(_quietly(self.answer(identity, reader, writer))),
                tasks.create_task(_typed(channel, master)),
            ]
            await _shown(channel, master)
            code = await process.wait()
            for task in serving:
                task.cancel()
        writer.close()
        return 0 if code == 0 else 70


async def _quietly(work: Awaitable[None]) -> None:
    with suppress(ConnectionError):
        await work


async def _start(
    terminal: Terminal, control: socket.socket
) -> tuple[int, asyncio.subprocess.Process]:
    master, slave = os.openpty()
    try:
        _resize(master, terminal)
        fd = control.fileno()
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "tui", "--control-fd", str(fd)),
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=_environment(terminal),
            cwd="/",
            pass_fds=[fd],
            start_new_session=True,
        )
    except BaseException:
        os.close(master)
        raise
    finally:
        os.close(slave)
    os.set_blocking(master, False)
    return master, process


def _environment(terminal: Terminal) -> dict[str, str]:
    kind = terminal.type if terminal.type.replace("-", "").isalnum() else "xterm-256color"
    return {
        "TERM": kind,
        "LANG": "C.UTF-8",
        "PATH": "/usr/bin:/bin",
        "HOME": "/nonexistent",
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "PYTHONDONTWRITEBYTECODE": "1",
        "COLORTERM": "truecolor" if "256" in kind else "",
    }


def _resize(master: int, terminal: Terminal) -> None:
    size = struct.pack("HHHH", terminal.rows, terminal.columns, 0, 0)
    with suppress(OSError):
        fcntl.ioctl(master, termios.TIOCSWINSZ, size)


async def _shown(channel: Channel, master: int) -> None:
    """What the screens draw, to the person; ends when the TUI closes its terminal."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(master, ready.set)
    try:
        while True:
            await ready.wait()
            ready.clear()
            while data := _read(master):
                await channel.write(data)
            if data is None:
                return
    finally:
        loop.remove_reader(master)


def _read(master: int) -> bytes | None:
    """Bytes, ``b""`` when there are none yet, None at the end."""
    try:
        return os.read(master, CHUNK) or None
    except BlockingIOError:
        return b""
    except OSError:
        return None


async def _typed(channel: Channel, master: int) -> None:
    """What the person types, to the screens."""
    while data := await _next(channel):
        while data:
            try:
                data = data[os.write(master, data) :]
            except BlockingIOError:
                await asyncio.sleep(0.01)
            except OSError:
                return


async def _next(channel: Channel) -> bytes:
    try:
        return await channel.read()
    except ConnectionError:  # the person is gone: whoever runs this channel ends it
        return b""


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGHUP)
    try:
        await asyncio.wait_for(process.wait(), GRACE)
    except TimeoutError:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
